"""What an engine computed and may need again, each within its budget."""

from dataclasses import dataclass, field
from typing import Self

from contracts.settings import Settings
from runners.prefix_cache import PrefixCache
from runners.vision_cache import VisionCache


@dataclass(frozen=True, slots=True)
class Caches:
    """Of one model; by default they keep nothing.

    Attributes:
        features: Of pictures that were seen.
        prefixes: Keys and values of prompts that were read.
    """

    features: VisionCache = field(default_factory=VisionCache)
    prefixes: PrefixCache = field(default_factory=PrefixCache)

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Empty ones with the budgets of the settings."""
        return cls(
            VisionCache(settings.vision_cache_mb * 1_000_000),
            PrefixCache(settings.prefix_cache_mb * 1_000_000),
        )

    def clear(self) -> None:
        """Forget everything: the memory is needed elsewhere."""
        self.features.clear()
        self.prefixes.clear()
