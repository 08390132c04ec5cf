"""Hosts on loopback that send numbered pictures over HTTP."""

import threading

from live.http_digest import DigestGuard
from live.jpeg import to_jpeg
from tests.live.pictures import numbered
from tests.media.http_hosts import Handler, Route, respond

BOUNDARY = "frame"


def mjpeg(
    *,
    has_lengths: bool = True,
    num_pictures: int = 10**9,
    gap_s: float = 0.03,
    goes_on: threading.Event | None = None,
) -> Route:
    """A route that sends JPEGs for as long as somebody listens; waits after ``num_pictures``."""

    def route(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", f"multipart/x-mixed-replace; boundary={BOUNDARY}")
        handler.end_headers()
        number = 0
        while not handler.stop.wait(gap_s):
            number += 1
            if number > num_pictures:
                if goes_on is None:
                    return
                goes_on.wait(60)
            picture = to_jpeg(numbered(number))
            length = f"Content-Length: {len(picture)}\r\n" if has_lengths else ""
            head = f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\n{length}\r\n"
            handler.wfile.write(head.encode() + picture + b"\r\n")

    return route


def hls(segments: list[str], *, is_live: bool = False, seconds: float = 1.0) -> Route:
    """A route with a playlist; a live one grows by a segment each time it is asked for."""
    num_asked = 0

    def route(handler: Handler) -> None:
        nonlocal num_asked
        num_asked += 1
        shown = segments[: 2 + num_asked] if is_live else segments
        lines = ["#EXTM3U", "#EXT-X-VERSION:3", f"#EXT-X-TARGETDURATION:{seconds:g}"]
        lines.append("#EXT-X-MEDIA-SEQUENCE:0")
        for segment in shown:
            lines += [f"#EXTINF:{seconds:.3f},", segment]
        lines += [] if is_live else ["#EXT-X-ENDLIST"]
        body = "\n".join([*lines, ""]).encode()
        respond(body, Content_Type="application/vnd.apple.mpegurl")(handler)

    return route


def guarded(route: Route, guard: DigestGuard) -> Route:
    """A route that wants Digest."""

    def ask(handler: Handler) -> None:
        header = handler.headers.get("Authorization", "")
        if guard.allows(header, method="GET", uris=(handler.path,), now_s=1000):
            route(handler)
        else:
            respond(b"", 401, WWW_Authenticate=guard.challenge(1000))(handler)

    return ask


def basic(route: Route, login: str) -> Route:
    """A route that wants Basic, with this header."""

    def ask(handler: Handler) -> None:
        if handler.headers.get("Authorization") == login:
            route(handler)
        else:
            respond(b"", 401, WWW_Authenticate='Basic realm="camera"')(handler)

    return ask
