"""Batches for training: the same spots as rows, whatever the workers, from roots and from published folders."""

import io
from inspect import signature

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import torch
from datasets import Dataset, config, load_dataset
from datasets.distributed import split_dataset_by_node
from PIL import Image

import stimage_1k4m  # noqa: F401
from stimage.core.errors import DataError
from stimage.examples.image_formats import encoder
from stimage.loading.batches import spot_loader
from stimage.loading.tensors import to_batch
from tests.roots import write_slide
from tests.test_scripts import run

if "strategy" not in signature(split_dataset_by_node).parameters:
    pytest.skip("batches need datasets 5.1", allow_module_level=True)


def test_older_datasets_are_refused(root, monkeypatch):
    monkeypatch.setattr("stimage.loading.batches.split_dataset_by_node", lambda dataset, rank, world_size: dataset)
    with pytest.raises(ImportError, match=r"batches need datasets 5\.1 or later, not "):
        spot_loader(streamed(root), 4)


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
    first = next(iter(streamed(root)))["image"]
    (batch, *_) = spot_loader(streamed(root), 5, 0, image_size=32)
    assert batch.images.shape == (5, 32, 32, 3)
    theirs = np.asarray(first.resize((32, 32), Image.Resampling.BICUBIC), int)
    assert np.abs(batch.images[0].numpy().astype(int) - theirs).max() <= 1


def test_only_full_batches(root):
    assert [len(batch) for batch in spot_loader(streamed(root), 5, 1, drop_last=True)] == [5] * 6


def test_sizes_that_differ_are_refused(root):
    rows = list(streamed(root).take(2))
    rows[1]["image"] = rows[1]["image"].resize((12, 12))
    data = Dataset.from_list(rows, features=streamed(root).features)
    with pytest.raises(DataError, match=r"sizes \[\(10, 10\), \(12, 12\)\] in one batch; pass image_size"):
        list(spot_loader(data, 2, 0))
    assert next(iter(spot_loader(data, 2, 0, image_size=16))).images.shape == (2, 16, 16, 3)


@pytest.mark.parametrize(
    ("kind", "mode", "options"),
    [
        *[("JPEG", mode, {"quality": 70}) for mode in ("RGB", "L", "CMYK")],
        *[("PNG", mode, {}) for mode in ("RGB", "L", "P", "RGBA", "I;16")],
        ("PNG", "RGB", {"transparency": (9, 9, 9)}),
    ],
)
def test_images_are_what_pillow_reads(root, kind, mode, options):
    rows = list(streamed(root).take(2))
    for row in rows:
        image = row["image"].resize((33, 17))
        image = image.convert("L").convert("I").convert(mode) if mode == "I;16" else image.convert(mode)
        image.save(file := io.BytesIO(), kind, **options)
        row["image"] = {"bytes": file.getvalue(), "path": None}
    data = Dataset.from_list(rows, features=streamed(root).features)
    (batch,) = spot_loader(data, 2, 0)
    for row, image in zip(rows, batch.images):
        assert np.array_equal(image, np.asarray(Image.open(io.BytesIO(row["image"]["bytes"])).convert("RGB")))


CUT_JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01"
PNG = encoder("png")(np.zeros((20, 20, 3), np.uint8))
HUGE_PNG = PNG[:16] + b"\x00\x01\x00\x00" * 2 + PNG[24:]


@pytest.mark.parametrize("data", [CUT_JPEG, None, b"", b"\x89PNG\r\n\x1a\n broken", PNG[:60], HUGE_PNG])
def test_a_damaged_image_is_named(root, data):
    rows = list(streamed(root).take(2))
    rows[1]["image"] = {"bytes": data, "path": None} if data is not None else None
    data = Dataset.from_list(rows, features=streamed(root).features)
    with pytest.raises(DataError, match=rf"spot {rows[1]['spot_id']}: (its image is damaged|has no image bytes)"):
        list(spot_loader(data, 2, 0))


@pytest.mark.parametrize("workers", [0, 2, 3])
@pytest.mark.parametrize("n", [5, 6])
def test_ranks_get_even_shares(tmp_path_factory, workers, n):
    folder = tmp_path_factory.mktemp("ranks")
    for i in range(n):
        write_slide(folder, f"S{i}", "ST", seed=i, side=12 if i == 0 and n == 5 else 3)
    shares = []
    for rank in range(2):
        data = split_dataset_by_node(streamed(folder).shuffle(seed=1), rank, 2)
        shares.append([spot for batch in spot_loader(data, 4, workers) for spot in batch.spot_ids])
    everything = [e["spot_id"] for e in streamed(folder)]
    assert sorted(shares[0] + shares[1]) == sorted(everything)
    assert abs(len(shares[0]) - len(shares[1])) <= max(1, workers)


@pytest.mark.parametrize("image", [[{"byte": b"", "path": None}], ["a.png"]], ids=["another name", "a text"])
def test_images_of_another_type_are_refused(image):
    """A bit that flips in a shard's schema gives a column another name."""
    table = pa.table({"spot_id": ["S_1x1"], "slide": ["S"], "annotation": [None], "image": image})
    with pytest.raises(DataError, match=r"S_1x1: its image is .*, and no file's bytes; get the shard"):
        to_batch(table)


def test_what_is_no_data_set_of_spots(published):
    with pytest.raises(DataError, match="load it with split='train'"):
        spot_loader(load_dataset(str(published), "ST"), 4)
    with pytest.raises(DataError, match="there is no column 'annotation'"):
        spot_loader(load_dataset(str(published), "genes", split="train"), 4)


def test_filters_and_maps(root):
    data = streamed(root)
    with pytest.raises(DataError, match=r"not known after map: call with_format\('arrow'\)"):
        spot_loader(data.map(lambda e: {"more": 1}), 4, 0)
    rows = [data.features.encode_example(row) for row in data.take(4)]
    rows[3]["annotation"] = "tumor"
    mixed = Dataset.from_list(rows, features=data.features).to_iterable_dataset()
    with pytest.raises(DataError, match=r"call with_format\('arrow'\) before filter or map"):
        list(spot_loader(mixed.filter(lambda e: e["x"] > 0), 4, 0))
    few = data.with_format("arrow").filter(lambda table: pc.greater(table["x"], 60), batched=True)
    want = [e["spot_id"] for e in data if e["x"] > 60]
    assert [spot for batch in spot_loader(few, 4, 0) for spot in batch.spot_ids] == want and 0 < len(want) < 34
