"""The input of every reader of another format, `ImportOptions`, and its output, an `ImportedSlide`."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from stimage.core.arguments import check_above_0
from stimage.core.errors import DataError, let_go, one_line
from stimage.formats.large.file_counts import Counts, FileCounts, count_blocks
from stimage.formats.source_scale import number_above_0
from stimage.formats.stored.image import StoredImage
from stimage.slides.catalog import ON_MISMATCH, TECHS

TOO_MANY = 2**31  # counts of a gene in a spot: what 10x Genomics' files can hold no more
LARGEST = 2_000_000  # pixels of an image's side: ten times those of a whole slide at 0.25 µm


@dataclass(frozen=True)
class ImportOptions:
    """A user's values for a slide of another format. The source must give the values that are None.

    Attributes
    ----------
    image
        The full-resolution image. For a SpatialData store, a file, or the name of one of its images. None takes the
        finest image of the source.
    layer
        For an AnnData: the layer of raw counts, or "raw".
    genome
        For a matrix of several genomes: the one to keep.
    labels
        A column of the source's own table of spots.
    spot_diameter
        Diameter of a spot in pixels of the full-resolution image.
    um_per_px
        µm per pixel of the full-resolution image.
    on_mismatch
        "error", or "drop", which leaves out spots beyond the edge of the image, and counts them.
    tech
        "ST", "Visium" or "VisiumHD".
    library
        For an AnnData of several slides: the one to take, as ``uns["spatial"]`` or ``obs`` names it. For a SpatialData
        store of several slides or bin sizes: the element of its spots, or their table.
    positions
        For tables of legacy ST: the table of the spots' positions, or the alignment matrix, if it does not lie beside.
    pitch_um, spot_um, whole_image
        For an image alone: the lattice's pitch and a spot's diameter in µm, and whether all of the image counts as
        tissue.
    """

    image: Path | None = None
    layer: str | None = None
    genome: str | None = None
    labels: str | None = None
    spot_diameter: float | None = None
    um_per_px: float | None = None
    on_mismatch: str = "error"
    tech: str | None = None
    library: str | None = None
    positions: Path | None = None
    pitch_um: float | None = None
    spot_um: float | None = None
    whole_image: bool = False

    def __post_init__(self) -> None:
        """Refuse values that options can't have, with a `ValueError`."""
        if self.spot_diameter is not None:
            check_above_0(self.spot_diameter, "spot_diameter", "pixels of the full-resolution image")
        if self.um_per_px is not None:
            check_above_0(self.um_per_px, "um_per_px", "µm per pixel of the full-resolution image")
        for name, what in (("pitch_um", "µm from a spot to the next"), ("spot_um", "µm across a spot")):
            if getattr(self, name) is not None:
                check_above_0(getattr(self, name), name, what)
        if self.on_mismatch not in ON_MISMATCH:
            raise ValueError(f"on_mismatch={self.on_mismatch!r}: pass one of {ON_MISMATCH}")
        if self.tech not in (None, *TECHS):
            raise ValueError(f"tech={self.tech!r}: pass one of {', '.join(TECHS)}")


@dataclass(frozen=True, eq=False)
class ImportedSlide:
    """A slide of another format: the counts of n spots (n x genes), and x, y and r in pixels of its image.

    Attributes
    ----------
    where
        The name of the source in errors: its path.
    genes, gene_ids
        Symbols, and Ensembl ids where the source has them (else empty).
    image
        A file, or pixels: height x width x 3 (RGB), uint8, which may still be in a store.
    um_per_px, um_per_px_source
        µm per pixel of the image by the source, or None, and who says so.
    frame
        Width and height of the full-resolution image in pixels by the source, and where the source says so. None where
        it does not say so, or where the image is the small one.
    left_out
        Kinds of things in the source that are not in the slide, such as "antibodies", and their numbers.
    counts_file
        The file of the source that has the counts; it may have those of other spots and features, too. None where
        counts are from several files, or in memory.
    preview
        The source's own small image, whole: a file, or pixels as of ``image``. None where there is none.
    mirrored
        Whether x and y run the other way round than the source's array coordinates: they may be swapped.
    image_alone
        Whether the slide has no genes and no counts.
    """

    where: str
    barcodes: list[str]
    genes: list[str]
    counts: Counts
    x: np.ndarray
    y: np.ndarray
    r: float
    image: Path | np.ndarray | StoredImage
    labels: Mapping[str, str]
    tech: str = "Visium"
    um_per_px: float | None = None
    um_per_px_source: str = ""
    gene_ids: list[str] = field(default_factory=list)
    frame: tuple[float, float, str] | None = None
    left_out: Mapping[str, int] = field(default_factory=dict)
    preview: Path | np.ndarray | None = None
    counts_file: Path | None = None
    mirrored: bool = False
    image_alone: bool = False


@contextmanager
def reading(path: Path | str, what: str) -> Iterator[None]:
    """Turn whatever a library raises while it reads a file into a `DataError` that names file, format and cause."""
    try:
        yield
    except DataError as error:
        let_go(error)
        raise
    except Exception as error:  # HDF5, Arrow, zlib and Pillow tell it by classes of their own
        let_go(error)
        raise DataError(f"{path}: cannot be read as {what} ({one_line(error)})") from error


def refuse_options(options: ImportOptions, path: Path | str, what: str, names: Iterable[str]) -> None:
    """Refuse options that a format has no use for."""
    for name in names:
        if getattr(options, name) is not None:
            raise DataError(f"{path}: {what}, which has no {name}; leave out --{name}")


def scale_to(options: ImportOptions, factors: Mapping[str, Any], where: Path | str) -> tuple[float, float, str]:
    """Return what pixels of the full image are multiplied by, a spot's radius thereafter, and the technology."""
    scale = 1.0 if options.image else factor(factors, "tissue_hires_scalef", where, "pass image= (--image)")
    diameter = options.spot_diameter or factor(
        factors, "spot_diameter_fullres", where, "pass spot_diameter= (--spot-diameter)"
    )
    return scale, diameter / 2 * scale, "VisiumHD" if "bin_size_um" in factors else "Visium"


def factor(factors: Mapping[str, Any], name: str, where: Path | str, remedy: str) -> float:
    """Return a scale factor.

    Raises
    ------
    DataError
        If it is missing, or no number above 0.
    """
    if name not in factors:
        raise DataError(f"{where}: has no scale factor {name!r}; get it again, or {remedy}")
    return number_above_0(factors, name, where, f"get it again, or {remedy}")


def frame_of(images: Mapping[str, tuple[float, float, float]], where: Path | str) -> tuple[str, float, float]:
    """Return the small image that shows most, and the full one's width and height by it.

    Parameters
    ----------
    images
        Width, height and pixels per pixel of the full image, by name: at least one.

    Raises
    ------
    DataError
        If the full image would be larger than any, or images disagree by more than their pixels allow.
    """
    best = max(images, key=lambda name: images[name][2])
    width, height = (side / images[best][2] for side in images[best][:2])
    if max(width, height) > LARGEST:
        raise DataError(
            f"{where}: by its scale factor, {images[best][2]:g}, {best!r} is of an image of {width:.3g} x {height:.3g} "
            "pixels; correct the scale factor"
        )
    for name, (wide, high, scale) in images.items():
        if any(abs(a / scale - b) > 2 / scale + 0.01 * b for a, b in ((wide, width), (high, height))):
            raise DataError(
                f"{where}: by their scale factors, its images {best!r} and {name!r} are of full images of "
                f"{width:,.0f} x {height:,.0f} and {wide / scale:,.0f} x {high / scale:,.0f} pixels: one is another "
                "slide's, or its scale factor is wrong"
            )
    return best, width, height


def raw_counts(counts: Any, where: Path | str, remedy: str) -> csr_matrix | FileCounts:
    """Return counts as CSR in canonical form, or as they are stored; ``remedy`` is what the error advises.

    Raises
    ------
    DataError
        If one is negative, no whole number, or larger than any count.
    """
    if not isinstance(counts, FileCounts):
        counts = csr_matrix(counts)
        if counts.data.dtype.kind not in "buif":
            raise DataError(f"{where}: has {counts.data.dtype}, which are no raw counts; {remedy}")
        if not counts.has_canonical_format:
            counts = counts.copy()  # it may be a user's own
            counts.sum_duplicates()
    for rows in count_blocks(counts):
        if len(bad := rows.values[(rows.values % 1 != 0) | (rows.values < 0) | (rows.values >= TOO_MANY)]):
            raise DataError(f"{where}: has {bad[0]:g}, which is no raw count; {remedy}")
    return counts
