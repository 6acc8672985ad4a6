"""Slides of other public formats, as files of a root: Space Ranger's folders and AnnData files."""

import csv
import io
import json
import shutil
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
import scanpy
from PIL import Image
from scipy.sparse import csr_matrix

from stimage.collection.meta import COLUMNS, MetaRow
from stimage.collection.source_scale import hest_metadata, source_scale
from stimage.errors import DataError
from stimage.files import locked, replacing
from stimage.genes.vocabulary import NAME as GENES
from stimage.genes.vocabulary import add_genes
from stimage.slides import TECHS
from stimage.slides.catalog import PARTS, slide_files
from stimage.slides.counts import parse_header
from stimage.slides.images import image_info
from stimage.slides.meta_file import FIRST, find_meta
from stimage.slides.names import check_name, fold
from stimage.slides.patches import lies_outside
from stimage.slides.storage import normal_root
from stimage.slides.tables import read_table

MATRIX = "filtered_feature_bc_matrix"
POSITIONS = ("tissue_positions.parquet", "tissue_positions.csv", "tissue_positions_list.csv")
COLUMNS_10X = ["barcode", "in_tissue", "array_row", "array_col", "pxl_row_in_fullres", "pxl_col_in_fullres"]


@dataclass(frozen=True, eq=False)
class Found:
    """A slide as another format has it: n spots' counts (n x genes), and x, y and r in pixels of its image.

    ``um_per_px`` is what the source says of a pixel of the image, or None, and ``um_per_px_source`` who says it.
    """

    where: str
    barcodes: list[str]
    genes: list[str]
    counts: csr_matrix
    x: np.ndarray
    y: np.ndarray
    r: float
    image: Path | np.ndarray
    labels: Mapping[str, str]
    tech: str = "Visium"
    um_per_px: float | None = None
    um_per_px_source: str = ""


def read_space_ranger(outs: Path, image: Path | None = None, um_per_px: float | None = None) -> Found:
    """Read Space Ranger's ``outs``, or one of its ``binned_outputs/square_…um``.

    Parameters
    ----------
    image
        The full-resolution image that Space Ranger was given. Without it, ``spatial/tissue_hires_image.png``, whose
        patches are of some ten pixels.
    um_per_px
        What the user says of a pixel of the full-resolution image; without it, what the source says.

    Raises
    ------
    DataError
        If a file is missing, or a spot of the matrix has no position.
    """
    spatial, matrix = outs / "spatial", outs / f"{MATRIX}.h5"
    if not matrix.exists() and not matrix.with_suffix("").is_dir():
        raise DataError(f"{outs}: has no {MATRIX}.h5 and no folder {MATRIX}; name Space Ranger's folder outs")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of symbols that occur twice: `read_header` tells them apart
        try:
            counts = scanpy.read_10x_h5(matrix) if matrix.exists() else scanpy.read_10x_mtx(matrix.with_suffix(""))
        except OSError as error:
            raise DataError(f"{matrix}: cannot be read ({error})") from None
    path = next((spatial / name for name in POSITIONS if (spatial / name).exists()), None)
    if path is None or not (spatial / "scalefactors_json.json").exists():
        raise DataError(f"{spatial}: has no scalefactors_json.json, or none of {', '.join(POSITIONS)}; get them again")
    places = _positions(path).reindex(counts.obs_names)
    if places.isna().any(axis=None):
        lost = places.index[places.isna().any(axis=1)][0]
        raise DataError(f"{path}: has no spot {lost!r}, which the matrix has: is it another slide's?")
    where = spatial / "scalefactors_json.json"
    factors = _factors(where)
    scale, r, tech = _scaled(factors, image, where)
    hires = spatial / "tissue_hires_image.png"
    if image is None and not hires.exists():
        raise DataError(f"{hires}: is missing; get it, or pass the full-resolution image as --image")
    x, y = places["x"].to_numpy() * scale, places["y"].to_numpy() * scale
    return Found(str(outs), list(counts.obs_names), list(counts.var_names), _raw(counts.X, outs), x, y, r,
                 image or hires, {}, tech, *source_scale([factors], scale, where, um_per_px))  # fmt: skip


def read_h5ad(
    path: Path,
    image: Path | None = None,
    layer: str | None = None,
    labels: str | None = None,
    um_per_px: float | None = None,
) -> Found:
    """Read one slide of an AnnData file laid out as scanpy, squidpy and spatialdata-io write Visium's.

    Parameters
    ----------
    image
        As `read_space_ranger` takes it; without it ``uns["spatial"][slide]["images"]["hires"]``.
    layer
        Where the raw counts are; without it in ``X``.
    labels
        Column of ``obs``.
    um_per_px
        As `read_space_ranger` takes it.

    Raises
    ------
    DataError
        Naming what the file lacks, or if it has several slides.
    """
    try:
        data = anndata.read_h5ad(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read as .h5ad ({error})") from None
    slides = data.uns.get("spatial", {})
    if "spatial" not in data.obsm or len(slides) != 1:
        raise DataError(f"{path}: must have obsm['spatial'] and one slide in uns['spatial'], which has {len(slides)}; "
                        "write a file a slide, as scanpy and squidpy do")  # fmt: skip
    if layer and layer not in data.layers:
        raise DataError(f"{path}: has no layer {layer!r}, but {', '.join(data.layers) or 'none'}")
    if labels and labels not in data.obs:
        raise DataError(f"{path}: obs has no column {labels!r}, but {', '.join(data.obs)}")
    data = data[data.obs["in_tissue"].astype(int) == 1] if "in_tissue" in data.obs else data
    (one,) = slides.values()
    if not image and "hires" not in one.get("images", {}):
        raise DataError(f"{path}: uns['spatial'] has no image 'hires'; pass the full-resolution image as --image")
    scale, r, tech = _scaled(one.get("scalefactors", {}), image, f"{path}: uns['spatial']")
    x, y = np.asarray(data.obsm["spatial"], float)[:, :2].T * scale
    texts = dict(data.obs[labels].dropna().astype(str)) if labels else {}
    counts = _raw(data.layers[layer] if layer else data.X, path)
    pixels = image or _pixels(one["images"]["hires"], path)
    told = [one.get("scalefactors", {}), one.get("metadata", {}), one, data.uns, hest_metadata(path)]
    return Found(str(path), list(data.obs_names), list(data.var_names), counts, x, y, r, pixels, texts, tech,
                 *source_scale(told, scale, path, um_per_px))  # fmt: skip


def write_slide(found: Found, root: Path, row: MetaRow) -> None:
    """Add a slide to a root: its files, each whole or not at all, and ``row`` of the meta file, which is replaced.

    Slides that are added at once wait for each other. Of several meta files, the one that is read is written. A
    ``genes.parquet`` of the root gets the genes that it lacks, at its end.

    Raises
    ------
    DataError
        Before anything is written, if the image or the root's meta file or ``genes.parquet`` can't be read, spots are
        outside the image, or the name is taken.
    """
    check_name(row.slide, "--slide")
    _check_places(found)
    with locked(root):
        _check_name_is_free(root, row)
        meta, columns, others = _meta_of(root, row)
        if (root / GENES).exists():  # first, so that the slide can be loaded as soon as it is there
            add_genes(root / GENES, parse_header(_line(["", *found.genes]), found.where))
        ids = _write_files(found, root / row.tech, row.slide)
        if found.labels:
            labels = ((spot, found.labels[code]) for spot, code in zip(ids, found.barcodes) if code in found.labels)
            _write_csv(root / f"annotation/{row.slide}_anno.csv", [("", "V2")], labels)
        row = replace(row, spot_num=str(len(ids)), gene_num=str(len(found.genes)))
        if found.um_per_px:
            row = replace(row, um_per_px=f"{found.um_per_px:.8g}", um_per_px_source=found.um_per_px_source)
        cells = ([one.get(column, "") for column in columns] for one in [*others, asdict(row)])
        _write_csv(meta, [tuple(columns)], cells, csv.QUOTE_ALL)


def _write_files(found: Found, folder: Path, slide: str) -> list[str]:
    """Write coordinates, counts and image into a technology's folder, and return the spots' ids."""
    named = all(spot.startswith(f"{slide}_") for spot in found.barcodes)
    ids = found.barcodes if named else [f"{slide}_{spot}" for spot in found.barcodes]
    _write_csv(folder / f"coord/{slide}_coord.csv", [("", "yaxis", "xaxis", "r")],
               zip(ids, found.y.tolist(), found.x.tolist(), [found.r] * len(ids)))  # fmt: skip
    _write_counts(folder / f"gene_exp/{slide}_count.csv", ids, found.genes, found.counts)
    with replacing(folder / f"image/{slide}.png") as unfinished:
        if isinstance(found.image, np.ndarray):
            Image.fromarray(found.image).save(unfinished)
        else:
            shutil.copyfile(found.image, unfinished)
    return ids


def _check_name_is_free(root: Path, row: MetaRow) -> None:
    """Refuse the name of a slide of another technology, spelling or type of image: with both, no root can be read."""
    ours = {f"{row.slide}{end}" for end in ("_coord.csv", "_count.csv", ".png")}
    for tech in TECHS:
        files = slide_files(normal_root(root), tech).get(fold(row.slide), {})
        for path in (Path(files[part]["url"]) for part in PARTS if part in files):
            if tech != row.tech or path.name not in ours:
                raise DataError(f"{path}: is of a slide of this name already; remove its files, or choose another name")


def _check_places(found: Found) -> None:
    """Refuse an image that is smaller than the positions reach: it is another than theirs."""
    if isinstance(found.image, Path):
        info = image_info(str(found.image))
        where, width, height = str(found.image), info.width, info.height
    else:
        where, (height, width) = found.where, found.image.shape[:2]
    outside = lies_outside(found.x, found.r, width) | lies_outside(found.y, found.r, height)
    if outside.any():
        raise DataError(
            f"{where}: is not the image that the positions are of: it is {width:,} x {height:,} pixels, positions "
            f"reach x={found.x.max():,.0f}, y={found.y.max():,.0f}; pass the image that Space Ranger was given as "
            "--image, not its tissue_hires_image.png"
        )


def _meta_of(root: Path, row: MetaRow) -> tuple[Path, list[str], list[dict[str, str]]]:
    """Return the meta file that is read, the columns it is to have, and its rows of other slides."""
    if not (newest := find_meta(normal_root(root))):
        there = {name for tech in TECHS for name in slide_files(normal_root(root), tech)}
        if there - {fold(row.slide)}:
            raise DataError(
                f"{root}/meta/{FIRST}: is missing, though there are slides; make it with make_meta.py first"
            )
        return root / "meta" / FIRST, list(COLUMNS), []
    path = root / newest[0]
    columns, rows = read_table(str(path), ["slide"])
    others = [one for one in rows if fold(one["slide"]) != fold(row.slide)]
    return path, list(dict.fromkeys([*columns, *COLUMNS])), others


def _factors(path: Path) -> dict:
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise DataError(f"{path}: is damaged ({error}); get it again") from None


def _scaled(factors: Mapping[str, Any], image: Path | None, where: Path | str) -> tuple[float, float, str]:
    """Return what pixels of the full image are multiplied by, a spot's radius thereafter, and the technology."""
    try:
        scale = 1.0 if image else float(factors["tissue_hires_scalef"])
        r = float(factors["spot_diameter_fullres"]) / 2 * scale
    except KeyError as error:
        raise DataError(f"{where}: has no scale factor {error}; get it again") from None
    return scale, r, "VisiumHD" if "bin_size_um" in factors else "Visium"


def _positions(path: Path) -> pd.DataFrame:
    """Return x and y in pixels of the full image, by barcode, of spots in tissue; older files have no header."""
    if path.suffix == ".parquet":
        table = pd.read_parquet(path)
    else:
        table = pd.read_csv(path, names=COLUMNS_10X, header=0 if path.name == POSITIONS[1] else None)
    table = table[table["in_tissue"] == 1].set_index("barcode")
    return pd.DataFrame({"x": table["pxl_col_in_fullres"], "y": table["pxl_row_in_fullres"]}, dtype=float)


def _raw(counts: Any, where: Path) -> csr_matrix:
    if counts is None:
        raise DataError(f"{where}: has no X; name the layer that has raw counts as --layer")
    counts = csr_matrix(counts)
    counts.sum_duplicates()
    if len(bad := counts.data[(counts.data % 1 != 0) | (counts.data < 0)]):
        raise DataError(f"{where}: has {bad[0]:g}, which is no raw count; name the layer that has them as --layer")
    return counts


def _pixels(image: np.ndarray, where: Path) -> np.ndarray:
    """Return uint8 RGB of an image as scanpy has it: 0 to 1 in floats, or bytes."""
    image = np.asarray(image)
    if image.ndim != 3 or image.shape[2] < 3 or (image.dtype != np.uint8 and image.max(initial=0) > 1):
        raise DataError(
            f"{where}: its image, {image.dtype} {image.shape}, is no RGB of bytes, or of 0 to 1; pass --image"
        )
    image = image[..., :3]
    return image if image.dtype == np.uint8 else (image * 255).round().clip(0, 255).astype(np.uint8)


def _write_csv(path: Path, header: list[tuple], rows: Iterable[Sequence], quoting: Any = csv.QUOTE_MINIMAL) -> None:
    with replacing(path) as unfinished, unfinished.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n", quoting=quoting).writerows([*header, *rows])


def _line(cells: list[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(cells)
    return text.getvalue().encode()


def _write_counts(path: Path, ids: list[str], genes: list[str], counts: csr_matrix) -> None:
    """Write a wide CSV a row at a time, in time that grows with the counts that are there, not with the zeros."""
    zeros = b",0" * len(genes)
    with replacing(path) as unfinished, unfinished.open("wb") as file:
        file.write(_line(["", *genes]) + b"\n")
        for spot, begin, end in zip(ids, counts.indptr[:-1].tolist(), counts.indptr[1:].tolist()):
            parts, at = [_line([spot])], 0
            for column, value in zip(counts.indices[begin:end].tolist(), counts.data[begin:end].tolist()):
                parts += zeros[: 2 * (column - at)], b",%d" % value
                at = column + 1
            file.write(b"".join([*parts, zeros[: 2 * (len(genes) - at)], b"\n"]))
