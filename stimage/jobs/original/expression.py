"""Write the expression of the most variable genes as tables."""

from functools import partial
from pathlib import Path

from tqdm import tqdm

from stimage.core.arguments import check_one_of, check_whole, path_of
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
    """Write the expression of the most variable genes as tables, one row per spot, as the data set's authors do.

    Parameters
    ----------
    root
        A folder laid out as the data set, its URL, or a `Root` that `open_root` returned.
    out
        A folder to write SLIDE_count_hvg.csv for each slide into, or one count_overlap_hvg.csv for all.
    strategy
        "hvg" takes the most variable genes of each slide by Pearson residuals, the most variable first. Counts are
        scaled to the median total of these genes, then log1p. A column thus stands for different genes on different
        slides. "overlap-hvg" takes the most variable among the genes that all slides have, over the spots of all
        slides. Counts are scaled to the median total of the common genes, then log1p. See `select_genes`.
    n
        Number of genes. The default is 128; 100 for "overlap-hvg".
    stacked
        For "hvg": also write count_hvg.csv, the tables of all slides one below another. Its columns are ranks.
        Fine-tuning takes this file as ``data.vectors``, to train as the authors did.
    form
        "csv" or "parquet". The first column, SPOT, has the ids of spots. The others are named after their genes.
    allow_normalised
        Accept counts that are not whole numbers.
    gene_table, names
        Names of genes, as `select_genes` takes them.
    workers
        For "hvg": number of processes, each with one slide at a time. 0 works in this process.
    progress
        True shows a progress bar, None shows one only on a terminal.

    Returns
    -------
    dict of str to pathlib.Path
        Slide → the table that has its spots.

    Raises
    ------
    DataError
        If a slide can't be read, has no counts, or has counts that are not whole numbers. If slides have no gene in
        common.
    ValueError
        If there is no such strategy or form, or ``stacked`` is given for "overlap-hvg".

    Examples
    --------
    >>> import pandas as pd, stimage
    >>> root = stimage.open_root("sample", "ST", species="human")
    >>> table = pd.read_csv(*stimage.export_expression(root, "expression", n=8).values(), index_col="SPOT")
    >>> table.shape
    (28, 8)
    """
    check_one_of(strategy, "strategy", STRATEGIES)
    if stacked and strategy != "hvg":
        raise ValueError(
            "stacked= (--stacked) works only with strategy='hvg' (--strategy hvg): the table of overlap-hvg always "
            "has all slides"
        )
    check_one_of(form, "form", FORMS)
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
