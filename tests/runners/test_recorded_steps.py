"""The engine's answers do not depend on whether steps are taken in recorded pieces."""

from random import Random

import pytest

from llava_custom import LoadOptions, load_checkpoint
from llava_custom.step_graphs import Piece, StepGraphs
from llava_custom.step_proof import Recording
from runners.limits import EngineLimits
from tests.runners.engine_room import one_by_one, turning
from tests.runners.test_engine import GOLDEN, some_requests


@pytest.mark.parametrize("name", ["llava_video_tiny", "vila_tiny"])
def test_recorded_pieces_change_no_answer(name: str) -> None:
    model = load_checkpoint(str(GOLDEN / name), LoadOptions())
    language, asked = model.language, some_requests(Random(11), 12)
    expected = one_by_one(model, asked)
    assert language._lean_layers is not None
    replayed: set[int] = set()
    recorded: list[Piece] = []

    def record(piece: Piece) -> Piece:
        recorded.append(piece)
        number = len(recorded)

        def replay() -> None:
            replayed.add(number)
            piece()

        return replay

    graphs = StepGraphs(language._lean_layers, 6, model.device, record)
    language.recording = Recording(graphs)
    with turning(model, EngineLimits(max_waiting=64, max_choices=8)) as engine:
        for one in asked:
            one.submit(engine, model)
        assert [one.answers() for one in asked] == expected
    assert len(replayed) > len(recorded) // 2  # of most sizes; up to 8 rows ran at a time
