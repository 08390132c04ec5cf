"""What is said of a clip to models that get its frames as pictures. Pure."""

from contracts.media import Clip


def frame_times(clip: Clip) -> str:
    """When the frames of a clip are, for models that were not trained on clips."""
    times = ", ".join(f"{time_s:.2f}s" for time_s in clip.frame_times_s)
    return f"These {len(clip.frames)} images are frames of one video, in order, taken at {times}."
