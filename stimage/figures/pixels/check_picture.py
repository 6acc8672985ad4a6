"""The picture to check a slide by: its image around the spots, rings around the spots, and a legend of their colours.

It is drawn without matplotlib's axes, which takes a tenth of the time: a collection has thousands of slides.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.cm import ScalarMappable
from PIL import Image, ImageDraw, ImageFont, ImageOps

from stimage.core.files import replacing
from stimage.figures.colours import GREY, Look
from stimage.figures.rings import draw_rings, tinted
from stimage.figures.scale import count_ticks, scale_length
from stimage.figures.shapes import SlideImage, SpotShapes, View
from stimage.figures.style import shortened
from stimage.figures.views import FRAME

SIDE = 1280  # pixels of the picture's longer side, without what is below it
SMALL = 144  # of the one in a list
INSET = 220  # of all of the image, below its part
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
    image: SlideImage,
    shapes: SpotShapes | None,
    colours: np.ndarray | Sequence[Look],
    legend: Legend,
) -> None:
    """Write the picture as a JPEG, and a small one for a list of slides.

    Parameters
    ----------
    image
        The part where the spots are; all of the image is shown small below it, if there is much more.
    shapes
        The spots. None, where their positions are unknown, shows the image alone.
    colours
        Colours of the spots, as `draw_rings` takes them.
    legend
        The meaning of the colours.
    """
    view, (shown, step) = image.view, _sized(image.view)
    if shapes is not None:
        at = (shapes.xy - (view.left, view.top)) / step
        shown = Image.fromarray(draw_rings(np.asarray(shown), at, shapes.r / step, colours, shapes.square))
    whole = shown
    if shapes is not None:
        if isinstance(legend, Bar):
            legend = replace(legend, colours=tinted(legend.colours, view, shapes))
        beside = _framed(image.beside, view) if image.beside else None
        whole = with_footer(shown, step, shapes.um_per_px, legend, beside)
    for file, one in ((path, whole), (small, _square(shown))):
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


def _framed(whole: View, part: View) -> Image.Image:
    """Return all of a slide's image, small, with a frame around the part of it that is shown."""
    image = Image.fromarray(whole.pixels)
    times = INSET / max(image.size)
    image = image.resize(
        (max(1, round(image.width * times)), max(1, round(image.height * times))), Image.Resampling.BOX
    )
    corner, size = np.array([part.left, part.top]), np.array(part.pixels.shape[1::-1]) * part.step
    low, high = ((place * times / whole.step).round().astype(int).tolist() for place in (corner, corner + size))
    ImageDraw.Draw(image).rectangle((*low, *(place - 1 for place in high)), outline=FRAME, width=3)
    return ImageOps.expand(image, 1, GREY)


def with_footer(
    image: Image.Image, step: float, um_per_px: float | None, legend: Legend, inset: Image.Image | None = None
) -> Image.Image:
    """Put the scale bar and the legend below an image; below a large one, which is seen made smaller, larger ones.

    An ``inset`` stands at their right.
    """
    times = max(1, image.width // SIDE)
    room = image.width // times - (inset.width + GAP if inset else 0)
    length, text = scale_length(image.width * step, um_per_px)
    start = GAP + max(round(length / step / times), _width(text)) + 3 * GAP  # where the legend begins
    footer = _footer(room, start, text, legend)
    footer = footer.resize((footer.width * times, footer.height * times), Image.Resampling.BICUBIC)
    left, right, top = GAP * times, GAP * times + round(length / step) - 1, GAP * times
    ImageDraw.Draw(footer).rectangle((left, top, right, top + 8 * times - 1), fill="black")  # to the pixel
    below = max(footer.height, times * (inset.height + 2 * GAP) if inset else 0)
    whole = Image.new("RGB", (image.width, image.height + below), "white")
    whole.paste(image)
    whole.paste(footer, (0, image.height))
    if inset:
        inset = inset.resize((times * inset.width, times * inset.height))
        whole.paste(inset, (image.width - inset.width - times * GAP, image.height + times * GAP))
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
