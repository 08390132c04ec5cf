"""A server of OpenAI's chat API that does what it is told, over real connections."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, cast

MODEL = {"id": "org/far", "object": "model", "owned_by": "somebody", "max_model_len": 4096}
Json = dict[str, object]


@dataclass(frozen=True)
class Asked:
    """A request that came."""

    path: str
    headers: dict[str, str]
    json: Json


@dataclass(frozen=True)
class Whole:
    """An answer of one piece."""

    body: object
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Streamed:
    """An answer of events.

    ``end``: with ``[DONE]``, without it, in the middle of the connection, or never.
    """

    events: tuple[object, ...]
    end: Literal["done", "closed", "cut", "never"] = "done"


@dataclass(frozen=True)
class Silence:
    """No answer; the connection stays, or is closed at once."""

    is_closed: bool = False


def chunk(text: str | None = None, *, index: int = 0, finish: str | None = None) -> Json:
    choice = {"index": index, "delta": {"content": text} if text else {}, "finish_reason": finish}
    return {"object": "chat.completion.chunk", "choices": [choice]}


def usage(prompt: int, completion: int, **details: object) -> Json:
    told = {"prompt_tokens": prompt, "completion_tokens": completion}
    return {"choices": [], "usage": told | ({"prompt_tokens_details": details} if details else {})}


def completion(text: str, likeliest: dict[str, float] | None = None) -> Whole:
    """A whole answer; ``likeliest`` are log-probabilities at its first position."""
    choice: Json = {"index": 0, "message": {"role": "assistant", "content": text}}
    if likeliest is not None:
        top = [{"token": token, "logprob": logprob} for token, logprob in likeliest.items()]
        choice["logprobs"] = {"content": [top[0] | {"top_logprobs": top}]}
    return Whole({"choices": [choice | {"finish_reason": "length"}]})


def hello() -> Streamed:
    return Streamed((chunk("Hel"), chunk("lo"), chunk(finish="stop"), usage(7, 2)))


@dataclass
class ModelServer:
    """Answers each POST with the next of ``answers``.

    Attributes:
        models: What GET /v1/models answers.
        gate: Answers wait for it; open unless it is closed.
        hung_up: Set when a client left an answer that had not ended.
    """

    url: str
    answers: deque[Whole | Streamed | Silence] = field(default_factory=deque)
    models: Whole | Silence = field(default_factory=lambda: Whole({"data": [MODEL]}))
    status: Whole = field(default_factory=lambda: Whole({"model": {"state": "ready"}}))
    asked: list[Asked] = field(default_factory=list)
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    tasks: set[asyncio.Task[object]] = field(default_factory=set)
    num_looks: int = 0
    num_running: int = 0
    most_running: int = 0

    def will(self, *answers: Whole | Streamed | Silence) -> None:
        self.answers.extend(answers)

    @property
    def last(self) -> Json:
        return self.asked[-1].json

    @property
    def last_parts(self) -> list[dict[str, Any]]:
        """The parts of the only message that was asked last."""
        (message,) = cast(list[dict[str, Any]], self.last["messages"])
        return cast(list[dict[str, Any]], message["content"])

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        try:
            while line := await reader.readline():
                await self._serve_one(line.decode(), reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self.tasks.discard(task)
            writer.close()

    async def _serve_one(
        self, line: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        method, path, _ = line.split()
        headers = {}
        while header := (await reader.readline()).decode().strip():
            name, _, value = header.partition(":")
            headers[name.lower()] = value.strip()
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        if method == "GET":
            self.num_looks += path.endswith("/models")
            await self._send(
                self.status if path.endswith("/status") else self.models, reader, writer
            )
            return
        self.asked.append(Asked(path, headers, json.loads(body)))
        self.num_running += 1
        self.most_running = max(self.most_running, self.num_running)
        try:
            await self.gate.wait()
            await self._send(self.answers.popleft(), reader, writer)
        finally:
            self.num_running -= 1

    async def _send(
        self,
        answer: Whole | Streamed | Silence,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        if isinstance(answer, Whole):
            content = answer.body if isinstance(answer.body, str) else json.dumps(answer.body)
            head = [f"HTTP/1.1 {answer.status} X", f"Content-Length: {len(content.encode())}"]
            head += [f"{name}: {value}" for name, value in answer.headers]
            writer.write(("\r\n".join(head) + "\r\n\r\n" + content).encode())
            await writer.drain()
        elif isinstance(answer, Streamed):
            await self._stream(answer, reader, writer)
        elif answer.is_closed:
            raise ConnectionError
        else:
            await self._wait_for_the_end(reader)

    async def _stream(
        self, answer: Streamed, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n")
        writer.write(b"Transfer-Encoding: chunked\r\n\r\n")
        events = [json.dumps(event, ensure_ascii=False) for event in answer.events]
        for data in events + (["[DONE]"] if answer.end == "done" else []):
            frame = f": still here\r\n\r\nevent: x\ndata: {data}\n\n".encode()
            for piece in (frame[:9], frame[9:]):
                writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                await writer.drain()
        if answer.end == "cut":
            raise ConnectionError
        if answer.end == "never":
            await self._wait_for_the_end(reader)
        writer.write(b"0\r\n\r\n")

    async def _wait_for_the_end(self, reader: asyncio.StreamReader) -> None:
        await reader.read()
        self.hung_up.set()
        raise ConnectionError


@asynccontextmanager
async def model_server(port: int = 0) -> AsyncIterator[ModelServer]:
    """Serve on loopback."""
    served = ModelServer("")
    served.gate.set()
    server = await asyncio.start_server(served.serve, "127.0.0.1", port)
    served.url = "http://127.0.0.1:{1}/v1".format(*server.sockets[0].getsockname())
    try:
        yield served
    finally:
        server.close()
        for task in served.tasks:
            task.cancel()
        await asyncio.gather(*served.tasks)
