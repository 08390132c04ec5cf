"""FFmpeg's errors in our words. Its own texts hold URLs with passwords, so none is passed on."""

import av

from contracts.errors import (
    SourceEnded,
    SourceError,
    SourceNotPermitted,
    SourceStalled,
    SourceUnauthorized,
    SourceUnreachable,
    SourceUnsupported,
)

# Most specific first; the base class, last, catches what FFmpeg may yet invent.
AV_ERRORS: tuple[tuple[type[Exception], type[SourceError], str], ...] = (
    (av.error.HTTPUnauthorizedError, SourceUnauthorized, "the source refuses the credentials"),
    (av.error.HTTPForbiddenError, SourceUnauthorized, "the source forbids access"),
    (av.error.HTTPNotFoundError, SourceUnreachable, "the source knows no such path"),
    (av.error.HTTPError, SourceUnreachable, "the source answers with an error of its own"),
    (av.error.HTTPClientError, SourceUnreachable, "the source does not take the request"),
    (av.error.ExitError, SourceStalled, "the source did not answer in time"),
    (av.error.TimeoutError, SourceStalled, "the source did not answer in time"),
    (av.error.EOFError, SourceEnded, "the source ended the connection"),
    (av.error.ConnectionRefusedError, SourceUnreachable, "the source refuses connections"),
    (av.error.FileNotFoundError, SourceUnreachable, "there is no such file or device"),
    (av.error.PermissionError, SourceNotPermitted, "this service may not open it"),
    (av.error.DecoderNotFoundError, SourceUnsupported, "its codec is not supported"),
    (av.error.DemuxerNotFoundError, SourceUnsupported, "its format is not supported"),
    (av.error.ProtocolNotFoundError, SourceUnsupported, "its protocol is not supported"),
    (av.error.PatchWelcomeError, SourceUnsupported, "its format is not supported"),
    (av.error.InvalidDataError, SourceUnreachable, "what the source sends cannot be read"),
    (av.error.FFmpegError, SourceUnreachable, "the source cannot be reached"),
)


def source_error(exc: av.error.FFmpegError) -> SourceError:
    """The same in our words; raise it ``from None``, for tracebacks print causes."""
    return next(ours(text) for theirs, ours, text in AV_ERRORS if isinstance(exc, theirs))
