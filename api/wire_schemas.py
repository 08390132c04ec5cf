"""What all wire schemas share: strict types, null means absent, unknown fields are kept apart."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Annotated
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field

MAX_IGNORED = 16
MAX_NAME_CHARS = 128

INT64_MAX = 2**63 - 1  # greater counts mean nothing, and no float need hold them

Count = Annotated[int, Field(ge=1, le=INT64_MAX)]
Fps = Annotated[float, Field(gt=0, le=120)]
Seconds = Annotated[float, Field(ge=0)]
Temperature = Annotated[float, Field(ge=0, le=2)]
Share = Annotated[float, Field(gt=0, le=1)]
Seed = Annotated[int, Field(ge=-INT64_MAX - 1, le=INT64_MAX)]


class WireSchema(BaseModel):
    """Anything that a client sends as JSON."""

    model_config = ConfigDict(
        strict=True, extra="allow", allow_inf_nan=False, hide_input_in_errors=True
    )

    def unknown_names(self) -> Iterator[str]:
        """The fields that came, and that the schema does not have."""
        yield from self.model_extra or {}


def ignored_header(names: Iterable[str]) -> dict[str, str]:
    """The header that names what was not used: no header for no name, at most 16 names."""
    told = islice(dict.fromkeys(filter(None, names)), MAX_IGNORED)
    safe = [quote(name[:MAX_NAME_CHARS], safe="[]")[:MAX_NAME_CHARS] for name in told]
    return {"x-ignored-parameters": ", ".join(safe)} if safe else {}
