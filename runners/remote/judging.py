"""Yes/no questions about one clip, each a request of one token, some at a time.

Belongs to one event loop.
"""

import asyncio
import json
import logging
from collections.abc import Callable, Sequence

from contracts.generation import Judging
from contracts.judging import Judgement
from runners.answer_words import UNKNOWN
from runners.places import Places
from runners.remote.connection import ServerConnection
from runners.remote.conversation import Json, text_part
from runners.remote.refusal import Refusal
from runners.remote.wire import WireAnswer, WireToken, WireUsage
from runners.remote.yes_no import judgement_of, judgement_of_text
from runners.side_by_side import side_by_side

AT_ONCE = 8  # of one judgement, so that one camera with many rules leaves room for others
NUMS_LIKELIEST = (20, 5)  # alternatives to a token: what most servers give, and what some do
TEXT_TOKENS = 8  # "Yes", perhaps after a line break and quotes

logger = logging.getLogger(__name__)

CountUsage = Callable[[WireUsage], None]


class RemoteJudge:
    """Judges by the likelihood of the first token; by the text, once a server told none.

    Args:
        connection: To the server.
        places: Each question takes one.
        known_mass: Least likelihood of yes and no together for an answer to be known.
    """

    def __init__(self, connection: ServerConnection, places: Places, known_mass: float) -> None:
        self.judging: Judging = "likelihood"
        self._connection = connection
        self._places = places
        self._known_mass = known_mass

    def forget(self) -> None:
        """Take nothing for granted of a server that came back."""
        self.judging = "likelihood"

    async def judge(
        self, name: str, clip: list[Json], questions: Sequence[str], count: CountUsage
    ) -> list[Judgement]:
        """Judge a clip.

        Args:
            name: The model's, at the server.
            clip: The parts that show it.
            questions: Each is asked as if it were the only one.
            count: Called with what each request used, where the server tells.

        Raises:
            Refusal: Of the first question that was refused; the others are given up.
        """
        some = asyncio.Semaphore(AT_ONCE)

        async def ask(question: str) -> Judgement:
            async with some, self._places.taken("alert"):
                return await self._ask(_question(name, clip, question), count)

        return await side_by_side(map(ask, questions))

    async def _ask(self, body: Json, count: CountUsage) -> Judgement:
        if self.judging == "likelihood":
            first = await self._first_token(body, count)
            if first is not None:
                return judgement_of(first, known_mass=self._known_mass)
            self._judge_by_text()
        answer = await self._post(body | {"max_tokens": TEXT_TOKENS}, count)
        return judgement_of_text(_text(answer)) if answer.choices else UNKNOWN

    async def _first_token(self, body: Json, count: CountUsage) -> WireToken | None:
        """The answer's first token; ``None`` where the server tells nothing of tokens."""
        for num_likeliest in NUMS_LIKELIEST:
            wish: Json = {"max_tokens": 1, "logprobs": True, "top_logprobs": num_likeliest}
            try:
                return _first_token(await self._post(body | wish, count))
            except Refusal as exc:
                if not exc.says("logprobs"):
                    raise
        return None

    def _judge_by_text(self) -> None:
        if self.judging == "likelihood":
            logger.warning(
                "the model's server tells no likelihoods of tokens: yes and no are judged by the "
                "answer's text, and a rule's score is 0 or 1"
            )
        self.judging = "text"

    async def _post(self, body: Json, count: CountUsage) -> WireAnswer:
        content = await asyncio.to_thread(lambda: json.dumps(body).encode())
        answer = await self._connection.post("/chat/completions", content, WireAnswer)
        if answer.usage is not None:
            count(answer.usage)
        return answer


def _question(name: str, clip: list[Json], question: str) -> Json:
    message: Json = {"role": "user", "content": [*clip, text_part(question)]}
    return {"model": name, "messages": [message], "temperature": 0}


def _first_token(answer: WireAnswer) -> WireToken | None:
    told = answer.choices[0].logprobs if answer.choices else None
    return told.content[0] if told and told.content else None


def _text(answer: WireAnswer) -> str:
    return answer.choices[0].message.content or ""
