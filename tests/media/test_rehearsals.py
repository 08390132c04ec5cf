"""What decoders do while they wait is what they are for: it ends with an answer."""

from collections.abc import Callable

import pytest

from media import clip_server, picture_server
from media.decoder_process import Work
from media.jobs import ClipAnswer, PictureAnswer, decode_answer


@pytest.mark.parametrize(
    ("work", "kind"), [(picture_server.work, PictureAnswer), (clip_server.work, ClipAnswer)]
)
def test_a_rehearsal_is_answered(work: Callable[[], Work], kind: type) -> None:
    assert isinstance(decode_answer(work().rehearse(), "image"), kind)
