"""The jobs that are struck at each of their writes, on the smallest data that they take."""

import contextlib
import json
import os
from pathlib import Path

import datasets
import numpy as np
from PIL import Image

import stimage
from stimage.formats.adding import write_slide as write_imported
from stimage.slides.catalog import read_catalog
from stimage.slides.meta_file import MetaRow
from tests.formats.killed import imported
from tests.nuclei import UM, Nuclei, write_root
from tests.reliability.scripts import call
from tests.reliability.strikes import Job
from tests.roots import write_csv, write_slide
from tests.test_scripts import no_processes

TASK = """\
job: predict
select: {species: human}
each: {tech: ST, slides: 2}
options: {protocol: fixed, split: slide, panel: [ERBB2, ESR1]}
metric: per_slide.pearson
"""
ROOT = ("root/*/*/*", "root/*/*", "root/*")
OUT = ("out/**/*",)


def in_folder(do, *arguments, **options):
    """Return a job that does something with its folder, whose caches are there too, in this process alone."""

    def run(folder: Path) -> None:
        datasets.config.HF_DATASETS_CACHE = str(folder / "cache")
        datasets.disable_progress_bars()
        with no_processes(), open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
            do(folder, *arguments, **options)

    return run


def make(folder: Path, slides: int = 2, side: int = 3) -> None:
    for k in range(slides):
        write_slide(folder / "root", f"Slide_{k}", "ST", side=side, seed=k)


def catalogued(folder: Path) -> object:
    return read_catalog(str(folder / "root")).select()


def script(name: str, *arguments: str):
    """Return a job that calls a script; {} in an argument is the folder."""
    return in_folder(lambda folder: call(name, *(one.format(folder) for one in arguments)))


def make_two(folder: Path) -> None:
    """A root that has a slide of the name to be added, with other spots."""
    make(folder, 1)
    write_imported(imported(3), folder / "root", MetaRow("Mine"))


def make_cells(folder: Path) -> None:
    make(folder)
    for k, cells in enumerate(("cells.json", "others.json")):
        nuclei = {str(n): {"centroid": [5 + n % 70, 5 + n // 3], "type": 1 + n % 3} for n in range(k, 90)}
        (folder / cells).write_text(json.dumps({"mag": None, "nuc": nuclei}))
    import_cells(folder, "others.json")


def import_cells(folder: Path, file: str) -> None:
    stimage.import_cells(folder / "root", "Slide_0", folder / file, classes="pannuke", unchecked=True)


def make_nuclei(folder: Path) -> None:
    write_root(folder / "root", Nuclei(300, 200))


def detect_cells(folder: Path) -> None:
    stimage.detect_cells(stimage.open_root(folder / "root", um_per_px=UM))


def show_cells(folder: Path) -> None:
    stimage.show_cells(stimage.open_root(folder / "root", um_per_px=0.5), "Slide_0", folder / "out", um=40, px=100)


def make_proportions(folder: Path) -> None:
    make_cells(folder)
    write_csv(folder / "rctd.csv", [["", "A", "B"], *([f"Slide_0_{i}x1", i / 4, 1 - i / 4] for i in range(3))])


def compare_cells(folder: Path) -> None:
    types = {"A": "Neoplastic", "B": "Connective"}
    one = stimage.open_root(folder / "root", slides="Slide_0")
    stimage.compare_cells(one, folder / "rctd.csv", types, folder / "out")


def make_encoders(folder: Path) -> None:
    from tests.evaluation.towers import make_tower

    make(folder, side=4)
    for kind in ("clip", "dinov2"):
        make_tower(kind, folder / kind)
    (folder / "task.yaml").write_text(TASK)


def benchmark(folder: Path) -> None:
    import torch

    torch.set_num_threads(1)
    encoders = [folder / "clip", folder / "dinov2"]
    stimage.benchmark_root(folder / "root", encoders, folder / "out", str(folder / "task.yaml"), untrained=False)


def embed(folder: Path) -> None:
    import torch

    torch.set_num_threads(1)
    stimage.embed(folder / "root", folder / "clip", folder / "out", batch_size=4)


def make_texts(folder: Path) -> None:
    """A root, and a CLIP with its tokenizer, which reads a spot's gene names as a sentence."""
    from tests.evaluation.towers import make_tower
    from tests.towers.checkpoints import write_clip

    make(folder, side=4)
    processor = make_tower("clip", folder / "images") / "preprocessor_config.json"
    processor.replace(write_clip(folder / "clip") / processor.name)


def embed_texts(folder: Path) -> None:
    import torch

    torch.set_num_threads(1)
    options = {"space": "joint", "of": "text", "batch_size": 4}
    stimage.embed(folder / "root", folder / "clip", folder / "out", **options)


def make_tissue(folder: Path) -> None:
    make(folder, 1)
    pixels = np.random.default_rng(0).integers(0, 255, (300, 310, 3), np.uint8)
    Image.fromarray(pixels).save(folder / "root/ST/image/Slide_0.png")


def export(folder: Path, to: str, **options) -> None:
    stimage.export_slides(folder / "root", folder / "out", to, **options)


def export_pyramid(folder: Path) -> None:
    stimage.export_pyramid(stimage.open_root(folder / "root", um_per_px=0.5), folder / "out")


def count_cells(folder: Path) -> None:
    stimage.count_cells(stimage.open_root(folder / "root", slides="Slide_0"), folder / "out")


def convert(folder: Path) -> None:
    list(stimage.convert_counts(folder / "root"))


SELECT = ("data_process/select_genes.py", "{}/root", "--method", "overlap-hvg", "--n", "2", "--out", "{}/out/p.json")
add = in_folder(lambda folder: write_imported(imported(), folder / "root", MetaRow("Mine")))
see = in_folder(catalogued)
JOBS: dict[str, Job] = {
    "add_slide": Job(lambda folder: make(folder, 1), add, ROOT, see, together=True),
    "add_slide, again": Job(make_two, add, ROOT, see, together=True),
    "import_cells": Job(make_cells, in_folder(import_cells, "cells.json"), ROOT, see),
    "convert_counts": Job(make, in_folder(convert), ROOT, see),
    "build_shards": Job(make, script("data_process/build_shards.py", "{}/root", "{}/out"), OUT),
    "export_slides, hest": Job(make, in_folder(export, "hest", patches=False), OUT),
    "export_slides, h5ad": Job(make, in_folder(export, "h5ad"), OUT),
    "export_slides, spatialdata": Job(lambda folder: make(folder, 1), in_folder(export, "spatialdata"), OUT),
    "export_pyramid": Job(make_tissue, in_folder(export_pyramid), OUT),
    "select_genes": Job(make, script(*SELECT), OUT),
    "number_genes": Job(make, script("data_process/number_genes.py", "{}/root"), ROOT),
    "count_cells": Job(make_cells, in_folder(count_cells), OUT),
    "detect_cells": Job(make_nuclei, in_folder(detect_cells), ROOT),
    "show_cells": Job(make_cells, in_folder(show_cells), OUT),
    "compare_cells": Job(make_proportions, in_folder(compare_cells), ("out/*.csv", "out/*.png")),
    "embed": Job(make_encoders, in_folder(embed), OUT),
    "embed, text": Job(make_texts, in_folder(embed_texts), OUT),
    "benchmark": Job(make_encoders, in_folder(benchmark), OUT),
}
