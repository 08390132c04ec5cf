"""What ``/analyze_*`` is asked, from either kind of body.

Options may stand in ``metadata`` or beside it; the same one twice must say the same.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from api.analyze_schemas import ImageOptions, VideoOptions
from api.drafts import Draft, DraftMessage, Wanted
from api.forms import Form
from api.json_text import parse_json
from api.media_parts import WantedClip, WantedPicture, clip_source
from api.problems import request_error
from contracts.chat import TextPart
from contracts.errors import (
    ConflictingParameters,
    InvalidUrl,
    MediaKind,
    MissingMedia,
    RequestError,
    TooManyMedia,
)
from contracts.generation import SamplingParams
from contracts.media import FrameSampling, MediaSource, MediaUrl, UploadedFile
from contracts.sampling import check_sampling
from contracts.settings import Settings

OPTIONS: Mapping[MediaKind, type[ImageOptions]] = {"image": ImageOptions, "video": VideoOptions}
OTHER: Mapping[MediaKind, MediaKind] = {"image": "video", "video": "image"}
DEFAULT_MAX_TOKENS = 1024
MAX_METADATA_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class AnalyzeRequest:
    """One picture or clip, and the question about it."""

    draft: Draft
    sampling: SamplingParams
    ignored: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Fields:
    """A body of either kind, taken apart: the medium, the options, and other fields' names."""

    url: str | None
    files: Sequence[UploadedFile]
    metadata: ImageOptions
    beside: ImageOptions
    names: frozenset[str]
    unused: tuple[str, ...] = ()


def read_json_fields(value: object, kind: MediaKind, settings: Settings) -> AnalyzeRequest:
    """Read a JSON body.

    Raises:
        RequestError: Or one of its kinds, for whatever is wrong.
    """
    if not isinstance(value, dict):
        raise RequestError("body: expected an object (model_type)")
    url = value.get(f"{kind}_url")
    if url is not None and not isinstance(url, str):
        raise RequestError(f"{kind}_url: expected a string (string_type)", param=f"{kind}_url")
    beside = {name: value[name] for name in value if name not in (f"{kind}_url", "metadata")}
    metadata = value.get("metadata")
    fields = _Fields(
        url,
        (),
        _options(kind, _object(metadata), at="metadata"),
        _options(kind, beside),
        frozenset(name for name in value if value[name]),
    )
    return _request(fields, kind, settings)


def read_form_fields(form: Form, kind: MediaKind, settings: Settings) -> AnalyzeRequest:
    """Read a multipart form.

    Raises:
        RequestError: Or one of its kinds, for whatever is wrong.
    """
    texts = {name: _only(name, texts) for name, texts in form.texts.items()}
    url = texts.pop(f"{kind}_url", None)
    metadata = texts.pop("metadata", None)
    beside = {name: text for name, text in texts.items() if text or name == "prompt"}
    fields = _Fields(
        url or None,
        form.files.get(kind, ()),
        _options(kind, _object(metadata), at="metadata"),
        _options(kind, beside, is_text=True),
        frozenset([*form.texts, *form.dropped]),
        unused=(*form.dropped, *(name for name in form.files if name != kind)),
    )
    return _request(fields, kind, settings)


def _request(fields: _Fields, kind: MediaKind, settings: Settings) -> AnalyzeRequest:
    source = _source(fields, kind)
    options = _merge(kind, fields)
    default = settings.default_image_prompt
    wanted: Wanted = WantedPicture(_path(fields, kind), source)
    if isinstance(options, VideoOptions):
        default = settings.default_video_prompt
        wanted = _clip(source, options, _path(fields, kind), settings)
    prompt = options.prompt if options.prompt and options.prompt.strip() else default
    sampling = SamplingParams(
        max_tokens=min(options.max_tokens or DEFAULT_MAX_TOKENS, settings.max_new_tokens),
        temperature=options.temperature or 0.0,
        top_p=1.0 if options.top_p is None else options.top_p,
        seed=options.seed,
    )
    return AnalyzeRequest(
        (DraftMessage("user", (wanted, TextPart(prompt))),),
        sampling,
        ignored=(*fields.unused, *fields.beside.unknown_names(), *fields.metadata.unknown_names()),
    )


def _clip(source: MediaSource, options: VideoOptions, path: str, settings: Settings) -> WantedClip:
    sampling = FrameSampling(
        options.fps, options.num_frames, options.max_frames, options.start_s, options.end_s
    )
    if isinstance(source, MediaUrl):
        source, sampling = clip_source(source.url, sampling, at="", url_at=path)
    check_sampling(sampling, settings.max_frames)
    return WantedClip(path, source, sampling)


def _source(fields: _Fields, kind: MediaKind) -> MediaSource:
    if len(fields.files) > 1:
        raise TooManyMedia(f"{kind}: expected one file, {len(fields.files)} came", param=kind)
    if fields.files and fields.url:
        raise ConflictingParameters(
            f"{kind} and {kind}_url both came; send the file or the URL", param=f"{kind}_url"
        )
    if fields.files:
        return fields.files[0]
    if not fields.url:
        raise _missing(fields.names, kind)
    if ":" not in fields.url[:16]:
        message = f"{kind}_url: expected an http, https or data URL"
        raise InvalidUrl(message, kind=kind, param=f"{kind}_url")
    return MediaUrl(fields.url)


def _missing(names: Iterable[str], kind: MediaKind) -> MissingMedia:
    message = f"expected {kind} (a file, in a multipart form) or {kind}_url"
    other = OTHER[kind]
    for name in (other, f"{other}_url"):
        if name in names:
            message += f"; {name} belongs to /analyze_{other}"
            break
    return MissingMedia(message, param=f"{kind}_url")


def _options(
    kind: MediaKind, fields: Mapping[str, object], *, at: str = "", is_text: bool = False
) -> ImageOptions:
    try:
        return OPTIONS[kind].model_validate(fields, strict=not is_text)
    except ValidationError as exc:
        raise request_error(exc, at=at) from exc


def _merge(kind: MediaKind, fields: _Fields) -> ImageOptions:
    beside = _said(fields.beside)
    metadata = _said(fields.metadata)
    for name in beside.keys() & metadata.keys():
        if beside[name] != metadata[name]:
            raise ConflictingParameters(
                f"{name} and metadata.{name} say different things; send one of them", param=name
            )
    return OPTIONS[kind].model_validate(metadata | beside)


def _said(options: ImageOptions) -> dict[str, object]:
    names = options.model_fields_set & type(options).model_fields.keys()
    said = {name: getattr(options, name) for name in names}
    return {
        name: value
        for name, value in said.items()
        if value is not None and not (isinstance(value, str) and not value.strip())
    }


def _object(metadata: object) -> dict[str, object]:
    value = metadata
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if len(text.encode(errors="surrogatepass")) > MAX_METADATA_BYTES:
        message = f"metadata: expected at most {MAX_METADATA_BYTES} bytes of JSON (too_long)"
        raise RequestError(message, param="metadata")
    if isinstance(value, str):
        value = parse_json(value, param="metadata") if value.strip() else {}
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise RequestError("metadata: expected an object (model_type)", param="metadata")
    return value


def _only(name: str, texts: Sequence[str]) -> str:
    if any(text != texts[0] for text in texts):
        raise ConflictingParameters(
            f"{name} came {len(texts)} times with different values; send it once", param=name
        )
    return texts[0]


def _path(fields: _Fields, kind: MediaKind) -> str:
    return kind if fields.files else f"{kind}_url"
