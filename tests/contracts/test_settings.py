"""Settings from variables: all that is wrong, at once, without values."""

import re
from pathlib import Path

import pytest

from contracts.notify import AppriseSink, NamedSink, NotifyTarget, WebhookSink
from contracts.settings import (
    DEMO_MODEL,
    Settings,
    SettingsError,
    read_settings,
    settings_of,
    variable_name,
)

SINKS = '{"ops": {"url": "https://a/", "secret": "key"}}'


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
        ("VLM_DATA_DIR", "/srv/lookout", "data_dir", Path("/srv/lookout")),
        ("VLM_SINKS", SINKS, "sinks", {"ops": NotifyTarget(WebhookSink("https://a/", "key"))}),
        ("VLM_DEFAULT_NOTIFY", "[]", "default_notify", ()),
        ("VLM_VLLM_ARGS", '{"seed": 1}', "vllm_args", {"seed": 1}),
        (
            "VLM_DEFAULT_NOTIFY",
            '[{"apprise": "ntfy://a", "on": ["end"]}]',
            "default_notify",
            (NotifyTarget(AppriseSink("ntfy://a"), ("end",)),),
        ),
        ("VLM_QUANTIZATION", "nf4", "quantization", "nf4"),
        ("VLM_CORS_ORIGINS", "https://a, https://b,,", "cors_origins", ("https://a", "https://b")),
        ("VLM_MODEL_ALIASES", "one", "model_aliases", ("one",)),
        ("VLM_STREAM_ALLOW", "10.0.0.0/8, cam.lan", "stream_allow", ("10.0.0.0/8", "cam.lan")),
        ("VLLM_IMAGE_FETCH_TIMEOUT", "7", "image_fetch_timeout_s", 7),
    ],
)
def test_a_variable_is_read(variable: str, text: str, field: str, value: object) -> None:
    assert getattr(read_settings({variable: text}), field) == value


@pytest.mark.parametrize(
    ("url", "read"),
    [
        ("http://gpu:8000", "http://gpu:8000/v1"),
        ("https://models.example/openai/v1/", "https://models.example/openai/v1"),
        (" http://[::1]:11434/v1", "http://[::1]:11434/v1"),
    ],
)
def test_a_server_has_a_base_url(url: str, read: str) -> None:
    assert read_settings({"VLM_OPENAI_URL": url}).openai_url == read


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("gpu:8000", "an address such as"),
        ("ftp://gpu/v1", "an address such as"),
        ("http://gpu:port/v1", "an address such as"),
        ("http://me:hunter2@gpu/v1", "no password in it"),
        ("http://gpu/v1?key=hunter2", "no query"),
    ],
)
def test_another_address_is_refused_without_being_told(url: str, expected: str) -> None:
    told = problems(VLM_OPENAI_URL=url)
    assert told.startswith("VLM_OPENAI_URL: ")
    assert expected in told
    assert "hunter2" not in told


def test_a_server_without_an_address_is_named_as_its_user_writes_it() -> None:
    assert problems(VLM_RUNNER="openai") == (
        "VLM_OPENAI_URL: expected the server's address, for VLM_RUNNER is openai"
    )
    with pytest.raises(SettingsError, match=r"^openai_url: expected"):
        settings_of({"runner": "openai"})


def test_a_model_elsewhere_has_the_name_it_is_asked_for_by() -> None:
    there = {"VLM_RUNNER": "openai", "VLM_OPENAI_URL": "http://gpu"}
    assert read_settings(there).served_name == "remote"
    assert read_settings(there | {"VLM_MODEL": "Qwen/Qwen2.5-VL-7B"}).served_name == "Qwen2.5-VL-7B"


def test_keys_are_secret() -> None:
    assert "sesame" not in repr(read_settings({"VLM_OPENAI_KEY": "sesame"}))
    settings = read_settings({"VLM_API_KEYS": "sesame, poppy"})
    assert [key.get_secret_value() for key in settings.api_keys] == ["sesame", "poppy"]
    assert "sesame" not in repr(settings)
    assert Settings(api_keys=settings.api_keys) == settings


def test_named_sinks_may_be_told_by_default_and_are_not_shown() -> None:
    settings = read_settings({"VLM_SINKS": SINKS, "VLM_DEFAULT_NOTIFY": '["ops"]'})
    assert settings.default_notify == (NotifyTarget(NamedSink("ops")),)
    shown = re.sub("api_keys|openai_key|_keepalive_s", "", repr(settings))
    assert "key" not in shown
    assert "https://a" not in repr(settings)
    secret_url = read_settings({"VLM_DATABASE_URL": "postgresql://u:hunter2@h/d"})
    assert "hunter2" not in repr(secret_url)


@pytest.mark.parametrize(
    ("variable", "text", "needle"),
    [
        ("VLM_SINKS", "hunter2", "expected JSON"),
        ("VLM_SINKS", '["hunter2"]', "expected an object"),
        ("VLM_SINKS", '{"a": "hunter2"}', "not names"),
        ("VLM_SINKS", '{"a": {"uri": "hunter2"}}', "expected a name"),
        ("VLM_DEFAULT_NOTIFY", '{"hunter2": 1}', "expected a list"),
        ("VLM_DEFAULT_NOTIFY", '["hunter2"]', "VLM_SINKS does not have"),
        ("VLM_DEFAULT_NOTIFY", '[{"url": "hunter2"}]', "expected a URL"),
    ],
)
def test_wrong_sinks_are_told_without_their_values(variable: str, text: str, needle: str) -> None:
    told = problems(**{variable: text})
    assert told.startswith(f"{variable}: ")
    assert needle in told
    assert "hunter2" not in told


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


def test_values_are_taken_under_the_names_of_fields() -> None:
    assert settings_of({}) == Settings()
    chosen = settings_of({"max_frames": 16, "media_allow": ("10.0.0.0/8",)})
    assert chosen == Settings(max_frames=16, media_allow=("10.0.0.0/8",))


def test_all_wrong_values_are_told_by_the_names_of_fields() -> None:
    with pytest.raises(SettingsError) as caught:
        settings_of({"max_frames": "secret", "max_frame": 4, "vision_chunk": 0})
    problems = str(caught.value)
    assert "max_frames: " in problems
    assert "max_frame: no such setting, did you mean max_frames?" in problems
    assert "vision_chunk: " in problems
    assert "secret" not in problems
