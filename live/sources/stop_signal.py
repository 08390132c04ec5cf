"""Tells a capture to stop, and wakes it wherever it waits."""

import threading
from collections.abc import Callable


class StopSignal:
    """Set once, from any thread."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._wakers: list[Callable[[], None]] = []

    def set(self) -> None:
        """Stop; whoever registered is woken on this thread."""
        with self._lock:
            self._event.set()
            wakers, self._wakers = self._wakers, []
        for wake in wakers:
            wake()

    def is_set(self) -> bool:
        """Whether to stop."""
        return self._event.is_set()

    def wait(self, timeout_s: float) -> bool:
        """Sleep so long, or until it is set; whether it is."""
        return self._event.wait(timeout_s)

    def on_set(self, wake: Callable[[], None]) -> Callable[[], None]:
        """Have a blocked call ended when it is set; at once, if it is already.

        Returns:
            What takes this back.
        """
        with self._lock:
            if not self._event.is_set():
                self._wakers.append(wake)
                return lambda: self._forget(wake)
        wake()
        return lambda: None

    def _forget(self, wake: Callable[[], None]) -> None:
        with self._lock:
            if wake in self._wakers:
                self._wakers.remove(wake)
