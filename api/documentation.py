"""The README's table of metrics, made from the catalogue.

``python -m api.documentation README.md`` rewrites what stands between the markers.
"""

import sys
from pathlib import Path

from api.prometheus.catalogue import CATALOGUE
from contracts.documentation import with_block


def metrics_table() -> str:
    """Every metric, its kind, its labels and its meaning."""
    rows = ["| metric | kind | labels | meaning |", "| --- | --- | --- | --- |"]
    for one in CATALOGUE:
        labels = ", ".join(f"`{label}`" for label in one.labels)
        rows.append(f"| `{one.name}` | {one.kind} | {labels} | {one.text} |")
    return "\n".join(rows)


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(with_block(path.read_text(), "metrics", metrics_table()))
