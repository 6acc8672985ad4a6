"""What a run's settings make of accelerate, checkpoints, the optimiser and its schedule."""

import json

import pytest
import torch

from stimage.training.checkpoints import claim
from stimage.training.launch import make_accelerator, with_precision
from stimage.training.optimizer import choose_tuned, make_optimizer, make_schedule, realign
from stimage.training.settings.groups import TowerSettings, flat
from stimage.training.settings.reading import RENAMED, make_settings, read_record
from tests.training.test_settings import LEAST, refused


@pytest.mark.parametrize(
    ("asked", "launched", "found"),
    [(None, None, "no"), (None, "bf16", "bf16"), (None, "no", "no"), ("tf32", "no", "tf32"), ("bf16", "no", "bf16"),
     ("bf16", "bf16", "bf16"), ("no", "bf16", None), ("fp16", "bf16", None), (None, "fp8", None)],
)  # fmt: skip
def test_precision_is_accelerates_unless_settings_name_one(monkeypatch, asked, launched, found):
    monkeypatch.delenv("ACCELERATE_MIXED_PRECISION", raising=False)
    if launched:
        monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", launched)
    settings = make_settings(LEAST | {"mixed_precision": asked})
    if found:
        assert with_precision(settings).run.mixed_precision == found
    else:
        with refused(f"mixed_precision: is {asked or 'null'}, but accelerate launch was told {launched}"):
            with_precision(settings)


def test_runs_of_one_process_have_each_their_own_precision(tmp_path):
    def precision(asked: str, compiled: bool) -> tuple[str, str]:
        launched = make_accelerator(make_settings(LEAST | {"mixed_precision": asked, "compile": compiled}), tmp_path)
        return launched.mixed_precision, str(launched.state.dynamo_plugin.backend.value)

    expected = [("bf16", "NO"), ("no", "INDUCTOR"), ("bf16", "NO")]
    assert [precision("bf16", False), precision("no", True), precision("bf16", False)] == expected


def test_a_run_of_before_the_groups_is_known(tmp_path):
    new = make_settings({"source": "root", "panel": "p.json", "lr": 0.5, "tech": "ST", "mixed_precision": "no"}).record
    short = {name.partition(".")[2]: value for name, value in flat(new).items()}
    old = {to: short.pop(name.partition(".")[2]) for to, name in RENAMED.items()} | short
    assert read_record(old) == read_record(new) == flat(new)
    (tmp_path / "model").mkdir()
    (tmp_path / "settings.json").write_text(json.dumps(old))
    assert claim(tmp_path, new) == flat(new)
    (tmp_path / "settings.json").write_text(json.dumps(old | {"vision": "other"}))
    with refused("has a run with towers.image='other', not 'openai/clip-vit-base-patch32'; pass another out= "):
        claim(tmp_path, new)
    for damaged in ("[]", "{", '{"data": {}}', "3"):
        (tmp_path / "settings.json").write_text(damaged)
        with refused("settings.json: is damaged"):
            claim(tmp_path, new)


def test_more_epochs_follow_the_longer_schedule():
    settings = make_settings(LEAST | {"lr": 0.5, "warmup": 0.2}).optimiser
    model = torch.nn.Linear(2, 2)

    def schedule(steps: int):
        return make_schedule(make_optimizer(model, settings), settings, steps)

    short, long, whole = schedule(10), schedule(20), schedule(20)
    for _ in range(10):
        short.optimizer.step()
        short.step()
        whole.optimizer.step()
        whole.step()
    assert short.get_last_lr() == pytest.approx([0, 0])
    long.optimizer.load_state_dict(short.optimizer.state_dict())
    long.load_state_dict(short.state_dict())
    realign(long)
    rates = [[group["lr"] for group in one.optimizer.param_groups] for one in (long, whole)]
    assert rates[0] == rates[1] and min(rates[0]) > 0.2


def test_more_layers_than_there_are_cannot_be_frozen():
    tower = torch.nn.ModuleDict({"vision_model": torch.nn.ModuleDict()})
    tower["vision_model"]["encoder"] = torch.nn.ModuleDict({"layers": torch.nn.ModuleList([torch.nn.Linear(1, 1)])})
    choose_tuned(tower, TowerSettings(freeze_layers=1))
    assert not any(parameter.requires_grad for parameter in tower.parameters())
    with refused("freeze_layers: is 2; the image tower has fewer layers: 1"):
        choose_tuned(tower, TowerSettings(freeze_layers=2))
