"""Pictures and clips as values."""

import numpy as np

from contracts.chat import ChatMessage, ImagePart, TextPart
from contracts.media import Clip, Frame, MediaUrl, Picture, stack_frames

RGB = np.zeros((2, 3, 3), np.uint8)


def test_frames_become_one_array_and_their_times_a_list() -> None:
    frames = (Frame(RGB, 0.0), Frame(RGB + 1, 0.5))
    clip = Clip(frames, 1.0, 2.0, 2, 3, 2, "h264", 0.0, 1.0, "all")
    assert stack_frames(clip.frames).shape == (2, 2, 3, 3)
    assert clip.frame_times_s == (0.0, 0.5)


def test_a_url_is_not_in_its_repr() -> None:
    assert "secret" not in repr(MediaUrl("https://user:secret@host/"))


def test_the_text_of_a_message_is_its_text_parts() -> None:
    picture = ImagePart(Picture(RGB, 3, 2, "png"))
    assert ChatMessage("user", (TextPart("a"), picture, TextPart("b"))).text == "a\nb"
