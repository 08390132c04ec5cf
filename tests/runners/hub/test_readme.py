from pathlib import Path

from runners.hub import ARCHITECTURES

README = Path(__file__).resolve().parents[3] / "README.md"


def test_every_architecture_stands_in_the_readme() -> None:
    text = README.read_text()
    assert [name for name in ARCHITECTURES if f"`{name}`" not in text] == []
