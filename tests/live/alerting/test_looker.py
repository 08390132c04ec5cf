"""Rules that are put to real streams: what they see, when, and what comes of it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import av
import pytest

from contracts.errors import ModelLoading, ServiceError
from contracts.event_queries import EventQuery
from contracts.events import Event
from contracts.judging import Judgement, JudgeRequest
from contracts.rules import Confirm, Rule, RuleStatus, Window
from live.alerts import Alerts
from tests.live.hand_cameras import Stage, plain, stage
from tests.live.house import opened
from tests.live.stage import PLAIN

PATIENCE_S = 20
EAGER = replace(
    PLAIN,
    confirm=Confirm(1, 1),
    interval_s=0.2,
    window=Window(30, 8),
    cooldown_s=0,
    stream_id=None,
)


@dataclass
class Eye:
    """Says yes to what is bright; remembers what it was shown."""

    trouble: ServiceError | None = None
    shown: list[JudgeRequest] = field(default_factory=list)

    async def judge(self, request: JudgeRequest) -> list[Judgement]:
        if self.trouble is not None:
            raise self.trouble
        self.shown.append(request)
        is_bright = request.clip.frames[-1].rgb.mean() > 128
        return [Judgement(0.9 if is_bright else 0.1, known=True)] * len(request.questions)

    def greys(self) -> list[list[int]]:
        """The shades of each look's frames."""
        return [[round(one.rgb.mean()) for one in seen.clip.frames] for seen in self.shown]


@dataclass
class Scene:
    """Alerts over cameras that a test holds in its hands."""

    alerts: Alerts
    cameras: Stage
    eye: Eye

    async def show(self, stream_id: str, *greys: int) -> None:
        pictures = [plain(grey) for grey in greys]
        await asyncio.to_thread(self.cameras.show, stream_id, *pictures)

    def status(self, rule: Rule = EAGER) -> RuleStatus:
        (status,) = self.alerts.rules.statuses(rule)
        return status

    async def events(self) -> list[Event]:
        return list((await self.alerts.events.page(EventQuery())).events)

    async def until(self, is_so: Callable[[], bool]) -> None:
        async def check() -> bool:
            return is_so()

        await poll(check)

    async def looked(self, count: int) -> None:
        await self.until(lambda: len(self.eye.shown) >= count)


async def poll(is_so: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not await is_so():  # noqa: ASYNC110  # nothing tells of it
            await asyncio.sleep(0.02)


@pytest.fixture
def cameras() -> Iterator[Stage]:
    with stage("door") as made:
        yield made


@asynccontextmanager
async def scene_of(
    folder: Path, cameras: Stage, eye: Eye, *rules: Rule, **settings: float
) -> AsyncIterator[Scene]:
    told = {"clip_post_s": 0.0, **settings}
    async with opened(folder, cameras.clock.utc, streams=cameras.streams, judge=eye, **told) as it:
        for status in cameras.streams.statuses():
            await it.watch.put_stream(status.config)
        for rule in rules:
            await it.rules.add(rule)
        it.start()
        yield Scene(it, cameras, eye)


async def test_a_look_sees_the_newest_frames_in_their_order(tmp_path: Path, cameras: Stage) -> None:
    async with scene_of(tmp_path, cameras, Eye()) as scene:
        await scene.show("door", 10, 20, 30, 40, 50)
        await scene.alerts.rules.add(EAGER)
        await scene.looked(1)
        await scene.show("door", 90)
        await scene.looked(2)
        assert scene.eye.greys() == [[10, 20, 30, 40, 50], [10, 20, 30, 40, 50, 90]]


async def test_what_is_seen_becomes_an_event_with_picture_and_clip(
    tmp_path: Path, cameras: Stage
) -> None:
    async with scene_of(tmp_path, cameras, Eye(), EAGER) as scene:
        await scene.show("door", 10, 200)
        await scene.until(lambda: scene.status().state == "on")
        (event,) = await scene.events()
        assert (event.stream_id, event.model) == ("door", "lookout-demo")
        frame = await scene.alerts.events.frame(event.id, "begin")
        assert frame.read_bytes().startswith(b"\xff\xd8")

        async def is_written() -> bool:
            evidence = (await scene.alerts.events.get(event.id)).evidence
            return evidence is not None and evidence.clip == "ready"

        await poll(is_written)
        with av.open(str(await scene.alerts.events.clip(event.id))) as video:
            assert len([*video.decode(video=0)]) == 2


async def test_a_clip_that_waits_for_its_end_is_written_at_the_stop(
    tmp_path: Path, cameras: Stage
) -> None:
    async with scene_of(tmp_path, cameras, Eye(), EAGER, clip_post_s=600) as scene:
        await scene.show("door", 200)
        await scene.until(lambda: scene.status().state == "on")
        (event,) = await scene.events()
    assert size_of(tmp_path / "evidence" / event.id / "clip.mp4") > 0


def size_of(path: Path) -> int:
    return path.stat().st_size


async def test_the_same_frame_is_looked_at_once(tmp_path: Path, cameras: Stage) -> None:
    async with scene_of(tmp_path, cameras, Eye(), EAGER) as scene:
        await scene.show("door", 10)
        await scene.looked(1)
        await asyncio.sleep(0.6)
        assert len(scene.eye.shown) == 1


async def test_a_picture_that_stands_still_is_skipped_and_counted(
    tmp_path: Path, cameras: Stage
) -> None:
    async with scene_of(tmp_path, cameras, Eye(), EAGER) as scene:
        await scene.show("door", 10)
        await scene.looked(1)
        await scene.show("door", 10)
        await scene.until(lambda: scene.status().num_skipped == 1)
        assert len(scene.eye.shown) == 1
        await scene.show("door", 200)
        await scene.looked(2)


async def test_rules_that_are_due_together_are_asked_together(
    tmp_path: Path, cameras: Stage
) -> None:
    other = replace(EAGER, id="r-other", prompt="Is it bright?")
    async with scene_of(tmp_path, cameras, Eye(), EAGER, other) as scene:
        await scene.show("door", 10)
        await scene.looked(1)
        assert scene.eye.shown[0].questions == (EAGER.prompt, other.prompt)


async def test_a_rule_set_while_the_model_loads_is_kept_and_no_look_is_a_no(
    tmp_path: Path, cameras: Stage
) -> None:
    eye = Eye(trouble=ModelLoading("the model is still loading"))
    async with scene_of(tmp_path, cameras, eye, EAGER) as scene:
        await scene.show("door", 200)
        await asyncio.sleep(0.5)
        assert (scene.status().state, scene.status().num_looks) == ("unknown", 0)
        eye.trouble = None
        await scene.show("door", 200)
        await scene.until(lambda: scene.status().state == "on")


async def test_each_stream_has_its_own_looks(tmp_path: Path) -> None:
    with stage("door", "yard") as cameras:
        async with scene_of(tmp_path, cameras, Eye(), EAGER) as scene:
            await scene.show("door", 200)
            await scene.show("yard", 10)
            await scene.looked(2)
            await scene.until(lambda: len(states(scene)) == 2 and "unknown" not in states(scene))
            assert states(scene) == ["on", "off"]


def states(scene: Scene) -> list[str]:
    return [status.state for status in scene.alerts.rules.statuses(EAGER)]


async def test_a_lost_stream_is_told_and_not_looked_at(tmp_path: Path, cameras: Stage) -> None:
    async with scene_of(tmp_path, cameras, Eye(), EAGER) as scene:
        await scene.show("door", 200)
        await scene.until(lambda: scene.status().state == "on")
        await asyncio.to_thread(cameras.lose, "door")

        async def is_told() -> bool:
            return {event.type for event in await scene.events()} == {"alert", "stream_lost"}

        await poll(is_told)


async def test_what_rules_say_can_be_read_by_any_thread(tmp_path: Path, cameras: Stage) -> None:
    async with scene_of(tmp_path, cameras, Eye(), EAGER) as scene:
        await scene.show("door", 200)
        await scene.until(lambda: scene.status().state == "on")
        await scene.until(lambda: scene.alerts.lines.of("door") == ("on 0.90  Person at door",))
        assert scene.alerts.lines.of("yard") == ()


async def test_a_rule_is_tried_out_without_consequences(tmp_path: Path, cameras: Stage) -> None:
    switched_off = replace(EAGER, enabled=False, on_threshold=0.95)
    async with scene_of(tmp_path, cameras, Eye(), switched_off) as scene:
        await scene.show("door", 10, 200)
        (test,) = await scene.alerts.tests.test(EAGER.id)
        assert (test.stream_id, test.score, test.verdict) == ("door", 0.9, "unsure")
        assert len(test.frame_times) == 2
        assert scene.status().num_looks == 0
        assert await scene.events() == []


async def test_trying_a_rule_says_which_stream_shows_nothing(tmp_path: Path) -> None:
    with stage("door", "yard") as cameras:
        async with scene_of(tmp_path, cameras, Eye(), replace(EAGER, enabled=False)) as scene:
            await scene.show("yard", 200)
            dark, bright = await scene.alerts.tests.test(EAGER.id)
            assert (dark.error, dark.score) == ("stream_no_fresh_frame", None)
            assert (bright.error, bright.verdict) == (None, "yes")
            (only,) = await scene.alerts.tests.test(EAGER.id, "yard")
            assert only.stream_id == "yard"
