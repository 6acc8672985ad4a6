"""Writing a made root in the data set's layout, with the irregularities that real slides have."""

import csv
import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyvips
from PIL import Image

from stimage.sample.expression import draw_counts, gene_means, gene_names, named_genes, region_shares
from stimage.sample.lattices import Spots, hd_bins, st_lattice, visium_lattice
from stimage.sample.tissue import BRAIN, BREAST, Tissue, draw_regions, paint

META_COLUMNS = "slide species tissue pmid title abstract keywords involve_cancer tech spot_num gene_num".split()
IMAGE_KINDS = ("png", "jpeg", "strip tiff", "tiled tiff")
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
class MadeSlide:
    """A made slide: spots on tissue with their region and counts (spots x genes), image, and what is known of it."""

    name: str
    study: Study
    spots: Spots
    regions: list[str]
    genes: list[str]
    counts: np.ndarray
    image: np.ndarray
    um_per_px: float


def make_sample(
    out: Path,
    seed: int = 0,
    genes: int = 2000,
    slides_per_study: int = 2,
    st_side: int = 14,
    visium_side: int = 20,
    hd_side: int = 64,
) -> list[str]:
    """Make a root of two ST, two Visium and one Visium HD study; the same seed makes the same bytes.

    Parameters
    ----------
    out
        The folder to make; it must be empty if it exists.
    genes
        Genes of a species; each slide lacks a few.
    slides_per_study
        Slides of each ST and Visium study; there is one Visium HD slide.
    st_side, visium_side, hd_side
        Spots along a side of the lattice, before those off the tissue are left out.

    Returns
    -------
    list of str
        The slides' names.

    Raises
    ------
    FileExistsError
        If ``out`` has something in it.
    """
    out = Path(out)
    if out.exists() and any(out.iterdir()):
        raise FileExistsError(f"{out}: is not empty; name a new folder")
    sides = {"ST": st_side, "Visium": visium_side, "VisiumHD": hd_side}
    made = []
    for s, study in enumerate(STUDIES):
        names = gene_names(study.tissue, genes)
        means = gene_means(study.tissue, names, np.random.default_rng([seed, s]))
        for k in range(1 if study.tech == "VisiumHD" else slides_per_study):
            rng = np.random.default_rng([seed, s, k])
            name = f"{study.name}_{study.tech}_{'ABCDEFGH'[k % 8]}{k // 8 + 1}"
            slide = _make_slide(name, study, names, means, sides[study.tech], rng)
            made.append(_write_slide(out, slide, len(made), rng))
    _write_meta(out, made)
    _write_truth(out, seed, made)
    return [slide.name for slide in made]


def _make_slide(
    name: str, study: Study, names: list[str], means: np.ndarray, side: int, rng: np.random.Generator
) -> MadeSlide:
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
    stain = np.random.default_rng(list(study.name.encode())).uniform(0.85, 1.2, 3) * rng.uniform(0.96, 1.04, 3)
    labels = np.array(list(study.tissue.regions))[shares.argmax(1)].tolist()
    counts = draw_counts(shares, means, TOTALS[study.tech], rng)
    image = paint(study.tissue, regions, um_per_px, stain, rng)
    return MadeSlide(name, study, spots, labels, names, counts, image, um_per_px)


def _write_slide(out: Path, slide: MadeSlide, number: int, rng: np.random.Generator) -> MadeSlide:
    """Write a slide's files, each slide with other irregularities; return it as written."""
    folder = out / slide.study.tech
    slide = _with_other_genes(slide, number, rng)
    spots, order = slide.spots, rng.permutation(len(slide.spots.ids))
    places = [[i, y, x, spots.r] for i, y, x in zip(spots.ids, spots.y.tolist(), spots.x.tolist())]
    _write_csv(folder / "coord" / f"{slide.name}_coord.csv", [["", "yaxis", "xaxis", "r"], *places])
    counts = slide.counts.astype(float) if number == 1 else slide.counts  # as 3.0 on one slide
    rows = range(len(spots.ids)) if number % 3 == 2 else order.tolist()
    _write_csv(
        folder / "gene_exp" / f"{slide.name}_count.csv",
        [["", *slide.genes], *([spots.ids[i], *counts[i].tolist()] for i in rows)],
    )
    _save_image(slide.image, folder / "image" / f"{slide.name}.png", IMAGE_KINDS[number % len(IMAGE_KINDS)])
    if slide.study.tech != "VisiumHD":
        labels = list(zip(spots.ids, slide.regions))
        if number == 3:  # some not labelled, some given up
            labels = [(i, "undetermined" if k % 10 == 1 else label) for k, (i, label) in enumerate(labels) if k % 7]
        _write_csv(out / "annotation" / f"{slide.name}_anno.csv", [["", "V2"], *labels])
    return slide


def _with_other_genes(slide: MadeSlide, number: int, rng: np.random.Generator) -> MadeSlide:
    """Leave out a few genes, change the columns' order on every other slide, and name some genes otherwise."""
    named = len(named_genes(slide.study.tissue))
    filler = named + np.flatnonzero(rng.random(len(slide.genes) - named) < 0.95)
    kept = np.concatenate([np.arange(named), filler])
    kept = rng.permutation(kept) if number % 2 else kept
    genes = [slide.genes[i] for i in kept]
    if number == 2:  # symbols that occur twice
        genes[-3:] = genes[:3]
    if number == 3:  # Ensembl ids
        genes = [_ensembl(slide.study.tissue, i) for i in kept.tolist()]
    return replace(slide, genes=genes, counts=slide.counts[:, kept])


def _ensembl(tissue: Tissue, place: int) -> str:
    return f"{'ENSG' if tissue.species == 'human' else 'ENSMUSG'}{place + 1:011d}"


def _save_image(pixels: np.ndarray, path: Path, kind: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "png":
        Image.fromarray(pixels).save(path, "PNG", compress_level=4)
    elif kind == "jpeg":
        Image.fromarray(pixels).save(path, "JPEG", quality=90)
    elif kind == "strip tiff":
        Image.fromarray(pixels).save(path, "TIFF", compression="tiff_lzw")
    else:
        tiles = {"tile": True, "tile_width": 256, "tile_height": 256, "compression": "deflate"}
        path.write_bytes(pyvips.Image.new_from_array(pixels).tiffsave_buffer(**tiles))


def _write_csv(path: Path, rows, quoting: int = csv.QUOTE_MINIMAL) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, quoting=quoting, lineterminator="\n").writerows(rows)


def _write_meta(out: Path, made: list[MadeSlide]) -> None:
    rows, entries = [], {}
    for slide in made:
        study, tissue = slide.study, slide.study.tissue
        title = f"A made study of {tissue.species} {tissue.organ}"
        abstract = f"Made tissue with the regions {', '.join(tissue.regions)}."
        keywords = f"{tissue.organ} tumor sample" if tissue.cancer else tissue.organ
        rows.append([slide.name, tissue.species, tissue.organ, study.pmid, title, abstract, keywords, tissue.cancer,
                     study.tech, len(slide.spots.ids), len(slide.genes)])  # fmt: skip
        for pmid in filter(None, study.pmid.split(",")):
            entries[pmid] = f"@article{{{pmid},\n  title = {{{title}}},\n  pmid = {{{pmid}}}\n}}\n"
    _write_csv(out / "meta" / "meta_all_gene.csv", [META_COLUMNS, *rows], csv.QUOTE_ALL)
    (out / "meta" / "bib.txt").write_text("\n".join(entries.values()))


def _write_truth(out: Path, seed: int, made: list[MadeSlide]) -> None:
    """Write what is known of the sample, for tests to hold results against."""
    pitch_um = {"ST": 200, "Visium": 100, "VisiumHD": 8}
    truth = {
        "seed": seed,
        "slides": {
            slide.name: {
                "um_per_px": slide.um_per_px,
                "pitch_px": pitch_um[slide.study.tech] / slide.um_per_px,
                "regions": dict(zip(slide.spots.ids, slide.regions)),
            }
            for slide in made
        },
        "markers": {
            f"{tissue.species} {tissue.organ}": {name: list(region.markers) for name, region in tissue.regions.items()}
            for tissue in (BREAST, BRAIN)
        },
        "ensembl": {
            s.name: {gene: _ensembl(s.study.tissue, i) for i, gene in enumerate(named_genes(s.study.tissue))}
            for s in made
            if s.genes[0].startswith("ENS")
        },
    }
    (out / "sample.json").write_text(json.dumps(truth, indent=1) + "\n")
