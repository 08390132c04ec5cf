"""Yes/no questions on one prompt's beginning: what their rests say when they are read together.

Runs on the device thread. Knows nothing of queues or requests.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

import torch
from tokenizers import Tokenizer
from torch import Tensor
from transformers import DynamicCache

from contracts.errors import RunnerError
from contracts.judging import Judgement
from llava_custom import Embedded, Prompt, Visual
from runners.answer_words import BLANKS, NO, YES
from runners.family import ModelFamily
from runners.kv_fork import fork

SEEN = -1  # in the place of a visual's token

PASS_TOKENS = 512  # of all questions in one pass


@dataclass(frozen=True, slots=True)
class YesNo:
    """The tokens with which an answer begins that says yes, and those of one that says no."""

    yes_ids: tuple[int, ...]
    no_ids: tuple[int, ...]

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> "YesNo":
        """Those of a vocabulary.

        Where no token is the whole word, the first tokens of the words count, if they say which.

        Raises:
            RunnerError: It has none for one of the two.
        """
        yes_ids = _whole(tokenizer, YES) or _beginnings(tokenizer, YES) - _beginnings(tokenizer, NO)
        no_ids = _whole(tokenizer, NO) or _beginnings(tokenizer, NO) - _beginnings(tokenizer, YES)
        for word, ids in (("yes", yes_ids), ("no", no_ids)):
            if not ids:
                raise RunnerError(
                    f"expected a token for {word!r} in the model's tokenizer, found none; "
                    "this model cannot judge questions, serve another one"
                )
        return cls(tuple(sorted(yes_ids)), tuple(sorted(no_ids)))

    def judgement(self, logits: Tensor, *, known_mass: float) -> Judgement:
        """What the logits (V,) of an answer's first token say."""
        logprobs = logits.double().log_softmax(-1)
        yes = logprobs[list(self.yes_ids)].logsumexp(0)
        no = logprobs[list(self.no_ids)].logsumexp(0)
        mass = float(torch.logaddexp(yes, no).exp())
        return Judgement(p_yes=float((yes - no).sigmoid()), known=mass >= known_mass)


def last_logits(
    model: ModelFamily, rests: Sequence[tuple[int, ...]], position: int, kv_cache: DynamicCache
) -> list[Tensor]:
    """Logits (1, V) after each of some prompts, as if it were the only one, in one pass.

    Args:
        model: Whose prompts they are.
        rests: Token ids of each behind what they share.
        position: Where those begin.
        kv_cache: Of what they share; not modified.
    """
    embedded = [_text_at(model, rest, position) for rest in rests]
    return list(model.prefill_packed(embedded, fork(kv_cache)).split(1))


def in_passes(rests: Sequence[tuple[int, ...]], max_tokens: int) -> Iterator[list[tuple[int, ...]]]:
    """The rests in order, as many at a time as have so many tokens; at least one."""
    group: list[tuple[int, ...]] = []
    for rest in rests:
        if group and sum(map(len, group)) + len(rest) > max_tokens:
            yield group
            group = []
        group.append(rest)
    yield group


def _text_at(model: ModelFamily, token_ids: tuple[int, ...], position: int) -> Embedded:
    text = model.embed(Prompt((token_ids,)), [])
    return replace(text, positions=text.positions + position)


def num_shared_tokens(prompts: Sequence[Prompt]) -> int:
    """With how many tokens all prompts begin, the last of each apart; 0 for a single one.

    Two prompts of the same media differ at a token of text first, so no visual is ever cut.
    """
    if len(prompts) == 1:
        return 0
    rows = [_token_ids(prompt) for prompt in prompts]
    columns = zip(*(row[:-1] for row in rows), strict=False)
    return sum(1 for _ in takewhile(lambda column: len(set(column)) == 1, columns))


def _token_ids(prompt: Prompt) -> list[int]:
    found: list[int] = []
    for segment in prompt.segments:
        found += [SEEN] * segment.num_tokens if isinstance(segment, Visual) else segment
    return found


def _whole(tokenizer: Tokenizer, words: Sequence[str]) -> set[int]:
    """Tokens that are one of the words, with a space before it or without."""
    found = (tokenizer.token_to_id(blank + word) for word in words for blank in BLANKS)
    return {token_id for token_id in found if token_id is not None}


def _beginnings(tokenizer: Tokenizer, words: Sequence[str]) -> set[int]:
    """The first token of each word that is more than the space before it."""
    rows = (tokenizer.encode(word, add_special_tokens=False).ids for word in words)
    spoken = ([i for i in row if tokenizer.decode([i]).strip()] for row in rows)
    return {token_id for row in spoken for token_id in row[:1]}
