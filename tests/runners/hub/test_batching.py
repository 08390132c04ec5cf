"""Every family: an answer in any company is the answer alone."""

from random import Random

from contracts.generation import SamplingParams
from contracts.media import Clip, Picture
from runners.hub.model import HubModel
from runners.limits import EngineLimits
from tests.runners.engine_room import Asked, one_by_one, turning
from tests.runners.hub.media import clip, picture, user

WORDS = [
    "please",
    "describe",
    "what",
    "the",
    "two",
    "cats",
    "in",
    "front",
    "of",
    "the",
    "camera",
    "do",
    "now",
]


def some_request(random: Random) -> Asked:
    parts: list[Picture | Clip | str] = [" ".join(random.choices(WORDS, k=random.randrange(1, 60)))]
    if random.random() < 0.4:
        parts.insert(0, picture(random.randrange(20, 90), random.randrange(20, 90)))
    if random.random() < 0.3:
        parts.insert(0, clip(random.randrange(1, 6)))
    sampling = SamplingParams(
        max_tokens=random.randrange(1, 30),
        temperature=random.choice([0, 0, 1]),
        num_choices=random.choice([1, 1, 2]),
        seed=random.randrange(9),
    )
    return Asked((user(*parts),), sampling)


def test_an_answer_in_any_company_is_the_answer_alone(model: HubModel) -> None:
    random = Random(2)
    asked = [some_request(random) for _ in range(14)]
    expected = one_by_one(model, asked)
    with turning(model, EngineLimits(max_waiting=64, max_choices=10)) as engine:
        assert engine.batches
        for one in asked:
            one.submit(engine, model)
        assert [one.answers() for one in asked] == expected
