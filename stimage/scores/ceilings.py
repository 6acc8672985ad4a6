"""The noise ceiling: the correlation with counts that a predictor could reach if it knew their rates."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.interpolate import CubicSpline

LEAST, MOST = 8, 40  # counts: from the one to the other, the exact estimate gives way to the delta method's
STEP = 0.25  # of the logarithm of scales that are tabulated, and of the integral's variables
BLOCK = 1 << 14  # spots at once
KNOWN = 0.05  # standard error above which a ceiling is not known


@dataclass(frozen=True, eq=False)
class Ceilings:
    """The ceiling of each gene's Pearson's r, 0 to 1, and its standard error (both float64, genes).

    Both are given whatever the error; `known` has NaN where the ceiling is too uncertain.
    """

    value: np.ndarray
    error: np.ndarray

    @property
    def known(self) -> np.ndarray:
        """The ceilings whose standard error is 0.05 at most, and above 0; NaN elsewhere (genes)."""
        with np.errstate(invalid="ignore"):
            return np.where((self.error <= KNOWN) & (self.value > 0), self.value, np.nan)


def noise_ceilings(values: np.ndarray, noise: np.ndarray) -> Ceilings:
    """Return the ceiling of each gene's correlation between n spots' expression and any prediction of it.

    A spot's count Y is Poisson around a rate that tissue decides, and a prediction is scored against f(Y). The best
    possible prediction, even for a predictor that knows each rate, is E[f(Y) | rate]. Its correlation with f(Y) over
    the spots is sqrt(R), where R = 1 - N / V is the reliability: V is the variance of f(Y) over the spots, and N the
    mean of the variances that counting alone gives each spot, which `count_noise` estimates.

    Binomial thinning tells the same, with chance and bias. Halves of Y, drawn by a coin for each count, are independent
    Poisson counts of half the rate (Neufeld et al., Biostatistics 2024). For raw counts, the correlation h of the
    halves and the formula of Spearman and Brown (1910), R = 2 h / (1 + h), give R = 1 - mean / variance in the mean
    over all ways to halve. For log1p, halves do not behave as wholes do, and the formula is up to 0.02 off. So
    `count_noise` thins by a chance p and continues to p = 2, whose halves are as deep as Y.

    The standard error is by the delta method: V and N are means over spots. A rare gene, whose coincidences were hardly
    seen, would seem certain. So the error of R is at least (1 - R) sqrt(2 / n), as where rates do not vary. The error
    is also at least 1 / m, if m spots carry the variance (all squares squared by the sum of fourth powers).

    Parameters
    ----------
    values
        Expression (n x genes), as prediction is scored against it.
    noise
        The result of `count_noise` for the same spots and genes.

    Returns
    -------
    Ceilings
        NaN for genes that do not vary.
    """
    f, noise = np.asarray(values, np.float64), np.asarray(noise, np.float64)
    n = len(f)
    squares = (f - f.mean(0)) ** 2
    varies = f.max(0, initial=-np.inf) > f.min(0, initial=np.inf)
    total = np.where(varies, squares.sum(0) / max(n - 1, 1), np.nan)
    share = noise.mean(0) / total  # N / V
    influence = (share * (squares / total - 1)) - (noise / total - share)
    error = np.sqrt((influence**2).mean(0) / n)
    reliable = np.clip(1 - share, 0, 1)
    with np.errstate(invalid="ignore"):  # of what does not vary
        carried = (squares**2).sum(0) / squares.sum(0) ** 2
    error = np.maximum(error, np.maximum((1 - reliable) * np.sqrt(2 / n), carried))
    value = np.sqrt(reliable)
    below, above = np.sqrt(np.maximum(reliable - error, 0)), np.sqrt(reliable + error)
    return Ceilings(value, np.maximum(value - below, above - value))


def count_noise(counts: np.ndarray, scale: np.ndarray | None = None) -> np.ndarray:
    """Estimate the variance that counting gives each value, without bias for any rate.

    For raw counts, the estimate is the count. For f(Y) = log1p(c Y), it is f(y)² - h(y), where h has the expectation
    E[f(Y)]². We use log1p(c y) = ∫ (1 - u^y) e^-s / s ds with u = e^-cs, and Poisson's generating function. By these,
    two independent counts of one rate have E[u^Y v^Y'] = E[(u + v - 1)^Y]. This is binomial thinning, whose halves have
    (u p/2 + v p/2 + 1 - p)^y, continued to p = 2, as Good and Toulmin (1956) double a sample. So the estimate is

        ∫∫ ((u v)^y - (u + v - 1)^y) e^(-s-t) / (s t) ds dt.

    For large counts, its terms alternate in sign from count to count. From 8 to 40, it gives way to the delta method's
    c² y / (1 + c y)², which is then within some hundredths of it. A spot's total, which c contains, is taken as given:
    N is too high by the gene's share of the total.

    Parameters
    ----------
    counts
        Whole numbers (n x genes).
    scale
        c of each spot (n), above 0: its normalisation; None for raw counts.

    Returns
    -------
    np.ndarray
        float32 (n x genes); 0 where there is no count. Values of single spots may be negative.
    """
    if scale is None:
        return np.asarray(counts, np.float32)
    noise = np.empty(np.shape(counts), np.float32)
    for at in range(0, len(noise), BLOCK):
        some = slice(at, at + BLOCK)
        noise[some] = _log_noise(np.asarray(counts[some], np.float64), np.asarray(scale[some], np.float64))
    return noise


def _log_noise(y: np.ndarray, c: np.ndarray) -> np.ndarray:
    cy = c[:, None] * y
    smooth = c[:, None] * cy / (1 + cy) ** 2
    exact = np.take_along_axis(_tabulated(c), np.minimum(y, MOST).astype(int), 1)
    ramp = np.clip((y - LEAST) / (MOST - LEAST), 0, 1)
    return exact + (smooth - exact) * ramp * ramp * (3 - 2 * ramp)


def _tabulated(scale: np.ndarray) -> np.ndarray:
    """Return the exact estimate of counts of 0 to 40 for each spot's scale (n x 41), between tabulated scales."""
    log = np.log(scale)
    if np.ptp(log) < 1e-9:
        return np.broadcast_to(_exact(float(scale[0])), (len(scale), MOST + 1))
    nodes = np.arange(np.floor(log.min() / STEP) - 2, np.ceil(log.max() / STEP) + 3) * STEP
    return CubicSpline(nodes, np.stack([_exact(float(np.exp(node))) for node in nodes]))(log)


@lru_cache(maxsize=256)
def _exact(scale: float) -> np.ndarray:
    """Return the integral for counts of 0 to 40 and one scale, by the trapezoidal rule in log s and log t."""
    s = np.exp(np.arange(np.log(1e-8 / max(scale, 1)), np.log(35), STEP))
    weight, u = np.exp(-s) * STEP, np.exp(-scale * s)
    weights, both, either = np.outer(weight, weight), np.outer(u, u), u[:, None] + u - 1
    found, a, b = np.zeros(MOST + 1), np.ones_like(both), np.ones_like(both)
    for y in range(1, MOST + 1):
        a, b = a * both, b * either
        found[y] = (weights * (a - b)).sum()
    return found
