"""Tensors of a checkpoint against tensors of a network: names, and shapes before loading.

``from_pretrained`` leaves random weights where a name does not match, and takes any shape for a
layer that it quantises; so every header is compared first, and what was loaded is checked again.
"""

from collections.abc import Callable, Collection, Iterable, Mapping

from contracts.errors import WeightsError
from llava_custom.checkpoint import Shapes

MAX_LISTED = 8


def renamed(key: str, prefixes: Iterable[tuple[str, str]]) -> str:
    """The name in the checkpoint of a tensor of the network.

    Args:
        key: Its name in the network.
        prefixes: How names begin: in the checkpoint, in the network. Other names are the same.
    """
    for theirs, ours in prefixes:
        if key.startswith(ours):
            return theirs + key.removeprefix(ours)
    return key


def check_shapes(shapes: Shapes, expected: Shapes, optional: Collection[str] = ()) -> None:
    """Refuse weights that are not exactly the network's.

    Args:
        shapes: Of every tensor in the checkpoint.
        expected: Of every tensor in the network, by its name in the checkpoint.
        optional: Those that may be absent.

    Raises:
        WeightsError: Names tensors too many, too few or of a wrong shape.
    """
    wrong = [
        f"{name} {shape} instead of {expected[name]}"
        for name, shape in shapes.items()
        if shape != expected.get(name, shape)
    ]
    missing = expected.keys() - shapes.keys() - set(optional)
    _refuse(missing, shapes.keys() - expected.keys(), wrong)


def check_loaded(loaded: Mapping[str, Iterable[str]], name: Callable[[str], str]) -> None:
    """Refuse what ``from_pretrained`` reports as not loaded.

    Args:
        loaded: Its report.
        name: The name in the checkpoint of a tensor of the network.

    Raises:
        WeightsError: Names the tensors.
    """
    _refuse(map(name, loaded["missing_keys"]), map(name, loaded["unexpected_keys"]), ())


def _refuse(missing: Iterable[str], unexpected: Iterable[str], wrong: Iterable[str]) -> None:
    problems = {
        "missing": sorted(missing),
        "unexpected": sorted(unexpected),
        "of a wrong shape": sorted(wrong),
    }
    listed = [f"{what}: {_listed(names)}" for what, names in problems.items() if names]
    if listed:
        raise WeightsError(f"tensors do not match the architecture; {'; '.join(listed)}")


def _listed(names: list[str]) -> str:
    rest = len(names) - MAX_LISTED
    return ", ".join(names[:MAX_LISTED]) + (f" and {rest} more" if rest > 0 else "")
