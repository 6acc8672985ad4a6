"""Slides of AnnData files."""

from pathlib import Path

import anndata
import numpy as np

from stimage.core.errors import DataError, one_line
from stimage.formats.imported import ImportedSlide, ImportOptions, raw_counts, scale_to
from stimage.formats.source_scale import hest_metadata, source_scale
from stimage.slides.catalog import TECHS


def read_h5ad(path: Path, options: ImportOptions) -> ImportedSlide:
    """Read one slide of a .h5ad file; options, errors and layout are those of `from_anndata`."""
    try:
        data = anndata.read_h5ad(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read as .h5ad ({one_line(error)})") from None
    return from_anndata(data, options, path)


def from_anndata(
    data: anndata.AnnData, options: ImportOptions | None = None, where: Path | str = "the AnnData"
) -> ImportedSlide:
    """Take one slide of an AnnData laid out as scanpy, squidpy and spatialdata-io make Visium's.

    ``where`` is what errors call it: the file's path, beside which HEST's metadata are looked for.
    Without ``options.image``, the image is ``uns["spatial"][slide]["images"]["hires"]``.

    Raises
    ------
    DataError
        Naming what it lacks, or if it has several slides.
    """
    options = options or ImportOptions()
    image, layer, labels = options.image, options.layer, options.labels
    slides = data.uns.get("spatial", {})
    if "spatial" not in data.obsm or len(slides) != 1:
        raise DataError(f"{where}: must have obsm['spatial'] and one slide in uns['spatial'], which has {len(slides)}; "
                        "write a file a slide, as scanpy and squidpy do")  # fmt: skip
    if layer and layer not in data.layers:
        raise DataError(f"{where}: has no layer {layer!r}, but {', '.join(data.layers) or 'none'}")
    if labels and labels not in data.obs:
        raise DataError(f"{where}: obs has no column {labels!r}, but {', '.join(data.obs)}")
    data = data[data.obs["in_tissue"].astype(int) == 1] if "in_tissue" in data.obs else data
    (one,) = slides.values()
    if not image and "hires" not in one.get("images", {}):
        raise DataError(f"{where}: uns['spatial'] has no image 'hires'; pass the full-resolution image as --image")
    scale, r, tech = scale_to(options, one.get("scalefactors", {}), f"{where}: uns['spatial']")
    said = set(data.obs.get("tech", ())) & set(TECHS)  # as `write_h5ad` writes it
    tech = said.pop() if len(said) == 1 else tech
    x, y = np.asarray(data.obsm["spatial"], float)[:, :2].T * scale
    texts = dict(data.obs[labels].dropna().astype(str)) if labels else {}
    counts = raw_counts(data.layers[layer] if layer else data.X, where)
    pixels = image or _pixels(one["images"]["hires"], where)
    told = [one.get("scalefactors", {}), one.get("metadata", {}), one, data.uns]
    told += [hest_metadata(where)] if isinstance(where, Path) else []
    return ImportedSlide(str(where), list(data.obs_names), list(data.var_names), counts, x, y, r, pixels, texts, tech,
                 *source_scale(told, scale, where, options.um_per_px))  # fmt: skip


def _pixels(image: np.ndarray, where: Path | str) -> np.ndarray:
    """Return uint8 RGB of an image as scanpy has it: 0 to 1 in floats, or bytes."""
    image = np.asarray(image)
    if image.ndim != 3 or image.shape[2] < 3 or (image.dtype != np.uint8 and image.max(initial=0) > 1):
        raise DataError(
            f"{where}: its image, {image.dtype} {image.shape}, is no RGB of bytes, or of 0 to 1; pass --image"
        )
    image = image[..., :3]
    return image if image.dtype == np.uint8 else (image * 255).round().clip(0, 255).astype(np.uint8)
