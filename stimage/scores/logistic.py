"""Logistic regressions, one against the rest, for many penalties at once: L-BFGS with shared matrix products."""

import logging
from collections import deque
from collections.abc import Sequence

import numpy as np
import torch

from stimage.scores.threads import one_thread

MEMORY = 10  # steps that the curvature is estimated from
STEPS = 500
TOLERANCE = 1e-5  # of the gradient's norm, against where it started
CHECK = 5  # steps between looks at which problems are done
log = logging.getLogger(__name__)


def fit_one_vs_rest(
    x: torch.Tensor, labels: np.ndarray, classes: int, alphas: Sequence[float], tolerance: float = TOLERANCE
) -> torch.Tensor:
    """Minimise, for each alpha and class, mean(weight · log-loss) + alpha / 2 · ‖w‖², to convergence.

    That is the objective of scikit-learn's ``SGDClassifier(loss="log_loss", class_weight="balanced")``: spots of the
    class weigh n / (classes trained on · spots of the class), all others 1; the intercept is not penalised.

    All problems share each product with x. Along x's principal axes (see `principal_axes`) the curvature is nearly
    diagonal, so that some tens of steps do; turned vectors have turned weights, and the same predictions.

    Parameters
    ----------
    x
        Of float32 or float64 (n, d).
    labels
        Of int (n,), below ``classes``.
    tolerance
        A problem is done when the norm of its gradient is this share of what it was at zero.

    Returns
    -------
    torch.Tensor
        (alphas · classes, d + 1): weights, then the intercept; alpha by alpha. A class that is not there gets a row
        that never wins.
    """
    n, centre = len(x), x.mean(0)
    table = torch.cat([x - centre, torch.ones(n, 1, dtype=x.dtype)], 1)
    y = torch.nn.functional.one_hot(torch.as_tensor(labels), classes).T.to(x.dtype)
    sizes = y.sum(1, keepdim=True)
    there = (sizes[:, 0] > 0).repeat(len(alphas))
    weight = torch.where(y > 0, n / (there[:classes].sum() * sizes.clamp_min(1)), torch.ones_like(y)) / n
    y, weight = y.repeat(len(alphas), 1), weight.repeat(len(alphas), 1)
    alpha = torch.tensor(alphas, dtype=x.dtype).repeat_interleave(classes)
    with one_thread():
        solution = _minimise(_Problems(table, y, weight, alpha, (table * table).mean(0)), tolerance)
    solution[:, -1] -= solution[:, :-1] @ centre
    solution[~there] = 0
    solution[~there, -1] = -torch.inf
    return solution


def principal_axes(x: torch.Tensor) -> torch.Tensor:
    """Return the principal axes of vectors (n, d) as columns (d, d)."""
    with one_thread():
        centred = x - x.mean(0)
        return torch.linalg.eigh(centred.T @ centred)[1]


class _Problems:
    """P problems: ``table`` (n, d + 1), the last column ones; ``y`` and ``weight`` (P, n); ``alpha`` (P,)."""

    def __init__(
        self, table: torch.Tensor, y: torch.Tensor, weight: torch.Tensor, alpha: torch.Tensor, scale: torch.Tensor
    ):
        self.table, self.y, self.weight, self.scale = table, y, weight, scale
        self.alpha = alpha
        self.penalty = alpha[:, None].repeat(1, table.shape[1])
        self.penalty[:, -1] = 0
        # the curvature's diagonal along principal axes, were all probabilities a half
        self.inverse = 1 / (0.25 * weight.sum(1, keepdim=True) * scale + self.penalty).clamp_min(1e-12)

    def keep(self, some: torch.Tensor) -> "_Problems":
        return _Problems(self.table, self.y[some], self.weight[some], self.alpha[some], self.scale)

    def along(self, w: torch.Tensor) -> torch.Tensor:
        return w @ self.table.T

    def loss(self, z: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        data = self.weight * (torch.nn.functional.softplus(z) - self.y * z)
        return data.sum(1) + 0.5 * (self.penalty * w * w).sum(1)

    def gradient(self, z: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        return (self.weight * (torch.sigmoid(z) - self.y)) @ self.table + self.penalty * w


def _minimise(problems: _Problems, tolerance: float) -> torch.Tensor:
    """Run L-BFGS on all problems side by side, each with steps of its own; those that are done are put aside."""
    w = torch.zeros(len(problems.alpha), problems.table.shape[1], dtype=problems.table.dtype)
    z = problems.along(w)
    loss, gradient = problems.loss(z, w), problems.gradient(z, w)
    goal = tolerance * gradient.norm(dim=1)
    solution, open_ones = w.clone(), torch.arange(len(w))
    history = deque(maxlen=MEMORY)
    for step in range(STEPS):
        if step % CHECK == 0:
            unfinished = gradient.norm(dim=1) > goal
            solution[open_ones] = w
            if not unfinished.any():
                break
            if unfinished.float().mean() < 0.75:  # copying pays
                problems, open_ones = problems.keep(unfinished), open_ones[unfinished]
                w, z, gradient = (v[unfinished] for v in (w, z, gradient))
                loss, goal = loss[unfinished], goal[unfinished]
                history = deque(([v[unfinished] for v in one] for one in history), maxlen=MEMORY)
        direction = _direction(gradient, history, problems.inverse)
        new_w, new_z, new_loss = _line_search(problems, w, z, loss, gradient, direction)
        new_gradient = problems.gradient(new_z, new_w)
        change, bend = new_w - w, new_gradient - gradient
        product = _dot(change, bend)
        history.append([change, bend, torch.where(product > 1e-20, 1 / product.clamp_min(1e-20), 0)])
        w, z, loss, gradient = new_w, new_z, new_loss, new_gradient
    else:
        solution[open_ones] = w
        if len(left := (gradient.norm(dim=1) / goal)[gradient.norm(dim=1) > goal]):
            log.warning("%d logistic regressions stopped after %d steps, up to %.1f x the tolerance from converged",
                        len(left), STEPS, float(left.max()))  # fmt: skip
    return solution


def _direction(gradient: torch.Tensor, history: deque, inverse: torch.Tensor) -> torch.Tensor:
    """The two-loop recursion (Nocedal and Wright, algorithm 7.4), row by row."""
    q, shares = gradient.clone(), []
    for change, bend, factor in reversed(history):
        shares.append(factor * _dot(change, q))
        q -= shares[-1] * bend
    if history:
        change, bend, factor = history[-1]
        size = _dot(change, bend) / _dot(bend * inverse, bend).clamp_min(1e-30)
        q *= torch.where(factor > 0, size, torch.ones_like(size))
    q *= inverse
    for (change, bend, factor), share in zip(history, reversed(shares)):
        q += change * (share - factor * _dot(bend, q))
    return -torch.where(_dot(gradient, q) > 0, q, inverse * gradient)


def _line_search(
    problems: _Problems,
    w: torch.Tensor,
    z: torch.Tensor,
    loss: torch.Tensor,
    gradient: torch.Tensor,
    direction: torch.Tensor,
) -> tuple[torch.Tensor, ...]:
    """Halve each problem's step until its loss falls enough (Armijo's rule), or rounding is all that is left."""
    slope = _dot(gradient, direction)[:, 0]
    along = problems.along(direction)
    size = torch.ones_like(loss)
    slack = 10 * torch.finfo(loss.dtype).eps * loss.abs()
    for _ in range(30):
        new_w, new_z = w + size[:, None] * direction, z + size[:, None] * along
        new_loss = problems.loss(new_z, new_w)
        enough = new_loss <= loss + 1e-4 * size * slope + slack
        if enough.all():
            break
        size = torch.where(enough, size, size / 2)
    return new_w, new_z, new_loss


def _dot(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return (a * b).sum(1, keepdim=True)
