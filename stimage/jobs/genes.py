"""Choose genes: a panel from the slides of a root, without the counts of held-out slides."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tqdm import tqdm

from stimage.core.arguments import check_one_of, check_whole, path_of
from stimage.core.errors import DataError, shown
from stimage.core.files import replacing
from stimage.core.results import versions_of
from stimage.genes.choosing import DEFAULT_N, Chosen, choose_genes
from stimage.genes.dispersion import common_genes
from stimage.genes.names import Naming
from stimage.genes.panels import PANEL_SUFFIXES, Panel, write_panel
from stimage.jobs.roots import Root, open_unpublished
from stimage.slides.catalog import Filters, Slide
from stimage.slides.missing import need_counts
from stimage.slides.splits.splitting import slides_by_split

METHODS = (*DEFAULT_N, "list")
PACKAGES = ("stimage-1k4m", "scanpy", "anndata", "numpy", "pandas")
log = logging.getLogger(__name__)


def select_genes(
    root: str | Path | Root,
    method: str = "hvg-consensus",
    n: int | None = None,
    *,
    genes: Panel | Sequence[str] | str | Path | None = None,
    held_out: str | Path | Iterable[str] | None = None,
    allow_normalised: bool = False,
    gene_table: str | Path | None = None,
    names: str = "symbol",
    out: str | Path | None = None,
    progress: bool | None = False,
) -> Panel:
    """Choose genes by the counts of training slides, among the genes that all slides have.

    Parameters
    ----------
    root
        A folder laid out as the data set, its URL, or a `Root` that `open_root` returned. Slides in validation and test
        must have the genes, but their counts are not read.
    method
        "hvg": the most variable genes of one slide, by Pearson residuals (Lause et al., Genome Biol. 22, 258, 2021).
        "hvg-union": the most variable genes of each slide, together. "hvg-consensus": the genes that most slides
        choose. "overlap-hvg": the most variable genes over all spots together, as the data set's authors choose them.
        "hest": as HEST-Benchmark does (Jaume et al., NeurIPS 2024). "list": your own list, ``genes``.
    n
        Number of genes. The default is 128; 100 for "overlap-hvg", 50 for "hest".
    genes
        For "list": names of genes, or a file of them. Genes that a slide lacks are an error.
    held_out
        Names of further slides to hold out, or a file of names.
    allow_normalised
        Accept counts that are not whole numbers.
    gene_table, names
        A table of gene symbols and Ensembl ids, such as 10x's ``features.tsv.gz``, and the kind of names that genes
        get: "symbol" or "ensembl". Without a table, genes keep the names of the files.
    out
        A file to write, .json or .yaml, with the genes, how they were chosen, and a digest. None writes nothing.
    progress
        True shows a progress bar, None shows one only on a terminal.

    Returns
    -------
    Panel
        Its ``genes`` are the names, in order. `load`, `read_slide`, `finetune` and `predict` take it as ``panel``.

    Raises
    ------
    DataError
        If a slide is an image alone, slides have no gene in common, counts are not whole numbers, or all slides are
        held out.
    ValueError
        If there is no such method, or ``out`` has another ending.

    Examples
    --------
    >>> import stimage
    >>> root = stimage.open_root("sample", species="human", exclude="Human_Breast_Sample5_VisiumHD_A1")
    >>> panel = stimage.select_genes(root, "overlap-hvg", 8, held_out="Human_Breast_Sample1_ST_A1", out="panel.json")
    >>> len(panel.genes)
    8
    >>> stimage.load("ST", "sample", panel="panel.json").features["expression"].length
    8
    """
    check_one_of(method, "method", METHODS)
    if (method == "list") != (genes is not None):
        raise ValueError(f"method={method!r}: the method list, and no other, goes with genes= (--genes)")
    if n is not None:
        check_whole(n, "n", 1, "genes")
    if out is not None and path_of(out, "out").suffix not in PANEL_SUFFIXES:
        raise ValueError(f"out={str(out)!r}: a panel file ends in {', '.join(PANEL_SUFFIXES)}")
    root = open_unpublished(root)
    train, others = _sides(root, held_out)
    need_counts([*train, *others], "choosing genes")
    table = str(gene_table) if gene_table else None
    naming = Naming(table, names) if table else None

    def choose() -> Chosen:
        if genes is not None:
            return _own_list(genes, [*train, *others], naming)
        hidden = None if progress is None else not progress
        return choose_genes(train, method, n, allow_normalised, lambda some: tqdm(some, unit="slide", disable=hidden),
                            naming, others)  # fmt: skip

    parameters = {"n": n or DEFAULT_N.get(method), "allow_normalised": allow_normalised, "gene_table": table,
                  "names": names if table else None}  # fmt: skip
    made = _record(root, method, parameters, train, others)
    if out is None:
        chosen = choose()
    else:
        with replacing(Path(out)) as unfinished:  # before what may take long
            chosen = choose()
            write_panel(unfinished, chosen.genes, made)
    for note in chosen.notes:
        log.warning(note)
    return Panel(chosen.genes, table, made)


def _sides(root: Root, held_out: str | Path | Iterable[str] | None) -> tuple[list[Slide], list[Slide]]:
    """Return the slides to choose by, and those held out."""
    named = root.catalog.of_techs(root.selection.techs).select(Filters(slides=held_out)) if held_out else []
    placed = root.placed.values()
    train = [one.slide for one in placed if one.split == "train" and one.slide not in named]
    if not train:
        raise DataError(f"{root.selection.root}: all slides are held out; leave one to choose by")
    return train, named + [one.slide for one in placed if one.slide not in (*train, *named)]


def _record(
    root: Root, method: str, parameters: Mapping[str, object], train: Sequence[Slide], others: Sequence[Slide]
) -> dict[str, object]:
    """Say how the genes were chosen."""
    return {
        "method": method,
        "parameters": parameters,
        "slides": [slide.name for slide in train],
        "held_out": [slide.name for slide in others],
        "parts": slides_by_split(root.placed.values()),
        "species": sorted({slide.species for slide in train if slide.species}),
        "versions": versions_of(PACKAGES),
    }


def _own_list(own: Panel | Sequence[str] | str | Path, slides: Sequence[Slide], naming: Naming | None) -> Chosen:
    """Take a user's list, and hold it against the genes that all slides have."""
    genes, common = Panel.read(own).genes, set(common_genes(slides, naming))
    if missing := [gene for gene in genes if gene not in common]:
        where = own if isinstance(own, str | Path) else "genes="
        raise DataError(
            f"{where}: {len(missing)} of {len(genes)} genes are not on all {len(slides)} slides: {shown(missing, 10)}"
        )
    return Chosen(genes)
