"""Made tissue: regions with their own texture, stain and gene programme, painted as a cartoon of H&E."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter, zoom
from scipy.spatial import cKDTree

COARSE = 8  # regions are drawn on a grid this many times coarser than the image, then made smooth
BACKGROUND = (243, 241, 244)
WALL = np.array([26, 92, 62], np.float32)  # what the wall of a cell takes off the colour
CELL_UM = 55  # diameter of a fat cell
GRAIN_UM = 1.9  # of chromatin and fibrils: larger pixels average it away


@dataclass(frozen=True)
class Region:
    """A kind of tissue: its marker genes, and its looks.

    ``nuclei`` a 10,000 µm², ``radius`` of a nucleus in µm, ``eosin`` and ``nucleus`` colours (RGB), ``fibres`` the
    strength of wavy streaks and ``cells`` of the walls of large, empty cells, 0 to 1.
    """

    markers: tuple[str, ...]
    nuclei: float
    radius: float
    eosin: tuple[int, int, int]
    nucleus: tuple[int, int, int]
    fibres: float = 0.0
    cells: float = 0.0


@dataclass(frozen=True)
class Tissue:
    """An organ of a species, with its regions by name."""

    species: str
    organ: str
    cancer: bool
    regions: dict[str, Region]


def _genes(names: str) -> tuple[str, ...]:
    return tuple(names.split())


BREAST = Tissue("human", "breast", True, {
    "tumor": Region(_genes("EPCAM KRT8 KRT18 KRT19 ERBB2 MUC1 CDH1 CLDN4 GATA3 MKI67"),
                    70, 5.0, (206, 158, 205), (78, 50, 130)),
    "stroma": Region(_genes("COL1A1 COL1A2 COL3A1 DCN LUM POSTN FN1 VIM ACTA2 SPARC"),
                     14, 3.2, (238, 160, 190), (112, 72, 148), fibres=0.9),
    "immune": Region(_genes("PTPRC CD3E CD3D CD79A MS4A1 IGKC IGHG1 CXCL13 CCL19 LTB"),
                     120, 2.8, (214, 190, 222), (58, 44, 120)),
    "adipose": Region(_genes("ADIPOQ FABP4 PLIN1 PLIN4 LPL LEP CFD CIDEC GPD1 ADH1B"),
                      3, 2.5, (250, 244, 248), (120, 80, 150), cells=1.0),
})  # fmt: skip
BRAIN = Tissue("mouse", "brain", False, {
    "cortex": Region(_genes("Slc17a7 Cux2 Rorb Satb2 Stx1a Camk2a Nrgn Tbr1 Neurod2 Lamp5"),
                     42, 4.2, (232, 178, 204), (98, 70, 150)),
    "white_matter": Region(_genes("Mbp Plp1 Mobp Mog Mag Cnp Mal Olig1 Cldn11 Ermn"),
                           20, 2.4, (226, 150, 190), (90, 62, 140), fibres=1.0),
    "hippocampus": Region(_genes("Prox1 Wfs1 Neurod6 Calb1 Hpca Spink8 C1ql2 Cabp7 Lefty1 Dsp"),
                          110, 4.6, (222, 190, 216), (64, 48, 128)),
    "thalamus": Region(_genes("Tcf7l2 Prkcd Rora Lef1 Ntng1 Plekhg1 Rgs16 Zic1 Tnnt1 Adarb1"),
                       12, 5.6, (238, 216, 228), (140, 108, 176), fibres=0.3),
})  # fmt: skip


def draw_regions(tissue: Tissue, height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Draw which region each pixel belongs to.

    Returns
    -------
    numpy.ndarray
        int8 (height, width): -1 where there is no tissue, else the region's place in ``tissue.regions``. The tissue
        reaches the right border of the image.
    """
    rows, columns = -(-height // COARSE), -(-width // COARSE)
    y, x = np.mgrid[0:rows, 0:columns] / np.array([rows, columns]).reshape(2, 1, 1)
    scale = max(rows, columns)
    fields = [_smooth_noise(rng, (rows, columns), scale / 9) for _ in tissue.regions]
    outline = ((x - 0.6) / 0.52) ** 2 + ((y - 0.5) / 0.44) ** 2 + 0.12 * _smooth_noise(rng, (rows, columns), scale / 14)
    fine = [zoom(field, COARSE, order=1)[:height, :width] for field in [*fields, outline]]
    return np.where(fine[-1] < 1, np.argmax(fine[:-1], 0), -1).astype(np.int8)


def paint(
    tissue: Tissue, regions: np.ndarray, um_per_px: float, stain: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Paint an H&E image (uint8, height x width x 3) of a map of regions; ``stain`` scales the optical density (3)."""
    image = np.full((*regions.shape, 3), BACKGROUND, np.float32)
    streaks = _streaks(regions.shape, um_per_px, rng)[..., None]
    for place, region in enumerate(tissue.regions.values()):
        here = regions == place
        inside = gaussian_filter(here.astype(np.float32), 6 / um_per_px + 0.5)[..., None]
        colour = np.array(region.eosin, np.float32) - region.fibres * 26 * streaks
        if region.cells:
            colour -= region.cells * _cell_walls(here, um_per_px, rng)[..., None] * WALL
        image = image * (1 - inside) + colour * inside
        ink = _nuclei(region, here, um_per_px, rng)[..., None]
        image = image * (1 - ink) + np.array(region.nucleus, np.float32) * ink
    grain = np.where(regions >= 0, max(GRAIN_UM / um_per_px, 1), 1).astype(np.float32)
    image += (grain * rng.normal(0, 2.5, regions.shape).astype(np.float32))[..., None]
    density = -np.log(np.clip(image, 4, 254) / 255) * stain
    return np.rint(255 * np.exp(-density)).astype(np.uint8)


def _nuclei(region: Region, inside: np.ndarray, um_per_px: float, rng: np.random.Generator) -> np.ndarray:
    """Return how much of each pixel nuclei cover, 0 to 1."""
    seeds = (rng.random(inside.shape) < region.nuclei / 1e4 * um_per_px**2) & inside
    sigma = max(region.radius / um_per_px / 1.6, 0.35)
    return np.clip(gaussian_filter(seeds.astype(np.float32), sigma) * 2 * np.pi * sigma**2 * 1.4, 0, 0.95)


def _streaks(shape: tuple[int, int], um_per_px: float, rng: np.random.Generator) -> np.ndarray:
    """Return fibres that run from left to right in waves, mean 0 and standard deviation 1."""
    straight = _smooth_noise(rng, shape, (2 / um_per_px + 0.4, 16 / um_per_px + 0.4))
    coarse = -(-shape[0] // COARSE), -(-shape[1] // COARSE)
    wave = zoom(_smooth_noise(rng, coarse, 60 / um_per_px / COARSE), COARSE, order=1)[: shape[0], : shape[1]]
    y, x = np.ogrid[: shape[0], : shape[1]]
    return straight[(y + np.rint(wave * 20 / um_per_px).astype(int)) % shape[0], x]


def _cell_walls(inside: np.ndarray, um_per_px: float, rng: np.random.Generator) -> np.ndarray:
    """Return how much of each pixel is the wall of a large cell, 0 to 1: pixels as far from one centre as another."""
    cell = CELL_UM / um_per_px
    centres = np.moveaxis(np.mgrid[-1 : inside.shape[0] / cell + 1, -1 : inside.shape[1] / cell + 1], 0, -1).reshape(
        -1, 2
    )
    centres += rng.uniform(-0.4, 0.4, centres.shape)
    nearest = cKDTree(centres * cell).query(np.argwhere(inside), k=2)[0].astype(np.float32)
    walls = np.zeros(inside.shape, np.float32)
    walls[inside] = np.exp(-(((nearest[:, 1] - nearest[:, 0]) * um_per_px / 5) ** 2))  # 5: µm to where a wall fades
    return walls


def _smooth_noise(rng: np.random.Generator, shape: tuple[int, int], sigma: float | Sequence[float]) -> np.ndarray:
    """Return smooth noise of mean 0 and standard deviation 1."""
    noise = gaussian_filter(rng.standard_normal(shape).astype(np.float32), sigma, mode="wrap")
    return (noise - noise.mean()) / noise.std()
