"""The thumbnail of a slide under its spots, coloured by total counts, by annotation or by a gene."""

from pathlib import Path

import matplotlib
import matplotlib.colors
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from matplotlib.typing import ColorType
from PIL import Image, ImageDraw

from stimage.collection.checks.evidence import Evidence
from stimage.core.files import replacing
from stimage.figures.colours import GREY, OKABE_ITO, in_order_of_colours
from stimage.slides.coordinates import Coordinates

DRAWN = 20_000  # spots; of a huge slide an even share is drawn
HALO = 3  # pixels of radius, from which a spot has a white ring around it, as tissue may be of its colour


def draw_overlay(e: Evidence, colour: str, path: Path) -> bool:
    """Write a JPEG of the thumbnail with spots on it, or of the thumbnail alone; False if there is no image.

    Parameters
    ----------
    colour
        "counts", "annotation", or the gene that the evidence was gathered with.
    """
    if e.picture is None:
        return False
    image = Image.fromarray(e.picture.thumbnail)
    if e.coordinates is not None:
        colours, legend = _colours(e, e.coordinates.ids, colour)
        _draw_spots(image, e.coordinates, e.picture.step, colours, e.slide.tech == "VisiumHD")
        image = _with_legend(image, legend)
    with replacing(path) as unfinished:
        image.save(unfinished, "JPEG", quality=85)
    return True


def _draw_spots(image: Image.Image, coordinates: Coordinates, step: int, colours: np.ndarray, square: bool) -> None:
    x, y, r = (values / step for values in (coordinates.x, coordinates.y, coordinates.r))
    r = np.maximum(r, 0.7)
    pen = ImageDraw.Draw(image, "RGBA")
    shape = pen.rectangle if square else pen.ellipse
    some = np.unique(np.linspace(0, len(x) - 1, min(len(x), DRAWN)).astype(int))
    boxes = np.stack([x - r, y - r, x + r, y + r], 1)[some].tolist()
    halo = not square and float(np.median(r)) >= HALO  # squares touch
    for (left, top, right, bottom), colour in zip(boxes, colours[some].tolist()):
        if halo:
            shape((left - 1, top - 1, right + 1, bottom + 1), outline="white")
        shape((left, top, right, bottom), fill=(*colour, 90), outline=(*colour, 255), width=1 + halo)


def _colours(e: Evidence, ids: pa.ChunkedArray, colour: str) -> tuple[np.ndarray, list[tuple[str, tuple]]]:
    """Return a colour (uint8 RGB) for each spot, and the legend's entries."""
    if colour == "annotation":
        labels = [(e.labels or {}).get(spot) or "" for spot in ids.to_pylist()]
        palette = dict(zip(in_order_of_colours(labels), map(_rgb, OKABE_ITO)))
        others = any(label not in palette for label in labels)
        legend = [*palette.items()] + [("other or no label", _rgb(GREY))] * others
        return np.array([palette.get(label, _rgb(GREY)) for label in labels], np.uint8), legend
    values = None if e.counts is None else e.counts.totals if colour == "counts" else e.counts.of_gene
    if e.counts is None or values is None:
        return np.tile(np.array([_rgb(GREY)], np.uint8), (len(ids), 1)), [(f"no {colour}", _rgb(GREY))]
    row = pc.fill_null(pc.index_in(ids, e.counts.ids), -1).to_numpy()
    values = np.where(row >= 0, values[row], 0)
    top = max(float(np.quantile(values, 0.99)), 1.0)
    shade = (np.log1p(np.minimum(values, top)) / np.log1p(top) * 255).astype(int)
    viridis = [_rgb(tone) for tone in matplotlib.colormaps["viridis"](range(256))]
    return np.array(viridis, np.uint8)[shade], [("0", viridis[0]), (f"{top:,.0f} {colour}", viridis[255])]


def _with_legend(image: Image.Image, legend: list[tuple[str, tuple]]) -> Image.Image:
    line = 18
    rows = -(-len(legend) // 2)
    whole = Image.new("RGB", (image.width, image.height + line * rows + 6), "white")
    whole.paste(image)
    pen = ImageDraw.Draw(whole)
    for k, (name, colour) in enumerate(legend):
        x, y = 8 + k % 2 * (image.width // 2), image.height + 6 + k // 2 * line
        pen.rectangle([x, y, x + 10, y + 10], fill=colour)
        pen.text((x + 16, y - 2), name[:60], fill="black", font_size=12)
    return whole


def _rgb(colour: ColorType) -> tuple[int, int, int]:
    red, green, blue = (round(255 * part) for part in matplotlib.colors.to_rgb(colour))
    return red, green, blue
