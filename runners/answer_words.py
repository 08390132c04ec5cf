"""The words with which an answer says yes or no. Pure; no tokenizer and no tensor."""

YES = ("Yes", "yes", "YES")
NO = ("No", "no", "NO")
BLANKS = ("", "Ġ", "▁")  # how vocabularies of the GPT-2 kind and of sentencepiece write a space
