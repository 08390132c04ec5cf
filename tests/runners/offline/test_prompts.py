"""Which prompts are good, what they mean, and how bad ones are named."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from api.drafts import Draft
from api.media_parts import WantedClip, WantedPicture
from contracts.chat import ImagePart, TextPart, VideoPart
from contracts.generation import SamplingParams
from contracts.media import Clip, FramePolicy, FrameSampling, MediaUrl, UploadedFile
from contracts.settings import Settings
from runners.offline import Frames, Message, PromptError, VideoFile
from runners.offline.prompts import read_prompt
from runners.offline.sampling import sampling_of_each

SETTINGS = Settings(max_frames=4, max_images=2, max_videos=1, max_n=3, max_new_tokens=100)
POLICY = FramePolicy(num_frames=2, size_wh=(8, 8))
RGB = np.zeros((4, 6, 3), np.uint8)
GREY = Image.new("L", (6, 4), 9)
URL = "https://example.org/a.png"


def draft(prompt: object) -> Draft:
    return read_prompt(prompt, at="prompts[0]", settings=SETTINGS)(POLICY)


def seen(prompt: object) -> list[str]:
    """What the parts of a single message are, in order."""
    (message,) = draft(prompt)
    assert message.role == "user"
    return [
        part.text if isinstance(part, TextPart) else type(part).__name__ for part in message.parts
    ]


def clip_of(frames: object) -> Clip:
    (message,) = draft(Message("?", clips=[frames]))  # type: ignore[list-item]
    (part, _) = message.parts
    assert isinstance(part, VideoPart)
    return part.clip


def test_media_come_before_the_text() -> None:
    prompt = Message("What?", images=[RGB, GREY], clips=[np.stack([RGB, RGB])])
    assert seen(prompt) == ["ImagePart", "ImagePart", "VideoPart", "What?"]


def test_files_and_urls_are_left_to_the_reader(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.touch()
    sampling = FrameSampling(num_frames=2)
    (message,) = draft(Message("?", images=[URL, str(path)], clips=[VideoFile(path, sampling)]))
    assert message.parts[:3] == (
        WantedPicture("prompts[0].images[0]", MediaUrl(URL)),
        WantedPicture("prompts[0].images[1]", UploadedFile(path)),
        WantedClip("prompts[0].clips[0]", UploadedFile(path), sampling),
    )


def test_pixels_in_memory_are_taken_as_they_are() -> None:
    (message,) = draft(Message("?", images=[RGB, GREY]))
    array, grey, _ = message.parts
    assert isinstance(array, ImagePart)
    assert isinstance(grey, ImagePart)
    assert array.picture.rgb is RGB
    assert (grey.picture.width, grey.picture.height) == (6, 4)
    assert grey.picture.rgb.tolist() == np.full((4, 6, 3), 9).tolist()


def test_frames_have_the_times_of_their_rate() -> None:
    clip = clip_of(Frames([RGB, RGB, GREY], fps=2))
    assert clip.frame_times_s == (0.0, 0.5, 1.0)
    assert (clip.duration_s, clip.source_fps, clip.num_source_frames) == (1.5, 2, 3)
    assert clip_of(np.stack([RGB, RGB])).frame_times_s == (0.0, 1.0)


def test_frames_are_squashed_as_those_of_files_are() -> None:
    clip = clip_of(np.stack([RGB, RGB]))
    assert (clip.width, clip.height) == (6, 4)
    assert [frame.rgb.shape for frame in clip.frames] == [(8, 8, 3)] * 2


def test_frames_have_the_times_that_were_said() -> None:
    clip = clip_of(Frames([RGB, RGB, RGB], times_s=[1.0, 1.5, 4.0]))
    assert clip.frame_times_s == (1.0, 1.5, 4.0)
    assert (clip.start_s, clip.end_s, clip.duration_s, clip.source_fps) == (1.0, 4.0, None, None)


def test_of_too_many_frames_as_many_are_taken_as_may_be() -> None:
    clip = clip_of(Frames([RGB] * 10))
    assert clip.frame_times_s == (0.0, 3.0, 6.0, 9.0)
    assert clip.sampled_by == "all+max_frames"


def test_messages_of_the_system_are_joined_in_front() -> None:
    said = [
        Message("Hello!"),
        Message("Be brief.", role="system"),
        Message("Hi.", role="assistant"),
        Message("?", images=[RGB]),
    ]
    roles = [message.role for message in draft(said)]
    assert roles == ["system", "user", "assistant", "user"]


def test_messages_of_the_chat_api_are_read_as_there() -> None:
    content = [{"type": "image_url", "image_url": {"url": URL, "detail": "low"}}]
    (message,) = draft([{"role": "user", "content": content}])
    (part,) = message.parts
    assert isinstance(part, WantedPicture)
    assert (part.source, part.detail) == (MediaUrl(URL), "low")


VIDEO = np.stack([RGB, RGB])


@pytest.mark.parametrize(
    ("prompt", "media", "expected"),
    [
        ("Hello!", None, ["Hello!"]),
        ("What?", {"image": RGB}, ["ImagePart", "What?"]),
        ("What?", {"image": [GREY, RGB]}, ["ImagePart", "ImagePart", "What?"]),
        ("USER: <image>\nWhat?", {"image": RGB}, ["USER:", "ImagePart", "What?"]),
        ("<image><image> what?", {"image": [RGB, RGB]}, ["ImagePart", "ImagePart", "what?"]),
        ("<image>" * 576 + "\nWhat?", {"image": GREY}, ["ImagePart", "What?"]),
        ("<image>, <video>?", {"video": VIDEO, "image": RGB}, ["ImagePart", ",", "VideoPart", "?"]),
        ("What?", {"video": [RGB, GREY]}, ["VideoPart", "What?"]),
        ("What?", {"video": [VIDEO]}, ["VideoPart", "What?"]),
        ("What?", {"video": (VIDEO, {"fps": 2.0})}, ["VideoPart", "What?"]),
    ],
)  # fmt: skip
def test_a_dictionary_of_vllm_is_one_message(
    prompt: str, media: object, expected: list[str]
) -> None:
    given = {"prompt": prompt} if media is None else {"prompt": prompt, "multi_modal_data": media}
    assert seen(given) == expected


def test_the_metadata_of_a_video_tell_its_times() -> None:
    metadata = {"fps": 10.0, "frames_indices": [5, 20], "total_num_frames": 40}
    (message,) = draft({"prompt": "?", "multi_modal_data": {"video": (VIDEO, metadata)}})
    (part, _) = message.parts
    assert isinstance(part, VideoPart)
    assert part.clip.frame_times_s == (0.5, 2.0)


@pytest.mark.parametrize(
    ("prompt", "told"),
    [
        (7, "prompts[3]: expected a text, a Message, a list of messages"),
        ([], "prompts[3]: expected a text"),
        (["Hello!"], "prompts[3]: expected a text"),
        ([Message("?"), "Hello!"], "prompts[3][1]: expected a Message like the first, got str"),
        (Message(7), "prompts[3].text: expected a text, got int"),  # type: ignore[arg-type]
        (Message("?", role="judge"), "prompts[3].role: expected one of"),  # type: ignore[arg-type]
        (Message("?", images="a.png"), "prompts[3].images: expected a list, got str"),
        (Message("?", images=RGB), "prompts[3].images: expected a list, got ndarray"),  # type: ignore[arg-type]
        (Message("?", images=["a.png"]), "prompts[3].images[0]: there is no file a.png"),
        (Message("?", images=[None]), "prompts[3].images[0]: expected a Pillow picture or a uint8"),  # type: ignore[list-item]
        (Message("?", images=[RGB / 2]), "got float64 (4, 6, 3)"),  # type: ignore[list-item]
        (Message("?", images=[RGB[0]]), "got uint8 (6, 3)"),
        (Message("?", images=[RGB[:0]]), "got uint8 (0, 6, 3)"),
        (Message("?", images=[RGB] * 3), "prompts[3]: expected at most 2 pictures, got 3"),
        (Message("?", clips=[VIDEO] * 2), "prompts[3]: expected at most 1 clips, got 2"),
        (Message("?", clips=[RGB]), "prompts[3].clips[0][0]: expected a Pillow picture"),
        (Message("?", clips=[7]), "prompts[3].clips[0]: expected a path, VideoFile, Frames"),  # type: ignore[list-item]
        (Message("?", clips=[Frames([])]), "prompts[3].clips[0]: expected at least one picture"),
        (Message("?", clips=[Frames([RGB, RGB[:2]])]), "expected pictures of one size, got 6x2"),
        (Message("?", clips=[Frames([RGB], 1, [0])]), "expected fps or times_s, got both"),
        (Message("?", clips=[Frames([RGB], 0)]), "expected fps > 0, got 0"),
        (Message("?", clips=[Frames([RGB], None, [0, 1])]), "a time for each picture, got 2 for 1"),
        (Message("?", clips=[Frames([RGB] * 2, None, [1, 1])]), "times_s that increase from 0"),
        (Message("?", clips=[Frames([RGB], None, [-1])]), "times_s that increase from 0"),
        (Message("?", clips=[Frames([RGB], None, [float("nan")])]), "times_s that increase from 0"),
        (Message("?", clips=[VideoFile(URL, FrameSampling(num_frames=5))]), "clips[0].num_frames:"),
        (Message("?", images=[RGB], role="system"), "expected media in user messages only"),
        ([{"role": "user"}], "prompts[3]: messages[0].content: expected"),
        ([{"role": "user", "content": "?", "extra": 1}, {}], "prompts[3]: messages[1].role: "),
        ({"prompt": None}, "prompts[3]: expected a text as prompt"),
        ({"prompt": "?", "prompt_token_ids": [1]}, "got prompt_token_ids"),
        ({"prompt": "?", "multi_modal_data": {"audio": 1}}, "expected no key but image, video"),
        ({"prompt": "?", "multi_modal_data": {"image": 7}}, "prompts[3].image[0]: expected a Pill"),
        ({"prompt": "?", "multi_modal_data": {"video": 7}}, "prompts[3].video[0]: expected frames"),
        ({"prompt": "?", "multi_modal_data": {"video": (VIDEO, {"fps": 0})}}, "expected fps > 0"),
        ({"prompt": "<image>"}, "prompts[3].prompt: expected 0 or no <image>, got 1"),
        (
            {"prompt": "<image>", "multi_modal_data": {"image": [RGB, RGB]}},
            "prompts[3].prompt: expected 2 or no <image>, got 1",
        ),
    ],
)  # fmt: skip
def test_a_bad_prompt_is_named_with_what_was_expected(prompt: object, told: str) -> None:
    with pytest.raises(PromptError, match=re.escape(told)):
        read_prompt(prompt, at="prompts[3]", settings=SETTINGS)


def test_a_misspelt_field_of_a_part_is_refused() -> None:
    part = {"type": "image_url", "image_url": {"url": URL, "max_pixelz": 9}}
    with pytest.raises(PromptError, match=r"expected no field messages\[0\].*max_pixelz"):
        draft([{"role": "user", "content": [part]}])


GREEDY = SamplingParams()


def test_one_way_of_sampling_is_for_all_prompts() -> None:
    assert sampling_of_each(GREEDY, 3, SETTINGS) == [replace(GREEDY, max_tokens=100)] * 3
    wishes = [
        SamplingParams(max_tokens=4, num_choices=3, logprobs=True, top_logprobs=2, stop=("a",)),
        SamplingParams(max_tokens=5, temperature=0.5, top_p=0.9, top_k=3, min_p=0.1, seed=1),
        SamplingParams(max_tokens=6, min_tokens=2, logit_bias={1: 2.0}, stop_token_ids=(3,)),
    ]
    assert sampling_of_each(wishes, 3, SETTINGS) == wishes


@pytest.mark.parametrize(
    ("wish", "told"),
    [
        ({"temperature": 3.0}, "sampling.temperature: expected <= 2"),
        ({"max_tokens": 0}, "sampling.max_tokens: expected >= 1"),
        ({"top_logprobs": 1}, "sampling.top_logprobs: expected logprobs true"),
        ({"min_tokens": 101}, "sampling.min_tokens: expected <= 100"),
        ({"num_choices": 4}, "sampling.num_choices: expected 1 to 3"),
        ({"stop": ("",)}, "sampling.stop[0]: expected at least 1 characters"),
    ],
)
def test_a_way_out_of_range_is_refused(wish: dict[str, object], told: str) -> None:
    sampling = replace(GREEDY, **wish)  # type: ignore[arg-type]
    with pytest.raises(PromptError, match=re.escape(told)):
        sampling_of_each(sampling, 2, SETTINGS)


def test_there_are_as_many_ways_as_prompts() -> None:
    with pytest.raises(PromptError, match="one SamplingParams for all or 3, got 2"):
        sampling_of_each([GREEDY] * 2, 3, SETTINGS)
    with pytest.raises(PromptError, match=r"sampling\[1\]: expected SamplingParams, got dict"):
        sampling_of_each([GREEDY, {}], 2, SETTINGS)  # type: ignore[list-item]
