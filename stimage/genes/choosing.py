"""Choose the genes of a panel by variability, by the rules of several papers; counts are read slide by slide."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from stimage.core.errors import DataError, shown
from stimage.core.extras import needs
from stimage.genes.dispersion import Moments, common_genes, count_blocks, genes_of, most_variable
from stimage.genes.names import Naming
from stimage.genes.normalise import NOT_RAW
from stimage.slides.catalog import Slide

DEFAULT_N = {"hvg": 128, "hvg-union": 128, "hvg-consensus": 128, "overlap-hvg": 100, "hest": 50}
HEST_SHARE = 0.1  # of spots, on every slide, that must have a gene
CONTROLS = ("BLANK", "CONTROL")  # fragments of names that mark controls, which are no genes
ShowProgress = Callable[[Iterable[Slide]], Iterable[Slide]]


@dataclass(frozen=True)
class Chosen:
    """The chosen genes in order, and remarks about genes that were left out."""

    genes: tuple[str, ...]
    notes: tuple[str, ...] = ()


def choose_genes(
    slides: Sequence[Slide],
    method: str,
    n: int | None = None,
    allow_normalised: bool = False,
    progress: ShowProgress = iter,
    naming: Naming | None = None,
    held_out: Sequence[Slide] = (),
) -> Chosen:
    """Choose genes.

    Parameters
    ----------
    slides
        Their count files are read one after the other, in this order.
    method
        "hvg": the n most variable genes of one slide, by Pearson residuals (Lause et al., Genome Biol. 22, 258, 2021;
        scanpy), the most variable first. "hvg-union": the n genes of each slide, in order of appearance.
        "hvg-consensus": the n genes that most slides chose, then by mean rank. These two take only genes that all
        slides have. "overlap-hvg": the n most variable of the genes that all slides have, over all spots together,
        after normalisation to the median total and log1p, in the order of the first file (scanpy's default flavour).
        "hest": the same for raw log1p counts, for genes in at least 10 % of the spots of every slide, without controls.
    n
        Number of genes. The default is 128; 100 for "overlap-hvg", 50 for "hest".
    allow_normalised
        Accept counts that are not whole numbers.
    naming
        Names that genes get before they are compared. None keeps the names of the files.
    held_out
        Slides that must have the genes, too, but whose counts are not read.

    Raises
    ------
    DataError
        If slides have no gene in common, no gene is left to choose from, or counts are not whole numbers.
    """
    n = n or DEFAULT_N[method]
    if method == "hvg":
        if len(every := [*slides, *held_out]) != 1:
            raise DataError(
                f"method='hvg' (--method hvg) chooses genes on one slide, but {len(every)} slides are selected; select "
                "one by slides= (--slides), or pass method='hvg-consensus' (--method hvg-consensus)"
            )
        return Chosen(tuple(pearson_genes(slides[0], n, allow_normalised, naming)))
    common = common_genes([*slides, *held_out], naming)
    if method in ("hvg-union", "hvg-consensus"):
        ranks = [pearson_genes(slide, n, allow_normalised, naming) for slide in progress(slides)]
        return _union(ranks, common) if method == "hvg-union" else _consensus(ranks, common, n)
    choose = overlap_genes if method == "overlap-hvg" else hest_genes
    return Chosen(tuple(choose(slides, common, n, allow_normalised, progress, naming)))


def pearson_genes(slide: Slide, n: int, allow_normalised: bool = False, naming: Naming | None = None) -> list[str]:
    """Return a slide's n most variable genes by Pearson residuals, the most variable first, without empty spots."""
    import anndata
    import pandas as pd
    from scipy.sparse import csr_matrix, vstack

    scanpy = needs("scanpy")
    genes, parts = genes_of(slide, naming)[0], []
    for spots, row, column, values in count_blocks(slide, genes, naming):
        _check_whole(slide, values, allow_normalised)
        part = csr_matrix((values.astype(np.float32), (row, column)), (spots, len(genes)))
        parts.append(part[np.diff(part.indptr) > 0])
    counts = anndata.AnnData(vstack(parts, "csr"), var=pd.DataFrame(index=list(genes)))
    if not counts.n_obs:
        raise DataError(f"{slide.counts}: no spot has a count; leave the slide out")
    scanpy.experimental.pp.highly_variable_genes(
        counts, flavor="pearson_residuals", n_top_genes=min(n, len(genes)), check_values=not allow_normalised
    )
    chosen = counts.var[counts.var["highly_variable"]].sort_values("highly_variable_rank", kind="stable")
    return chosen.index.tolist()


def overlap_genes(
    slides: Sequence[Slide],
    common: Sequence[str],
    n: int,
    allow_normalised: bool = False,
    progress: ShowProgress = iter,
    naming: Naming | None = None,
) -> list[str]:
    """Return the n most variable of the common genes; see `choose_genes`."""
    return overlap_choice(slides, common, n, allow_normalised, progress, naming)[0]


def overlap_choice(
    slides: Sequence[Slide],
    common: Sequence[str],
    n: int,
    allow_normalised: bool = False,
    progress: ShowProgress = iter,
    naming: Naming | None = None,
) -> tuple[list[str], float]:
    """Return the same as `overlap_genes`, and the median total of the common genes over spots that have any.

    The median of all totals is known only at the end, so the sums are of shares of a spot's total, and are scaled then.
    """
    moments, totals = Moments(len(common)), []
    for slide in progress(slides):
        for spots, row, column, values in count_blocks(slide, common, naming):
            _check_whole(slide, values, allow_normalised)
            total = np.bincount(row, values, spots)
            moments.add(int(np.count_nonzero(total)), column, values / total[row])
            totals.append(total[total > 0])
    _check_any(moments)
    median = float(np.median(np.concatenate(totals)))
    mean, variance = moments.mean_and_variance(median)
    kept = moments.filled > 0  # others would change the bins
    chosen = np.flatnonzero(kept)[most_variable(mean[kept], variance[kept], n)]
    if not len(chosen):
        raise DataError(
            f"{slides[0].counts}: none of the genes that all slides have varies between spots; take more slides or "
            "spots"
        )
    return [common[i] for i in chosen], median


def hest_genes(
    slides: Sequence[Slide],
    common: Sequence[str],
    n: int,
    allow_normalised: bool = False,
    progress: ShowProgress = iter,
    naming: Naming | None = None,
) -> list[str]:
    """Return the n genes that HEST-Benchmark's rule chooses (Jaume et al., NeurIPS 2024); see `choose_genes`."""
    return hest_choice(
        (slide_moments(slide, common, allow_normalised, naming) for slide in progress(slides)), common, n
    )


def slide_moments(
    slide: Slide, common: Sequence[str], allow_normalised: bool = False, naming: Naming | None = None
) -> Moments:
    """Return the sums over a slide's spots that `hest_choice` needs."""
    moments = Moments(len(common))
    for spots, _, column, values in count_blocks(slide, common, naming):
        _check_whole(slide, values, allow_normalised)
        moments.add(spots, column, values)
    return moments


def hest_choice(by_slide: Iterable[Moments], common: Sequence[str], n: int) -> list[str]:
    """Choose n genes by HEST's rule, from the sums over each slide."""
    whole, slides = Moments(len(common)), 0
    kept = np.array([not any(word in gene.upper() for word in CONTROLS) for gene in common])
    for one in by_slide:
        whole, slides = whole + one, slides + 1
        kept &= one.filled >= HEST_SHARE * one.spots
    _check_any(whole)
    if not kept.any():
        raise DataError(f"no gene is in {HEST_SHARE:.0%} of the spots of each of the {slides} slides")
    mean, variance = whole.mean_and_variance()
    chosen = np.flatnonzero(kept)[most_variable(mean[kept], variance[kept], n)]
    return [common[i] for i in chosen]


def _union(ranks: Sequence[Sequence[str]], common: Sequence[str]) -> Chosen:
    all_of_them, there = list(dict.fromkeys(gene for genes in ranks for gene in genes)), set(common)
    chosen = [gene for gene in all_of_them if gene in there]
    return Chosen(tuple(chosen), _lost(all_of_them, chosen))


def _consensus(ranks: Sequence[Sequence[str]], common: Sequence[str], n: int) -> Chosen:
    places = {}
    for genes in ranks:
        for place, gene in enumerate(genes):
            places.setdefault(gene, []).append(place)
    there = set(common)
    order = sorted(places, key=lambda gene: (-len(places[gene]), np.mean(places[gene]), gene))
    return Chosen(tuple(gene for gene in order if gene in there)[:n], _lost(order, [g for g in order if g in there]))


def _lost(before: Sequence[str], after: Sequence[str]) -> tuple[str, ...]:
    lost = sorted(set(before) - set(after))
    if not lost:
        return ()
    return (f"{len(lost)} variable genes are not on all slides: {shown(lost, 10)}",)


def _check_whole(slide: Slide, values: np.ndarray, allow_normalised: bool) -> None:
    if not allow_normalised and (values % 1).any():
        raise DataError(NOT_RAW.format(slide.counts, "pass allow_normalised=True (--allow-normalised)"))


def _check_any(moments: Moments) -> None:
    if not moments.filled.any():
        raise DataError("no spot has a count of the genes that all slides have")
