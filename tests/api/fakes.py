"""The world around the HTTP surface: media without files, apps without servers."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np
from starlette.testclient import TestClient

from api.app import build_app
from api.deps import ServiceDeps
from api.readiness import Readiness
from contracts.chat import ChatMessage
from contracts.generation import (
    GenerationRequest,
    ModelCard,
    ModelRunner,
    PromptTokens,
    TokenDelta,
    Usage,
)
from contracts.media import (
    UNCOUNTED,
    Clip,
    Frame,
    FrameList,
    FramePolicy,
    FrameSampling,
    MediaReader,
    MediaSource,
    MediaUrl,
    Picture,
    PixelClaim,
    PixelRange,
    UploadedFile,
    uncounted_clip,
)
from contracts.settings import Settings
from contracts.streams import LiveStreams
from live.previews.live_previews import LivePreviews
from live.previews.overlay_lines import OverlayLines
from live.seats import Seats
from live.streams.kept_streams import KeptStreams, MemoryStreamStore
from live.streams.live_stream import StreamPolicy
from live.streams.registry import StreamRegistry
from media.metering import MeteredReader
from runners.scripted import CARD, ScriptedRunner
from tests.live.hand_cameras import Stage

RGB = np.zeros((4, 6, 3), np.uint8)
PICTURE = Picture(RGB, 6, 4, "png", fetch_s=0.002, decode_s=0.003)


@dataclass(frozen=True)
class Read:
    """One call of the reader."""

    name: str
    sampling: FrameSampling | None
    pixels: PixelRange


@dataclass
class FakeMedia:
    """Reads names instead of media: what is in ``errors`` fails, what ends in ``hang`` never does.

    A URL that contains ``video`` is a video; of uploads the content is the name.
    """

    errors: Mapping[str, Exception] = field(default_factory=dict)
    pixel_bytes: int = 0  # of each picture and clip
    reads: list[Read] = field(default_factory=list)
    num_cancelled: int = 0

    async def read_image(
        self, source: MediaSource, *, pixels: PixelRange, claim: PixelClaim = UNCOUNTED
    ) -> Picture:
        await self._open(source, None, pixels, claim)
        return PICTURE

    async def read_clip(
        self,
        source: MediaSource,
        sampling: FrameSampling,
        *,
        policy: FramePolicy,
        pixels: PixelRange,
        claim: PixelClaim = UNCOUNTED,
    ) -> Clip:
        await self._open(source, sampling, pixels, claim)
        return clip(sampling.num_frames or policy.num_frames)

    async def read_image_or_clip(
        self,
        source: MediaSource,
        *,
        policy: FramePolicy,
        pixels: PixelRange,
        claim: PixelClaim = UNCOUNTED,
        on_clip: Callable[[], None] = uncounted_clip,
    ) -> Picture | Clip:
        if "video" in name_of(source):
            on_clip()
        name = await self._open(source, None, pixels, claim)
        return clip(policy.num_frames) if "video" in name else PICTURE

    async def close(self) -> None:
        pass

    async def _open(
        self,
        source: MediaSource,
        sampling: FrameSampling | None,
        pixels: PixelRange,
        claim: PixelClaim,
    ) -> str:
        name = name_of(source)
        self.reads.append(Read(name, sampling, pixels))
        if name in self.errors:
            raise self.errors[name]
        if name.endswith("hang"):
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.num_cancelled += 1
                raise
        async with claim.room(self.pixel_bytes):
            claim.hold(self.pixel_bytes)
        return name


def name_of(source: MediaSource) -> str:
    match source:
        case MediaUrl(url):
            return url
        case UploadedFile(path):
            return path.read_bytes().decode()
        case FrameList(urls, fps):
            return f"{'+'.join(urls)} at {fps:g}"


def clip(num_frames: int) -> Clip:
    times = [i * 0.5004 for i in range(num_frames)]
    return Clip(
        frames=tuple(Frame(RGB, time_s) for time_s in times),
        duration_s=10.5,
        source_fps=30.0,
        num_source_frames=315,
        width=1280,
        height=720,
        codec="h264",
        start_s=0.0,
        end_s=10.5,
        sampled_by="default",
        fetch_s=0.01,
        decode_s=0.12,
    )


class DeltaRunner(ScriptedRunner):
    """Hands out exactly these deltas; an exception among them is raised, ``None`` waits for ever.

    Attributes:
        is_closed: The last answer's reader left, or was cancelled.
    """

    def __init__(
        self, *deltas: TokenDelta | Exception | None, card: ModelCard | None = CARD
    ) -> None:
        super().__init__(card=card)
        self._deltas = deltas
        self.is_closed = False

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[TokenDelta, None]:
        self.requests.append(request)
        try:
            for delta in self._deltas:
                if isinstance(delta, Exception):
                    raise delta
                if delta is None:
                    await asyncio.Event().wait()
                else:
                    yield delta
        except (GeneratorExit, asyncio.CancelledError):
            self.is_closed = True
            raise


ADMITTED = TokenDelta(usage=Usage(PromptTokens(text=3)))


@cache
def no_cameras() -> LiveStreams:
    """A registry that was closed: there is no stream in it, and no thread."""
    policy = StreamPolicy(ring_seconds=60, ring_bytes=1 << 20, stale_s=10, lost_s=30)
    closed = StreamRegistry(
        policy, max_streams=1, check=lambda source: None, open_source=Stage().open
    )
    closed.close()
    return closed


def deps_of(
    runner: ModelRunner | None = None,
    media: MediaReader | None = None,
    streams: LiveStreams | None = None,
    **settings: object,
) -> ServiceDeps:
    live = no_cameras() if streams is None else streams
    runner = runner or saying("Hello")
    validated = Settings.model_validate({"model_name": "m", **settings})
    return ServiceDeps(
        settings=validated,
        runner=runner,
        media=MeteredReader(media or FakeMedia()),
        streams=live,
        stream_keeper=KeptStreams(live, MemoryStreamStore()),
        previews=LivePreviews(live, OverlayLines(), Seats(validated.max_viewers)),
        readiness=Readiness(runner),
        version="1.2.3",
    )


def client_of(deps: ServiceDeps) -> TestClient:
    return TestClient(build_app(lambda: deps))


def serve(
    runner: ModelRunner | None = None,
    media: MediaReader | None = None,
    streams: LiveStreams | None = None,
    **settings: object,
) -> TestClient:
    """A client of an app of its own."""
    return client_of(deps_of(runner, media, streams, **settings))


def saying(*pieces: str, times: int = 1, card: ModelCard | None = CARD) -> ScriptedRunner:
    replies: Iterable[Iterable[str]] = [pieces] * times
    return ScriptedRunner(*replies, card=card)


def user(*content: object, **more: object) -> dict[str, object]:
    """A body with one user message: a text, or parts."""
    is_text = len(content) == 1 and isinstance(content[0], str)
    said = content[0] if is_text else list(content)
    return {"messages": [{"role": "user", "content": said}], **more}


def image(url: object = "a.png", **options: object) -> dict[str, object]:
    return {"type": "image_url", "image_url": {"url": url, **options}}


def video(url: object = "v.mp4", **options: object) -> dict[str, object]:
    return {"type": "video_url", "video_url": {"url": url, **options}}


def text(said: str) -> dict[str, object]:
    return {"type": "text", "text": said}


def texts_of(messages: Iterable[ChatMessage]) -> list[tuple[str, str]]:
    return [(message.role, message.text) for message in messages]


def with_context(length: int | None) -> ModelCard:
    return replace(CARD, context_length=length)
