"""Image and gene towers on slides of a root, trained on some and tested on others: towers_real.json and towers_real.md.

A small CLIP of random weights is tuned whole. Of encoders that are named, of colours and of places on the slide, the
vectors stay as they are, and heads are trained. Vectors of expression, for the tower of vectors, are principal
components of the training slides, in place of another model's. Nothing is chosen on the test slides: the last epoch is
taken, and the panel is chosen on training slides. What is scored on the test slides: finding a spot's genes by its
image among the spots of its slide (recall@10), a linear probe of labels between blocks of these slides (macro-F1), and
ridge regression of the panel's expression from the training slides (the mean of Pearson's r over genes).
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA

import stimage
from benchmarks import report
from benchmarks.machine import describe
from benchmarks.towers import spread, write_colours
from stimage.core.results import versions_of
from stimage.loading.embeddings import write_embeddings

NAME, OUT = "towers_real", Path("out/bench-towers-real")
GENES = ("linear", "mlp", "set", "vectors")
BASELINES = ("position", "colours")
CLIP, UNTRAINED = "small CLIP, tuned", "small CLIP, untrained"
HEAD = ["images", "genes", "recall@10", "macro-F1", "Pearson's r"]
PROBED = ("majority", "position", "colour")
PACKAGES = ("stimage-1k4m", "torch", "transformers", "timm", "scikit-learn", "numpy")


@dataclass(frozen=True)
class Bench:
    """Which slides of which root, where results go, and how long each run is."""

    root: str
    tech: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    out: Path
    seeds: tuple[int, ...]
    epochs: int
    clip_epochs: int
    panel_size: int

    def open(self, slides: Sequence[str]) -> stimage.Root:
        return stimage.open_root(self.root, self.tech, slides=list(slides), splits="none")

    @cached_property
    def panel(self) -> Any:
        return stimage.select_genes(self.open(self.train), "hvg-consensus", self.panel_size, held_out=list(self.test))

    @cached_property
    def is_labelled(self) -> bool:
        return bool(stimage.list_slides(self.open(self.test)).annotated.all())


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.towers_real", description=__doc__)
    parser.add_argument("root", help="a root")
    parser.add_argument("--train", nargs="+", required=True, metavar="SLIDE", help="slides to train on")
    parser.add_argument("--test", nargs="+", required=True, metavar="SLIDE", help="slides to test on")
    parser.add_argument("--tech", default="all", help="technology of these slides (%(default)s)")
    parser.add_argument("--encoders", nargs="*", default=[], help="frozen image encoders, as embed takes them")
    parser.add_argument("--genes", nargs="+", default=GENES, choices=GENES, help="gene towers (%(default)s)")
    parser.add_argument("--out", type=Path, default=OUT, help="folder for runs and results (%(default)s)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="seeds of each way (%(default)s)")
    parser.add_argument("--epochs", type=int, default=20, help="epochs of heads on vectors (%(default)s)")
    parser.add_argument("--clip-epochs", type=int, default=10, help="epochs of the small CLIP (%(default)s)")
    parser.add_argument("--panel", type=int, default=128, help="number of genes in the panel (%(default)s)")
    args = parser.parse_args(arguments)
    bench = Bench(args.root, args.tech, tuple(args.train), tuple(args.test), args.out, tuple(args.seeds), args.epochs,
                  args.clip_epochs, args.panel)  # fmt: skip
    slides = bench.open([*args.train, *args.test])
    write_expression(bench, args.out / "expression")
    vectors = {name: args.out / name for name in BASELINES}
    write_colours(args.root, vectors["colours"], {slide.name: slide.tech for slide in slides.slides})
    write_places(slides, vectors["position"])
    for encoder in args.encoders:
        name = Path(encoder.rpartition(":")[2]).name
        vectors[name] = args.out / name
        stimage.embed(slides, encoder, vectors[name])
    rows = []
    for row in all_rows(bench, slides, vectors, args.genes):
        rows.append(row)
        results = {"machine": describe(), "versions": versions_of(PACKAGES), "epochs": args.epochs,
                   "clip_epochs": args.clip_epochs, "rows": rows,
                   "panel": len(bench.panel.genes), "train": args.train, "test": args.test}  # fmt: skip
        report.write_json(results, args.out / f"{NAME}.json")
        (args.out / f"{NAME}.md").write_text(table(results), encoding="utf-8")
    print(table(results))
    return 0


def all_rows(
    bench: Bench, slides: stimage.Root, vectors: dict[str, Path], genes: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """Yield the rows: vectors as they are, heads over them, and a small CLIP before and after it is tuned."""
    for name, folder in vectors.items():
        yield {"images": name, "genes": "none", "runs": [scores(bench, slides, folder, name == BASELINES[0])]}
        for tower in genes[:1] if name in BASELINES else genes:
            runs = tune(bench, tower, folder.name, image_vectors=folder)
            found = [scores_of_model(bench, slides, run.model, folder) for run in runs]
            yield {"images": f"{name}, heads", "genes": tower, "runs": found}
    for k, tower in enumerate(genes):
        runs = tune(bench, tower, "clip")
        if k == 0:
            before = [scores_of_model(bench, slides, run.folder / "untrained") for run in runs]
            yield {"images": UNTRAINED, "genes": tower, "runs": before}
        after = [scores_of_model(bench, slides, run.model) for run in runs]
        yield {"images": CLIP, "genes": tower, "runs": after}


def tune(bench: Bench, tower: str, name: str, **given: Any) -> list[Any]:
    """Fine-tune with each seed on the training slides, to the last epoch."""
    epochs = bench.epochs if "image_vectors" in given else bench.clip_epochs
    given |= {"panel": None if tower in ("set", "vectors") else bench.panel}
    given |= {"vectors": bench.out / "expression"} if tower == "vectors" else {}
    done = stimage.finetune(bench.open(bench.train), bench.out / "runs" / f"{name}-{tower}", "tiny", second=tower,
                            validation_slides=None, species=None, tech=bench.tech, seeds=list(bench.seeds),
                            epochs=epochs, workers=0, keep=1, **given)  # fmt: skip
    return list(done.runs.values())


def scores_of_model(bench: Bench, slides: stimage.Root, model: Path, encoder: Path | None = None) -> dict[str, float]:
    """Return the scores of a model's images in its joint space, and of finding genes by them."""
    images = stimage.embed(slides, model, space="joint", encoder=encoder)
    test = bench.open(bench.test)
    genes = stimage.embed(test, model, space="joint", of="genes")
    within = stimage.retrieve(test, images, genes, [10]).overall["within"]
    found = {"recall": within["a_to_b"]["recall@10"], "chance": within["chance"]["recall@10"]}
    return found | scores(bench, slides, images)


def scores(bench: Bench, slides: stimage.Root, images: Path | pd.DataFrame, colour: bool = False) -> dict[str, Any]:
    """Return the scores of vectors of images as they are, and of what stands beside them; colours read all images."""
    predicted = stimage.predict(slides, images, panel=bench.panel, test=list(bench.test)).overall["per_slide"]
    found = {"pearson": predicted["pearson"]["mean"], "predicted": predicted}
    if bench.is_labelled:
        probed = stimage.probe(bench.open(bench.test), images, split="block", colour=colour).overall["pooled"]
        found |= {"f1": probed["embedding"]["macro_f1"]["mean"], "probed": probed}
    return found


def write_expression(bench: Bench, out: Path, width: int = 32) -> None:
    """Write principal components of the training slides' expression, of the genes that all slides have, for each."""
    read = [stimage.read_slide(bench.open([name]), name) for name in (*bench.train, *bench.test)]
    shared = sorted(set.intersection(*(set(one.var_names) for one in read)))
    values = [_log(np.asarray(one[:, shared].X.todense())) for one in read]
    fitted = PCA(width, random_state=0).fit(np.concatenate(values[: len(bench.train)]))
    for name, one, some in zip((*bench.train, *bench.test), read, values):
        write_embeddings(out / f"{name}.parquet", list(one.obs_names), name, fitted.transform(some), "components")


def write_places(root: stimage.Root, out: Path) -> None:
    """Write where spots are on their slide: x and y, standardised within it, their squares and their product."""
    for slide in root.slides:
        adata = stimage.read_slide(root, slide.name)
        places = adata.obsm["spatial"]
        x, y = ((places - places.mean(0)) / places.std(0)).T
        vectors = np.stack([x, y, x * x, x * y, y * y], 1)
        write_embeddings(out / f"{slide.name}.parquet", list(adata.obs_names), slide.name, vectors, "position")


def _log(counts: np.ndarray) -> np.ndarray:
    totals = counts.sum(1, keepdims=True)
    return np.log1p(counts * np.median(totals) / np.maximum(totals, 1))


def table(results: dict) -> str:
    """Return a line for each way, in Markdown: mean ± standard deviation over the seeds."""
    lines = [HEAD, ["---", "---", "---:", "---:", "---:"]]
    for row in results["rows"]:
        runs = row["runs"]
        figures = ([run[name] for run in runs if name in run] for name in ("recall", "f1", "pearson"))
        lines.append([row["images"], row["genes"], *(spread(some) for some in figures)])
    return "".join(f"| {' | '.join(line)} |\n" for line in [*lines, *_beside(results["rows"])])


def _beside(rows: Sequence[dict]) -> list[list[str]]:
    """Return lines of what needs no encoder: chance, majority and gene mean, and the protocols' own baselines."""
    first, chance = rows[0]["runs"][0], [run["chance"] for row in rows for run in row["runs"] if "chance" in run]
    probed = {name: [one["macro_f1"]["mean"]] for name, one in first.get("probed", {}).items() if name in PROBED}
    predicted = {name: [one["pearson"]["mean"]] for name, one in first["predicted"]["baselines"].items()}
    lines = {"chance; majority; gene mean": (chance[:1], probed.get("majority", []), predicted["gene_mean"]),
             "place, of the protocols": ([], probed.get("position", []), predicted["coordinates"]),
             "colours, of the protocol": ([], probed.get("colour", []), [])}  # fmt: skip
    return [[name, "none", *(spread(one) for one in some)] for name, some in lines.items()]


if __name__ == "__main__":
    sys.exit(main())
