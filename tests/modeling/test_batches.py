"""Batches for training: the same spots as rows, whatever the workers, from roots and from published folders."""

import io

import numpy as np
import pytest
import torch
from datasets import Dataset, config, load_dataset

import stimage_1k4m  # noqa: F401
from stimage.errors import DataError
from stimage.modeling.batches import spot_loader
from tests.roots import write_slide
from tests.test_scripts import run


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Two slides of 9 spots and one of 16."""
    root = tmp_path_factory.mktemp("batches") / "root"
    for i in range(3):
        write_slide(root, f"S{i}", "ST", seed=i, side=4 if i == 2 else 3)
    return root


@pytest.fixture(scope="module")
def published(root, tmp_path_factory):
    out = tmp_path_factory.mktemp("batches") / "out"
    assert run("data_process/build_shards.py", root, out).returncode == 0
    return out


def streamed(root, **options):
    return load_dataset("stimage_1k4m", "ST", data_dir=str(root), split="train", streaming=True, **options)


def rows_of(batches) -> dict:
    """Take batches apart into rows by their spot's id."""
    found = {}
    for batch in batches:
        assert batch.images.dtype == torch.uint8 and len(batch) == len(batch.images) == len(batch.slides)
        for i, spot in enumerate(batch.spot_ids):
            part = slice(batch.offsets[i], batch.offsets[i + 1])
            genes = (batch.gene_ids[part].tolist(), batch.counts[part].tolist())
            assert spot not in found
            found[spot] = (batch.slides[i], batch.annotations[i], batch.images[i].numpy().tobytes(), *genes)
    return found


@pytest.mark.parametrize("workers", [0, 2, 4])
@pytest.mark.parametrize("kind", ["root", "prepared", "published"])
def test_batches_hold_what_rows_do(root, published, kind, workers):
    data = streamed(root)
    if kind == "prepared":
        data = load_dataset("stimage_1k4m", "ST", data_dir=str(root), split="train")
    elif kind == "published":
        data = load_dataset(str(published), "ST", split="train", streaming=True)
    want = {
        e["spot_id"]: (e["slide"], e["annotation"], np.asarray(e["image"]).tobytes(), e["gene_ids"], e["counts"])
        for e in streamed(root)
    }
    assert rows_of(spot_loader(data, 5, workers)) == want and len(want) == 34


def test_a_panel_gives_a_matrix(root):
    data = streamed(root, panel=["MKI67", "ERBB2", "CD3E"])
    want = [e["expression"] for e in data]
    got = torch.cat([batch.expression for batch in spot_loader(data, 4, 0)])
    assert got.dtype == torch.float32 and got.tolist() == want


def test_shuffled_each_worker_gives_its_own_and_all_come_once(published):
    data = load_dataset(str(published), "ST", split="train", streaming=True).shuffle(seed=0, buffer_size=8)
    orders, loader = [], spot_loader(data, 5, 2)
    for epoch in range(2):
        loader.dataset.set_epoch(epoch)
        orders.append([spot for batch in loader for spot in batch.spot_ids])
    assert len(orders[0]) == 34 and orders[0] != orders[1] and sorted(orders[0]) == sorted(orders[1])
    assert config.SLEEP_TIME_ON_THREADS_SHUTDOWN == 5


def test_images_are_resized_as_the_image_processor_of_clip_does(root):
    from PIL import Image

    first = next(iter(streamed(root)))["image"]
    (batch, *_) = spot_loader(streamed(root), 5, 0, image_size=32)
    assert batch.images.shape == (5, 32, 32, 3)
    assert np.array_equal(batch.images[0], np.asarray(first.resize((32, 32), Image.Resampling.BICUBIC)))


def test_only_full_batches(root):
    assert [len(batch) for batch in spot_loader(streamed(root), 5, 1, drop_last=True)] == [5] * 6


def test_sizes_that_differ_are_refused(root):
    rows = list(streamed(root).take(2))
    rows[1]["image"] = rows[1]["image"].resize((12, 12))
    data = Dataset.from_list(rows, features=streamed(root).features)
    with pytest.raises(DataError, match=r"sizes \[\(10, 10\), \(12, 12\)\] in one batch; pass image_size"):
        list(spot_loader(data, 2, 0))
    assert next(iter(spot_loader(data, 2, 0, image_size=16))).images.shape == (2, 16, 16, 3)


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_jpegs_are_what_pillow_reads(root, mode):
    from PIL import Image

    rows = list(streamed(root).take(2))
    for row in rows:
        row["image"].resize((33, 17)).convert(mode).save(file := io.BytesIO(), "JPEG", quality=70)
        row["image"] = {"bytes": file.getvalue(), "path": None}
    data = Dataset.from_list(rows, features=streamed(root).features)
    (batch,) = spot_loader(data, 2, 0)
    for row, image in zip(rows, batch.images):
        assert np.array_equal(image, np.asarray(Image.open(io.BytesIO(row["image"]["bytes"])).convert("RGB")))


CUT_JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01"


@pytest.mark.parametrize("data", [CUT_JPEG, None, b"", b"\x89PNG\r\n\x1a\n broken"])
def test_a_damaged_image_is_named(root, data):
    rows = list(streamed(root).take(2))
    rows[1]["image"] = {"bytes": data, "path": None} if data is not None else None
    data = Dataset.from_list(rows, features=streamed(root).features)
    with pytest.raises(DataError, match=rf"spot {rows[1]['spot_id']}: (its image is damaged|has no image bytes)"):
        list(spot_loader(data, 2, 0))
