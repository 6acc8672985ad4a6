"""Training's data path: patches as the original prepares them, one by one, and as batches; and a whole step."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

import numpy as np

from benchmarks.jobs import loads
from benchmarks.jobs.reading import read_through
from benchmarks.measure import ROOT

SIZE, BATCH, CHUNK = 224, 64, 16
GENES = 128
SHOWN = 20  # of so many patches, one is compared
BATCHES, PROCESSOR = "stimage.loading.tensors", "transformers.models.clip.image_processing_pil_clip"
BEFORE_RUN = ("stimage.training.data.beside", "stimage.training.settings.reading")
STEP = (BATCHES, PROCESSOR, "PIL.Image", "pyarrow.parquet", "accelerate", "stimage.towers.two_towers")


def _batches(folder: str) -> Iterator:
    import pyarrow.parquet as pq

    table = pq.read_table(Path(folder, "spots.parquet"))
    return (table.slice(i, BATCH) for i in range(0, len(table), BATCH))


def _pngs(folder: str) -> list[Path]:
    return sorted(Path(folder).glob("*.png"))


def processor() -> Callable[[object], np.ndarray]:
    """Return CLIP's image processor, as transformers has it for Pillow; its mean and deviation are within."""
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    processor = CLIPImageProcessorPil()
    return lambda image: processor(image, return_tensors="pt")["pixel_values"]


def _greys(pixels: np.ndarray) -> list[float]:
    """Return the mean grey level of some images (n x height x width x 3)."""
    return [float(image.mean()) for image in pixels]


def _unscaled(pixels) -> list[float]:
    """Return the mean grey levels of images as the processor gives them (n x 3 x height x width, normalised)."""
    from stimage.towers.two_towers import CLIP_MEAN, CLIP_STD

    mean, std = (np.array(a).reshape(3, 1, 1) for a in (CLIP_MEAN, CLIP_STD))
    return _greys((pixels.numpy() * std + mean) * 255)


@loads(BATCHES, "pyarrow.parquet", "pyarrow.dataset", "pandas")  # which reading a table would import
def data_ours(folder: str) -> dict:
    """Decode and resize batches as training's workers do."""
    from stimage.loading.tensors import to_batch

    spots, greys = 0, []
    for table in _batches(folder):
        images = to_batch(table, SIZE).images
        greys += _greys(images[-spots % SHOWN :: SHOWN].numpy())
        spots += len(images)
    return {"spots": spots, "greys": greys}


@loads(PROCESSOR, "PIL.Image", "stimage.towers.two_towers")
def data_original(folder: str) -> dict:
    """Open a PNG file and run the image processor for each spot, as the original's data set does."""
    from PIL import Image

    process, greys, files = processor(), [], _pngs(folder)
    for i, path in enumerate(files):
        pixels = process(Image.open(path))
        greys += _unscaled(pixels) if i % SHOWN == 0 else []
    return {"spots": len(files), "greys": greys}


@loads("PIL.Image")
def data_limit(folder: str) -> dict:
    """Decode the PNG files and do nothing else."""
    from PIL import Image

    return {"spots": sum(len(np.asarray(Image.open(path))) > 0 for path in _pngs(folder))}


@loads(BATCHES)
def pixels_ours(folder: str) -> Iterator[dict | None]:
    """Resize decoded patches; the model normalises them where it is."""
    from stimage.loading.pixels import resize

    patches, greys = np.load(Path(folder, "pixels.npy")), []
    yield None
    for i in range(0, len(patches), BATCH):
        greys += _greys(resize(patches[i : i + BATCH], SIZE)[-i % SHOWN :: SHOWN].numpy())
    yield {"spots": len(patches), "greys": greys}


@loads(PROCESSOR, "stimage.towers.two_towers")
def pixels_processor(folder: str) -> Iterator[dict | None]:
    """Run the image processor on decoded patches, one by one."""
    patches, greys, process = np.load(Path(folder, "pixels.npy")), [], processor()
    yield None
    for i, patch in enumerate(patches):
        pixels = process(patch)
        greys += _unscaled(pixels) if i % SHOWN == 0 else []
    yield {"spots": len(patches), "greys": greys}


@loads()
def pixels_limit(folder: str) -> Iterator[dict | None]:
    """Copy as many bytes as the resized patches have, batch by batch."""
    n = len(np.load(Path(folder, "pixels.npy"), mmap_mode="r"))
    batch, out = np.ones((2, BATCH, SIZE, SIZE, 3), np.uint8)
    yield None
    for i in range(0, n, BATCH):
        out[: n - i] = batch[: n - i]
    yield {"spots": n}


def _step(folder: str, spots: int, prepare: Callable[[], object], vision: str) -> Iterator[dict | None]:
    """Prepare the data of a batch, and take a step of CLIP's ViT-B/32 (or of a tiny one) beside a gene tower."""
    import torch
    from accelerate import Accelerator
    from transformers import CLIPVisionConfig

    from stimage.loading.tensors import to_batch
    from stimage.towers.joint.configuration_spot_clip import SpotClipConfig
    from stimage.towers.joint.modeling_spot_clip import SpotClipModel
    from stimage.towers.two_towers import CLIP_MEAN, CLIP_STD, TwoTowers
    from stimage.training.contrastive import backward

    size = {"hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    tower = CLIPVisionConfig(**size if vision == "tiny" else {})
    config = SpotClipConfig(vision_config=tower, genes=[str(i) for i in range(GENES)])
    towers, accelerator = TwoTowers(SpotClipModel(config), CLIP_MEAN, CLIP_STD), Accelerator(cpu=True)
    optimizer = torch.optim.AdamW(towers.parameters())
    batch = to_batch(next(_batches(folder)).slice(0, spots), SIZE)

    def step(n: int) -> None:
        backward(accelerator, towers, {"images": batch.images[:n], "expression": batch.expression[:n]}, CHUNK)
        optimizer.step()
        optimizer.zero_grad()

    step(CHUNK)  # the first makes the optimiser's state
    yield None
    began = time.perf_counter()
    prepare()
    waited = time.perf_counter() - began
    step(spots)
    yield {"spots": spots, "data_ms": 1000 * waited, "data_share": waited / (time.perf_counter() - began)}


@loads(*STEP)
def step_ours(folder: str, spots: str, vision: str) -> Iterator[dict | None]:
    """Decode, resize and augment in the same process as the step."""
    from stimage.loading.pixels import augment
    from stimage.loading.tensors import to_batch

    def prepare() -> None:
        images = to_batch(next(_batches(folder)).slice(0, int(spots)), SIZE).images
        augment(images, [(0, 0, i) for i in range(int(spots))])

    yield from _step(folder, int(spots), prepare, vision)


@loads(*STEP)
def step_original(folder: str, spots: str, vision: str) -> Iterator[dict | None]:
    """PNG files through the image processor, one by one, then the same step."""
    from PIL import Image

    files, process = _pngs(folder)[: int(spots)], processor()
    yield from _step(folder, int(spots), lambda: [process(Image.open(path)) for path in files], vision)


@loads(*STEP)
def step_limit(folder: str, spots: str, vision: str) -> Iterator[dict | None]:
    """The step alone, its data at hand."""
    yield from _step(folder, int(spots), lambda: None, vision)


@loads(*BEFORE_RUN)
def first_ours(root: str, slides: str, genes: str) -> dict:
    """Train as the script does on a root of which nothing is prepared, from its imports up to the first step."""
    with _empty_cache(int(genes)) as cache:
        return _begin(root, int(slides), cache)


@loads(*BEFORE_RUN)
def first_prepared(root: str, slides: str, genes: str) -> Iterator[dict | None]:
    """Do the same in a second run, which finds the spots prepared."""
    with _empty_cache(int(genes)) as cache:
        first = get_context("spawn").Process(target=_begin, args=(root, int(slides), cache))
        first.start()
        first.join()
        yield None
        yield _begin(root, int(slides), cache)


@loads("pyvips")
def first_limit(root: str, slides: str, genes: str) -> dict:
    """Import what training needs; beside it, decode the images and read the counts' bytes."""
    imports = get_context("fork").Process(target=_import_run)
    imports.start()
    for k in range(int(slides)):
        import pyvips

        image = f"{root}/Visium/image/Bench_Visium_{k:02d}.png"
        pyvips.Image.new_from_file(image, access="sequential").numpy()
        read_through(f"{root}/Visium/gene_exp/Bench_Visium_{k:02d}_count.csv")
    imports.join()
    return {"slides": int(slides)}


def _import_run() -> None:
    for name in ("stimage.training.run", "transformers.models.clip.modeling_clip"):
        import_module(name)


@contextmanager
def _empty_cache(genes: int) -> Iterator[Path]:
    """Give a folder that is datasets' cache, in the processes that are started too, with a panel."""
    with TemporaryDirectory() as folder, mock.patch.dict(os.environ, HF_DATASETS_CACHE=folder):
        Path(folder, "panel.txt").write_text("".join(f"GENE{i:05d}\n" for i in range(genes)))
        yield Path(folder)


def _begin(root: str, slides: int, cache: Path) -> dict:
    """Take the first step of the tiny CLIP on some slides; return the number of spots, and the step's loss."""
    from stimage.training.data.beside import prepared_beside
    from stimage.training.settings.reading import read_settings

    names = ",".join(f"Bench_Visium_{k:02d}" for k in range(slides))
    changed = [f"towers.image={ROOT}/configs/finetune/tiny_clip", f"data.panel={cache}/panel.txt",
               f"data.slides=[{names}]", "data.validation_slides=null", "run.workers=0"]  # fmt: skip
    settings = read_settings(ROOT / "configs/finetune/tiny.yaml", changed, root)
    with TemporaryDirectory() as out, prepared_beside(settings):
        from stimage.training.run import Run
        from stimage.training.validation import loader, to_device

        run = Run(settings, Path(out, "run"), lambda run, weights: None)
        (batch,) = loader(run.train, [(0, run.batches(0)[0])], 0)
        loss = run.step(to_device(batch, run.accelerator))
        run.close()
    return {"spots": len(run.train), "loss": loss}
