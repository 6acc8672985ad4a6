"""Heads trained on vectors that `embed` wrote: no image is read, and the model says what made them."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from stimage import embed, open_root
from stimage.core.errors import DataError
from stimage.loading.embeddings import read_embeddings, write_embeddings
from stimage.loading.provenance import read_provenance
from stimage.towers.image_towers import load_tower
from stimage.towers.joint.modeling_spot_clip import SpotClipModel
from stimage.towers.options import TowerOptions
from stimage.towers.two_towers import CLIP_MEAN, CLIP_STD
from stimage.training.data.image_vectors import read_image_vectors, with_vectors
from stimage.training.data.parts import choose_parts
from stimage.training.settings.reading import read_settings
from stimage.training.spots import load_spots
from tests.building import once
from tests.test_scripts import run
from tests.training.finetuning import HELD_OUT, finetune, losses

EPOCHS = "run.epochs=3"


@pytest.fixture(scope="module")
def embedded(folder, tmp_path_factory) -> Path:
    """A root whose images no program can open, and what embed wrote of them before."""

    def make(out: Path) -> None:
        root = Path(shutil.copytree(folder / "root", out / "root"))
        root_of_slides = open_root(root, "Visium", species="human")
        embed(root_of_slides, str(folder / "clip"), out / "vectors", size=32, mean=CLIP_MEAN, std=CLIP_STD)
        for image in (root / "Visium/image").iterdir():
            image.write_bytes(b"no image")

    return once(tmp_path_factory, "embedded", make)


def heads(folder: Path, embedded: Path, out: Path, *overrides: str, vectors: str | Path = "vectors", data=None):
    return finetune(folder, out, EPOCHS, f"image_vectors={embedded / vectors}", *overrides,
                    data=data or embedded / "root")  # fmt: skip


def test_heads_are_trained_on_vectors_without_an_image(folder, embedded, tmp_path):
    done = heads(folder, embedded, tmp_path / "run")
    assert done.returncode == 0, done.stderr
    history = json.loads((tmp_path / "run/results.json").read_text())["history"]
    assert history[-1]["loss"] < history[0]["loss"] - 0.05
    model = SpotClipModel.from_pretrained(tmp_path / "run/model")
    tower = load_tower(str(folder / "clip"), options=TowerOptions(size=32, mean=CLIP_MEAN, std=CLIP_STD))
    assert {name.split(".")[0] for name in model.state_dict()} == {"image_head", "gene_tower", "logit_scale"}
    assert model.config.image_encoder is None and model.config.image_width == tower.width == 24
    made = model.config.image_vectors
    assert made["model"] == f"clip@{tower.digest[:8]}" and made["weights"] == tower.digest
    assert made["pooling"] == "projection" and made["size"] == 32 and made["patch"] == "original"
    assert not (tmp_path / "run/model/preprocessor_config.json").exists()
    card = (tmp_path / "run/model/README.md").read_text()
    assert f"takes the vectors that `{made['model']}` makes" in card
    assert read_provenance(str(tmp_path / "run/model")).patch == {"um": None, "px": None, "upsample": False,
                                                                  "pyramid": False}  # fmt: skip
    every = read_embeddings(embedded / "vectors")
    some = torch.from_numpy(every.vectors[:5])
    assert model.get_image_features(image_vectors=some).shape == (5, 32)


def test_each_spot_has_its_own(folder, embedded):
    said = [f"image_vectors={embedded / 'vectors'}", "loss.neighbour_um=150"]
    settings = read_settings(folder / "settings.yaml", said, str(embedded / "root"))
    vectors = read_image_vectors(str(embedded / "vectors"), [])
    for spots in load_spots(settings, choose_parts(settings), None):
        assert spots is not None and "image" not in spots.table.column_names
        rows = np.random.default_rng(0).permutation(len(spots))[:50]
        batch, tasks = with_vectors(spots, vectors).begin(0, rows)
        ids = spots.table[rows.tolist()]["spot_id"].to_pylist()
        want = read_embeddings(embedded / "vectors").to_frame().drop(columns="slide").loc[ids].to_numpy()
        assert np.array_equal(batch["image_vectors"].numpy(), want)
        assert batch.keys() == {"image_vectors", "expression", "row", "slide", "place"} and not tasks


def test_published_spots_have_vectors_too(folder, embedded, tmp_path):
    done = run("data_process/build_shards.py", folder / "root", tmp_path / "shards", "--tech", "Visium",
               "--species", "human")  # fmt: skip
    assert done.returncode == 0, done.stderr
    for name, data in (("of-root", None), ("of-shards", tmp_path / "shards")):
        done = heads(folder, embedded, tmp_path / name, data=data)
        assert done.returncode == 0, done.stderr
    assert losses(tmp_path / "of-root") == pytest.approx(losses(tmp_path / "of-shards"), abs=1e-5)


def test_spots_that_lack_a_vector_are_counted(folder, embedded, tmp_path):
    every = read_embeddings(embedded / "vectors")
    for slide in sorted(set(every.slides)):
        rows = np.flatnonzero(every.slides == slide)[3 * (slide == HELD_OUT[0]) :]
        write_embeddings(tmp_path / f"few/{slide}.parquet", every.spot_ids[rows], slide, every.vectors[rows], "m")
    done = heads(folder, embedded, tmp_path / "run", vectors=tmp_path / "few")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert f"few: lacks the vectors of 3 of 155 spots, such as '{HELD_OUT[0]}" in done.stderr
    assert f"(3 of slide {HELD_OUT[0]}); embed these slides, too, or leave them out by exclude=" in done.stderr
    shutil.copytree(embedded / "vectors", tmp_path / "one").joinpath(f"{HELD_OUT[0]}.parquet").unlink()
    assert "lacks the vectors of 155 of 155 spots" in heads(folder, embedded, tmp_path / "run",
                                                             vectors=tmp_path / "one").stderr  # fmt: skip


def test_vectors_that_are_no_numbers_or_of_genes_or_damaged(folder, embedded, tmp_path):
    table = read_embeddings(embedded / "vectors").to_frame()
    table.iloc[3, 5] = np.inf
    table.to_csv(tmp_path / "bad.csv")
    done = heads(folder, embedded, tmp_path / "run", vectors=tmp_path / "bad.csv")
    assert "has a value that is no finite number (1 of" in done.stderr
    assert "there is no such file" in heads(folder, embedded, tmp_path / "run", vectors="nowhere").stderr
    genes = shutil.copytree(embedded / "vectors", tmp_path / "genes")
    said = json.loads((genes / "embedding.json").read_text())
    (genes / "embedding.json").write_text(json.dumps(said | {"of": "genes"}))
    with pytest.raises(DataError, match=r"genes: has vectors of genes, but data.image_vectors needs vectors of images"):
        read_image_vectors(str(genes), [])
    (genes / "embedding.json").write_text("[1")
    with pytest.raises(DataError, match=r"embedding.json: is damaged .* so what made the vectors is not known"):
        read_image_vectors(str(genes), [])


def test_patches_of_a_configuration_are_not_cut_where_there_are_vectors(folder, embedded, tmp_path):
    """Shipped ones ask for patches that images are too coarse for; no image is read, so nothing is refused."""
    patch = ("patch_um=112", "patch_px=224", "too_coarse=drop")
    done = heads(folder, embedded, tmp_path / "run", *patch)
    assert done.returncode == 0, done.stderr
    assert "vectors are of patches of squares of 2r, and data.patch_um=112 and data.patch_px=224 are not" in done.stdout
    read_embeddings(embedded / "vectors").to_frame().to_csv(tmp_path / "own.csv")  # which says nothing of patches
    done = heads(folder, embedded, tmp_path / "own", *patch, vectors=tmp_path / "own.csv")
    assert done.returncode == 0 and "are not used" not in done.stdout, done.stderr
    assert losses(tmp_path / "run") == pytest.approx(losses(tmp_path / "own"), abs=1e-5)
