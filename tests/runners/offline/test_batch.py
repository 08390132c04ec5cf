"""Whole batches with the demo model, in processes that are killed."""

import base64
import json
import os
import random
import signal
from collections.abc import Callable
from dataclasses import dataclass, replace
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import pytest
from openai.types.chat import ChatCompletion

from tests.runners.offline.processes import POLL_S, batch_process

NUM_KILLS = 10


def request(custom_id: str, *content: object, **more: object) -> dict[str, object]:
    said = content[0] if isinstance(content[0], str) else list(content)
    body = {"messages": [{"role": "user", "content": said}], "max_tokens": 3, **more}
    return {"custom_id": custom_id, "method": "POST", "url": "/v1/chat/completions", "body": body}


def text(said: str) -> dict[str, object]:
    return {"type": "text", "text": said}


def image(url: str) -> dict[str, object]:
    return {"type": "image_url", "image_url": {"url": url}}


def video(url: str) -> dict[str, object]:
    return {"type": "video_url", "video_url": {"url": url}}


def requests_on(files: Path) -> list[object]:
    """Texts, pictures and clips, and everything that can be wrong with a line."""
    encoded = base64.b64encode((files / "person.png").read_bytes()).decode()
    question = text("Is there a person?")
    return [
        request("hello", "Hello!", temperature=0),
        request("wild", "Hello!", temperature=1.5),
        "not JSON",
        request("person", image("file:person.png"), question, temperature=0),
        request("hello", "the same custom_id"),
        request("clip", video("file:person.mp4"), question, temperature=0),
        request("outside", image("file:///etc/passwd"), question),
        request("several", "Who are you?", n=2, logprobs=True),
        request("inline", image(f"data:image/png;base64,{encoded}"), question, temperature=0),
        request("range", "Hello!", temperature=9),
        request("damaged", image("file:damaged.png"), question),
        request("streamed", "Hello!", stream=True),
        {**request("method", "Hello!"), "method": "GET"},
        {**request("url", "Hello!"), "url": "/v1/embeddings"},
        *(request(f"filler-{i}", f"Hello, {i} times!") for i in range(10)),
    ]


@dataclass(frozen=True)
class Job:
    """An input, and where its output goes."""

    requests: Path
    media: Path
    folder: Path
    options: tuple[str, ...] = ()

    @property
    def answers(self) -> Path:
        return self.folder / "answers.jsonl"

    @property
    def errors(self) -> Path:
        return self.folder / "errors.jsonl"

    @property
    def log(self) -> Path:
        return self.folder / "log"

    @property
    def arguments(self) -> list[str]:
        paths = [str(self.requests), str(self.answers), "--media-dir", str(self.media)]
        return [*paths, *self.options]

    @property
    def outputs(self) -> tuple[bytes, ...]:
        return tuple(
            path.read_bytes() if path.exists() else b"" for path in (self.answers, self.errors)
        )

    @property
    def num_bytes(self) -> int:
        return sum(map(len, self.outputs))

    def until(self, has_happened: Callable[[], bool], process: ForkServerProcess) -> None:
        while process.is_alive() and not has_happened():
            process.join(POLL_S)

    def run(self) -> int | None:
        """The exit code of a run that nobody disturbs."""
        with batch_process(self.arguments, self.log) as process:
            process.join()
            return process.exitcode

    def parsed(self, output: bytes) -> list[dict[str, Any]]:
        return [json.loads(line) for line in output.splitlines()]


@pytest.fixture(scope="module")
def requests(files: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("requests") / "requests.jsonl"
    lines = [one if isinstance(one, str) else json.dumps(one) for one in requests_on(files)]
    path.write_text("\n".join(lines))
    return path


MakeJob = Callable[..., Job]


@pytest.fixture
def job(requests: Path, files: Path, tmp_path: Path) -> MakeJob:
    """A job with these options, its outputs in a directory of its own."""

    def make(*options: str) -> Job:
        return Job(requests, files, tmp_path, options)

    return make


@pytest.fixture(scope="module")
def clean(requests: Path, files: Path, tmp_path_factory: pytest.TempPathFactory) -> Job:
    """A run that nobody disturbs."""
    done = Job(requests, files, tmp_path_factory.mktemp("clean"))
    assert done.run() == 0
    assert "24 lines answered, 8 of them with an error" in done.log.read_text()
    return done


def test_each_line_has_its_answer_in_order(clean: Job) -> None:
    answers = clean.parsed(clean.outputs[0])
    outcomes = [
        (
            one["custom_id"],
            one["response"]["status_code"] if one["response"] else one["error"]["code"],
        )
        for one in answers
    ]
    assert outcomes[:14] == [
        ("hello", 200),
        ("wild", 200),
        (None, "invalid_json_line"),
        ("person", 200),
        ("hello", "duplicate_custom_id"),
        ("clip", 200),
        ("outside", 400),
        ("several", 200),
        ("inline", 200),
        ("range", 400),
        ("damaged", 400),
        ("streamed", 400),
        ("method", "invalid_method"),
        ("url", "invalid_url"),
    ]
    assert outcomes[14:] == [(f"filler-{i}", 200) for i in range(10)]


def test_an_answer_is_the_chat_routes(clean: Job) -> None:
    answers = {one["custom_id"]: one for one in clean.parsed(clean.outputs[0])}
    for name in ("person", "clip", "inline"):
        body = answers[name]["response"]["body"]
        assert body["choices"][0]["message"]["content"].startswith("Yes")
        assert len(body["media_info"]) == 1
    several = ChatCompletion.model_validate(answers["several"]["response"]["body"])
    assert len(several.choices) == 2
    assert all(choice.logprobs and choice.logprobs.content for choice in several.choices)
    codes = {
        name: answers[name]["response"]["body"]["error"]["code"]
        for name in ("outside", "range", "damaged", "streamed")
    }
    assert codes == {
        "outside": "url_not_allowed",
        "range": "invalid_request",
        "damaged": "image_parse_error",
        "streamed": "unsupported_parameter",
    }
    assert all(one["error"] is None for one in answers.values() if one["response"])


def kill_at(target_bytes: int, job: Job) -> None:
    """Run until the outputs have so many bytes, and not a step further."""
    with batch_process(job.arguments, job.log) as process:
        job.until(lambda: job.num_bytes >= target_bytes, process)
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL, job.log.read_text()


def test_ten_kills_and_a_clean_run_write_the_same(clean: Job, job: MakeJob) -> None:
    killed = job("--concurrency", "3")
    rng = random.Random(4)
    targets = sorted(rng.randrange(clean.num_bytes * 3 // 4) for _ in range(NUM_KILLS - 1))
    for target_bytes in (0, *targets):
        kill_at(target_bytes, killed)
    assert 0 < killed.num_bytes < clean.num_bytes
    assert killed.run() == 0
    assert killed.outputs == clean.outputs


def test_failed_requests_may_have_a_file_of_their_own(clean: Job, job: MakeJob) -> None:
    parted = job()
    parted = replace(parted, options=("--errors", str(parted.errors)))
    kill_at(clean.num_bytes // 2, parted)
    assert parted.run() == 0
    answers, errors = (output.splitlines() for output in parted.outputs)
    lines = clean.outputs[0].splitlines()
    assert answers == [line for line in lines if b'"status_code": 200' in line]
    assert errors == [line for line in lines if b'"status_code": 200' not in line]


@pytest.mark.parametrize("cut", [-1, -700, 7])
def test_a_torn_line_is_written_anew(clean: Job, job: MakeJob, cut: int) -> None:
    torn = job()
    torn.answers.write_bytes(clean.outputs[0][:cut])
    assert torn.run() == 0
    assert torn.outputs == clean.outputs


def test_what_is_done_is_not_done_again(clean: Job, job: MakeJob) -> None:
    again = job("--media-dir", "/", "--concurrency", "1")  # nothing of it matters any more
    again.answers.write_bytes(clean.outputs[0])
    before = again.answers.stat().st_mtime_ns
    assert again.run() == 0
    assert again.outputs == clean.outputs
    assert again.answers.stat().st_mtime_ns == before
    assert "Loading" not in again.log.read_text()


def test_ctrl_c_stops_it_and_the_same_command_goes_on(clean: Job, job: MakeJob) -> None:
    stopped = job()
    with batch_process(stopped.arguments, stopped.log) as process:
        stopped.until(lambda: stopped.num_bytes > 0, process)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGINT)
        process.join()
        assert process.exitcode == 130
    told = stopped.log.read_text()
    assert "batch: stopped; the same command goes on from here" in told
    assert "Traceback" not in told
    assert 0 < stopped.num_bytes < clean.num_bytes
    assert stopped.run() == 0
    assert stopped.outputs == clean.outputs


@pytest.mark.parametrize("options", [("--model", "/nowhere"), ("--media-dir", "/nowhere")])
def test_what_cannot_begin_says_why(job: MakeJob, options: tuple[str, ...]) -> None:
    unfit = job(*options)
    assert unfit.run() in (1, 2)
    assert "nowhere" in unfit.log.read_text()
    assert "Traceback" not in unfit.log.read_text()
    assert unfit.num_bytes == 0
