"""Writing made slides in the data set's layout, with the irregularities that real files have."""

import csv
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import numpy as np
import pyvips
from PIL import Image

from stimage.sample.expression import named_genes
from stimage.sample.slides import MadeSlide, ensembl_id
from stimage.sample.tissue import BRAIN, BREAST

META_COLUMNS = "slide species tissue pmid title abstract keywords involve_cancer tech spot_num gene_num".split()
IMAGE_KINDS = ("png", "jpeg", "strip tiff", "tiled tiff")
PITCH_UM = {"ST": 200, "Visium": 100, "VisiumHD": 8}


def write_made_slide(out: Path, slide: MadeSlide, number: int, rng: np.random.Generator) -> None:
    """Write a slide's files; its number among the sample's slides says which irregularities they have."""
    folder = out / slide.study.tech
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


def _write_csv(path: Path, rows: Iterable, quoting: Literal[0, 1, 2, 3] = csv.QUOTE_MINIMAL) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, quoting=quoting, lineterminator="\n").writerows(rows)


def write_made_meta(out: Path, made: list[MadeSlide]) -> None:
    """Write the meta table and the BibTeX entries of its studies."""
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
    (out / "meta" / "bib.txt").write_text("\n".join(entries.values()), encoding="utf-8")


def write_truth(out: Path, seed: int, made: list[MadeSlide]) -> None:
    """Write what is known of the sample, for tests to hold results against."""
    truth = {
        "seed": seed,
        "slides": {
            slide.name: {
                "um_per_px": slide.um_per_px,
                "pitch_px": PITCH_UM[slide.study.tech] / slide.um_per_px,
                "regions": dict(zip(slide.spots.ids, slide.regions)),
            }
            for slide in made
        },
        "markers": {
            f"{tissue.species} {tissue.organ}": {name: list(region.markers) for name, region in tissue.regions.items()}
            for tissue in (BREAST, BRAIN)
        },
        "ensembl": {
            s.name: {gene: ensembl_id(i) for i, gene in enumerate(named_genes(s.study.tissue))}
            for s in made
            if s.genes[0].startswith("ENS")
        },
    }
    (out / "sample.json").write_text(json.dumps(truth, indent=1) + "\n")
