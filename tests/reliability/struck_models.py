"""The jobs of models, scores and published folders that are struck at each of their writes."""

from pathlib import Path

import numpy as np

import stimage
from stimage.loading.embeddings import write_embeddings
from tests.reliability.strikes import Job
from tests.reliability.struck_jobs import JOBS, OUT, in_folder, make, script
from tests.roots import GENES, write_csv

EMBEDDED = ("--root", "{}/root", "--embeddings", "{}/vectors", "--out", "{}/out")


def make_vectors(folder: Path) -> None:
    """A root whose spots have labels and embeddings."""
    make(folder, 3, side=5)
    for k in range(3):
        spots = [f"Slide_{k}_{i}x{j}" for i in range(5) for j in range(5)]
        labels = [[spot, "tumour" if n % 2 else "stroma"] for n, spot in enumerate(spots)]
        write_csv(folder / f"root/annotation/Slide_{k}_anno.csv", [["", "V2"], *labels])
        vectors = np.random.default_rng(k).normal(size=(25, 4)).astype(np.float32)
        write_embeddings(folder / f"vectors/Slide_{k}.parquet", spots, f"Slide_{k}", vectors, "made")


def predict(folder: Path) -> None:
    stimage.predict(folder / "root", folder / "vectors", panel=GENES[:2], out=folder / "out")


def make_predicted(folder: Path) -> None:
    make_vectors(folder)
    predict(folder)


def publish_results(folder: Path) -> None:
    stimage.publish_results(folder / "out")


def make_published(folder: Path) -> None:
    make(folder)
    stimage.publish(folder / "root", folder / "out", workers=1)


def write_croissant(folder: Path) -> None:
    stimage.write_croissant(folder / "out")


def make_tuned(folder: Path) -> None:
    """A root, and the model that is tuned on it."""
    from tests.evaluation.towers import make_tower

    make(folder, side=4)
    make_tower("clip", folder / "clip")


def tune(folder: Path) -> None:
    """One epoch, after which the only model is kept; a part of it is trained when the first checkpoint is there."""
    import torch

    torch.set_num_threads(1)
    options = {"validation_slides": "Slide_1", "epochs": 1, "batch_size": 4, "checkpoint_steps": 2, "workers": 0}
    stimage.finetune(folder / "root", folder / "out", panel=GENES[:2], image=str(folder / "clip"), **options)


def crop_patches(folder: Path) -> None:
    stimage.crop_patches(folder / "root", folder / "out")


def export_expression(folder: Path) -> None:
    stimage.export_expression(folder / "root", folder / "out", n=2)


TUNED = ("out/*.json", "out/*.png", "out/model/*", "out.panel.json")  # checkpoints have the time that steps took
PAGE = ("{}/root", "--workers", "1", "--out", "{}/out")
DEALT = ("--split-fractions", "0.5", "0", "0.5", "--out", "{}/out/splits.csv")
MODELS: dict[str, Job] = {
    "predict": Job(make_vectors, in_folder(predict), OUT),
    "probe": Job(make_vectors, script("evaluation/linear_probe.py", *EMBEDDED), OUT),
    "publish_results": Job(in_folder(make_predicted), in_folder(publish_results), OUT),
    "finetune": Job(make_tuned, in_folder(tune), TUNED),
    "embedding_scores": Job(make_vectors, script("evaluation/embedding_scores.py", *EMBEDDED), OUT),
    "crop_patches": Job(make, in_folder(crop_patches), OUT),
    "export_expression": Job(make, in_folder(export_expression), OUT),
    "check_spots": Job(make, script("data_collection/check_spots.py", *PAGE), OUT),
    "write_croissant": Job(in_folder(make_published), in_folder(write_croissant), OUT),
    "split_slides": Job(make, script("data_process/split_slides.py", "{}/root", *DEALT), OUT),
}
ALL = JOBS | MODELS
