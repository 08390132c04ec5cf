"""How long to wait before a lost source is tried again. Pure but for the random numbers."""

from collections.abc import Iterator
from random import Random

FIRST_S = 0.5
LONGEST_S = 5.0
LEAST_SHARE, MOST_SHARE = 0.6, 0.9  # jitter only shortens: a camera that is back is seen within 5 s


def back_off(rng: Random) -> Iterator[float]:
    """Seconds to wait, for ever: 0.5, 1, 2, 4, then 5, each shortened by 10 to 40 percent.

    The jitter keeps streams of one recorder that came back from knocking at the same moment.
    """
    delay_s = FIRST_S
    while True:
        yield delay_s * rng.uniform(LEAST_SHARE, MOST_SHARE)
        delay_s = min(2 * delay_s, LONGEST_S)
