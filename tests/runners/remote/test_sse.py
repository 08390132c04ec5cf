"""Events out of bytes that come in any pieces."""

from collections.abc import AsyncIterator

import pytest

from runners.remote import sse
from runners.remote.sse import LineTooLong, event_data

STREAM = (
    b': hello\r\n\r\nevent: x\ndata: {"a":1}\n\ndata:{"b":"\xe2\x80\xa8"}\n\n'
    b"data: [DONE]\n\ndata: 3\n"
)


async def pieces(size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(STREAM), size):
        yield STREAM[start : start + size]


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
async def test_data_is_whole_however_it_comes_and_ends_when_it_says_so(size: int) -> None:
    told = [data async for data in event_data(pieces(size))]
    assert told == [b'{"a":1}', '{"b":"\u2028"}'.encode()]


async def test_a_line_without_an_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MAX_LINE_BYTES", 10)

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"data: "

    with pytest.raises(LineTooLong):
        _ = [data async for data in event_data(endless())]
