"""Caches that can't be written: what is streamed comes as it is; all else names the folder and the variable."""

import gzip
import os
import shutil
import subprocess
import tempfile
import textwrap
from pathlib import Path

import anndata
import datasets
import huggingface_hub.constants
import pandas as pd
import pytest
from scipy.sparse import csc_matrix

import stimage
import stimage_1k4m
from stimage.core.errors import DataError
from stimage.slides import spots
from stimage.slides.counts import by_rows, sparse_hdf5
from tests.faults import serving
from tests.hub.client import upload
from tests.reliability.faults import as_a_user
from tests.reliability.oracle import TALLY
from tests.reliability.scripts import call, in_this_process  # noqa: F401
from tests.roots import GENES, write_slide

FORMS = ("csv", "h5ad", "gz")
DOORS = ("load", "load_dataset", "gene_names", "read_slide", "publish", "export_slides", "number_genes", "prepare")
NEEDED = {"h5ad": {*DOORS} - {"gene_names", "number_genes"}, "gz": {*DOORS} - {"gene_names"}}
pytestmark = pytest.mark.usefixtures("in_this_process")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Roots of a slide, whose counts are read as they are, or need a copy in the cache; two of them published."""
    folder = tmp_path_factory.mktemp("roots")
    for form in FORMS:
        root = folder / form
        write_slide(root, "S0", "ST", side=3)
        counts = root / "ST/gene_exp/S0_count.csv"
        if form == "gz":
            (counts.parent / f"{counts.name}.gz").write_bytes(gzip.compress(counts.read_bytes()))
        elif form == "h5ad":  # by columns
            table = pd.read_csv(counts, index_col=0)
            obs, var = (pd.DataFrame(index=names.astype(object)) for names in (table.index, table.columns))
            anndata.AnnData(csc_matrix(table.to_numpy(float)), obs, var).write_h5ad(counts.with_suffix(".h5ad"))
        if form != "csv":
            counts.unlink()
        call("data_process/number_genes.py", root)
    call("data_process/build_shards.py", folder / "csv", folder / "published")
    return folder


@pytest.fixture(params=["read-only disk", "permissions"])
def cache(request, tmp_path, monkeypatch) -> Path:
    """A cache of all libraries that can't be written: on a read-only disk, or of another user."""
    folder = tmp_path / "closed"
    folder.mkdir()
    disk = ["mount", "-t", "tmpfs", "-o", "size=64k,ro", "tmpfs", folder]
    mounted = request.param == "read-only disk"
    if mounted and (os.geteuid() or subprocess.run(disk, capture_output=True).returncode):
        pytest.skip("a file system cannot be mounted here")
    folder.chmod(0o555) if not mounted else None
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(folder / "datasets"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(folder / "hub"))
    for kept in (by_rows._by_rows, sparse_hdf5._matrix, spots._open_spots):  # in memory
        kept.cache_clear()
    with as_a_user():
        yield folder
    if mounted:
        subprocess.run(["umount", "--lazy", folder], check=True)


def spots_of(data) -> list[dict]:
    return [{key: value.tobytes() if key == "image" else value for key, value in spot.items()} for spot in data]


def run(door: str, root: Path, out: Path) -> object:
    if door == "load":
        return spots_of(stimage_1k4m.load("ST", root))
    if door == "load_dataset":
        return spots_of(datasets.load_dataset("stimage_1k4m", "ST", data_dir=str(root), split="train", streaming=True))
    if door == "prepare":
        return spots_of(stimage_1k4m.load("ST", root, streaming=False))
    if door == "gene_names":
        return stimage.gene_names(root)
    if door == "read_slide":
        return stimage.read_slide(root, "S0").X.sum()
    if door == "number_genes":
        return call("data_process/number_genes.py", root, "--out", out / "genes.parquet") and None
    done = stimage.publish(root, out) if door == "publish" else stimage.export_slides(root, out)
    return done and None


def right_or_told(do, cache: Path, needed: bool, case: tuple[str, str]):
    """Do something that needs the cache, and is told so in one line; or that does not, and gives what is right."""
    try:
        found = do()
    except DataError as error:
        assert needed, error
        assert f"{cache}/" in str(error) and "set HF_" in str(error) and "mend" not in str(error), error
        TALLY[case[0], case[1], "read-only cache", "own error"] += 1
        return None
    assert not needed, "nothing said that it needs the cache"
    TALLY[case[0], case[1], "read-only cache", "right result"] += 1
    return found


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("form", FORMS)
def test_a_root(folder, cache, tmp_path, form, door, monkeypatch):
    needed = door == "prepare" or door in NEEDED.get(form, ())
    found = right_or_told(lambda: run(door, folder / form, tmp_path / "out"), cache, needed, (door, form))
    with monkeypatch.context() as other:
        other.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "open"))
        want = run(door, folder / form, tmp_path / "again")
    assert needed or found == want


def test_a_published_folder(folder, cache, tmp_path, monkeypatch):
    whole = folder / "published"
    doors = {"load": {}, "load, panel": {"panel": GENES[:2]}, "prepare": {"streaming": False}}
    for door, options in doors.items():

        def load(options=options):
            return spots_of(stimage_1k4m.load("ST", whole, **options))

        found = right_or_told(load, cache, door == "prepare", (door, "published"))
        with monkeypatch.context() as other:
            other.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "open"))
            assert found in (None, load())


def test_a_cache_that_is_passed(folder, cache, tmp_path, monkeypatch):
    """The error names the one that was passed; one that can be written is used instead of the other."""
    for root in (folder / "csv", folder / "published"):
        found = spots_of(stimage_1k4m.load("ST", root, streaming=False, cache_dir=tmp_path / "open"))
        assert found == spots_of(stimage_1k4m.load("ST", root))
        monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "other"))
        with pytest.raises(DataError, match=f"^{cache}/mine: datasets cannot prepare"):
            stimage_1k4m.load("ST", root, streaming=False, cache_dir=cache / "mine")


def test_a_root_behind_a_server(folder, cache):
    with serving(folder / "csv") as server:
        right_or_told(lambda: run("load", server.url, cache), cache, True, ("load", "HTTP"))


def test_a_root_on_the_hub(folder, cache, hub):
    upload(hub, folder / "csv")
    options = {"storage_options": {"endpoint": hub.url}}
    with pytest.raises(DataError, match=rf"hf://datasets/tester/data.*{cache}/hub.*set HF_HUB_CACHE"):
        stimage_1k4m.load("ST", "hf://datasets/tester/data", **options)


@pytest.mark.parametrize("cache", ["read-only disk"], indirect=True)  # a program that root starts may write anywhere
def test_a_model_of_the_hub(cache, hub, tmp_path):
    from tests.evaluation.towers import make_tower

    upload(hub, make_tower("clip", tmp_path / "clip"), "tester/clip", "model")
    code = """
        from stimage.core.errors import DataError
        from stimage.towers.image_towers import load_tower
        try:
            load_tower("tester/clip")
        except DataError as error:
            print(error)
    """
    said = hub.run(f"import os; os.environ['HF_HUB_CACHE'] = {str(cache / 'hub')!r}\n" + textwrap.dedent(code))
    assert "tester/clip: " in said and f"{cache}/hub" in said and "set HF_HUB_CACHE" in said


def test_no_place_for_temporary_files(folder, cache, tmp_path, monkeypatch):
    from tests.evaluation.towers import make_tower

    tower = make_tower("clip", tmp_path / "clip")
    monkeypatch.setattr(tempfile, "tempdir", str(cache))
    with pytest.raises(DataError, match=f"{cache}.*no temporary folder.*set TMPDIR"):
        stimage.embed(folder / "csv", tower, workers=0)
    table = stimage.embed(folder / "csv", tower, tmp_path / "out", workers=0)
    assert len(table) == 9 and not list(Path(cache).iterdir())
    shutil.rmtree(tmp_path / "out")
