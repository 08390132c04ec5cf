import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from contracts.errors import WeightsError
from llava_custom import LoadOptions, knows, load_checkpoint, read_config
from llava_custom.llava_video_config import parse_config
from llava_custom.vila_config import VilaConfig

Config = Mapping[str, object]

EVERY_FAMILY = (
    r"^architectures is .*LlavaQwenForCausalLM \(LLaVA-Video\), LlavaLlamaModel \(VILA1.5\)"
)


def write(directory: Path, config: object) -> str:
    (directory / "config.json").write_text(json.dumps(config))
    return str(directory)


def test_a_directory_is_read_without_its_weights(tmp_path: Path, tiny_config: Config) -> None:
    (tmp_path / "config.json").write_text(json.dumps(tiny_config))
    assert read_config(str(tmp_path)) == parse_config(tiny_config)


@pytest.mark.parametrize("content", [None, "{", "[1]", b"\xff\xfe"])
def test_a_config_that_is_no_config_is_refused(tmp_path: Path, content: str | bytes | None) -> None:
    if content is not None:
        data = content if isinstance(content, bytes) else content.encode()
        (tmp_path / "config.json").write_bytes(data)
    with pytest.raises(WeightsError, match=r"config\.json"):
        read_config(str(tmp_path))


@pytest.mark.parametrize(
    "architectures",
    [
        ["Qwen2ForCausalLM"],
        ["LlavaOnevisionForConditionalGeneration"],
        "LlavaQwenForCausalLM",
        [["LlavaQwenForCausalLM"]],
        [],
        None,
    ],
)
def test_another_architecture_is_not_known_and_refused_with_those_that_are(
    tmp_path: Path, tiny_config: Config, architectures: object
) -> None:
    path = write(tmp_path, {**tiny_config, "architectures": architectures})
    assert not knows(path)
    with pytest.raises(WeightsError, match=EVERY_FAMILY):
        read_config(path)
    with pytest.raises(WeightsError, match=r"^architectures is "):
        load_checkpoint(path, LoadOptions())


def test_one_of_several_architectures_is_enough(tmp_path: Path, tiny_config: Config) -> None:
    names = ["Other", "LlavaQwenForCausalLM"]
    path = write(tmp_path, {**tiny_config, "architectures": names})
    assert knows(path)
    assert read_config(path) == parse_config(tiny_config)


def test_what_cannot_be_run_is_known_all_the_same(tmp_path: Path) -> None:
    assert knows(write(tmp_path, {"architectures": ["LlavaQwenForCausalLM"]}))


def test_vila_is_read_from_its_folders(copy_vila: Callable[[Mapping[str, Config]], Path]) -> None:
    path = str(copy_vila({}))
    assert knows(path)
    assert isinstance(read_config(path), VilaConfig)


def test_nvila_has_vila_s_architecture_and_is_refused(
    copy_vila: Callable[[Mapping[str, Config]], Path],
) -> None:
    path = str(copy_vila({"config.json": {"dynamic_s2": True}}))
    assert knows(path)
    with pytest.raises(WeightsError, match="dynamic_s2 is True; this is NVILA"):
        read_config(path)


@pytest.mark.parametrize("ask", [knows, read_config])
def test_a_checkpoint_that_is_nowhere_is_refused_by_name(
    tmp_path: Path, ask: Callable[[str], object]
) -> None:
    with pytest.raises(WeightsError, match="'absent'"):
        ask(str(tmp_path / "absent"))
