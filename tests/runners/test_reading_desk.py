"""Prompts that wait together are read together, and each is answered as if it were alone."""

import time
from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest
from torch import Tensor
from transformers import DynamicCache

from contracts.chat import ChatMessage, TextPart, VideoPart
from contracts.errors import RunnerError
from contracts.generation import SamplingParams
from llava_custom import Embedded, LoadOptions, VisionLanguageModel, Visual, load_checkpoint
from llava_custom.encoding import Encoding, FeatureCache
from llava_custom.lean_reading import Stretch
from runners.caches import Caches
from runners.limits import EngineLimits
from runners.passes import FIRST_CHUNK
from runners.prefix_cache import PrefixCache
from runners.vision_cache import VisionCache
from tests.runners.engine_room import Asked, one_by_one, turning
from tests.runners.test_engine import clip, some_requests
from tests.runners.test_shortage import Crowded

GOLDEN = Path(__file__).resolve().parents[3] / "shared" / "golden" / "llava_video_tiny"
SAMPLING = SamplingParams(max_tokens=8, min_tokens=8)


@pytest.fixture(scope="module")
def model() -> VisionLanguageModel:
    return load_checkpoint(str(GOLDEN), LoadOptions())


class Watched(Crowded):
    """Notes how many prompts each pass was over, and how many tokens it had."""

    def __init__(self, model: VisionLanguageModel, **failures: int) -> None:
        super().__init__(model, **failures)
        self.passes: list[list[int]] = []

    def prefill(self, embedded: Embedded, kv_cache: DynamicCache) -> Tensor:
        self.passes.append([len(embedded)])
        return super().prefill(embedded, kv_cache)

    def prefill_together(self, stretches: Sequence[Stretch]) -> Tensor:
        self.passes.append([len(stretch) for stretch in stretches])
        return super().prefill_together(stretches)


def text_of(words: str) -> Asked:
    return Asked((ChatMessage("user", (TextPart(words),)),), SAMPLING)


def answers_to(
    asked: Sequence[Asked], model: Crowded, caches: Caches | None = None
) -> list[list[str]]:
    with turning(model, EngineLimits(64), caches, asked):
        return [one.answers() for one in asked]


def test_what_waits_together_is_read_together(model: VisionLanguageModel) -> None:
    asked = some_requests(Random(11), 12)
    expected = one_by_one(model, asked)
    watched = Watched(model)
    assert answers_to(asked, watched) == expected
    assert max(map(len, watched.passes)) > 1
    assert sum(watched.passes[0]) <= FIRST_CHUNK  # later ones are as long as the pace allows


def test_what_is_long_is_read_by_itself(model: VisionLanguageModel) -> None:
    long = text_of("word " * 2 * FIRST_CHUNK)
    asked = [text_of("one"), long, text_of("two")]
    watched = Watched(model)
    answers_to(asked, watched)
    num_tokens = model.plan(long.messages).tokens.total
    assert len(watched.passes[0]) == 2
    assert sum(sum(one) for one in watched.passes if len(one) == 1) == num_tokens


def test_a_short_prompt_does_not_wait_for_the_pictures_of_a_clip(
    model: VisionLanguageModel,
) -> None:
    watched = Watched(model)
    num_read_before: list[int] = []

    def encoding(visuals: Sequence[Visual], cache: FeatureCache) -> Encoding:
        found = model.encoding(visuals, cache)
        step = found.step

        def watched_step() -> None:
            num_read_before.append(len(watched.passes))
            step()

        found.step = watched_step  # type: ignore[method-assign]
        return found

    watched.encoding = encoding
    text = text_of("one")
    frames = Asked(
        (ChatMessage("user", (VideoPart(clip(Random(1), 3)), TextPart("what"))),), SAMPLING
    )
    expected = one_by_one(model, [text, frames])
    assert answers_to([text, frames], watched) == expected
    assert num_read_before[0] == 1


def test_everybody_who_came_has_left_once(model: VisionLanguageModel) -> None:
    once = SamplingParams(max_tokens=1)
    asked = [Asked(one.messages, once) for one in some_requests(Random(12), 5)]
    asked += some_requests(Random(13), 5)
    gone = text_of("nobody waits for this")
    with turning(model, asked=[*asked, gone]) as engine:
        gone.job.cancel()
        for one in asked:
            one.answers()
        for _ in range(500):
            if not engine._has_work:
                break
            time.sleep(0.01)
        assert engine._waiting._num_inside == 0


@pytest.mark.parametrize("is_short", [True, False])
def test_a_pass_that_fails_is_made_over_each_alone(
    model: VisionLanguageModel, is_short: bool
) -> None:
    class Broken(Watched):
        def prefill_together(self, stretches: Sequence[Stretch]) -> Tensor:
            self.model.prefill_together(stretches)  # all is written by then
            if not is_short:
                raise RuntimeError("shape")
            return super().prefill_together(stretches)

    asked = [text_of(words) for words in ("one", "two words", "and three words")]
    expected = one_by_one(model, asked)
    broken = Broken(model, prefill_together=1)
    assert answers_to(asked, broken) == expected
    assert [len(one) for one in broken.passes[-3:]] == [1, 1, 1]


def test_who_fails_alone_takes_nobody_along(model: VisionLanguageModel) -> None:
    class Picky(Watched):
        def prefill_together(self, stretches: Sequence[Stretch]) -> Tensor:
            raise RuntimeError("one of you")

        def prefill(self, embedded: Embedded, kv_cache: DynamicCache) -> Tensor:
            if len(embedded) == num_bad:
                raise RuntimeError("you")
            return super().prefill(embedded, kv_cache)

    asked = [text_of(words) for words in ("one", "two words", "and three words")]
    first, bad, last = asked
    num_bad = model.plan(bad.messages).tokens.total
    expected = one_by_one(model, [first, last])
    with turning(Picky(model), asked=asked):
        with pytest.raises(RunnerError):
            bad.answers()
        assert [first.answers(), last.answers()] == expected


def test_prompts_that_begin_alike_wait_for_the_first(model: VisionLanguageModel) -> None:
    shared = "what all of them have in common is this long beginning " * 4
    asked = [text_of(shared + word) for word in ("red", "blue", "green")]
    expected = one_by_one(model, asked)
    watched = Watched(model)
    caches = Caches(VisionCache(10**8), PrefixCache(10**8))
    assert answers_to(asked, watched, caches) == expected
    assert [len(one) for one in watched.passes] == [1, 2]
    assert max(watched.passes[1]) < watched.passes[0][0] // 2
    assert caches.prefixes.stats.num_hits == 2


def test_a_model_that_reads_one_by_one_does(model: VisionLanguageModel) -> None:
    asked = [text_of(words) for words in ("one", "two words", "and three words")]
    expected = one_by_one(model, asked)
    watched = Watched(model)
    watched.reads_together = False
    assert answers_to(asked, watched) == expected
    assert [len(one) for one in watched.passes] == [1, 1, 1]
