import pytest

from runners.model_root import model_root


@pytest.mark.parametrize(
    ("model", "root"),
    [
        ("org/name", "org/name"),
        ("llava:7b", "llava:7b"),
        ("/models/org/name/", "name"),
        ("./name", "name"),
        ("../models/name", "name"),
        ("a/b/c", "c"),
    ],
)
def test_an_id_is_told_and_a_path_is_not(model: str, root: str) -> None:
    assert model_root(model) == root
