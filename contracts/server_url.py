"""The address of a server that speaks OpenAI's API, as people write it. Pure."""

from urllib.parse import urlsplit

DEFAULT_PATH = "/v1"


def parse_server_url(text: str) -> str:
    """The base URL, without a slash at its end; ``/v1`` where no path is given.

    Raises:
        ValueError: It is no http or https URL, or holds a password, a query or a fragment.
    """
    try:
        parts = urlsplit(text.strip())
        is_whole = bool(parts.scheme in ("http", "https") and parts.hostname and parts.port != 0)
    except ValueError:
        is_whole = False
    if not is_whole:
        raise ValueError("expected an address such as http://host:8000/v1")
    if parts.username is not None or parts.password is not None:
        raise ValueError("expected no password in it, VLM_OPENAI_KEY is for keys")
    if parts.query or parts.fragment:
        raise ValueError("expected no query and no fragment in it")
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/') or DEFAULT_PATH}"
