"""Draw figures of results, slides and collections as PNG and PDF, in colours that the colour-blind tell apart.

figures.py projection --embeddings A B --root ROOT --method UMAP --out FIGURES     a panel for each model, and a table
figures.py projection --points FIGURES/projection_umap.csv --out FIGURES    the same again, from that table
figures.py f1 --results A B --out FIGURES            bars of linear_probe's results
figures.py scores --results A B --out FIGURES        boxes of embedding_scores' results, a point for each slide
figures.py models --probes A B --scores A B --points FILE [--root ROOT --slide S] --out FIGURES    all that on one sheet
figures.py labels --root ROOT --slide S [--image] [--embeddings A] --out FIGURES    labels over the slide, and predicted
figures.py annotated --root ROOT --out FIGURES       labels on the image of one slide of each study, nine at most
figures.py genes --root ROOT --slide S --genes ERBB2 CD3E [--image] --out FIGURES    expression over the slide
figures.py overview --root ROOT --slide S --embeddings A --gene ERBB2 --out FIGURES    spots, patches, a gene predicted
figures.py collection --meta ROOT/meta/meta_all_gene.csv --out FIGURES     bars and pies of slides and spots
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from stimage import evaluation, figures, loading, scores
from stimage.cli.options import ROOT, add_filters, positive, run, selection_of
from stimage.core.errors import DataError
from stimage.genes.names import titles_of
from stimage.genes.panels import Panel
from stimage.scores.folds import group_folds
from stimage.slides.catalog import Filters, read_catalog
from stimage.slides.labels import is_label
from stimage.slides.meta_file import read_collection
from stimage.slides.missing import need_counts
from stimage.slides.spots import Spots, open_spots

METHODS, MOST = ("t-SNE", "UMAP", "t-SNE-original"), 9  # of the plane; annotated slides
ON_IMAGE = "draw rings on the slide's image, in place of discs within the outline of the tissue"
PLAIN = "draw no outline of the tissue"
OTHER = "name another as --slide"
NORMALISE = "median-log1p"  # of the genes that are drawn
TABLE = "table of symbols and Ensembl ids: genes may be named by either, and titles show symbols"
NAMES = "names of the models (default: the names of the folders)"
SLIDE = "name of the slide"


def main() -> None:
    args = parse_arguments()
    for name, figure in args.draw(args).items():
        for path in figures.save(figure, args.out / name):
            print(path)


def draw_projection(args: argparse.Namespace) -> dict:
    if args.points:
        points = evaluation.read_points(args.points)
        name = args.points.stem
        method = {one.lower(): one for one in METHODS}.get(name.removeprefix("projection_"), "axis")
    else:
        points, method = project_all(args), args.method
        name = f"projection_{method.lower()}"
        evaluation.write_points(args.out / f"{name}.csv", points)
        print(args.out / f"{name}.csv")
    return {name: figures.projection_figure(points.places, points.labels, method.removesuffix("-original"))}


def project_all(args: argparse.Namespace) -> evaluation.Points:
    """Return the places of each model's embeddings in the plane."""
    catalog = read_catalog(args.root)
    wanted = selection_of(args).select_from(catalog)
    points, names = evaluation.Points(), model_names(args, args.embeddings)
    for path, name in zip(args.embeddings, names or [""] * len(args.embeddings)):
        every = loading.read_embeddings(path, [slide.name for slide in catalog.slides])
        slides, _ = evaluation.embedded_slides(every, catalog.slides, wanted)
        ids, vectors = (np.concatenate([getattr(one, name) for one in slides]) for name in ("spot_ids", "vectors"))
        of_slide = np.repeat([one.slide.name for one in slides], [len(one.spot_ids) for one in slides])
        some = scores.draw_some(len(ids), args.spots, args.seed)
        name = name or every.model or path.stem
        if name in points.places:
            raise DataError(f"{path}: is of model {name}, as another of --embeddings is; pass each model once")
        points.places[name] = scores.project(vectors[some], args.method, args.seed)
        of_spot = {spot: label for one in slides for spot, label in labels_of(open_spots(one.slide)).items()}
        points.spot_ids[name], points.slides[name] = ids[some].tolist(), of_slide[some].tolist()
        points.labels[name] = [of_spot.get(spot) for spot in ids[some].tolist()]
    return points


def draw_f1(args: argparse.Namespace) -> dict:
    return {f"{args.metric}_bars": figures.f1_bars(named_results(args), args.metric)}


def draw_scores(args: argparse.Namespace) -> dict:
    return {"score_boxes": figures.score_boxes(named_results(args))}


def draw_models(args: argparse.Namespace) -> dict:
    probes, by_slide = (named_results(args, paths) for paths in (args.probes, args.scores))
    points = evaluation.read_points(args.points)
    places = {name: points.places[name] for name in probes if name in points.places}
    if not [*probes] == [*by_slide] == [*places]:
        told = "; ".join(", ".join(one) for one in (probes, by_slide, points.places))
        raise DataError(f"probes, scores and points are of other models, or in another order: {told}; pass --names")
    slide = evaluation.labelled_slide(one_slide(args)[0]) if args.slide else None
    return {"models": figures.models_sheet(probes, by_slide, places, points.labels, slide)}


def named_results(args: argparse.Namespace, paths: list[Path] | None = None) -> dict:
    paths = paths or args.results
    folders = [(path.parent if path.suffix == ".json" else path).name for path in paths]
    return dict(zip(model_names(args, paths, folders), map(evaluation.read_scores, paths)))


def model_names(args: argparse.Namespace, paths: list[Path], otherwise: Sequence[str] = ()) -> list[str]:
    """Return the models' names: one each, and no two alike."""
    names = list(args.names or otherwise)
    if names and (len(names) != len(paths) or len(set(names)) != len(names)):
        raise DataError(f"{len(paths)} models have the names {', '.join(names)}; pass --names, one each")
    return names


def draw_labels(args: argparse.Namespace) -> dict:
    spots, ids = one_slide(args)
    truth = labels_of(spots)
    shown = {"annotation": [truth.get(spot) for spot in ids]}
    if args.embeddings:
        catalog = read_catalog(args.root)
        embeddings = loading.read_embeddings(args.embeddings, [slide.name for slide in catalog.slides])
        said = predicted_labels(embeddings, args, spots)
        right = np.mean([said[spot] == truth[spot] for spot in said])
        shown[f"predicted from other slides, {100 * right:.0f} % right"] = [said.get(spot) for spot in ids]
    shapes, image = drawn_on(args, spots)
    figure = figures.label_maps(spots.slide.name, shapes, shown, image)
    return {f"labels_{spots.slide.name}": figure}


def predicted_labels(embeddings: loading.Embeddings, args: argparse.Namespace, spots: Spots) -> dict[str, str]:
    """Return spot id → label that the converged linear probe, trained on the other slides, predicts."""
    catalog = read_catalog(args.root).select()
    present = set(embeddings.slides.tolist())
    labelled = evaluation.read_labelled(embeddings, [slide for slide in catalog if slide.name in present])
    slides, names = labelled.embeddings.slides, np.unique(labelled.labels)
    if spots.slide.name not in labelled.slides or len(labelled.slides) < 2:
        raise DataError(f"{spots.slide.name}: can't be predicted from the {len(labelled.slides)} slides that have both "
                        "labels and embeddings; it and others must")  # fmt: skip
    labels = np.unique(labelled.labels, return_inverse=True)[1]
    predicted = scores.predict_folds(
        "converged", labelled.embeddings.vectors, labels, group_folds(slides, evaluation.spot_blocks(labelled))
    )
    rows, chances = np.concatenate(predicted.rows), np.concatenate(predicted.scores)
    said = zip(labelled.embeddings.spot_ids[rows].tolist(), slides[rows].tolist(), names[chances.argmax(1)].tolist())
    return {spot: label for spot, slide, label in said if slide == spots.slide.name}


def draw_annotated(args: argparse.Namespace) -> dict:
    catalog = read_catalog(args.root)
    selected = selection_of(args).select_from(catalog)
    chosen = evaluation.studied_slides(selected, catalog.slides, args.slides is not None)
    if not chosen:
        raise DataError(f"{args.root}: none of the slides has annotations; choose others, such as by --slides")
    if len(chosen) > MOST:
        print(f"note: the first {MOST} of {len(chosen)} slides are drawn; --slides chooses others")
    shown = [(evaluation.labelled_slide(open_spots(one, "drop"), args.outline), said) for one, said in chosen[:MOST]]
    return {"annotated": figures.annotated_slides(shown)}


def draw_genes(args: argparse.Namespace) -> dict:
    spots, ids = one_slide(args)
    need_counts([spots.slide], "drawing genes", OTHER)
    one = evaluation.EmbeddedSlide(spots.slide, np.array(ids), np.zeros((len(ids), 0), np.float32))
    values = evaluation.read_expression(one, Panel(tuple(args.genes), args.gene_table), NORMALISE).values
    genes = dict(zip(titles_of(args.genes, args.gene_table, spots.slide.species), values.T))
    shapes, image = drawn_on(args, spots)
    figure = figures.gene_maps(spots.slide.name, shapes, genes, evaluation.UNITS[NORMALISE], image)
    return {f"genes_{spots.slide.name}": figure}


def draw_glance(args: argparse.Namespace) -> dict:
    spots, ids = one_slide(args)
    need_counts([spots.slide], "drawing a gene", OTHER)
    catalog, truth = read_catalog(args.root), labels_of(spots)
    embeddings = loading.read_embeddings(args.embeddings, [slide.name for slide in catalog.slides])
    counted = [slide for slide in catalog.slides if not slide.image_alone]
    slides, _ = evaluation.embedded_slides(embeddings, catalog.slides, counted)
    if spots.slide not in [one.slide for one in slides] or len(slides) < 2:
        raise DataError(f"{args.embeddings}: {args.slide} can't be predicted: it and other slides must be embedded")
    groups = {one.slide.name: one.slide.name for one in slides}
    predictions: list = []
    panel = Panel((args.gene,), args.gene_table)
    evaluation.run_fixed(evaluation.PredictionTask(slides, groups, panel=panel, show=predictions.append))
    (mine,) = (one for one in predictions if one.spots.slide == spots.slide)
    (name,) = titles_of([args.gene], args.gene_table, spots.slide.species)
    labels = [truth.get(spot) for spot in ids]
    figure = evaluation.draw_overview(spots, labels, mine, name, evaluation.UNITS[NORMALISE], args.outline)
    return {f"overview_{spots.slide.name}": figure}


def draw_collection(args: argparse.Namespace) -> dict:
    slides = read_collection(args.meta)
    pies = {"collection_pies": figures.collection_pies(slides)} if figures.parts_of(slides) else {}
    return pies | {"collection_bars": figures.collection_bars(slides)}


def one_slide(args: argparse.Namespace) -> tuple[Spots, list[str]]:
    (slide,) = read_catalog(args.root).select(Filters([args.slide]))
    spots = open_spots(slide, "drop")
    return spots, spots.ids.to_pylist()


def drawn_on(args: argparse.Namespace, spots: Spots) -> tuple[figures.SpotShapes, figures.SlideImage | None]:
    """Return the spots and what they are drawn on: the slide's image, or white within the tissue's outline."""
    if args.image:
        one = evaluation.labelled_slide(spots, args.outline)
        return one.shapes, one.image
    return evaluation.mapped_shapes(spots, outline=args.outline), None


def labels_of(spots: Spots) -> dict[str, str]:
    """Return spot id → label, of the spots that have one."""
    pairs = zip(spots.ids.to_pylist(), spots.annotation.to_pylist())
    return {spot: label for spot, label in pairs if is_label(label)}


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kind = partial(add_kind, parser.add_subparsers(required=True, metavar="KIND", help="kind of figure, as above"))
    add_projected_kinds(kind)
    for name, draw in (("f1", draw_f1), ("scores", draw_scores)):
        one = kind(name, draw)
        one.add_argument("--results", type=Path, nargs="+", required=True, help="results.json files, or their folders")
        one.add_argument("--names", nargs="+", help=NAMES)
        if name == "f1":
            one.add_argument("--metric", choices=("macro_f1", "balanced_accuracy", "auroc"), default="macro_f1",
                             help="figure to draw (default: %(default)s)")  # fmt: skip
    add_slide_kinds(kind)
    one = kind("annotated", draw_annotated, True)
    add_filters(one)
    one = kind("collection", draw_collection)
    one.add_argument("--meta", required=True, help="meta file of the collection: a CSV")
    args = parser.parse_args()
    if args.draw is draw_projection and args.embeddings and not args.root:
        parser.error("--embeddings need --root: their slides and labels")
    if args.draw is draw_models and bool(args.root) != bool(args.slide):
        parser.error("--root and --slide go together: the slide whose labels are shown")
    return args


def add_kind(kinds: Any, name: str, draw: Callable, root: bool = False) -> argparse.ArgumentParser:
    """Add a kind of figure, with what all kinds ask for."""
    one = kinds.add_parser(name)
    one.set_defaults(draw=draw)
    one.add_argument("--out", type=Path, required=True, help="folder to write the figures into")
    if root:
        one.add_argument("--root", required=True, help=ROOT)
        one.add_argument("--no-outline", dest="outline", action="store_false", help=PLAIN)
    return one


def add_projected_kinds(kind: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the kinds that show embeddings in the plane."""
    one = kind("projection", draw_projection)
    one.add_argument("--root", help=ROOT)
    source = one.add_mutually_exclusive_group(required=True)
    source.add_argument("--embeddings", type=Path, nargs="+", help="embeddings, one for each model; they need --root")
    source.add_argument("--points", type=Path, help="table that was written beside an earlier figure")
    one.add_argument("--names", nargs="+", help="names of the models (default: as their embeddings say)")
    one.add_argument("--method", choices=METHODS, default="t-SNE",
                     help="projection; t-SNE-original is the authors' (default: %(default)s)")  # fmt: skip
    one.add_argument("--spots", type=positive, default=5000, help="largest number of spots (default: %(default)s)")
    one.add_argument("--seed", type=int, default=0, help="seed of projection and spots (default: %(default)s)")
    add_filters(one)
    one = kind("models", draw_models)
    one.add_argument("--probes", type=Path, nargs="+", required=True, help="results of linear_probe.py, one per model")
    one.add_argument("--scores", type=Path, nargs="+", required=True, help="results of embedding_scores.py, likewise")
    one.add_argument("--points", type=Path, required=True, help="table that the figure projection has beside it")
    one.add_argument("--names", nargs="+", help="names of the models, as in the table of points (default: the names of "
                     "the folders)")  # fmt: skip
    one.add_argument("--root", help="root of the slide whose labels are shown on its image")
    one.add_argument("--slide", help=SLIDE)


def add_slide_kinds(kind: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the kinds that are of one slide."""
    labels, genes, glance = kinds = [kind("labels", draw_labels, True), kind("genes", draw_genes, True),
                                     kind("overview", draw_glance, True)]  # fmt: skip
    for one in kinds:
        one.add_argument("--slide", required=True, help=SLIDE)
    for one in (labels, genes):
        one.add_argument("--image", action="store_true", help=ON_IMAGE)
    for one in (genes, glance):
        one.add_argument("--gene-table", metavar="FILE", help=TABLE)
    labels.add_argument("--embeddings", type=Path, help="embeddings to predict its labels by, from other slides")
    genes.add_argument("--genes", nargs="+", required=True, help="genes to draw")
    glance.add_argument("--embeddings", type=Path, required=True, help="embeddings of this slide and of others")
    glance.add_argument("--gene", required=True, help="gene to draw and to predict")


if __name__ == "__main__":
    run(main)
