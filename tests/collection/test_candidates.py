"""Pairs that may be alike are found without comparing each with each, and no finding is lost."""

from itertools import combinations

import numpy as np
import pytest

from stimage.collection.leaks import meter, overlap
from stimage.collection.leaks.candidates import candidates
from stimage.collection.leaks.fingerprints import CountsPrint, ImagePrint
from stimage.collection.leaks.likeness import likenesses
from stimage.collection.leaks.split_files import Fold
from stimage.sample import make_sample
from stimage.slides.catalog import read_catalog

N = 24


def made_counts(rng, genes, base=None) -> CountsPrint:
    digests = rng.integers(0, 2**63, (2, 60)).astype(np.uint64)
    rates = np.exp(rng.normal(3, 1.5, len(genes))) if base is None else base
    return CountsPrint(*(np.sort(one) for one in digests), genes, rng.poisson(rates).astype(float))


def made_image(rng) -> ImagePrint:
    patches = rng.normal(size=(64, 16, 16)).astype(np.float32)
    tissue = rng.normal(size=(32, 32)).astype(np.float32)
    unit = [one / np.sqrt((one**2).sum((-2, -1), keepdims=True)) for one in (patches, tissue)]
    return ImagePrint(unit[0], rng.uniform(0, 40, (64, 2)), unit[1], float(rng.uniform(0.6, 1.6)))


@pytest.fixture
def prints():
    """Prints of slides, a few of them twins of others: in counts, shared spots, totals, sections, patches, tissue."""
    rng = np.random.default_rng(0)
    genes = np.sort(rng.choice(2**62, 4000, replace=False).astype(np.uint64))
    counts, images = [made_counts(rng, genes) for _ in range(N)], [made_image(rng) for _ in range(N)]
    a = counts[3]
    counts[9] = CountsPrint(
        np.sort(np.r_[counts[9].spots[:-6], a.spots[:6]]), counts[9].profiles, genes, counts[9].totals
    )
    counts[11] = CountsPrint(counts[11].spots, counts[5].profiles, genes, counts[11].totals)
    mixed = np.where(rng.random(4000) < 0.7, counts[6].totals, counts[12].totals)
    counts[12] = CountsPrint(counts[12].spots, counts[12].profiles, genes, mixed)
    counts[14] = made_counts(rng, genes, counts[7].totals * np.exp(rng.normal(0, 0.2, 4000)))
    counts[15] = made_counts(rng, genes[:300])
    counts[16] = made_counts(rng, genes[:300], counts[15].totals)
    one, turned = images[2], np.stack([images[2].places[:, 1], -images[2].places[:, 0]], 1)
    patches = np.rot90(one.patches, 1, (1, 2))
    images[17] = ImagePrint(patches[::-1], turned[::-1], images[17].tissue, images[17].aspect)
    images[18] = ImagePrint(images[18].patches, images[18].places, images[4].tissue, images[4].aspect * 1.01)
    counts[20], images[21] = None, None
    return counts, images


def test_no_likeness_is_lost_and_few_pairs_are_compared(prints):
    counts, images = prints
    found = candidates(counts, images)
    alike = {}
    for i, j in combinations(range(N), 2):
        pairs = ((some[i], some[j]) for some in (counts, images))
        if told := likenesses(*(None if a is None or b is None else (a, b) for a, b in pairs)):
            alike[i, j] = {one.what for one in told}
    assert {(3, 9): {"counts"}, (5, 11): {"counts"}, (6, 12): {"counts"}, (7, 14): {"sections"}, (2, 17): {"image"},
            (4, 18): {"image"}}.items() <= alike.items()  # fmt: skip
    assert set(alike) <= found
    few = {pair for pair in found if not {15, 16} & set(pair)}  # of whose genes the sample has too few
    assert len(few) <= 10
    assert candidates([], []) == candidates([None, None], [None, None]) == set()


@pytest.fixture(scope="module")
def slides(tmp_path_factory):
    root = tmp_path_factory.mktemp("candidates") / "root"
    make_sample(root, genes=400, slides_per_study=2, st_side=8, visium_side=8, hd_side=8)
    return read_catalog(str(root)).slides


def test_findings_are_those_of_each_with_each(slides, monkeypatch):
    placed, lost = meter.slides_of([Fold("", {one.name: str(k) for k, one in enumerate(slides)})], slides)
    fold = [Fold("", {one.name: str(k) for k, one in enumerate(slides)})]
    found = meter.find_leaks(fold, placed, {})
    shared = overlap.by_content(slides[:4], slides[2:], ("counts", "image"), lambda items, unit: items)
    for room in (meter, overlap):
        monkeypatch.setattr(
            room, "candidates", lambda counts, images, sections=True: {*combinations(range(len(counts)), 2)}
        )
    assert not lost and found == meter.find_leaks(fold, placed, {})
    assert shared == overlap.by_content(slides[:4], slides[2:], ("counts", "image"), lambda items, unit: items)
    assert {one.what for one in shared} == {"counts", "image"}
