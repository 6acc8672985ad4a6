"""Pictures of slides to check by eye, a file a slide."""

from functools import partial
from pathlib import Path

from stimage.core.arguments import check_whole, path_of
from stimage.formats.original.overlays import write_overlay
from stimage.jobs.original.slides import each_slide
from stimage.jobs.roots import Root, open_unpublished


def check_images(
    root: str | Path | Root, out: str | Path, *, workers: int = 0, progress: bool | None = False
) -> dict[str, Path]:
    """Draw each slide's spots as squares over its image, cropped to the spots: a PNG a slide, as the authors check.

    The same call goes on where an earlier one was interrupted; a picture is drawn anew where a slide's files changed.
    Counts are not read. `check` finds what is wrong by itself, and has a page.

    Parameters
    ----------
    root
        What `open_root` takes or returns.
    out
        A folder for SLIDE.png.
    workers
        Processes that draw a slide each; with 0, this one does it.
    progress
        Whether to show a bar; None shows it on a terminal.

    Returns
    -------
    dict of str to pathlib.Path
        Slide → its picture.

    Raises
    ------
    DataError
        If a slide cannot be read. The other slides' pictures are drawn then.

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
