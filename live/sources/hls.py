"""Which of a master playlist's variants to play (RFC 8216). Pure."""

import re
from itertools import pairwise
from urllib.parse import urljoin

MAX_SIDE_PX = 1920  # more than is kept of a picture
VARIANT = "#EXT-X-STREAM-INF:"
RESOLUTION = re.compile(r"RESOLUTION=(\d+)x(\d+)")
BANDWIDTH = re.compile(r"[:,]BANDWIDTH=(\d+)")


def choose_variant(playlist: str, url: str) -> str | None:
    """The URL of the largest variant that is not larger than needed.

    Args:
        playlist: The text.
        url: Where it came from.

    Returns:
        ``None`` for a playlist of segments, which has no variants.
    """
    lines = [line.strip() for line in playlist.splitlines() if line.strip()]
    offers = []
    for line, following in pairwise(lines):
        if line.startswith(VARIANT) and not following.startswith("#"):
            offers.append((_size(line), urljoin(url, following)))
    if not offers:
        return None
    fitting = [offer for offer in offers if offer[0][0] <= MAX_SIDE_PX]
    return max(fitting)[1] if fitting else min(offers)[1]


def _size(line: str) -> tuple[int, int]:
    """Longer side, and bits a second; 0 for what is not said."""
    resolution, bandwidth = RESOLUTION.search(line), BANDWIDTH.search(line)
    side = max(int(resolution[1]), int(resolution[2])) if resolution else 0
    return side, int(bandwidth[1]) if bandwidth else 0
