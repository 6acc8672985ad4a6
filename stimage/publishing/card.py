"""The data card: a README.md whose YAML makes the folder a data set, here and on the Hub."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from huggingface_hub import DatasetCard, DatasetCardData

from stimage.genes.vocabulary import load_vocabulary
from stimage.publishing.parquet import spot_schema
from stimage.publishing.plan import Plan
from stimage.publishing.shards import ShardRecord
from stimage.slides.splits.splitting import slides_by_split
from stimage.slides.splits.table import SPLITS

SIZES = ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"), (10**7, "1M<n<10M"))
TEXT = """\
# Tissue spots: H&E images with gene expression

{spots:,} spots of {slides:,} tissue slides, out of [STimage-1K4M](https://huggingface.co/datasets/jiawennnn/STimage-1K4M)
or a folder laid out like it. Each example is a spot: a small H&E image, its raw gene counts, its place on the slide.

```python
from datasets import load_dataset

# or the path of a copy of this folder
spots = load_dataset("{repo}", "{config}", split="train", streaming=True)
# gene_ids of a spot are ids in this table
genes = load_dataset("{repo}", "genes", split="train")
slides = load_dataset("{repo}", "slides", split="train")
```

{report}

| feature | meaning |
| --- | --- |
| `spot_id` | unique across slides |
| `slide`, `tech`, `species`, `tissue`, `pmid`, `involve_cancer` | from the meta file |
| `x`, `y`, `radius` | centre and radius, in pixels of the slide image |
| `um_per_px` | µm per pixel of the slide image, given, or estimated from the lattice; null where it can't be trusted |
| `annotation` | the pathologist's label, or null |
| `image` | RGB patch: {patch}, {encoding} |
| `gene_ids`, `counts` | the genes with a count, ids ascending, and their raw counts{null} |
{cells}
`slides.parquet` has a row per slide: the meta file's{meta_file}, joined with what was measured (spots, genes,
true image type and size, pitch, µm per pixel, who says it, why it is trusted or not). `genes.parquet` has a row per
gene: id, name, kind, species, in how many slides and spots it is, its total count. Gene ids are of these {genes:,}
genes in this order: the SHA-256 of their names, a line each, is `{digest}`. `measured.parquet` has the ids of all genes
that a slide measured: of these, one without a count is not expressed in a spot; of others, nothing is known.
`splits.csv` says which slide is in which split.
{splitting}
{notes}
For slides of STimage-1K4M, cite the data's authors: Chen et al., *STimage-1K4M: A histopathology image-gene expression
dataset for spatial transcriptomics*, NeurIPS 2024 Datasets and Benchmarks, [arXiv 2406.06393](https://arxiv.org/abs/2406.06393).
"""

CELLS_TOLD = """\
| `cells` | the number of cells of each class in the spot; null where it does not lie wholly in what was segmented |
| `cells_per_mm2` | cells of all classes per mm²; null also where no scale is known |
"""


def card(plan: Plan, done: Mapping[str, ShardRecord], notes: list[str], repo: str, licence: str | None = None) -> str:
    """Return the card's text: one configuration per technology, one of all, and those of the two tables."""
    sizes = _sizes(plan, done)
    techs = [tech for tech in sizes if tech != "all"]
    data = DatasetCardData(
        license=licence,
        pretty_name="Tissue spots: H&E images with gene expression",
        tags=["histology", "spatial-transcriptomics", "gene-expression", "biology"],
        size_categories=[next((name for most, name in SIZES if _total(sizes["all"]) < most), "n>10M")],
        configs=[_config(name, splits) for name, splits in sizes.items()]
        + [{"config_name": table, "data_files": f"{table}.parquet"} for table in ("slides", "genes")],
        dataset_info=[_info(name, splits, plan.options.cells) for name, splits in sizes.items()],
    )
    vocabulary = load_vocabulary(plan.shards[0].vocabulary)
    text = TEXT.format(
        genes=len(vocabulary.names), digest=vocabulary.digest,
        spots=_total(sizes["all"]), slides=len(plan.placed) - len(plan.left_out(done)), repo=repo, config=techs[0],
        report=plan.report(done), patch=_patch(plan), encoding=_encoding(plan),
        meta_file=f" (`{plan.catalog.meta_file}`)" if plan.catalog.meta_file else "",
        null=_null(plan, done), cells=CELLS_TOLD if plan.options.cells else "",
        splitting=_splitting(plan, plan.left_out(done)),
        notes="".join(f"\nNote: {note}.\n" for note in notes),
    )  # fmt: skip
    return str(DatasetCard(f"---\n{data.to_yaml()}\n---\n\n{text}"))


def _sizes(plan: Plan, done: Mapping[str, ShardRecord]) -> dict[str, dict[str, list[int]]]:
    """Return configuration → split → numbers of spots and of bytes."""
    sizes = defaultdict(lambda: defaultdict(lambda: [0, 0]))
    for shard in plan.shards:
        for config in (shard.slide.tech, "all"):
            size = sizes[config][shard.split]
            size[0] += done[shard.name].spots
            size[1] += done[shard.name].size
    splits = {config: {s: by_split[s] for s in SPLITS if by_split[s][0]} for config, by_split in sizes.items()}
    return {config: splits[config] for config in sorted(splits, key=lambda c: (c == "all", c)) if splits[config]}


def _total(splits: Mapping[str, list[int]]) -> int:
    return sum(spots for spots, _ in splits.values())


def _config(name: str, splits: Mapping[str, list[int]]) -> dict:
    folder, default = ("*", {"default": True}) if name == "all" else (name, {})
    files = [{"split": split, "path": f"data/{folder}/{split}/*.parquet"} for split in splits]
    return {"config_name": name, **default, "data_files": files}


def _info(name: str, splits: Mapping[str, list[int]], classes: Sequence[str] | None) -> dict:
    lists = {"gene_ids": {"sequence": "int32"}, "counts": {"sequence": "float32"}}
    cells = {"struct": [{"name": one, "dtype": "int32"} for one in classes or ()]}
    kinds: dict[str, dict] = {"image": {"dtype": "image"}, "cells": cells, **lists}
    names = {"float": "float32"}
    features = [
        {"name": field.name} | kinds.get(field.name, {"dtype": names.get(str(field.type), str(field.type))})
        for field in spot_schema(classes)
    ]
    parts = [{"name": s, "num_bytes": size, "num_examples": spots} for s, (spots, size) in splits.items()]
    size = sum(size for _, size in splits.values())
    return {"config_name": name, "features": features, "splits": parts, "download_size": size, "dataset_size": size}


def _patch(plan: Plan) -> str:
    patch = plan.options.patch
    if patch.um is None:
        return "the square of 2r around the centre"
    enlarged = ", enlarged where the slide's image is coarser" if patch.upsample else ""
    level = ", cut from the fitting level of the image's pyramid" if patch.pyramid else ""
    return f"{patch.um:g} µm as {patch.px} x {patch.px} pixels{enlarged}{level}"


def _encoding(plan: Plan) -> str:
    options = plan.options
    return "PNG, lossless" if options.image_format == "png" else f"JPEG of quality {options.jpeg_quality}"


def _null(plan: Plan, done: Mapping[str, ShardRecord]) -> str:
    """Say of how many slides counts are null, if there are such."""
    left_out = plan.left_out(done)
    alone = sum(one.slide.image_alone for name, one in plan.placed.items() if name not in left_out)
    if not alone:
        return ""
    return f"; null on {alone} slide{'s that are images' if alone > 1 else ' that is an image'} alone, without counts"


def _splitting(plan: Plan, left_out: Collection[str]) -> str:
    """Say how slides are split, and name those of each split, unless all are in one."""
    parts = slides_by_split(one for name, one in plan.placed.items() if name not in left_out)
    by, seed, fractions = plan.splitting.by, plan.splitting.seed, plan.splitting.fractions
    if by is None and not parts["validation"] + parts["test"]:
        return "Everything is in train."
    said = f"No {by} is in two splits (seed {seed}, shares {fractions})." if by else "They were given, not drawn."
    if plan.splitting.no_study:
        said += " A slide of no known study counts as a study of its own."
    rows = (f"{split} ({len(names)}): {', '.join(names)}" for split, names in parts.items() if names)
    return f"{said}\n\n<details><summary>Slides of each split</summary>\n\n" + "\n\n".join(rows) + "\n\n</details>"
