"""Shares of cells beside proportions of a deconvolution: r and RMSE as a plain program has them, and odd tables."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import stimage
from stimage.core.errors import DataError
from stimage.figures.agreement import agreement_panels
from tests.figures import inside
from tests.nuclei import CLASSES, UM, Nuclei, cellvit, write, write_root
from tests.test_scripts import run

TYPES = "source,class\nB cells,Inflammatory\nT cells,Inflammatory\nCancer,Neoplastic\nFat,\n"


@pytest.fixture
def root(tmp_path):
    root, nuclei = write_root(tmp_path / "root", Nuclei(pitch=20)), Nuclei(pitch=20)
    file = write(root / "cells.json", cellvit(nuclei))
    stimage.import_cells(stimage.open_root(root, um_per_px=UM), "Slide_A", file)
    (tmp_path / "types.csv").write_text(TYPES)
    return root


@pytest.fixture
def table(root, tmp_path) -> pd.DataFrame:
    spots = [*stimage.count_cells(root).index, "Slide_Z_1x1"]
    rng = np.random.default_rng(0)
    made = pd.DataFrame(rng.random((len(spots), 4)), spots, ["B cells", "T cells", "Cancer", "Fat"])
    made.to_csv(tmp_path / "rctd.csv")
    return made


def test_r_and_rmse_by_class(root, table, tmp_path):
    done = run("evaluation/compare_cells.py", root, "--proportions", tmp_path / "rctd.csv", "--types",
               tmp_path / "types.csv", "--out", tmp_path / "out")  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = pd.read_csv(tmp_path / "out/cells_agreement.csv").set_index("class")
    shares = stimage.count_cells(root, values="shares")
    told = table.loc[shares.index]
    total = told[["B cells", "T cells", "Cancer"]].sum(axis=1)
    theirs = {"Inflammatory": (told["B cells"] + told["T cells"]) / total, "Neoplastic": told["Cancer"] / total}
    assert (found.slide == "Slide_A").all() and (found.spots == len(shares)).all() and {*found.index} == {*CLASSES}
    for name in CLASSES:
        other = theirs.get(name, shares[name] * 0)
        assert found.rmse[name] == pytest.approx((((shares[name] - other) ** 2).mean()) ** 0.5)
        if name in theirs:
            assert found.r[name] == pytest.approx(np.corrcoef(shares[name], other)[0, 1])
        else:
            assert np.isnan(found.r[name]) and found.deconvolved[name] == 0
    with Image.open(tmp_path / "out/Slide_A_agreement.png") as picture:
        assert min(picture.size) > 400
    assert f"figure: {tmp_path / 'out/Slide_A_agreement.png'}" in done.stdout
    assert (tmp_path / "out/Slide_A_agreement.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize(("classes", "shape"), [(1, (1, 1)), (6, (2, 3))])
def test_panels_of_any_number_of_classes(classes, shape):
    names = [f"class {k}" for k in range(classes)]
    shares = pd.DataFrame(np.random.default_rng(0).random((50, classes)), columns=names)
    scores = pd.DataFrame({"r": [np.nan, *[0.5] * (classes - 1)], "rmse": 0.1}, index=names)
    figure = agreement_panels("Human_Breast_Andersson_10142021_ST_C3", shares, shares / 2, scores)
    assert inside(figure) and figure.axes[0].get_subplotspec().get_gridspec().get_geometry() == shape
    assert "r is not known" in figure.axes[0].get_title()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.rename(columns={"Fat": "Fett"}), r"the types Fett are in no map; pass types= \(--types\)"),
        (lambda t: t.assign(Cancer=-1.0), "has '-1.0' for Cancer, which is no proportion"),
        (lambda t: t.astype({"Cancer": str}).assign(Cancer="x"), "has 'x' for Cancer, which is no proportion"),
        (lambda t: pd.concat([t, t[:1]]), "is there more than once"),
        (lambda t: t.set_axis([f"X{k}" for k in range(len(t))]), r"no spot has both .* such as .*Slide_A.* and .*X0"),
    ],
)
def test_odd_tables_are_refused(root, table, tmp_path, change, said):
    change(table).to_csv(tmp_path / "odd.csv")
    with pytest.raises(DataError, match=said):
        stimage.compare_cells(root, tmp_path / "odd.csv", tmp_path / "types.csv")
    with pytest.raises(ValueError, match="types=3: pass a CSV"):
        stimage.compare_cells(root, tmp_path / "odd.csv", 3)
