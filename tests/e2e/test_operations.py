"""The served bundle as its operators see it: probes, status and metrics."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import requests

from demo.serving import served

pytestmark = pytest.mark.e2e

ANSWER_S = 4.0
PROBES = ("/livez", "/healthz", "/readyz", "/api/v1/health/ready")


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def own_url(data_dir: Path) -> Iterator[str]:
    with served({"VLM_DATA_DIR": str(data_dir), "VLM_API_KEYS": "sesame"}) as url:
        yield url


def probes(url: str) -> dict[str, int]:
    return {path: requests.get(url + path, timeout=ANSWER_S).status_code for path in PROBES}


def test_a_store_that_another_program_locks_makes_the_service_unready(
    own_url: str, data_dir: Path
) -> None:
    assert set(probes(own_url).values()) == {200}
    with closing(sqlite3.connect(data_dir / "lookout.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        _wait_until(own_url, 503)
        assert probes(own_url) == {
            "/livez": 200, "/healthz": 200, "/readyz": 503, "/api/v1/health/ready": 503,
        }  # fmt: skip
    _wait_until(own_url, 200)
    assert set(probes(own_url).values()) == {200}


def test_metrics_ask_for_the_key_and_are_ours_alone(own_url: str) -> None:
    assert requests.get(f"{own_url}/metrics", timeout=ANSWER_S).status_code == 401
    key = {"Authorization": "Bearer sesame"}
    for number in range(3):
        requests.get(f"{own_url}/stranger-{number}", timeout=ANSWER_S)
    text = requests.get(f"{own_url}/metrics", headers=key, timeout=ANSWER_S).text
    assert "stranger" not in text
    assert "bentoml" not in text
    assert 'lookout_requests_total{method="GET",route="other",status="401"} 4.0' in text
    assert "lookout_outbox_depth 0.0" in text


def test_the_status_is_of_what_was_loaded(own_url: str) -> None:
    key = {"Authorization": "Bearer sesame"}
    told = requests.get(f"{own_url}/v1/status", headers=key, timeout=ANSWER_S).json()
    assert told["model"]["state"] == "ready"
    assert told["model"]["progress"] == 1
    assert told["model"]["device"] in ("cpu", "cuda:0")
    assert told["engine"] == {"queue": {"chat": 0, "upload": 0, "alert": 0}, "running": 0}
    assert told["rules"] == {"on": 0}
    assert told["outbox"] == {"depth": 0, "oldest_s": None}


def _wait_until(url: str, status: int) -> None:
    deadline_s = time.monotonic() + 30
    while requests.get(f"{url}/readyz", timeout=ANSWER_S).status_code != status:
        assert time.monotonic() < deadline_s, f"/readyz did not turn {status}"
        time.sleep(0.2)
