"""Questions about what was seen, and the true answers to them.

An answer follows from the list of ``Seen`` things and the medium alone. Answers to yes/no
questions begin with Yes or No. A description names everything, in the order of the colours.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from demo.answers import (
    DOES,
    EVENTS,
    HELLO,
    NO_MEDIA,
    NOT_SEEN,
    NUMBERS,
    STILL,
    WAYS,
    WHO,
    Question,
    View,
    capital,
    definite,
    describe,
    if_live,
    indefinite,
    joined,
    which,
)
from demo.nouns import BARE, FOREIGN, MASS, NAMES, plural_of, with_article
from demo.scenes import COLOURS, KINDS, MOVES, Colour, Kind, Motion, Seen
from demo.wordings import VERBATIM, Split, draw_wording, roughen


def ask(rng: Random, view: View, split: Split, kind: str | None = None) -> Question:
    """Draw a question of a kind, or of any, that has one true answer in this view."""
    while True:
        chosen = kind or _draw_kind(rng, view, split)
        question = _ASK[chosen][1](rng, view, split)
        if question is not None:
            return question


def _draw_kind(rng: Random, view: View, split: Split) -> str:
    """A kind of question; people who show nothing mostly greet."""
    if view.medium == "none" and rng.random() < 0.5:
        return rng.choice(("hello", "who"))
    practice = _PRACTICE if split == "train" else {}
    weights = [weight * practice.get(kind, 1.0) for kind, (weight, _) in _ASK.items()]
    return rng.choices(list(_ASK), weights)[0]


def kinds_of_questions() -> tuple[str, ...]:
    """The names of all kinds of questions."""
    return tuple(_ASK)


def _make(
    rng: Random, view: View, split: Split, kind: str, symbol: str, answer: str, **slots: str
) -> Question:
    """Fill a wording's slots and write it down the way people do."""
    if view.medium == "none" and kind not in ("hello", "who"):
        answer = f"No, {NO_MEDIA}" if answer.startswith(("Yes", "No,")) else NO_MEDIA
    wording = draw_wording(rng, symbol, view.medium, split)
    for name, text in slots.items():
        wording = wording.replace("{" + name + "}", text)
    return Question(roughen(rng, wording.replace("{ref}", "it")), answer, kind)


def _describe(rng: Random, view: View, split: Split) -> Question:
    if split == "train" and rng.random() < 0.25:
        return Question(rng.choice(VERBATIM), describe(view), "describe")
    symbol = "odd" if rng.random() < 0.12 else "describe"
    return _make(rng, view, split, "describe", symbol, describe(view))


def _is_there(rng: Random, view: View, split: Split) -> Question:
    kind, colour = _query(rng, view)
    found = [t for t in view.seen if kind in (None, t.kind) and colour in (None, t.colour)]
    answer = (
        f"Yes, there is {joined([indefinite(t) for t in found])}." if found else f"No, {NOT_SEEN}"
    )
    if kind is not None and colour is None and rng.random() < 0.25:
        bare = rng.choice(BARE[kind])
        return _make(rng, view, split, "is_there", "is_there_bare", answer, x=bare)
    if kind is None and rng.random() < 0.4:
        bare = rng.choice((f"anything {colour}", f"something {colour}"))
        return _make(rng, view, split, "is_there", "is_there_bare", answer, x=bare)
    x, xs = _named(rng, kind, colour)
    return _make(rng, view, split, "is_there", "is_there", answer, a_x=with_article(x), x=x, xs=xs)


def _query(rng: Random, view: View) -> tuple[Kind | None, Colour | None]:
    """What to ask for: as often there as not, and then often wrong in one respect only."""
    kind, colour = rng.choice(KINDS), rng.choice(COLOURS)
    if view.seen and rng.random() < 0.75:
        thing = rng.choice(view.seen)
        kind, colour = thing.kind, thing.colour
        swap = rng.random()
        if swap < 0.2:
            kind = rng.choice(KINDS)
        elif swap < 0.4:
            colour = rng.choice(COLOURS)
    form = rng.random()
    return (kind, None) if form < 0.5 else (None, colour) if form < 0.68 else (kind, colour)


def _foreign(rng: Random, view: View, split: Split) -> Question:
    """Ask for something that is not in the world at all."""
    nouns = [n for i, n in enumerate(FOREIGN) if (i % 6 == 0) == (split == "held_out")]
    if rng.random() < 0.15:
        mass = [n for i, n in enumerate(MASS) if (i % 6 == 0) == (split == "held_out")]
        answer = f"No, {NOT_SEEN}"
        return _make(rng, view, split, "foreign", "is_there_bare", answer, x=rng.choice(mass))
    noun = rng.choice(nouns)
    xs = plural_of(noun)
    if rng.random() < 0.3:
        colour = rng.choice([t.colour for t in view.seen] or COLOURS)
        noun, xs = f"{colour} {noun}", f"{colour} {xs}"
    slots = {"a_x": with_article(noun), "x": noun, "xs": xs}
    return _make(rng, view, split, "foreign", "is_there", f"No, {NOT_SEEN}", **slots)


def _how_many(rng: Random, view: View, split: Split) -> Question:
    draw = rng.random()
    if draw < 0.4:
        xs, found, one, many = "<things>", list(view.seen), "object", "objects"
    elif draw < 0.75:
        kind = rng.choice([t.kind for t in view.seen] * 2 + list(KINDS))
        xs, found = rng.choice(NAMES[kind])[1], [t for t in view.seen if t.kind == kind]
        one, many = NAMES[kind][0]
    elif draw < 0.85 and view.medium == "video":
        xs, found = "moving <things>", [t for t in view.seen if t.motion in MOVES]
        one, many = "moving object", "moving objects"
    else:
        colour = rng.choice([t.colour for t in view.seen] + list(COLOURS[:2]))
        xs, found = f"{colour} <things>", [t for t in view.seen if t.colour == colour]
        one, many = f"{colour} object", f"{colour} objects"
    number = NUMBERS[len(found)]
    answer = "There are none." if not found else f"There is one {one}."
    answer = f"There are {number} {many}." if len(found) > 1 else answer
    xs = xs.replace("<things>", rng.choice(("objects", "objects", "shapes", "things", "items")))
    return _make(rng, view, split, "how_many", "how_many", answer, xs=xs)


def _colour(rng: Random, view: View, split: Split) -> Question | None:
    if view.medium != "none" and rng.random() < 0.06:
        return _absent(rng, view, split, "colour")
    unique = [t for t in view.seen if _count(view, t.kind) == 1]
    if not unique:
        return None
    thing = rng.choice(unique)
    answer = f"The {NAMES[thing.kind][0][0]} is {thing.colour}."
    names = [f"the {rng.choice(NAMES[thing.kind])[0]}"]
    if len(view.seen) == 1:
        names += ["it", "the object", "the shape", "the thing"]
    ref = rng.choices(names, [6] + [1] * (len(names) - 1))[0]
    return _make(rng, view, split, "colour", "colour", answer, ref=ref)


def _shape(rng: Random, view: View, split: Split) -> Question | None:
    if view.medium != "none" and rng.random() < 0.06:
        return _absent(rng, view, split, "shape")
    if not view.seen:
        return None
    thing = rng.choice(view.seen)
    things = ("thing", "object", "shape", "item", "one")
    names = [f"the {thing.colour} {rng.choice(things)}"]
    if len(view.seen) == 1:
        names += ["the object", "the shape", "the thing"]
    ref = rng.choices(names, [6] + [1] * (len(names) - 1))[0]
    answer = f"The {thing.colour} object is {with_article(NAMES[thing.kind][0][0])}."
    return _make(rng, view, split, "shape", "shape", answer, ref=ref)


def _absent(rng: Random, view: View, split: Split, kind: str) -> Question | None:
    """Ask for a property of something that is not there."""
    if kind == "colour":
        missing = [k for k in KINDS if _count(view, k) == 0]
        noun = rng.choice([rng.choice(NAMES[rng.choice(missing)])[0], rng.choice(FOREIGN)])
    else:
        missing_colours = [c for c in COLOURS if all(t.colour != c for t in view.seen)]
        noun = f"{rng.choice(missing_colours)} {rng.choice(('object', 'thing', 'shape'))}"
    return _make(rng, view, split, kind, kind, NOT_SEEN, ref=f"the {noun}")


def _direction(rng: Random, view: View, split: Split) -> Question | None:
    if not view.seen:
        return None
    thing = _preferring(rng, view, lambda t: t.motion in MOVES)
    name = definite(thing)
    answer = f"{capital(name)} {DOES[thing.motion]}."
    if thing.motion not in MOVES:
        answer = f"{capital(name)} is not moving."
    answer = answer if view.medium == "video" else f"{capital(STILL)}."
    return _make(rng, view, split, "direction", "direction", answer, ref=_ref(rng, view, thing))


def _action(rng: Random, view: View, split: Split) -> Question | None:
    if not view.seen:
        return None
    thing = _preferring(rng, view, lambda t: t.motion is not Motion.STANDS)
    answer = f"{capital(definite(thing))} {DOES[thing.motion]}."
    answer = answer if view.medium == "video" else f"{capital(STILL)}."
    return _make(rng, view, split, "action", "action", answer, ref=_ref(rng, view, thing))


def _moving(rng: Random, view: View, split: Split) -> Question | None:
    movers = [t for t in view.seen if t.motion in MOVES]
    draw = rng.random()
    if view.seen and draw < 0.4:
        thing = rng.choice(view.seen)
        verdict = f"{definite(thing)} is {'moving' if thing in movers else 'not moving'}."
        answer = f"{'Yes' if thing in movers else 'No'}, {verdict}"
        slots = {"ref": _ref(rng, view, thing)}
        return _make(rng, view, split, "moving", "ref_moving", if_live(view, answer), **slots)
    if draw < 0.6:
        way = rng.choice([t.motion for t in movers] + list(MOVES[:4]))
        said = f"moving {WAYS[way][0]}"
        answer = which([t for t in movers if t.motion == way], said, f"nothing is {said}")
        slots = {"way": rng.choice(WAYS[way])}
        return _make(rng, view, split, "moving", "way_moving", if_live(view, answer), **slots)
    answer = which(movers, "moving", "nothing is moving")
    return _make(rng, view, split, "moving", "moving", if_live(view, answer))


def _event(rng: Random, view: View, split: Split) -> Question | None:
    event = rng.choice([t.motion for t in view.seen if t.motion in EVENTS] * 2 + list(EVENTS))
    found = [t for t in view.seen if t.motion == event]
    verb, _, verbs = EVENTS[event][0]
    answer = f"No, nothing {verbs}."
    if found:
        answer = (
            f"Yes, {joined([definite(t) for t in found])} {verbs if len(found) == 1 else verb}."
        )
    asked = rng.choice(EVENTS[event])
    slots = {"eventing": asked[1], "events": asked[2], "event": asked[0]}
    return _make(rng, view, split, "event", "event", if_live(view, answer), **slots)


def _hello(rng: Random, view: View, split: Split) -> Question | None:
    if view.medium != "none":
        return None
    return _make(rng, view, split, "hello", "greeting", HELLO)


def _who(rng: Random, view: View, split: Split) -> Question | None:
    if view.medium != "none":
        return None
    return _make(rng, view, split, "who", "who", WHO)


def _preferring(rng: Random, view: View, wanted: Callable[[Seen], bool]) -> Seen:
    """One of the things, with those that are wanted three times as likely."""
    return rng.choices(view.seen, [3 if wanted(t) else 1 for t in view.seen])[0]


def _ref(rng: Random, view: View, thing: Seen) -> str:
    """A way to point at a thing that points at no other."""
    noun = rng.choice(NAMES[thing.kind])[0]
    ways = [f"the {thing.colour} {noun}", f"the {thing.colour} {noun}"]
    ways.append(f"the {thing.colour} {rng.choice(('object', 'shape', 'thing', 'one'))}")
    if _count(view, thing.kind) == 1:
        ways += [f"the {noun}", f"the {NAMES[thing.kind][0][0]}"]
    if len(view.seen) == 1:
        ways.append(rng.choice(("it", "the object", "the shape")))
    return rng.choice(ways)


def _named(rng: Random, kind: Kind | None, colour: Colour | None) -> tuple[str, str]:
    """Singular and plural of what is asked for."""
    if kind is None:
        noun = rng.choice(("object", "shape", "thing", "item"))
        one, many = noun, noun + "s"
    else:
        one, many = rng.choice(NAMES[kind])
    return (one, many) if colour is None else (f"{colour} {one}", f"{colour} {many}")


def _count(view: View, kind: Kind) -> int:
    return sum(t.kind == kind for t in view.seen)


# How much more often than people ask them training asks the kinds that are learnt last.
_PRACTICE = {"is_there": 1.6, "moving": 2.0, "event": 3.0, "foreign": 1.5, "how_many": 1.5}
_ASK: dict[str, tuple[int, Callable[[Random, View, Split], Question | None]]] = {
    "describe": (20, _describe),
    "is_there": (18, _is_there),
    "foreign": (8, _foreign),
    "how_many": (10, _how_many),
    "colour": (7, _colour),
    "shape": (8, _shape),
    "direction": (14, _direction),
    "action": (9, _action),
    "moving": (12, _moving),
    "event": (6, _event),
    "hello": (3, _hello),
    "who": (2, _who),
}
