"""The part of Linux' V4L2 interface that reading a camera needs: structures and request numbers.

Source: linux/videodev2.h and asm-generic/ioctl.h, 64 bits (x86-64, ARM, RISC-V).
"""

import ctypes
from ctypes import Structure, Union, c_char, c_int32, c_long, c_uint8, c_uint32, c_ulong

VIDEO_CAPTURE = 1  # buffer type
MEMORY_MMAP = 1
FIELD_NONE = 1

CAP_VIDEO_CAPTURE = 0x0000_0001
CAP_STREAMING = 0x0400_0000
CAP_DEVICE_CAPS = 0x8000_0000
BUF_FLAG_ERROR = 0x0000_0040
BUF_FLAG_TIMESTAMP_MASK = 0x0000_E000
BUF_FLAG_TIMESTAMP_MONOTONIC = 0x0000_2000


def fourcc(text: str) -> int:
    """A pixel format's four letters as a number."""
    return int.from_bytes(text.encode("ascii"), "little")


class Capability(Structure):
    """struct v4l2_capability: what a device is and can do."""

    _fields_ = (
        ("driver", c_char * 16),
        ("card", c_char * 32),
        ("bus_info", c_char * 32),
        ("version", c_uint32),
        ("capabilities", c_uint32),
        ("device_caps", c_uint32),
        ("reserved", c_uint32 * 3),
    )


class FormatDescription(Structure):
    """struct v4l2_fmtdesc: one of the pixel formats of a device."""

    _fields_ = (
        ("index", c_uint32),
        ("type", c_uint32),
        ("flags", c_uint32),
        ("description", c_char * 32),
        ("pixelformat", c_uint32),
        ("mbus_code", c_uint32),
        ("reserved", c_uint32 * 3),
    )


class PixelFormat(Structure):
    """struct v4l2_pix_format: size and layout of pictures."""

    _fields_ = (
        ("width", c_uint32),
        ("height", c_uint32),
        ("pixelformat", c_uint32),
        ("field", c_uint32),
        ("bytesperline", c_uint32),
        ("sizeimage", c_uint32),
        ("colorspace", c_uint32),
        ("priv", c_uint32),
        ("flags", c_uint32),
        ("ycbcr_enc", c_uint32),
        ("quantization", c_uint32),
        ("xfer_func", c_uint32),
    )


class _FormatUnion(Union):
    _fields_ = (("pix", PixelFormat), ("raw", c_uint8 * 200), ("align", c_ulong))


class Format(Structure):
    """struct v4l2_format."""

    _fields_ = (("type", c_uint32), ("fmt", _FormatUnion))


class CaptureParameters(Structure):
    """struct v4l2_captureparm: rate of pictures, as the time between two."""

    _fields_ = (
        ("capability", c_uint32),
        ("capturemode", c_uint32),
        ("numerator", c_uint32),
        ("denominator", c_uint32),
        ("extendedmode", c_uint32),
        ("readbuffers", c_uint32),
        ("reserved", c_uint32 * 4),
    )


class _ParametersUnion(Union):
    _fields_ = (("capture", CaptureParameters), ("raw", c_uint8 * 200))


class StreamParameters(Structure):
    """struct v4l2_streamparm."""

    _fields_ = (("type", c_uint32), ("parm", _ParametersUnion))


class RequestBuffers(Structure):
    """struct v4l2_requestbuffers."""

    _fields_ = (
        ("count", c_uint32),
        ("type", c_uint32),
        ("memory", c_uint32),
        ("capabilities", c_uint32),
        ("flags", c_uint8),
        ("reserved", c_uint8 * 3),
    )


class TimeVal(Structure):
    """struct timeval."""

    _fields_ = (("seconds", c_long), ("microseconds", c_long))


class _Place(Union):
    _fields_ = (("offset", c_uint32), ("userptr", c_ulong))


class Buffer(Structure):
    """struct v4l2_buffer: one picture's place in memory, and what is known of it."""

    _fields_ = (
        ("index", c_uint32),
        ("type", c_uint32),
        ("bytesused", c_uint32),
        ("flags", c_uint32),
        ("field", c_uint32),
        ("timestamp", TimeVal),
        ("timecode", c_uint8 * 16),
        ("sequence", c_uint32),
        ("memory", c_uint32),
        ("m", _Place),
        ("length", c_uint32),
        ("reserved2", c_uint32),
        ("request_fd", c_int32),
    )


READ, WRITE = 2, 1


def _request(direction: int, number: int, size: int) -> int:
    return direction << 30 | size << 16 | ord("V") << 8 | number


QUERYCAP = _request(READ, 0, ctypes.sizeof(Capability))
ENUM_FMT = _request(READ | WRITE, 2, ctypes.sizeof(FormatDescription))
S_FMT = _request(READ | WRITE, 5, ctypes.sizeof(Format))
REQBUFS = _request(READ | WRITE, 8, ctypes.sizeof(RequestBuffers))
QUERYBUF = _request(READ | WRITE, 9, ctypes.sizeof(Buffer))
QBUF = _request(READ | WRITE, 15, ctypes.sizeof(Buffer))
DQBUF = _request(READ | WRITE, 17, ctypes.sizeof(Buffer))
STREAMON = _request(WRITE, 18, 4)
STREAMOFF = _request(WRITE, 19, 4)
S_PARM = _request(READ | WRITE, 22, ctypes.sizeof(StreamParameters))
