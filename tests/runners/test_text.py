import pytest
from tokenizers import Tokenizer, models
from tokenizers import decoders as token_decoders

from contracts.generation import Alternative, TokenLogprob
from runners.sequence import BYTE_OF_CHARACTER, token_bytes
from runners.text import GrowingText, TextPiece


@pytest.fixture
def byte_tokenizer() -> Tokenizer:
    """One token for each byte; 256 is special."""
    vocab = {character: byte for character, byte in BYTE_OF_CHARACTER.items()}
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=[]))
    tokenizer.decoder = token_decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|end|>"])
    return tokenizer


def push_all(growing: GrowingText, payload: bytes) -> list[TextPiece]:
    pieces = [growing.push(byte) for byte in payload]
    return [*pieces, growing.flush()]


def test_no_piece_holds_half_a_character(byte_tokenizer: Tokenizer) -> None:
    text = "né 😀 漢字 👩‍🚒!"
    pieces = [piece.text for piece in push_all(GrowingText(byte_tokenizer), text.encode())]
    assert "".join(pieces) == text
    assert not any("\ufffd" in piece for piece in pieces)


def test_bytes_that_never_become_a_character_are_not_shown(byte_tokenizer: Tokenizer) -> None:
    pieces = push_all(GrowingText(byte_tokenizer), b"ok" + "😀".encode()[:3])
    assert "".join(piece.text for piece in pieces) == "ok"


def test_broken_bytes_after_a_byte_that_was_shown_end_nothing() -> None:
    vocabulary = {f"<0x{byte:02X}>": byte for byte in range(256)} | {"▁is": 256, "h": 257}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[], byte_fallback=True))
    steps = [token_decoders.Replace("▁", " "), token_decoders.ByteFallback()]
    tokenizer.decoder = token_decoders.Sequence([*steps, token_decoders.Fuse()])
    growing = GrowingText(tokenizer)
    pieces = [growing.push(token_id).text for token_id in (257, 0x0A, 0xF0, 256, 257)]
    assert pieces[:3] == ["h", "\n", ""]
    assert "".join(pieces).endswith(" ish")


def test_special_tokens_give_no_text(byte_tokenizer: Tokenizer) -> None:
    growing = GrowingText(byte_tokenizer)
    assert growing.push(ord("a")).text + growing.push(256).text + growing.push(98).text == "ab"


@pytest.mark.parametrize(
    ("stops", "said", "shown"),
    [
        (("END",), "one END two", "one "),
        (("END",), "EN EENDx", "EN E"),
        (("aab",), "aaab", "a"),
        (("xy", "y"), "axy", "a"),
        (("later",), "never", "never"),
        (("é",), "caféx", "caf"),
        (("\n\n",), "a\nb\n\nc", "a\nb"),
    ],
)
def test_nothing_of_a_stop_string_is_shown(
    byte_tokenizer: Tokenizer, stops: tuple[str, ...], said: str, shown: str
) -> None:
    growing, text = GrowingText(byte_tokenizer, stops), ""
    for byte in said.encode():
        piece = growing.push(byte)
        text += piece.text
        if piece.is_stopped:
            break
    else:
        text += growing.flush().text
    assert text == shown


def test_a_stop_string_does_not_count_before_it_may(byte_tokenizer: Tokenizer) -> None:
    growing = GrowingText(byte_tokenizer, ("a",))
    assert not growing.push(ord("a"), may_stop=False).is_stopped
    assert growing.push(ord("a")).is_stopped


def test_logprobs_come_with_their_text_and_not_with_the_stop(byte_tokenizer: Tokenizer) -> None:
    growing, entries = GrowingText(byte_tokenizer, ("END",)), []
    for byte in b"sEt END":
        alternative = Alternative(chr(byte), -1.0, bytes([byte]))
        piece = growing.push(byte, TokenLogprob(alternative))
        entries += [entry.chosen.token for entry in piece.logprobs]
        assert len(piece.logprobs) == len(piece.text)
    assert "".join(entries) == "sEt "


def test_each_token_of_one_character_has_its_logprob(byte_tokenizer: Tokenizer) -> None:
    growing, num_entries = GrowingText(byte_tokenizer), 0
    for byte in "a😀b".encode():
        piece = growing.push(byte, TokenLogprob(Alternative("", 0.0, bytes([byte]))))
        num_entries += len(piece.logprobs)
    num_entries += len(growing.flush().logprobs)
    assert num_entries == 6


def test_a_token_knows_its_bytes(byte_tokenizer: Tokenizer) -> None:
    assert token_bytes(byte_tokenizer, "é".encode()[0]) == "é".encode()[:1]
    pieces = Tokenizer(models.WordLevel({"▁the": 0, "<0xE2>": 1}, unk_token="▁the"))
    assert token_bytes(pieces, 0) == b" the"
    assert token_bytes(pieces, 1) == b"\xe2"
