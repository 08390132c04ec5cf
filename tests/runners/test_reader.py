"""How fast prompts are read, which decides whether one can be read before its deadline at all."""

import itertools
import time
from pathlib import Path

from contracts.chat import ChatMessage, TextPart
from contracts.generation import GenerationRequest, SamplingParams
from llava_custom import LoadOptions, load_checkpoint
from runners.caches import Caches
from runners.engine_meter import EngineMeter
from runners.jobs import Job
from runners.pace import NUM_KEPT
from runners.passes import Passes
from runners.prefix_cache import PrefixCache
from runners.reader import Reader

GOLDEN = Path(__file__).resolve().parents[3] / "shared" / "golden" / "llava_video_tiny"


def test_prompts_that_are_known_do_not_make_reading_look_slow() -> None:
    """Else long prompts would be refused as too late after some that were read before."""
    model = load_checkpoint(str(GOLDEN), LoadOptions())
    ticks, meter = itertools.count(), EngineMeter()
    caches = Caches(prefixes=PrefixCache(1 << 24))
    passes = Passes(model, meter, lambda: next(ticks), lambda: True)
    reader = Reader(model, meter, lambda: next(ticks), passes, caches)

    def read(num_words: int) -> int:
        messages = (ChatMessage("user", (TextPart("a red ball " * num_words),)),)
        request = GenerationRequest("test", messages, SamplingParams(), time.monotonic() + 60)
        reading = reader.begin(Job(request, model.plan(messages), 1, lambda _: None))
        while not reading.is_done:
            reader.prepare(reading)
            reader.read(reading)
        return reading.num_cached

    read(100)
    pace_s = reader.pace.best_s
    assert all(read(100) for _ in range(NUM_KEPT))
    assert reader.pace.best_s < 10 * pace_s
