"""Events against the truth: the demo camera, fifteen rules as people get them, and a webhook."""

import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import requests

from bench.alerts.service import (
    ONE_THREAD,
    SUBJECTS,
    TIMEOUT_S,
    Presence,
    Subject,
    Told,
    add_rules,
    add_stream,
    demo_camera,
    moment_s,
    receiver,
    statuses,
)
from bench.alerts.truth import Episode, Score, Span, Watching, episodes, score
from demo.serving import served

ASKED = SUBJECTS[:15]  # every kind and every colour
WATCHING = Watching(interval_s=2, window_s=2, num_confirm=2)  # a rule's defaults
TRAVEL_S = 3.0  # until the last webhook came
PERCENT_90 = 8


@dataclass(frozen=True, slots=True)
class Watched:
    """A watch that is over.

    Attributes:
        told: Webhooks, in the order they came.
        num_lost: Events of the service that no webhook told of.
        num_looks: Of all rules; ``num_unknown`` of them were not known. Still pictures are skipped.
    """

    span: Span
    presences: Sequence[Presence]
    told: Sequence[Told]
    num_lost: int
    num_looks: int
    num_unknown: int

    def truth(self, subject: Subject) -> list[Episode]:
        """When a rule's subject could be seen."""
        seen = (one.span for one in self.presences if one.is_of(subject))
        return episodes(seen, WATCHING)

    def messages(self, kind: str, subject: Subject | None = None) -> list[Told]:
        """Webhooks of a kind, of one rule or of all."""
        rule_ids = [one.rule_id for one in ([subject] if subject else ASKED)]
        return [t for t in self.told if t.kind == kind and t.event["rule_id"] in rule_ids]


def watch(seed: int, seconds: float) -> Watched:
    """Let the service look at the camera for so long."""
    variables = {"VLM_MEDIA_ALLOW": "127.0.0.1", **ONE_THREAD}
    with demo_camera(seed) as camera, receiver() as (hook, told), served(variables) as url:
        add_stream(url, "demo", camera.url)
        add_rules(url, ASKED, notify=[{"url": hook}])
        began_s = time.time()
        time.sleep(seconds)
        ended_s = time.time()
        time.sleep(TRAVEL_S)
        counts = [statuses(url, subject)[0] for subject in ASKED]
        return Watched(
            Span(began_s, ended_s),
            list(camera.presences),
            told,
            num_lost(url, told),
            int(sum(one["num_looks"] for one in counts)),
            int(sum(one["num_unknown"] for one in counts)),
        )


def num_lost(url: str, told: Sequence[Told]) -> int:
    """Events whose begin came by no webhook."""
    known = {one.event["id"] for one in told if one.kind == "begin"}
    lost, page = 0, ""
    while page is not None:
        query = {"limit": "500", **({"page": page} if page else {})}
        reply = requests.get(f"{url}/v1/events", params=query, timeout=TIMEOUT_S).json()
        lost += sum(1 for event in reply["data"] if event["id"] not in known)
        page = reply["next"]
    return lost


def judged(watched: Watched) -> dict[Subject, Score]:
    """Each rule's score."""
    found = {}
    for subject in ASKED:
        begins = [moment_s(one.event["began_at"]) for one in watched.messages("begin", subject)]
        found[subject] = score(watched.truth(subject), begins, watched.span, WATCHING)
    return found


def since_frame(watched: Watched, kind: str) -> list[float]:
    """Seconds from the frame that decided to the webhook, ascending."""
    field = "began_at" if kind == "begin" else "ended_at"
    return sorted(t.arrived_s - moment_s(t.event[field]) for t in watched.messages(kind))


def since_sight(watched: Watched) -> list[float]:
    """Seconds from when a thing came to be seen to the webhook, ascending; right events only."""
    found = []
    for subject in ASKED:
        truth = [one for one in watched.truth(subject) if one.begin_s >= watched.span.begin_s]
        for told in watched.messages("begin", subject):
            time_s = moment_s(told.event["began_at"])
            of = next((one for one in truth if one.may_begin(time_s, WATCHING)), None)
            if of is not None and len(of.spans) == 1:
                found.append(told.arrived_s - of.begin_s)
    return sorted(found)


def report(seed: int, minutes: float) -> Iterator[str]:
    """The section as markdown."""
    watched = watch(seed, minutes * 60)
    scores = judged(watched)
    total = sum(scores.values(), Score())
    yield (
        f"{len(ASKED)} rules, {minutes:g} minutes: {watched.num_looks} looks"
        f" ({watched.num_unknown} not known; still pictures were skipped),"
        f" {len(watched.messages('begin'))} events, {watched.num_lost} of them not told."
    )
    yield ""
    yield "| | |"
    yield "| --- | --- |"
    yield f"| precision: events that were right | {_of(total.num_right, total.num_false)} |"
    yield f"| recall: episodes that were told | {_of(total.num_found, total.num_missed)} |"
    yield f"| episodes left out, events in them | {total.num_undecidable}, {total.num_unjudged} |"
    yield f"| frame to webhook, begin | {_spread(since_frame(watched, 'begin'))} |"
    yield f"| frame to webhook, end | {_spread(since_frame(watched, 'end'))} |"
    yield f"| first sight to webhook, begin | {_spread(since_sight(watched))} |"
    for subject, one in scores.items():
        if one.num_false or one.num_missed:
            yield f"| {subject.prompt} | {one.num_false} false, {one.num_missed} missed |"


def _of(num_good: int, num_bad: int) -> str:
    num_all = num_good + num_bad
    return f"{num_good / max(num_all, 1):.1%} ({num_good} of {num_all})"


def _spread(ascending: Sequence[float]) -> str:
    if len(ascending) < 2:
        return f"{len(ascending)} only"
    ninety = statistics.quantiles(ascending, n=10)[PERCENT_90]
    return f"median {statistics.median(ascending):.2f} s, 90 % within {ninety:.2f} s"
