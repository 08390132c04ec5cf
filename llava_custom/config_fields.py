"""The keys of a configuration file, read strictly: what cannot be run is refused by its key."""

from collections.abc import Mapping
from dataclasses import dataclass

from contracts.errors import WeightsError


@dataclass(frozen=True, slots=True)
class ConfigFields:
    """One JSON object. A null is as good as an absent key.

    Every method raises ``WeightsError`` that names the key, what it holds and what is supported.

    Attributes:
        values: Its content.
        file: Its path in the checkpoint, where there are several like it.
    """

    values: Mapping[str, object]
    file: str = ""

    def size(self, key: str, default: int | None = None) -> int:
        """A whole number above 0."""
        value = self.values.get(key)
        if value is None and default is not None:
            return default
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise self.refusal(key, "expected a whole number above 0")
        return value

    def number(self, key: str) -> float:
        """A number above 0."""
        value = self.values.get(key)
        if not isinstance(value, int | float) or value <= 0:
            raise self.refusal(key, "expected a number above 0")
        return float(value)

    def token_ids(self, key: str) -> frozenset[int]:
        """The token ids under a key that holds one id, a list of them, or nothing."""
        value = self.values.get(key)
        ids = value if isinstance(value, list) else [] if value is None else [value]
        if not all(isinstance(token_id, int) for token_id in ids):
            raise self.refusal(key, "expected a token id or a list of them")
        return frozenset(ids)

    def require(self, required: Mapping[str, object]) -> None:
        """Refuse a key that does not hold exactly this value."""
        for key, expected in required.items():
            if self.values.get(key) != expected:
                raise self.refusal(key, f"supported: {expected!r}")

    def check(self, supported: Mapping[str, tuple[object, ...]]) -> None:
        """Refuse a key that holds none of these values; it may be absent."""
        for key, allowed in supported.items():
            value = self.values.get(key)
            if value is not None and value not in allowed:
                listed = ", ".join(repr(value) for value in allowed)
                raise self.refusal(key, f"supported: {listed}")

    def refusal(self, key: str, expected: str) -> WeightsError:
        """The error that a key's value is worth."""
        where = f"{self.file}: " if self.file else ""
        return WeightsError(f"{where}{key} is {repr(self.values.get(key))[:80]}; {expected}")
