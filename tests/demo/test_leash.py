"""What a killed process has started ends as well."""

import subprocess
import sys

import psutil
import pytest

from demo.leash import leashed

WAIT_S = 20
START = """
import subprocess, sys, time
from demo.leash import leashed
command = leashed([sys.executable, "-c", "import time; print(1, flush=True); time.sleep(60)"])
with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as child:
    child.stdout.readline()
    print(child.pid, flush=True)
    time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's doing, on Linux alone")
def test_what_a_killed_process_started_ends() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", START], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    child.wait(WAIT_S)


def test_a_command_on_a_leash_is_the_command() -> None:
    say = "import os, sys; print(os.getpid(), *sys.argv[1:], os.environ['A'])"
    command = leashed([sys.executable, "-c", say, "x y"])
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={"A": "b"}) as child:
        said, _ = child.communicate(timeout=WAIT_S)
    assert said == f"{child.pid} x y b\n"
