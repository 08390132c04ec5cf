"""Answer a file of requests without a server: ``python -m runners.batch IN.jsonl OUT.jsonl``.

Input and output have the format of OpenAI's Batch API. The settings are those of the service, from
the same variables. Ends with 0 when every line has an answer, be it an error; with 1 when it could
not go on, with 2 when nothing was begun, and with 130 after Ctrl-C. The same command then goes on.
"""

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from contracts.errors import ServiceError
from contracts.settings import Settings, SettingsError, read_settings
from runners.offline.batch_files import BatchRefused
from runners.offline.batch_run import Batch, run
from runners.offline.session import DEFAULT_CONCURRENCY

logger = logging.getLogger("runners.batch")


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line and the variables, and answer; the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        settings = _settings(options.model)
        _set_up_logging(settings.log_level)
        done = run(_batch(options), settings)
    except (BatchRefused, SettingsError) as exc:
        parser.exit(2, f"batch: {exc}\n")
    except (ServiceError, OSError) as exc:
        parser.exit(1, f"batch: stopped: {exc}; the same command goes on from here\n")
    except KeyboardInterrupt:
        parser.exit(130, "batch: stopped; the same command goes on from here\n")
    logger.info("%d lines answered, %d of them with an error", done.num_done, done.num_failed)
    return 0


def _batch(options: argparse.Namespace) -> Batch:
    return Batch(
        requests=options.input,
        answers=options.output,
        errors=options.errors,
        concurrency=options.concurrency,
        media_dir=options.media_dir,
    )


def _settings(model: str | None) -> Settings:
    chosen = {} if model is None else {"VLM_MODEL": model}
    return read_settings({**os.environ, **chosen})


def _set_up_logging(level: str) -> None:
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for name in ("api", "media", "runners", "llava_custom"):
        logging.getLogger(name).setLevel(level)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m runners.batch", description="Answer a file of chat requests."
    )
    parser.add_argument("input", type=Path, metavar="IN.jsonl", help="requests, a line each")
    parser.add_argument("output", type=Path, metavar="OUT.jsonl", help="answers, a line each")
    parser.add_argument(
        "--errors",
        type=Path,
        metavar="ERR.jsonl",
        help="where failed requests go; default: OUT.jsonl",
    )
    parser.add_argument("--model", help="checkpoint, instead of VLM_MODEL")
    parser.add_argument(
        "--concurrency",
        type=_count,
        default=DEFAULT_CONCURRENCY,
        metavar="N",
        help="requests at a time (default: %(default)s)",
    )
    parser.add_argument(
        "--media-dir", type=Path, metavar="DIR", help="folder whose files file: URLs may name"
    )
    return parser


def _count(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 1024:
        raise argparse.ArgumentTypeError("expected a number from 1 to 1024")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
