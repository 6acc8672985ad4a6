"""Fine-tuning on one GPU: steps of the project's own run and of the original's way.

Each job leaves out its first steps, as many as workers have batches ready before, and times as many again, with the
device's work finished after each.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import count, islice
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.jobs import loads
from benchmarks.jobs.training import processor
from benchmarks.measure import ROOT

BATCH, LEAST, WARM = 1024, 20, 3  # spots; steps that are timed, steps before them
LONG, FEW = 10, 5  # after so many seconds, fewer steps are enough
AHEAD = 2  # batches that a worker has ready at most
CONFIG = ROOT / "configs/finetune/clip_vit_b32_hvg.yaml"
RUN = ("stimage.training.run", "transformers.models.clip.modeling_clip")


def _figures(batches: Iterable[Any], workers: int, spots: int, step: Callable[[Any], None]) -> dict:
    """Take steps; return ``spots`` of a batch, how many ``steps`` were timed, and what they took.

    Returns
    -------
    dict
        ``step``, the mean in seconds, since workers hand over batches in bursts, and ``median``, of the work alone;
        ``waiting``, the share of the time spent on waiting for data; ``gpu_mb``, allocated on the device at most.
    """
    given = iter(batches)
    for batch in islice(given, max(WARM, AHEAD * workers)):
        _seconds(step, batch)
    began, waited, times = time.perf_counter(), 0.0, []
    few, many = min(FEW, LEAST), max(LEAST, AHEAD * workers)
    while len(times) < few or (len(times) < many and time.perf_counter() - began < LONG):
        asked = time.perf_counter()
        batch = next(given)
        waited += time.perf_counter() - asked
        times.append(_seconds(step, batch))
    total = time.perf_counter() - began
    return {"spots": spots, "steps": len(times), "step": total / len(times), "median": median(times),
            "waiting": waited / total, "gpu_mb": _device_mb()}  # fmt: skip


def _seconds(step: Callable[[Any], None], batch: Any) -> float:
    """Return how long a step takes, the device's work included."""
    import torch

    began = time.perf_counter()
    step(batch)
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - began


def _device_mb() -> float:
    import torch

    return torch.cuda.max_memory_allocated() / 1e6 if torch.cuda.is_available() else 0.0


@loads(*RUN)
def ours(folder: str, vision: str, workers: str, *overrides: str) -> dict:
    """Tune on published shards as the script does, by the shipped configuration with settings changed."""
    with _run(folder, vision, workers, overrides) as (run, batches):
        spots = run.settings.loss.batch_size
        return _figures(batches, int(workers), spots, lambda batch: float(run.step(_on_device(run, batch))))


@loads(*RUN)
def loaded(folder: str, vision: str, workers: str, *overrides: str) -> dict:
    """Read, decode, resize and augment the same batches, and do nothing with them."""
    with _run(folder, vision, workers, overrides) as (run, batches):
        return _figures(batches, int(workers), run.settings.loss.batch_size, len)


@contextmanager
def _run(folder: str, vision: str, workers: str, overrides: tuple[str, ...]) -> Iterator[tuple[Any, Iterable]]:
    """Give a run, and its batches, of which there are as many as are asked for."""
    from stimage.training.run import Run
    from stimage.training.settings.reading import read_settings
    from stimage.training.validation import loader

    changed = [f"towers.image={folder}/{vision}", "pretrained=false", f"panel={folder}/panel.txt",
               f"batch_size={BATCH}", "epochs=100", "patch_um=null", "patch_px=null",
               f"workers={workers}", *overrides]  # fmt: skip
    settings = read_settings(CONFIG, changed, f"{folder}/shards")
    with TemporaryDirectory() as out:
        run = Run(settings, Path(out, "run"), lambda run, weights: None)
        order = ((epoch, rows) for epoch in count() for rows in run.batches(epoch))
        most = WARM + 2 * AHEAD * int(workers) + LEAST
        yield run, loader(run.train, list(islice(order, most)), int(workers))


def _on_device(run: Any, batch: dict) -> dict:
    from stimage.training.validation import to_device

    return to_device(batch, run.accelerator)


@loads(*RUN, "PIL.Image", "transformers.models.clip.image_processing_pil_clip")
def original(folder: str, vision: str, workers: str, batch_size: str = str(BATCH)) -> dict:
    """Tune as the data set's authors do: a PNG file a spot, CLIP's image processor, fp32, Adam."""
    import torch
    from transformers import CLIPConfig

    from stimage.towers.joint.configuration_spot_clip import SpotClipConfig
    from stimage.towers.joint.modeling_spot_clip import SpotClipModel
    from stimage.training.objectives import clip_loss

    spots, device = PngSpots(Path(folder, "png")), "cuda" if torch.cuda.is_available() else "cpu"
    clip, genes = CLIPConfig.from_pretrained(f"{folder}/{vision}"), [str(i) for i in range(spots.expression.shape[1])]
    config = SpotClipConfig(vision_config=clip.vision_config, projection_dim=clip.projection_dim, genes=genes)
    model = SpotClipModel(config).to(device).train()
    optimizer = torch.optim.Adam(model.parameters(), 5e-5, (0.9, 0.98), 1e-6, weight_decay=0.2)

    def step(batch: list[torch.Tensor]) -> None:
        output = model(*(part.to(device, non_blocking=True) for part in batch))
        loss = clip_loss(output.image_embeds, output.gene_embeds, output.logit_scale)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()

    batches = _of_pngs(spots, int(batch_size), int(workers))
    return _figures(batches, int(workers), int(batch_size), step)


class PngSpots:
    """A data set of one PNG file and a row of expression a spot, as the original's."""

    def __init__(self, folder: Path):
        import numpy as np

        self.files, self.process = sorted(folder.glob("*.png")), processor()
        self.expression = np.load(folder / "expression.npy")

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, i: int) -> tuple:
        from PIL import Image

        return self.process(Image.open(self.files[i]))[0], self.expression[i]


def _of_pngs(spots: PngSpots, batch_size: int, workers: int) -> Iterator[list]:
    import torch
    from torch.utils.data import DataLoader, RandomSampler

    most = (WARM + 2 * AHEAD * workers + LEAST) * batch_size
    sampler = RandomSampler(spots, replacement=True, num_samples=most)  # no epoch's end, at which workers start anew
    pinned = torch.cuda.is_available()
    yield from DataLoader(spots, batch_size, sampler=sampler, num_workers=workers, pin_memory=pinned)
