"""Objectives against their definitions, pair by pair, in plain Python; and which rows an epoch has."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stimage.training.objectives import Objective, near_pairs, siglip_loss
from stimage.training.order import epoch_rows, global_batches

N, GENES = 7, 5


@pytest.fixture
def spots() -> dict[str, torch.Tensor]:
    """Seven spots: two are neighbours, one has the same place on another slide, one is drawn twice."""
    random_ = torch.Generator().manual_seed(0)
    units = [torch.nn.functional.normalize(torch.randn(N, 4, generator=random_), dim=1).double() for _ in range(2)]
    place = torch.tensor([[0, 0], [60, 80], [0, 0], [500, 0], [1000, 0], [1000, 0], [2000, 0]]).float()
    return {"images": units[0], "others": units[1], "place": place, "slide": torch.tensor([0, 0, 1, 0, 0, 0, 0]),
            "row": torch.tensor([0, 1, 2, 3, 4, 4, 6]),
            "expression": torch.randn(N, GENES, generator=random_)}  # fmt: skip


def loss_of(spots, kind: str, near: float | None, *scalars: float) -> float:
    told = {name: spots[name] for name in ("row", "slide", "place", "expression")}
    return float(Objective(kind, near)(spots["images"], spots["others"], [torch.tensor(one) for one in scalars], told))


def negatives(i: int, near_um: float | None) -> list[int]:
    """The pairs that spot i is told apart from, by hand."""
    near = {4: [5], 5: [4]} | ({0: [1], 1: [0]} if near_um and near_um >= 100 else {})
    return [j for j in range(N) if j == i or j not in near.get(i, [])]


@pytest.mark.parametrize("near", [None, 99.0, 100.0])
def test_clip_is_the_cross_entropy_of_the_pairs_that_are_told_apart(spots, near):
    logits = (math.exp(1.5) * spots["images"] @ spots["others"].T).tolist()
    losses = [math.log(sum(math.exp(row[j]) for j in negatives(i, near))) - row[i] for i, row in enumerate(logits)]
    turned = list(zip(*logits))
    losses += [math.log(sum(math.exp(row[j]) for j in negatives(i, near))) - row[i] for i, row in enumerate(turned)]
    assert loss_of(spots, "clip", near, 1.5) == pytest.approx(sum(losses) / (2 * N), abs=1e-6)


@pytest.mark.parametrize("near", [None, 100.0])
def test_siglip_is_a_logistic_loss_of_each_pair(spots, near):
    logits = (math.exp(2.3) * spots["images"] @ spots["others"].T - 3).tolist()
    losses = [math.log1p(math.exp(-logits[i][j] if i == j else logits[i][j]))
              for i in range(N) for j in negatives(i, near)]  # fmt: skip
    assert loss_of(spots, "siglip", near, 2.3, -3.0) == pytest.approx(sum(losses) / N, abs=1e-6)


def test_soft_targets_are_of_correlated_expression(spots):
    expression = spots["expression"].double().numpy()
    like = np.corrcoef((expression - expression.mean(0)) / expression.std(0))
    scale, logits = math.exp(1.5), (math.exp(1.5) * spots["images"] @ spots["others"].T).numpy()
    losses = []
    for way in (logits, logits.T):
        for i in range(N):
            among = negatives(i, None)
            wanted = np.exp(scale * like[i, among]) / np.exp(scale * like[i, among]).sum()
            losses.append(-(wanted * (way[i, among] - np.log(np.exp(way[i, among]).sum()))).sum())
    assert loss_of(spots, "soft", None, 1.5) == pytest.approx(np.mean(losses), abs=1e-5)


def test_a_batch_that_says_nothing_of_places_has_all_as_negatives(spots):
    assert near_pairs({}, None) is None
    loss = siglip_loss(spots["images"], spots["others"], torch.tensor(1.0), torch.tensor(-1.0))
    near = torch.zeros(N, N, dtype=torch.bool)
    assert loss == siglip_loss(spots["images"], spots["others"], torch.tensor(1.0), torch.tensor(-1.0), near)


SLIDES = st.lists(st.integers(0, 5), min_size=1, max_size=80).map(np.array)


@given(SLIDES, st.integers(1, 20), st.integers(0, 3))
def test_a_slide_gives_no_more_spots_than_it_may(slide, most, epoch):
    rows = epoch_rows(slide, None, 0, epoch, most)
    assert len(set(rows.tolist())) == len(rows)
    for k, size in zip(*np.unique(slide, return_counts=True)):
        assert (slide[rows] == k).sum() == min(most, size)


@given(SLIDES, st.integers(0, 3))
def test_groups_give_as_many_spots_each(slide, epoch):
    groups = np.array([0, 0, 1, 1, 2, 2])  # two slides each
    rows = epoch_rows(slide, groups, 0, epoch)
    names, sizes = np.unique(groups[slide[rows]], return_counts=True)
    assert set(names) == set(groups[slide]) and len(set(sizes)) == 1 and len(rows) <= len(slide)
    times = np.bincount(rows, minlength=len(slide))
    for k in names:
        of_group = times[groups[slide] == k]
        assert of_group.max() - of_group.min() <= 1


def test_epochs_draw_other_spots_and_processes_the_same():
    slide = np.repeat([0, 1], [300, 20])
    first, second = (epoch_rows(slide, None, 0, epoch, 100) for epoch in (0, 1))
    assert (epoch_rows(slide, None, 0, 0, 100) == first).all() and set(first) != set(second)
    batches = global_batches(slide, 16, 0, 0, None, first)
    assert len(batches) == len(first) // 16 and set(np.concatenate(batches)) <= set(first)
