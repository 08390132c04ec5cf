"""Which files ``file:`` URLs may name."""

import os
from pathlib import Path

import pytest

from contracts.errors import InvalidUrl, UrlNotAllowed
from media.folder import MediaFolder, is_file_url


@pytest.fixture
def folder(tmp_path: Path) -> MediaFolder:
    """A directory with a file, beside another directory with one."""
    for name in ("media", "other", "media-2"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a b.png").write_bytes(name.encode())
    (tmp_path / "media" / "below").mkdir()
    (tmp_path / "media" / "below" / "inside.png").symlink_to("../a b.png")
    (tmp_path / "media" / "outside.png").symlink_to(tmp_path / "other" / "a b.png")
    (tmp_path / "media" / "way-out").symlink_to(tmp_path / "other")
    (tmp_path / "media" / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "media" / "pipe")
    return MediaFolder(tmp_path / "media")


@pytest.mark.parametrize(
    "url",
    [
        "file:a%20b.png",
        "file:a b.png",
        "FILE:./below/../a%20b.png",
        "file:below/inside.png",
        "file://{root}/a%20b.png",
        "file://localhost{root}/a%20b.png",
        " file:{root}/a%20b.png ",
    ],
)
def test_a_file_below_the_directory_is_opened(folder: MediaFolder, url: str) -> None:
    url = url.replace("{root}", str(folder.root))
    assert is_file_url(url)
    with folder.open(url, "image") as file:
        assert file.read() == b"media"


@pytest.mark.parametrize(
    "url",
    [
        "file:../other/a%20b.png",
        "file:%2e%2e/other/a%20b.png",
        "file:outside.png",
        "file:way-out/a%20b.png",
        "file:way-out/../secret",
        "file:{root}-2/a%20b.png",
        "file:///etc/passwd",
        "file:///etc/there-is-no-such-file",
        "file:///",
    ],
)
def test_a_place_outside_is_refused_whatever_is_there(folder: MediaFolder, url: str) -> None:
    with pytest.raises(UrlNotAllowed, match="inside the media directory"):
        folder.open(url.replace("{root}", str(folder.root)), "image")


@pytest.mark.parametrize(
    "url",
    [
        "file:",
        "file:none.png",
        "file:below",
        "file:pipe",
        "file:loop",
        "file:a%00b",
        "file:" + "x" * 5000,
        "file://host/a%20b.png",
        "file:a%20b.png?x",
        "file:a%20b.png#x",
    ],
)
def test_what_is_no_file_of_it_is_refused(folder: MediaFolder, url: str) -> None:
    with pytest.raises(InvalidUrl, match="expected") as caught:
        folder.open(url, "image")
    assert str(folder.root) not in caught.value.message
