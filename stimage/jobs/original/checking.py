"""Draw pictures of slides to check by eye, one file per slide."""

from functools import partial
from pathlib import Path

from stimage.core.arguments import check_whole, path_of
from stimage.formats.original.overlays import write_overlay
from stimage.jobs.original.slides import each_slide
from stimage.jobs.roots import Root, open_unpublished


def check_images(
    root: str | Path | Root, out: str | Path, *, workers: int = 0, progress: bool | None = False
) -> dict[str, Path]:
    """Draw the spots of each slide as squares over its image, cropped to the spots: one PNG per slide, as the authors.

    After an interruption, the same call continues. A picture is drawn again if the slide's files changed. Counts are
    not read. `check` finds faults by itself, and makes a page.

    Parameters
    ----------
    root
        A folder laid out as the data set, its URL, or a `Root` that `open_root` returned.
    out
        A folder to write SLIDE.png into.
    workers
        Number of processes, each with one slide at a time. 0 works in this process.
    progress
        True shows a progress bar, None shows one only on a terminal.

    Returns
    -------
    dict of str to pathlib.Path
        Slide → its picture.

    Raises
    ------
    DataError
        If a slide can't be read. The pictures of the other slides are then drawn.

    Examples
    --------
    >>> import stimage
    >>> root = stimage.open_root("sample", "ST", species="human")
    >>> [path.name for path in stimage.check_images(root, "seen").values()]
    ['Human_Breast_Sample1_ST_A1.png']
    """
    check_whole(workers, "workers")
    root, out = open_unpublished(root), path_of(out, "out")
    draw = partial(write_overlay, out=out, max_pixels=root.source.reading["max_image_pixels"])
    return {name: path for name, (path, _) in each_slide(draw, root.slides, workers, progress).items()}
