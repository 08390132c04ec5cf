import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from contracts.errors import WeightsError
from llava_custom import LoadOptions, load_checkpoint
from llava_custom.load_report import LoadReport, human_size, need_line, shortage_line
from llava_custom.memory import GIB, MemoryNeed, Part
from llava_custom.network_loading import WeightPlan, announce, loading
from llava_custom.progress import LoadProgress, unheard
from llava_custom.quantization import Scheme

NEED = MemoryNeed(
    (
        Part("vision tower", "bfloat16", 398_000_000, 796_000_000),
        Part("language model", "nf4", 6_525_000_000, 3 * GIB),
    ),
    Scheme("nf4"),
    56 * 1024,
)
LARGER = replace(NEED, parts=(Part("language model", "bfloat16", 7_000_000_000, 13 * GIB),))
TABLE = """\
┌───────────────────────────────┬───────────────────────────┐
│ model                         │ LLaVA-Video-7B-Qwen2      │
│ architecture                  │ LlavaQwenForCausalLM      │
│ parameters                    │ 6,923,000,000             │
│ quantization                  │ nf4, scales quantised too │
│ vision tower                  │ bfloat16, 759.12 MiB      │
│ language model                │ nf4, 3.00 GiB             │
│ attention                     │ sdpa                      │
│ device                        │ cuda:0 (3.74 GiB)         │
│ context                       │ 32,768 tokens of 56 KiB   │
│ weights, counted              │ 3.74 GiB                  │
│ weights, allocated on the GPU │ 3.80 GiB                  │
│ loaded in                     │ 61.2 s                    │
└───────────────────────────────┴───────────────────────────┘"""


@pytest.mark.parametrize(
    ("num_bytes", "text"),
    [
        (0, "0 bytes"),
        (1000, "1000 bytes"),
        (1536, "2 KiB"),
        (5 << 20, "5.00 MiB"),
        (int(5.94 * GIB), "5.94 GiB"),
        (2000 * GIB, "2000.00 GiB"),
    ],
)
def test_sizes_are_told_in_a_unit_that_fits(num_bytes: int, text: str) -> None:
    assert human_size(num_bytes) == text


def test_the_need_is_told_part_by_part() -> None:
    assert need_line(NEED) == (
        "the weights need 3.74 GiB: vision tower 759.12 MiB in bfloat16, language model 3.00 GiB "
        "in nf4; 1,000 tokens in flight need 54.69 MiB"
    )


def test_weights_that_fit_are_not_worth_a_word() -> None:
    assert shortage_line(NEED, NEED.num_bytes, "cuda:0", {}) is None


def test_weights_that_do_not_fit_are_told_with_what_would() -> None:
    others = {"VLM_QUANTIZATION=int8": replace(LARGER), "VLM_QUANTIZATION=nf4": NEED}
    assert shortage_line(LARGER, 4 * GIB, "cuda:0", others) == (
        "the weights need 13.00 GiB and cuda:0 has 4.00 GiB free; "
        "VLM_QUANTIZATION=nf4 needs 3.74 GiB"
    )
    nothing = shortage_line(LARGER, GIB, "cuda:0", others)
    assert nothing is not None
    assert nothing.endswith("no quantization makes them small enough")


def test_what_was_loaded_is_told_in_a_table() -> None:
    report = LoadReport(
        architecture="LlavaQwenForCausalLM",
        need=NEED,
        attention="sdpa",
        places={"cuda:0": NEED.num_bytes},
        measured_bytes=int(3.8 * GIB),
        how_measured="allocated on the GPU",
    )
    table = report.table("LLaVA-Video-7B-Qwen2", context_length=32_768, seconds=61.23)
    assert table == TABLE


def test_a_load_says_what_it_needs_before_and_reports_after(
    copy_checkpoint: Callable[[Mapping[str, object]], Path], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "llava_custom")
    report = load_checkpoint(str(copy_checkpoint({})), LoadOptions()).report
    said = [record.getMessage() for record in caplog.records if record.name != "llava_custom"]
    assert said[0] == need_line(report.need)
    assert said[1].startswith("weights: ")
    assert report.places == {"cpu": sum(report.places.values())}
    assert report.measured_bytes == report.need.num_bytes
    assert (report.architecture, report.attention) == ("LlavaQwenForCausalLM", "sdpa")


def test_a_load_tells_how_much_is_there(
    copy_checkpoint: Callable[[Mapping[str, object]], Path],
) -> None:
    heard: list[float] = []
    load_checkpoint(str(copy_checkpoint({})), LoadOptions(on_progress=heard.append))
    assert heard == sorted(heard)
    assert 0 < heard[0] < 0.5
    assert heard[-1] == 1


def test_parts_that_are_loaded_one_after_the_other_are_one_whole(
    copy_vila: Callable[[Mapping[str, object]], Path],
) -> None:
    heard: list[float] = []
    load_checkpoint(str(copy_vila({})), LoadOptions(on_progress=heard.append))
    assert heard == sorted(heard)
    assert 0 < heard[0] < 0.5
    assert 0.8 < heard[-1] <= 1  # the projector is not counted


def test_a_host_that_is_too_small_is_told_before_loading(
    caplog: pytest.LogCaptureFixture,
) -> None:
    huge = replace(NEED, parts=(Part("language model", "bfloat16", 1 << 59, 1 << 60),))
    progress = LoadProgress(torch.nn.Linear(2, 2, device="meta"), unheard)
    announce(WeightPlan(LoadOptions(), huge, {}, "sdpa", None, is_stored=False, progress=progress))
    (warning,) = [one for one in caplog.records if one.levelno == logging.WARNING]
    assert "and cpu has" in warning.getMessage()


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (lambda: torch.empty(1 << 60, dtype=torch.uint8), "not enough memory to load"),
        (lambda: bytearray(1 << 60), "not enough memory to load"),
    ],
    ids=["torch", "python"],
)
def test_running_out_of_memory_while_loading_is_a_sentence(
    step: Callable[[], object], said: str
) -> None:
    bare = torch.nn.Linear(2, 2, device="meta")
    with pytest.raises(WeightsError, match=said), loading(bare, LoadProgress(bare, unheard)):
        step()
