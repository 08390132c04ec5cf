"""Settings from variables: all that is wrong, at once, without values."""

import pytest

from contracts.settings import (
    DEMO_MODEL,
    Settings,
    SettingsError,
    read_settings,
    variable_name,
)


def problems(**environment: str) -> str:
    with pytest.raises(SettingsError) as caught:
        read_settings(environment)
    return str(caught.value)


def test_without_variables_there_are_defaults() -> None:
    assert read_settings({}) == Settings()
    assert read_settings({"HOME": "/x", "VLM_MODEL": "", "VLM_MAX_FRAMES": ""}) == Settings()


@pytest.mark.parametrize("field", list(Settings.model_fields))
def test_every_setting_has_a_variable_a_default_and_a_sentence(field: str) -> None:
    told = Settings.model_fields[field]
    assert variable_name(field) == f"VLM_{field.upper()}"
    assert told.description
    assert not told.is_required()


@pytest.mark.parametrize(
    ("variable", "text", "field", "value"),
    [
        ("VLM_MAX_FRAMES", "32", "max_frames", 32),
        ("VLM_REQUEST_TIMEOUT_S", "1.5", "request_timeout_s", 1.5),
        ("VLM_USAGE_DETAILS", "false", "usage_details", False),
        ("VLM_QUANTIZATION", "nf4", "quantization", "nf4"),
        ("VLM_CORS_ORIGINS", "https://a, https://b,,", "cors_origins", ("https://a", "https://b")),
        ("VLM_MODEL_ALIASES", "one", "model_aliases", ("one",)),
        ("VLM_STREAM_ALLOW", "10.0.0.0/8, cam.lan", "stream_allow", ("10.0.0.0/8", "cam.lan")),
        ("VLLM_IMAGE_FETCH_TIMEOUT", "7", "image_fetch_timeout_s", 7),
    ],
)
def test_a_variable_is_read(variable: str, text: str, field: str, value: object) -> None:
    assert getattr(read_settings({variable: text}), field) == value


def test_keys_are_secret() -> None:
    settings = read_settings({"VLM_API_KEYS": "sesame, poppy"})
    assert [key.get_secret_value() for key in settings.api_keys] == ["sesame", "poppy"]
    assert "sesame" not in repr(settings)
    assert Settings(api_keys=settings.api_keys) == settings


def test_every_wrong_variable_is_named_and_no_value_is_shown() -> None:
    told = problems(
        VLM_MAX_FRAMES="hunter2",
        VLM_QUANTIZATION="hunter2",
        VLM_REQUEST_TIMEOUT_S="-1",
        VLM_MAX_FRAME="hunter2",
        VLM_XYZZY="hunter2",
    )
    names = [problem.partition(":")[0] for problem in told.split("; ")]
    assert names == [
        "VLM_MAX_FRAME",
        "VLM_MAX_FRAMES",
        "VLM_QUANTIZATION",
        "VLM_REQUEST_TIMEOUT_S",
        "VLM_XYZZY",
    ]
    assert "did you mean VLM_MAX_FRAMES?" in told
    assert "hunter2" not in told


def test_an_alias_that_is_wrong_is_named_as_it_was_written() -> None:
    assert problems(VLLM_IMAGE_FETCH_TIMEOUT="soon").startswith("VLLM_IMAGE_FETCH_TIMEOUT: ")


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        (Settings(), "lookout-demo"),
        (Settings(model_name="mine"), "mine"),
        (Settings(model="org/Model-7B"), "Model-7B"),
        (Settings(model="/data/checkpoints/Model-7B/"), "Model-7B"),
        (Settings(model="org/Model-7B", model_name="mine"), "mine"),
        (Settings(model="/"), "/"),
    ],
)
def test_the_served_name_is_the_last_part_unless_one_is_chosen(
    settings: Settings, name: str
) -> None:
    assert settings.served_name == name


def test_the_demo_model_is_the_default() -> None:
    assert Settings().model == str(DEMO_MODEL)
