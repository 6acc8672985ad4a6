"""Means over tasks, their intervals and paired differences; and intervals over studies, whose slides are alike."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import stimage
from stimage.jobs.benchmarks.dealt import predict_dealt
from stimage.jobs.benchmarks.tabulating import apart_over_units, by_task, by_unit, of_ceilings, over_units
from stimage.scores.intervals import mean_interval
from tests.evaluation.scripts import embed
from tests.roots import write_slide


def found_of(values: dict[tuple[str, str, str], float], groups: dict[str, str] | None = None) -> pd.DataFrame:
    """Return what a benchmark finds, of task, unit and encoder → value."""
    rows = [(*key, value, (groups or {}).get(key[1], key[1]), "there") for key, value in values.items()]
    return pd.DataFrame(rows, columns=["task", "unit", "encoder", "value", "group", "results"])


def test_means_are_over_units_with_students_interval():
    rng = np.random.default_rng(0)
    a, b = rng.normal(0.5, 0.1, 8), rng.normal(0.6, 0.1, 8)
    found = found_of({("t", f"u{k}", name): own[k] for k in range(8) for name, own in (("a", a), ("b", b))})
    _, first, second = over_units(found, ["a", "b"])
    low, high = stats.t.interval(0.95, 7, a.mean(), stats.sem(a))
    assert first == ["t", "a", f"{a.mean():.3f}", "8", f"{low:.3f} to {high:.3f} (8 groups)"] and second[1] == "b"
    low, high = stats.t.interval(0.95, 7, (b - a).mean(), stats.sem(b - a))
    apart = ["t", "b", "a", f"{(b - a).mean():+.3f}", f"{low:.3f} to {high:.3f} (8 groups)"]
    assert apart_over_units(found, ["a", "b"])[1:] == [apart]


def test_a_figure_that_no_encoder_has_is_compared_with_none():
    found = found_of({("t", "u", "a"): np.nan, ("t", "u", "b"): np.nan, ("t", "u", "gene mean"): 0.1})
    assert apart_over_units(found, ["a", "b"])[1:] == []
    assert [line[1] for line in over_units(found, ["a", "b"])[1:]] == ["gene mean"]


def test_units_that_share_slides_are_one_group_over_all_tasks():
    """A task whose unit has the slides of all others takes no interval from a task whose own units share none."""
    values = {("t", f"u{k}", "a"): k / 10 for k in range(7)}
    assert over_units(found_of(values), ["a"])[1][-1].endswith("(7 groups)")
    values["other", "u7", "a"] = 0.5
    one = {unit: "u0" for _, unit, _ in values}
    lines = {tuple(line[:2]): line[-1] for line in over_units(found_of(values, one), ["a"])}
    assert lines["t", "a"].endswith("(7 groups)")
    assert lines["all tasks", "a"] == "too few groups to tell (1; 6 are needed)"
    shared = {"u5": "u0", "u6": "u0", "u7": "u1"}
    assert over_units(found_of(values, shared), ["a"])[-1][-1] == "too few groups to tell (5; 6 are needed)"


def test_the_mean_over_all_tasks_is_of_units_that_each_encoder_has():
    values = {(task, f"{task}{k}", name): base + k / 100 for k in range(3) for task in ("r", "f")
              for name, base in (("a", 0.1), ("b", 0.2))}  # fmt: skip
    values |= {("joint", "all", "a"): 0.9, ("joint", "all", "b"): None, ("r", "r0", "gene mean"): 0.0}
    lines = {tuple(line[:2]): line[2:] for line in over_units(found_of(values), ["a", "b"])[1:]}
    assert lines["all tasks", "a"][:2] == ["0.110", "6"] and lines["all tasks", "b"][:2] == ["0.210", "6"]
    assert lines["joint", "a"][:2] == ["0.900", "1"] and ("joint", "b") not in lines
    assert ("all tasks", "gene mean") not in lines


def test_a_figure_that_is_not_known_has_no_interval():
    known, names = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, float("nan")], list("abcdefg")
    assert mean_interval(known, names)["groups"] == 6
    strict = mean_interval(known, names, of_known=False)
    assert np.isnan([strict[key] for key in ("value", "low", "high")]).all() and strict["groups"] == 7
    rows = [(task, "ridge", "a", r, 0.01) for task, r in zip(names, known)]
    table = by_task(pd.DataFrame(rows, columns=["task", "head", "encoder", "pearson", "std"]))
    assert table[1][-2:] == ["nan", "not known of all groups"]


def test_shares_of_ceilings_stand_in_a_table_of_their_own_where_any_is_known():
    found = found_of({(task, "u", name): 0.3 for task in ("r", "f") for name in ("a", "b", "gene mean")})
    found["of_ceiling"] = [0.5, None, 0.0, None, None, None]
    assert of_ceilings(found) == [["task", "unit", "a", "b", "gene mean"], ["r", "u", "0.500", "", "0.000"]]
    hest = found.assign(of_ceiling=0.25, head="ridge").drop(columns="unit")
    lines = [[task, "ridge", "0.250", "0.250", "0.250"] for task in ("r", "f")]
    assert of_ceilings(hest) == [["task", "head", "a", "b", "gene mean"], *lines]


def test_a_line_of_a_unit_says_when_its_groups_are_too_few_for_an_interval():
    """Otherwise a figure stands without its interval, and nothing says why; chance has no groups at all."""
    found = found_of({("t", unit, name): 0.5 for unit in ("many", "few", "none") for name in ("a", "chance")})
    found = found.assign(slides=9, low=np.nan, high=np.nan, groups=np.nan)
    found.loc[(found.unit == "many") & (found.encoder == "a"), ["low", "high", "groups"]] = 0.4, 0.6, 7
    found.loc[(found.unit == "few") & (found.encoder == "a"), "groups"] = 5
    heads, many, few, none = by_unit(found)
    assert heads == ["task", "unit", "slides", "groups", "a", "chance"]
    assert many[3:] == ["7", "0.500 [0.400, 0.600]", "0.500"]
    assert few[3:] == ["too few groups to tell (5; 6 are needed)", "0.500", "0.500"]
    assert none[3:] == ["", "0.500", "0.500"]


def test_seeds_of_a_task_whose_test_slides_are_of_one_study_are_one_group(tmp_path):
    """Seven seeds deal the slides of two studies again and again: these are no seven groups."""
    for k in range(6):
        write_slide(tmp_path / "root", f"S{k}", "Visium", side=6, seed=k, meta={"pmid": str(k % 2)})
    embeddings = embed(tmp_path / "root", tmp_path / "e")
    found = predict_dealt(tmp_path / "root", embeddings, n=3, seeds=[3, 4, 5, 6, 7, 8, 9], out=tmp_path / "out")
    folds, pooled = found.overall["folds"], found.overall["pooled"]
    assert [fold["seed"] for fold in folds] == [3, 4, 5, 6, 7, 8, 9] and len({fold["pearson"] for fold in folds}) > 1
    assert pooled["pearson"]["mean"] == pytest.approx(np.mean([fold["pearson"] for fold in folds]))
    assert pooled["intervals"]["pearson"]["groups"] == 2
    assert json.loads((tmp_path / "out/results.json").read_text())["seeds"] == [3, 4, 5, 6, 7, 8, 9]
    assert stimage.verify(tmp_path / "out") == []
    for seeds in ([], [1, 1], [0.5], 3, ["0"], [True], [-1]):
        with pytest.raises(ValueError, match="pass a list of whole numbers of 0 or more, each once"):
            predict_dealt(tmp_path / "root", embeddings, seeds=seeds)


@pytest.mark.parametrize("protocol", ["original", "stimage-bench"])
def test_intervals_are_over_studies_whose_slides_are_alike(tmp_path, protocol):
    """Two slides of each of seven studies, and one of no known study: eight groups."""
    for k in range(15):
        pmid = str(k // 2) if k < 14 else ""
        write_slide(tmp_path / "root", f"S{k:02d}", "Visium", side=6, seed=k, meta={"pmid": pmid})
    embeddings = embed(tmp_path / "root", tmp_path / "e")
    if protocol == "original":
        overall = stimage.predict(tmp_path / "root", embeddings, "original").overall
        interval, per_slide = overall["intervals"]["pearson"], overall["pearson"]["mean"]
        groups = {*map(str, range(7)), "S14"}
    else:
        found = predict_dealt(tmp_path / "root", embeddings, n=3)
        interval, per_slide = found.overall["per_slide"]["intervals"]["pearson"], found.overall["pearson"]["mean"]
        tested = {int(name[1:]) for name in found.slides}
        groups = {str(k // 2) if k < 14 else "S14" for k in tested}
    assert set(interval["without"]) == groups and interval["value"] == pytest.approx(per_slide)
