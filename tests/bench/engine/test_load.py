"""The client counts what a server says, however it is cut into pieces."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from bench.engine.load import ask, press

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
EMPTY = b'data: {"choices":[{"delta":{"role":"assistant","content":""},"finish_reason":null}]}\n\n'
TOKEN = b'data: {"choices":[{"delta":{"content": " one"}}]}\n\n'
DONE = b'data: {"choices":[{"delta":{},"finish_reason":"length"}]}\n\n'
REFUSAL = b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n"


@asynccontextmanager
async def server(pieces: Sequence[bytes], *, hangs: bool = False) -> AsyncIterator[str]:
    """Answers every request with these bytes, written one after the other."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        if hangs:
            await reader.read()
        writer.close()

    served = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with served:
        yield f"http://127.0.0.1:{served.sockets[0].getsockname()[1]}"


async def test_tokens_are_counted_and_the_end_is_seen() -> None:
    async with server([HEAD, EMPTY, TOKEN, TOKEN + TOKEN, DONE]) as url:
        answer = await ask(url, b"{}")
    assert len(answer.token_s) == 3
    assert answer.is_complete
    assert 0 < answer.ttft_s < float("inf")


async def test_an_event_that_comes_in_two_pieces_counts_once() -> None:
    whole = HEAD + TOKEN + TOKEN + DONE
    for cut in range(1, len(whole)):
        async with server([whole[:cut], whole[cut:]]) as url:
            answer = await ask(url, b"{}")
        assert (len(answer.token_s), answer.is_complete, cut) == (2, True, cut)


async def test_a_refusal_is_no_answer_and_says_when_to_come_back() -> None:
    async with server([REFUSAL]) as url:
        answer = await ask(url, b"{}")
    assert (answer.status, answer.retry_after_s, answer.is_complete) == (429, 7, False)


async def test_no_reason_to_end_is_no_end() -> None:
    async with server([HEAD, TOKEN]) as url:
        answer = await ask(url, b"{}")
    assert not answer.is_complete


async def test_clients_ask_again_until_the_time_is_over() -> None:
    async with server([HEAD, TOKEN, DONE]) as url:
        load = await press(url, itertools.repeat(b"{}"), num_clients=2, seconds=0.05, drain_s=10)
    assert len(load.complete) > 2
    assert load.num_cut == 0


async def test_what_is_not_answered_in_time_is_cut_and_counted() -> None:
    async with server([HEAD, TOKEN], hangs=True) as url:
        load = await press(url, itertools.repeat(b"{}"), num_clients=3, seconds=0.05, drain_s=0.05)
    assert (load.num_cut, load.answers) == (3, ())
