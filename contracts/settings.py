"""All settings, read from variables that begin with ``VLM_``.

Every bad variable is reported at once, by the name its user wrote, never with its value. The README
table is made from this class. Knows nothing of who uses a setting.
"""

import difflib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from contracts.notify import NamedSink, NotifyTarget, parse_target
from contracts.server_url import parse_server_url

PREFIX = "VLM_"
ALIASES = {"VLLM_IMAGE_FETCH_TIMEOUT": "image_fetch_timeout_s"}
DEMO_MODEL = Path(__file__).resolve().parent.parent / "demo" / "model"


class SettingsError(ValueError):
    """One or more variables are wrong; the message names each."""


class Settings(BaseModel):
    """What the person who runs Lookout can choose."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, protected_namespaces=()
    )

    model: str = Field(
        default=str(DEMO_MODEL),
        description="Checkpoint: a directory or a hub id; default demo. With openai its name at"
        " that server; default: the first there",
    )
    model_name: str = Field(default="", description="Name in replies; default: last part of MODEL")
    model_aliases: tuple[str, ...] = Field(
        default=("model", "default", "google/gemma-3-4b-it", "llava-hf/llava-1.5-7b-hf"),
        description="Other names that requests may use, comma-separated",
    )
    runner: Literal["transformers", "vllm", "openai"] = Field(
        default="transformers",
        description="What runs the model; openai: a server that speaks OpenAI's API",
    )
    tensor_parallel: int = Field(
        default=1, ge=1, description="GPUs that vllm splits the weights' matrices over"
    )
    vllm_args: Mapping[str, object] = Field(
        default={},
        description='More arguments of vLLM\'s engine, JSON: {"max_model_len": 8192}',
    )
    openai_url: str = Field(
        default="",
        validate_default=True,
        description="Base URL of that server, such as http://host:8000/v1",
    )
    openai_key: SecretStr = Field(default=SecretStr(""), description="Key that it wants")
    openai_clips: Literal["auto", "images", "video"] = Field(
        default="auto",
        description="How it gets clips: as pictures with their times, or as video_url;"
        " auto: video_url for another Lookout",
    )
    openai_frame_px: int = Field(
        default=768, ge=16, description="Longest side of a clip's frame that it gets, pixels"
    )
    openai_jpeg_quality: int = Field(
        default=90, ge=1, le=100, description="Quality of the pictures that it gets"
    )
    openai_concurrency: int = Field(
        default=32, ge=1, description="Requests sent to it at a time; others wait (MAX_QUEUE)"
    )
    quantization: Literal["none", "nf4", "int8"] = Field(
        default="none",
        description="nf4 or int8 for the language model's layers; none: as the checkpoint has them",
    )
    double_quant: bool = Field(
        default=True, description="Whether nf4 quantises its scales too: 0.37 bits less per weight"
    )
    attention: Literal["auto", "sdpa", "flash_attention_2", "eager"] = Field(
        default="auto", description="Attention kernel; auto takes flash-attn where it is installed"
    )
    device: str = Field(default="auto", description="cpu, cuda, cuda:1, ...; auto: CUDA if present")
    device_map: Literal["single", "auto"] = Field(
        default="single", description="auto spreads the weights over all GPUs instead of DEVICE"
    )
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = Field(
        default="auto", description="Compute type; auto: bfloat16 on CUDA, float32 on CPU"
    )
    cuda_graphs: Literal["auto", "off"] = Field(
        default="auto",
        description="On CUDA, decode steps as graphs: auto records and tries them while the model"
        " loads, and uses those that are right and faster",
    )
    vision_chunk: int = Field(
        default=16, ge=1, le=1024, description="Pictures the vision tower takes at once"
    )
    vision_cache_mb: int = Field(
        default=256,
        ge=0,
        description="Device memory for what the vision tower saw lately, MB; 0: sees all again",
    )
    prefix_cache_mb: int = Field(
        default=512,
        ge=0,
        description="Device memory for keys and values of prompts that were read lately, MB;"
        " 0: reads all again",
    )
    decoder: Literal["pyav", "decord"] = Field(
        default="pyav", description="Library that decodes videos"
    )
    api_keys: tuple[SecretStr, ...] = Field(
        default=(), description="Keys that clients must send, comma-separated; empty: none needed"
    )
    cors_origins: tuple[str, ...] = Field(
        default=(), description="Origins of pages that may call, comma-separated"
    )
    media_allow: tuple[str, ...] = Field(
        default=(),
        description="Hosts and networks whose media may be fetched though they are not public",
    )
    default_video_prompt: str = Field(
        default="Describe what happens in this video.",
        description="Prompt of /analyze_video when none is sent",
    )
    default_image_prompt: str = Field(
        default="Describe this image.", description="Prompt of /analyze_image when none is sent"
    )
    usage_details: bool = Field(
        default=True, description="Whether usage of chat replies has more than the three totals"
    )
    max_upload_mb: int = Field(default=512, ge=1, description="Multipart body, MB")
    max_json_mb: int = Field(default=64, ge=1, description="JSON body, MB")
    max_video_mb: int = Field(default=512, ge=1, description="One video, MB")
    max_image_mb: int = Field(default=20, ge=1, description="One picture, MB")
    max_image_pixels: int = Field(default=50_000_000, ge=1, description="Pixels of one picture")
    max_frame_pixels: int = Field(
        default=35_389_440, ge=1, description="Pixels of one video frame (8192x4320)"
    )
    max_frames: int = Field(
        default=64, ge=1, le=1024, description="Frames one clip may give the model"
    )
    max_images: int = Field(default=32, ge=0, description="Pictures in one request")
    max_videos: int = Field(default=4, ge=0, description="Clips in one request")
    max_new_tokens: int = Field(default=4096, ge=1, description="Generated tokens per choice")
    max_n: int = Field(default=8, ge=1, description="Choices of one request")
    max_queue: int = Field(default=64, ge=0, description="Requests that may wait")
    max_batch: int = Field(
        default=64, ge=1, le=1024, description="Answers that are written at a time"
    )
    kv_cache_mb: int = Field(
        default=0,
        ge=0,
        description="Memory of keys and values of running requests, MB; 0: half of what is free"
        " on the device once the model is loaded",
    )
    max_uploads: int = Field(default=8, ge=1, description="Bodies received at a time")
    request_timeout_s: float = Field(
        default=300,
        gt=0,
        le=840,
        description="Seconds from the last byte of the body to the last token",
    )
    image_fetch_timeout_s: float = Field(
        default=5,
        gt=0,
        description="Seconds for the download of a picture; also VLLM_IMAGE_FETCH_TIMEOUT",
    )
    video_fetch_timeout_s: float = Field(
        default=60, gt=0, description="Seconds for the download of a video"
    )
    decode_timeout_s: float = Field(
        default=60, gt=0, description="Seconds for one decoder, wall and processor"
    )
    decode_memory_mb: int = Field(default=2048, ge=256, description="Memory of one decoder, MB")
    media_memory_mb: int = Field(
        default=1024,
        ge=64,
        description="Decoded pixels of all requests together, MB; one request may hold half",
    )
    decoded_cache_mb: int = Field(
        default=128,
        ge=0,
        description="Decoded pixels that are kept for media that come again, MB; 0: decodes again",
    )
    max_streams: int = Field(default=8, ge=1, description="Live streams")
    max_viewers: int = Field(
        default=16, ge=1, description="Previews of live streams that may be open, RTSP included"
    )
    rtsp_port: int = Field(
        default=0,
        ge=0,
        le=65535,
        description="Port of rtsp://HOST:PORT/out, live streams for players; 0: none",
    )
    stream_allow: tuple[str, ...] = Field(
        default=("*",), description="Hosts and networks of RTSP cameras, comma-separated; *: all"
    )
    stream_root: str = Field(
        default="", description="Directory whose files may be live streams; empty: none may"
    )
    stream_fps: float = Field(
        default=4,
        ge=0.1,
        le=30,
        description="Frames per second kept of a live stream that does not say",
    )
    stream_stale_s: float = Field(
        default=10,
        gt=0,
        description="Age at which a live stream's newest frame is not now any more",
    )
    stream_lost_s: float = Field(
        default=30, gt=0, description="Seconds after which a stalled live stream counts as lost"
    )
    ring_seconds: float = Field(
        default=60, gt=0, le=3600, description="Look-back that a live stream keeps, seconds"
    )
    ring_mb: int = Field(
        default=96,
        ge=32,
        description="Memory of one live stream's look-back, MB; what does not fit leaves early",
    )
    sse_keepalive_s: float = Field(
        default=10, gt=0, description="Silence on an event stream before a comment is sent"
    )
    data_dir: Path = Field(
        default=Path("data"), description="Directory of the database and of evidence files"
    )
    database_url: str = Field(
        default="",
        repr=False,
        description="SQLAlchemy URL, such as postgresql+psycopg://user:password@host/name;"
        " empty: SQLite in VLM_DATA_DIR",
    )
    public_url: str = Field(
        default="", description="Where clients reach this service; links in events begin with it"
    )
    metrics_public: bool = Field(
        default=False, description="/metrics without a key, though texts of rules are in it"
    )
    max_rules: int = Field(default=64, ge=0, description="Alert rules")
    max_feeds: int = Field(default=64, ge=1, description="Event feeds that may be open")
    known_mass: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="Least likelihood of yes and no together for a look to count as known",
    )
    still_look_s: float = Field(
        default=30,
        ge=0,
        le=30,  # after a minute without a known look a rule counts as not evaluated
        description="Seconds after which a picture that has not changed is judged again;"
        " 0: every time",
    )
    jps_cooldown_s: float = Field(
        default=60, ge=0, le=86400, description="Cooldown of the rules of /api/v1/alerts, seconds"
    )
    sinks: Mapping[str, NotifyTarget] = Field(
        default={},
        description='Named sinks, JSON: {"ops": {"url": "https://...", "secret": "whsec_..."},'
        ' "phone": {"apprise": "ntfy://..."}}, each perhaps with "on"',
    )
    default_notify: tuple[NotifyTarget, ...] = Field(
        default=(), description='Who is told when a rule does not say, JSON: ["ops"]'
    )
    event_retention_days: float = Field(default=30, gt=0, description="Days that events are kept")
    evidence_max_mb: int = Field(
        default=2048, ge=0, description="Pictures and clips of events, MB; the oldest go first"
    )
    clip_pre_s: float = Field(
        default=5, ge=0, description="Seconds before an event began in its clip"
    )
    clip_post_s: float = Field(
        default=5, ge=0, description="Seconds after an event began in its clip"
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="Least severe log lines that are written"
    )

    @field_validator(
        "model_aliases", "cors_origins", "media_allow", "api_keys", "stream_allow", mode="before"
    )
    @classmethod
    def _split_commas(cls, text: object) -> object:
        if isinstance(text, str):
            return tuple(part.strip() for part in text.split(",") if part.strip())
        return text

    @field_validator("vllm_args", mode="before")
    @classmethod
    def _parse_arguments(cls, text: object) -> object:
        return _parse_json(text) if isinstance(text, str) else text

    @field_validator("openai_key")
    @classmethod
    def _check_key(cls, key: SecretStr) -> SecretStr:
        text = key.get_secret_value()
        if not (text.isascii() and text.isprintable()) or " " in text:
            raise ValueError("expected ASCII letters, digits and signs, without spaces")
        return key

    @field_validator("openai_url")
    @classmethod
    def _check_server(cls, text: str, info: ValidationInfo) -> str:
        if text:
            return parse_server_url(text)
        if info.data.get("runner") == "openai":
            raise ValueError("expected the server's address, for VLM_RUNNER is openai")
        return text

    @field_validator("sinks", mode="before")
    @classmethod
    def _parse_sinks(cls, text: object) -> object:
        if not isinstance(text, str):
            return text
        entries = _parse_json(text)
        if not isinstance(entries, dict):
            raise ValueError("expected an object: name to sink")
        sinks = {name: parse_target(entry) for name, entry in entries.items()}
        if any(isinstance(target.sink, NamedSink) for target in sinks.values()):
            raise ValueError("expected objects with url or apprise, not names")
        return sinks

    @field_validator("default_notify", mode="before")
    @classmethod
    def _parse_default_notify(cls, text: object) -> object:
        if not isinstance(text, str):
            return text
        entries = _parse_json(text)
        if not isinstance(entries, list):
            raise ValueError("expected a list of names and sinks")
        return tuple(parse_target(entry) for entry in entries)

    @field_validator("default_notify")
    @classmethod
    def _check_names(
        cls, targets: tuple[NotifyTarget, ...], info: ValidationInfo
    ) -> tuple[NotifyTarget, ...]:
        names = {target.sink.name for target in targets if isinstance(target.sink, NamedSink)}
        if "sinks" in info.data and not names <= info.data["sinks"].keys():
            raise ValueError("names a sink that VLM_SINKS does not have")
        return targets

    @property
    def served_name(self) -> str:
        """The model's name in replies."""
        if self.model == str(DEMO_MODEL):
            return self.model_name or ("remote" if self.runner == "openai" else "lookout-demo")
        return self.model_name or Path(self.model).name or self.model


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Read the settings from variables; an empty variable counts as not set.

    Raises:
        SettingsError: Names every variable that is wrong or unknown, without values.
    """
    fields = ALIASES | {variable_name(field): field for field in Settings.model_fields}
    unknown = [name for name in environment if name.startswith(PREFIX) and name not in fields]
    given = {fields[name]: name for name in fields if environment.get(name)}
    values = {field: environment[given[field]] for field in given}
    return _checked(
        values,
        lambda field: given.get(field, variable_name(field)),
        [_unknown(name, fields) for name in unknown],
    )


def settings_of(values: Mapping[str, object]) -> Settings:
    """The settings of these values, each under its field's name.

    Raises:
        SettingsError: Names every field that is wrong or unknown, without values.
    """
    fields = Settings.model_fields
    known = {name: values[name] for name in values if name in fields}
    unknown = [_unknown(name, fields) for name in values if name not in fields]
    return _checked(known, lambda field: field, unknown)


def variable_name(field: str) -> str:
    """The variable that sets a field."""
    return PREFIX + field.upper()


def _checked(
    values: Mapping[str, object], name_of: Callable[[str], str], problems: Sequence[str]
) -> Settings:
    """The settings, unless there are problems; ``name_of`` is how their user calls a field."""
    try:
        settings = Settings.model_validate(values)
    except ValidationError as exc:
        wrong = [f"{name_of(str(e['loc'][0]))}: {_sentence(e['msg'])}" for e in exc.errors()]
        raise SettingsError("; ".join(sorted([*problems, *wrong]))) from None
    if problems:
        raise SettingsError("; ".join(sorted(problems)))
    return settings


def _sentence(message: str) -> str:
    """What pydantic says, as the rest of a sentence."""
    message = message.removeprefix("Value error, ")
    return message[:1].lower() + message[1:]


def _parse_json(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        raise ValueError("expected JSON") from None


def _unknown(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"{name}: no such setting" + (f", did you mean {near[0]}?" if near else "")
