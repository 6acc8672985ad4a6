"""Lattices as the technologies print them, laid on an image: rows of spots that lie whole inside it."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

NOMINAL = {"Visium": (100.0, 55.0), "ST": (200.0, 100.0), "VisiumHD": (8.0, 8.0)}  # µm: pitch, and a spot's diameter


@dataclass(frozen=True)
class LatticePlan:
    """A lattice to be laid: ``tech`` tells how spots stand and are called; ``pitch`` and ``r`` are in pixels.

    "Visium" is hexagonal, with rows along x; "ST" square; "VisiumHD" square, of bins side by side, which are called by
    their side, ``pitch_um``.
    """

    tech: str
    pitch_um: float
    pitch: float
    r: float

    @property
    def across(self) -> float:
        """From a place to the next one in a row: of a hexagonal lattice, every other place of a row has a spot."""
        return self.pitch / 2 if self.tech == "Visium" else self.pitch

    @property
    def down(self) -> float:
        """From a row to the next one."""
        return self.pitch * np.sqrt(3) / 2 if self.tech == "Visium" else self.pitch

    @property
    def cell(self) -> float:
        """The area that a spot stands for, in square pixels."""
        return self.pitch * self.down

    def rows(self, width: int, height: int) -> Iterator[tuple[int, np.ndarray, np.ndarray, float]]:
        """Yield the number of each row, its spots' places in it, and their x and y; the lattice is centred.

        Places of a hexagonal row are even or odd as the row's number is, as Visium's array coordinates are.
        """
        columns, rows = (self._steps(size, step) for size, step in ((width, self.across), (height, self.down)))
        left, top = (width - columns * self.across) / 2, (height - rows * self.down) / 2
        every = 2 if self.tech == "Visium" else 1
        for row in range(rows + 1):
            places = np.arange(row % every, columns + 1, every)
            yield row, places, left + places * self.across, top + row * self.down

    def names(self, row: int, places: np.ndarray) -> list[str]:
        """Return the ids of a row's spots: column x row, as legacy ST's; of bins, as Space Ranger's."""
        if self.tech == "VisiumHD" and self.pitch_um.is_integer():
            return [f"s_{self.pitch_um:03.0f}um_{row:05d}_{place:05d}-1" for place in places.tolist()]
        return [f"{place}x{row}" for place in places.tolist()]

    def _steps(self, size: int, step: float) -> int:
        """Return how many steps fit between the first spot and the last one."""
        return int((size - 2 * self.r) / step + 1e-9)
