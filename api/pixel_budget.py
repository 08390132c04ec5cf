"""The memory that decoded pixels take, of all requests together, and whose turn it is for more.

One ``PixelBudget`` belongs to one app. Not thread-safe: one event loop.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from api.deps import Deps
from contracts.errors import TooManyMedia

MB = 1 << 20


class PixelBudget:
    """Claims on ``VLM_MEDIA_MEMORY_MB``, in the order in which their requests came.

    Together they never take more. One request takes half of it at most, and all that came after
    the oldest that still reads get room only while everybody's pixels fit into one half. So the
    other half is there for the oldest: it never waits for one that reads as well, only for answers
    on their way, and these end. A request that ends, or has read its media, makes the next the
    oldest; each has its turn.
    """

    def __init__(self, deps: Callable[[], Deps]) -> None:
        self._deps = deps
        self._claims: list[PixelClaim] = []
        self._change = asyncio.Event()

    def claim(self) -> "PixelClaim":
        """The claim of a request that begins to read; whoever takes it closes it."""
        claim = PixelClaim(self, self._deps().settings.media_memory_mb * MB)
        self._claims.append(claim)
        return claim

    def has_room(self, claim: "PixelClaim", num_bytes: int) -> bool:
        """Whether it is this claim's turn for so many bytes more."""
        oldest = next((one for one in self._claims if one.is_reading), claim)
        limit = claim.budget_bytes if claim is oldest else claim.max_bytes
        return sum(one.num_bytes for one in self._claims) + num_bytes <= limit

    def drop(self, claim: "PixelClaim") -> None:
        """Forget a claim and its pixels."""
        if claim in self._claims:
            self._claims.remove(claim)
        self.tell()

    def tell(self) -> None:
        """Wake whoever waits for room."""
        self._change.set()
        self._change = asyncio.Event()

    async def change(self) -> None:
        """Wait until there may be more room."""
        await self._change.wait()


class PixelClaim:
    """What one request holds; implements ``contracts.media.PixelClaim``.

    Attributes:
        budget_bytes: What all requests may hold.
        is_reading: Whether it may want more.
    """

    def __init__(self, budget: PixelBudget, budget_bytes: int) -> None:
        self.budget_bytes = budget_bytes
        self.is_reading = True
        self._budget = budget
        self._held_bytes = 0
        self._decoding_bytes = 0

    @property
    def max_bytes(self) -> int:
        """What one request may hold."""
        return self.budget_bytes // 2

    @property
    def num_bytes(self) -> int:
        """What it holds, and what its decoders may yet hand over."""
        return self._held_bytes + self._decoding_bytes

    @asynccontextmanager
    async def room(self, most_bytes: int) -> AsyncIterator[None]:
        """Wait for the room that a decoder's pixels may take, and keep it free meanwhile."""
        while not self._fits(most_bytes):
            await self._budget.change()
        part = min(most_bytes, self.max_bytes - self.num_bytes)
        self._decoding_bytes += part
        try:
            yield
        finally:
            self._decoding_bytes -= part
            self._budget.tell()

    def hold(self, num_bytes: int) -> None:
        """Count pixels that were decoded.

        Raises:
            TooManyMedia: They are more than one request may hold.
        """
        held_bytes = self._held_bytes + num_bytes
        if held_bytes > self.max_bytes:
            raise TooManyMedia(
                f"the pixels of this request take {-(-held_bytes // MB)} MB or more; expected at"
                f" most {self.max_bytes / MB:g} MB, half of VLM_MEDIA_MEMORY_MB: send fewer"
                " pictures, or set max_pixel"
            )
        self._held_bytes = held_bytes

    def stop_reading(self) -> None:
        """All that the request wants is read."""
        self.is_reading = False
        self._budget.tell()

    def close(self) -> None:
        """Give everything back."""
        self._budget.drop(self)

    def _fits(self, most_bytes: int) -> bool:
        left_bytes = self.max_bytes - self.num_bytes
        if most_bytes > left_bytes and self._decoding_bytes:
            return False  # its own decoders, once done, take less than they might have
        return self._budget.has_room(self, min(most_bytes, left_bytes))
