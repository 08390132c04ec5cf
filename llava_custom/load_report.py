"""What a checkpoint needs and what was loaded of it, in the log's words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from llava_custom.memory import MemoryNeed

UNITS = ("bytes", "KiB", "MiB", "GiB")


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What was loaded.

    Attributes:
        architecture: As config.json names it.
        need: What was counted before.
        attention: Transformers' name of the kernel.
        places: Bytes of weights on each device.
        measured_bytes: What the weights take.
        how_measured: How that was found out.
    """

    architecture: str
    need: MemoryNeed
    attention: str
    places: Mapping[str, int]
    measured_bytes: int
    how_measured: str

    def table(self, name: str, *, context_length: int, seconds: float) -> str:
        """A loaded model in a box of two columns.

        Args:
            name: Of the model.
            context_length: Tokens of prompt and answer together.
            seconds: It took to load.
        """
        per_token = human_size(self.need.kv_bytes_per_token)
        places = ", ".join(f"{at} ({human_size(size)})" for at, size in self.places.items())
        return boxed(
            [
                ("model", name),
                ("architecture", self.architecture),
                ("parameters", f"{self.need.num_parameters:,}"),
                ("quantization", str(self.need.scheme)),
                *((part.name, f"{part.precision}, {human_size(part.num_bytes)}")
                  for part in self.need.parts),
                ("attention", self.attention),
                ("device", places),
                ("context", f"{context_length:,} tokens of {per_token}"),
                ("weights, counted", human_size(self.need.num_bytes)),
                (f"weights, {self.how_measured}", human_size(self.measured_bytes)),
                ("loaded in", f"{seconds:.1f} s"),
            ]
        )  # fmt: skip


def human_size(num_bytes: float) -> str:
    """A number of bytes with three digits or so: ``5.94 GiB``."""
    for unit in UNITS:
        if num_bytes < 1024 or unit == UNITS[-1]:
            break
        num_bytes /= 1024
    return f"{num_bytes:.0f} {unit}" if unit in ("bytes", "KiB") else f"{num_bytes:.2f} {unit}"


def need_line(need: MemoryNeed) -> str:
    """What a network will take, part by part, and per token."""
    parts = ", ".join(
        f"{part.name} {human_size(part.num_bytes)} in {part.precision}" for part in need.parts
    )
    per_thousand = human_size(1000 * need.kv_bytes_per_token)
    total = human_size(need.num_bytes)
    return f"the weights need {total}: {parts}; 1,000 tokens in flight need {per_thousand}"


def shortage_line(
    need: MemoryNeed, free_bytes: int, place: str, others: Mapping[str, MemoryNeed]
) -> str | None:
    """What to say of weights that are larger than the room for them; ``None`` where they fit.

    Args:
        need: Of the weights as they were asked for.
        free_bytes: Room for them.
        place: Where.
        others: What they would need otherwise, by the setting that makes it so.
    """
    if need.num_bytes <= free_bytes:
        return None
    fitting = [
        f"{how} needs {human_size(other.num_bytes)}"
        for how, other in others.items()
        if other.num_bytes <= free_bytes
    ]
    advice = ", ".join(fitting) or "no quantization makes them small enough"
    return (
        f"the weights need {human_size(need.num_bytes)} and {place} has {human_size(free_bytes)} "
        f"free; {advice}"
    )


def boxed(rows: Sequence[tuple[str, str]]) -> str:
    """Rows of two cells in a box that is as wide as they are."""
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    lines = [f"│ {name:<{widths[0]}} │ {value:<{widths[1]}} │" for name, value in rows]
    rules = ["─" * (width + 2) for width in widths]
    return "\n".join(["┌" + "┬".join(rules) + "┐", *lines, "└" + "┴".join(rules) + "┘"])
