"""Scores of held-out slides: of all their spots, by steps too, over seeds; and none where there is nothing to score."""

import json
import os
import shutil

import numpy as np
import pandas as pd
import pytest

from stimage.core.errors import DataError
from stimage.jobs.finetuning import FineTuned
from stimage.training.data.parts import need_held_out
from stimage.training.seeds import seeds_line, spread
from stimage.training.settings.reading import make_settings
from stimage.training.validation import every_row
from tests.training.finetuning import HELD_OUT, finetune

SEED_RUNS = ["seeds=[0, 1]", "epochs=1"]


@pytest.mark.parametrize("slides_per_batch", [None, 1, 2])
def test_each_held_out_spot_counts_once_in_batches_of_one_size(slides_per_batch):
    slide = np.repeat([0, 1, 2], [50, 7, 43])
    batches = list(every_row(slide, 32, 0, slides_per_batch))
    assert [len(rows) for rows, _ in batches] == [32] * 4 and sum(own for _, own in batches) == 100
    assert all(len(set(rows.tolist())) == 32 for rows, _ in batches)
    assert set(np.concatenate([rows[:own] for rows, own in batches]).tolist()) == set(range(100))
    ((rows, own),) = every_row(np.zeros(20, int), 20, 0, slides_per_batch)
    assert len(rows) == own == 20


def test_validation_by_steps(folder, tuned, tmp_path):
    # each in a process of its own, as the run to compare with: other threads would round sums otherwise
    done = finetune(folder, tmp_path / "run", "validate_steps=2", "checkpoint_steps=1", env=os.environ)
    assert done.returncode == 0, done.stderr
    found, before = (json.loads((run / "results.json").read_text()) for run in (tmp_path / "run", tuned))
    steps = len(before["losses"]) // 2
    assert [one["step"] for one in found["history"]] == sorted({0, steps, 2 * steps, *range(2, 2 * steps, 2)})
    of_epochs = [one for one in found["history"] if one["epoch"] == int(one["epoch"])]
    assert [one["loss"] for one in of_epochs] == [one["loss"] for one in before["history"]]  # training is the same
    best = min(found["history"][1:], key=lambda one: one["loss"])
    assert found["overall"] == best
    checkpoints = sorted((tmp_path / "run/checkpoints").glob("step-*"))
    shutil.rmtree(checkpoints[-1])  # as of a run that was killed before its last one
    again = finetune(folder, tmp_path / "run", "validate_steps=2", "checkpoint_steps=1", env=os.environ)
    assert again.returncode == 0, again.stderr
    history = json.loads((tmp_path / "run/results.json").read_text())["history"]
    assert [one["loss"] for one in history] == [one["loss"] for one in found["history"]]


def test_validation_after_more_steps_than_there_are(folder, tmp_path):
    done = finetune(folder, tmp_path / "run", "validate_steps=9999", "epochs=1")
    assert done.returncode == 0 and "note: run.validate_steps is 9999, more than the " in done.stdout
    assert len(json.loads((tmp_path / "run/results.json").read_text())["history"]) == 2


def test_a_run_over_seeds(folder, tmp_path):
    done = finetune(folder, tmp_path / "run", *SEED_RUNS)
    assert done.returncode == 0, done.stderr
    assert "2 seeds, mean ± std:  train loss" in done.stdout
    found = FineTuned(tmp_path / "run")
    each = {seed: FineTuned(tmp_path / f"run/seed-{seed}") for seed in (0, 1)}
    assert found.runs == each and found.model == each[0].model
    losses = [one.overall["loss"] for one in each.values()]
    assert losses[0] != losses[1] and each[1].results["seeds"] == [1]
    assert found.overall["loss"] == pytest.approx({"mean": np.mean(losses), "std": np.std(losses, ddof=1)})
    assert isinstance(found.history, pd.DataFrame) and set(found.history.seed) == {0, 1}
    kept = (each[0].folder / "results.json").read_bytes()
    shutil.rmtree(each[1].folder)  # killed before its second seed, which is done again, and one is added
    done = finetune(folder, tmp_path / "run", "seeds=[0, 1, 2]", "epochs=1")
    assert done.returncode == 0, done.stderr
    assert json.loads((each[0].folder / "results.json").read_text())["losses"] == json.loads(kept)["losses"]
    assert FineTuned(tmp_path / "run").results["by_seed"]["1"]["loss"] == losses[1]
    assert "seed-0: has a run with optimiser.lr" in finetune(folder, tmp_path / "run", *SEED_RUNS, "lr=0.5").stderr


def test_of_one_seed_there_is_no_spread():
    one = spread([{"loss": 1.5, "epoch": 3, "train_loss": None}])
    assert one == {"loss": {"mean": 1.5, "std": None}} and "±" not in seeds_line(one, 1).partition(":")[2]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [(["seeds=[1, 1]"], "run.seeds: has 1 twice"), (["seeds=[-1]"], "run.seeds: is ['-1']; must be a list of whole"),
     (["seeds=3"], "run.seeds: is 3; must be a list"), (["validate_steps=0"], "run.validate_steps: is 0; must be"),
     (["validate_steps=1.5"], "run.validate_steps: is 1.5; must be a whole number")],
)  # fmt: skip
def test_what_can_not_be_is_told(folder, tmp_path, overrides, message):
    done = finetune(folder, tmp_path / "run", *overrides)
    assert done.returncode == 1 and message in done.stderr and not (tmp_path / "run").exists()


def test_seeds_are_not_pushed(folder, tmp_path):
    done = finetune(folder, tmp_path / "run", *SEED_RUNS, options=("--push-to-hub", "a/b"))
    assert done.returncode == 1 and "leave out push_to_hub= (--push-to-hub)" in done.stderr


def test_a_validation_part_that_is_empty_stops_the_run(folder, tmp_path):
    (tmp_path / "splits.csv").write_text(f"slide,split\nHuman_Breast_Sample3_Visium_A1,train\n{HELD_OUT[0]},test\n")
    done = finetune(folder, tmp_path / "run", "validation_slides=null", f"splits={tmp_path / 'splits.csv'}")
    assert done.returncode == 1 and "data.splits: asks for slides to hold out, but" in done.stderr
    assert not (tmp_path / "run/checkpoints").exists()
    base = {"source": "x", "towers.second": "text"}
    assert not need_held_out(make_settings(base), [])  # a run that asks for nothing goes on
    assert not need_held_out(make_settings({**base, "split_by": "slide", "split_fractions": [0.9, 0, 0.1]}), [])
    assert need_held_out(make_settings({**base, "validation_slides": ["a"]}), ["a"])
    with pytest.raises(DataError, match=r"data\.split_by: asks for slides to hold out"):
        need_held_out(make_settings({**base, "split_by": "slide"}), ())
