"""What the README tells people to type, typed."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.documentation import metrics_table
from contracts.documentation import rewritten, with_block
from demo.serving import ROOT

pytestmark = pytest.mark.e2e

README = (ROOT / "README.md").read_text()
CAMERAS = README[README.index("## Live cameras") : README.index("## Alerts")]
ALERTS = README[README.index("## Alerts") : README.index("## Answers of a form")]
DEMO_CAMERA = "127.0.0.1:8554"
ADDRESS = "http://localhost:3000"
OPERATIONS = README[README.index("## Health and metrics") : README.index("## Settings")]
IN_REPOSITORY = {**os.environ, "PYTHONPATH": str(ROOT)}


def blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the clips that the README makes."""
    (command,) = [block for block in blocks("bash") if "demo.world" in block]
    folder = tmp_path_factory.mktemp("readme")
    words = command.replace(".venv/bin/python", sys.executable).split()
    words[words.index("clips")] = str(folder / "clips")
    subprocess.run(words, cwd=ROOT, check=True, timeout=120)
    return folder


@pytest.mark.parametrize(
    "command",
    [
        block
        for block in blocks(
            "bash", README.replace(CAMERAS, "").replace(ALERTS, "").replace(OPERATIONS, "")
        )
        if "curl" in block and "example.com" not in block
    ],
)
def test_each_curl_line_is_answered(url: str, workplace: Path, command: str) -> None:
    done = subprocess.run(
        ["bash", "-c", command.replace(ADDRESS, url)],
        cwd=workplace, capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    reply = json.loads(done.stdout)
    assert reply.get("status") == "success" or reply.get("choices"), done.stdout


@pytest.fixture
def camera() -> Iterator[str]:
    """``make camera`` on another port; its address."""
    command = [sys.executable, "-m", "demo.camera", "--port", "0", "--size", "640x360"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["url"].split("/")[2]
        process.terminate()


def test_a_camera_is_added_asked_seen_and_removed(url: str, camera: str, tmp_path: Path) -> None:
    said = []
    for command in [block for block in blocks("bash", CAMERAS) if "curl" in block]:
        typed = command.replace("curl ", "curl --silent --fail-with-body ")
        done = subprocess.run(
            ["bash", "-ec", typed.replace(ADDRESS, url).replace(DEMO_CAMERA, camera)],
            cwd=tmp_path, capture_output=True, text=True, timeout=120, check=True,
        )  # fmt: skip
        said.append(done.stdout)
    added, answer, _, jps, removed = said
    assert json.loads(added)["state"] == "running"
    assert json.loads(answer)["media_info"][0]["stream_id"] == "door"
    assert '"liveStreamUrl"' in jps
    assert '"chat.completion"' in jps
    assert json.loads(removed)["deleted"] is True
    assert (tmp_path / "door.jpg").read_bytes().startswith(b"\xff\xd8")
    assert b"ftyp" in (tmp_path / "door.mp4").read_bytes()[:16]


@pytest.mark.parametrize("script", blocks("python", README.replace(ALERTS, "")))
def test_each_python_example_runs(url: str, workplace: Path, script: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", script.replace(ADDRESS, url)],
        cwd=workplace, env=IN_REPOSITORY, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_the_batch_is_answered(workplace: Path) -> None:
    (command,) = [block for block in blocks("bash") if "runners.batch" in block]
    subprocess.run(
        ["bash", "-c", command.replace(".venv/bin/python", sys.executable)],
        cwd=workplace, env=IN_REPOSITORY, timeout=120, check=True,
    )  # fmt: skip
    lines = (workplace / "answers.jsonl").read_text().splitlines()
    answers = [json.loads(line) for line in lines]
    assert [one["custom_id"] for one in answers] == ["greeting", "clip"]
    assert all(one["response"]["status_code"] == 200 for one in answers)


def test_status_and_metrics_are_shown(url: str) -> None:
    status, metrics = (
        subprocess.run(
            command.replace(ADDRESS, url).split(),
            capture_output=True, text=True, timeout=60, check=True,
        ).stdout
        for command in blocks("bash", OPERATIONS)
    )  # fmt: skip
    (example,) = blocks("json", OPERATIONS)
    assert json.loads(status).keys() == json.loads(example).keys()
    assert json.loads(status)["model"] == json.loads(example)["model"]
    assert "lookout_model_loaded 1.0" in metrics


def test_the_generated_tables_are_up_to_date() -> None:
    assert with_block(README, "metrics", metrics_table()) == README
    assert rewritten(README) == README


def test_every_verb_of_the_makefile_that_the_readme_names_exists() -> None:
    verbs = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`?make ([a-z-]+)", README)) <= verbs
