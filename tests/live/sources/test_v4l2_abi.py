"""Numbers and sizes of Linux' V4L2 interface, against the kernel's own header."""

import shutil
import subprocess
from pathlib import Path

import pytest

from live.sources import v4l2_abi as abi

NAMES = ["QUERYCAP", "ENUM_FMT", "S_FMT", "REQBUFS", "QUERYBUF", "QBUF", "DQBUF"]
NAMES += ["STREAMON", "STREAMOFF", "S_PARM"]
PROGRAM = """
#include <linux/videodev2.h>
#include <stddef.h>
#include <stdio.h>
int main(void) {
    %s
    printf("%%zu\\n", offsetof(struct v4l2_buffer, timestamp));
    printf("%%zu\\n", offsetof(struct v4l2_buffer, m));
    printf("%%zu\\n", offsetof(struct v4l2_buffer, length));
    printf("%%zu\\n", offsetof(struct v4l2_format, fmt));
}
"""


def test_they_are_those_of_the_header(tmp_path: Path) -> None:
    gcc = shutil.which("gcc")
    if gcc is None or not Path("/usr/include/linux/videodev2.h").exists():
        pytest.skip("gcc or the kernel's headers are not installed")
    source, program = tmp_path / "a.c", tmp_path / "a"
    lines = [f'printf("%lu\\n", (unsigned long)(unsigned)VIDIOC_{name});' for name in NAMES]
    source.write_text(PROGRAM % "\n".join(lines))
    subprocess.run([gcc, "-o", str(program), str(source)], check=True)
    printed = subprocess.run([str(program)], check=True, capture_output=True, text=True).stdout
    fields = [abi.Buffer.timestamp, abi.Buffer.m, abi.Buffer.length, abi.Format.fmt]
    expected = [getattr(abi, name) for name in NAMES] + [field.offset for field in fields]
    assert [int(line) for line in printed.split()] == expected


def test_formats_are_written_as_letters() -> None:
    assert abi.fourcc("YUYV") == 0x56595559
