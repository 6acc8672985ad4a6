"""The linear probe slide by slide, study by study and pooled, always beside its baselines."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from stimage.cells.features import NucleiOfSlides
from stimage.core.errors import DataError
from stimage.evaluation.baselines import (
    colour_statistics,
    majority,
    nuclei_statistics,
    numbers_only,
    position_only,
)
from stimage.evaluation.labelled import LabelledSpots
from stimage.evaluation.saved.labels import Probed, ProbeScores, probe_scores, save_labels
from stimage.evaluation.spot_folds import block_folds, spot_blocks, spot_groups
from stimage.scores.folds import PROBE_SPLITS, Fold, group_folds, held_fold, random_folds
from stimage.scores.linear_probe import check_folds, predict_folds
from stimage.slides.splits.groups import merge_groups
from stimage.slides.splits.splitting import Splitting


def run_probe(
    spots: LabelledSpots,
    protocol: str,
    split: str,
    groups: Splitting | None = None,
    with_colour: bool = True,
    progress: Callable[[Iterable], Iterable] = iter,
    tested: Collection[str] = (),
    out: Path | None = None,
    nuclei: NucleiOfSlides | None = None,
) -> ProbeScores:
    """Probe embeddings by a protocol and a split.

    With ``random`` and ``block``, each slide, each study of several slides and all spots together have their own
    probes, trained and tested within. An entry that can't be probed (one class, too few spots) says why. With
    ``slide``, ``study`` and ``patient``, probes are trained on all spots but those of the groups held out, and figures
    by slide and by study are over spots while they are held out.

    Parameters
    ----------
    groups
        The grouping of slides, for the splits by study (with slides without one) and by patient (with their table).
    with_colour
        False leaves out the baseline of colours, so that no image is read.
    progress
        Wraps the entries to probe, such as by tqdm.
    tested
        Names of slides that are held out at once; all slides that share no group with them are trained on. Without any,
        each group is held out in turn.
    out
        A folder for the predictions of each test spot, or None.
    nuclei
        Nuclei of the slides, for the baseline of nuclei alone. Without them, there is none.

    Raises
    ------
    DataError
        If all spots together can't be probed: one class, one group, too few spots.
    """
    if split not in PROBE_SPLITS:
        raise ValueError(f"split={split!r}: pass one of {PROBE_SPLITS}")
    if len(np.unique(spots.labels)) < 2:
        raise DataError(f"all {len(spots)} labelled spots have one label, {str(spots.labels[0])!r}, so there is "
                        "nothing to tell apart: add slides")  # fmt: skip
    numbers = {"colour": colour_statistics(spots)} if with_colour else {}
    numbers |= {"nuclei": nuclei_statistics(spots, nuclei)} if nuclei else {}
    within, studies = split in ("random", "block"), studies_of(spots)
    if within:
        names, scopes = list(spots.slides), _within(spots, numbers, protocol, split, studies, progress)
    else:
        held = spot_groups(spots, groups or Splitting(split))
        names = [name for name in spots.slides if not tested or name in tested]
        scopes = [_held_out(spots, numbers, protocol, held, tested)]
        studies = {study: own for study, some in studies.items() if (own := [n for n in some if n in names])}
    told = {"slides": names, "studies": studies, "within": within, "all_named": protocol == "original"}
    if out is not None:
        save_labels(out, told, scopes)
    return probe_scores(told, scopes)


def rare_classes(labels: np.ndarray, least: int = 10) -> list[str]:
    """Return notes on classes with so few spots that a tenth of all spots may have none of them."""
    names, sizes = np.unique(labels, return_counts=True)
    return [f"class {name!r} has {n} spot{'s' * (n > 1)}: some parts of a split have none of it"
            for name, n in zip(names.tolist(), sizes.tolist()) if n < least]  # fmt: skip


def _within(
    spots: LabelledSpots,
    numbers: Mapping[str, np.ndarray],
    protocol: str,
    split: str,
    studies: Mapping[str, Sequence[str]],
    progress: Callable,
) -> list[Probed]:
    several = [tuple(names) for names in studies.values() if len(names) > 1]
    every, found = tuple(spots.slides), []
    for names in progress(list(dict.fromkeys([*((name,) for name in every), *several, every]))):
        mine = np.isin(spots.embeddings.slides, names)
        some = spots.take(mine)
        try:
            folds = random_folds(len(some)) if split == "random" else block_folds(some)
            own = {name: one[mine] for name, one in numbers.items()}
            found.append(_predict_all(some, own, protocol, folds, some.embeddings.slides, names))
        except DataError as error:
            if names == every:
                raise
            found.append(Probed({"slides": names, "spots": len(some), "left_out": str(error)}))
    return found


def _held_out(
    spots: LabelledSpots, numbers: Mapping[str, np.ndarray], protocol: str, groups: np.ndarray, tested: Collection[str]
) -> Probed:
    inner = spot_blocks(spots)
    if tested:
        folds = [held_fold(groups, np.isin(spots.embeddings.slides, list(tested)), inner)]
    else:
        folds = group_folds(groups, inner)
    return _predict_all(spots, numbers, protocol, folds, groups, tuple(spots.slides))


def _predict_all(
    spots: LabelledSpots,
    numbers: Mapping[str, np.ndarray],
    protocol: str,
    folds: list[Fold],
    groups: np.ndarray,
    names: Sequence[str],
) -> Probed:
    """Return the predictions of each classifier for the test spots."""
    classes, labels = np.unique(spots.labels, return_inverse=True)
    check_folds(labels, folds)
    predicted = {
        "embedding": predict_folds(protocol, spots.embeddings.vectors, labels, folds),
        "majority": majority(labels, folds),
        "position": position_only(spots, labels, folds),
    }
    predicted |= {name: numbers_only(one, labels, folds) for name, one in numbers.items()}
    rows = np.concatenate([fold.test for fold in folds])
    sizes = np.bincount(labels if len(folds) > 1 else labels[rows], minlength=len(classes)).tolist()
    facts = {"slides": names, "spots": sum(sizes), "classes": dict(zip(classes.tolist(), sizes)),
             "alphas": {name: list(one.alphas) for name, one in predicted.items()}}  # fmt: skip
    texts = {"spot_id": spots.embeddings.spot_ids, "slide": spots.embeddings.slides, "block": spot_blocks(spots),
             "group": groups}  # fmt: skip
    return Probed(
        facts, {key: values[rows] for key, values in texts.items()},
        np.repeat(np.arange(len(folds)), [len(fold.test) for fold in folds]), labels[rows],
        {name: np.concatenate(one.scores) for name, one in predicted.items()},
    )  # fmt: skip


def studies_of(spots: LabelledSpots) -> dict[str, tuple[str, ...]]:
    """Return study → its slides, for known studies."""
    of_slide = merge_groups({name: pmids for name, slide in spots.slides.items() if (pmids := slide.pmids)})
    members: dict[str, tuple[str, ...]] = {}
    for name in spots.slides:
        if study := of_slide.get(name):
            members[study] = (*members.get(study, ()), name)
    return members
