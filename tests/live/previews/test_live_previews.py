"""Pictures of live streams for people who watch."""

import asyncio
import io
import threading
from collections.abc import AsyncIterator, Callable, Iterator

import numpy as np
import pytest
from PIL import Image

from contracts.errors import StreamNotFound
from contracts.media import U8
from contracts.previews import PreviewPicture, View
from contracts.streams import StreamState
from live.previews.live_previews import LivePreviews
from live.previews.overlay_lines import MAX_STREAMS, OverlayLines
from live.seats import Seats
from tests.live.hand_cameras import Stage, plain, stage

SMALL = View(max_side=64)
ANNOTATED = View(max_side=160, is_annotated=True)


def shown(picture: PreviewPicture) -> U8:
    return np.asarray(Image.open(io.BytesIO(picture.jpeg)))


def grey_of(picture: PreviewPicture) -> int:
    return round(float(shown(picture).mean()))


@pytest.fixture
def staged() -> Iterator[Stage]:
    with stage("door", "yard") as made:
        made.show("door", plain(50))
        yield made


@pytest.fixture
async def previews(staged: Stage) -> AsyncIterator[LivePreviews]:
    made = LivePreviews(
        staged.streams, OverlayLines(lambda stream_id: (f"rules of {stream_id}",)), Seats(2)
    )
    yield made
    made.close()
    for thread in threading.enumerate():
        if thread.name.startswith("preview-"):
            await asyncio.to_thread(thread.join, 5)
    assert not [one for one in threading.enumerate() if one.name.startswith("preview-")]


async def test_a_picture_is_the_newest_frame_within_its_bounds(
    previews: LivePreviews, staged: Stage
) -> None:
    async with previews.watch("door", SMALL, fps=15) as viewer:
        await viewer.next_due()
        picture = await viewer.picture()
    assert shown(picture).shape == (36, 64, 3)
    assert abs(grey_of(picture) - 50) < 3
    assert picture.state == StreamState.RUNNING
    assert picture.captured_at == staged.streams.status("door").last_frame_at


async def test_viewers_who_want_the_same_share_one_picture(previews: LivePreviews) -> None:
    async with (
        previews.watch("door", SMALL, fps=15) as one,
        previews.watch("door", SMALL, fps=5) as other,
        previews.watch("door", View(max_side=80), fps=5) as larger,
    ):
        first, second, third = await asyncio.gather(
            one.picture(), other.picture(), larger.picture()
        )
        assert first is second
        assert first is await one.picture()
        assert shown(third).shape == (45, 80, 3)


async def test_a_newer_frame_is_due_and_is_what_is_seen(
    previews: LivePreviews, staged: Stage
) -> None:
    async with previews.watch("door", SMALL, fps=15) as viewer:
        await viewer.picture()
        staged.show("door", plain(100), plain(200))
        await viewer.next_due()
        assert abs(grey_of(await viewer.picture()) - 200) < 3


async def test_a_picture_is_due_after_a_second_though_nothing_is_new(
    previews: LivePreviews,
) -> None:
    async with previews.watch("door", SMALL, fps=15) as viewer:
        first = await viewer.picture()
        await viewer.next_due()
        assert await viewer.picture() is first


@pytest.mark.parametrize(
    ("happen", "state"),
    [
        (lambda stage: stage.stall(), StreamState.STALLED),
        (lambda stage: stage.lose("door"), StreamState.LOST),
        (lambda stage: stage.lock_out("door"), StreamState.FAILED),
        (lambda stage: stage.switch_off("door"), StreamState.ENDED),
    ],
    ids=["stalled", "lost", "failed", "ended"],
)
async def test_a_stream_that_does_not_run_shows_how_it_stands(
    previews: LivePreviews, staged: Stage, happen: Callable[[Stage], None], state: StreamState
) -> None:
    async with previews.watch("door", SMALL, fps=15) as viewer:
        frame = await viewer.picture()
        happen(staged)
        card = await viewer.picture()
        assert (card.state, card.captured_at) == (state, None)
        assert shown(card).shape == shown(frame).shape
        assert grey_of(card) < 50  # dark, whatever the frame was
        assert card is await viewer.picture()


async def test_a_stream_that_runs_again_is_seen_again(
    previews: LivePreviews, staged: Stage
) -> None:
    async with previews.watch("door", SMALL, fps=15) as viewer:
        staged.stall()
        await viewer.picture()
        staged.show("door", plain(200))
        await viewer.next_due()
        assert abs(grey_of(await viewer.picture()) - 200) < 3


async def test_a_stream_that_has_shown_nothing_has_a_card_too(previews: LivePreviews) -> None:
    async with previews.watch("yard", View(), fps=15) as viewer:
        assert shown(await viewer.picture()).shape == (360, 640, 3)


async def test_answers_and_rules_stand_in_annotated_pictures_only(previews: LivePreviews) -> None:
    async with (
        previews.watch("door", ANNOTATED, fps=15) as one,
        previews.watch("door", View(max_side=160), fps=15) as other,
    ):
        before, plain_before = await one.picture(), await other.picture()
        previews.note_answer("door", "Is there fire?", "No.")
        after = await one.picture()
        assert (shown(before)[-20:] != shown(after)[-20:]).any()
        assert after is await one.picture()
        assert plain_before is await other.picture()


async def test_a_watched_stream_is_sampled_as_often_as_its_viewers_look() -> None:
    with stage() as made:
        made.add("slow", sample_fps=0.1)
        made.show("slow", plain(50))
        previews = LivePreviews(made.streams, OverlayLines(), Seats(1))
        async with previews.watch("slow", SMALL, fps=1):
            made.show("slow", plain(100), plain(150))  # a second apart, and yet both are kept
        previews.close()


async def test_viewers_learn_that_a_stream_is_gone(previews: LivePreviews, staged: Stage) -> None:
    async with previews.watch("door", SMALL, fps=15) as viewer:
        await viewer.picture()
        staged.streams.remove("door")
        await viewer.next_due()
        with pytest.raises(StreamNotFound):
            await viewer.picture()
    with pytest.raises(StreamNotFound):
        async with previews.watch("door", SMALL, fps=15):
            pass


async def test_a_snapshot_is_the_newest_frame_however_old(
    previews: LivePreviews, staged: Stage
) -> None:
    staged.lose("door")
    picture = await previews.snapshot("door", View())
    assert picture is not None
    assert shown(picture).shape == (90, 160, 3)
    assert picture.captured_at == staged.streams.status("door").last_frame_at
    assert await previews.snapshot("yard", View()) is None
    with pytest.raises(StreamNotFound):
        await previews.snapshot("attic", View())


def test_lines_are_of_their_stream_and_answers_are_forgotten_in_the_end() -> None:
    lines = OverlayLines()
    assert lines.of("door") == ()
    lines.note_answer("door", "Is there fire?", "No.")
    lines.note_answer("door", "Who is there?", "Nobody.")
    assert lines.of("door") == ("Q: Who is there?", "A: Nobody.")
    assert lines.of("yard") == ()
    for number in range(MAX_STREAMS):
        lines.note_answer(str(number), "", "")
    assert lines.of("door") == ()
