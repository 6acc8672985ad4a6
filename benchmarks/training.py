"""What is measured of training's data path: patches as the original prepares them, one by one, and as batches."""

import os
import time
from pathlib import Path

import numpy as np

SIZE, SPOTS, BATCH = 224, 2000, 64


def patches(folder: str, px: int = 112) -> Path:
    """Write patches as PNG files, as the original does, as one Parquet file, as we do, and as one array, once."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from PIL import Image

    from stimage.processing.encoders import encode_png

    out = Path(folder, f"patches-{px}")
    if not (out / "spots.parquet").exists():
        out.mkdir(parents=True, exist_ok=True)
        rng, files, decoded = np.random.default_rng(0), [], []
        for i in range(SPOTS):
            small = Image.fromarray(rng.integers(90, 230, (px // 8, px // 8, 3), dtype=np.uint8))
            pixels = np.asarray(small.resize((px, px), Image.Resampling.BICUBIC)) + rng.integers(0, 9, (px, px, 3))
            decoded.append(pixels.clip(0, 255).astype(np.uint8))
            Image.fromarray(decoded[-1]).save(out / f"{i:05d}.png")
            files.append({"bytes": encode_png(decoded[-1]), "path": None})
        np.save(out / "pixels.npy", np.stack(decoded))
        names = [str(i) for i in range(SPOTS)]
        table = {"spot_id": names, "slide": names, "annotation": [None] * SPOTS, "image": files}
        table |= {"expression": pa.FixedSizeListArray.from_arrays(pa.array(rng.random(SPOTS * 128), pa.float32()), 128)}
        pq.write_table(pa.table(table), out / "spots.parquet")
    return out


def data_ours(folder: str) -> dict:
    """Decode, resize and augment batches as training's workers do."""
    import pyarrow.parquet as pq

    from stimage.modeling.batches import to_batch

    table, spots = pq.read_table(patches(folder) / "spots.parquet"), 0
    for i in range(0, SPOTS, BATCH):
        spots += len(to_batch(table.slice(i, BATCH), SIZE))
    return {"spots": spots}


def data_original(folder: str) -> dict:
    """Open a PNG file and run the image processor for each spot, as the original's data set does."""
    from PIL import Image
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    processor, spots = CLIPImageProcessorPil(), 0
    for path in sorted(patches(folder).glob("*.png")):
        spots += len(processor(Image.open(path), return_tensors="pt")["pixel_values"])
    return {"spots": spots}


def pixels_ours(folder: str) -> dict:
    """Resize decoded patches; the model normalises them where it is."""
    from stimage.modeling.pixels import resize

    images = np.load(patches(folder) / "pixels.npy")
    return {"spots": sum(len(resize(images[i : i + BATCH], SIZE)) for i in range(0, SPOTS, BATCH))}


def pixels_processor(folder: str) -> dict:
    """Run the image processor on decoded patches, one by one."""
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    processor = CLIPImageProcessorPil()
    return {
        "spots": sum(
            len(processor(image, return_tensors="pt")["pixel_values"])
            for image in np.load(patches(folder) / "pixels.npy")
        )
    }


def step_parts(folder: str, spots: int = 64) -> dict:
    """Return where the time of a training step of ViT-B/32 goes, in ms a spot: decoding, augmenting, towers, update."""
    import pyarrow.parquet as pq
    import torch
    from accelerate import Accelerator
    from transformers import CLIPVisionConfig

    from stimage.modeling.batches import to_batch
    from stimage.modeling.contrastive import backward
    from stimage.modeling.pixels import augment
    from stimage.modeling.spot_clip import SpotClipConfig, SpotClipModel
    from stimage.modeling.towers import CLIP_MEAN, CLIP_STD, TwoTowers

    table = pq.read_table(patches(folder) / "spots.parquet").slice(0, spots)
    config = SpotClipConfig(vision_config=CLIPVisionConfig(), genes=[str(i) for i in range(128)])
    towers, accelerator = TwoTowers(SpotClipModel(config), CLIP_MEAN, CLIP_STD), Accelerator(cpu=True)
    optimizer = torch.optim.AdamW(towers.parameters())
    times = [time.perf_counter()]
    batch = to_batch(table, SIZE)
    times.append(time.perf_counter())
    images = augment(batch.images, [(0, 0, i) for i in range(spots)])
    times.append(time.perf_counter())
    backward(accelerator, towers, {"images": images, "expression": batch.expression}, 16)
    times.append(time.perf_counter())
    optimizer.step()
    times.append(time.perf_counter())
    names = ("decode and resize", "augment", "both towers, forward twice and backward", "update")
    return {name: float(ms) for name, ms in zip(names, np.diff(times) * 1000 / spots)} | {"threads": os.cpu_count()}
