"""The README's picture: frames of a clip, a question, and what the service answered.

``python -m demo.strip`` serves the bundle, uploads a generated clip, and draws ``docs/strip.png``.
"""

import tempfile
from fractions import Fraction
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from demo.drawing import U8
from demo.files import Encoding, clip_frames, num_frames_of, write_clip
from demo.scenes import RGB, Colour, Kind, Motion, Scene, Thing
from demo.serving import ask, served

TARGET = Path("docs/strip.png")
QUESTIONS = ("Please describe what is happening in this video", "Is there a fire?")
NUM_SHOWN = 6
FRAME_WH = (200, 112)
MARGIN_PX = 12
LINE_PX = 26
INK, PAPER, ACCENT = (32, 36, 44), (250, 250, 248), (20, 110, 90)
SCENE = Scene(
    (
        Thing(Kind.CAR, Colour.RED, RGB[Colour.RED], 0.28, (0.15, 0.7), (0.85, 0.7), Motion.RIGHT),
        Thing(
            Kind.PERSON,
            Colour.BLUE,
            RGB[Colour.BLUE],
            0.28,
            (0.5, 0.25),
            (0.5, 0.25),
            Motion.STANDS,
        ),
    ),
    (206, 206, 208),
    "gradient",
    1,
    16 / 9,
    4.0,
)


def main() -> None:
    """Ask, then draw."""
    encoding = Encoding((640, 360), Fraction(25))
    with tempfile.TemporaryDirectory() as folder, served() as url:
        path = Path(folder) / "clip.mp4"
        write_clip(path, SCENE, encoding)
        answers = [ask(url, path, question) for question in QUESTIONS]
    frames = list(clip_frames(SCENE, encoding))
    last = num_frames_of(SCENE, encoding) - 1
    shown = [frames[round(index * last / (NUM_SHOWN - 1))] for index in range(NUM_SHOWN)]
    draw_strip(shown, list(zip(QUESTIONS, answers, strict=True))).save(TARGET, optimize=True)


def draw_strip(frames: list[U8], dialogue: list[tuple[str, str]]) -> Image.Image:
    """Frames side by side, and below them each question with its answer."""
    (width, height), gap = FRAME_WH, MARGIN_PX
    size_wh = (
        gap + len(frames) * (width + gap),
        2 * gap + height + len(dialogue) * (2 * LINE_PX + gap),
    )
    picture = Image.new("RGB", size_wh, PAPER)
    for index, rgb in enumerate(frames):
        frame = Image.fromarray(rgb).resize(FRAME_WH, Image.Resampling.LANCZOS)
        picture.paste(frame, (gap + index * (width + gap), gap))
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(18)
    top = height + 2 * gap
    for question, answer in dialogue:
        draw.text((gap, top), question, INK, font)
        draw.text((gap + 20, top + LINE_PX), answer, ACCENT, font)
        top += 2 * LINE_PX + gap
    return picture


if __name__ == "__main__":
    main()
