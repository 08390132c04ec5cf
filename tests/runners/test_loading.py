"""What the settings make of loading."""

import pytest

from contracts.settings import read_settings
from runners.loading import load_options


@pytest.mark.parametrize(
    ("environment", "graph_rows"),
    [
        ({}, 64),
        ({"VLM_MAX_BATCH": "5"}, 5),
        ({"VLM_CUDA_GRAPHS": "off"}, 0),
    ],
)
def test_steps_are_recorded_for_the_largest_batch(
    environment: dict[str, str], graph_rows: int
) -> None:
    settings = read_settings(environment)
    assert load_options(settings, lambda _: None).graph_rows == graph_rows
