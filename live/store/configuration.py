"""Streams and rules as people configured them, and how the rules stood, for a restart."""

from sqlalchemy import Connection, delete, insert, select, update

from contracts.rules import Rule
from contracts.streams import StreamConfig
from live.alerting.rule_run import Standing
from live.store.bodies import RULE, STANDING, STREAM
from live.store.tables import rule_states, rules, streams


def put_stream(connection: Connection, config: StreamConfig) -> None:
    """Store a stream, or what changed of it."""
    body = STREAM.dump(config)
    changed = connection.execute(
        update(streams).where(streams.c.id == config.id).values(body=body)
    ).rowcount
    if not changed:
        row = {"id": config.id, "created_at": config.created_at, "body": body}
        connection.execute(insert(streams), row)


def delete_stream(connection: Connection, stream_id: str) -> None:
    """Forget a stream and the states that rules have on it."""
    connection.execute(delete(streams).where(streams.c.id == stream_id))
    connection.execute(delete(rule_states).where(rule_states.c.stream_id == stream_id))


def all_streams(connection: Connection) -> list[StreamConfig]:
    """Every stream, in the order they were added."""
    rows = connection.scalars(select(streams.c.body).order_by(streams.c.created_at, streams.c.id))
    return [STREAM.load(body) for body in rows]


def put_rule(connection: Connection, rule: Rule) -> None:
    """Store a rule, or what changed of it."""
    body = RULE.dump(rule)
    changed = connection.execute(
        update(rules).where(rules.c.id == rule.id).values(body=body)
    ).rowcount
    if not changed:
        connection.execute(
            insert(rules), {"id": rule.id, "created_at": rule.created_at, "body": body}
        )


def delete_rule(connection: Connection, rule_id: str) -> None:
    """Forget a rule and its states."""
    connection.execute(delete(rules).where(rules.c.id == rule_id))
    connection.execute(delete(rule_states).where(rule_states.c.rule_id == rule_id))


def all_rules(connection: Connection) -> list[Rule]:
    """Every rule, in the order they were added."""
    rows = connection.scalars(select(rules.c.body).order_by(rules.c.created_at, rules.c.id))
    return [RULE.load(body) for body in rows]


def put_standing(connection: Connection, rule_id: str, stream_id: str, standing: Standing) -> None:
    """Store how a rule stands on a stream."""
    here = (rule_states.c.rule_id == rule_id, rule_states.c.stream_id == stream_id)
    body = STANDING.dump(standing)
    changed = connection.execute(update(rule_states).where(*here).values(body=body)).rowcount
    if not changed:
        row = {"rule_id": rule_id, "stream_id": stream_id, "body": body}
        connection.execute(insert(rule_states), row)


def delete_standing(connection: Connection, rule_id: str, stream_id: str) -> None:
    """Forget how a rule stood on a stream."""
    here = (rule_states.c.rule_id == rule_id, rule_states.c.stream_id == stream_id)
    connection.execute(delete(rule_states).where(*here))


def all_standings(connection: Connection) -> dict[tuple[str, str], Standing]:
    """How every rule stood on every stream, by rule and stream."""
    rows = connection.execute(select(rule_states))
    return {(row.rule_id, row.stream_id): STANDING.load(row.body) for row in rows}
