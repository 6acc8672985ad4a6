"""Slides of Space Ranger's folders, of versions 1 to 4, as the program leaves them and as they are downloaded."""

import gzip
import io
import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from stimage.core.errors import DataError, shown
from stimage.core.tables import GZIP, read_cells
from stimage.formats.imported import (
    ImportedSlide,
    ImportOptions,
    factor,
    frame_of,
    reading,
    refuse_options,
    scale_to,
)
from stimage.formats.source_scale import source_scale
from stimage.formats.tenx.matrices import Matrix, read_genes
from stimage.formats.tenx.outs import find_files

COLUMNS_10X = ["barcode", "in_tissue", "array_row", "array_col", "pxl_row_in_fullres", "pxl_col_in_fullres"]
CORE = re.compile(r"[ACGT]{8,}|\d{3}um_\d+_\d+")  # of a barcode, whatever stands before and behind it
NUMBERS = ["in_tissue", "pxl_row_in_fullres", "pxl_col_in_fullres"]


def read_space_ranger(outs: Path, options: ImportOptions) -> ImportedSlide:
    """Read Space Ranger's ``outs``, or one of its ``binned_outputs/square_…um``.

    Files may be gzipped and their names may begin with a sample's, as 10x Genomics and GEO offer them, in ``outs`` or
    in ``outs/spatial``. Without ``options.image``, the image is ``tissue_hires_image.png``, whose patches are of some
    ten pixels. Of a raw matrix, spots on tissue are taken.

    Raises
    ------
    DataError
        If a file is missing, damaged, there of several samples, or another slide's.
    """
    refuse_options(options, outs, "is Space Ranger's folder", ("layer", "library", "positions"))
    with reading(outs, "Space Ranger's folder"):
        files = find_files(outs)
    matrix, left_out = read_genes(files, options.genome)
    where = files.get("h5") or files["matrix"]
    if len(suffixes := Counter(barcode.rpartition("-")[2] for barcode in matrix.barcodes if "-" in barcode)) > 1:
        raise DataError(
            f"{where}: is of several slides: its barcodes end in -{', -'.join(suffixes)}, as spaceranger aggr makes "
            "them; name the folder outs of one slide's own spaceranger count"
        )
    spots = files.get("h5") or files["barcodes"]
    matrix, x, y, off = _on_tissue(matrix, _positions(files["positions"]), files["positions"], spots)
    factors = _factors(files["factors"])
    scale, r, tech = scale_to(options, factors, files["factors"])
    if options.image is None and "hires" not in files:
        raise DataError(
            f"{outs}: has no tissue_hires_image.png; get it, or pass the full-resolution image as image= (--image)"
        )
    image = options.image or _pixels(files["hires"])
    left_out |= {"spots outside the tissue": off} if off else {}
    said = source_scale([factors], scale, files["factors"], options.um_per_px)
    frame, preview = _frame(files, factors, options)
    return ImportedSlide(str(outs), matrix.barcodes, matrix.names.tolist(), matrix.counts, x * scale, y * scale, r,
                         image, {}, tech, *said, matrix.ids.tolist(), frame, left_out, preview,
                         files.get("h5"))  # fmt: skip


def _on_tissue(
    matrix: Matrix, places: pd.DataFrame, path: Path, where: Path
) -> tuple[Matrix, np.ndarray, np.ndarray, int]:
    """Return the spots on tissue, their x and y in pixels of the full image, and how many others there are."""
    rows = places.index.get_indexer(pd.Index(matrix.barcodes, dtype=object))
    if (rows < 0).any():
        lost = matrix.barcodes[int(np.argmax(rows < 0))]
        raise DataError(f"{path}: lacks spot {lost!r}, which {where.name} has. {_renamed(lost, places, path, where)}")
    on = (places["in_tissue"] == 1).to_numpy()
    kept, bare = on[rows], int(on.sum() - on[rows].sum())
    if not kept.any():
        raise DataError(
            f"{path}: marks none of the spots of {where.name} as on tissue (in_tissue 1); take both files from one run "
            "of Space Ranger"
        )
    if bare and not kept.all():  # a raw matrix has all spots, a filtered one those on tissue
        raise DataError(
            f"{path}: puts {(~kept).sum():,} spots of {where.name} off the tissue, and has {bare:,} spots on tissue "
            f"that {where.name} lacks; take both files from one run of Space Ranger"
        )
    x, y = (places[column].to_numpy()[rows][kept] for column in ("pxl_col_in_fullres", "pxl_row_in_fullres"))
    if kept.all():
        return matrix, x, y, 0
    barcodes = [barcode for barcode, keep in zip(matrix.barcodes, kept.tolist()) if keep]
    return replace(matrix, counts=matrix.counts[kept], barcodes=barcodes), x, y, int((~kept).sum())


def _renamed(lost: str, places: pd.DataFrame, path: Path, where: Path) -> str:
    """Say what the positions call a spot of the counts, or that the two files do not belong together."""
    core = found[0] if (found := CORE.search(lost)) else lost
    if own := next((barcode for barcode in places.index if core in barcode), None):
        return (
            f"It calls this spot {own!r}: one of the files has other names of spots. Take both from one run of Space "
            f"Ranger; or, if both are of this slide, write the barcodes of {path.name} as {where.name} has them"
        )
    return "The two files are from different slides, or one of them was cut off: take both from one run of Space Ranger"


def _positions(path: Path) -> pd.DataFrame:
    """Return the positions by barcode; of text, its first line tells whether there is a header."""
    table = _table(path)
    if missing := [name for name in COLUMNS_10X if name not in table]:
        raise DataError(f"{path}: has no column {missing[0]!r}, but {shown(list(map(str, table.columns)))}")
    barcodes = table["barcode"].astype(str)
    numbers = table[NUMBERS].apply(pd.to_numeric, errors="coerce").astype(float)
    if (bad := ~np.isfinite(numbers.to_numpy())).any():
        row, column = np.argwhere(bad)[0]
        spot, name = barcodes.iloc[row], NUMBERS[column]
        cell = table[name].iloc[row]
        cause = ", since a spreadsheet wrote a comma for the point" if re.fullmatch(r"-?\d+,\d+", str(cell)) else ""
        raise DataError(f"{path}: {name} of spot {spot!r} is {cell!r}, no number{cause}; get it again")
    if (twice := barcodes.duplicated()).any():
        raise DataError(f"{path}: has spot {barcodes[twice].iloc[0]!r} twice; is it of several slides?")
    return numbers.set_axis(pd.Index(barcodes.tolist(), dtype=object))


def _table(path: Path) -> pd.DataFrame:
    if ".parquet" in path.suffixes:
        with reading(path, "Parquet"):
            table = pd.read_parquet(io.BytesIO(_content(path))).reset_index()
            return table.astype(dict.fromkeys(table.select_dtypes(exclude="number"), object))  # texts are looked at
    rows = [cells for _, cells in read_cells(path)]
    header = COLUMNS_10X
    if rows and "in_tissue" in rows[0]:
        header = [name or "barcode" for name in rows.pop(0)]  # R calls its row names nothing
    if wrong := next((row for row in rows if len(row) != len(header)), None):
        cells = f"{len(wrong)} cells of spot {wrong[0]!r} for {len(header)} columns"
        raise DataError(f"{path}: has {cells}; was it cut off?")
    return pd.DataFrame(rows, columns=header, dtype=object)


def _factors(path: Path) -> dict[str, Any]:
    with reading(path, "JSON"):
        factors = json.loads(_content(path))
    if not isinstance(factors, dict):
        raise DataError(f"{path}: is no JSON object of scale factors, but a {type(factors).__name__}; get it again")
    return factors


def _content(path: Path) -> bytes:
    content = path.read_bytes()
    return gzip.decompress(content) if content[:2] == GZIP else content


def _pixels(path: Path) -> Path | np.ndarray:
    """Return an image's path, or, of one that is gzipped, its pixels."""
    if path.suffix != ".gz":
        return path
    with reading(path, "an image"):
        return np.asarray(Image.open(io.BytesIO(_content(path))).convert("RGB"))


def _frame(
    files: Mapping[str, Path], factors: dict[str, Any], options: ImportOptions
) -> tuple[tuple[float, float, str] | None, Path | np.ndarray | None]:
    """Return the full image's size by its small one, and the small one, if the full one is added."""
    size = next((size for size in ("hires", "lowres") if size in files and f"tissue_{size}_scalef" in factors), None)
    if not options.image or not size:
        return None, None
    path, where = files[size], files["factors"]
    scale = factor(factors, f"tissue_{size}_scalef", where, "remove it")
    with reading(path, "an image"), Image.open(io.BytesIO(_content(path))) as small:
        name, *frame = frame_of({path.name: (small.width, small.height, scale)}, where)
    return (frame[0], frame[1], f"{name} and {where.name}"), _pixels(path)
