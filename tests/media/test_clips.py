import os
import tempfile
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from contracts.errors import DecodeLimit, ParseError, PictureTooLarge, UnsupportedMediaType
from contracts.media import U8, FrameSampling, PixelRange
from media.clips import read_clip
from media.container import open_video
from media.decode import FrameWalk
from media.index import index_frames
from media.jobs import ClipAnswer, ClipJob, PixelSink
from tests.media.conftest import Corpus, MadeClip

JOB = ClipJob(
    sampling=FrameSampling(),
    default_num_frames=16,
    max_frames=64,
    max_pixels=8192 * 4320,
    size_wh=None,
    pixels=PixelRange(),
    decoder="pyav",
    is_known_format=True,
)


def decode(clip: MadeClip, job: ClipJob = JOB) -> tuple[ClipAnswer, U8]:
    """Decode in this process, as a decoder process would."""
    with clip.path.open("rb") as medium, tempfile.TemporaryFile() as output:
        answer = read_clip(job, medium.fileno(), PixelSink(output.fileno(), 1 << 30, "video"))
        size = os.fstat(output.fileno()).st_size
        flat = np.frombuffer(os.pread(output.fileno(), size, 0), np.uint8)
    return answer, flat.reshape(-1, *answer.shape)


def test_frames_are_the_files_own_pixels(corpus: Corpus) -> None:
    clip = corpus["h264_720p_10s_gop30"]
    answer, frames = decode(clip)
    with av.open(str(clip.path)) as container:
        all_frames = [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]
    for time_s, rgb in zip(answer.times_s, frames, strict=True):
        assert np.array_equal(rgb, all_frames[round(time_s * 30)])


def test_a_squashed_frame_is_what_pillow_makes_of_it(corpus: Corpus) -> None:
    clip = corpus["odd_size"]
    _, whole = decode(clip)
    _, squashed = decode(clip, replace(JOB, size_wh=(384, 384)))
    for native, small in zip(whole, squashed, strict=True):
        expected = Image.fromarray(native).resize((384, 384), Image.Resampling.BICUBIC)
        assert np.array_equal(small, np.asarray(expected))


def test_frames_are_scaled_into_the_asked_range(corpus: Corpus) -> None:
    answer, _ = decode(corpus["odd_size"], replace(JOB, pixels=PixelRange(max_pixels=10_000)))
    assert (answer.width, answer.height, answer.shape) == (638, 358, (74, 133, 3))


@pytest.mark.parametrize("name", ["h264_720p_60s_gop250", "hevc", "mpegts", "vfr", "mkv_nocues"])
@pytest.mark.parametrize(
    "sampling",
    [
        FrameSampling(start_s=1.0, end_s=2.0, num_frames=5),
        FrameSampling(start_s=2.5, fps=10),
        FrameSampling(num_frames=1, start_s=2.9),
        FrameSampling(num_frames=64),
    ],
    ids=str,
)
def test_ranges_are_exact_too(corpus: Corpus, name: str, sampling: FrameSampling) -> None:
    clip = corpus[name]
    answer, frames = decode(clip, replace(JOB, sampling=sampling))
    assert clip.numbers(list(frames)) == [clip.number_at(t) for t in answer.times_s]


def test_colours_follow_the_files_own_tag(corpus: Corpus) -> None:
    patches = ((180, 40, 40), (40, 160, 60), (40, 60, 180), (200, 180, 40), (128,) * 3, (230,) * 3)
    for name in ("colour_bt709", "colour_bt601"):
        _, frames = decode(corpus[name], replace(JOB, sampling=FrameSampling(num_frames=1)))
        height, width = frames.shape[1:3]
        for patch, colour in enumerate(patches):
            seen = frames[0, height // 2, (2 * patch + 1) * width // 12]
            assert abs(seen.astype(int) - colour).max() <= 5


def raw_h264(folder: str) -> str:
    path = os.path.join(folder, "raw.h264")
    with av.open(path, "w", format="h264") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        for i in range(30):
            rgb = np.full((96, 160, 3), i * 8, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def test_a_raw_stream_has_no_duration_and_says_what_is_assumed() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = raw_h264(folder)
        clip = MadeClip(path=Path(path), entry={})
        answer, frames = decode(clip, replace(JOB, sampling=FrameSampling(num_frames=3)))
    assert (answer.num_source_frames, answer.duration_s, answer.source_fps) == (30, None, None)
    assert [int(rgb.mean()) // 8 for rgb in frames] == pytest.approx([0, 14, 29], abs=1)
    assert "25 frames a second" in answer.warnings[0]


def test_damage_is_passed_over_and_said(corpus: Corpus) -> None:
    clip = corpus["corrupt_middle"]
    answer, frames = decode(clip, replace(JOB, sampling=FrameSampling(num_frames=45)))
    first, last = clip.entry["damaged"]
    numbers = clip.numbers(list(frames))
    assert numbers == [clip.number_at(t) for t in answer.times_s]
    assert not set(numbers) & set(range(first, last + 1))
    assert len(set(numbers)) == len(numbers) < 45
    assert "damaged packets skipped" in answer.warnings[0]


def test_a_cut_tail_is_passed_over_and_said(corpus: Corpus) -> None:
    clip = corpus["truncated_tail"]
    answer, frames = decode(clip)
    assert answer.num_source_frames == clip.entry["readable"]
    assert clip.numbers(list(frames))[-1] == clip.entry["readable"] - 1
    assert str(clip.entry["frames"]) in answer.warnings[0]


def test_a_frame_above_the_limit_is_too_large_even_where_the_probe_gave_up(corpus: Corpus) -> None:
    with pytest.raises(PictureTooLarge):
        decode(corpus["huge_legal"])
    with pytest.raises(PictureTooLarge):
        decode(corpus["odd_size"], replace(JOB, max_pixels=1000))


def test_what_looks_like_nothing_is_unsupported_and_what_looks_like_a_video_damaged(
    corpus: Corpus,
) -> None:
    with pytest.raises(UnsupportedMediaType):
        decode(corpus["random_bytes"], replace(JOB, is_known_format=False))
    with pytest.raises(ParseError):
        decode(corpus["truncated_nomoov"])
    with pytest.raises(ParseError, match="no video stream"):
        decode(corpus["audio_only"])


def test_more_pixels_than_a_decoder_may_return_are_a_limit(corpus: Corpus) -> None:
    with corpus["odd_size"].path.open("rb") as medium, tempfile.TemporaryFile() as output:
        sink = PixelSink(output.fileno(), 1_000_000, "video")
        with pytest.raises(DecodeLimit, match="max_pixels"):
            read_clip(JOB, medium.fileno(), sink)


@pytest.mark.parametrize("name", ["h264_720p_10s_gop250", "vp9_webm", "rotated90", "vfr"])
def test_decord_reads_what_it_can_read_at_its_own_times(corpus: Corpus, name: str) -> None:
    clip = corpus[name]
    answer, frames = decode(clip, replace(JOB, decoder="decord"))
    assert len(frames) == len(answer.times_s) == 16
    assert clip.numbers(list(frames)) == [clip.number_at(t) for t in answer.times_s]
    assert (answer.width, answer.height) == (clip.entry["width"], clip.entry["height"])


@pytest.mark.parametrize("name", ["gif", "corrupt_middle"])
def test_decord_refuses_what_it_cannot_read(corpus: Corpus, name: str) -> None:
    with pytest.raises(ParseError, match="decord"):
        decode(corpus[name], replace(JOB, decoder="decord"))


def test_decord_never_sees_what_the_guard_refuses(corpus: Corpus) -> None:
    for name in ("hls_sibling", "concat_sibling", "huge_legal"):
        with pytest.raises((ParseError, PictureTooLarge)):
            decode(corpus[name], replace(JOB, decoder="decord"))


@pytest.mark.parametrize("name", ["mpegts", "h264_720p_10s_gop30", "mkv_nocues", "frag_mp4"])
def test_a_jump_lands_at_its_key_frame_also_where_the_container_lands_late(
    corpus: Corpus, name: str
) -> None:
    with (
        corpus[name].path.open("rb") as medium,
        open_video(medium.fileno(), JOB.max_pixels, is_known_format=True) as video,
    ):
        index = index_frames(video)
        walk = FrameWalk(video, index, frozenset())
        for key_position in index.key_positions[:0:-1]:
            assert walk.jump(key_position, key_position)
            landed = walk.take()
            assert landed is not None
            assert landed.position == key_position


def test_a_damaged_key_frame_is_approached_from_the_one_before(corpus: Corpus) -> None:
    clip = corpus["corrupt_middle"]
    first_damaged = clip.entry["damaged"][0] / 30
    sampling = FrameSampling(num_frames=1, start_s=first_damaged + 0.5)
    answer, frames = decode(clip, replace(JOB, sampling=sampling))
    assert clip.numbers(list(frames)) == [clip.number_at(answer.times_s[0])]
    assert answer.times_s[0] < first_damaged
    assert "1 of 1 asked frames" in answer.warnings[-1]
