"""Train the demo model from nothing: ``python -m demo.train``.

Four stages, each of which goes on where it was ended: the tokenizer, the eyes, the speech, and
the checkpoint with its measurement. See demo.vision_training and demo.speech_training.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from tqdm import tqdm  # type: ignore[import-untyped]
from transformers import PreTrainedTokenizerFast

from demo.architecture import Eyes, Speech
from demo.checkpoint import save_checkpoint, speech_weights
from demo.prompts import load_tokenizer, train_tokenizer
from demo.report import COLUMNS, held_out_items, in_process_answer, measure, table
from demo.speech_training import Plan, Teacher
from demo.vision_training import train_eyes

ROOT = Path(__file__).resolve().parent.parent
SPEECH_STEPS = 3000
EYES_STEPS = 3200


def tokenizer_stage(work: Path, seed: int) -> PreTrainedTokenizerFast:
    """Learn the vocabulary, once."""
    folder = work / "tokenizer"
    if not folder.exists():
        train_tokenizer(seed).save_pretrained(folder)
    return load_tokenizer(folder)


def eyes_stage(work: Path, seed: int, steps: int) -> Eyes:
    """Train tower and projector with a label on every patch."""
    return train_eyes(work, steps=steps, seed=seed).eyes.eval()


def speech_stage(
    work: Path, seed: int, steps: int, eyes: Eyes, tokenizer: PreTrainedTokenizerFast
) -> Speech:
    """Train the language model on the frozen eyes."""
    teacher = Teacher(work, Plan(steps, seed), eyes, tokenizer)
    teacher.run()
    return teacher.pupil.speech.eval()


def export(work: Path, out: Path) -> None:
    """Write the checkpoint from whatever the stages have saved so far."""
    tokenizer = load_tokenizer(work / "tokenizer")
    eyes, speech = Eyes(), Speech(len(tokenizer))
    saved = torch.load(work / "eyes.pt")["lessons"]
    eyes.load_state_dict(
        {name.removeprefix("eyes."): w for name, w in saved.items() if name.startswith("eyes.")}
    )
    speech.load_state_dict(speech_weights(torch.load(work / "speech.pt")["pupil"]))
    save_checkpoint(out, eyes, speech, tokenizer)


def measured(out: Path, num_questions: int) -> str:
    """The checkpoint's accuracy on held-out files, as a table."""
    items = held_out_items("after training", num_questions)
    return table({COLUMNS[0]: measure(items, COLUMNS[0], in_process_answer(out))})


def main() -> None:
    """Run all stages."""
    parser = argparse.ArgumentParser(description="Train the demo model; may be ended and resumed.")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--work-dir", type=Path, default=ROOT / "build" / "demo-train")
    parser.add_argument("--out", type=Path, default=ROOT / "demo" / "model")
    parser.add_argument("--eyes-steps", type=int, default=EYES_STEPS)
    parser.add_argument("--speech-steps", type=int, default=SPEECH_STEPS)
    parser.add_argument("--export-only", action="store_true", help="write what is trained so far")
    options = parser.parse_args()
    options.work_dir.mkdir(parents=True, exist_ok=True)
    if not options.export_only:
        tokenizer = tokenizer_stage(options.work_dir, options.seed)
        eyes = eyes_stage(options.work_dir, options.seed, options.eyes_steps)
        speech_stage(options.work_dir, options.seed, options.speech_steps, eyes, tokenizer)
    export(options.work_dir, options.out)
    report = measured(options.out, 400)
    (options.work_dir / "report.md").write_text(report + "\n")
    tqdm.write(report)


if __name__ == "__main__":
    main()
