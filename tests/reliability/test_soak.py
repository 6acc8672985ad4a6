"""A long stream through workers: the memory of all processes, theirs shared counted once, stays what it was."""

import json
import os
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from datasets import load_dataset
from PIL import Image

import stimage_1k4m  # noqa: F401
from stimage.loading.batches import spot_loader
from tests.reliability.world import CASES
from tests.roots import GENES, META, write_csv

PITCH = 4  # pixels
SHARE, MEGABYTES = 0.05, 20  # that the last quarter may have more than the second


def make_slide(root: Path, side: int) -> None:
    """Write a Visium HD slide of side x side bins."""
    rng = np.random.default_rng(0)
    ids = [f"S_s_008um_{i:05}_{j:05}-1" for i in range(side) for j in range(side)]
    counts = rng.poisson(0.5, (len(ids), len(GENES))).tolist()
    places = [(PITCH * (i + 1), PITCH * (j + 1), PITCH / 2) for i in range(side) for j in range(side)]
    write_csv(
        root / "VisiumHD/coord/S_coord.csv", [["", "yaxis", "xaxis", "r"], *([s, *p] for s, p in zip(ids, places))]
    )
    write_csv(root / "VisiumHD/gene_exp/S_count.csv", [["", *GENES], *([s, *c] for s, c in zip(ids, counts))])
    (root / "VisiumHD/image").mkdir()
    pixels = rng.integers(0, 255, (side // 8, side // 8, 3), np.uint8)
    Image.fromarray(pixels).resize([PITCH * (side + 2)] * 2).save(root / "VisiumHD/image/S.png")
    row = {"slide": "S", "species": "human", "tissue": "breast", "tech": "VisiumHD", "spot_num": str(len(ids))}
    write_csv(root / "meta/meta_all_gene.csv", [META, [row.get(column, "") for column in META]])


def memory() -> float:
    """Return what this process and its children take, in MB."""
    me = psutil.Process()
    return sum(process.memory_full_info().pss for process in (me, *me.children(recursive=True))) / (1 << 20)


@pytest.mark.parametrize("side", [142, pytest.param(448, marks=pytest.mark.skipif(not CASES, reason="make faults"))])
def test_memory_is_flat(tmp_path, side):
    make_slide(tmp_path, side)
    spots = load_dataset("stimage_1k4m", "VisiumHD", data_dir=str(tmp_path), split="train", streaming=True)
    seen, totals, samples, began = set(), 0.0, [], time.monotonic()
    for batch in spot_loader(spots, 250, workers=2, image_size=8):
        seen.update(hash(spot) for spot in batch.spot_ids)
        totals += float(batch.counts.sum())
        if len(seen) >= len(samples) * side * side / 40:
            samples.append(memory())
    assert len(seen) == side * side and totals > side * side
    second, last = samples[len(samples) // 4 : len(samples) // 2], samples[-len(samples) // 4 :]
    report(side * side, time.monotonic() - began, samples)
    assert max(last) <= (1 + SHARE) * np.median(second) + MEGABYTES, samples


def report(spots: int, seconds: float, samples: list[float]) -> None:
    """Keep the figures where `make faults` keeps its table."""
    if out := os.environ.get("STIMAGE_FAULTS_OUT"):
        Path(out).mkdir(parents=True, exist_ok=True)
        record = {"spots": spots, "workers": 2, "seconds": round(seconds, 1), "pss_mb": [round(s, 1) for s in samples]}
        Path(out, f"soak-{spots}.json").write_text(json.dumps(record) + "\n")
