"""Each picture of the project, made from the synthetic sample by users' commands, and all of them on one sheet.

    python -m benchmarks.pictures --out out/pictures

The demo runs first, in OUT/demo, and goes on where it was; its model, results and pictures are the others' material.
"""

import argparse
import csv
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap

import matplotlib
from PIL import Image, ImageDraw, ImageFont

from stimage.core.files import write_text
from stimage.core.tables import csv_text

HERE = Path(__file__).parents[1]
VISIUM, ST, HD = "Human_Breast_Sample3_Visium_F1", "Human_Breast_Sample1_ST_A1", "Human_Breast_Sample5_VisiumHD_A1"
LEFT_OUT = {"image", "thumbnails", "tiles", "layers"}  # folders
CELL, CAPTION, COLUMNS = 900, 60, 4  # pixels of a picture's side on the sheet, and of what is below it


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("out/pictures"), help="folder for the pictures (%(default)s)")
    out = parser.parse_args().out
    run(["scripts/demo.py", "--out", out / "demo"])
    write_symbols(out / "demo/sample", out / "symbols.csv")
    for command in commands(out):
        run(command)
    found = [*pictures(out), *sorted((HERE / "docs").rglob("images/*.png"))]
    sheet_of({str(path.relative_to(out if path.is_relative_to(out) else HERE)): path for path in found}).save(
        out / "sheet.png"
    )
    print(f"{len(found)} pictures: {out / 'sheet.png'}")


def run(command: list) -> None:
    print("$", *command, flush=True)
    subprocess.run([sys.executable, HERE / command[0], *map(str, command[1:])], check=True)


def write_symbols(root: Path, path: Path) -> None:
    """Write the symbols of the sample's Ensembl ids: of the named genes, which come first, and which no slide lacks."""
    symbols, ids = (next(csv.reader((root / tech / "gene_exp" / f"{slide}_count.csv").open()))[1:]
                    for tech, slide in (("ST", ST), ("VisiumHD", HD)))  # fmt: skip
    named = [
        pair for pair in zip(ids, symbols) if not pair[1].startswith("GENE")
    ]  # each slide lacks other made-up ones
    write_text(path, csv_text([("gene_id", "symbol"), *named]))


def commands(out: Path) -> list[list]:
    """Return the commands that draw what the demo does not."""
    demo, root = out / "demo", out / "demo/sample"
    figures = ("scripts/evaluation/figures.py",)
    models = [[demo / what / model for model in ("untrained", "tuned")] for what in ("probe", "scores", "embeddings")]
    probes, scores, embeddings = models
    tuned, end = embeddings[1], ("--out", out / "figures")
    of_slide = ("--root", root, "--slide", VISIUM)
    search = ("scripts/evaluation/search.py", demo / "tuned/model", root)
    return [
        *(["scripts/data_process/show_spots.py", root, "--slide", one, "--gene-table", out / "symbols.csv", "--out",
           out / "show_spots"] for one in (ST, VISIUM, HD)),
        *(["scripts/data_collection/check_spots.py", root, "--slides", ST, VISIUM, HD, "--colour", colour,
           "--out", out / f"check_{colour}"] for colour in ("counts", "annotation", "ERBB2")),
        ["scripts/data_process/detect_cells.py", root, "--slides", VISIUM],
        ["scripts/data_process/show_cells.py", root, "--slide", VISIUM, "--out", out / "cells"],
        [*figures, "projection", "--embeddings", *embeddings, "--names", "untrained", "tuned", "--root", root,
         "--tech", "Visium", "--species", "human", *end],
        [*figures, "models", "--probes", *probes, "--scores", *scores, "--points", out / "figures/projection_t-sne.csv",
         *of_slide, *end],
        [*figures, "labels", *of_slide, "--embeddings", tuned, "--out", out / "on_white"],
        [*figures, "labels", *of_slide, "--image", *end],
        [*figures, "labels", "--root", root, "--slide", ST, "--image", *end],
        [*figures, "annotated", "--root", root, *end],
        [*figures, "genes", *of_slide, "--genes", "ERBB2", "CD3E", "--out", out / "on_white"],
        [*figures, "genes", *of_slide, "--genes", "ERBB2", "CD3E", "--image", *end],
        [*figures, "genes", "--root", root, "--slide", HD, "--genes", "ERBB2", "--gene-table",
         out / "symbols.csv", "--image", *end],
        [*figures, "overview", *of_slide, "--embeddings", tuned, "--gene", "ERBB2", *end],
        [*figures, "collection", "--meta", root / "meta/meta_all_gene.csv", *end],
        [*search, "ERBB2=5 KRT8=3", "--out", out / "search_genes"],
    ]  # fmt: skip


def pictures(out: Path) -> list[Path]:
    """Return the pictures in a folder, without the sheet, the slides' own images, small ones and tiles."""
    kept = (path for kind in ("png", "jpg") for path in out.rglob(f"*.{kind}"))
    return sorted(path for path in kept if path.parent != out and not LEFT_OUT & {*path.parts})


def sheet_of(shown: dict[str, Path], columns: int = COLUMNS) -> Image.Image:
    """Lay pictures on one sheet, each with its name below it; none is made larger."""
    rows = [[*shown.items()][k : k + columns] for k in range(0, len(shown), columns)]
    small = [[(name, _small(path)) for name, path in row] for row in rows]
    tall = [max(image.height for _, image in row) + CAPTION for row in small]
    sheet = Image.new("RGB", (CELL * columns, sum(tall)), "white")
    pen, font = ImageDraw.Draw(sheet), _font()
    for k, row in enumerate(small):
        for column, (name, image) in enumerate(row):
            sheet.paste(image, (column * CELL, sum(tall[:k])))
            text = "\n".join(_lines(name))
            pen.text((column * CELL + 10, sum(tall[: k + 1]) - CAPTION + 6), text, "black", font)
    return sheet


def _small(path: Path) -> Image.Image:
    image = Image.open(path).convert("RGB")
    image.thumbnail((CELL - 20, CELL - 20))
    return image


def _lines(name: str) -> Sequence[str]:
    return wrap(name, 84)[:2]


def _font() -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf", 18)


if __name__ == "__main__":
    main()
