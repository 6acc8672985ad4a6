"""Images of spots, as files of their own."""

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
    """Write the image of each spot as a PNG: all in one folder, called after their spots, as the authors do.

    The same call goes on where an earlier one was interrupted. Images are cut anew where a slide's files, the patch,
    or the µm per pixel of a patch in µm are others than before. Counts are not read.

    Parameters
    ----------
    root
        What `open_root` takes or returns. Spots that lie wholly outside the image are an error, or, of a root that was
        opened with ``on_mismatch="drop"``, left out.
    out
        A folder for SPOT.png, and slides/SLIDE.json, which says what the images were cut from.
    patch, upsample, pyramid
        As `embed` takes them; without a patch, the square of 2r around the spot, black outside the slide's image.
    workers
        Processes that cut a slide each; with 0, this one does it.
    progress
        Whether to show a bar; None shows it on a terminal.

    Returns
    -------
    pandas.DataFrame
        By slide: ``spots``, how many images it has, and ``new``, how many of them this call wrote.

    Raises
    ------
    DataError
        If a slide cannot be read, or a spot's id can be no file name. The other slides' images are written then.

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
