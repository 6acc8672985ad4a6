"""Making one slide: its lattice, tissue, counts and image, and the genes that it lacks or names otherwise."""

from dataclasses import dataclass, replace

import numpy as np

from stimage.sample.expression import (
    Programme,
    draw_counts,
    draw_programme,
    made_genes,
    named_genes,
    region_shares,
    with_batch_effect,
)
from stimage.sample.lattices import MadeSpots, hd_bins, st_lattice, visium_lattice
from stimage.sample.tissue import BRAIN, BREAST, Tissue, draw_regions, paint

ZEROS_AT = 2000  # genes at which a spot has TOTALS counts; in proportion with fewer or more, so as many are zero
TOTALS = {"ST": 900, "Visium": 500, "VisiumHD": 60}  # counts a spot
UM_PER_PX = {"ST": 4.0, "Visium": 2.0, "VisiumHD": 0.5}


@dataclass(frozen=True)
class Study:
    """Slides of one tissue by one technology, under one or more pmids."""

    name: str
    tech: str
    tissue: Tissue
    pmid: str


STUDIES = (
    Study("Human_Breast_Sample1", "ST", BREAST, "90000001"),
    Study("Mouse_Brain_Sample2", "ST", BRAIN, "90000002"),
    Study("Human_Breast_Sample3", "Visium", BREAST, "90000003,90000004"),
    Study("Mouse_Brain_Sample4", "Visium", BRAIN, "90000005"),
    Study("Human_Breast_Sample5", "VisiumHD", BREAST, ""),
)


@dataclass(frozen=True)
class StainBatch:
    """What the slides of a study share: gene names, their programme, and ``stain``, the strength of each colour (3)."""

    genes: list[str]
    programme: Programme
    stain: np.ndarray


@dataclass(frozen=True)
class MadeSlide:
    """A made slide: spots on tissue with their region and counts (spots x genes), image, and what is known of it."""

    name: str
    study: Study
    spots: MadeSpots
    regions: list[str]
    genes: list[str]
    counts: np.ndarray
    image: np.ndarray
    um_per_px: float


def generator(seed: int, name: str) -> np.random.Generator:
    """Return the generator of a tissue, a study or a slide: it depends on the seed and its name, on nothing else."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=tuple(name.encode())))


def make_batch(study: Study, genes: int, seed: int) -> StainBatch:
    """Draw what a study's slides share; studies of one tissue differ by their batch effect and stain alone."""
    names = made_genes(study.tissue, genes)
    shared = draw_programme(study.tissue, names, generator(seed, f"{study.tissue.species} {study.tissue.organ}"))
    rng = generator(seed, study.name)
    return StainBatch(names, with_batch_effect(shared, rng), rng.uniform(0.85, 1.2, 3))


def make_slide(name: str, study: Study, batch: StainBatch, side: int, rng: np.random.Generator) -> MadeSlide:
    """Make a slide with all genes of its batch; ``side`` is that of the lattice, in spots."""
    um_per_px = UM_PER_PX[study.tech] * rng.uniform(0.95, 1.05)
    if study.tech == "VisiumHD":
        spots = hd_bins(name, side, um_per_px)
    else:
        spots = (st_lattice if study.tech == "ST" else visium_lattice)(name, side, um_per_px, rng)
    # the image ends within the last spots, so that some lie over its border
    width, height = int(spots.x.max() + 0.4 * spots.r), int(spots.y.max() + 1.5 * spots.r)
    regions = draw_regions(study.tissue, height, width, rng)
    shares = region_shares(spots, regions, len(study.tissue.regions))
    on_tissue = np.flatnonzero(shares.sum(1) > 0.5)
    spots, shares = spots.take(on_tissue), shares[on_tissue]
    labels = np.array(list(study.tissue.regions))[shares.argmax(1)].tolist()
    counts = draw_counts(shares, batch.programme, TOTALS[study.tech] * len(batch.genes) / ZEROS_AT, rng)
    image = paint(study.tissue, regions, um_per_px, batch.stain * rng.uniform(0.8, 1.25, 3), rng)
    return MadeSlide(name, study, spots, labels, batch.genes, counts, image, um_per_px)


def with_other_genes(slide: MadeSlide, number: int, rng: np.random.Generator) -> MadeSlide:
    """Leave out a few genes, change the columns' order on every other slide, and name some genes otherwise."""
    named = len(named_genes(slide.study.tissue))
    filler = named + np.flatnonzero(rng.random(len(slide.genes) - named) < 0.95)
    kept = np.concatenate([np.arange(named), filler])
    kept = rng.permutation(kept) if number % 2 else kept
    genes = [slide.genes[i] for i in kept]
    if number == 2:  # symbols that occur twice
        genes[-3:] = genes[:3]
    if slide.study.tech == "VisiumHD":
        genes = [ensembl_id(i) for i in kept.tolist()]
    return replace(slide, genes=genes, counts=slide.counts[:, kept])


def ensembl_id(place: int) -> str:
    """Return a made-up Ensembl id (no real one begins so) of the gene at a place of `made_genes`."""
    return f"ENSG9{place:010d}"
