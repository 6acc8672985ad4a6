"""Embedding in a joint space: images, genes and text as the model itself has them, from a root and from shards."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch

import stimage
from stimage.core.errors import DataError
from stimage.loading.embeddings import read_embeddings
from stimage.towers import SpotClipModel
from tests.evaluation.scripts import run
from tests.evaluation.towers import make_tower
from tests.roots import write_slide
from tests.test_scripts import run as run_apart
from tests.training.conftest import folder, tuned  # noqa: F401
from tests.training.finetuning import HELD_OUT

HUMAN = {"tech": "Visium", "species": "human"}
ASKED = ("--tech", "Visium", "--species", "human", "--space", "joint")


@pytest.fixture(scope="module")
def published(folder, tmp_path_factory):  # noqa: F811
    out = tmp_path_factory.mktemp("joint") / "published"
    done = run_apart("data_process/build_shards.py", folder / "root", out, "--tech", "Visium", "--species", "human")
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture
def embed(capsys):
    return lambda root, model, out, *more: run(capsys, "embed_spots.py", root, "--model", model, *ASKED, *more, out=out)


def vectors_of(table) -> np.ndarray:
    return table.drop(columns="slide").to_numpy()


def test_vectors_are_those_of_the_model_itself(folder, tuned):  # noqa: F811
    panel = json.loads((folder / "panel.json").read_text())["genes"]
    spots = stimage.load("Visium", folder / "root", species="human", panel=panel, normalise="median-log1p")
    batch = next(iter(stimage.loading.spot_loader(spots, 1000, workers=0, image_size=32)))
    said = json.loads((tuned / "model/preprocessor_config.json").read_text())
    mean, std = (255 * torch.tensor(said[key]) for key in ("image_mean", "image_std"))
    model = SpotClipModel.from_pretrained(tuned / "model").eval()
    with torch.inference_mode():
        pixels = ((batch.images.float() - mean) / std).permute(0, 3, 1, 2)
        want = {"images": model.get_image_features(pixels), "genes": model.get_gene_features(batch.expression)}
    root = stimage.open_root(folder / "root", **HUMAN)
    for of, vectors in want.items():
        table = stimage.embed(root, tuned / "model", space="joint", of=of)
        got = vectors_of(table.loc[batch.spot_ids])
        np.testing.assert_allclose(got, torch.nn.functional.normalize(vectors, dim=1).numpy(), atol=1e-5)
        assert table.attrs["model"].endswith(f"+joint-{of}") and (got.std(0) > 0).any()


def test_two_commands_give_the_scores_of_validation(folder, tuned, published, embed, tmp_path, capsys):  # noqa: F811
    both = ("--of", "images", "genes", "--slides", *HELD_OUT)
    for source, name in ((folder / "root", "joint"), (published, "shards")):
        done = embed(source, tuned / "model", tmp_path / name, *both)
        assert not done.error and f"{tmp_path / name}/images, {tmp_path / name}/genes" in done.printed
    done = run(
        capsys, "retrieval.py", "--root", folder / "root", "--embeddings", tmp_path / "joint", out=tmp_path / "r"
    )
    assert not done.error and "(chance " in done.printed
    overall, best = done.results["overall"]["within"], json.loads((tuned / "results.json").read_text())["overall"]
    for way, name in (("a_to_b", "image_to_other"), ("b_to_a", "other_to_image")):
        for score in ("recall@1", "recall@10", "median_rank"):
            assert overall[way][score] == pytest.approx(
                best[f"slide_{name}_{score}"], abs=1e-2 if score[0] == "r" else 1
            )
    for kind in ("images", "genes"):
        here, there = (read_embeddings(tmp_path / name / kind) for name in ("joint", "shards"))
        assert here.model == there.model and list(here.spot_ids) == list(there.spot_ids)
        np.testing.assert_allclose(here.vectors, there.vectors, atol=1e-5)
        note = json.loads((tmp_path / "joint" / kind / "embedding.json").read_text())
        assert (note["space"], note["of"]) == ("joint", kind)


def test_text_of_a_whole_clip(folder, published, tmp_path):  # noqa: F811
    from transformers import AutoTokenizer, CLIPModel

    model, root = folder / "clip", stimage.open_root(folder / "root", **HUMAN)
    (tmp_path / "clip").mkdir()
    for path in model.iterdir():
        (tmp_path / "clip" / path.name).write_bytes(path.read_bytes())
    make_tower("clip", tmp_path / "other")
    processor = (tmp_path / "other/preprocessor_config.json").read_bytes()
    (tmp_path / "clip/preprocessor_config.json").write_bytes(processor)
    settings = {"data": {"sentence_genes": 3, "above_mean": False}, "towers": {"second": "text"}}
    said = {group: settings.get(group, {}) for group in ("data", "towers", "loss", "optimiser", "run")}
    (tmp_path / "clip/settings.json").write_text(json.dumps(said))
    table = stimage.embed(root, tmp_path / "clip", space="joint", of="text")
    spot = next(
        iter(stimage.load("Visium", folder / "root", species="human", columns=["spot_id", "gene_ids", "counts"]))
    )
    names = stimage.gene_names(folder / "root")
    order = np.argsort(-np.array(spot["counts"]), kind="stable")[:3]
    sentence = " ".join(names[spot["gene_ids"][k]] for k in order)
    tokens = AutoTokenizer.from_pretrained(model)(sentence, padding="max_length", truncation=True, return_tensors="pt")
    with torch.inference_mode():
        want = CLIPModel.from_pretrained(model).eval().get_text_features(**tokens).pooler_output[0]
    np.testing.assert_allclose(vectors_of(table.loc[[spot["spot_id"]]])[0], want / want.norm(), atol=1e-5)
    (tmp_path / "clip/settings.json").unlink()  # a plain CLIP: above the slide's mean
    here, there = (stimage.embed(one, tmp_path / "clip", space="joint", of="text") for one in (root, published))
    np.testing.assert_allclose(vectors_of(here), vectors_of(there), atol=1e-5)
    assert not np.allclose(vectors_of(here), vectors_of(table), atol=1e-3)
    for _ in range(2):  # with files of the first time
        stimage.embed(root, tmp_path / "clip", tmp_path / "out", space="joint", of="text")
        next((tmp_path / "out").glob("*.parquet")).unlink()


def test_what_a_model_can_not_do_is_refused(folder, tuned, embed, tmp_path):  # noqa: F811
    root, model = folder / "root", tuned / "model"
    encoder = make_tower("dinov2", tmp_path / "dinov2")
    assert "is an image encoder alone (dinov2), which has no joint space" in embed(root, encoder, tmp_path / "a").error
    assert "is an image encoder alone (timm)" in embed(root, "timm:resnet18", tmp_path / "b").error
    assert "embeds images and genes, but no text" in embed(root, model, tmp_path / "c", "--of", "text").error
    assert "pooling=" in embed(root, model, tmp_path / "d", "--pooling", "cls").error
    with pytest.raises(ValueError, match=r"of= \(--of\) and gene_table= .* pass space='joint'"):
        stimage.embed(root, model, of="genes")
    with pytest.raises(ValueError, match="space='common': pass one of tower, joint"):
        stimage.embed(root, model, space="common")
    (tmp_path / "part").mkdir()
    for path in model.iterdir():
        if path.name != "settings.json":
            (tmp_path / "part" / path.name).write_bytes(path.read_bytes())
    assert "has no settings.json, which says how counts became expression" in embed(
        root, tmp_path / "part", tmp_path / "e", "--of", "genes"
    ).error  # fmt: skip
    for text in ("[]", "{}", '{"a": 1}'):
        (tmp_path / "part/settings.json").write_text(text)
        assert "its settings.json is damaged" in embed(root, tmp_path / "part", tmp_path / "f", "--of", "genes").error
    (tmp_path / "part/config.json").write_text("{}")
    assert "does not say what model it is" in embed(root, tmp_path / "part", tmp_path / "g").error


def test_folders_of_two_spaces_are_not_mixed(folder, tuned, tmp_path):  # noqa: F811
    root = stimage.open_root(folder / "root", **HUMAN)
    stimage.embed(root, tuned / "model", tmp_path / "out", space="joint")
    with pytest.raises(DataError, match=r"was made with other options: .*space 'joint', now 'tower'"):
        stimage.embed(root, tuned / "model", tmp_path / "out")
    with pytest.raises(DataError, match="of 'images', now 'genes'"):
        stimage.embed(root, tuned / "model", tmp_path / "out", space="joint", of="genes")
    stimage.embed(root, tuned / "model", tmp_path / "tower")
    note = json.loads((tmp_path / "tower/embedding.json").read_text())
    assert (note.pop("space"), note.pop("of")) == ("tower", "images")
    (tmp_path / "tower/embedding.json").write_text(json.dumps(note))  # as it was before there were spaces
    assert len(stimage.embed(root, tuned / "model", tmp_path / "tower")) == len(read_embeddings(tmp_path / "tower"))


def test_a_slide_that_lacks_genes(tuned, embed, tmp_path):  # noqa: F811
    write_slide(tmp_path / "root", "S0", "Visium", side=5)
    done = embed(tmp_path / "root", tuned / "model", tmp_path / "out", "--of", "genes")
    assert "1 of 1 slides failed" in done.error and "of the panel's 40 genes" in done.error


def test_a_slide_that_names_genes_otherwise(folder, tuned, embed, tmp_path):  # noqa: F811
    names, (slide,) = stimage.gene_names(folder / "root"), HELD_OUT
    ids = {name: f"ENSG{k:011d}" for k, name in enumerate(names)}
    (tmp_path / "table.tsv").write_text("".join(f"{ids[name]}\t{name}\tGene Expression\n" for name in names))
    shutil.copytree(folder / "root", tmp_path / "root")
    file = tmp_path / f"root/Visium/gene_exp/{slide}_count.csv"
    pd.read_csv(file, index_col=0).rename(columns=ids).to_csv(file)
    words = ("--slides", slide, "--of", "genes")
    assert "(see gene_table=)" in embed(tmp_path / "root", tuned / "model", tmp_path / "without", *words).error
    done = embed(tmp_path / "root", tuned / "model", tmp_path / "ids", *words, "--gene-table", tmp_path / "table.tsv")
    assert not done.error and not embed(folder / "root", tuned / "model", tmp_path / "symbols", *words).error
    by_id, by_symbol = (read_embeddings(tmp_path / name).vectors for name in ("ids", "symbols"))
    np.testing.assert_allclose(by_id, by_symbol, atol=1e-6)
