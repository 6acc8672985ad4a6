"""Nuclei alone as numbers of each spot: a baseline that an encoder should beat."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from stimage.cells.cells import FOLDER, Cells, density_of, read_cells
from stimage.cells.counting import area_of, classes_of, count_classes
from stimage.cells.nuclei import OWN, SOURCE
from stimage.cells.parting import Stain, find_threshold, part_nuclei, smaller, steps_to_work
from stimage.core.storage import list_folder
from stimage.slides.catalog import Slide

MEASURED = ("area", *OWN)  # of a nucleus; a spot has the mean over its own
COLUMNS = ["x", "y", "class", *MEASURED]
LOOKS = 150  # patches that the threshold is learnt from


@dataclass(frozen=True)
class NucleiOfSlides:
    """The nuclei of some slides in a root.

    Attributes
    ----------
    root
        Path or URL.
    classes
        The classes that are counted: those of all slides, if all have classes.
    measured
        The measurements that the nuclei of all slides have: some of `MEASURED`.
    sources
        Slide → the source of its nuclei, in words.
    """

    root: str
    classes: tuple[str, ...]
    measured: tuple[str, ...]
    sources: dict[str, str]

    def features(self, slide: Slide, xy: np.ndarray, r: np.ndarray) -> np.ndarray:
        """Return the features of spots (float32, n x features), which are the same for all slides.

        They are the logarithm of one plus the number of nuclei, for all nuclei and for each class, and means of the
        measurements over the nuclei, 0 for spots without any. Areas and densities are logarithms.

        Parameters
        ----------
        xy, r
            Centres (n x 2) and radii (n) of spots, in pixels of the slide's image.
        """
        cells = read_cells(self.root, slide, COLUMNS)
        area = area_of(slide)
        counts = count_classes(cells, classes_of([cells]), xy, r, area)
        of = {name: k for k, name in enumerate(classes_of([cells]))}
        own = [counts[:, of[name]] if name in of else np.zeros(len(xy)) for name in self.classes]
        values, sums = _measures(cells, self.measured), np.zeros((len(self.measured), len(xy)))
        for spot, cell in area.cells_in(xy, r, cells.xy) if self.measured else ():
            sums += [np.bincount(spot, one[cell], len(xy)) for one in values]
        number = counts.sum(1)
        return np.stack([*map(np.log1p, (number, *own)), *(sums / np.maximum(number, 1))], 1).astype(np.float32)

    @property
    def about(self) -> dict[str, Any]:
        """The words in results about the nuclei: the source for each slide, and the features."""
        return {"from": self.sources, "features": self.names}

    @property
    def names(self) -> list[str]:
        """The names of the features."""
        return ["number", *self.classes, *self.measured]


def nuclei_of_slides(root: str, slides: Sequence[Slide]) -> tuple[NucleiOfSlides | None, list[str]]:
    """Return the nuclei of slides if the root has those of all of them, and a note if it has those of some.

    Parameters
    ----------
    root
        Path or URL.

    Raises
    ------
    DataError
        As in `read_cells`.
    """
    there = list_folder(root, FOLDER, slides[0].access) if slides else {}
    without = [slide.name for slide in slides if f"{slide.name}.parquet" not in there]
    if len(without) == len(slides):
        return None, []
    if without:
        return None, [f"no baseline of nuclei: {len(without)} of {len(slides)} slides have no cells, such as "
                      f"{without[0]}; find them by detect_cells, or import them by import_cells"]  # fmt: skip
    classes: dict[str, None] = {}
    classed, measured, sources = True, {*MEASURED}, {}
    for slide in slides:
        cells = read_cells(root, slide, ["class", *MEASURED])
        classes |= dict.fromkeys(cells.classes)
        classed &= bool(cells.classes)
        measured &= _known(cells)
        sources[slide.name] = cells.source
    every = tuple(sorted(classes)) if classed else ()
    return NucleiOfSlides(root, every, tuple(one for one in MEASURED if one in measured), sources), []


def _known(cells: Cells) -> set[str]:
    """Return what is known of each of a slide's nuclei, in units that are those of all slides."""
    if not cells.um_per_px:
        return {*MEASURED} & {"ellipticity", "haematoxylin"} & {*cells.table.column_names}
    names = {name for name in MEASURED if name in cells.table.column_names and not cells.table[name].null_count}
    return names | {"density"}  # which centres tell


def _measures(cells: Cells, names: Sequence[str]) -> list[np.ndarray]:
    """Return what is measured of each nucleus (n), areas and densities as logarithms."""
    found = []
    for name in names:
        if name in cells.table.column_names:
            values = cells.table[name].to_numpy()
        else:
            values = density_of(cells.xy * (cells.um_per_px or 1))
        found.append(np.log1p(values) if name in ("area", "density") else values)
    return found


class PatchNuclei:
    """Nuclei of patches, found by the detector of nuclei, for patches without slides.

    Parameters
    ----------
    um_per_px
        µm per pixel of the patches.
    patches
        Some of the slide's patches (uint8, height x width x 3), from which the threshold between nuclei and other
        tissue is learnt.
    """

    source = SOURCE

    def __init__(self, um_per_px: float, patches: Iterable[np.ndarray]):
        self.step, self.stain = steps_to_work(um_per_px), Stain.usual()
        self.um = um_per_px * self.step
        self.threshold = find_threshold((smaller(one, self.step) for one in patches), self.um, self.stain)

    def features(self, patch: np.ndarray) -> np.ndarray:
        """Return number, area, ellipticity and haematoxylin of a patch's nuclei (4): see `NucleiOfSlides.features`."""
        small = smaller(patch, self.step)
        found = part_nuclei(small, self.um, self.threshold, self.stain) if self.threshold is not None else None
        if found is None or not len(found):
            return np.zeros(4, np.float32)
        area = np.log1p(found.pixels * self.um**2)
        means = [one.mean() for one in (area, found.ellipticity, found.haematoxylin)]
        return np.array([np.log1p(len(found)), *means], np.float32)
