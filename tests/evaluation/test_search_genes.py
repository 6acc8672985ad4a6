"""Searching by expression: what a few genes mean to each gene tower, and what a model does not know."""

import json
import shutil

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

import stimage
from stimage.core.errors import DataError
from stimage.evaluation.joint.queries import genes_vector, words_of_reading
from stimage.towers import SpotClipConfig, SpotClipModel, load_joint
from tests.evaluation.scripts import run
from tests.evaluation.towers import make_tower
from tests.training.conftest import folder, tuned  # noqa: F401


@pytest.fixture(scope="module")
def genes(folder):  # noqa: F811
    return json.loads((folder / "panel.json").read_text())["genes"]


def with_towers(model, out, change) -> str:
    """Save a model that is changed, with all that lies beside it."""
    shutil.copytree(model, out)
    changed = SpotClipModel.from_pretrained(model)
    change(changed.gene_tower)
    changed.save_pretrained(out)
    return str(out)


def test_a_panel_has_named_genes_at_their_counts_and_others_at_the_mean(tuned, genes):  # noqa: F811
    space, model = load_joint(str(tuned / "model")), SpotClipModel.from_pretrained(tuned / "model").eval()
    mean = model.gene_tower.mean
    with torch.inference_mode():
        want = normalize(model.get_gene_features(mean.index_fill(0, torch.tensor([3]), np.log1p(7.0))[None]), dim=1)[0]
        usual = normalize(model.get_gene_features(mean[None]), dim=1)[0]
    np.testing.assert_allclose(genes_vector(space, {genes[3]: 7}, "median-log1p"), want, atol=1e-6)
    assert float((want - usual).abs().max()) > 1e-3
    at_mean = {gene: float(mean[k].expm1()) for k, gene in enumerate(genes) if mean[k] > 0}
    np.testing.assert_allclose(genes_vector(space, at_mean, "log1p"), usual, atol=1e-6)
    raw = {gene: float(mean[k]) for k, gene in enumerate(genes) if mean[k] > 0}
    np.testing.assert_allclose(genes_vector(space, raw, "counts"), usual, atol=1e-6)


def test_what_is_found_is_nearest_to_that(folder, tuned, genes):  # noqa: F811
    root = stimage.open_root(folder / "root", "Visium", species="human")
    images = stimage.embed(root, tuned / "model", space="joint")
    found = stimage.search(tuned / "model", root, f"{genes[0]}=20 {genes[1]}=0", embeddings=images, n=5)
    vector = genes_vector(load_joint(str(tuned / "model")), {genes[0]: 20, genes[1]: 0}, "median-log1p")
    want = (images.drop(columns="slide") @ vector).sort_values(ascending=False)[:5]
    np.testing.assert_allclose(found.similarity, want, atol=2e-6)
    assert found.index.tolist() == want.index.tolist()


def test_which_way_a_gene_is_read_is_told(folder, tuned, genes, tmp_path, capsys, caplog):  # noqa: F811
    mean = SpotClipModel.from_pretrained(tuned / "model").gene_tower.mean.numpy()
    k = int(mean.argmax())  # whose usual count is above 0
    usual = float(np.expm1(mean[k]))
    root = stimage.open_root(folder / "root", "Visium", species="human")
    images = stimage.embed(root, tuned / "model", tmp_path / "joint", space="joint")
    for count, word in ((usual / 2, "low"), (usual, "usual"), (usual * 2, "high")):
        caplog.clear()
        found = stimage.search(tuned / "model", root, {genes[k]: count}, embeddings=images, n=2)
        assert found.attrs["read"] == {genes[k]: f"{word}, usual is {usual:.3g}"}
        assert ("spots low in it are searched for" in caplog.text) == (word == "low")
    words = words_of_reading(load_joint(str(tuned / "model")), {genes[k]: float(mean[k])}, "counts")
    assert words[genes[k]].startswith("usual, ")
    asked = (tuned / "model", folder / "root", f"{genes[k]}={usual / 2}", "--embeddings", tmp_path / "joint")
    done = run(capsys, "search.py", *asked, "--tech", "Visium", "--species", "human", out=tmp_path / "out")
    assert not done.error and done.printed.startswith(f"{genes[k]}: low, usual is {usual:.3g}\n")


def test_a_set_has_the_counts_of_ten_thousand():
    torch.manual_seed(0)
    config = SpotClipConfig(image_encoder=None, image_width=4, genes=list("ABCDE"), gene_tower="set", gene_width=8,
                            gene_heads=2, latent_dim=6)  # fmt: skip
    model = SpotClipModel(config).eval()
    tower, counts = model.gene_tower, torch.tensor([[5000.0, 3000, 1000, 600, 400]])
    tower.mean.copy_(torch.rand(5))
    given = {"gene_ids": torch.arange(5)[None], "counts": counts, "measured": torch.ones(1, 5, dtype=torch.bool)}
    with torch.inference_mode():
        torch.testing.assert_close(tower.of_levels(counts.log1p()), model.get_gene_features(**given))
        usual = tower.of_levels(tower.mean[None])
        torch.testing.assert_close(usual, tower.head.bias[None], atol=1e-5, rtol=0)  # neutral: nothing is pooled


def test_text_is_the_names_by_their_counts(folder, tmp_path):  # noqa: F811
    from transformers import AutoTokenizer, CLIPModel

    shutil.copytree(folder / "clip", tmp_path / "clip")
    processor = make_tower("clip", tmp_path / "other") / "preprocessor_config.json"
    shutil.copy(processor, tmp_path / "clip")
    space, query = load_joint(str(tmp_path / "clip")), {"KRT8": 3, "ERBB2": 5, "CD3E": 0}
    got = genes_vector(space, query, "log1p")
    assert words_of_reading(space, query, "log1p") == {
        "KRT8": "name 2 of 2",
        "ERBB2": "name 1 of 2",
        "CD3E": "left out",
    }
    tokens = AutoTokenizer.from_pretrained(folder / "clip")("ERBB2 KRT8", return_tensors="pt")
    with torch.inference_mode():
        want = CLIPModel.from_pretrained(folder / "clip").eval().get_text_features(**tokens).pooler_output
    np.testing.assert_allclose(got, normalize(want, dim=1)[0], atol=1e-5)


def test_what_a_model_does_not_know(folder, tuned, genes, tmp_path):  # noqa: F811
    root, model = folder / "root", tuned / "model"
    near = f"X{genes[0]}"
    with pytest.raises(DataError, match=f"does not know gene '{near}', of its 40; did you mean .*{genes[0]}"):
        stimage.search(model, root, {near: 3})
    with pytest.raises(DataError, match=f"does not know gene '@@@', of its 40; it knows such as {genes[0]}"):
        stimage.search(model, root, "@@@=3")
    bare = with_towers(model, tmp_path / "bare", lambda tower: tower.mean.zero_())
    with pytest.raises(DataError, match=r"standardise=false, .* train a model with towers.standardise"):
        stimage.search(bare, root, {genes[0]: 3})
