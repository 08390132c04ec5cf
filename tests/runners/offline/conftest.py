"""Files whose truth is known."""

from fractions import Fraction
from pathlib import Path

import pytest

from demo.files import Encoding, write_clip, write_image
from tests.e2e.conftest import SCENES


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip and an image of a person, and an image of nothing."""
    folder = tmp_path_factory.mktemp("files")
    write_clip(folder / "person.mp4", SCENES["person"], Encoding((320, 180), Fraction(10)))
    write_image(folder / "person.png", SCENES["person"], (320, 180))
    write_image(folder / "empty.png", SCENES["empty"], (320, 180))
    (folder / "damaged.png").write_bytes((folder / "empty.png").read_bytes()[:300])
    return folder
