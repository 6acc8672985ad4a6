"""Find the nuclei of slides without a GPU."""

from functools import partial
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from stimage.cells.cells import cells_file, write_cells
from stimage.cells.nuclei import OWN, detect
from stimage.cells.pyramids import known_scale
from stimage.core.access import is_local
from stimage.core.errors import DataError
from stimage.core.storage import local_copy
from stimage.jobs.roots import Root, open_unpublished
from stimage.slides.images.reader import image_info


def detect_cells(root: str | Path | Root, *, progress: bool = False) -> pd.DataFrame:
    """Find the nuclei of slides without a GPU, and store them in the root as cells/SLIDE.parquet.

    The method is colour deconvolution for haematoxylin, a threshold learnt from the slide, and a watershed. It is a
    baseline beside trained segmenters, whose cells `import_cells` takes. The file has the form of imported cells,
    without classes, and with the columns ``ellipticity`` (0 for a circle, at most 1), ``haematoxylin`` (mean optical
    density in the nucleus) and ``density`` (nuclei per mm² within 50 µm). Earlier cells of a slide are replaced.

    Parameters
    ----------
    root
        A folder on this machine laid out as the data set, or a `Root` that `open_root` returned. A `Root` chooses the
        slides, and its ``um_per_px`` applies.
    progress
        True shows the progress on a terminal.

    Returns
    -------
    pandas.DataFrame
        By slide: the number of ``cells``, and the medians of ``area`` (µm²), ``ellipticity``, ``haematoxylin`` and
        ``density``.

    Raises
    ------
    DataError
        If the µm per pixel of a slide is unknown or more than 2.5, or its image has no tissue, has no nuclei, or can't
        be read. Slides before it are then finished.

    Examples
    --------
    >>> import stimage
    >>> root = stimage.open_root("sample", "Visium", species="human")
    >>> table = stimage.detect_cells(root)
    >>> table.columns.tolist()
    ['cells', 'area', 'ellipticity', 'haematoxylin', 'density']
    """
    root = open_unpublished(root)
    if not is_local(root.catalog.root):
        raise DataError(f"{root.location}: can't be written from here; copy the root to this machine first")
    scales = {slide: known_scale(slide, "finding nuclei") for slide in root.slides}
    most, rows = root.source.reading["max_image_pixels"], {}
    bar = partial(tqdm, unit="row", leave=False, disable=None if progress else True)
    for slide, um_per_px in scales.items():
        image = local_copy(slide.image, slide.access)
        with bar(desc=slide.name, total=image_info(image, most).height) as lines:
            cells = detect(image, slide.name, um_per_px, most, lines.update)
        write_cells(cells, Path(cells_file(root.catalog.root, slide.name)))
        rows[slide.name] = {"cells": len(cells), **cells.table.select(["area", *OWN]).to_pandas().median()}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("slide").astype({"cells": int})
