"""Every error a caller can meet, one class for each code.

ServiceError
  RequestError
    InvalidJson
    BodyStopped
    UnsupportedParameter
    UnsupportedValue
    ConflictingParameters
    ContextLengthExceeded
    MissingMedia
    TooManyMedia
    TooManyFrames
    EmptyTimeRange
    MediaError
      UrlNotAllowed
      InvalidUrl
      DownloadFailed
      InvalidBase64
      EmptyFile
      UnsupportedMediaType
      ParseError
      PictureTooLarge
      DecodeLimit
      FileTooLarge
    RequestTooLarge
    StreamUrlNotAllowed
    SinkNotAllowed
    Unauthorized
    OriginNotAllowed
    NotFound
      ModelNotFound
      StreamNotFound
      RuleNotFound
      EventNotFound
      EvidenceNotFound
    StreamExists
    StreamLimitReached
    StreamConnectFailed
    RuleExists
    RuleLimitReached
    EvidenceGone
    MethodNotAllowed
    UnsupportedContentType
    RangeNotSatisfiable
  CapacityError
    QueueFull
    ModelLoading
    ModelUnavailable
    ShuttingDown
    StreamNoFreshFrame
    StorageUnavailable
    TooManyViewers
  RunnerError
    WeightsError
    OutOfMemory
    RequestTimeout
  SourceError
    SourceUnreachable
    SourceUnauthorized
    SourceStalled
    SourceEnded
    SourceUnsupported
    SourceNotPermitted
  DeliveryError

A message says what was expected, what came and what to do. It never holds a credential, a local
path or a resolved address.
"""

from typing import ClassVar, Literal

MediaKind = Literal["image", "video"]


class ServiceError(Exception):
    """Something went wrong that has a status, a code and a sentence for the caller.

    Attributes:
        status: HTTP status.
        code: Stable name of what happened, documented in the README.
        is_retryable: Whether the same request may succeed later.
        param: Path of the field that is wrong, where there is one.
        retry_after_s: Whole seconds to wait, 1 to 60, where waiting helps.
        ends_connection: Whether nothing more is expected from this client.
    """

    status: ClassVar[int] = 500
    code: str = "server_error"
    is_retryable: bool = False
    retry_after_s: int | None = None
    ends_connection: ClassVar[bool] = False

    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param

    @property
    def type(self) -> str:
        """The error's class in OpenAI's terms."""
        if self.status == 429:
            return "rate_limit_error"
        return "invalid_request_error" if self.status < 500 else "server_error"


class RequestError(ServiceError):
    """The request is not valid; the caller can mend it."""

    status = 400
    code = "invalid_request"


class InvalidJson(RequestError):
    """The body, or a field that must hold JSON, does not parse."""

    code = "invalid_json"


class BodyStopped(RequestError):
    """The body stopped coming before its end."""

    ends_connection = True


class UnsupportedParameter(RequestError):
    """A field is known, and not implemented."""

    code = "unsupported_parameter"


class UnsupportedValue(RequestError):
    """A field is implemented, this value of it is not."""

    code = "unsupported_value"


class ConflictingParameters(RequestError):
    """Two fields say different things; the message has both."""

    code = "conflicting_parameters"


class ContextLengthExceeded(RequestError):
    """The prompt leaves no room for one token of answer."""

    code = "context_length_exceeded"


class MissingMedia(RequestError):
    """Neither a file nor a URL came where one is needed."""

    code = "missing_media"


class TooManyMedia(RequestError):
    """More pictures or clips than one request may hold."""

    code = "too_many_media"


class TooManyFrames(RequestError):
    """More frames were asked for than a clip may give."""

    code = "too_many_frames"


class EmptyTimeRange(RequestError):
    """The asked span of time holds no frame."""

    code = "empty_time_range"


class MediaError(RequestError):
    """A picture or a video cannot be used.

    ``code_of_kind`` is the code with ``{kind}`` where the kind of medium belongs.
    """

    code_of_kind: ClassVar[str]

    def __init__(self, message: str, *, kind: MediaKind, param: str | None = None) -> None:
        super().__init__(message, param=param)
        self.kind: MediaKind = kind
        self.code = self.code_of_kind.format(kind=kind)


class UrlNotAllowed(MediaError):
    """The scheme or the address of a URL is outside the rules."""

    code_of_kind = "url_not_allowed"


class InvalidUrl(MediaError):
    """Not a URL, too long, redirected too often, or the host says there is no such thing."""

    code_of_kind = "invalid_{kind}_url"


class DownloadFailed(MediaError):
    """The other host did not deliver."""

    code_of_kind = "failed_to_download_{kind}"


class InvalidBase64(MediaError):
    """A data URL or bare base64 does not decode."""

    code_of_kind = "invalid_base64_{kind}"


class EmptyFile(MediaError):
    """The file has zero bytes."""

    code_of_kind = "empty_{kind}_file"


class UnsupportedMediaType(MediaError):
    """The content is none of the accepted formats."""

    code_of_kind = "unsupported_{kind}_media_type"


class ParseError(MediaError):
    """The file is damaged, has no picture in it, or its decoder died on it."""

    code_of_kind = "{kind}_parse_error"


class PictureTooLarge(MediaError):
    """A picture or a frame has more pixels than allowed."""

    code_of_kind = "{kind}_too_large"


class DecodeLimit(MediaError):
    """The decoder used up its time, processor or memory."""

    code_of_kind = "decode_limit_exceeded"


class FileTooLarge(MediaError):
    """A file, a download or a decoded data URL has more bytes than allowed."""

    status = 413
    code_of_kind = "{kind}_file_too_large"


class RequestTooLarge(RequestError):
    """The body has more bytes than allowed, declared or counted."""

    status = 413
    code = "request_too_large"


class StreamUrlNotAllowed(RequestError):
    """A live source is unknown or not permitted."""

    code = "stream_url_not_allowed"


class SinkNotAllowed(RequestError):
    """A notify entry is unknown, or of a kind that may not be used."""

    code = "sink_not_allowed"


class Unauthorized(RequestError):
    """The key is missing or wrong."""

    status = 401
    code = "invalid_api_key"


class OriginNotAllowed(RequestError):
    """A page of another origin opened a WebSocket."""

    status = 403
    code = "origin_not_allowed"


class NotFound(RequestError):
    """There is no such route or thing."""

    status = 404
    code = "not_found"


class ModelNotFound(NotFound):
    """The named model is not served here."""

    code = "model_not_found"


class StreamNotFound(NotFound):
    """There is no such live stream; the message lists those there are."""

    code = "stream_not_found"


class RuleNotFound(NotFound):
    """There is no such rule."""

    code = "rule_not_found"


class EventNotFound(NotFound):
    """There is no such event, or its time of keeping is over."""

    code = "event_not_found"


class EvidenceNotFound(NotFound):
    """The event has no such picture or clip, or not yet."""

    code = "evidence_not_found"

    def __init__(self, message: str, *, retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class StreamExists(RequestError):
    """The id is taken, or the source is captured already.

    Attributes:
        stream_id: The stream that has it.
    """

    status = 409
    code = "stream_exists"

    def __init__(self, message: str, *, stream_id: str = "", param: str | None = None) -> None:
        super().__init__(message, param=param)
        self.stream_id = stream_id


class StreamLimitReached(RequestError):
    """There are as many live streams as there may be."""

    status = 409
    code = "stream_limit_reached"


class StreamConnectFailed(RequestError):
    """The source of a new live stream refused."""

    status = 422
    code = "stream_connect_failed"


class RuleExists(RequestError):
    """The id is taken by another rule."""

    status = 409
    code = "rule_exists"


class RuleLimitReached(RequestError):
    """There are as many rules as there may be."""

    status = 409
    code = "rule_limit_reached"


class EvidenceGone(RequestError):
    """The picture or clip was removed by the size or age budget."""

    status = 410
    code = "evidence_gone"


class MethodNotAllowed(RequestError):
    """The route exists, the method does not."""

    status = 405
    code = "method_not_allowed"


class UnsupportedContentType(RequestError):
    """The route does not take a body of this type."""

    status = 415
    code = "unsupported_content_type"


class RangeNotSatisfiable(RequestError):
    """The file has no such range."""

    status = 416
    code = "range_not_satisfiable"


class CapacityError(ServiceError):
    """The request is fine; there is no room for it now."""

    status = 503
    is_retryable = True
    retry_after_s: int | None = 5


class QueueFull(CapacityError):
    """As many requests wait as may wait, or they take longer than this one has."""

    status = 429
    code = "queue_full"

    def __init__(self, message: str, *, retry_after_s: int = 5) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class ModelLoading(CapacityError):
    """The model is not loaded yet."""

    code = "model_loading"


class ModelUnavailable(CapacityError):
    """The model could not be loaded, or its engine stopped."""

    code = "model_unavailable"


class ShuttingDown(CapacityError):
    """The service is stopping."""

    code = "shutting_down"


class StreamNoFreshFrame(CapacityError):
    """The newest frame of a live stream is too old, or there is none."""

    code = "stream_no_fresh_frame"

    def __init__(self, message: str, *, is_retryable: bool = True) -> None:
        super().__init__(message)
        self.is_retryable = is_retryable
        if not is_retryable:
            self.retry_after_s = None


class StorageUnavailable(CapacityError):
    """The database or the data directory cannot be used."""

    code = "storage_unavailable"


class TooManyViewers(CapacityError):
    """As many previews or event feeds are open as may be."""

    code = "too_many_viewers"


class RunnerError(ServiceError):
    """The fault is ours."""

    code = "server_error"


class WeightsError(RunnerError, ValueError):
    """The checkpoint is not one this program can run, or does not match its architecture."""


class OutOfMemory(RunnerError, MemoryError):
    """The device has no memory for this request, though for others; the message says what fits."""

    status = 503
    code = "out_of_memory"


class RequestTimeout(RunnerError, TimeoutError):
    """The request's deadline passed."""

    status = 504
    code = "request_timeout"


class SourceError(ServiceError):
    """A camera is in trouble; a state and an event, no answer to anybody."""


class SourceUnreachable(SourceError, ConnectionError):
    """The source cannot be opened, or its connection broke."""


class SourceUnauthorized(SourceError, PermissionError):
    """The source refuses the credentials, or wants some."""


class SourceStalled(SourceError, TimeoutError):
    """The source is connected and says nothing."""


class SourceEnded(SourceError, EOFError):
    """The source closed the connection."""


class SourceUnsupported(SourceError):
    """The source sends no video that can be decoded."""


class SourceNotPermitted(SourceError):
    """The source is not permitted, or is not any more."""


class DeliveryError(ServiceError):
    """A sink did not take a message.

    Attributes:
        is_final: Whether the sink says that it never will.
    """

    def __init__(self, message: str, *, is_final: bool = False) -> None:
        super().__init__(message)
        self.is_final = is_final
