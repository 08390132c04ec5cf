"""Which runner the settings open."""

import importlib.util
import subprocess
import sys

import pytest

from contracts.errors import WeightsError
from contracts.settings import Settings, SettingsError
from runners.openai_runner import OpenAIRunner
from runners.opening import open_runner
from runners.transformers_runner import TransformersRunner

HAS_VLLM = importlib.util.find_spec("vllm") is not None


async def test_the_runner_is_the_one_of_the_settings() -> None:
    ours, far = (
        open_runner(Settings.model_validate(fields))
        for fields in ({}, {"runner": "openai", "openai_url": "http://127.0.0.1:9"})
    )
    assert isinstance(ours, TransformersRunner)
    assert isinstance(far, OpenAIRunner)
    await ours.close()
    await far.close()


@pytest.mark.skipif(HAS_VLLM, reason="vllm is installed")
def test_without_vllm_it_says_how_to_install_it() -> None:
    with pytest.raises(SettingsError, match=r"^VLM_RUNNER: .*pip install vllm==\d"):
        open_runner(Settings(runner="vllm"))


@pytest.mark.skipif(not HAS_VLLM, reason="vllm is not installed; it is optional")
def test_vllm_refuses_what_it_cannot_run() -> None:
    with pytest.raises(WeightsError, match="VLM_RUNNER=transformers"):
        open_runner(Settings(runner="vllm"))
    with pytest.raises(SettingsError, match="VLM_QUANTIZATION"):
        open_runner(Settings(runner="vllm", quantization="int8"))


def test_a_model_elsewhere_needs_no_torch_here() -> None:
    code = (
        "import sys, runners.openai_runner; assert not {'torch', 'transformers'} & {*sys.modules}"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
