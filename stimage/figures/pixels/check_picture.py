"""The picture to check a slide by: its image around the spots, rings around the spots, and a legend of their colours.

It is drawn without matplotlib's axes, which takes a tenth of the time: a collection has thousands of slides.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.cm import ScalarMappable
from PIL import Image, ImageDraw, ImageFont

from stimage.core.files import replacing
from stimage.figures.colours import Look
from stimage.figures.rings import draw_rings
from stimage.figures.scale import count_ticks, scale_length
from stimage.figures.shapes import SpotShapes, View
from stimage.figures.style import shortened

SIDE = 1280  # pixels of the picture's longer side, without what is below it
SMALL = 144  # of the one in a list
TEXT, LINE, GAP = 20, 30, 16  # pixels: letters, a line of the legend, and around it
QUALITY = 78


@dataclass(frozen=True, eq=False)
class Bar:
    """The subject of a colour bar: its name, the n values, and their colours."""

    what: str
    values: np.ndarray
    colours: ScalarMappable


Legend = Sequence[tuple[str, Look]] | Bar | str  # labels; a number; or words, where all spots have one colour


def check_picture(
    path: Path,
    small: Path,
    view: View,
    shapes: SpotShapes | None,
    colours: np.ndarray | Sequence[Look],
    legend: Legend,
) -> None:
    """Write the picture as a JPEG, and a small one for a list of slides.

    Parameters
    ----------
    shapes
        The spots. None, where their positions are unknown, shows the image alone.
    colours
        Colours of the spots, as `draw_rings` takes them.
    legend
        The meaning of the colours.
    """
    image, step = _sized(view)
    if shapes is not None:
        at = (shapes.xy - (view.left, view.top)) / step
        image = Image.fromarray(draw_rings(np.asarray(image), at, shapes.r / step, colours, shapes.square))
        image = with_footer(image, step, shapes.um_per_px, legend)
    for file, one in ((path, image), (small, _square(image))):
        one.save(jpeg := io.BytesIO(), "JPEG", quality=QUALITY)  # into a file, Pillow does not notice a full disk
        with replacing(file) as unfinished:
            unfinished.write_bytes(jpeg.getvalue())


def _sized(view: View) -> tuple[Image.Image, float]:
    """Return a view as large as pictures are, and how many image pixels one of its pixels is."""
    image = Image.fromarray(view.pixels)
    times = SIDE / max(image.size)
    size = (max(1, round(image.width * times)), max(1, round(image.height * times)))
    how = Image.Resampling.BICUBIC if times > 1 else Image.Resampling.BOX
    return image.resize(size, how), view.step / times


def _square(image: Image.Image) -> Image.Image:
    side = min(image.size)
    left = (image.width - side) // 2
    return image.resize((SMALL, SMALL), Image.Resampling.BOX, (left, 0, left + side, side), reducing_gap=2.0)


def with_footer(image: Image.Image, step: float, um_per_px: float | None, legend: Legend) -> Image.Image:
    """Put the scale bar and the legend below an image; below a large one, which is seen made smaller, larger ones."""
    times = max(1, image.width // SIDE)
    length, text = scale_length(image.width * step, um_per_px)
    start = GAP + max(round(length / step / times), _width(text)) + 3 * GAP  # where the legend begins
    footer = _footer(image.width // times, start, text, legend)
    footer = footer.resize((image.width, footer.height * times), Image.Resampling.BICUBIC)
    left, right, top = GAP * times, GAP * times + round(length / step) - 1, GAP * times
    ImageDraw.Draw(footer).rectangle((left, top, right, top + 8 * times - 1), fill="black")  # to the pixel
    whole = Image.new("RGB", (image.width, image.height + footer.height), "white")
    whole.paste(image)
    whole.paste(footer, (0, image.height))
    return whole


def _footer(width: int, start: int, text: str, legend: Legend) -> Image.Image:
    """Draw a legend that begins at ``start``, and what the scale bar says; not the bar."""
    entries = legend if not isinstance(legend, Bar | str) else []
    rows = _rows(entries, start, width)
    footer = Image.new("RGB", (width, 2 * GAP + max(2, len(rows)) * LINE), "white")
    pen = ImageDraw.Draw(footer)
    pen.text((GAP, GAP + 14), text, "black", _font())
    if isinstance(legend, Bar):
        _bar(footer, pen, start, GAP, legend)
    elif isinstance(legend, str):
        pen.text((start, GAP), legend, "black", _font())
    for row, line in enumerate(rows):
        for x, name, look in line:
            _mark(pen, x, GAP + row * LINE, look)
            pen.text((x + TEXT + 8, GAP + row * LINE - 2), name, "black", _font())
    return footer


def _rows(entries: Sequence[tuple[str, Look]], start: int, end: int) -> list[list[tuple[int, str, Look]]]:
    """Return the lines of a legend: names and looks, each with where it begins."""
    rows, x = [[]], start
    for name, look in ((shortened(name, 40), look) for name, look in entries):
        wide = TEXT + 8 + _width(name) + 2 * GAP
        if rows[-1] and x + wide > end:
            rows.append([])
            x = start
        rows[-1].append((x, name, look))
        x += wide
    return rows


def _mark(pen: ImageDraw.ImageDraw, x: int, y: int, look: Look) -> None:
    pen.ellipse((x, y, x + TEXT, y + TEXT), outline=look.colour, width=5)
    if look.marked:
        pen.ellipse((x + 7, y + 7, x + TEXT - 7, y + TEXT - 7), fill=look.colour)


def _bar(whole: Image.Image, pen: ImageDraw.ImageDraw, start: int, top: int, bar: Bar) -> None:
    ticks, name = count_ticks(bar.colours, bar.values), _width(bar.what) + GAP
    wide = max(whole.width - start - name - _width(ticks[-1][2]) // 2 - 2 * GAP, 60)
    shades = bar.colours.cmap(np.linspace(0, 1, wide))[None, :, :3].repeat(18, 0)
    whole.paste(Image.fromarray((255 * shades).round().astype(np.uint8)), (start + name, top))
    pen.text((start, top - 3), bar.what, "black", _font())
    for _, place, text in ticks:
        x = start + name + place * (wide - 1)
        pen.line((x, top + 14, x, top + 22), fill="black", width=2)
        pen.text((x, top + 26), text, "black", _font(), anchor="ma")


@cache
def _font() -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf", TEXT)


def _width(text: str) -> int:
    return round(_font().getlength(text))
