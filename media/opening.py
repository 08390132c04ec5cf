"""The service's reader of media."""

from contracts.media_stats import CountedMediaReader
from contracts.settings import Settings
from media.metering import MeteredReader
from media.reader import IsolatedMediaReader


def open_media(settings: Settings) -> CountedMediaReader:
    """A reader with the limits that the operator chose; it counts what it reads."""
    return MeteredReader(IsolatedMediaReader(settings))
