"""The dry run takes the way of the real one: what it cannot show is CUDA."""

import math
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from bench.gpu import TINY_SIZE, VARIANTS, main
from bench.gpu_cases import TINY, Cases, Variant, measure
from bench.gpu_device import Stopwatch, open_device
from bench.gpu_graphs import measure_graphs, recording_of
from bench.gpu_llava_video import CONTROL, LLAVA_TINY, LLAVA_VIDEO_7B, llava_shapes, write_llava
from bench.gpu_rows import (
    GraphSteps,
    GraphTrial,
    Loaded,
    Problem,
    Row,
    Timing,
    from_line,
    to_line,
)
from bench.gpu_subject import served
from bench.gpu_table import Report
from bench.gpu_vila import VILA_3B, VILA_TINY, llm_shapes, vision_shapes
from bench.gpu_ways import FIRST_TOKEN, STEPS, embedded
from bench.gpu_weights import Shapes, byte_tokenizer, write_weights
from llava_custom import LoadOptions, VisionLanguageModel, load_checkpoint
from llava_custom.checkpoint import read_shapes
from llava_custom.step_graphs import sizes_up_to
from llava_custom.step_proof import Recording

CPU = torch.device("cpu")
BF16 = Variant("llava-video", "bf16", "sdpa")
TIMING = Timing("llava-video/bf16/sdpa", "steps", 8, "engine", 4000, 2**30, 0.5, 2**31)


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("checkpoints")
    for model, write in TINY_SIZE.items():
        write(folder / model, CPU)
    return {model: folder / model for model in TINY_SIZE}


@pytest.fixture(scope="module")
def path(paths: dict[str, Path]) -> Path:
    return paths["llava-video"]


@pytest.fixture
def model(path: Path) -> VisionLanguageModel:
    return load_checkpoint(str(path), LoadOptions(dtype=torch.bfloat16))


class Full(nn.Module):
    """A head that finds no memory."""

    weight = nn.Parameter(torch.zeros(1))

    def forward(self, hidden: Tensor) -> Tensor:
        raise torch.OutOfMemoryError("tried to allocate 3 GiB")


def table_of(*rows: Row) -> str:
    return Report("command", ["a machine"], 4e12, 8e14, list(rows)).markdown()


def num_weights(shapes: Shapes, word: str = "") -> int:
    return sum(math.prod(shape) for name, shape in shapes.items() if word in name)


def test_llava_video_has_the_published_sizes() -> None:
    assert num_weights(llava_shapes(LLAVA_VIDEO_7B)) == 8_030_348_832  # LLAVA.md 8


def test_vila_has_the_published_sizes() -> None:
    llm = llm_shapes(VILA_3B)
    matrices = num_weights(llm, "_proj.")
    num_bytes = matrices * 4.127 / 8 + 2 * (num_weights(llm) - matrices)
    assert round(num_bytes / 2**30, 2) == 1.52  # LLAVA.md 8, in NF4
    assert round(2 * num_weights(vision_shapes(VILA_3B)) / 2**30, 1) == 0.8
    kv_bytes = 2 * 2 * VILA_3B.num_layers * VILA_3B.hidden_size
    assert kv_bytes == 320 * 2**10


def test_the_tokenizer_has_the_published_ids() -> None:
    tokenizer: Tokenizer = byte_tokenizer(LLAVA_VIDEO_7B.num_plain, CONTROL)
    assert [tokenizer.token_to_id(token) for token in CONTROL] == [151643, 151644, 151645]
    ids = tokenizer.encode("ein Täg").ids
    assert len(ids) == 8
    assert tokenizer.decode(ids) == "ein Täg"


def test_vila_s_tokenizer_reads_characters(paths: dict[str, Path]) -> None:
    model = load_checkpoint(str(paths["vila"]), LoadOptions())
    ids = model.tokenizer("ein Täg").input_ids
    assert len(model.tokenizer) == VILA_TINY.vocab_size
    assert model.tokenizer.decode(ids, skip_special_tokens=True) == "ein Täg"
    tokens = model.tokenizer.convert_ids_to_tokens(ids)
    assert tokens == ["▁", "e", "i", "n", "▁", "T", "<0xC3>", "<0xA4>", "g"]


def test_weights_are_drawn_again_alike(path: Path, tmp_path: Path) -> None:
    write_llava(tmp_path, LLAVA_TINY, CPU)
    file = "model.safetensors"
    assert (tmp_path / file).read_bytes() == (path / file).read_bytes()


def test_weights_in_shards_are_all_of_them(path: Path, tmp_path: Path) -> None:
    write_weights(tmp_path, llava_shapes(LLAVA_TINY), CPU, 100_000)
    assert len(list(tmp_path.glob("*-of-00004.safetensors"))) == 4
    assert read_shapes(tmp_path) == read_shapes(path)


def test_the_dry_run_writes_a_table(tmp_path: Path) -> None:
    table = tmp_path / "docs" / "gpu.md"
    names = ["llava-video/bf16/sdpa", "llava-video/bf16/flash_attention_2"]
    main(["--tiny", "--out", str(table), "--only", *names])
    text = table.read_text()
    assert f"torch {torch.__version__}" in text
    cases = (*TINY.frames, *TINY.batches, *TINY.graph_batches, *sizes_up_to(3))
    assert text.count("\n| `llava-video/bf16/sdpa` |") == 1 + len(cases)
    assert "flash_attn is not installed" in text
    assert "Error" not in text
    assert [file.name for file in table.parent.iterdir()] == ["gpu.md"]


def test_a_run_that_is_cut_leaves_a_table(tmp_path: Path) -> None:
    table = tmp_path / "gpu.md"
    names = ["llava-video/bf16/sdpa", "llava-video/nf4/sdpa"]
    main(["--tiny", "--out", str(table), "--seconds-budget", "0.5", "--only", *names])
    assert table.read_text().count("the budget of 0.5 s was spent") == 2


@pytest.mark.parametrize("name", ["llava-video/nf4/sdpa", "vila/bf16/sdpa"])
def test_every_case_is_timed_every_way(paths: dict[str, Path], name: str) -> None:
    variant = VARIANTS[name]
    rows = list(measure(variant, str(paths[variant.model]), CPU, TINY))
    timings = [row for row in rows if isinstance(row, Timing)]
    assert isinstance(rows[0], Loaded)
    assert {(t.measure, t.size, t.way) for t in timings} == {
        *(("first token", size, way) for size in TINY.frames for way in FIRST_TOKEN),
        *(("steps", size, way) for size in TINY.batches for way in STEPS),
    }
    assert [timing.problem for timing in timings if timing.seconds is None] == []
    steps = [row for row in rows if isinstance(row, GraphSteps)]
    assert [(row.batch_size, row.problem) for row in steps] == [
        (size, "") for size in TINY.graph_batches
    ]
    trials = [row for row in rows if isinstance(row, GraphTrial)]
    assert [trial.size for trial in trials] == list(sizes_up_to(max(TINY.graph_batches)))
    assert all(trial.is_used and trial.error < 1e-2 for trial in trials)
    assert [from_line(to_line(row)) for row in rows] == rows


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("model", TINY_SIZE)
def test_a_gpu_counts_memory_too(paths: dict[str, Path], model: str) -> None:
    variant, device = Variant(model, "bf16", "sdpa"), open_device("cuda")
    loaded, *others = measure(variant, str(paths[model]), device, TINY)
    timings = [row for row in others if isinstance(row, Timing)]
    assert isinstance(loaded, Loaded)
    assert loaded.used_bytes is not None
    assert loaded.used_bytes >= loaded.weight_bytes
    assert all(row.seconds and row.peak_bytes for row in timings)


def test_a_checkpoint_that_does_not_load_is_a_row(tmp_path: Path) -> None:
    (row,) = measure(BF16, str(tmp_path), CPU, TINY)
    assert isinstance(row, Problem)
    assert "config.json" in row.reason


def test_what_runs_out_of_memory_is_a_row_and_the_rest_goes_on(model: VisionLanguageModel) -> None:
    model.network.lm_head = model.language._head = Full()
    with served(model) as subject:
        timings = list(Cases("x", subject, TINY).first_token(1))
    assert [timing.problem for timing in timings] == ["out of memory", "out of memory", ""]


def test_a_clip_beyond_the_context_is_a_row(model: VisionLanguageModel) -> None:
    model.context_length = 290
    with served(model) as subject:
        problems = {timing.problem for timing in Cases("x", subject, TINY).first_token(2)}
    assert problems == {"the model takes 290 tokens"}


def test_graphs_that_are_not_used_are_rows_that_say_why(model: VisionLanguageModel) -> None:
    recording = recording_of(model, 4)
    assert recording.graphs is not None
    recording.graphs.keep([4])
    rows = list(measure_graphs("x", model, recording, (1, 3), context=8, num_steps=2))
    trials = [row for row in rows if isinstance(row, GraphTrial)]
    assert [trial.is_used for trial in trials] == [False, False, True]
    one, three = (row for row in rows if isinstance(row, GraphSteps))
    assert (one.problem, one.graph_s) == ("not used: no faster in the trial", None)
    assert three.graph_s
    none = Recording(None, problem="int8 waits")
    refused = list(measure_graphs("x", model, none, (1, 3), context=8, num_steps=2))
    assert refused == [Problem("x", "CUDA graphs: int8 waits")]


def test_bytes_and_operations_are_those_of_the_network(model: VisionLanguageModel) -> None:
    with served(model) as subject:
        network = subject.network
        prompt = embedded(subject, subject.ask(2))
    kv_cache = model.new_kv_cache()
    model.prefill(prompt, kv_cache)
    held = sum(layer.keys.nbytes + layer.values.nbytes for layer in kv_cache.layers)
    assert network.kv_bytes_per_token * prompt.inputs_embeds.shape[1] == held
    shapes = {name: math.prod(shape) for name, shape in llava_shapes(LLAVA_TINY).items()}
    language = [size for name, size in shapes.items() if "model.layers." in name]
    step = sum(language) + shapes["model.norm.weight"] + shapes["lm_head.weight"]
    assert network.step_bytes == 2 * step
    num_buffered = network.weight_bytes - 2 * sum(shapes.values())
    assert 0 <= num_buffered < 1000  # rotary frequencies


def test_every_question_has_a_clip_of_its_own(model: VisionLanguageModel) -> None:
    with served(model) as subject:
        first, second = (embedded(subject, subject.ask(1)).inputs_embeds for _ in range(2))
    assert first.shape == second.shape
    assert not torch.equal(first, second)


def test_laps_are_between_marks() -> None:
    stopwatch = Stopwatch(CPU)
    for _ in range(3):
        stopwatch.mark()
    laps_s = stopwatch.laps_s()
    assert len(laps_s) == 2
    assert min(laps_s) >= 0


def test_rates_are_told_against_bandwidth_and_generate() -> None:
    generate = Timing("llava-video/bf16/sdpa", "steps", 8, "generate", 4000, 2**30, 1.0, 2**32)
    text = table_of(TIMING, generate)
    cells = "4 000 | 1.00 | 29 802 | 16 | - | 8 | 0.00 | 2.00 | 2.00 | - | 4.00"
    assert f"| `llava-video/bf16/sdpa` | 8 | {cells} |" in text


def test_a_problem_stands_in_its_cell() -> None:
    problem = Timing("a/b/c", "first token", 8, "engine", 9, 8 * 10**12, problem="out | of memory")
    assert "| `a/b/c` | 8 | 9 | 0.01 | out / of memory | - | - | - | - | - | - |" in table_of(
        problem
    )


def test_graphs_are_told_against_steps_without_them() -> None:
    text = table_of(
        GraphSteps("a/b/c", 4, 256, 0.008, 0.005),
        GraphSteps("a/b/c", 16, 256, problem="out | of memory"),
        GraphTrial("a/b/c", 4, 3, 0.0071, 0.0042, 0.00123, is_used=True),
    )
    assert "| `a/b/c` | 4 | 256 | 8 | 5 | 1.60 |" in text
    assert "| `a/b/c` | 16 | 256 | out / of memory | out / of memory | - |" in text
    assert "| `a/b/c` | 4 | 3 | 7.1 | 4.2 | 0.0012 | yes |" in text


def test_what_a_library_prints_is_no_row() -> None:
    assert from_line("Loading weights\n") is None
    assert from_line('{"other": 1}') is None
