"""The whole command, short: Lookout as it is served, and peers that are not installed."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.e2e
def test_the_dry_run_writes_tables_into_the_document(tmp_path: Path) -> None:
    document = tmp_path / "benchmarks.md"
    document.write_text(
        "before\n<!-- bench-engine: generated -->\n<!-- bench-engine: end -->\nafter\n"
    )
    command = [sys.executable, "-m", "bench.engine", "--quick", "--folder", str(tmp_path / "work")]
    command += ["--peers", str(tmp_path / "nowhere"), "--document", str(document)]
    subprocess.run(command, check=True, timeout=280)
    text = document.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    for name in ("Distinct pictures", "Repeated pictures", "Distinct clips", "Repeated clips"):
        assert f"{name}:" in text
    assert text.count("not installed: python -m bench.peers install") == 2 * 4 * 2
    assert "failed" not in text
    assert "plain generate" in text
    assert "first token" in text
