"""Fingerprints of a slide's content, which do not depend on names, file formats or order."""

import hashlib
from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy.spatial import cKDTree

from stimage.slides.catalog import Slide
from stimage.slides.images.reader import read_patches
from stimage.slides.images.tissue import find_tissue
from stimage.slides.images.views import read_views, whole
from stimage.slides.spots import Spots, open_spots

FEW, MANY = 20, 300  # genes with a count: spots of fewer look alike by chance, with their genes' names and without
VARIED = 12  # different counts of a spot: without genes' names, spots of mostly ones and twos look alike by chance
SIDE = 16  # pixels of a patch's picture
KEPT = 64  # patches of a slide, those of most contrast
READ = 4000  # patches read of a slide
AROUND = {"VisiumHD": 12.0}  # pitches from a patch's centre to its edge; of other technologies, one
THUMB = 32  # pixels of the picture of all tissue
LONGEST = 600  # pixels of the thumbnail in which tissue is looked for


@dataclass(frozen=True, eq=False)
class CountsPrint:
    """Of a slide's counts: digests of its spots with their genes' names (``spots``) and without (``profiles``), both
    uint64, sorted; and the total of each gene by its name's digest (``genes`` sorted uint64, ``totals`` float64)."""

    spots: np.ndarray
    profiles: np.ndarray
    genes: np.ndarray
    totals: np.ndarray


@dataclass(frozen=True, eq=False)
class ImagePrint:
    """Of a slide's image: patches around spots (float32, k x 16 x 16: grey, of mean 0 and norm 1), where they are
    (k x 2, in pitches), and all tissue likewise (32 x 32), with its width by its height."""

    patches: np.ndarray
    places: np.ndarray
    tissue: np.ndarray
    aspect: float


def counts_print(slide: Slide) -> CountsPrint:
    """Read a slide's counts once."""
    spots = open_spots(slide, "drop", with_image=False)
    named = np.array([_digest(gene) for gene in spots.genes], np.uint64)
    digests, profiles, totals = [], [], np.zeros(len(named))
    for _, rows in spots.blocks():
        values = np.ascontiguousarray(rows.values, np.float64)
        told, sizes = _mixed(values.view(np.uint64)), np.diff(rows.indptr)
        digests.append(_sums(_mixed(told ^ named[rows.columns]), rows.indptr)[sizes >= FEW])
        profiles.append(_sums(told, rows.indptr)[(sizes >= MANY) & (_different(values, sizes) >= VARIED)])
        totals += np.bincount(rows.columns, values, len(named))
    genes, own = np.unique(named, return_inverse=True)
    of_spots, of_profiles = (np.unique(np.concatenate(some)) for some in (digests, profiles))
    return CountsPrint(of_spots, of_profiles, genes, np.bincount(own, totals))


def image_print(slide: Slide) -> ImagePrint:
    """Read a slide's image twice: small, and around its spots."""
    spots = open_spots(slide, "drop")
    info = spots.image_info
    (view,) = read_views(spots.image_path, [whole(info, LONGEST)], spots.max_pixels)
    tissue = find_tissue(view.pixels)
    rows, columns = (np.flatnonzero(tissue.any(axis)) for axis in (1, 0))
    cut = view.pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] if len(rows) else view.pixels
    patches, places = _patches(spots, AROUND.get(slide.tech, 1.0))
    return ImagePrint(patches, places, _unit(_small(cut, THUMB)[None])[0], cut.shape[1] / cut.shape[0])


def _patches(spots: Spots, around: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the pictures of the patches of most contrast, and where they are in pitches."""
    xy = np.stack([spots.x, spots.y], 1)
    if len(xy) < 2:
        return np.zeros((0, SIDE, SIDE), np.float32), np.zeros((0, 2))
    pitch = float(np.median(cKDTree(xy).query(xy, 2)[0][:, 1]))
    half = max(pitch * around, 2.0)
    boxes = np.rint(np.concatenate([xy - half, xy + half], 1)).astype(np.int64)
    size = spots.image_info.width, spots.image_info.height
    inside = np.flatnonzero((boxes[:, :2] >= 0).all(1) & (boxes[:, 2:] <= size).all(1))
    inside = inside[:: -(-len(inside) // READ) or 1]
    order = inside[np.argsort(boxes[inside, 1], kind="stable")]
    found = np.zeros((len(order), SIDE, SIDE), np.float32)
    for k, patch in enumerate(read_patches(spots.image_path, boxes[order], spots.max_pixels)):
        found[k] = _small(patch, SIDE)
    best = np.argsort(-found.std((1, 2)), kind="stable")[:KEPT]
    return _unit(found[best]), xy[order[best]] / pitch


def _small(pixels: np.ndarray, side: int) -> np.ndarray:
    """Return pixels (uint8 RGB) in grey, made so many pixels wide and high."""
    grey = Image.fromarray(pixels).convert("L")
    return np.asarray(grey.resize((side, side), Image.Resampling.BOX), np.float32)


def _unit(pictures: np.ndarray) -> np.ndarray:
    """Return pictures (k x h x w) of mean 0 and norm 1."""
    pictures = pictures - pictures.mean((1, 2), keepdims=True)
    return pictures / np.maximum(np.sqrt((pictures**2).sum((1, 2), keepdims=True)), 1e-6)


def _digest(gene: str) -> int:
    """Return 64 bits of a gene's name, without the version of an Ensembl id."""
    name = gene.casefold()
    name = name.partition(".")[0] if name.startswith("ens") else name
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little")


def _mixed(x: np.ndarray) -> np.ndarray:
    """Return 64 bits of which each depends on all of x's (uint64): splitmix64 (Steele et al. 2014)."""
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _different(values: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Return how many different values each row has, of rows one after another."""
    row = np.repeat(np.arange(len(sizes)), sizes)
    values = values[np.lexsort((values, row))]
    first = np.ones(len(values), bool)
    first[1:] = (values[1:] != values[:-1]) | (row[1:] != row[:-1])
    return np.bincount(row[first], minlength=len(sizes))


def _sums(values: np.ndarray, indptr: np.ndarray) -> np.ndarray:
    """Return the sum of each row's values modulo 2^64, in whatever order they are."""
    ends = np.concatenate([np.zeros(1, np.uint64), np.cumsum(values, dtype=np.uint64)])
    return ends[indptr[1:]] - ends[indptr[:-1]]
