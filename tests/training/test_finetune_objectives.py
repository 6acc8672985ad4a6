"""Fine-tuning by each objective, with neighbours, caps and balance, through the script."""

import json

import pytest
import torch

from stimage.towers.joint.modeling_spot_clip import SpotClipModel
from tests.training.finetuning import finetune, losses

EPOCH = ("run.epochs=1",)


@pytest.mark.parametrize("kind", ["siglip", "soft"])
def test_an_objective_trains_and_its_model_says_so(folder, tmp_path, kind):
    overrides = (f"objective={kind}", "neighbour_um=150", "spots_per_slide=40", "balance=study")
    done = finetune(folder, tmp_path / "out", "run.epochs=8", *overrides)  # of one step each, with so few spots
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "out/results.json").read_text())
    begin, *_, end = (scores["loss"] for scores in found["history"])
    assert found["settings"]["loss"]["objective"] == kind and end < begin
    model = SpotClipModel.from_pretrained(tmp_path / "out/model")
    assert (model.logit_bias is not None) == (kind == "siglip")
    if kind == "siglip":
        assert model.logit_bias.shape == () and -10.5 < model.logit_bias.item() < -9 and model.logit_bias.item() != -10
        again = finetune(folder, tmp_path / "again", *EPOCH, f"towers.image={tmp_path / 'out/model'}")
        assert again.returncode == 0, again.stderr  # on by CLIP's loss, which has no bias
        assert SpotClipModel.from_pretrained(tmp_path / "again/model").logit_bias is None


def test_a_cap_makes_epochs_shorter(folder, tmp_path):
    counted = []
    for name, more in (("all", ()), ("capped", ("spots_per_slide=40",))):
        assert finetune(folder, tmp_path / name, *EPOCH, *more).returncode == 0
        counted.append(len(losses(tmp_path / name)))
    assert counted[1] < counted[0]


def test_neighbours_change_the_loss_and_need_a_scale(folder, tmp_path):
    first = []
    for name, more in (("none", ()), ("near", ("neighbour_um=400",))):
        done = finetune(folder, tmp_path / name, *EPOCH, *more)
        assert done.returncode == 0, done.stderr
        first.append(losses(tmp_path / name)[0])
    assert first[1] < first[0] - 0.01  # fewer negatives
    assert torch.isfinite(torch.tensor(first)).all()


def test_what_an_objective_can_not_do(folder, tmp_path):
    done = finetune(folder, tmp_path / "out", "towers.second=text", "objective=siglip")
    assert (
        "loss.objective: is siglip, which needs a gene tower that takes a panel; a text tower takes clip alone"
        in done.stderr
    )
    assert "must be clip, siglip or soft" in finetune(folder, tmp_path / "out", "objective=triplet").stderr
