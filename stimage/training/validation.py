"""Scores of two towers on held-out slides: loss, recall both ways, and a linear probe where there are labels."""

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list, gather_object
from torch import nn

from stimage.loading.ahead import MOST_WORKERS, AheadLoader, cores
from stimage.scores.retrieval import retrieval_scores
from stimage.slides.labels import is_label
from stimage.training.objectives import PLACES, objective_of
from stimage.training.order import global_batches
from stimage.training.settings.groups import Settings
from stimage.training.spots import TrainingBatches, TrainingSpots, held_out_as_is

BATCH_SIZE = 256
PROBE_LEAST = 5  # spots of some label, to choose the probe's alpha on
WAYS = {"a_to_b": "image_to_other", "b_to_a": "other_to_image"}
LINE_SCORES = {  # of an epoch: what it is called on its line, how wide it is, its format
    "epoch": ("epoch", 3, ".7g"),
    "train_loss": ("train loss", 6, ".3f"),
    "loss": ("held-out loss", 6, ".3f"),
    "pooled_image_to_other_recall@10": ("recall@10", 5, ".3f"),
    "slide_image_to_other_recall@10": ("in-slide", 5, ".3f"),
    "probe_f1": ("probe F1", 5, ".3f"),
    "spots_per_second": ("spots/s", 5, ".0f"),
    "waiting_share": ("waiting", 4, ".0%"),
}


def validate(
    accelerator: Accelerator, towers: nn.Module, train: TrainingSpots, held_out: TrainingSpots, settings: Settings
) -> dict[str, float]:
    """Return scores of the held-out slides' spots: embedded by all processes, scored by the main one for all.

    Returns
    -------
    dict
        ``loss`` over batches as in training, of all spots; recall@k and median rank both ways (``image_to_other``:
        genes or text), over all spots (``pooled_…``) and among the spots of a slide (``slide_…``), with the recall of
        chance;
        ``probe_f1``, the macro-F1 of a linear probe fitted on labelled spots of the training slides, where both have
        labels.
    """
    every = np.arange(len(held_out))
    images, others, scalars = embed_rows(accelerator, towers, held_out, every, settings.run.workers)
    rows, test = _labelled(train, held_out, settings)
    probe = embed_rows(accelerator, towers, held_out_as_is(train), rows, settings.run.workers)[0] if len(rows) else None
    scores = {}
    if accelerator.is_main_process:
        scores = {"loss": _loss(images, others, scalars, held_out, settings)}
        if np.isfinite(scores["loss"]):
            vectors = [torch.from_numpy(part).to(accelerator.device) for part in (images, others)]
            scores |= _recalls(vectors[0], vectors[1], held_out)
            if probe is not None:
                from stimage.scores.linear_probe import probe_f1  # of scikit-learn, which takes half a second to import

                f1 = probe_f1(probe, train.labels[rows], images[test], held_out.labels[test])
                scores["probe_f1"] = float(f1)
    return broadcast_object_list([scores])[0]


def epoch_line(scores: Mapping[str, float | None]) -> str:
    """Return an epoch's line, such that lines are aligned; results.json has all scores, under their full names."""
    shown = [(scores[name], *look) for name, look in LINE_SCORES.items() if name in scores]
    return "  ".join(f"{word} {'-' if v is None else format(v, form):>{width}}" for v, word, width, form in shown)


def _recalls(images: torch.Tensor, others: torch.Tensor, held_out: TrainingSpots) -> dict[str, float]:
    scores = {}
    for name, groups in (("pooled", None), ("slide", held_out.slide)):
        found = retrieval_scores(images, others, groups)
        for way in WAYS:
            scores |= {f"{name}_{WAYS[way]}_{key}": value for key, value in found[way].items()}
        scores |= {f"{name}_chance_{key}": value for key, value in found["chance"].items()}
    return scores


def _labelled(train: TrainingSpots, held_out: TrainingSpots, settings: Settings) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows that the probe is fitted and tested on; none if the labels are too few for it."""
    labels, known = held_out.labels, train.labels
    rows = np.flatnonzero([is_label(label) for label in known])
    rows = np.sort(np.random.default_rng(settings.run.seed).permutation(rows)[: settings.run.probe_spots])
    names, sizes = np.unique(known[rows], return_counts=True)
    test = np.flatnonzero(np.isin(labels, names))  # which are labels
    enough = len(names) > 1 and sizes.max() >= PROBE_LEAST and len(np.unique(labels[test])) > 1
    return (rows, test) if enough else (rows[:0], test[:0])


def embed_rows(
    accelerator: Accelerator, towers: nn.Module, spots: TrainingSpots, rows: np.ndarray, workers: int | None
) -> tuple[np.ndarray, np.ndarray, list[float]]:
    """Embed rows of a data set, by all processes: images and others (n x d, float32), and the scalars of the logits."""
    batches = [rows[i : i + BATCH_SIZE] for i in range(0, len(rows), BATCH_SIZE)]
    rank, ranks = accelerator.process_index, accelerator.num_processes
    mine = [min(k, len(batches) - 1) for k in range(rank, len(batches) + rank, ranks)]  # FSDP: all ranks go forward
    found = {}
    towers.eval()
    with torch.no_grad():
        for k, batch in zip(mine, loader(spots, [(0, batches[k]) for k in mine], workers)):
            taken = {name: part for name, part in batch.items() if name not in PLACES}
            images, others, *scalars = towers(**to_device(taken, accelerator))
            found[k] = (images.float().cpu().numpy(), others.float().cpu().numpy(), [float(one) for one in scalars])
    towers.train()
    found = dict(sorted(gather_object(list(found.items())), key=lambda part: part[0]))
    images, others, scales = zip(*found.values())
    return np.concatenate(images), np.concatenate(others), scales[0]


def loader(
    spots: TrainingSpots, batches: list[tuple[int, np.ndarray]], workers: int | None
) -> Iterable[dict[str, torch.Tensor]]:
    """Read batches of rows, in their order, by ``workers`` processes; None takes `spare_cores`, 0 this process."""
    workers = spare_cores() if workers is None else workers
    return AheadLoader(TrainingBatches(spots, batches), min(workers, len(batches)))


def spare_cores() -> int:
    """Return this rank's share of the cores that it may run on, less its own: from 1 to `MOST_WORKERS`."""
    return min(max(1, cores() - 1), MOST_WORKERS)


def to_device(batch: dict[str, torch.Tensor], accelerator: Accelerator) -> dict[str, torch.Tensor]:
    """Send a batch to the device of the model."""
    return {name: part.to(accelerator.device, non_blocking=True) for name, part in batch.items()}


def _loss(
    images: np.ndarray, others: np.ndarray, scalars: list[float], spots: TrainingSpots, settings: Settings
) -> float:
    """Return the mean loss of batches as in training, of all spots.

    Spots that fill no batch are in one that others fill, since the loss grows with the batch; it weighs as its own.
    """
    size, objective = min(settings.loss.batch_size, len(images)), objective_of(settings)
    losses, weights = [], []
    for rows, own in every_row(spots.slide, size, settings.run.seed, settings.loss.slides_per_batch):
        told = objective.needs(spots.told(rows) if objective.kind == "soft" else spots.places(rows))
        left, right = (torch.from_numpy(part[rows]) for part in (images, others))
        losses.append(float(objective(left, right, [torch.tensor(one) for one in scalars], told)))
        weights.append(own)
    return float(np.average(losses, weights=weights))


def every_row(
    slide: np.ndarray, size: int, seed: int, slides_per_batch: int | None
) -> Iterator[tuple[np.ndarray, int]]:
    """Give batches of so many rows until each row was in one, and how many of a batch's rows were in none before."""
    batches = global_batches(slide, size, seed, 0, slides_per_batch)
    yield from ((rows, len(rows)) for rows in batches)
    used = np.concatenate([*batches, np.empty(0, np.int64)])
    rest = np.setdiff1d(np.arange(len(slide)), used)
    if len(rest):
        others = np.random.default_rng([seed, 0, 1]).choice(np.sort(used), size - len(rest), replace=False)
        yield np.concatenate([rest, others]), len(rest)
