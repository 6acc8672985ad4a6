"""Write the images of spots as single files."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import pandas as pd

from stimage.core.arguments import check_whole, path_of
from stimage.core.files import locked
from stimage.formats.original.crops import write_crops
from stimage.jobs.original.slides import each_slide
from stimage.jobs.roots import Root, open_unpublished
from stimage.slides.images.patches import Patch


def crop_patches(
    root: str | Path | Root,
    out: str | Path,
    *,
    patch: Patch | Mapping | str | None = None,
    upsample: bool = False,
    pyramid: bool = False,
    workers: int = 0,
    progress: bool | None = False,
) -> pd.DataFrame:
    """Write the patch of each spot as a PNG named after the spot, all in one folder, as the data set's authors do.

    After an interruption, the same call continues. Patches are cut again if the slide's files, the patch, or the µm per
    pixel of a patch in µm changed. Counts are not read.

    Parameters
    ----------
    root
        A folder laid out as the data set, its URL, or a `Root` that `open_root` returned. A spot that lies wholly
        outside the image is an error, or is left out if the root was opened with ``on_mismatch="drop"``.
    out
        A folder to write SPOT.png into, and slides/SLIDE.json, which says what the patches were cut from.
    patch, upsample, pyramid
        The size of patches, as `embed` takes them. None cuts the square of 2r around the spot, black outside the image.
    workers
        Number of processes, each with one slide at a time. 0 works in this process.
    progress
        True shows a progress bar, None shows one only on a terminal.

    Returns
    -------
    pandas.DataFrame
        By slide: the number of its ``spots`` that have a patch, and the number of ``new`` ones that this call wrote.

    Raises
    ------
    DataError
        If a slide can't be read, or a spot's id can't be a file name. The patches of the other slides are then written.

    Examples
    --------
    >>> import stimage
    >>> root = stimage.open_root("sample", "ST", species="human")
    >>> stimage.crop_patches(root, "crop").spots.item()
    28
    >>> stimage.crop_patches(root, "crop").new.item()
    0
    """
    check_whole(workers, "workers")
    root, out, shape = open_unpublished(root), path_of(out, "out"), Patch.parse(patch, upsample, pyramid)
    reading = root.source.reading
    cut = partial(write_crops, out=out, patch=shape, on_mismatch=reading["on_mismatch"],
                  max_pixels=reading["max_image_pixels"])  # fmt: skip
    with locked(out):
        done = each_slide(cut, root.slides, workers, progress)
    rows = {name: (one.spots, one.new) for name, one in done.items()}
    return pd.DataFrame.from_dict(rows, "index", columns=["spots", "new"]).rename_axis("slide")
