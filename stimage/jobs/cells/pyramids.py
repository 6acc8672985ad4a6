"""Write slides as image pyramids, for segmenters of cells."""

from functools import partial
from pathlib import Path

from tqdm import tqdm

from stimage.cells.pyramids import export_one, known_scale
from stimage.core.arguments import path_of
from stimage.core.storage import local_copy
from stimage.jobs.roots import Root, open_unpublished
from stimage.slides.images.reader import image_info


def export_pyramid(
    root: str | Path | Root,
    out: str | Path,
    *,
    compression: str = "jpeg",
    quality: int = 90,
    ome: bool = False,
    progress: bool = False,
) -> dict[str, Path]:
    """Write slide images as tiled pyramids that segmenters and viewers read, such as CellViT and QuPath.

    The file is a TIFF with tiles of 256 pixels, and a BigTIFF where it could need more than 4 GB. µm per pixel are in
    its resolution tags and in its description, with the magnification. Each file is written whole or not at all, in one
    pass over the image and with the memory of a few rows of tiles. A file of the same name is replaced.

    Parameters
    ----------
    root
        A folder laid out as the data set, or a `Root` that `open_root` returned. A `Root` chooses the slides, and its
        ``um_per_px`` applies.
    out
        A folder to write SLIDE.tif into, or, with ``ome``, SLIDE.ome.tif.
    compression, quality
        "jpeg" with a quality from 1 to 100, or one that keeps pixels exactly: "deflate", "lzw" or "none".
    ome
        True describes the image by OME-XML, with the smaller levels as sub-pages, as Bio-Formats and QuPath read it.
        False describes it by Aperio's words (AppMag and MPP), which OpenSlide reads.
    progress
        True shows the progress on a terminal.

    Returns
    -------
    dict of str to pathlib.Path
        Slide → its file.

    Raises
    ------
    DataError
        Before anything is written, if the µm per pixel of a slide is neither given nor known from its lattice. Later,
        if an image can't be read or ``out`` can't be written; slides before it are then written.
    ValueError
        If there is no such compression or quality.

    Examples
    --------
    >>> import stimage
    >>> root = stimage.open_root("sample", "Visium", species="human")
    >>> [path.name for path in stimage.export_pyramid(root, "pyramids").values()]
    ['Human_Breast_Sample3_Visium_A1.tif']
    """
    root, out = open_unpublished(root), path_of(out, "out")
    scales = {slide: known_scale(slide, "a pyramid") for slide in root.slides}
    bar = partial(tqdm, unit="row", leave=False, disable=None if progress else True)
    written, most = {}, root.source.reading["max_image_pixels"]
    for slide, um_per_px in scales.items():
        path = written[slide.name] = out / f"{slide.name}.{'ome.' * ome}tif"
        height = image_info(local_copy(slide.image, slide.access), most).height
        with bar(desc=slide.name, total=height) as rows:
            export_one(slide, path, um_per_px, compression, quality, ome, most, rows.update)
    return written
