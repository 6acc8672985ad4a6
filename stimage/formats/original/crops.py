"""Write one PNG per spot, as the data set's authors cut them: all in one folder, named after their spots."""

import os
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from stimage.core.errors import DataError
from stimage.core.files import room_for, writable, write_text
from stimage.core.results import as_json
from stimage.examples.image_formats import encode_png
from stimage.slides.catalog import Slide
from stimage.slides.freshness import slide_digests
from stimage.slides.images.patches import Patch
from stimage.slides.images.reader import MAX_IMAGE_PIXELS
from stimage.slides.spots import Spots, open_spots

RECORDS = "slides"  # folder beside the images: what each slide's were cut from


@dataclass(frozen=True)
class Cropped:
    """How many images a slide has, and how many of them are new."""

    spots: int
    new: int


def write_crops(
    slide: Slide,
    out: Path,
    patch: Patch,
    on_mismatch: str = "error",
    max_pixels: int = MAX_IMAGE_PIXELS,
) -> Cropped:
    """Write ``out``/SPOT.png for each spot of the coord file; images that an earlier call wrote are kept.

    ``out``/slides/SLIDE.json says what the images were cut from. If the files, the patch, or the µm per pixel of a
    patch in µm changed since, images are cut again. Each image is written whole or not at all. Counts are not read.

    Parameters
    ----------
    on_mismatch
        What to do with spots that lie wholly outside the image: "error" or "drop".

    Raises
    ------
    DataError
        As in `open_spots` and `Patch.cut`, and if a spot's id can't be a file name.
    """
    spots = open_spots(replace(slide, counts="", gene_num=0, annotation=None), on_mismatch, max_pixels)
    paths = _paths(spots, out)
    record: dict[str, Any] = {"files": slide_digests([slide], ("coord", "image"))[slide.name], "patch": asdict(patch)}
    record |= {"um_per_px": spots.scale.um_per_px} if patch.um else {}
    _begin(out / RECORDS / f"{slide.name}.json", as_json(record), paths)
    left = np.array([k for k, path in enumerate(paths) if not os.path.exists(path)], int)
    patches = patch.cut(spots.image_path, spots.x[left], spots.y[left], spots.r[left], spots.scale, max_pixels)
    with room_for(out):
        for k, pixels in zip(left.tolist(), patches):
            unfinished = out / f".{paths[k].name}"
            try:
                unfinished.write_bytes(encode_png(pixels))
                unfinished.replace(paths[k])
            except BaseException:
                with suppress(OSError):  # of a disk that may not be written any more; its name is hidden
                    unfinished.unlink(missing_ok=True)
                raise
    return Cropped(len(spots), len(left))


def _paths(spots: Spots, out: Path) -> list[Path]:
    """Return the file of each spot."""
    ids = pa.chunked_array(spots.ids).to_pylist()
    if wrong := next((one for one in ids if one[0] == "." or any(c in one for c in "/\\\0")), None):
        raise DataError(f"{spots.slide.coord}: spot {wrong!r}: is no name of a file, as it begins with '.' or has '/' "
                        "or '\\' in it; rename the spot in the slide's files")  # fmt: skip
    return [out / f"{one}.png" for one in ids]


def _begin(record: Path, now: str, paths: list[Path]) -> None:
    """Remove what was cut from something else, and say what is cut now."""
    if record.exists() and record.read_text(encoding="utf-8") == now:
        return
    with writable(record.parent.parent):
        for path in paths:
            path.unlink(missing_ok=True)
    write_text(record, now)
