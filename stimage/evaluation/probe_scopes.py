"""The linear probe slide by slide, study by study and pooled, always beside its baselines."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from stimage.core.errors import DataError
from stimage.evaluation.baselines import colour_only, colour_statistics, majority, position_only
from stimage.evaluation.labelled import LabelledSpots
from stimage.evaluation.spot_folds import block_folds, spot_blocks, spot_groups
from stimage.scores.folds import PROBE_SPLITS, Fold, group_folds, random_folds
from stimage.scores.intervals import paired_difference
from stimage.scores.linear_probe import check_folds, predict_folds
from stimage.scores.probe_scores import FoldPredictions, summarise
from stimage.slides.splits.groups import merge_groups
from stimage.slides.splits.splitting import Splitting

CLASSIFIERS = ("embedding", "majority", "position", "colour")


@dataclass(frozen=True)
class ProbeScores:
    """Scores by slide, by study and over all spots; see `stimage.scores.probe_scores.summarise`.

    Each has ``spots``, ``classes`` (label → spots) and one entry a classifier; or ``left_out``, why there are none.
    """

    slides: Mapping[str, dict] = field(default_factory=dict)
    studies: Mapping[str, dict] = field(default_factory=dict)
    pooled: Mapping[str, dict] = field(default_factory=dict)


def run_probe(
    spots: LabelledSpots,
    protocol: str,
    split: str,
    groups: Splitting | None = None,
    with_colour: bool = True,
    progress: Callable[[Iterable], Iterable] = iter,
) -> ProbeScores:
    """Probe embeddings by a protocol and a split.

    With ``random`` and ``block``, each slide, each study of several slides and all spots together are probed on their
    own, trained and tested within; what can't be (one class, too few spots) says why. With ``slide``, ``study`` and
    ``patient``, probes are trained on all spots but those of the groups held out, and figures by slide and by study are
    of the spots held out.

    Parameters
    ----------
    groups
        How slides are grouped, for the splits by study (of those of none) and by patient (by their table).
    with_colour
        False spares reading the images.
    progress
        Wraps what is to be probed, such as by tqdm.

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
    colours = colour_statistics(spots) if with_colour else None
    if split in ("random", "block"):
        return _within(spots, colours, protocol, split, progress)
    return _held_out(spots, colours, protocol, spot_groups(spots, groups or Splitting(split)))


def rare_classes(labels: np.ndarray, least: int = 10) -> list[str]:
    """Return notes on classes with so few spots that a tenth of all spots may have none of them."""
    names, sizes = np.unique(labels, return_counts=True)
    return [f"class {name!r} has {n} spot{'s' * (n > 1)}: some parts of a split have none of it"
            for name, n in zip(names.tolist(), sizes.tolist()) if n < least]  # fmt: skip


def _within(
    spots: LabelledSpots, colours: np.ndarray | None, protocol: str, split: str, progress: Callable
) -> ProbeScores:
    studies = {s: names for s, names in _studies(spots).items() if len(names) > 1}
    every = tuple(spots.slides)
    done = {}
    for names in progress(list(dict.fromkeys([(name,) for name in every] + [*studies.values(), every]))):
        mine = np.isin(spots.embeddings.slides, names)
        some = spots.take(mine)
        groups = spot_blocks(some) if len(names) == 1 else some.embeddings.slides
        try:
            folds = random_folds(len(some)) if split == "random" else block_folds(some)
            predicted, labels = _predict_all(some, colours[mine] if colours is not None else None, protocol, folds)
            done[names] = _entry(some.labels, labels, predicted, groups, protocol)
        except DataError as error:
            if names == every:
                raise
            done[names] = {"spots": len(some), "left_out": str(error)}
    by_study = {study: done[names] for study, names in studies.items()}
    return ProbeScores({name: done[name,] for name in every}, by_study, _above(done[every]))


def _held_out(spots: LabelledSpots, colours: np.ndarray | None, protocol: str, groups: np.ndarray) -> ProbeScores:
    predicted, labels = _predict_all(spots, colours, protocol, group_folds(groups, spot_blocks(spots)))

    def part(names: tuple[str, ...]) -> dict:
        mine = np.isin(spots.embeddings.slides, names)
        some = {name: one.filter(mine) for name, one in predicted.items()}
        units = spot_blocks(spots) if len(names) == 1 else spots.embeddings.slides
        return _entry(spots.labels, labels, some, units, protocol, mine)

    return ProbeScores(
        {name: part((name,)) for name in spots.slides},
        {study: part(names) for study, names in _studies(spots).items()},
        _above(_entry(spots.labels, labels, predicted, groups, protocol)),
    )


def _predict_all(
    spots: LabelledSpots, colours: np.ndarray | None, protocol: str, folds: list[Fold]
) -> tuple[dict[str, FoldPredictions], np.ndarray]:
    """Return what each classifier predicts, and the labels as numbers."""
    labels = np.unique(spots.labels, return_inverse=True)[1]
    check_folds(labels, folds)
    predicted = {
        "embedding": predict_folds(protocol, spots.embeddings.vectors, labels, folds),
        "majority": majority(labels, folds),
        "position": position_only(spots, labels, folds),
    }
    if colours is not None:
        predicted["colour"] = colour_only(colours, labels, folds)
    return predicted, labels


def _entry(
    names: np.ndarray,
    labels: np.ndarray,
    predicted: Mapping[str, FoldPredictions],
    groups: np.ndarray,
    protocol: str,
    mine: np.ndarray | None = None,
) -> dict:
    counted = labels if mine is None else labels[mine]
    sizes = np.bincount(counted, minlength=labels.max() + 1).tolist()
    return {"spots": len(counted), "classes": dict(zip(np.unique(names).tolist(), sizes))} | {
        name: summarise(one, labels, groups, all_named=protocol == "original") for name, one in predicted.items()
    }


def _above(pooled: dict) -> dict:
    """Add to scores how much the embedding's macro-F1 of all test spots is above each baseline's."""
    of = {name: pooled[name]["intervals"]["macro_f1_together"] for name in CLASSIFIERS if name in pooled}
    own = of.pop("embedding")
    apart = {name: paired_difference(own, one) for name, one in of.items()}
    return pooled | {"above": {name: one["value"] for name, one in apart.items()} | {"intervals": apart}}


def _studies(spots: LabelledSpots) -> dict[str, tuple[str, ...]]:
    """Return study → its slides, of the studies that are known."""
    of_slide = merge_groups({name: pmids for name, slide in spots.slides.items() if (pmids := slide.pmids)})
    members: dict[str, tuple[str, ...]] = {}
    for name in spots.slides:
        if study := of_slide.get(name):
            members[study] = (*members.get(study, ()), name)
    return members
