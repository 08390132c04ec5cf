"""Digest, both sides; the numbers are those of the RFCs."""

from collections.abc import Callable

import pytest

from live.http_digest import NONCE_LIFE_S, DigestGuard, digest_answer, parse_parameters

GUARD = DigestGuard("Lookout", "lookout", ("sesame", "poppy"), b"secret")
URL = "rtsp://cam:8554/live"


def answer_to(
    header: str, *, password: str = "sesame", method: str = "PLAY", uri: str = URL
) -> str:
    scheme, challenge = parse_parameters(header)
    assert scheme == "digest"
    answer = digest_answer(
        challenge, method=method, uri=uri, username="lookout", password=password, cnonce="c0"
    )
    assert answer is not None
    return answer


def test_the_example_of_rfc_2617() -> None:
    _, challenge = parse_parameters(
        'Digest realm="testrealm@host.com", qop="auth,auth-int",'
        ' nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", opaque="5ccc069c403ebaf9f0171e9517f40e41"'
    )
    answer = digest_answer(
        challenge,
        method="GET",
        uri="/dir/index.html",
        username="Mufasa",
        password="Circle Of Life",
        cnonce="0a4f113b",
    )
    assert parse_parameters(answer or "")[1]["response"] == "6629fae49393a05397450978507c4ef1"


def test_the_example_of_rfc_7616() -> None:
    _, challenge = parse_parameters(
        'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=SHA-256,'
        ' nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",'
        ' opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
    )
    answer = digest_answer(
        challenge,
        method="GET",
        uri="/dir/index.html",
        username="Mufasa",
        password="Circle of Life",
        cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
    )
    expected = "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"
    assert parse_parameters(answer or "")[1]["response"] == expected


def test_what_is_not_spoken_is_not_answered() -> None:
    challenge = {"realm": "r", "nonce": "n", "algorithm": "SHA-512-256"}
    assert (
        digest_answer(challenge, method="GET", uri="/", username="a", password="b", cnonce="c")
        is None
    )


@pytest.mark.parametrize("password", ["sesame", "poppy"])
def test_any_of_the_passwords_opens(password: str) -> None:
    header = answer_to(GUARD.challenge(1000.0), password=password)
    assert GUARD.allows(header, method="PLAY", uris=(URL,), now_s=1001.0)


@pytest.mark.parametrize(
    ("change", "method", "uris", "now_s"),
    [
        (lambda h: h, "SETUP", (URL,), 1001.0),
        (lambda h: h, "PLAY", ("rtsp://cam:8554/other",), 1001.0),
        (lambda h: h, "PLAY", (URL,), 1000.0 + NONCE_LIFE_S + 1),
        (lambda h: h.replace("lookout", "ann", 1), "PLAY", (URL,), 1001.0),
        (lambda h: h.replace('nonce="3', 'nonce="4'), "PLAY", (URL,), 1001.0),
        (lambda h: h.replace("Digest", "Basic"), "PLAY", (URL,), 1001.0),
        (lambda h: h.partition("response")[0], "PLAY", (URL,), 1001.0),
        (lambda h: "Digest", "PLAY", (URL,), 1001.0),
        (lambda h: "", "PLAY", (URL,), 1001.0),
    ],
)
def test_anything_else_does_not(
    change: Callable[[str], str], method: str, uris: tuple[str, ...], now_s: float
) -> None:
    header = answer_to(GUARD.challenge(1000.0))
    assert not GUARD.allows(change(header), method=method, uris=uris, now_s=now_s)


def test_a_wrong_password_does_not() -> None:
    header = answer_to(GUARD.challenge(1000.0), password="hunter2")
    assert not GUARD.allows(header, method="PLAY", uris=(URL,), now_s=1001.0)


def test_whoever_answers_an_old_challenge_is_told_so() -> None:
    header = answer_to(GUARD.challenge(1000.0))
    assert not GUARD.is_stale(header, 1001.0)
    assert GUARD.is_stale(header, 1000.0 + NONCE_LIFE_S + 1)
    assert not GUARD.is_stale("Digest nonce=made-up", 1001.0)
    assert "stale=true" in GUARD.challenge(2000.0, is_stale=True)


@pytest.mark.timeout(30)
def test_no_header_takes_for_ever() -> None:
    """Whoever asks chooses it, and the event loop reads it."""
    assert not GUARD.allows("Digest " + "a" * 200_000, method="PLAY", uris=[URL], now_s=0)
