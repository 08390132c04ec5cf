"""An RTSP server of other people: gst-rtsp-server, under Debian's own python3.

    /usr/bin/python3 gst_rtsp_server.py CODEC

Serves a moving ball at /cam on a free port, which it prints. Needs gir1.2-gst-rtsp-server-1.0.
"""

import sys

import gi  # type: ignore[import-not-found]

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # type: ignore[import-not-found]  # noqa: E402

PIPELINES = {
    "h264": "x264enc tune=zerolatency key-int-max=30 threads=1 ! h264parse ! rtph264pay name=pay0",
    "h264-b": "x264enc bframes=2 b-adapt=false key-int-max=30 threads=1 ! rtph264pay name=pay0",
    "mjpeg": "jpegenc ! rtpjpegpay name=pay0",
    "vp8": "vp8enc deadline=1 keyframe-max-dist=30 ! rtpvp8pay name=pay0",
}
CAPS = "video/x-raw,format=I420,width=320,height=240,framerate=30/1"


def main(codec: str) -> None:
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service("0")
    factory = GstRtspServer.RTSPMediaFactory()
    source = f"videotestsrc is-live=true pattern=ball ! {CAPS}"
    factory.set_launch(f"( {source} ! {PIPELINES[codec]} )")
    factory.set_shared(True)
    factory.set_latency(0)
    server.get_mount_points().add_factory("/cam", factory)
    server.attach(None)
    sys.stdout.write(f"{server.get_bound_port()}\n")
    sys.stdout.flush()
    GLib.MainLoop().run()


if __name__ == "__main__":
    main(sys.argv[1])
