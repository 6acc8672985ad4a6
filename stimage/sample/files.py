"""Writing made slides in the data set's layout, with the irregularities that real files have."""

import csv
from pathlib import Path

import numpy as np
import pyvips
from PIL import Image

from stimage.core.files import write_text
from stimage.core.results import as_json
from stimage.core.tables import csv_text
from stimage.sample.expression import named_genes
from stimage.sample.slides import MadeSlide, ensembl_id
from stimage.sample.tissue import BRAIN, BREAST

SAMPLE_COLUMNS = "slide species tissue pmid title abstract keywords involve_cancer tech spot_num gene_num".split()
IMAGE_KINDS = ("png", "jpeg", "strip tiff", "tiled tiff")
PITCH_UM = {"ST": 200, "Visium": 100, "VisiumHD": 8}


def write_made_slide(out: Path, slide: MadeSlide, number: int, rng: np.random.Generator) -> None:
    """Write a slide's files; its number among the sample's slides says which irregularities they have."""
    folder = out / slide.study.tech
    spots, order = slide.spots, rng.permutation(len(slide.spots.ids))
    places = [[i, y, x, spots.r] for i, y, x in zip(spots.ids, spots.y.tolist(), spots.x.tolist())]
    write_text(folder / "coord" / f"{slide.name}_coord.csv", csv_text([["", "yaxis", "xaxis", "r"], *places]))
    counts = slide.counts.astype(float) if number == 1 else slide.counts  # as 3.0 on one slide
    rows = range(len(spots.ids)) if number % 3 == 2 else order.tolist()
    table = csv_text([["", *slide.genes], *([spots.ids[i], *counts[i].tolist()] for i in rows)])
    write_text(folder / "gene_exp" / f"{slide.name}_count.csv", table)
    _save_image(slide.image, folder / "image" / f"{slide.name}.png", IMAGE_KINDS[number % len(IMAGE_KINDS)])
    if slide.study.tech != "VisiumHD":
        labels = list(zip(spots.ids, slide.regions))
        if number == 3:  # some not labelled, some given up
            labels = [(i, "undetermined" if k % 10 == 1 else label) for k, (i, label) in enumerate(labels) if k % 7]
        write_text(out / "annotation" / f"{slide.name}_anno.csv", csv_text([["", "V2"], *labels]))


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
    write_text(out / "meta" / "meta_all_gene.csv", csv_text([SAMPLE_COLUMNS, *rows], csv.QUOTE_ALL))
    write_text(out / "meta" / "bib.txt", "\n".join(entries.values()))


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
    write_text(out / "sample.json", as_json(truth))
