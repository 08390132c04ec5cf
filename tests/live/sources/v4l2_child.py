"""A process that captures /dev/video9 and does what it is told, a word a line, on its input.

Started under ``fake_v4l2.so``; tells states by itself and answers with lines of JSON.
"""

import json
import os
import sys

from contracts.streams import LookBack, StreamChange
from tests.live.pictures import number_of
from tests.live.registries import config, registry


def say(**line: object) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def say_state(change: StreamChange) -> None:
    say(state=change.state, reason=change.reason)


def main(stale_s: float, lost_s: float) -> None:
    with registry(stale_s=stale_s, lost_s=lost_s) as (streams, _):
        streams.subscribe(say_state)
        before = len(os.listdir("/proc/self/fd"))
        streams.add(config("cam", "v4l2:///dev/video9", sample_fps=10.0))
        for word in map(str.strip, sys.stdin):
            if word == "numbers":
                frames = streams.clip("cam", LookBack(None, 1000), allow_stale=True).frames
                say(numbers=[number_of(frame.rgb) for frame in frames])
            elif word == "status":
                status = streams.status("cam")
                say(codec=status.codec, size=[status.width, status.height], kind=status.kind)
            elif word == "age":
                say(age_s=streams.status("cam").last_frame_age_s)
            elif word == "remove":
                streams.remove("cam")
            else:
                break
    say(descriptors=len(os.listdir("/proc/self/fd")) - before)


if __name__ == "__main__":
    main(float(sys.argv[1]), float(sys.argv[2]))
