"""Many requests at once: each is answered as if it were alone, joins at once and leaves at once."""

import threading
import time
from pathlib import Path
from random import Random

import numpy as np
import pytest
from torch import Tensor
from transformers import DynamicCache

from contracts.chat import ChatMessage, ImagePart, TextPart, VideoPart
from contracts.errors import ModelUnavailable, QueueFull, RequestTimeout
from contracts.generation import SamplingParams
from contracts.media import Clip, Frame, Picture
from llava_custom import Embedded, LoadOptions, VisionLanguageModel, load_checkpoint
from llava_custom.kv_rows import RowStep, capacity_for
from runners.engine import Engine
from runners.jobs import JudgeJob
from runners.limits import EngineLimits
from tests.runners.engine_room import Asked, one_by_one, turning
from tests.runners.test_shortage import Crowded

GOLDEN = Path(__file__).resolve().parents[3] / "shared" / "golden"
WORDS = ("a", "red", "ball", "rolls", "to", "the", "left", "and", "it", "blinks", "twice", "then")


@pytest.fixture(scope="module", params=["llava_video_tiny", "vila_tiny"])
def model(request: pytest.FixtureRequest) -> VisionLanguageModel:
    return load_checkpoint(str(GOLDEN / request.param), LoadOptions())


@pytest.fixture(scope="module")
def llava_video() -> VisionLanguageModel:
    return load_checkpoint(str(GOLDEN / "llava_video_tiny"), LoadOptions())


def clip(random: Random, num_frames: int) -> Clip:
    noise = np.random.default_rng(random.randrange(1000))
    frames = tuple(
        Frame(noise.integers(0, 255, (48, 80, 3), np.uint8), float(index))
        for index in range(num_frames)
    )
    end_s = float(num_frames)
    return Clip(frames, end_s, 1.0, num_frames, 80, 48, "h264", 0.0, end_s, "default")


def some_messages(random: Random) -> tuple[ChatMessage, ...]:
    text = TextPart(" ".join(random.choices(WORDS, k=random.randrange(1, 40))))
    kind = random.choice(["text", "text", "image", "clip"])
    if kind == "text":
        return (ChatMessage("user", (text,)),)
    if kind == "clip":
        return (ChatMessage("user", (VideoPart(clip(random, random.randrange(1, 4))), text)),)
    noise = np.random.default_rng(random.randrange(1000))
    picture = Picture(noise.integers(0, 255, (40, 60, 3), np.uint8), 60, 40, "png")
    return (ChatMessage("user", (ImagePart(picture), text)),)


def some_sampling(random: Random) -> SamplingParams:
    greedy = SamplingParams(max_tokens=random.randrange(1, 24))
    drawn = SamplingParams(
        max_tokens=random.randrange(1, 24),
        temperature=random.choice([0.5, 1.0]),
        top_p=random.choice([0.9, 1.0]),
        seed=random.randrange(100),
        num_choices=random.choice([1, 1, 3]),
        repetition_penalty=random.choice([1.0, 1.2]),
    )
    return random.choice([greedy, drawn])


def some_requests(random: Random, number: int) -> list[Asked]:
    return [Asked(some_messages(random), some_sampling(random)) for _ in range(number)]


@pytest.mark.parametrize("seed", range(2))
def test_an_answer_in_any_company_is_the_answer_alone(
    model: VisionLanguageModel, seed: int
) -> None:
    random = Random(seed)
    asked = some_requests(random, 16)
    expected = one_by_one(model, asked)
    strangers = some_requests(random, 8)
    with turning(model, EngineLimits(max_waiting=64, max_choices=12)) as engine:
        for one in random.sample([*asked, *strangers], 24):
            one.submit(engine, model)
            if random.random() < 0.5:
                time.sleep(random.random() * 0.05)
            if one in strangers and random.random() < 0.5:
                one.job.cancel()
        for one in strangers:
            one.job.cancel()
        found = [one.answers() for one in asked]
        assert found == expected
    assert engine.stats().of("chat").num_running == 0
    assert engine.stats().kv_bytes == 0


def test_admission_is_told_before_reading_and_a_first_token_before_the_step_after_it(
    llava_video: VisionLanguageModel,
) -> None:
    happened: list[str] = []

    class Watched(Crowded):
        def prefill(self, embedded: Embedded, kv_cache: DynamicCache) -> Tensor:
            happened.append("read")
            return super().prefill(embedded, kv_cache)

        def decode_step(
            self, token_ids: Tensor, positions: Tensor, kv_cache: DynamicCache | RowStep
        ) -> Tensor:
            happened.append("step")
            return super().decode_step(token_ids, positions, kv_cache)

    watched = Watched(llava_video)
    engine = Engine(watched, EngineLimits(64), lambda: happened.append("flush"))
    sampling = SamplingParams(max_tokens=3, min_tokens=3)
    asked = Asked((ChatMessage("user", (TextPart("hello"),)),), sampling)
    asked.submit(engine, watched)
    thread = threading.Thread(target=engine.run)
    thread.start()
    asked.answers()
    engine.close()
    thread.join(30)
    assert not thread.is_alive()
    assert happened[:4] == ["flush", "read", "flush", "step"]


def test_answers_that_share_their_beginning_are_the_answers_alone(
    model: VisionLanguageModel,
) -> None:
    held: list[int] = []

    class Watched(Crowded):
        def decode_step(
            self, token_ids: Tensor, positions: Tensor, kv_cache: DynamicCache | RowStep
        ) -> Tensor:
            held.append(engine.stats().kv_bytes // len(token_ids))
            return super().decode_step(token_ids, positions, kv_cache)

    random, watched = Random(4), Watched(model)
    seen, long = VideoPart(clip(random, 3)), " ".join(["red ball"] * 150)
    asked = [
        Asked(
            (ChatMessage("user", (seen, TextPart(f"{long} {word}"))),),
            SamplingParams(
                max_tokens=24, min_tokens=24 - index, num_choices=1 + 2 * (index == 3), seed=index
            ),
        )
        for index, word in enumerate(WORDS[:6])
    ]
    expected = one_by_one(model, asked)
    with turning(watched) as engine:
        for one in asked:
            one.submit(engine, watched)
        assert [one.answers() for one in asked] == expected
    tokens = model.plan(asked[0].messages).tokens.total
    assert 0 < min(filter(None, held)) < tokens * model.kv_bytes_per_token / 2


def test_requests_are_computed_together(llava_video: VisionLanguageModel) -> None:
    sizes: list[int] = []

    class Watched(Crowded):
        def decode_step(
            self, token_ids: Tensor, positions: Tensor, kv_cache: DynamicCache | RowStep
        ) -> Tensor:
            sizes.append(len(token_ids))
            return super().decode_step(token_ids, positions, kv_cache)

    watched = Watched(llava_video)
    sampling = SamplingParams(max_tokens=30, min_tokens=30)
    asked = [Asked((ChatMessage("user", (TextPart(word),)),), sampling) for word in WORDS[:6]]
    with turning(watched) as engine:
        for one in asked:
            one.submit(engine, watched)
        for one in asked:
            one.answers()
    assert max(sizes) == 6
    assert len(sizes) < 6 * 29


def test_a_running_answer_goes_on_while_a_long_prompt_is_read(
    llava_video: VisionLanguageModel,
) -> None:
    calls: list[str] = []

    class Watched(Crowded):
        def prefill(self, embedded: Embedded, kv_cache: DynamicCache) -> Tensor:
            calls.append("prefill" if len(embedded) > 100 else "short")
            return super().prefill(embedded, kv_cache)

        def decode_step(
            self, token_ids: Tensor, positions: Tensor, kv_cache: DynamicCache | RowStep
        ) -> Tensor:
            calls.append("step")
            if calls.count("step") == 3:
                long.submit(engine, self)
            return super().decode_step(token_ids, positions, kv_cache)

    watched = Watched(llava_video)
    short = Asked(
        (ChatMessage("user", (TextPart("hello"),)),), SamplingParams(max_tokens=60, min_tokens=60)
    )
    text = TextPart(" ".join(["word"] * 4000))
    long = Asked((ChatMessage("user", (text,)),), SamplingParams(max_tokens=2))
    with turning(watched, EngineLimits(max_waiting=4, max_kv_bytes=1 << 40)) as engine:
        short.submit(engine, watched)
        short.answers()
        long.answers()
    reading = calls[calls.index("prefill") : len(calls) - calls[::-1].index("prefill")]
    assert "step" in reading


def test_memory_bounds_what_runs_together(llava_video: VisionLanguageModel) -> None:
    most = 0

    class Watched(Crowded):
        def decode_step(
            self, token_ids: Tensor, positions: Tensor, kv_cache: DynamicCache | RowStep
        ) -> Tensor:
            nonlocal most
            most = max(most, len(token_ids))
            return super().decode_step(token_ids, positions, kv_cache)

    watched = Watched(llava_video)
    sampling = SamplingParams(max_tokens=20, min_tokens=20)
    asked = [Asked((ChatMessage("user", (TextPart(word),)),), sampling) for word in WORDS[:5]]
    tokens = max(llava_video.plan(one.messages).tokens.total for one in asked) + 20
    two = int(2.5 * capacity_for(tokens) * llava_video.kv_bytes_per_token)
    with turning(watched, EngineLimits(max_waiting=8, max_kv_bytes=two)) as engine:
        for one in asked:
            one.submit(engine, watched)
        for one in asked:
            one.answers()
    assert most == 2


def test_what_cannot_be_held_by_itself_is_tried_alone(llava_video: VisionLanguageModel) -> None:
    with turning(llava_video, EngineLimits(max_waiting=4, max_choices=1, max_kv_bytes=1)) as engine:
        (one,) = some_requests(Random(5), 1)
        one.submit(engine, llava_video)
        one.answers()


def test_too_many_that_wait_are_told_when_to_come_back(llava_video: VisionLanguageModel) -> None:
    engine = Engine(llava_video, EngineLimits(max_waiting=2))  # does not turn
    first, *others = some_requests(Random(6), 4)
    for one in others[:2]:
        one.submit(engine, llava_video)
    with pytest.raises(QueueFull, match="2 requests are waiting") as caught:
        first.submit(engine, llava_video)
    assert caught.value.retry_after_s is not None
    assert caught.value.retry_after_s >= 1
    engine.submit(JudgeJob((llava_video.plan(first.messages),), 0.1, lambda _: None))
    others[0].job.cancel()
    first.submit(engine, llava_video)
    assert engine.stats().of("alert").num_waiting == 1
    assert engine.stats().of("chat").num_waiting == 3


def test_what_comes_too_late_is_not_begun(llava_video: VisionLanguageModel) -> None:
    crowded = Crowded(llava_video)
    late, other = some_requests(Random(7), 2)
    with turning(crowded) as engine:
        late.submit(engine, llava_video, wait_s=-1)
        with pytest.raises(RequestTimeout):
            late.answers()
        assert crowded.calls == []
        other.submit(engine, llava_video)
        other.answers()


def test_work_is_counted_by_class(llava_video: VisionLanguageModel) -> None:
    sampling = SamplingParams(max_tokens=5, min_tokens=5, num_choices=2)
    one = Asked(some_messages(Random(8)), sampling)
    with turning(llava_video) as engine:
        one.submit(engine, llava_video)
        one.answers()
        stats = engine.stats()
    chat = stats.of("chat")
    assert (chat.num_generated, stats.of("upload").num_generated) == (10, 0)
    assert (chat.queue_s.counts[-1], chat.first_token_s.counts[-1]) == (1, 1)
    assert chat.token_s.counts[-1] == 8
    tokens = one.job.prompt.tokens
    assert stats.prompt_tokens["text"] == tokens.text
    assert stats.prefill_s.counts[-1] >= 1
    assert stats.max_kv_bytes > 0


def test_a_model_that_cannot_be_batched_answers_one_at_a_time(
    llava_video: VisionLanguageModel,
) -> None:
    class Odd(Crowded):
        """Its cache has a layer of a kind of its own."""

        def __init__(self, model: VisionLanguageModel) -> None:
            super().__init__(model)
            self.new_kv_cache = self._new_kv_cache

        def _new_kv_cache(self) -> DynamicCache:
            kv_cache = self.model.new_kv_cache()
            layer = type(kv_cache.layers[0])
            kv_cache.layers[0] = type("OddLayer", (layer,), {})()
            return kv_cache

    asked = some_requests(Random(9), 5)
    expected = one_by_one(llava_video, asked)
    odd = Odd(llava_video)
    with turning(odd) as engine:
        assert not engine.batches
        for one in asked:
            one.submit(engine, odd)
        assert [one.answers() for one in asked] == expected


def test_an_engine_that_was_idle_for_long_counts_as_turning_when_work_comes(
    llava_video: VisionLanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine(llava_video, EngineLimits(max_waiting=64))
    later_s = time.monotonic() + 1000
    monkeypatch.setattr("runners.engine.time.monotonic", lambda: later_s)
    asked = Asked((ChatMessage("user", (TextPart("hello"),)),), SamplingParams(max_tokens=1))

    asked.submit(engine, llava_video)

    assert engine.has_turned_within(30)
    later_s += 31
    assert not engine.has_turned_within(30)


def test_when_the_loop_itself_fails_all_are_told_and_the_log_has_why(
    llava_video: VisionLanguageModel, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise ZeroDivisionError("a fault of ours")

    flushes = iter([fail])
    engine = Engine(llava_video, EngineLimits(64), lambda: next(flushes, lambda: None)())
    messages = (ChatMessage("user", (TextPart("hello"),)),)
    asked = [Asked(messages, SamplingParams(max_tokens=200)) for _ in range(3)]
    for one in asked:
        one.submit(engine, llava_video)

    engine.run()

    for one in asked:
        with pytest.raises(ModelUnavailable, match="must be restarted"):
            one.answers()
    assert "a fault of ours" in caplog.text
