"""Noise ceilings: on made counts of known rates, where the best prediction there can be is known."""

import numpy as np
import pytest
from scipy.stats import poisson

from stimage.evaluation.averages import beside_ceiling
from stimage.scores.ceilings import Ceilings, count_noise, noise_ceilings
from stimage.scores.ridge import pearson

MEANS = np.array([0.02, 0.1, 0.3, 1, 2, 5, 8, 15, 30, 60] * 2)
SPREAD = np.repeat([0.5, 1.0], 10)  # of rates over spots: standard deviation by mean
DRAWS = 40


def made(kind: str, n: int, seed: int = 0):
    """Return values, their noise, and the best correlation, of genes whose rates vary over n spots by a gamma law.

    The best is found by drawing the counts of the same rates again and again: their mean is what a perfect predictor
    says. Of normalised counts, libraries vary, and other genes have the rest of some 3,000 counts a spot.
    """
    rng = np.random.default_rng([seed, n])
    rates = rng.gamma(1 / SPREAD**2, SPREAD**2 * MEANS, (n, len(MEANS)))
    library = rng.lognormal(0, 0.5, n) if kind == "median-log1p" else np.ones(n)

    def draw():
        counts = rng.poisson(rates * library[:, None])
        totals = counts.sum(1) + rng.poisson((3000 - MEANS.sum()) * library)
        if kind == "counts":
            return counts.astype(float), None, counts
        scale = np.median(totals) / totals if kind == "median-log1p" else np.ones(n)
        return np.log1p(counts * scale[:, None]), scale, counts

    many = [draw()[0] for _ in range(DRAWS)]
    total = np.mean([one.var(0) for one in many], 0)
    known = np.mean(many, 0)
    signal = (known.var(0) - total / DRAWS) / (1 - 1 / DRAWS)
    values, scale, counts = draw()
    return values, count_noise(counts, scale), np.sqrt(np.maximum(signal, 0) / total), known


@pytest.mark.parametrize("kind", ["counts", "log1p", "median-log1p"])
def test_ceilings_are_those_of_known_rates(kind):
    within = []
    for seed in (1, 2):
        values, noise, best, known = made(kind, 5000, seed)
        found = noise_ceilings(values, noise)
        off = np.abs(found.value - best)
        assert (off[MEANS >= 5] < 0.02).all() and np.isfinite(found.known[MEANS >= 5]).all()
        assert np.isnan(found.known[0]) and (found.error[np.isnan(found.known)] > 0.05).all()
        share = beside_ceiling(pearson(values, known), found)  # a prediction that knows the rates
        assert 0.95 < share["of_ceiling"] < 1.05 and 10 < share["ceiling_genes"] < 20
        within += (off <= 2 * found.error).tolist()
    assert np.mean(within) >= 0.95


@pytest.mark.parametrize("kind", ["counts", "log1p", "median-log1p"])
def test_few_spots_are_within_two_standard_errors(kind):
    """Of 300 spots, most ceilings are not known; of those that are, 19 of 20 are within two standard errors."""
    off = []
    for seed in range(8):
        values, noise, best, _ = made(kind, 300, seed)
        found = noise_ceilings(values, noise)
        known = np.isfinite(found.known)
        assert 0 < known.sum() < len(known)
        off += ((found.value - best) / found.error)[known].tolist()
    assert (np.abs(off) <= 2).mean() >= 0.95 and abs(np.mean(off)) < 0.5


@pytest.mark.parametrize("scale", [0.3, 1.0, 3.0])
@pytest.mark.parametrize("rate", [0.1, 1, 3, 10, 20, 30, 60])
def test_the_noise_is_that_of_poisson_whatever_the_rate(rate, scale):
    y = np.arange(200)
    chance, values = poisson.pmf(y, rate), np.log1p(scale * y)
    variance = chance @ values**2 - (chance @ values) ** 2
    assert chance @ count_noise(y[:, None], np.full(len(y), scale))[:, 0] == pytest.approx(variance, rel=0.04)


def test_scales_between_those_of_the_table():
    y = np.arange(60)[:, None]
    alone = [count_noise(y, np.full(60, scale)) for scale in (0.37, 1.1, 4.3)]
    together = count_noise(np.tile(y, (3, 1)), np.repeat([0.37, 1.1, 4.3], 60))
    np.testing.assert_allclose(together, np.concatenate(alone), atol=2e-4)


def test_raw_counts_are_thinned_into_halves():
    """The mean over ways to halve, corrected by Spearman and Brown, is what the formula says."""
    rng = np.random.default_rng(0)
    counts = rng.poisson(rng.gamma(2, 2, (500, 1)))
    halves = rng.binomial(counts.T, 0.5, (4000, 500))
    rest = counts[:, 0] - halves
    covariance = ((halves - halves.mean(1, keepdims=True)) * (rest - rest.mean(1, keepdims=True))).mean()
    h = covariance / (halves.var(1).mean() / 2 + rest.var(1).mean() / 2)
    found = noise_ceilings(counts, count_noise(counts)).value[0]
    assert found == pytest.approx(np.sqrt(2 * h / (1 + h)), abs=0.003)


def test_genes_that_tell_nothing():
    """A constant gene, one that no spot has, and one that no spot has twice: none has a ceiling."""
    counts = np.zeros((200, 3), int)
    counts[:, 0], counts[7, 2] = 4, 1
    found = noise_ceilings(np.log1p(counts), count_noise(counts, np.ones(200)))
    assert np.isnan(found.known).all() and np.isnan(found.value[:2]).all() and found.value[2] == 0
    share = beside_ceiling(np.array([0.1, np.nan, 0.3]), found)
    assert np.isnan(share["of_ceiling"]) and share["ceiling_genes"] == 0
    sure = Ceilings(np.array([0.5, 0.8]), np.array([0.01, 0.04]))
    assert beside_ceiling(np.array([0.25, 0.4]), sure)["of_ceiling"] == pytest.approx(0.5)
