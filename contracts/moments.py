"""Moments as the API writes them."""

from datetime import UTC, datetime


def rfc3339(moment: datetime) -> str:
    """An aware moment in RFC 3339, UTC, to the millisecond: ``2026-11-20T17:17:06.412Z``."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def rfc3339_or_none(moment: datetime | None) -> str | None:
    """The same for a moment that may not have come."""
    return None if moment is None else rfc3339(moment)
