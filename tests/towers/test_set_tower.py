"""The tower of sets: in any order, at any depth, and a gene that was not measured adds nothing."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stimage.towers.joint.configuration_spot_clip import SpotClipConfig
from stimage.towers.joint.gene_inputs import check_counts, check_known, places_among_genes, set_inputs
from stimage.towers.joint.modeling_spot_clip import SpotClipModel
from stimage.towers.joint.set_tower import SCALE, SetTower
from stimage.training.second.statistics import fit_gene_tower

GENES = 12
COUNTS = st.lists(st.lists(st.integers(0, 6), min_size=GENES, max_size=GENES), min_size=1, max_size=6)


def tower(genes: int = GENES, width: int = 8, heads: int = 2) -> SetTower:
    torch.manual_seed(0)
    made = SetTower(SimpleNamespace(genes=range(genes), gene_width=width, gene_heads=heads, latent_dim=4))
    made.mean.uniform_(0.5, 4)
    made.share.copy_(torch.rand(genes).softmax(0))
    return made.eval()


def inputs(counts, measured=None) -> dict[str, torch.Tensor]:
    counts = np.array(counts, float)
    rows, columns = np.nonzero(counts)
    indptr = np.searchsorted(rows, np.arange(len(counts) + 1))
    made = set_inputs(indptr, columns, counts[rows, columns])
    made["measured"] = np.ones(counts.shape, bool) if measured is None else np.array(measured)
    return {name: torch.from_numpy(part) for name, part in made.items()}


def literal(made: SetTower, counts, measured) -> np.ndarray:
    """Compute the tower's vectors spot by spot and gene by gene, with the weights of all genes at hand."""
    table, out = made.embeddings.weight.detach().double(), []
    scores = made.queries.weight.detach().double() @ table.T * table.shape[1] ** -0.5
    for row, there in zip(np.array(counts, float), measured):
        row = row * there
        level = np.log1p(
            SCALE * float(made.share.double()[torch.from_numpy(there)].sum()) * row / max(row.sum(), 1e-12)
        )
        above = torch.from_numpy(level - made.mean.numpy())
        heads = []
        for head, score in enumerate(scores):
            weight = score[torch.from_numpy(there)].softmax(0)
            part = table[:, head * 4 : head * 4 + 4][torch.from_numpy(there)]
            heads.append((weight * above[torch.from_numpy(there)]) @ part)
        out.append(torch.cat(heads) * GENES**0.5 @ made.head.weight.detach().double().T + made.head.bias.detach())
    return torch.stack(out).numpy()


@settings(max_examples=30)
@given(COUNTS, st.integers(0, 2**16))
def test_it_is_what_a_plain_loop_computes(counts, seed):
    made, measured = tower(), np.random.default_rng(seed).random((len(counts), GENES)) < 0.7
    measured[:, 0] = True
    got = made(**inputs(counts, measured)).detach().numpy()
    assert got == pytest.approx(literal(made, counts, measured), abs=1e-4)


@settings(max_examples=30)
@given(COUNTS, st.randoms(use_true_random=False))
def test_the_order_of_genes_does_not_matter(counts, random):
    made, given = tower(), inputs(counts)
    order = list(range(given["gene_ids"].shape[1]))
    random.shuffle(order)
    turned = given | {name: given[name][:, order] for name in ("gene_ids", "counts")}
    assert torch.allclose(made(**turned), made(**given), atol=1e-5)
    padding = {"gene_ids": torch.full((len(counts), 3), -1), "counts": torch.zeros(len(counts), 3)}
    wider = given | {name: torch.cat([padding[name], given[name]], 1) for name in padding}
    assert torch.allclose(made(**wider), made(**given), atol=1e-5)


def test_depth_does_not_matter_and_a_measured_zero_does():
    made, counts = tower(), [[3, 0, 1, 2] + [0] * 8]
    assert torch.allclose(made(**inputs([[70 * c for c in counts[0]]])), made(**inputs(counts)), atol=1e-5)
    lacking = np.ones((1, GENES), bool)
    lacking[0, 1] = False
    assert not torch.allclose(made(**inputs(counts, lacking)), made(**inputs(counts)), atol=1e-3)


def test_a_gene_that_was_not_measured_adds_nothing():
    made, counts = tower(), [[3, 0, 1, 2] + [0] * 7 + [5]]
    lacking = np.ones((1, GENES), bool)
    lacking[0, [1, 11]] = False
    before = made(**inputs(counts, lacking))
    with torch.no_grad():
        made.embeddings.weight[[1, 11]] += 3
        made.mean[[1, 11]] += 3
    assert torch.allclose(made(**inputs(counts, lacking)), before, atol=1e-5)
    without = [[*row[:11], 0] for row in counts]
    assert torch.allclose(made(**inputs(without, lacking)), before, atol=1e-5)  # its count is not looked at
    made(**inputs(counts, lacking)).sum().backward()
    assert not made.embeddings.weight.grad[[1, 11]].any() and made.embeddings.weight.grad[[0, 2, 3, 4]].any(1).all()


def test_spots_of_average_genes_look_alike_with_and_without_a_gene():
    """A slide that lacks a gene is scaled as one that has it, so the others stand where they stood."""
    made = tower()
    made.share.copy_(torch.tensor([0.5, *[0.5 / 11] * 11]))
    counts = np.array([[110.0, *[10.0] * 11]])
    lacking = np.ones((1, GENES), bool)
    lacking[0, 0] = False
    whole, part = inputs(counts), inputs(counts * lacking, lacking)
    assert torch.allclose(made.levels(**whole)[0, 1:], made.levels(**part)[0], atol=1e-5)


@pytest.mark.parametrize("measured", [True, False])
def test_a_spot_without_a_known_gene_has_a_finite_vector(measured):
    given = inputs([[0] * GENES, [1] * GENES], [[measured] * GENES, [True] * GENES])
    made = tower()
    found = made(**given)
    assert found.isfinite().all() and not torch.allclose(found[0], found[1])
    found.sum().backward()
    assert all(one.grad.isfinite().all() for one in made.parameters())
    assert made.to(torch.bfloat16)(**given).isfinite().all()


def test_memory_holds_no_gene_times_width():
    """Of 64 spots with 2,000 genes of 256 numbers each, 131 MB would be needed; no tensor has a tenth of it."""
    made, counts = tower(2000, 256, 8), np.ones((64, 2000))
    sizes = []
    with torch.autograd.graph.saved_tensors_hooks(lambda one: sizes.append(one.numel() * 4) or one, lambda one: one):
        made(**inputs(counts))
    assert max(sizes) < 64 * 2000 * 256 * 4 / 10


def test_counts_become_sets():
    indptr, genes, counts = np.array([0, 3, 3, 5]), np.array([2, 0, 2, -1, 1]), np.array([1.0, 4, 2, 9, 5])
    found = set_inputs(indptr, genes, counts)
    assert found["gene_ids"].tolist() == [[0, 2], [-1, -1], [1, -1]]
    assert found["counts"].tolist() == [[4, 3], [0, 0], [5, 0]]  # those of one gene are added
    apart = set_inputs(indptr, np.array([2, 0, 1, -1, 1]), counts, merge=False)
    assert apart["gene_ids"].tolist() == [[2, 0, 1], [-1, -1, -1], [1, -1, -1]]
    assert set_inputs(np.array([0, 0]), genes[:0], counts[:0])["gene_ids"].tolist() == [[-1]]


def test_genes_by_name():
    genes = ["KRT8", "ENSG00000141736.14", "ACTB"]
    assert places_among_genes(["ACTB", "ENSG00000141736.2", "NEW", "krt8"], genes).tolist() == [2, 1, -1, -1]
    with pytest.raises(
        ValueError, match=r"slide M: the model knows 1 of its 40 genes, such as 'Actb' \(2%\): are the sp"
    ):
        check_known(1, ["Actb"] * 40, "slide M")
    with pytest.raises(ValueError, match="knows 0 of its 0 genes"):
        check_known(0, [], "slide M")
    check_known(4, ["ACTB"] * 40, "slide M")


@pytest.mark.parametrize("bad, message", [
    ([1, -2.0], "has the count -2; counts are numbers from 0"), ([np.nan, 1], "has the count nan"),
    ([np.inf], "has the count inf"), ([0.5], "no whole numbers: they seem to be normalised"),
])  # fmt: skip
def test_counts_that_are_none(bad, message):
    with pytest.raises(ValueError, match=message):
        check_counts(np.array(bad), "slide A")


def test_statistics_are_those_of_the_spots_whose_slides_measured_a_gene():
    made, rng = tower(), np.random.default_rng(1)
    counts = rng.poisson(3, (50, GENES)).astype(float)
    counts[:, 4] = 0  # measured and never seen
    measured = np.ones(counts.shape, bool)
    measured[:20, 2] = False
    counts[~measured] = 0
    parts = [inputs(counts[some], measured[some]) for some in (slice(0, 17), slice(17, 50))]
    fit_gene_tower(made, lambda: iter(parts))
    levels = torch.zeros(50, GENES)
    whole = inputs(counts, measured)
    filled = levels.scatter_add(1, whole["gene_ids"].clamp_min(0), made.levels(**whole)).numpy()
    for gene in range(GENES):
        own = filled[measured[:, gene], gene]
        assert made.mean[gene] == pytest.approx(own.mean(), rel=1e-4, abs=1e-6)
    assert made.share.sum() == pytest.approx(1) and made.share[4] == 0 < made.share[2]
    one = made.state_dict()
    fit_gene_tower(made, lambda: iter([whole]))
    assert all(torch.allclose(one[name], made.state_dict()[name], rtol=1e-5) for name in ("share", "mean"))


def test_models_of_before_inputs_were_standardised_load_as_they_were(tmp_path):
    config = SpotClipConfig(image_encoder=None, image_width=5, genes=["A", "B", "C"], latent_dim=4)
    model, expression = SpotClipModel(config), torch.randn(2, 3)
    older = {name: value for name, value in model.state_dict().items() if name[11:] not in ("mean", "std")}
    assert len(older) == len(model.state_dict()) - 2
    model.save_pretrained(tmp_path, state_dict=dict(older))
    again, found = SpotClipModel.from_pretrained(tmp_path, output_loading_info=True)
    assert not found["missing_keys"] and not again.gene_tower.mean.any() and (again.gene_tower.std == 1).all()
    assert torch.equal(again(expression=expression).gene_embeds, model(expression=expression).gene_embeds)
    model.gene_tower.mean.fill_(3)
    model.load_state_dict(older)  # as a run does that goes on
    assert not model.gene_tower.mean.any()


@pytest.mark.parametrize("kind", ["linear", "mlp", "set", "vectors"])
def test_each_tower_is_saved_with_its_statistics(kind, tmp_path):
    config = SpotClipConfig(image_encoder=None, image_width=5, genes=["A", "B", "C"], latent_dim=4, gene_tower=kind,
                            vector_width=3, gene_width=6, gene_heads=3, vector_head="mlp")  # fmt: skip
    model = SpotClipModel(config)
    model.gene_tower.mean.uniform_(1, 2)
    if kind != "set":
        model.gene_tower.std.uniform_(1, 2)
    model.save_pretrained(tmp_path)
    again = SpotClipModel.from_pretrained(tmp_path)
    dense = {name: torch.rand(4, 3) for name in model.gene_tower.inputs}
    given = inputs([[3, 0, 1], [0, 0, 0], [1, 1, 1], [9, 0, 0]]) if kind == "set" else dense
    assert torch.equal(again(**given).gene_embeds, model(**given).gene_embeds)
    model.gene_tower.mean += 1
    assert not torch.equal(again(**given).gene_embeds, model(**given).gene_embeds)
