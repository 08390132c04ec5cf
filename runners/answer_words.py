"""The words with which an answer says yes or no. Pure; no tokenizer and no tensor."""

from contracts.judging import Judgement

YES = ("Yes", "yes", "YES")
NO = ("No", "no", "NO")
BLANKS = ("", "Ġ", "▁")  # how vocabularies of the GPT-2 kind and of sentencepiece write a space


UNKNOWN = Judgement(0.5, known=False)


def weighed(yes: float, no: float, *, known_mass: float) -> Judgement:
    """What the likelihoods of yes and of no say.

    Args:
        yes: 0 to 1.
        no: Likewise.
        known_mass: Least likelihood of both together for an answer to be known.
    """
    if not yes + no:
        return UNKNOWN
    return Judgement(p_yes=yes / (yes + no), known=yes + no >= known_mass)
