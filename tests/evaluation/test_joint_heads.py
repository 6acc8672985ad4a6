"""A model over vectors of images: its images are embedded by the encoder that it names, or that is said."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import stimage
from stimage.core.errors import DataError
from stimage.towers import SpotClipModel
from tests.building import once
from tests.evaluation.towers import make_tower
from tests.training.conftest import folder  # noqa: F401
from tests.training.finetuning import finetune

HUMAN = {"tech": "Visium", "species": "human"}


@pytest.fixture(scope="module")
def heads(folder, tmp_path_factory):  # noqa: F811
    """An encoder, its vectors of the root, and heads trained on them."""

    def make(out):
        make_tower("dinov2", out / "encoder")
        root = stimage.open_root(folder / "root", **HUMAN)
        stimage.embed(root, out / "encoder", out / "vectors", size=48)
        done = finetune(folder, out / "run", f"image_vectors={out / 'vectors'}")
        assert done.returncode == 0, done.stderr

    return once(tmp_path_factory, "heads", make)


def vectors_of(table) -> np.ndarray:
    return table.drop(columns="slide").to_numpy()


def test_images_are_embedded_by_the_encoder_that_made_the_vectors(folder, heads, tmp_path):  # noqa: F811
    root, model = stimage.open_root(folder / "root", **HUMAN), heads / "run/model"
    table = stimage.embed(root, model, space="joint", encoder=heads / "encoder")
    made = stimage.loading.read_embeddings(heads / "vectors").to_frame().loc[table.index]
    with torch.inference_mode():
        head = SpotClipModel.from_pretrained(model).eval()
        want = torch.nn.functional.normalize(
            head.get_image_features(image_vectors=torch.tensor(vectors_of(made))), dim=1
        )
    np.testing.assert_allclose(vectors_of(table), want.numpy(), atol=1e-4)
    patch = next(iter(stimage.load("Visium", folder / "root", species="human")))
    patch["image"].save(tmp_path / "patch.png")
    found = stimage.search(model, root, image=tmp_path / "patch.png", embeddings=table, encoder=heads / "encoder", n=1)
    assert found.index.tolist() == [patch["spot_id"]] and found.similarity.iloc[0] > 0.9999
    assert len(stimage.search(model, root, spot=patch["spot_id"], embeddings=table)) == 12  # without the encoder
    assert len(stimage.embed(root, model, space="joint", of="genes")) == len(table)


def test_images_are_embedded_by_vectors_that_are_there(folder, heads, tmp_path):  # noqa: F811
    root, model = stimage.open_root(folder / "root", **HUMAN), heads / "run/model"
    want = stimage.embed(root, model, space="joint", encoder=heads / "encoder")
    found = stimage.embed(root, model, tmp_path / "out", space="joint", encoder=heads / "vectors")
    np.testing.assert_allclose(vectors_of(found), vectors_of(want.loc[found.index]), atol=1e-4)
    assert found.attrs["provenance"]["trained"] == want.attrs["provenance"]["trained"] != []
    with pytest.raises(DataError, match=r"made with other options: .*vectors"):
        stimage.embed(root, model, tmp_path / "out", space="joint", encoder=heads / "encoder")
    with pytest.raises(ValueError, match="has an image encoder of its own"):
        stimage.embed(root, folder / "clip", space="joint", encoder=heads / "vectors")


def test_vectors_of_images_that_are_others_or_lack_spots(folder, heads, tmp_path):  # noqa: F811
    root, model = stimage.open_root(folder / "root", **HUMAN), heads / "run/model"
    stimage.embed(root, heads / "encoder", tmp_path / "another", size=32)
    with pytest.raises(DataError, match=r"another: has other vectors than .*model was trained on: size 32, not 48"):
        stimage.embed(root, model, space="joint", encoder=tmp_path / "another")
    first = root.slides[0].name
    few = stimage.open_root(folder / "root", **HUMAN, slides=[first])
    stimage.embed(few, heads / "encoder", tmp_path / "few", size=48)
    with pytest.raises(DataError, match="few: lacks the vectors of"):
        stimage.embed(root, model, space="joint", encoder=tmp_path / "few")
    assert set(stimage.embed(few, model, space="joint", encoder=tmp_path / "few").slide) == {first}


def test_an_encoder_that_is_not_found_or_another(folder, heads, tmp_path, monkeypatch):  # noqa: F811
    root, model = stimage.open_root(folder / "root", **HUMAN), heads / "run/model"
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=r"encoder@\w{8}, that can't be loaded \(.*say where it is by encoder= \(--enc"):
        stimage.embed(root, model, space="joint")
    (tmp_path / "encoder").symlink_to(heads / "encoder")  # its name, where it is looked for
    assert len(stimage.embed(root, model, space="joint")) > 100
    weights = next(make_tower("dinov2", other := tmp_path / "other").glob("*.safetensors"))
    save_file({name: 1.1 * value for name, value in load_file(weights).items()}, weights, {"format": "pt"})
    with pytest.raises(DataError, match="other has other weights: pass encoder="):
        stimage.embed(root, model, space="joint", encoder=other)
    with pytest.raises(ValueError, match=r"encoder= \(--encoder\) works only in the joint space"):
        stimage.embed(root, heads / "encoder", encoder=other)
    with pytest.raises(ValueError, match="has an image encoder of its own"):
        stimage.embed(root, folder / "clip", space="joint", encoder=other)
