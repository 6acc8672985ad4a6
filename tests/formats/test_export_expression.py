"""Tables of expression: as a plain program after the authors' steps makes them, with the genes' names."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import stimage
from stimage.core.errors import DataError
from tests.roots import write_csv, write_genes
from tests.test_scripts import run

SCRIPT = "data_process/export_expression.py"
EMPTY = 2  # spots of each slide without any count
pytestmark = pytest.mark.filterwarnings("ignore")  # of scanpy, which the plain programs call


def write_root(folder: Path, slides: int = 2, spots: int = 40, genes: int = 60) -> Path:
    """Write slides whose genes differ in order and number; one gene occurs twice, one has no count."""
    rng = np.random.default_rng(0)
    meta = []
    for k in range(slides):
        name, names = f"Slide_{k}", [f"G{i}" for i in rng.permutation(genes)][: genes - k]
        ids = [f"{name}_{i}" for i in range(spots)]
        counts = rng.poisson(rng.gamma(0.3, 3, len(names)) * rng.gamma(2, 1, (spots, 1)))
        counts[:EMPTY] = 0
        counts[:, names.index("G5") if "G5" in names else 0] = 0
        write_csv(
            folder / f"ST/gene_exp/{name}_count.csv",
            [["", *names], *([one, *row] for one, row in zip(ids, counts.tolist()))],
        )
        write_csv(folder / f"ST/coord/{name}_coord.csv", [["", "yaxis", "xaxis", "r"], *(
            [one, 20 + 10 * (i // 8), 20 + 10 * (i % 8), 4] for i, one in reversed(list(enumerate(ids))))])  # fmt: skip
        (folder / "ST/image").mkdir(exist_ok=True)
        (folder / f"ST/image/{name}.png").write_bytes(b"no table needs it")
        meta.append([name, "human", "brain", "", "False"])
    write_csv(folder / "meta/meta_all_gene.csv", [["slide", "species", "tissue", "pmid", "involve_cancer"], *meta])
    return folder


def hvg(counts: Path, n: int) -> pd.DataFrame:
    """Do what the first strategy's page does."""
    import anndata
    import scanpy

    data = anndata.AnnData(pd.read_csv(counts, index_col=0).astype("float32"))
    data.var_names_make_unique()
    scanpy.pp.filter_cells(data, min_genes=1)
    scanpy.experimental.pp.highly_variable_genes(data, flavor="pearson_residuals", n_top_genes=n)
    ranked = data.var[data.var["highly_variable"]].sort_values("highly_variable_rank").index
    data = data[:, ranked].copy()
    scanpy.pp.normalize_total(data)
    scanpy.pp.log1p(data)
    return data.to_df()


def overlap_hvg(files: list[Path], n: int) -> pd.DataFrame:
    """Do what the second strategy's page does, and keep the names of genes, which it loses."""
    import anndata
    import scanpy

    tables = [pd.read_csv(path, index_col=0) for path in files]
    common = [gene for gene in tables[0].columns if all(gene in table.columns for table in tables)]
    data = anndata.AnnData(pd.concat([table[common] for table in tables]).astype("float32"))
    scanpy.pp.filter_cells(data, min_genes=1)
    scanpy.pp.filter_genes(data, min_cells=1)
    scanpy.pp.normalize_total(data)
    scanpy.pp.log1p(data)
    scanpy.pp.highly_variable_genes(data, n_top_genes=n)
    return data[:, data.var["highly_variable"]].to_df()


def same(ours: pd.DataFrame, theirs: pd.DataFrame) -> None:
    assert ours.index.tolist() == theirs.index.tolist() and ours.columns.tolist() == theirs.columns.tolist()
    assert np.abs(ours.to_numpy() - theirs.to_numpy()).max() < 1e-5


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_hvg_of_each_slide(tmp_path, form):
    root = write_root(tmp_path / "root")
    done = run(SCRIPT, root, "--n", "12", "--form", form, "--workers", "1", "--out", tmp_path / "out")
    assert done.returncode == 0 and "2 slides, 2 tables" in done.stdout, done.stderr
    for k in range(2):
        path = tmp_path / f"out/Slide_{k}_count_hvg.{form}"
        ours = (pd.read_csv(path) if form == "csv" else pd.read_parquet(path)).set_index("SPOT")
        same(ours, hvg(root / f"ST/gene_exp/Slide_{k}_count.csv", 12))
        assert len(ours) == 38 and set(ours.dtypes) <= {np.dtype("float32"), np.dtype("float64")}


def test_overlap_hvg_of_all_slides(tmp_path):
    root = write_root(tmp_path / "root", slides=3)
    written = stimage.export_expression(root, tmp_path / "out", "overlap-hvg", 9)
    (path,) = set(written.values())
    assert path == tmp_path / "out/count_overlap_hvg.csv" and list(written) == ["Slide_0", "Slide_1", "Slide_2"]
    same(pd.read_csv(path, index_col="SPOT"), overlap_hvg(sorted(root.glob("ST/gene_exp/*")), 9))
    panel = stimage.select_genes(root, "overlap-hvg", 9)
    assert pd.read_csv(path, nrows=0).columns.tolist() == ["SPOT", *panel.genes]


def test_processes(tmp_path):
    root = write_root(tmp_path / "root")
    alone = stimage.export_expression(root, tmp_path / "alone", n=5)
    both = stimage.export_expression(root, tmp_path / "both", n=5, workers=2)
    assert [path.read_text() for path in alone.values()] == [path.read_text() for path in both.values()]


def test_counts_that_are_normalised_are_refused_unless_asked_for(tmp_path):
    root = write_root(tmp_path / "root", slides=1)
    counts = root / "ST/gene_exp/Slide_0_count.csv"
    (pd.read_csv(counts, index_col=0) / 4).to_csv(counts)
    for strategy in ("hvg", "overlap-hvg"):
        done = run(SCRIPT, root, "--strategy", strategy, "--workers", "1", "--out", tmp_path / strategy)
        assert (
            done.returncode == 1 and "--allow-normalised" in done.stderr and not list((tmp_path / strategy).glob("*"))
        )
    path = stimage.export_expression(root, tmp_path / "out", n=5, allow_normalised=True)["Slide_0"]
    same(pd.read_csv(path, index_col="SPOT"), hvg(counts, 5))


@pytest.mark.parametrize(
    ("given", "error"),
    [({"strategy": "pca"}, "strategy='pca'"), ({"form": "xlsx"}, "form='xlsx'"), ({"n": 0}, "n=0"),
     ({"workers": -1}, "workers")],
)  # fmt: skip
def test_wrong_arguments(tmp_path, given, error):
    with pytest.raises(ValueError, match=error):
        stimage.export_expression(write_root(tmp_path / "root"), tmp_path / "out", **given)


def test_slides_without_a_gene_in_common(tmp_path):
    root = write_root(tmp_path / "root")
    counts = root / "ST/gene_exp/Slide_1_count.csv"
    counts.write_text(counts.read_text().replace(",G", ",H"))
    with pytest.raises(DataError, match=r"Slide_1_count.csv: shares no gene with"):
        stimage.export_expression(root, tmp_path / "out", "overlap-hvg")


def test_golden_hvg(shared, tmp_path):
    golden = json.loads((shared / "golden/golden.json").read_text())["hvg"]
    root = stimage.open_root(shared / "real", slides=list(golden))
    for slide, path in stimage.export_expression(root, tmp_path).items():
        table, want = pd.read_csv(path, index_col="SPOT"), golden[slide]
        assert table.columns.tolist() == want["genes"] and list(table.shape) == want["shape"]
        assert table.to_numpy().sum() == pytest.approx(want["sum"], abs=0.05)
        assert table.iloc[0, :8].tolist() == pytest.approx(want["row0"], abs=1e-5)
        same(table, hvg(shared / f"real/ST/gene_exp/{slide}_count.csv", 128))


def test_golden_overlap_hvg(shared, tmp_path):
    want = json.loads((shared / "golden/golden.json").read_text())["overlap_hvg"]
    root = stimage.open_root(shared / "real", slides=want["slides"])
    path = stimage.export_expression(root, tmp_path, "overlap-hvg", form="parquet")[want["slides"][0]]
    table = pd.read_parquet(path).set_index("SPOT")
    assert table.columns.tolist() == want["genes"] and list(table.shape) == want["shape"]
    assert table.to_numpy().sum() == pytest.approx(want["sum"], abs=0.05)
    same(table, overlap_hvg([shared / f"real/ST/gene_exp/{slide}_count.csv" for slide in want["slides"]], 100))


def test_genes_that_do_not_vary_make_no_empty_table(tmp_path):
    for name in "AB":
        write_genes(tmp_path / "root", name, ["G1", "G2", "G3"])  # the same counts in each spot
    with pytest.raises(DataError, match=r"A_count.csv: none of the genes that all slides have varies between spots"):
        stimage.export_expression(tmp_path / "root", tmp_path / "out", "overlap-hvg")
    assert not list((tmp_path / "out").glob("count_*"))


def test_slides_of_other_numbers_of_genes_are_stacked_as_advised(tmp_path):
    root = write_root(tmp_path / "root")
    with pytest.raises(DataError, match=r"but another slide \d+; pass n=(\d+) \(--n \1\)") as refused:
        stimage.export_expression(root, tmp_path / "out", "hvg", 60, stacked=True)
    least = int(str(refused.value).rpartition("--n ")[2].rstrip(")"))
    stimage.export_expression(root, tmp_path / "other", "hvg", least, stacked=True)
    shapes = {path.stem: pd.read_csv(path, index_col=0).shape for path in (tmp_path / "other").glob("*.csv")}
    each = {f"Slide_{k}_count_hvg": (38, least) for k in (0, 1)}
    assert shapes == each | {"count_hvg": (76, least)}
