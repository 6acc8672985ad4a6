"""Intervals over groups: how often they cover what is true, and how they reach results and comparisons."""

import json

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from stimage.scores.intervals import LEAST, group_interval, mean_interval, paired_difference, told
from stimage.scores.probe_scores import FoldPredictions, confusion, macro_f1, summarise
from tests.evaluation.scripts import embed, run
from tests.roots import write_slide

GROUPS = (6, 10, 20, 40)
TIMES = 1500  # results that are made: coverage is then known to 0.6 %


def coverage(found: list[dict], truth: float) -> float:
    return float(np.mean([one["low"] <= truth <= one["high"] for one in found]))


@pytest.mark.parametrize("g", GROUPS)
def test_coverage_of_a_mean_over_slides_of_studies(g):
    """Studies have 1 to 4 slides, whose scores are alike; 95 % of intervals have what all studies would give."""
    rng = np.random.default_rng(g)
    found = []
    for _ in range(TIMES):
        slides = rng.integers(1, 5, g)
        own = np.repeat(np.arange(g), slides)
        found.append(mean_interval(rng.normal(0.3, 0.1, g)[own] + rng.normal(0, 0.05, len(own)), own))
    assert 0.93 <= coverage(found, 0.3) <= 0.97


@pytest.mark.parametrize("g", GROUPS)
def test_coverage_of_a_known_difference(g):
    """Slides that are hard are hard for both results; the one is 0.03 better on average, more on some slides."""
    rng = np.random.default_rng(g)
    found, alone = [], []
    for _ in range(TIMES):
        hard = rng.beta(2, 4, g)
        worse = hard + rng.normal(0, 0.01, g)
        better = hard + 0.03 + rng.normal(0, 0.03, g)
        one, other = (mean_interval(values, range(g)) for values in (better, worse))
        found.append(paired_difference(one, other))
        alone.append(one)
    assert 0.93 <= coverage(found, 0.03) <= 0.97
    widths = [np.mean([one["high"] - one["low"] for one in some]) for some in (found, alone)]
    assert widths[0] < widths[1] / 2


@pytest.mark.parametrize("g", GROUPS)
def test_coverage_of_the_macro_f1_of_all_spots(g):
    """Slides differ in size, in which of three labels they have, and in how well these are told."""
    rng, k = np.random.default_rng(g), 3
    confused = (1 - np.eye(k)) / (k - 1)

    def matrices(n):
        own = rng.dirichlet([2] * k, n)[:, :, None] * rng.integers(100, 500, (n, 1, 1))
        right = rng.beta(6, 4, (n, 1, 1))
        return own * (right * np.eye(k) + (1 - right) * confused)

    truth, found = float(macro_f1(matrices(100_000).sum(0), True)), []
    for _ in range(TIMES):
        drawn = matrices(g)
        without = macro_f1(drawn.sum(0) - drawn, True)
        found.append(group_interval(float(macro_f1(drawn.sum(0), True)), dict(enumerate(without))))
    assert 0.925 <= coverage(found, truth) <= 0.97


def test_a_percentile_bootstrap_of_five_groups_covers_too_little():
    """Why intervals are Student's, and why none is given of so few."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(TIMES, 5))
    means = values[:, rng.integers(0, 5, (400, 5))].mean(2)
    low, high = np.percentile(means, (2.5, 97.5), axis=1)
    assert 0.78 < np.mean((low <= 0) & (high >= 0)) < 0.88


def test_a_value_a_group_has_students_interval():
    values = np.random.default_rng(0).normal(size=8)
    found, want = mean_interval(values, list("abcdefgh")), ttest_1samp(values, 0).confidence_interval()
    assert (found["low"], found["high"]) == pytest.approx((want.low, want.high))
    other = mean_interval(values[::-1] ** 2, list("abcdefgh"))
    apart, want = paired_difference(found, other), ttest_1samp(values - values[::-1] ** 2, 0).confidence_interval()
    assert (apart["low"], apart["high"]) == pytest.approx((want.low, want.high))
    assert told(apart).endswith("(8 groups)")
    odd = [mean_interval(some, ["value", *"bcdefgh"]) for some in (values, values[::-1] ** 2)]
    assert paired_difference(*odd)["high"] == pytest.approx(want.high)  # whatever a group is called


def test_too_few_groups_to_tell():
    few = mean_interval(range(20), list("abcde") * 4)
    assert np.isnan(few["low"]) and few["groups"] == 5 < LEAST and few["value"] == 9.5
    assert told(few) == "too few groups to tell (5; 6 are needed)"
    lone = mean_interval([0.5, np.nan], ["a", "b"])
    assert lone["value"] == 0.5 and lone["groups"] == 1 and np.isnan(lone["without"]["a"])
    assert mean_interval([np.nan], ["a"])["groups"] == 0
    with pytest.raises(ValueError, match="other groups"):
        paired_difference(few, lone)


def test_the_probe_leaves_out_one_group_at_a_time():
    rng = np.random.default_rng(0)
    labels, groups = rng.integers(0, 3, 700), np.repeat(list("abcdefg"), 100)
    scores = rng.normal(size=(700, 3)) + np.eye(3)[labels]
    rows = np.split(rng.permutation(700), [300])
    found = summarise(FoldPredictions(rows, [scores[some] for some in rows]), labels, groups, all_named=True)
    interval = found["intervals"]["macro_f1_together"]
    assert found["macro_f1_together"] == macro_f1(confusion(labels, scores.argmax(1), 3), True)
    rest = groups != "c"
    assert interval["without"]["c"] == macro_f1(confusion(labels[rest], scores[rest].argmax(1), 3), True)
    assert interval["low"] < interval["value"] < interval["high"]


def test_intervals_and_ceilings_reach_every_table(tmp_path, capsys):
    for k in range(6):
        write_slide(tmp_path / "root", f"S{k}", "ST", side=6, seed=k)
    made = {}
    for name in ("one", "other"):
        embed(tmp_path / "root", tmp_path / name, size=4 if name == "one" else 6, model=name)
        done = run(capsys, "predict_expression.py", "--embeddings", tmp_path / name, "--root", tmp_path / "root", "--n",
                   4, "--maps", 0, out=tmp_path / f"out_{name}")  # fmt: skip
        assert not done.error, done.error
        made[name] = done.results
    r = [made["one"]["slides"][f"S{k}"]["pearson"] for k in range(6)]
    want, found = ttest_1samp(r, 0).confidence_interval(), made["one"]["overall"]["intervals"]["pearson"]
    assert (found["low"], found["high"]) == pytest.approx((want.low, want.high))
    assert "95 % interval: " in done.printed and "above gene mean by " in done.printed and "(6 groups)" in done.printed
    fold = made["one"]["overall"]["folds"][0]
    assert set(fold["ceilings"]) == set(fold["by_gene"]) and {"ceiling", "of_ceiling", "ceiling_genes"} <= fold.keys()
    done = run(capsys, "compare.py", tmp_path / "out_one", tmp_path / "out_other", out=tmp_path / "compared")
    assert not done.error, done.error
    text = (tmp_path / "compared/differences.csv").read_text()
    apart = np.mean([made["other"]["slides"][f"S{k}"]["pearson"] for k in range(6)]) - np.mean(r)
    assert f"per_slide.pearson,out_other,out_one,{apart:+.3f}," in text and "| out_other | out_one |" in done.printed
    results = json.loads((tmp_path / "out_other/results.json").read_text())
    results["overall"]["per_slide"]["intervals"]["pearson"]["without"].pop("S0")
    (tmp_path / "out_other/results.json").write_text(json.dumps(results))
    done = run(capsys, "compare.py", tmp_path / "out_one", tmp_path / "out_other", out=tmp_path / "compared")
    assert "cannot be paired" in done.error and "other groups" in done.error
