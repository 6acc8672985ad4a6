"""The authors' runs: their settings on tables of expression as they made them, and a model of each epoch."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from safetensors.torch import load_file

import stimage
from stimage.training.settings.reading import read_settings
from tests.training.finetuning import finetune

CONFIGS = Path(__file__).parents[2] / "configs/finetune"
GROUPS = {
    "dlpfc": {"pmid": "33558695"},
    "human_brain": {"species": "human", "tissue": "brain"},
    "human_breast": {"species": "human", "tissue": "breast"},
    "mouse_brain": {"species": "mouse", "tissue": "brain"},
}
TABLES = {"hvg": "count_hvg.csv", "overlap_hvg": "count_overlap_hvg.csv"}


@pytest.mark.parametrize("genes", TABLES)
@pytest.mark.parametrize("group", GROUPS)
def test_settings_are_the_authors(group, genes):
    found = read_settings(CONFIGS / f"original_{group}_{genes}.yaml", (), "ROOT")
    data, own = found.data, found.optimiser
    assert {name: value for name in ("pmid", "species", "tissue") if (value := getattr(data, name))} == GROUPS[group]
    assert data.vectors == f"out/{group}/{TABLES[genes]}" and not data.augment and data.split_by is None
    assert (found.towers.image, found.towers.latent_dim) == ("openai/clip-vit-base-patch32", 32)
    assert (own.kind, own.lr, own.betas, own.eps, own.weight_decay) == ("adam", 5e-5, (0.9, 0.98), 1e-6, 0.2)
    assert (own.warmup, own.cosine, own.clip_norm, found.loss.clamp) == (0, False, None, False)
    assert (found.loss.batch_size, found.run.epochs, found.run.mixed_precision) == (1024, 15, "no")
    assert found.run.epoch_models and not found.towers.standardise


def settings_of(folder: Path, config: str, **data) -> Path:
    """A shipped configuration for a small root: a tiny tower, and few spots a batch."""
    made = {"base": str(CONFIGS / config), "towers": {"image": str(folder / "clip")}, "data": data,
            "loss": {"batch_size": 32}, "run": {"epochs": 2, "workers": 0}}  # fmt: skip
    path = folder / "settings.yaml"
    path.write_text(yaml.safe_dump(made))
    return path


@pytest.mark.parametrize("genes", TABLES)
def test_a_run_on_such_a_table(folder, tmp_path, genes):
    root = stimage.open_root(folder / "root", "Visium", species="human", tissue="breast")
    stimage.export_expression(root, tmp_path, genes.replace("_", "-"), 16, stacked=genes == "hvg")
    (tmp_path / "root").symlink_to(folder / "root")
    (tmp_path / "clip").symlink_to(folder / "clip")
    settings_of(tmp_path, f"original_human_breast_{genes}.yaml", tech="Visium", vectors=str(tmp_path / TABLES[genes]))
    done = finetune(tmp_path, tmp_path / "run")
    assert done.returncode == 0, done.stderr
    assert np.isfinite(json.loads((tmp_path / "run/results.json").read_text())["losses"]).all()
    weights = load_file(tmp_path / "run/model/model.safetensors")
    assert [tuple(one.shape) for name, one in weights.items() if one.shape[-1:] == (16,) and one.ndim == 2] == [
        (32, 16)
    ]
    assert sorted(path.name for path in (tmp_path / "run/epochs").iterdir()) == ["epoch-01", "epoch-02"]


def test_a_model_of_each_epoch(tuned, folder, tmp_path):
    """The same run with the models of its epochs: one of these is the best, and all can be embedded with."""
    done = finetune(folder, tmp_path / "run", "epoch_models=true")
    assert done.returncode == 0, done.stderr
    epochs = sorted((tmp_path / "run/epochs").iterdir())
    files = [(path / "model.safetensors").read_bytes() for path in epochs]
    best = json.loads((tmp_path / "run/results.json").read_text())["overall"]["epoch"]
    assert len(files) == 2 and files[0] != files[1]
    assert (tmp_path / "run/model/model.safetensors").read_bytes() == files[int(best) - 1]
    assert not (tuned / "epochs").exists()
    root = stimage.open_root(folder / "root", "Visium", species="human")
    assert len(stimage.embed(root, epochs[0])) == len(stimage.embed(root, epochs[1]))


def test_stacked_tables_have_ranks(folder, tmp_path):
    root = stimage.open_root(folder / "root", "Visium", species="human")
    for form, read in (("csv", pd.read_csv), ("parquet", pd.read_parquet)):
        written = stimage.export_expression(root, tmp_path, n=5, stacked=True, form=form)
        stacked = read(tmp_path / f"count_hvg.{form}")
        parts = [read(path) for path in written.values()]
        assert stacked.columns.tolist() == ["SPOT", "0", "1", "2", "3", "4"]
        assert stacked["SPOT"].tolist() == [spot for part in parts for spot in part["SPOT"]]
        assert np.array_equal(
            stacked.iloc[:, 1:].to_numpy(), np.vstack([part.iloc[:, 1:].to_numpy() for part in parts])
        )
    with pytest.raises(ValueError, match="stacked= "):
        stimage.export_expression(root, tmp_path, "overlap-hvg", stacked=True)
