"""Train the demo model from nothing: ``python -m demo.train``.

Four stages, each of which goes on where it was ended: the tokenizer, the eyes, the speech, and
the checkpoint with its measurement. See demo.vision_training and demo.speech_training.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import torch
from torch import distributed
from torch.multiprocessing.spawn import spawn
from tqdm import tqdm
from transformers import PreTrainedTokenizerFast

from demo.architecture import Eyes, Speech
from demo.checkpoint import save_checkpoint, speech_weights
from demo.prompts import load_tokenizer, train_tokenizer
from demo.report import COLUMNS, held_out_items, in_process_answer, measure, table
from demo.speech_training import Plan, Teacher
from demo.vision_training import train_eyes

ROOT = Path(__file__).resolve().parent.parent
EYES_STEPS = 3200
SPEECH_STEPS = 4500


def tokenizer_stage(work: Path, seed: int) -> PreTrainedTokenizerFast:
    """Learn the vocabulary, once."""
    folder = work / "tokenizer"
    if not folder.exists():
        train_tokenizer(seed).save_pretrained(folder)
    return load_tokenizer(folder)


def eyes_stage(work: Path, seed: int, steps: int) -> None:
    """Train tower and projector with a label on every patch."""
    train_eyes(work, steps=steps, seed=seed)


def speech_stage(work: Path, plan: Plan, processes: int) -> None:
    """Train the language model on the frozen eyes, in several processes that share gradients.

    One thread each: on a busy machine that is faster than one process with as many threads.
    """
    with tempfile.TemporaryDirectory() as folder:
        meeting = f"file://{folder}/meeting"
        spawn(_teach, (work, plan, processes, meeting), nprocs=processes)


def _teach(rank: int, work: Path, plan: Plan, processes: int, meeting: str) -> None:
    torch.set_num_threads(1)
    if processes > 1:
        distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=processes)
    Teacher(work, plan.for_rank(rank), load_eyes(work), load_tokenizer(work / "tokenizer")).run()
    if processes > 1:
        distributed.destroy_process_group()


def load_eyes(work: Path) -> Eyes:
    """The eyes as the second stage saved them, without the heads that taught them."""
    eyes, begin = Eyes(), "eyes."
    saved = torch.load(work / "eyes.pt")["lessons"]
    eyes.load_state_dict(
        {n.removeprefix(begin): w for n, w in saved.items() if n.startswith(begin)}
    )
    return eyes.eval()


def export(work: Path, out: Path) -> None:
    """Write the checkpoint from whatever the stages have saved so far."""
    tokenizer = load_tokenizer(work / "tokenizer")
    speech = Speech(len(tokenizer))
    speech.load_state_dict(speech_weights(torch.load(work / "speech.pt")["pupil"]))
    save_checkpoint(out, load_eyes(work), speech, tokenizer)


def measured(out: Path, num_questions: int) -> str:
    """The checkpoint's accuracy on held-out files, as a table."""
    items = held_out_items("after training", num_questions)
    return table({COLUMNS[0]: measure(items, COLUMNS[0], in_process_answer(out))})


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train the demo model; may be ended and resumed.")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--work-dir", type=Path, default=ROOT / "build" / "demo-train")
    parser.add_argument("--out", type=Path, default=ROOT / "demo" / "model")
    parser.add_argument("--eyes-steps", type=int, default=EYES_STEPS)
    parser.add_argument("--speech-steps", type=int, default=SPEECH_STEPS)
    parser.add_argument("--processes", type=int, default=2, help="that train the speech together")
    parser.add_argument("--questions", type=int, default=400, help="asked for the report")
    parser.add_argument("--export-only", action="store_true", help="write what is trained so far")
    return parser.parse_args()


def main() -> None:
    """Run all stages."""
    options = _parse()
    work: Path = options.work_dir
    work.mkdir(parents=True, exist_ok=True)
    if not options.export_only:
        tokenizer_stage(work, options.seed)
        eyes_stage(work, options.seed, options.eyes_steps)
        speech_stage(work, Plan(options.speech_steps, options.seed), options.processes)
    export(work, options.out)
    report = measured(options.out, options.questions)
    (work / "report.md").write_text(report + "\n")
    tqdm.write(report)


if __name__ == "__main__":
    main()
