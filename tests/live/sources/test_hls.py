"""Variants of HLS."""

import pytest

from live.sources.hls import choose_variant

URL = "https://cam/live/master.m3u8"


def master(*offers: tuple[str, str]) -> str:
    lines = ["#EXTM3U", ""]
    for attributes, uri in offers:
        lines += [f"#EXT-X-STREAM-INF:{attributes}", uri]
    return "\r\n".join(lines)


@pytest.mark.parametrize(
    ("playlist", "chosen"),
    [
        ("#EXTM3U\n#EXTINF:2,\na.ts\n", None),
        ("", None),
        (
            master(
                ("BANDWIDTH=1,RESOLUTION=640x360", "low.m3u8"),
                ("BANDWIDTH=3,RESOLUTION=1920x1080", "high.m3u8"),
                ("BANDWIDTH=9,RESOLUTION=3840x2160", "huge.m3u8"),
            ),
            "https://cam/live/high.m3u8",
        ),
        (
            master(("BANDWIDTH=9,RESOLUTION=3840x2160", "/huge.m3u8")),
            "https://cam/huge.m3u8",
        ),
        (
            master(("BANDWIDTH=1", "a.m3u8"), ("AVERAGE-BANDWIDTH=5,BANDWIDTH=2", "b.m3u8")),
            "https://cam/live/b.m3u8",
        ),
        (master(("BANDWIDTH=1", "https://other/a.m3u8?t=1")), "https://other/a.m3u8?t=1"),
        (master(("BANDWIDTH=1", "#EXT-X-SOMETHING")), None),
    ],
)
def test_the_largest_that_is_not_too_large_is_chosen(playlist: str, chosen: str | None) -> None:
    assert choose_variant(playlist, URL) == chosen
