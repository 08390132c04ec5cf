"""What is known of a live stream that is worth showing in its picture. Thread-safe."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence

RuleLines = Callable[[str], Sequence[str]]
MAX_STREAMS = 256  # whose answers are kept; the one asked longest ago is forgotten first


def no_rules(stream_id: str) -> tuple[str, ...]:
    """Nothing, where no rules are kept."""
    return ()


class OverlayLines:
    """The last question and answer of each stream, and what its rules say."""

    def __init__(self, rule_lines: RuleLines = no_rules) -> None:
        self._rule_lines = rule_lines
        self._answers: OrderedDict[str, tuple[str, str]] = OrderedDict()
        self._lock = threading.Lock()

    def note_answer(self, stream_id: str, question: str, answer: str) -> None:
        """Keep a question and its answer instead of the ones before."""
        with self._lock:
            self._answers[stream_id] = (question, answer)
            self._answers.move_to_end(stream_id)
            if len(self._answers) > MAX_STREAMS:
                self._answers.popitem(last=False)

    def of(self, stream_id: str) -> tuple[str, ...]:
        """One text a line."""
        with self._lock:
            said = self._answers.get(stream_id)
        answer = () if said is None else (f"Q: {said[0]}", f"A: {said[1]}")
        return (*answer, *self._rule_lines(stream_id))
