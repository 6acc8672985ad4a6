"""A published folder of which one file is damaged: read by embedding, batches and training, and built again."""

import shutil
from types import SimpleNamespace

import datasets
import numpy as np
import pytest
from hypothesis import given

import stimage_1k4m  # noqa: F401
from stimage.core.errors import DataError
from stimage.evaluation.embedding import SlideBatches
from stimage.loading import sources
from stimage.loading.batches import spot_loader
from stimage.training.data.parts import choose_parts
from stimage.training.settings.reading import make_settings
from stimage.training.spots import load_spots
from stimage.training.validation import loader
from tests.reliability import slow
from tests.reliability.faults import WEIGHED, damage, mended
from tests.reliability.oracle import judge
from tests.reliability.scripts import call, in_this_process  # noqa: F401
from tests.reliability.test_scripts_on_roots import BUILD, published
from tests.reliability.world import faults, make_root, some
from tests.roots import GENES

PLACED = tuple(action for action in WEIGHED if action != "pipe")  # of a shard that is a pipe, datasets waits for ever
pytestmark = pytest.mark.usefixtures("in_this_process")
SHARD = "data/ST/train/Slide_A-00000-of-00001"
READ = {"shard": f"{SHARD}.parquet", "table of slides": "slides.parquet"}
TRAINED = {"shard": f"{SHARD}.parquet", "table of genes": "genes.parquet", "card": "README.md"}
BUILT = TRAINED | READ | {
    "marker": f".build/done/{SHARD.rsplit('/', 1)[1]}.json", "totals": f".build/done/{SHARD.rsplit('/', 1)[1]}.parquet",
    "options": ".build/options.json", "numbering": ".build/genes.parquet", "splits": "splits.csv",
}  # fmt: skip


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return make_root(tmp_path_factory.mktemp("faults") / "root")


@pytest.fixture(scope="module")
def folder(root, tmp_path_factory):
    call(BUILD, root, out := tmp_path_factory.mktemp("built") / "out")
    return out


def swapped(folder, kind: str) -> bytes:
    return (folder / ("slides.parquet" if kind != "table of slides" else "genes.parquet")).read_bytes()


def of_shards(folder) -> dict[str, tuple]:
    """Read all shards slowly: spot → label, pixels, counts by gene id."""
    rows = [row for path in sorted(folder.glob("data/*/*/*.parquet")) for row in slow.parquet(path).to_dicts()]
    return {
        row["spot_id"]: (
            row["annotation"], slow.decoded(row["image"]["bytes"]).tobytes(), dict(zip(row["gene_ids"], row["counts"]))
        )
        for row in rows
    }  # fmt: skip


def of_batches(batches) -> dict[str, tuple]:
    found = {}
    for batch in batches:
        for k, spot in enumerate(batch.spot_ids):
            counts = {}
            if batch.offsets is not None:
                part = slice(batch.offsets[k], batch.offsets[k + 1])
                counts = dict(zip(batch.gene_ids[part].tolist(), batch.counts[part].tolist()))
            found[spot] = (batch.annotations[k], batch.images[k].numpy().tobytes(), counts)
    return found


@given(fault=faults(READ, actions=PLACED))
@some(60, 0.5)
def test_embedding_reads_shards(folder, fault):
    path = folder / READ[fault.kind]
    encoder = SimpleNamespace(image_size=10, genes=None, columns=["image"])

    def read():
        source = sources.open_source(str(folder))
        batches = []
        for _, batch in SlideBatches(source, source.slides(), 64, encoder):
            if isinstance(batch, DataError):
                raise batch
            batches += [batch] * (batch is not None)
        return batches

    def check(batches):
        found = {spot: (*values[:2], whole[spot][2]) for spot, values in of_batches(batches).items()}
        check_either(found, folder, whole)

    whole = of_shards(folder)
    with mended(path):
        damage(path, fault, swapped(folder, fault.kind))
        judge("embedding", fault, [READ[fault.kind], str(folder), "Slide_A_"], read, check)  # or a spot of the shard


@given(fault=faults({"shard"}, actions=PLACED))
@some(40, 0.3)
def test_batches_of_shards(folder, fault):
    path, files = folder / READ["shard"], sorted(map(str, folder.glob("data/*/*/*.parquet")))[::-1]

    options = {"data_files": files, "split": "train", "streaming": True, **sources.VERIFIED}
    dataset = datasets.load_dataset("parquet", **options)

    def read():
        return list(spot_loader(dataset, 16, workers=0))

    whole = of_batches(read())
    with mended(path):
        damage(path, fault, swapped(folder, fault.kind))
        judge("spot_loader", fault, [READ["shard"], "spot Slide_A"], read,
              lambda batches: check_either(of_batches(batches), folder, whole))  # fmt: skip


def check_either(found: dict, folder, whole: dict) -> None:
    """Hold spots against those of the undamaged files, or else of the damaged."""
    if found != whole:
        assert found == of_shards(folder)


@given(fault=faults(TRAINED, actions=PLACED))
@some(25, 0.3)
def test_training_reads_shards(folder, fault, tmp_path):
    panel = tmp_path / "panel.txt"
    panel.write_text("\n".join(GENES))
    path = folder / TRAINED[fault.kind]

    def read():
        datasets.disable_progress_bars()
        shutil.rmtree(datasets.config.HF_DATASETS_CACHE, ignore_errors=True)
        settings = make_settings({"source": folder, "panel": panel, "augment": False, "normalise": "counts"})
        train, held_out = load_spots(settings, choose_parts(settings), 10)
        assert held_out is None
        return list(loader(train, [(0, np.array([k])) for k in range(len(train))], 0)), train.table["spot_id"]

    whole = of_shards(folder)
    with mended(path):
        damage(path, fault, swapped(folder, fault.kind))

        def check(result):
            found = {}
            for example, spot in zip(*result):
                counts = {k: count for k, count in enumerate(example["expression"][0].tolist()) if count}
                found[str(spot)] = (whole[str(spot)][0], example["images"].numpy().tobytes(), counts)
            check_either(found, folder, whole)

        judge("training", fault, [TRAINED[fault.kind], str(folder), "spot Slide_A"], read, check)


@given(fault=faults(BUILT, actions=PLACED))
@some(25, 0.3)
def test_built_again(root, folder, tmp_path, fault):
    """A second run mends what is damaged, or says what it is; of shards it looks at the size alone."""
    if fault.kind == "shard" and fault.action == "flip":
        return
    shutil.rmtree(out := tmp_path / "out", ignore_errors=True)
    shutil.copytree(folder, out)
    path = out / BUILT[fault.kind]
    original = path.read_bytes()
    damage(path, fault, swapped(folder, fault.kind))

    def check(_):
        assert published(out) == published(folder), fault

    if not judge("build again", fault, [BUILT[fault.kind], str(out)], lambda: call(BUILD, root, out), check):
        if path.is_dir():
            path.rmdir()
        path.unlink(missing_ok=True)
        path.write_bytes(original)
        call(BUILD, root, out)
        check(None)
