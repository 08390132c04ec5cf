"""Commands that do not outlive the process that started them, were it killed itself.

On Linux; elsewhere a killed process leaves them behind.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

PR_SET_PDEATHSIG = 1


def leashed(command: Sequence[str]) -> list[str]:
    """The command, asked to stop (SIGTERM) as soon as the calling thread is gone."""
    return [sys.executable, "-SP", __file__, str(os.getpid()), *command]


def main() -> None:
    """Become the command: the process stays the same."""
    parent, *command = sys.argv[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() == int(parent):
        os.execvp(command[0], command)


if __name__ == "__main__":
    main()
