"""The cases."""

from functools import partial

import numpy as np

from benchmarks.case import Case, Found, Side, equal
from benchmarks.inputs import PANEL, Inputs

PANDAS, POLARS, PYARROW = (Side(name, f"reading.counts_{name}") for name in ("pandas", "polars", "pyarrow"))

TRAINED = 10  # slides of a root that training begins on


def make_cases(inputs: Inputs) -> list[Case]:
    """Return all cases on inputs of some size."""
    kinds = (reading, adding, publishing, genes, cells, training, evaluation)
    return [case for kind in kinds for case in kind(inputs)]


def reading(inputs: Inputs) -> list[Case]:
    s = inputs.sizes
    slide = "a real ST slide" if inputs.real else "an ST slide"
    spots = 187 if inputs.real else s.st[0] * s.st[1]
    plain = (Side("pandas, Pillow", "reading.stream_plain"),)
    all_limit = Side("decoding the image, reading the bytes", "reading.stream_limit")
    return [
        Case("counts", f"counts of a Visium slide, {s.spots:,} x {s.genes:,}", 1, inputs.counts,
             Side("ours", "reading.counts_ours"), (PANDAS, POLARS, PYARROW),
             Side("reading the bytes, finding line ends", "reading.counts_limit")),
        Case("patches", f"{spots} patches of {slide}, a JPEG", 0.4, inputs.st,
             Side("ours", "reading.patches_ours"),
             (Side("Pillow", "reading.patches_pillow"), Side("Pillow, a PNG each", "reading.patches_pillow_png")),
             Side("decoding down to the last patch", "reading.patches_limit")),
        Case("crops", "the same as a file each", 0.5, inputs.st_slide,
             Side("ours", "original.crops"), (Side("pandas, Pillow, as the original", "original.crops_plain"),)),
        Case("physical", "the same at 112 µm = 224 px", 0.2, inputs.st,
             Side("ours", "reading.physical_ours"), (Side("Pillow", "reading.physical_pillow"),),
             Side("decoding down to the last patch", "reading.patches_limit"), partial(close, within=1)),
        Case("huge", f"{s.huge**2:,} bins of a JPEG of {200 + 62 * s.huge:,} px", 0.8, inputs.huge,
             Side("ours", "reading.huge_ours"), (Side("Pillow", "reading.huge_pillow"),),
             Side("decoding", "reading.huge_limit")),
        Case("first", "first example of the Visium slide", 0.4, inputs.visium,
             Side("ours", "reading.first_ours"), (Side("pandas, Pillow", "reading.first_plain"),)),
        Case("stream", "all its examples, Arrow format", 0.4, inputs.visium,
             Side("ours", "reading.stream_arrow"), plain, all_limit),
        Case("images", "their images alone", 0.2, inputs.visium,
             Side("ours", "reading.stream_columns", ("image",)), (Side("ours, with counts", "reading.stream_arrow"),),
             agree=as_many),
        Case("only-counts", "their counts alone", 0.3, inputs.visium,
             Side("ours", "reading.stream_columns", ("gene_ids", "counts")),
             (Side("ours, with images", "reading.stream_arrow"),), agree=as_many),
        Case("rows", "all its examples, Python format", 0.5, inputs.visium,
             Side("ours", "reading.stream_python"), plain, all_limit),
    ]  # fmt: skip


def adding(inputs: Inputs) -> list[Case]:
    s, ours = inputs.sizes, Side("ours", "adding.add", ("h5",))
    beside = (Side("ours, as csv", "adding.add", ("csv",)), Side("cp of matrix and image", "adding.copy"))
    return [
        Case("add-visium", f"adding a Visium slide, {s.spots:,} x {s.genes:,}, counts as they are", 0.5, inputs.outs,
             ours, beside, agree=on_disk),
        Case("add-hd", f"adding a Visium HD slide, {s.added[0]:,} x {s.added[1]:,}, counts as they are", 1.5,
             inputs.hd_outs, ours, beside, agree=on_disk),
    ]  # fmt: skip


def publishing(inputs: Inputs) -> list[Case]:
    few = inputs.sizes.slides
    n = 2 * few * inputs.sizes.spots
    return [
        *(Case(f"build{name}", f"{few} Visium slides into Parquet, {kind.upper()}", 4, inputs.few_slides,
               Side("ours", "publishing.build_ours", (1, 0, kind)),
               (Side(f"pandas, Pillow, {kind.upper()} files", "publishing.build_original", (kind,)),),
               Side("decoding, encoding, Parquet, digests", "publishing.build_limit", (kind,)))
          for name, kind in (("", "png"), ("-jpeg", "jpeg"))),
        Case("workers", f"{2 * few} of them, two workers", 1.2, inputs.more_slides,
             Side("ours", "publishing.build_ours", (2,), cores=2),
             (Side("ours, one worker", "publishing.build_ours", (1,), cores=2),)),
        Case("batches", f"{n:,} published JPEGs of 224 px and their genes in batches, two cores", 2, inputs.shards,
             Side("ours", "publishing.read_ours", cores=2),
             (Side("rows through a DataLoader, two workers", "publishing.read_rows", cores=2),),
             Side("reading them and decoding in two threads", "publishing.read_limit", cores=2)),
    ]  # fmt: skip


def genes(inputs: Inputs) -> list[Case]:
    few = inputs.sizes.slides
    limit = Side("reading the bytes, finding line ends", "genes.limit")
    ours = Side("ours", "genes.ours")
    cases = [
        Case("panel", f"overlap-hvg of {few} Visium slides", 1.5, inputs.few_roots, ours,
             (Side("pandas, scanpy on the stacked slides", "genes.scanpy"),), limit)
    ]  # fmt: skip
    for n in inputs.sizes.small_slides:
        arguments = partial(inputs.small_slides, n)
        cases.append(Case(f"panel-{n}", f"overlap-hvg of {n} small slides", 0.2, arguments, ours, (), limit))
    slides, n, _ = inputs.sizes.headers
    return [
        *cases,
        Case("names", f"numbering the genes of {slides:,} slides of {n:,}, two cores", 5, inputs.headers,
             Side("ours", "genes.names_ours", cores=2), (Side("pandas", "genes.names_pandas", cores=2),),
             Side("reading the first lines", "genes.names_limit", cores=2)),
    ]  # fmt: skip


def cells(inputs: Inputs) -> list[Case]:
    n = inputs.sizes.cells
    return [
        Case("cells", f"{n:,} outlines of CellViT into a root", 1, inputs.cells, Side("ours", "cells.take"),
             (Side("json, shapely, one by one", "cells.take_plain"),), None, partial(close, within=1e-3)),
        Case("cells-count", "these counted per spot by class", 0.3, inputs.cells, Side("ours", "cells.count"),
             (Side("all distances, spot by spot", "cells.count_plain"),)),
    ]  # fmt: skip


def training(inputs: Inputs) -> list[Case]:
    s = inputs.sizes
    one_by_one = "PNG files and the image processor, one by one"
    slides = min(TRAINED, 2 * s.slides)
    root = (slides, min(PANEL, s.genes))
    return [
        Case("preprocess", f"{s.patches:,} decoded patches of 112 px made 224 px", 0.7, inputs.patches,
             Side("ours", "training.pixels_ours"), (Side("image processor, one by one", "training.pixels_processor"),),
             Side("copying the output", "training.pixels_limit"), partial(close, within=1)),
        Case("data", f"{s.patches:,} PNGs of 112 px decoded and made 224 px", 0.7, inputs.patches,
             Side("ours", "training.data_ours"), (Side(one_by_one, "training.data_original"),),
             Side("decoding", "training.data_limit"), partial(close, within=1)),
        Case("step", f"a training step of {s.vision} over {s.step} spots, on one core", 2, inputs.patches,
             Side("ours", "training.step_ours", (s.step, s.vision)),
             (Side(one_by_one, "training.step_original", (s.step, s.vision)),),
             Side("the step, its data at hand", "training.step_limit", (s.step, s.vision)), shares),
        Case("first-step", f"{slides} Visium slides, nothing prepared: the script up to its first step, two cores", 2,
             lambda: inputs.more_slides()[:1], Side("ours", "training.first_ours", root, cores=2),
             (Side("ours, in a second run", "training.first_prepared", root, cores=2),),
             Side("the imports; decoding, reading the bytes", "training.first_limit", root, cores=2)),
    ]  # fmt: skip


def evaluation(inputs: Inputs) -> list[Case]:
    (n, d), many = inputs.sizes.probe, inputs.sizes.silhouette
    plain = (Side("scikit-learn, one fit after the other", "evaluation.probe_plain"),)
    return [
        Case("probe", f"linear probe, original, {n:,} x {d}, 7 classes, two cores", 1.5, lambda: (n, d, 10.0),
             Side("ours", "evaluation.probe_original", cores=2), plain),
        Case("converged", "the same, converged, one core", 1.2, lambda: (n, d, 10.0),
             Side("ours", "evaluation.probe_converged"), plain, None, scores),
        Case("converged-3.5", "the same of embeddings of norm 3.5, not 10: SGD stops sooner", 0.5, lambda: (n, d, 3.5),
             Side("ours", "evaluation.probe_converged"), plain, None, scores),
        Case("silhouette", f"silhouette of {many:,} x 32, 7 classes", 2, lambda: (many,),
             Side("ours", "evaluation.silhouette_ours"), (Side("scikit-learn", "evaluation.silhouette_plain"),),
             Side("the products of all pairs", "evaluation.silhouette_limit"), partial(close, within=1e-6)),
        Case("clusters", f"k-means and Leiden of {many:,} x 32", 1, lambda: (many,),
             Side("ours", "evaluation.clusters")),
    ]  # fmt: skip


def close(ours: Found, other: Found, within: float) -> str:
    """Agree if all numbers are as near each other as that."""
    if ours.keys() != other.keys():
        raise ValueError(f"found {list(ours)}, but {list(other)}")
    error = max(float(np.abs(np.subtract(ours[name], other[name])).max()) for name in ours)
    if not error <= within:
        raise ValueError(f"differs by {error:.2g}, more than {within}")
    return ""


def on_disk(ours: Found, other: Found) -> str:
    """Say what the counts take on disk."""
    return f"counts {other['counts_mb']:,.1f} MB on disk, ours {ours['counts_mb']:,.1f}"


def as_many(ours: Found, other: Found) -> str:
    """Agree if there are as many spots."""
    equal({"spots": ours["spots"]}, {"spots": other["spots"]})
    return ""


def scores(ours: Found, other: Found) -> str:
    """Say both scores, and agree if ours is no worse by two standard errors of so many spots, at most."""
    if ours["macro_f1"] < other["macro_f1"] - ours["spots"] ** -0.5:
        raise ValueError(f"macro-F1 {ours['macro_f1']:.3f}, but {other['macro_f1']:.3f}")
    return f"F1 {other['macro_f1']:.3f}, ours {ours['macro_f1']:.3f}"


def shares(ours: Found, other: Found) -> str:
    """Say the data's share of the step."""
    equal({"spots": ours["spots"]}, {"spots": other["spots"]})
    return f"data's share {other['data_share']:.1%}, ours {ours['data_share']:.1%}"
