"""Digest access authentication (RFC 2617, RFC 7616), both sides of it, for HTTP and RTSP. Pure.

MD5 is what cameras and players speak; it protects the password from whoever listens, no more.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

# Without \b, a long word costs the square of its length, and strangers choose it.
PARAMETER = re.compile(r'\b(\w+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))')
NONCE_LIFE_S = 300


def parse_parameters(header: str) -> tuple[str, dict[str, str]]:
    """Scheme, lower case, and parameters of a challenge or of an answer to one."""
    scheme, _, rest = header.strip().partition(" ")
    found = PARAMETER.finditer(rest)
    return scheme.lower(), {match[1].lower(): match[2] or match[3] or "" for match in found}


def digest_answer(
    challenge: Mapping[str, str],
    *,
    method: str,
    uri: str,
    username: str,
    password: str,
    cnonce: str,
) -> str | None:
    """The ``Authorization`` that answers a challenge; ``None`` if it wants what is not spoken."""
    algorithm = challenge.get("algorithm", "MD5").upper()
    if algorithm not in ("MD5", "SHA-256"):
        return None
    has_qop = "auth" in re.split(r"[,\s]+", challenge.get("qop", ""))
    realm, nonce = challenge.get("realm", ""), challenge.get("nonce", "")
    parts = {"username": username, "realm": realm, "nonce": nonce, "uri": uri}
    extra = {"qop": "auth", "nc": "00000001", "cnonce": cnonce} if has_qop else {}
    parts["response"] = _response(parts | extra, method, password, algorithm)
    if "opaque" in challenge:
        parts["opaque"] = challenge["opaque"]
    quoted = ", ".join(f'{name}="{_escape(value)}"' for name, value in parts.items())
    plain = f", algorithm={algorithm}" if "algorithm" in challenge else ""
    if has_qop:
        plain += f', qop=auth, nc=00000001, cnonce="{cnonce}"'
    return f"Digest {quoted}{plain}"


@dataclass(frozen=True, slots=True)
class DigestGuard:
    """Asks for one user's name and any of some passwords.

    Attributes:
        secret: Signs nonces, so that none has to be remembered.
    """

    realm: str
    username: str
    passwords: tuple[str, ...]
    secret: bytes

    def challenge(self, now_s: float, *, is_stale: bool = False) -> str:
        """The ``WWW-Authenticate`` of a refusal."""
        stale = ", stale=true" if is_stale else ""
        return f'Digest realm="{self.realm}", nonce="{self._nonce(int(now_s))}"{stale}'

    def is_stale(self, header: str, now_s: float) -> bool:
        """Whether an answer is to a challenge of ours that is too old."""
        made_s = self._made_s(parse_parameters(header)[1].get("nonce", ""))
        return made_s is not None and not 0 <= now_s - made_s <= NONCE_LIFE_S

    def allows(self, header: str, *, method: str, uris: Iterable[str], now_s: float) -> bool:
        """Whether an answer proves one of the passwords, for this request.

        Args:
            header: ``Authorization`` as it came.
            method: Of the request.
            uris: What the request may call what it asks for.
            now_s: On the clock of ``challenge``.
        """
        scheme, parts = parse_parameters(header)
        made_s = self._made_s(parts.get("nonce", ""))
        if scheme != "digest" or made_s is None or not 0 <= now_s - made_s <= NONCE_LIFE_S:
            return False
        if parts.get("username") != self.username or parts.get("realm") != self.realm:
            return False
        if parts.get("uri") not in set(uris):
            return False
        given = parts.get("response", "").encode()
        expected = [_response(parts, method, one, "MD5").encode() for one in self.passwords]
        return any([hmac.compare_digest(given, one) for one in expected])

    def _nonce(self, made_s: int) -> str:
        text = f"{made_s:x}"
        return f"{text}.{hmac.new(self.secret, text.encode(), 'sha256').hexdigest()[:32]}"

    def _made_s(self, nonce: str) -> int | None:
        text = nonce.partition(".")[0]
        if not re.fullmatch("[0-9a-f]{1,16}", text):
            return None
        made_s = int(text, 16)
        return made_s if hmac.compare_digest(nonce.encode(), self._nonce(made_s).encode()) else None


def _response(parts: Mapping[str, str], method: str, password: str, algorithm: str) -> str:
    who = _hash(algorithm, f"{parts['username']}:{parts['realm']}:{password}")
    what = _hash(algorithm, f"{method}:{parts['uri']}")
    if "qop" in parts:
        middle = f"{parts['nonce']}:{parts.get('nc', '')}:{parts.get('cnonce', '')}:{parts['qop']}"
    else:
        middle = parts["nonce"]
    return _hash(algorithm, f"{who}:{middle}:{what}")


def _hash(algorithm: str, text: str) -> str:
    name = "sha256" if algorithm == "SHA-256" else "md5"
    return hashlib.new(name, text.encode(), usedforsecurity=False).hexdigest()


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')
