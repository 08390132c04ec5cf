"""Which events a reader asked for, page by page.

A page's ``next`` is opaque to clients; it holds where the page ended and which query it belongs to.
"""

import base64
import hashlib
import json
from dataclasses import replace
from datetime import timedelta

from sqlalchemy import ColumnElement, Connection, Select, and_, or_, select

from contracts.errors import RequestError
from contracts.event_queries import EventPage, EventQuery
from contracts.events import Event
from live.store.bodies import EVENT
from live.store.events import bounds
from live.store.tables import EPOCH, events

Place = tuple[int, str]  # cursor or microseconds of began_at, and the event's id


def page(connection: Connection, query: EventQuery) -> EventPage:
    """The events of a query, from where its page begins.

    Raises:
        RequestError: ``page`` is none of ours, or of another query.
    """
    latest = bounds(connection).latest  # before the events: a feed from here misses none of them
    rows = connection.execute(_select(query).limit(query.limit + 1)).all()
    found = [EVENT.load(row.body) for row in rows[: query.limit]]
    has_more = len(rows) > query.limit
    return EventPage(tuple(found), _write(query, found[-1]) if has_more else None, latest)


def _select(query: EventQuery) -> Select[tuple[str]]:
    selected = select(events.c.body).where(*_filters(query))
    place = _read(query)
    if query.after is not None:
        start = query.after if place is None else place[0]
        return selected.where(events.c.cursor > start).order_by(events.c.cursor)
    began_at, event_id = events.c.began_at, events.c.id
    if query.order == "asc":
        return selected.where(*_beyond(place, "asc")).order_by(began_at, event_id)
    return selected.where(*_beyond(place, "desc")).order_by(began_at.desc(), event_id.desc())


def _filters(query: EventQuery) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [
        column == wanted
        for column, wanted in (
            (events.c.type, query.type),
            (events.c.severity, query.severity),
            (events.c.stream_id, query.stream_id),
            (events.c.rule_id, query.rule_id),
        )
        if wanted is not None
    ]
    if query.state is not None:
        is_open = events.c.ended_at.is_(None)
        conditions.append(is_open if query.state == "open" else ~is_open)
    if query.since is not None:
        conditions.append(events.c.began_at >= query.since)
    if query.until is not None:
        conditions.append(events.c.began_at < query.until)
    return conditions


def _beyond(place: Place | None, order: str) -> list[ColumnElement[bool]]:
    if place is None:
        return []
    began_at, event_id = EPOCH + timedelta(microseconds=place[0]), place[1]
    if order == "asc":
        later, same = events.c.began_at > began_at, events.c.id > event_id
    else:
        later, same = events.c.began_at < began_at, events.c.id < event_id
    return [or_(later, and_(events.c.began_at == began_at, same))]


def _write(query: EventQuery, last: Event) -> str:
    began_us = (last.began_at - EPOCH) // timedelta(microseconds=1)
    number = began_us if query.after is None else last.cursor
    text = json.dumps([_digest(query), number, last.id])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _read(query: EventQuery) -> Place | None:
    if query.page is None:
        return None
    try:
        padded = query.page + "=" * (-len(query.page) % 4)
        digest, number, event_id = json.loads(base64.urlsafe_b64decode(padded))
        place = int(number), str(event_id)
    except (ValueError, TypeError):
        message = "page: expected the `next` of the previous answer, unchanged"
        raise RequestError(message, param="page") from None
    if digest != _digest(query):
        message = "page: expected the same filters and order as those of the first page"
        raise RequestError(message, param="page")
    return place


def _digest(query: EventQuery) -> str:
    """What tells the filters of two queries apart; the length of a page may change."""
    same = replace(query, page=None, limit=1)
    return hashlib.sha256(repr(same).encode()).hexdigest()[:12]
