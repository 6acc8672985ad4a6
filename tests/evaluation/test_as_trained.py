"""A tuned model embeds the patches that it was trained on, and its vectors say what it has seen."""

import json
import shutil
from dataclasses import asdict

import numpy as np
import pytest

import stimage
from stimage.core.errors import DataError
from stimage.evaluation.embedding import MARKER
from stimage.loading.embeddings import read_embeddings
from stimage.loading.provenance import PROVENANCE, Provenance
from stimage.slides.images.patches import Patch
from tests.evaluation.scripts import run
from tests.evaluation.towers import towers  # noqa: F401
from tests.roots import write_slide
from tests.test_scripts import run as run_apart

PATCH = {"um": 240.0, "px": 16}
SCALE = {"um_per_px": 10}  # as the lattice says


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("as_trained") / "root"
    for k in range(2):
        write_slide(root, f"S{k}", "ST", side=4, seed=k)
    return root


@pytest.fixture(scope="module")
def published(root, tmp_path_factory):
    out = tmp_path_factory.mktemp("as_trained") / "published"
    done = run_apart("data_process/build_shards.py", root, out, "--patch-um", 240, "--patch-px", 16)
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture
def tuned(towers, tmp_path):  # noqa: F811
    """A copy of a tower beside which lies what it has seen."""

    def make(patch, name="tuned", **seen):
        folder = shutil.copytree(towers["clip"], tmp_path / name)
        record = Provenance(seen or {"S0": ""}, patch=patch and asdict(Patch(**patch))).record
        (folder / PROVENANCE).write_text(json.dumps(record))
        return folder

    return make


def vectors(root, model, **more):
    return stimage.embed(stimage.open_root(root, **SCALE), model, **more).drop(columns="slide").to_numpy()


def test_the_patch_is_the_models_unless_another_is_said(root, towers, tuned, caplog):  # noqa: F811
    plain, model = towers["clip"], tuned(PATCH)
    physical, original = vectors(root, plain, patch=PATCH), vectors(root, plain)
    assert not np.array_equal(physical, original)
    assert np.array_equal(vectors(root, model), physical)
    assert "trained" not in caplog.text
    assert np.array_equal(vectors(root, model, patch="original"), original)
    assert "patches are the square of 2r, but" in caplog.text and "was trained on 240 µm in 16 px" in caplog.text
    caplog.clear()
    vectors(root, model, patch={"um": 240.0, "px": 8})  # as much tissue, in fewer pixels
    vectors(root, tuned({}, "square"))  # trained on the original's
    assert "trained" not in caplog.text
    with pytest.raises(DataError, match=r"slides failed, such as: .* a patch of 240 µm in 99 px would up-sample"):
        vectors(root, tuned({"um": 240.0, "px": 99}, "fine"))


def test_vectors_say_what_their_model_has_seen(root, tuned, tmp_path):
    model = tuned(PATCH)
    table = stimage.embed(stimage.open_root(root, **SCALE), model, tmp_path / "out")
    assert table.attrs["provenance"]["trained"] == {"S0": ""}
    assert json.loads((tmp_path / "out" / MARKER).read_text())["seen"]["trained"] == ["S0"]
    assert read_embeddings(tmp_path / "out").provenance == Provenance.parse(table.attrs["provenance"], "")
    (model / PROVENANCE).write_text(json.dumps(Provenance({"S1": ""}, patch=asdict(Patch(**PATCH))).record))
    with pytest.raises(DataError, match="was made with other options: seen"):
        stimage.embed(stimage.open_root(root, **SCALE), model, tmp_path / "out")


def test_a_published_folder_of_another_patch_is_refused(published, towers, tuned, caplog, capsys, tmp_path):  # noqa: F811
    want = stimage.embed(published, towers["clip"])
    assert stimage.embed(published, tuned(PATCH)).equals(want)
    other = tuned({"um": 480.0, "px": 16}, "other")
    with pytest.raises(DataError, match=r"its patches are 240 µm in 16 px, but .* was trained on 480 µm in 16 px; .*o"):
        stimage.embed(published, other)
    assert "trained" not in caplog.text
    assert stimage.embed(published, other, patch=PATCH).equals(want)  # both remedies
    assert stimage.embed(published, other, patch="original").equals(want)
    assert caplog.text.count("was trained on 480 µm") == 2
    with pytest.raises(DataError, match=r"whose patches are cut already, 240 µm in 16 px; leave out patch="):
        stimage.embed(published, other, patch={"um": 480.0, "px": 16})
    words = ["embed_spots.py", published, "--model", other]
    assert "was trained on 480 µm" in run(capsys, *words, out=tmp_path / "a").error
    done = run(capsys, *words, "--patch", "original", out=tmp_path / "b")
    assert not done.error and "patches: 240 µm in 16 px" in done.printed
    done = run(capsys, *words, "--patch", "original", "--patch-um", 240, "--patch-px", 16, out=tmp_path / "c")
    assert "(--patch original) has no size in µm" in done.error


def test_a_folder_or_a_model_that_does_not_say_it(published, root, tuned, towers, caplog, tmp_path):  # noqa: F811
    import pyarrow.parquet as pq

    old = shutil.copytree(published, tmp_path / "old")
    pq.write_table(pq.read_table(old / "slides.parquet").replace_schema_metadata(None), old / "slides.parquet")
    stimage.embed(old, tuned(PATCH))
    assert "does not say how its patches were cut" in caplog.text
    caplog.clear()
    assert np.array_equal(vectors(root, tuned(None, "unknown")), vectors(root, towers["clip"]))
    assert "trained" not in caplog.text
    model = tuned(PATCH, "damaged")
    record = json.loads((model / PROVENANCE).read_text())
    (model / PROVENANCE).write_text(json.dumps(record | {"patch": {"um": -1, "px": 3}}))
    with pytest.raises(DataError, match="the model says wrongly how its patches were cut"):
        vectors(root, model)
