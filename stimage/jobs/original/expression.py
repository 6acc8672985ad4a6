"""Expression of the most variable genes, as tables."""

from functools import partial
from pathlib import Path

from tqdm import tqdm

from stimage.core.arguments import check_whole, path_of
from stimage.formats.original.expression import FORMS, TableOptions, stack_hvg, write_hvg, write_overlap_hvg
from stimage.genes.names import Naming
from stimage.jobs.original.slides import each_slide
from stimage.jobs.roots import Root, open_unpublished
from stimage.slides.missing import need_counts

STRATEGIES = ("hvg", "overlap-hvg")


def export_expression(
    root: str | Path | Root,
    out: str | Path,
    strategy: str = "hvg",
    n: int | None = None,
    *,
    stacked: bool = False,
    form: str = "csv",
    allow_normalised: bool = False,
    gene_table: str | Path | None = None,
    names: str = "symbol",
    workers: int = 0,
    progress: bool | None = False,
) -> dict[str, Path]:
    """Write the expression of the most variable genes as tables, a row a spot, by the strategies of the authors.

    Parameters
    ----------
    root
        What `open_root` takes or returns.
    out
        A folder for SLIDE_count_hvg.csv of each slide, or count_overlap_hvg.csv of all.
    strategy
        "hvg": of each slide, its most variable genes by Pearson residuals, the most variable first; normalised to the
        median total of these genes, then log1p. One column means different genes on different slides. "overlap-hvg": of
        all slides' spots together, the most variable of the genes that all have; normalised to the median total of the
        common genes, then log1p. See `select_genes`.
    n
        How many genes; by default 128, overlap-hvg 100.
    stacked
        For "hvg": write the slides' tables one below another, too, as count_hvg.csv. Its columns are ranks. Fine-tuning
        takes it as ``data.vectors``, to train as the authors did.
    form
        "csv" or "parquet". The first column, SPOT, has the ids of spots, and the others are called after their genes.
    allow_normalised
        Take counts that are no whole numbers.
    gene_table, names
        As `select_genes` takes them.
    workers
        For "hvg": processes that work on a slide each; with 0, this one does it.
    progress
        Whether to show a bar; None shows it on a terminal.

    Returns
    -------
    dict of str to pathlib.Path
        Slide → the table that has its spots.

    Raises
    ------
    DataError
        If a slide cannot be read, has no counts or no whole numbers, or slides have no gene in common.
    ValueError
        If there is no such strategy or form, or "overlap-hvg" is to be stacked.

    Examples
    --------
    >>> import pandas as pd, stimage
    >>> root = stimage.open_root("sample", "ST", species="human")
    >>> table = pd.read_csv(*stimage.export_expression(root, "expression", n=8).values(), index_col="SPOT")
    >>> table.shape
    (28, 8)
    """
    if strategy not in STRATEGIES:
        raise ValueError(f"strategy={strategy!r}: pass one of {', '.join(STRATEGIES)}")
    if stacked and strategy != "hvg":
        raise ValueError("stacked= (--stacked) is of strategy hvg: the table of overlap-hvg has all slides anyway")
    if form not in FORMS:
        raise ValueError(f"form={form!r}: pass one of {', '.join(FORMS)}")
    if n is not None:
        check_whole(n, "n", 1, "genes")
    check_whole(workers, "workers")
    root, out = open_unpublished(root), path_of(out, "out")
    need_counts(root.slides, "expression")
    naming = Naming(str(gene_table), names) if gene_table else None
    options = TableOptions(n, form, root.source.reading["on_mismatch"], allow_normalised, naming)
    if strategy == "overlap-hvg":
        bar = partial(tqdm, unit="slide", disable=None if progress is None else not progress)
        path = write_overlap_hvg(root.slides, out, options, bar)
        return {slide.name: path for slide in root.slides}
    written = each_slide(partial(write_hvg, out=out, options=options), root.slides, workers, progress)
    if stacked:
        stack_hvg(list(written.values()), out, form)
    return written
