from collections.abc import Iterator

from runners.trimming import PERIOD_S, Trimming

TIMES_S = (0.0, 1.0, PERIOD_S - 1, PERIOD_S, PERIOD_S + 1, 2 * PERIOD_S - 1, 2 * PERIOD_S)


def test_trims_once_in_a_period() -> None:
    times_s: Iterator[float] = iter(TIMES_S)
    num_trimmed = 0

    def trim() -> None:
        nonlocal num_trimmed
        num_trimmed += 1

    trimming = Trimming(lambda: next(times_s), trim)
    seen = []
    for _ in TIMES_S[1:]:
        trimming.run_if_due()
        seen.append(num_trimmed)
    assert seen == [0, 0, 1, 1, 1, 2]
