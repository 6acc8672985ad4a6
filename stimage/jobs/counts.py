"""The counts of a root's slides in another form."""

import logging
from collections.abc import Iterator
from pathlib import Path

from stimage.core.access import is_local
from stimage.core.errors import DataError, shown
from stimage.jobs.roots import Root, open_unpublished
from stimage.slides.counts.converting import WRITERS, Converted, convert
from stimage.slides.missing import need_counts

log = logging.getLogger(__name__)


def convert_counts(root: str | Path | Root, to: str = "h5") -> Iterator[Converted]:
    """Write the counts of slides in another form, each instead of the file that is there.

    Examples and gene ids stay as they are. Sparse HDF5 has the counts alone, compressed; the wide CSV has each zero.
    What was opened before, such as a `Root` or a streamed data set, looks for the old files: open it again.

    Parameters
    ----------
    root
        What `open_root` takes or returns: a folder of this machine.
    to
        "h5": HDF5 as 10x Genomics writes it, which scanpy's ``read_10x_h5`` reads. "csv": the data set's own form.

    Returns
    -------
    Iterator of Converted
        Of each slide, once its file is in place: ``slide``, and the bytes ``before`` and ``after``.

    Raises
    ------
    DataError
        If all slides are images alone. If counts can't be read, or are no whole numbers and are to become HDF5; this
        slide's file is then as it was.
    ValueError
        If there is no such form.

    Examples
    --------
    >>> import stimage
    >>> root = stimage.open_root("sample", "Visium", species="human")
    >>> [one.slide for one in stimage.convert_counts(root, "h5")]
    ['Human_Breast_Sample3_Visium_A1']
    >>> root = stimage.open_root("sample", "Visium", species="human")
    >>> [one.slide for one in stimage.convert_counts(root, "csv")]
    ['Human_Breast_Sample3_Visium_A1']
    """
    if to not in WRITERS:
        raise ValueError(f"to={to!r}: pass one of {', '.join(WRITERS)}")
    root = open_unpublished(root)
    if not is_local(root.catalog.root):
        raise DataError(f"{root.location}: can't be written from here; copy the root to this machine first")
    if alone := [slide.name for slide in root.slides if slide.image_alone]:
        if len(alone) == len(root.slides):
            need_counts(root.slides, "another form of them", "name other slides as slides= (--slides)")
        log.warning("images alone have no counts, and stay as they are: %s", shown(alone))
    counted = [slide for slide in root.slides if not slide.image_alone]
    return convert(counted, Path(root.catalog.root), to)
