"""One capture of a live stream, from its start until another one takes its place."""

import threading
from dataclasses import dataclass

from live.capture.tracker import Tracker
from live.sources.stop_signal import StopSignal

SWITCHED_OFF = "switched off"


@dataclass(frozen=True, slots=True)
class CaptureRun:
    """One capture, or the time while it is switched off.

    Attributes:
        thread: Of the capture; ``None`` while it is switched off.
        previous: Thread of the capture before, which may not have ended yet.
    """

    tracker: Tracker
    stop: StopSignal
    thread: threading.Thread | None
    previous: threading.Thread | None

    @property
    def last_thread(self) -> threading.Thread | None:
        """The one after whose end nobody writes any more."""
        return self.thread or self.previous

    def launch(self) -> None:
        """Begin to capture, or to be switched off."""
        if self.thread is None:
            self.tracker.ended(SWITCHED_OFF)
        else:
            self.tracker.observe()
            self.thread.start()

    def end(self) -> None:
        """Tell nothing more, and let the capture end."""
        self.tracker.retire()
        self.stop.set()
