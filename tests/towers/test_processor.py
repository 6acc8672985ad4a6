"""The processor of a joint model: counts in each form, as in training, and what it refuses."""

import warnings

import numpy as np
import pytest
import torch
from anndata import AnnData
from scipy.sparse import csc_matrix, csr_matrix

from stimage.genes.normalise import NORMALISATIONS, Normalisation, median_of
from stimage.towers.joint.gene_inputs import places_among_genes, set_inputs
from stimage.towers.joint.processing_spot_clip import SpotGenesProcessor
from stimage.towers.joint.spot_genes import normalised

PANEL = ["ERBB2", "KRT8", "ACTB", "GAPDH"]
NAMES = ["ACTB", "MALAT1", "KRT8", "ERBB2", "GAPDH"]
COUNTS = np.array([[4, 90, 0, 2, 4], [1, 40, 5, 0, 4], [0, 0, 0, 0, 0]])
MEAN = [0.5, 1.5, 2.5, 3.5]


def processor(**changed) -> SpotGenesProcessor:
    return SpotGenesProcessor(
        {"tower": "linear", "genes": PANEL, "median_total": 75.0, "mean": MEAN, **changed}, image_width=3
    )


def expression(genes, made=None, **more) -> np.ndarray:
    return (made or processor())(genes=genes, **more)["expression"].numpy()


WANT = np.log1p(COUNTS[:, [3, 2, 0, 4]] * np.array([[75 / 100], [75 / 50], [0]]))


def annotated(matrix, names=NAMES) -> AnnData:
    made = AnnData(np.asarray(matrix, np.float32))
    made.var_names = names
    return made


FORMS = {
    "anndata": (annotated(COUNTS), {}),
    "dicts": ([dict(zip(NAMES, row)) for row in COUNTS.tolist()], {}),
    "numpy": (COUNTS, {"gene_names": NAMES}),
    "torch": (torch.tensor(COUNTS), {"gene_names": NAMES}),
    "csr": (csr_matrix(COUNTS), {"gene_names": NAMES}),
    "csc": (csc_matrix(COUNTS), {"gene_names": np.array(NAMES)}),
}


@pytest.mark.parametrize("form", FORMS)
def test_each_form_gives_the_expression_of_training(form):
    given, more = FORMS[form]
    made = expression(given, **more)
    assert made.dtype == np.float32 and made == pytest.approx(WANT, abs=1e-6)


@pytest.mark.parametrize("kind", NORMALISATIONS)
def test_counts_are_normalised_as_the_project_does_it(kind):
    counts = np.random.default_rng(0).poisson(0.8, (150, 4)).astype(float)
    counts[3] = 0
    others = counts.sum(1) + np.arange(150)
    totals = counts.sum(1) if kind == "original" else others
    ours = Normalisation(kind, "slide", median_of(totals)).dense(counts, others)
    assert np.array_equal(normalised(kind, counts, totals, median_of(totals)), ours)
    whole = np.column_stack([counts, np.arange(150)])
    made = expression(whole, processor(normalise=kind, median_total=None), gene_names=[*PANEL, "MALAT1"])
    assert np.array_equal(made, ours)  # of as many spots, their own median


def test_the_median_is_of_many_spots_or_said_or_of_training():
    made, many = processor(), np.repeat(COUNTS[:1], 100, 0)
    one = expression(COUNTS[:1], gene_names=NAMES)
    assert expression(many, made, gene_names=NAMES)[:1] == pytest.approx(np.log1p(COUNTS[:1, [3, 2, 0, 4]]), abs=1e-6)
    assert expression(many, made, gene_names=NAMES, median_total=75)[7:8] == pytest.approx(one, abs=1e-6)
    with pytest.raises(ValueError, match=r"median_total=: the model does not say .*; pass it, or 100 spots"):
        expression(COUNTS, processor(median_total=None), gene_names=NAMES)
    with pytest.raises(ValueError, match=r"median_total=0: .* above 0"):
        expression(COUNTS, gene_names=NAMES, median_total=0)


def test_missing_genes_are_at_their_mean_and_told():
    with pytest.warns(UserWarning, match=r"lacks 2 of the model's 4 genes: KRT8, ACTB; they are taken at their mean"):
        made = expression({"ERBB2": 3, "GAPDH": 72})
    assert made == pytest.approx(np.log1p([[3, np.expm1(1.5), np.expm1(2.5), 72]]), abs=1e-6)
    with pytest.raises(
        ValueError, match=r"lacks 3 of the model's 4 genes: KRT8, ACTB, GAPDH, and has such as ERBB2, Erb"
    ):
        expression({"ERBB2": 3, "Erbb2": 1})
    with pytest.raises(ValueError, match=r"lacks 1 .*trained without towers.standardise.*pass counts of all genes"):
        expression(dict.fromkeys(PANEL[1:], 1), processor(mean=None))


def test_names_of_ensembl_and_names_that_occur_twice():
    ids = [f"ENSG0000000000{i}" for i in range(4)]
    other = processor(genes=[f"{gene}.7" for gene in ids], normalise="counts")
    assert expression({ids[0]: 1, f"{ids[1]}.2": 2, ids[2]: 3, ids[3]: 4}, other).tolist() == [[1, 2, 3, 4]]
    raw = processor(normalise="counts")
    assert expression(np.array([[1, 2, 3, 4, 5]]), raw, gene_names=[*PANEL, "KRT8"]).tolist() == [[1, 7, 3, 4]]
    assert expression(np.array([[0.5, 0, 0, 0]]), raw, gene_names=PANEL)[0, 0] == 0.5  # as in training, so taken
    data = annotated(COUNTS, [f"ENSG0000000000{i}" for i in range(5)])
    data.var["n_cells"], data.var["symbol"] = 3, NAMES
    with pytest.warns(UserWarning, match=r"by var\['symbol'\], which has 4 of the model's 4 genes; var_names has 0"):
        assert expression(data) == pytest.approx(WANT, abs=1e-6)
    data = annotated(COUNTS)
    data.var["symbol"] = NAMES
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert expression(data) == pytest.approx(WANT, abs=1e-6)


def test_a_tower_of_sets_takes_all_genes_and_which_were_measured():
    made = processor(tower="set")(genes=csr_matrix(COUNTS[:, :4]), gene_names=NAMES[:4])
    want = set_inputs(np.array([0, 2, 4, 4]), places_among_genes(["ACTB", "ERBB2", "ACTB", "KRT8"], PANEL),
                      np.array([4.0, 2, 1, 5]))  # fmt: skip
    assert {name: made[name].tolist() for name in want} == {name: part.tolist() for name, part in want.items()}
    assert made["measured"].tolist() == [[True, True, True, False]] * 3
    assert (made["gene_ids"].dtype, made["counts"].dtype) == (torch.int64, torch.float32)
    with pytest.raises(ValueError, match=r"genes=: the model knows 0 of its 2 genes, such as 'Erbb2' \(0%\)"):
        processor(tower="set")(genes={"Erbb2": 1, "Krt8": 1})
    with pytest.raises(ValueError, match=r"median_total=: .* leave it out"):
        processor(tower="set")(genes={"ERBB2": 1}, median_total=5)


BAD = {
    "negative": (-COUNTS, NAMES, r"has the count -4; counts are numbers from 0"),
    "nan": (np.where(COUNTS == 90, np.nan, COUNTS), NAMES, r"has the count nan"),
    "normalised": (np.log1p(COUNTS), NAMES, r"seem to be normalised; pass the raw counts"),
    "words": (np.array([["a"] * 5]), NAMES, r"counts that are no numbers"),
    "other names": (COUNTS, NAMES[:4], r"has the shape \(3, 5\), and there are 4 names of genes"),
    "one row": (COUNTS[0], NAMES, r"has the shape \(5,\)"),
    "no names": (COUNTS, None, r"is a matrix without names; pass gene_names="),
    "names twice": ({"ERBB2": 1}, NAMES, r"gene_names=: works only with a matrix"),
    "text": ("ERBB2=5", None, r"genes=: is a str; pass an AnnData, a dict"),
    "numbers": ([1, 2], None, r"a list that has other than dicts"),
    "no number": ({"ERBB2": "many"}, None, r"counts that are no numbers"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_counts_are_refused_with_the_remedy(case):
    given, names, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        processor()(genes=given, gene_names=names)


def test_layers():
    data = annotated(np.log1p(COUNTS))
    data.layers["raw"] = COUNTS
    with pytest.raises(ValueError, match=r"pass the raw counts \(layer= may be 'raw'\)"):
        expression(data)
    assert expression(data, layer="raw") == pytest.approx(WANT, abs=1e-6)
    with pytest.raises(ValueError, match=r"layer='counts': the AnnData has raw"):
        expression(data, layer="counts")
    with pytest.raises(ValueError, match=r"layer='raw': works only with an AnnData"):
        expression({"ERBB2": 1}, layer="raw")


def test_vectors_of_images_and_of_other_models():
    made = processor()(image_vectors=np.zeros((3, 3)), genes=COUNTS, gene_names=NAMES)
    assert sorted(made) == ["expression", "image_vectors"] and made["image_vectors"].dtype == torch.float32
    other = processor(tower="vectors", vector_width=2, genes=[])
    assert other(vectors=[[1, 2]], return_tensors="np")["vectors"].tolist() == [[1, 2]]
    for use, given, message in [
        (other, {"genes": COUNTS}, r"takes vectors of length 2 that another model makes of expression; pass vectors="),
        (other, {"vectors": np.zeros((1, 3))}, r"vectors=: has the shape \(1, 3\); the model takes n x 2"),
        (processor(), {"vectors": np.zeros((1, 2))}, r"takes counts; pass genes="),
        (processor(), {"images": np.zeros((8, 8, 3))}, r"no image encoder; pass image_vectors="),
        (processor(), {}, r"pass images=, genes= or both"),
        (processor(), {"genes": FORMS["dicts"][0], "image_vectors": np.zeros((2, 3))},
         r"of as many spots: image_vectors 2, expression 3"),
    ]:  # fmt: skip
        with pytest.raises(ValueError, match=message):
            use(**given)
    with pytest.raises(TypeError, match=r"gens=: is no argument"):
        processor()(gens=1)
