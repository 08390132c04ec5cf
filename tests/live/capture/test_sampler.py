"""From packets to kept frames: few decoded, in order, of now."""

import io
from collections.abc import Iterable, Iterator

import av
import numpy as np
import pytest
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from live.capture.sampler import LATE_S, MAX_SIDE_PX, Sample, Sampler, to_rgb
from live.sources.connection import SourceFacts, VideoPacket
from tests.live.clocks import HandClock
from tests.live.pictures import number_of, video


class Packets:
    """The packets of a clip, as a connection."""

    def __init__(self, clip: bytes) -> None:
        self.container = av.open(io.BytesIO(clip), "r")
        stream = self.container.streams.video[0]
        assert isinstance(stream, VideoStream)
        self.decoder: VideoCodecContext = stream.codec_context
        self.decoder.thread_count = 1
        self.facts = SourceFacts("h264", 30.0)

    def packets(self) -> Iterator[VideoPacket]:
        for packet in self.container.demux(video=0):
            if packet.size:
                yield packet

    def close(self) -> None:
        self.container.close()


class Run:
    """A sampler, fed by hand."""

    def __init__(self, clip: bytes, interval_s: float) -> None:
        self.clock = HandClock()
        self.connection = Packets(clip)
        self.sampler = Sampler(self.connection, self.clock, lambda: interval_s)
        self.samples: list[Sample] = []

    def feed(self, gaps_s: Iterable[float]) -> "Run":
        """Let packets come, each so long after the one before."""
        for packet, gap_s in zip(self.connection.packets(), gaps_s, strict=False):
            self.clock.now_s += gap_s
            sample = self.sampler.sample(packet)
            if sample is not None:
                self.samples.append(sample)
        self.connection.close()
        return self

    @property
    def numbers(self) -> list[int]:
        return [number_of(sample.rgb) for sample in self.samples]

    @property
    def num_decoded(self) -> int:
        return self.sampler._decoder.num_decoded


def steady(count: int, gap_s: float = 1 / 30) -> list[float]:
    return [gap_s] * count


@pytest.mark.parametrize(
    ("interval_s", "gop", "num_decoded"),
    [
        (1.0, 30, 4),  # a key frame at every sample: nothing else is decoded
        (0.5, 30, 4 * 16),  # what lies between the last sample and the next key frame is not
        (1 / 30, 30, 120),
    ],
)
def test_no_more_is_decoded_than_the_samples_need(
    interval_s: float, gop: int, num_decoded: int
) -> None:
    run = Run(video(range(120), gop=gop), interval_s).feed(steady(120))
    assert run.numbers == list(range(0, 120, round(interval_s * 30)))
    assert run.num_decoded == num_decoded
    assert run.sampler.num_dropped == 0


def test_frames_are_as_old_as_they_are() -> None:
    run = Run(video(range(60), gop=30), 0.5).feed(steady(60))
    captured_s = [sample.captured_s - 1000 - 1 / 30 for sample in run.samples]
    assert captured_s == pytest.approx([0, 0.5, 1, 1.5], abs=1e-3)


def test_after_a_hold_up_the_newest_frames_are_kept_and_the_late_ones_counted() -> None:
    gaps = [*steady(60), 3.0, *steady(90, 0.001), *steady(90)]
    run = Run(video(range(300), gop=15), 0.5).feed(gaps)
    assert run.numbers[:4] == [0, 15, 30, 45]
    assert run.numbers[4] == 135  # 60, 75, 90, 105 and 120 came more than a second late
    assert run.sampler.num_dropped == 5
    assert run.numbers[-3:] == [210, 225, 240]
    ages = [
        1000 + (number + 1) / 30 - one.captured_s
        for number, one in zip(run.numbers, run.samples, strict=True)
    ]
    assert max(map(abs, ages)) < LATE_S + 0.1


@pytest.mark.parametrize("gap_s", [0.1, 0.2, 0.005])
def test_a_camera_that_counts_wrongly_is_sampled_all_the_same(gap_s: float) -> None:
    clip = video([number % 300 for number in range(900)], gop=10, size_wh=(64, 48))
    run = Run(clip, 0.5).feed(steady(900, gap_s))
    last_s = run.clock.now_s - run.samples[-1].captured_s
    assert last_s < 1.0
    whole_s = 900 * gap_s
    assert len(run.samples) >= whole_s / 0.5 * 0.7


def test_damage_is_counted() -> None:
    run = Run(video(range(30), gop=10), 1 / 30)
    whole = list(run.connection.packets())
    noise = av.Packet(bytes([0, 0, 0, 5, 0x41, 0xFF, 0xFF, 0xFF, 0xFF]))
    noise.pts = noise.dts = whole[15].dts
    noise.time_base = whole[15].time_base
    packets = [*whole[:15], noise, *whole[16:]]
    numbers = [
        number_of(sample.rgb)
        for packet in packets
        if (sample := run.sampler.sample(packet)) is not None  # type: ignore[arg-type]
    ]
    assert numbers == [*range(15), *range(20, 30)]
    assert run.sampler.num_dropped == 1


def test_a_frame_shown_before_the_last_one_is_left_out() -> None:
    run = Run(video(range(60), gop=1), 1 / 30)
    numbers = []
    for index, packet in enumerate(run.connection.packets()):
        if 20 <= index < 30:  # comes with times that were there already
            packet.pts = packet.dts = (packet.dts or 0) - round(0.4 / packet.time_base)
        run.clock.now_s += 1 / 30
        sample = run.sampler.sample(packet)
        if sample is not None:
            numbers.append(number_of(sample.rgb))
    assert numbers == sorted(set(numbers))
    assert not set(numbers) & set(range(20, 30))


@pytest.mark.parametrize(
    ("size_wh", "shape"),
    [((64, 48), (48, 64, 3)), ((1920, 1080), (720, 1280, 3)), ((600, 2560), (1280, 300, 3))],
)
def test_large_pictures_are_made_smaller(
    size_wh: tuple[int, int], shape: tuple[int, int, int]
) -> None:
    frame = VideoFrame.from_ndarray(np.zeros((size_wh[1], size_wh[0], 3), np.uint8))
    assert to_rgb(frame).shape == shape
    assert max(shape) <= MAX_SIDE_PX
