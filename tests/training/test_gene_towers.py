"""Runs with each gene tower: sets, vectors of another model, and a panel that is standardised or not."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from stimage.loading.embeddings import write_embeddings
from stimage.slides.catalog import read_catalog
from stimage.slides.spots import open_spots
from stimage.towers.joint.modeling_spot_clip import SpotClipModel
from tests.training.finetuning import finetune, losses

SET = ("towers.second=set", "panel=null", "epochs=1")


def scores(out):
    return json.loads((out / "results.json").read_text())


@pytest.fixture(scope="module")
def of_sets(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("sets") / "run"
    done = finetune(folder, out, *SET)
    assert done.returncode == 0, done.stderr
    return out


def test_a_tower_of_sets_learns_and_is_saved(of_sets, folder):
    history = scores(of_sets)["history"]
    assert history[-1]["loss"] < history[0]["loss"]
    model = SpotClipModel.from_pretrained(of_sets / "model")
    assert 200 < len(model.config.genes) <= 300 and list(model.config.genes) == sorted(model.config.genes)
    tower = model.gene_tower
    assert tower.mean.min() >= 0 and tower.mean.max() > 1 and tower.share.sum() > 0.99
    assert "it knows" in (of_sets / "model/README.md").read_text()


def test_one_that_is_tuned_further_keeps_its_genes_and_statistics(of_sets, folder, tmp_path):
    done = finetune(folder, tmp_path / "run", *SET, f"towers.image={of_sets / 'model'}")
    assert done.returncode == 0, done.stderr
    first, second = (load_file(run / "model/model.safetensors") for run in (of_sets, tmp_path / "run"))
    assert torch.equal(first["gene_tower.mean"], second["gene_tower.mean"])
    assert scores(tmp_path / "run")["history"][0]["loss"] < scores(of_sets)["history"][0]["loss"]
    done = finetune(folder, tmp_path / "other", *SET, f"towers.image={of_sets / 'model'}", "gene_embeddings=t.csv")
    assert done.returncode == 1 and "already has embeddings of genes; leave this setting out" in done.stderr


def test_embeddings_of_genes_out_of_a_table(folder, of_sets, tmp_path):
    genes = SpotClipModel.from_pretrained(of_sets / "model").config.genes
    table = np.random.default_rng(0).normal(size=(len(genes) - 50, 12))
    pd.DataFrame(table, pd.Index(genes[50:], name="gene")).to_csv(tmp_path / "table.csv")
    asked = (*SET, f"gene_embeddings={tmp_path / 'table.csv'}", "head_lr=0", "lr=0")
    done = finetune(folder, tmp_path / "run", *asked)
    assert done.returncode == 0, done.stderr
    assert f"has {len(genes) - 50} of {len(genes)} genes ({1 - 50 / len(genes):.0%})" in done.stdout
    model = SpotClipModel.from_pretrained(tmp_path / "run/model")
    found = model.gene_tower.embeddings.weight[50:].detach().numpy()
    assert found == pytest.approx(table / (table**2).mean() ** 0.5, abs=1e-5) and model.config.gene_heads == 6
    done = finetune(folder, tmp_path / "other", *asked, "gene_width=16")
    assert (
        done.returncode == 1
        and "gene_width: is 16, but" in done.stderr
        and "width 12; leave this setting out" in done.stderr
    )
    pd.DataFrame(table, pd.Index([f"Gm{i}" for i in range(len(table))])).to_csv(tmp_path / "table.csv")
    done = finetune(folder, tmp_path / "third", *asked)
    assert done.returncode == 1 and f"has 0 of the data's {len(genes)} genes (0%)" in done.stderr


def test_vectors_of_another_model(folder, tmp_path):
    rng = np.random.default_rng(0)
    for slide in read_catalog(str(folder / "root")).slides:
        ids = open_spots(slide).ids.to_pylist()
        vectors = 7 + rng.normal(size=(len(ids), 6))
        write_embeddings(tmp_path / f"vectors/{slide.name}.parquet", ids, slide.name, vectors, "another")
    asked = ("towers.second=vectors", "panel=null", "epochs=1", f"vectors={tmp_path / 'vectors'}")
    done = finetune(folder, tmp_path / "run", *asked, "vector_head=mlp")
    assert done.returncode == 0, done.stderr
    model = SpotClipModel.from_pretrained(tmp_path / "run/model")
    assert model.config.vector_width == 6 and model.gene_tower.mean.numpy() == pytest.approx(7, abs=0.5)
    assert model.get_gene_features(vectors=torch.zeros(2, 6)).shape == (2, model.config.latent_dim)
    for file in (tmp_path / "vectors").glob("*.parquet"):
        table = pd.read_parquet(file)
        write_embeddings(file, table["spot_id"], file.stem, np.zeros((len(table), 5)), "another")
    done = finetune(folder, tmp_path / "other", *asked, f"towers.image={tmp_path / 'run/model'}", "vector_head=mlp")
    assert done.returncode == 1 and "takes vectors of length 6," in done.stderr


def test_a_panel_is_standardised_unless_it_is_not_to_be(tuned, folder, tmp_path):
    one = load_file(tuned / "model/model.safetensors")
    assert one["gene_tower.mean"].max() > 0.5 and one["gene_tower.std"].min() > 0
    done = finetune(folder, tmp_path / "run", "epochs=1", "standardise=false")
    assert done.returncode == 0, done.stderr
    other = load_file(tmp_path / "run/model/model.safetensors")
    assert not other["gene_tower.mean"].any() and (other["gene_tower.std"] == 1).all()
    assert losses(tmp_path / "run")[0] != losses(tuned)[0]
