"""Wire schemas of the options of ``/analyze_image`` and ``/analyze_video``."""

from pydantic import Field

from api.wire_schemas import Count, Fps, Seconds, Seed, Share, Temperature, WireSchema

MAX_PROMPT_CHARS = 20_000


class ImageOptions(WireSchema):
    """How to answer."""

    prompt: str | None = Field(
        default=None,
        max_length=MAX_PROMPT_CHARS,
        description="Blank is absent; the default is VLM_DEFAULT_IMAGE_PROMPT or _VIDEO_PROMPT",
    )
    max_tokens: Count | None = Field(
        default=1024, description="Bound on the answer; also cut to VLM_MAX_NEW_TOKENS"
    )
    temperature: Temperature | None = Field(default=0.0, description="0 is greedy")
    top_p: Share | None = 1.0
    seed: Seed | None = None


class VideoOptions(ImageOptions):
    """How to answer, and which frames to look at."""

    fps: Fps | None = Field(default=None, description="Frames a second; not with num_frames")
    num_frames: Count | None = Field(default=None, description="At most VLM_MAX_FRAMES")
    max_frames: Count | None = Field(default=None, description="At most VLM_MAX_FRAMES")
    start_s: Seconds | None = Field(default=None, description="Before end_s")
    end_s: Seconds | None = Field(default=None, description="Cut to the end of the file")
