"""Probe embeddings by the pathologists' labels, and score retrieval between two kinds of embeddings."""

import time
from collections.abc import Iterable, Sequence
from functools import reduce
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from stimage.cells.features import nuclei_of_slides
from stimage.core.arguments import check_one_of
from stimage.core.errors import DataError
from stimage.evaluation.probe_scopes import rare_classes, run_probe, studies_of
from stimage.evaluation.results import data_identity, write_scores
from stimage.evaluation.saved.ranks import ranked_scores, save_ranks
from stimage.evaluation.seen import labelled_unseen, settle_seen
from stimage.evaluation.spot_folds import BLOCKS_PER_SIDE, BUFFER_PITCHES
from stimage.jobs.roots import Root, open_root, open_unpublished
from stimage.jobs.scores import Scores, grouping, sealed, tested_slides, with_patients
from stimage.loading.embeddings import Embeddings, folders_of_kinds, read_embeddings
from stimage.loading.provenance import Provenance
from stimage.scores.folds import PROBE_SPLITS, PROTOCOLS, SEEDS
from stimage.scores.linear_probe import PENALTIES
from stimage.scores.retrieval import retrieval_ranks
from stimage.scores.sgd.probe import SGD_PENALTIES
from stimage.slides.catalog import ON_MISMATCH
from stimage.slides.splits.groups import groups_of, merge_groups
from stimage.slides.splits.splitting import SPLIT_BY, Splitting

PROBE_VERSION = 2  # 1 split spots in the order of their ids
RETRIEVAL = ("retrieval", 1)  # the protocol and its version
PROBE_PACKAGES = ("stimage-1k4m", "scikit-learn", "torch", "numpy", "scipy")
RETRIEVAL_PACKAGES = ("stimage-1k4m", "torch", "numpy")


def probe(
    root: str | Path | Root,
    embeddings: str | Path | pd.DataFrame | Embeddings,
    protocol: str = "converged",
    split: str = "slide",
    *,
    colour: bool = True,
    patients: str | Path | None = None,
    no_study: str | None = None,
    test: str | Path | Sequence[str] | None = None,
    on_mismatch: str = "error",
    seen: str = "error",
    out: str | Path | None = None,
    progress: bool | None = False,
) -> Scores:
    """Probe embeddings: how well a linear classifier tells the pathologists' labels apart, with baselines.

    Spots without a label, or with the label "undetermined" or "Exclude", are left out.

    Parameters
    ----------
    root
        A folder laid out as the data set, its URL, or a `Root` that `open_root` returned: labels and positions of
        spots.
    embeddings
        The table that `embed` returns, the folder or file that it wrote, or a CSV with the spot ids first.
    protocol
        "converged" minimises to convergence, on centred vectors of unit norm. "original" is the protocol of the data
        set's authors.
    split
        The spots that are held out: whole groups, "slide", "study" or "patient"; "block", parts of slides; or "random"
        spots, whose neighbours are trained on.
    colour
        False leaves out the baseline of colours, so that no image is read.
    patients, no_study
        The groups of slides: a CSV with the columns ``slide`` and ``patient``, and "own", which makes each slide
        without a known study a study of its own.
    test
        For the splits by slide, study and patient: slides to test on, as names or a file of names. All slides that
        share no group with these are trained on. None holds out each group in turn.
    on_mismatch
        What to do with labelled spots that have no embedding: "error", or "drop", which leaves them out.
    seen
        What to do with slides that the model was trained on: "error", "drop", which leaves them out, or "score".
    out
        A folder to write results.json, results.csv and predictions.parquet into. `verify` computes the first two from
        the third again. None writes nothing.
    progress
        True shows a progress bar, None shows one only on a terminal.

    Returns
    -------
    Scores
        ``overall["pooled"]`` has macro-F1 and more for "embedding", for the baselines "majority", "position" and
        "colour", and for "nuclei" where the root has the cells of all slides. Its "above" says how much better the
        embedding is than each baseline. ``overall["studies"]`` has the same by study.

    Raises
    ------
    DataError
        If a labelled spot has no embedding, there is only one label or group, or the model was trained on a slide.
    ValueError
        If there is no such protocol or split.

    Examples
    --------
    >>> import stimage
    >>> root = stimage.open_root("sample", "ST")
    >>> table = stimage.embed(root, "clip")
    >>> scores = stimage.probe(root, table, split="random", colour=False)
    >>> sorted(scores.overall["pooled"])
    ['above', 'classes', 'embedding', 'majority', 'position', 'spots']
    >>> 0 <= scores.overall["pooled"]["embedding"]["macro_f1"]["mean"] <= 1
    True
    """
    check_probe(protocol, split, patients, no_study, test, on_mismatch)
    began, root = time.perf_counter(), open_unpublished(root)
    groups = grouping(split, patients, no_study)
    read = read_embeddings(embeddings, [slide.name for slide in root.catalog.slides])
    tested = tested_slides(test, root.slides)
    spots, scored = labelled_unseen(read, root.slides, on_mismatch, seen, tested)
    tested = [name for name in tested if name in spots.slides]
    left_out = [f"{n} spots left out: {reason}" for reason, n in spots.left_out.items()]
    nuclei, partly = nuclei_of_slides(root.catalog.root, list(spots.slides.values()))
    notes = [*scored.notes, *left_out, *rare_classes(spots.labels), *partly]
    hidden = None if progress is None else not progress
    folder = None if out is None else Path(out)
    probed = run_probe(spots, protocol, split, groups, colour, lambda some: tqdm(some, disable=hidden), tested, folder,
                       nuclei)  # fmt: skip
    if split == "random":
        score = probed.pooled["position"]["macro_f1"]["mean"]
        notes += [f"under this random split the position of a spot alone, without its image, scores {score:.3f}"]
    path = None
    if folder is not None:
        data = data_identity(spots.embeddings.spot_ids, spots.labels, embeddings=spots.embeddings,
                             left_out=spots.left_out, parts=root.names_by_split(spots.slides),
                             seen=scored.seen, studies=studies_of(spots))  # fmt: skip
        data |= {"nuclei": nuclei.about} if nuclei else {}
        config = with_patients(_probe_config(protocol, split, colour, tested), root, patients)
        path = write_scores(folder, *probe_protocol(protocol), config, data, SEEDS if split == "random" else (0,),
                            PROBE_PACKAGES, time.perf_counter() - began, probed.slides, probed.overall)  # fmt: skip
        sealed(path)
    return Scores(probed.overall, probed.slides, tuple(notes), path)


def check_probe(protocol: Any, split: Any, patients: Any, no_study: Any, test: Any, on_mismatch: Any) -> None:
    """Refuse, with a `ValueError`, options of `probe` that cannot be, whatever the slides."""
    check_one_of(protocol, "protocol", PROTOCOLS)
    check_one_of(split, "split", PROBE_SPLITS)
    check_one_of(on_mismatch, "on_mismatch", ON_MISMATCH)
    if test is not None and split not in SPLIT_BY:
        raise ValueError(f"test= (--test) works only with split= (--split) {', '.join(SPLIT_BY)}, not with {split!r}")
    grouping(split, patients, no_study)


def _probe_config(protocol: str, split: str, colour: bool, tested: Sequence[str]) -> dict[str, Any]:
    alphas = SGD_PENALTIES if protocol == "original" else PENALTIES
    config: dict[str, Any] = {"protocol": protocol, "split": split, "alphas": alphas, "colour": colour}
    config |= {"blocks": BLOCKS_PER_SIDE, "near": BUFFER_PITCHES} if split == "block" else {}
    return config | ({"test": sorted(tested)} if tested else {})


def probe_protocol(protocol: str) -> tuple[str, int]:
    """Return the name in results of a protocol of `probe`, and its version."""
    return f"linear_probe/{protocol}", PROBE_VERSION


def retrieve(
    root: str | Path | Root,
    embeddings: str | Path | pd.DataFrame | Embeddings,
    other: str | Path | pd.DataFrame | Embeddings | None = None,
    k: Sequence[int] = (1, 5, 10),
    *,
    by: str | None = None,
    on_mismatch: str = "error",
    seen: str = "error",
    out: str | Path | None = None,
) -> Scores:
    """Score retrieval between two embeddings of the same spots, such as images and genes: recall@k and median rank.

    The partner of each spot is ranked by cosine similarity among the spots of its slide (within) and among all spots
    (across). A tie counts against the model.

    Parameters
    ----------
    root
        A folder laid out as the data set, its URL, or a `Root` that `open_root` returned: the slides of the spots.
    embeddings, other
        Vectors of both kinds, of the same length, as `probe` takes them. Without ``other``, ``embeddings`` is a folder
        with the folders ``images`` and ``genes``, or ``images`` and ``text``, as embed_spots.py writes it with
        ``--of``.
    k
        The values of k for recall@k.
    by
        The groups that the intervals of recalls are over: "slide", "study" or "patient". None takes ``split_by`` of the
        root, or slides. A slide without a known study counts as a study of its own.
    on_mismatch
        What to do with spots that have only one of the embeddings: "error", or "drop", which leaves them out.
    seen
        What to do with slides that the model was trained on: "error", "drop", which leaves them out, or "score".
    out
        A folder to write results.json and the ranks into. None writes nothing.

    Returns
    -------
    Scores
        ``overall["within"]`` and ``overall["across"]``. Each has ``a_to_b``, which looks for partners in ``other``, and
        ``b_to_a``.

    Raises
    ------
    DataError
        If a spot has only one of the embeddings, their vectors differ in length, or the model was trained on a slide.

    Examples
    --------
    >>> import stimage
    >>> root = stimage.open_root("sample", "ST")
    >>> table = stimage.embed(root, "clip")
    >>> scores = stimage.retrieve(root, table, table, [1])
    >>> scores.overall["within"]["a_to_b"]["recall@1"]
    1.0
    """
    check_retrieval(k, by, on_mismatch)
    k = list(k) if isinstance(k, Iterable) else [k]
    began, root = time.monotonic(), open_root(root)
    if other is None:
        embeddings, other = _both_in(embeddings)
    a, b, left_out = _pairs(root, embeddings, other, on_mismatch)
    known = [one.provenance for one in (a, b) if one.provenance]
    there = set(a.slides.tolist())
    of_spots = [slide for slide in root.slides if slide.name in there]
    scored = settle_seen(reduce(Provenance.joined, known) if known else None, of_spots, seen, a.model)
    mine = np.isin(a.slides, [slide.name for slide in scored.slides])
    a, b = a.take(mine), b.take(mine)
    units = _units(root, a.slides, by)
    ranks = {scope: retrieval_ranks(a.vectors, b.vectors, of) for scope, of in (("within", a.slides), ("across", None))}
    slides, overall = ranked_scores(a.slides, units, ranks, k)
    path = None
    if out is not None:
        data = data_identity(a.spot_ids, embeddings=a, other=b, left_out=left_out,
                             parts=root.names_by_split(list(slides)), seen=scored.seen)  # fmt: skip
        save_ranks(Path(out), a.spot_ids, a.slides, units, ranks, k)
        path = write_scores(out, *RETRIEVAL, {"k": k, "similarity": "cosine"}, data, [], RETRIEVAL_PACKAGES,
                             time.monotonic() - began, slides, overall)  # fmt: skip
        sealed(path)
    notes = [f"{left_out} spots left out: they have only one of the embeddings"] if left_out else []
    return Scores(overall, slides, (*notes, *scored.notes), path)


def check_retrieval(k: Any, by: Any, on_mismatch: Any) -> None:
    """Refuse, with a `ValueError`, options of `retrieve` that cannot be, whatever the slides."""
    wanted: list[int] = list(k) if isinstance(k, Iterable) else [k]
    if not wanted or not all(isinstance(one, Integral) and one > 0 for one in wanted):
        raise ValueError(f"k={wanted!r}: pass a list of whole numbers, 1 or more, such as [1, 5, 10]")
    if by is not None:
        check_one_of(by, "by", SPLIT_BY)
    check_one_of(on_mismatch, "on_mismatch", ON_MISMATCH)


def _both_in(folder: str | Path | pd.DataFrame | Embeddings) -> list[Path]:
    """Return the folders of both kinds of embeddings in a folder: of images first."""
    if not isinstance(folder, str | Path):
        raise ValueError("other= is not given: pass the embeddings of the other kind, too")
    if len(found := folders_of_kinds(Path(folder))) != 2:
        raise DataError(f"{folder}: has no folders of two kinds of embeddings, images and genes; make both, or pass "
                        "other= (--other)")  # fmt: skip
    return found


def _units(root: Root, slides: np.ndarray, by: str | None) -> np.ndarray:
    """Return the slide of each spot, or the group that intervals are over (n,)."""
    splitting = Splitting(by, no_study="own" if by == "study" else None) if by else root.splitting
    if not splitting.by:
        return slides
    names = set(slides.tolist())
    of_slide = merge_groups(groups_of([one for one in root.slides if one.name in names], splitting))
    return np.array([of_slide[slide] for slide in slides.tolist()])


def _pairs(
    root: Root,
    first: str | Path | pd.DataFrame | Embeddings,
    second: str | Path | pd.DataFrame | Embeddings,
    on_mismatch: str,
) -> tuple[Embeddings, Embeddings, int]:
    """Return both embeddings of the slides that are meant, row by row of one spot, and how many spots only one has."""
    wanted, known = [slide.name for slide in root.slides], [slide.name for slide in root.catalog.slides]
    a, b = (read_embeddings(one, known) for one in (first, second))
    a, b = (one.take(np.isin(one.slides, wanted)) for one in (a, b))
    both, of_a, of_b = np.intersect1d(a.spot_ids, b.spot_ids, assume_unique=True, return_indices=True)
    lone = len(a) + len(b) - 2 * len(both)
    if not len(both):
        named = " and ".join(str(one) if isinstance(one, str | Path) else "a table" for one in (first, second))
        raise DataError(f"{named}: have no spot of the wanted slides in common")
    if lone and on_mismatch == "error":
        spot = str(np.setxor1d(a.spot_ids, b.spot_ids)[0])
        raise DataError(f"{lone} spots, such as {spot!r}, have only one of the embeddings; make the other, or pass "
                        "on_mismatch='drop' (--on-mismatch drop) to leave them out")  # fmt: skip
    return a.take(of_a), b.take(of_b), lone
