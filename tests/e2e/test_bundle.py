"""The ways to serve the bundle, and the Bento it builds."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from demo.serving import ROOT, served

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


def answer(url: str, clip: Path) -> str:
    with clip.open("rb") as payload:
        reply = requests.post(
            f"{url}/analyze_video",
            files={"video": payload},
            data={"prompt": "Is there a person?"},
            timeout=60,
        )
    assert reply.status_code == 200, reply.text
    response: str = reply.json()["response"]
    return response


@pytest.mark.parametrize("target", ["", "."])
def test_the_directory_can_be_served(files: Path, target: str) -> None:
    with served(target=target) as url:
        assert answer(url, files / "person.mp4").startswith("Yes")


def test_the_built_bento_holds_what_serving_needs_and_serves_elsewhere(
    files: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    source = tmp_path / "source"
    names = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout.splitlines()  # fmt: skip
    for name in names:
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, source / name)
    command = [str(Path(sys.executable).parent / "bentoml"), "build", "--version", "test"]
    environment = {**os.environ, "BENTOML_HOME": str(home), "BENTOML_DO_NOT_TRACK": "True"}
    done = subprocess.run(
        command, cwd=source, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    bento = home / "bentos" / "lookout" / "test"
    packed = {
        str(path.relative_to(bento / "src"))
        for path in (bento / "src").rglob("*")
        if path.is_file()
    }
    assert {"service.py", "requirements.txt", "demo/model/config.json"} <= packed
    assert not [name for name in packed if name.startswith(("tests/", "bench/", "docs/", ".ci/"))]
    assert not [name for name in packed if name.startswith("demo/") and name.endswith(".py")]
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with served({"BENTOML_HOME": str(home)}, target="lookout:test", directory=elsewhere) as url:
        assert answer(url, files / "person.mp4").startswith("Yes")


def test_a_wrong_setting_ends_the_start_with_a_sentence() -> None:
    with (
        pytest.raises(RuntimeError, match=r"VLM_MAX_FRAMES.*; VLM_RUNER.*did you mean VLM_RUNNER"),
        served({"VLM_MAX_FRAMES": "none", "VLM_RUNER": "x"}),
    ):
        pass
