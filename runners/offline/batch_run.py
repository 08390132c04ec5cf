"""A whole batch: files in, files out, going on where an earlier run ended."""

import asyncio
import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, aclosing
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from tqdm import tqdm

from contracts.settings import Settings
from contracts.version import VERSION
from runners.offline.batch_answers import answers_in_order
from runners.offline.batch_files import AnswerFile, BatchRefused, Progress, go_on
from runners.offline.batch_lines import InputLine, input_lines
from runners.offline.session import open_session

logger = logging.getLogger(__name__)

MB = 1 << 20
# What shapes answers, beside the model: a batch that was begun with others is another batch.
SHAPING = (
    "quantization",
    "double_quant",
    "dtype",
    "decoder",
    "max_frames",
    "max_new_tokens",
    "usage_details",
    "runner",
    "openai_clips",
    "openai_frame_px",
    "openai_jpeg_quality",
)


@dataclass(frozen=True, slots=True)
class Batch:
    """What to answer, where to, and how.

    Attributes:
        requests: The input.
        answers: The output.
        errors: The output for requests that failed; ``None``: they stand with the others.
        concurrency: Requests that are read and computed at a time.
        media_dir: Directory whose files ``file:`` URLs may name.
    """

    requests: Path
    answers: Path
    errors: Path | None
    concurrency: int
    media_dir: Path | None


def run(batch: Batch, settings: Settings) -> Progress:
    """Answer every line of the input that has no answer yet.

    Raises:
        BatchRefused: The files do not go together.
        WeightsError, ModelUnavailable: There is no model to answer.
        OSError: A file cannot be read or written.
    """
    _check_paths(batch)
    outputs = [batch.answers] if batch.errors is None else [batch.answers, batch.errors]
    with ExitStack() as stack:
        files = [stack.enter_context(AnswerFile(path)) for path in outputs]
        progress = go_on(_lines(batch, settings), files)
        if progress.num_done == progress.num_lines:
            return progress
        return asyncio.run(_answer_rest(batch, settings, files, progress))


async def _answer_rest(
    batch: Batch, settings: Settings, files: Sequence[AnswerFile], progress: Progress
) -> Progress:
    """Answer line by line, each on disk before the next; all of it is done then."""
    num_failed, unused = progress.num_failed, dict[str, None]()
    lines = islice(_lines(batch, settings), progress.num_done, None)
    async with open_session(
        settings, concurrency=batch.concurrency, media_dir=batch.media_dir
    ) as session:
        answers = answers_in_order(session, lines, set(progress.custom_ids), batch.concurrency)
        with tqdm(total=progress.num_lines, initial=progress.num_done, disable=None) as bar:
            bar.set_postfix(failed=num_failed)
            async with aclosing(answers):
                async for answered in answers:
                    file = files[-1] if answered.is_failed else files[0]
                    await asyncio.to_thread(file.append, answered.line)
                    num_failed += answered.is_failed
                    unused |= dict.fromkeys(answered.unused)
                    bar.set_postfix(failed=num_failed, refresh=False)
                    bar.update()
    if unused:
        logger.warning("accepted and not used: %s", ", ".join(unused))
    return replace(progress, num_done=progress.num_lines, num_failed=num_failed)


def _lines(batch: Batch, settings: Settings) -> Iterator[InputLine]:
    """The lines of the input, their ids made for this model with these settings."""
    shape = [f"{name}={getattr(settings, name)}" for name in SHAPING]
    answerer = " ".join([settings.served_name, VERSION, *shape])
    return input_lines(batch.requests, answerer=answerer, max_bytes=settings.max_json_mb * MB)


def _check_paths(batch: Batch) -> None:
    if not batch.requests.is_file():
        raise BatchRefused(f"{batch.requests}: there is no such file")
    named = [path.resolve() for path in (batch.requests, batch.answers, batch.errors) if path]
    if len(set(named)) < len(named):
        raise BatchRefused("expected input, answers and errors to be different files")
    if batch.media_dir is not None and not batch.media_dir.is_dir():
        raise BatchRefused(f"{batch.media_dir}: there is no such directory")
