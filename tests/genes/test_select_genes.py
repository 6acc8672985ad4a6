"""Panels: chosen as scanpy and the original choose, slide by slide, and taken by the builder."""

import json
import shutil
import tracemalloc
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
import scanpy
from datasets import load_dataset

import stimage_1k4m  # noqa: F401
from stimage.core.errors import DataError
from stimage.genes.dispersion import common_genes, normalised_dispersion
from stimage.genes.panels import Panel
from stimage.slides.catalog import read_catalog
from tests.roots import GENES, write_slide
from tests.test_scripts import run

SCRIPT = "data_process/select_genes.py"


def select(root: Path, out: Path, method: str, *options) -> list[str]:
    done = run(SCRIPT, root, "--method", method, "--out", out, *options)
    assert done.returncode == 0, done.stderr
    return json.loads(out.read_text())["genes"]


def counts_of(root: Path, config: str) -> list[pd.DataFrame]:
    return [pd.read_csv(path, index_col=0) for path in sorted((root / config / "gene_exp").glob("Human*.csv"))]


def stacked(root: Path, config: str) -> anndata.AnnData:
    """Stack all spots in memory, of the genes that all slides have."""
    table = pd.concat(counts_of(root, config), join="inner")
    return anndata.AnnData(table.astype(np.float32))


def refused(root: Path, out: Path, *options) -> str:
    done = run(SCRIPT, root, "--out", out, *options)
    assert done.returncode == 1 and done.stderr.startswith("error: ") and "Traceback" not in done.stderr, done.stderr
    assert not out.exists()
    return done.stderr


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    from stimage.sample import make_sample

    root = tmp_path_factory.mktemp("genes") / "root"
    make_sample(root, genes=400, slides_per_study=3, st_side=9, visium_side=10, hd_side=12)
    return root


def test_hvg_is_scanpys(root, tmp_path):
    path = sorted((root / "ST/gene_exp").glob("*.csv"))[0]
    slide = path.name.removesuffix("_count.csv")
    data = anndata.AnnData(pd.read_csv(path, index_col=0).astype(np.float32))
    scanpy.pp.filter_cells(data, min_genes=1)
    scanpy.experimental.pp.highly_variable_genes(data, flavor="pearson_residuals", n_top_genes=30)
    want = data.var[data.var["highly_variable"]].sort_values("highly_variable_rank").index.tolist()
    assert select(root, tmp_path / "p.json", "hvg", "--slides", slide, "--n", 30) == want


def test_overlap_hvg_is_that_of_the_stacked_spots(root, tmp_path):
    data = stacked(root, "ST")
    scanpy.pp.filter_cells(data, min_genes=1)
    scanpy.pp.filter_genes(data, min_cells=1)
    scanpy.pp.normalize_total(data)
    scanpy.pp.log1p(data)
    scanpy.pp.highly_variable_genes(data, n_top_genes=40)
    want = data.var_names[data.var["highly_variable"]].tolist()
    assert select(root, tmp_path / "p.json", "overlap-hvg", "--tech", "ST", "--species", "human", "--n", 40) == want


def test_hest_is_that_of_the_stacked_spots(root, tmp_path):
    kept = None
    for table in counts_of(root, "Visium"):
        often = set(table.columns[(table > 0).mean() >= 0.1])
        kept = often if kept is None else kept & often
    data = stacked(root, "Visium")
    data = data[:, [gene for gene in data.var_names if gene in kept]].copy()
    scanpy.pp.log1p(data)
    scanpy.pp.highly_variable_genes(data, n_top_genes=25)
    want = data.var_names[data.var["highly_variable"]].tolist()
    assert select(root, tmp_path / "p.json", "hest", "--tech", "Visium", "--species", "human", "--n", 25) == want


def test_dispersions_are_scanpys_to_the_fifth_digit(root):
    data = stacked(root, "ST")
    mean, variance = data.X.mean(0, dtype=float), data.X.var(0, ddof=1, dtype=float)
    scanpy.pp.log1p(data)
    want = scanpy.pp.highly_variable_genes(data, n_top_genes=10, inplace=False)["dispersions_norm"].to_numpy()
    np.testing.assert_allclose(normalised_dispersion(mean, variance), want, rtol=1e-4, atol=1e-5)


def test_union_and_consensus(root, tmp_path):
    slides = [p.name.removesuffix("_count.csv") for p in sorted((root / "Visium/gene_exp").glob("Human*.csv"))]
    common = set(stacked(root, "Visium").var_names)
    each = [select(root, tmp_path / "p.json", "hvg", "--slides", slide, "--n", 20) for slide in slides]
    union = select(root, tmp_path / "p.json", "hvg-union", "--tech", "Visium", "--species", "human", "--n", 20)
    assert union == [gene for gene in dict.fromkeys(gene for genes in each for gene in genes) if gene in common]
    consensus = select(root, tmp_path / "p.json", "hvg-consensus", "--tech", "Visium", "--species", "human", "--n", 20)
    times = [sum(gene in genes for genes in each) for gene in consensus]
    assert times == sorted(times, reverse=True) and times[0] > 1 and set(consensus) <= set(union)


def test_the_file_says_how_it_was_made_and_the_builder_takes_it(root, tmp_path):
    genes = select(root, tmp_path / "p.json", "overlap-hvg", "--tech", "ST", "--species", "human", "--n", 7)
    made = json.loads((tmp_path / "p.json").read_text())
    assert made["method"] == "overlap-hvg" and len(made["slides"]) == 3 and made["versions"]["scanpy"]
    again = tmp_path / "again.json"
    select(root, again, "overlap-hvg", "--tech", "ST", "--species", "human", "--n", 7)
    assert again.read_text() == (tmp_path / "p.json").read_text() and len(made["sha256"]) == 64
    data = load_dataset("stimage_1k4m", "ST", data_dir=str(root), split="train", streaming=True, panel=str(again),
                        species="human")  # fmt: skip
    tables = pd.concat(counts_of(root, "ST"))
    for example in data.take(5):
        assert example["expression"] == tables.loc[example["spot_id"], genes].tolist()


@pytest.mark.parametrize("kind", ["log1p", "median-log1p", "original"])
def test_normalisation_is_scanpys(root, kind):
    path = sorted((root / "ST/gene_exp").glob("*.csv"))[0]
    data = anndata.AnnData(pd.read_csv(path, index_col=0).astype(np.float32))
    genes = data.var_names[5:60:3].tolist()
    if kind == "original":
        data = data[:, genes].copy()
    if kind != "log1p":
        scanpy.pp.normalize_total(data)
    scanpy.pp.log1p(data)
    want = data[:, genes].to_df()
    examples = load_dataset("stimage_1k4m", "ST", data_dir=str(root), split="train", streaming=True, panel=genes,
                            normalise=kind, slides=path.name.removesuffix("_count.csv"))  # fmt: skip
    got = pd.DataFrame({e["spot_id"]: e["expression"] for e in examples}).T
    np.testing.assert_allclose(got, want.loc[got.index], rtol=1e-5, atol=1e-6)


def test_a_panel_of_one_root_on_another(root, tmp_path):
    write_slide(tmp_path / "other", "A", "ST")
    counts = tmp_path / "other/ST/gene_exp/A_count.csv"
    counts.write_text(counts.read_text().replace("CD3E", "UNIQUE"))
    (tmp_path / "list.txt").write_text("UNIQUE\nERBB2\n")
    genes = select(tmp_path / "other", tmp_path / "p.json", "list", "--genes", tmp_path / "list.txt")
    assert genes == ["UNIQUE", "ERBB2"]
    options = {"data_dir": str(root), "split": "train", "streaming": True, "panel": str(tmp_path / "p.json")}
    with pytest.raises(ValueError, match="lacks 1 of the panel's 2 genes: UNIQUE"):
        list(load_dataset("stimage_1k4m", "ST", **options).take(1))


def test_bad_input(tmp_path):
    root, out = tmp_path / "root", tmp_path / "p.json"
    write_slide(root, "A", "ST")
    write_slide(root, "B", "ST", seed=1)
    (tmp_path / "list.txt").write_text("CD3E\nNOPE\n")
    assert "1 of 2 genes are not on all 2 slides: NOPE" in refused(
        root, out, "--method", "list", "--genes", tmp_path / "list.txt")  # fmt: skip
    (tmp_path / "list.txt").write_text("\n")
    assert "list.txt: is empty" in refused(root, out, "--method", "list", "--genes", tmp_path / "list.txt")
    assert "chooses genes on one slide, but 2 slides are selected" in refused(root, out, "--method", "hvg")
    counts = root / "ST/gene_exp/B_count.csv"
    whole = counts.read_text()
    counts.write_text(whole.replace(",1", ",1.5"))
    for method in ("overlap-hvg", "hest", "hvg-union"):
        assert "B_count.csv: has counts that are no whole numbers" in refused(root, out, "--method", method)
    assert set(select(root, out, "overlap-hvg", "--allow-normalised", "--n", 2)) <= set(GENES)
    options = {"data_dir": str(root), "split": "train", "streaming": True, "panel": GENES}
    for kind in ("log1p", "median-log1p", "original"):
        with pytest.raises(ValueError, match=r"B_count.csv: has counts that are no whole numbers.*normalise='counts'"):
            list(load_dataset("stimage_1k4m", "ST", normalise=kind, **options))
    assert any(value % 1 for e in load_dataset("stimage_1k4m", "ST", **options) for value in e["expression"])
    out.unlink()
    rows = whole.splitlines()[1:]
    counts.write_text("\n".join([",a,b,c,d", *rows]) + "\n")
    assert "B_count.csv: shares no gene with" in refused(root, out, "--method", "overlap-hvg")
    with pytest.raises(ValueError, match="normalise='log1p' works only on a panel's genes"):
        load_dataset("stimage_1k4m", "ST", data_dir=str(root), streaming=True, normalise="log1p")
    with pytest.raises(ValueError, match="normalise='cpm': pass one of"):
        load_dataset("stimage_1k4m", "ST", data_dir=str(root), streaming=True, panel=["a"], normalise="cpm")


def test_a_panel_as_yaml(root, tmp_path):
    write_slide(tmp_path / "root", "A", "ST")
    counts = tmp_path / "root/ST/gene_exp/A_count.csv"
    counts.write_text(counts.read_text().replace("CD3E", "NO").replace("MKI67", "1-Mar"))  # what YAML and Excel change
    (tmp_path / "list.txt").write_text("NO\n1-Mar\nERBB2\n")
    done = run(SCRIPT, tmp_path / "root", "--method", "list", "--genes", tmp_path / "list.txt",
               "--out", tmp_path / "p.yaml")  # fmt: skip
    assert done.returncode == 0 and (tmp_path / "p.yaml").read_text().startswith("genes:\n"), done.stderr
    data = load_dataset("stimage_1k4m", "ST", data_dir=str(tmp_path / "root"), split="train", streaming=True,
                        panel=str(tmp_path / "p.yaml"))  # fmt: skip
    table = pd.read_csv(counts, index_col=0)[["NO", "1-Mar", "ERBB2"]]
    assert all(e["expression"] == table.loc[e["spot_id"]].tolist() for e in data)
    assert "ends in .json" in run(SCRIPT, root, "--method", "hvg", "--out", tmp_path / "p.txt").stderr


@pytest.mark.parametrize(
    "name, text, words",
    [("p.yaml", "genes: [ERBB2, NO]", "no list of names"), ("p.json", '{"genes": "ERBB2"}', "no list of names"),
     ("p.yml", "genes: [", "is no panel"), ("p.json", "[1", "is no panel"), ("p.json", "{}", "is no panel"),
     ("p.yaml", "genes: []", "is empty"), ("p.txt", "a\nb\na", "names gene 'a' 2 times"),
     ("no.json", None, "can't be read")],
)  # fmt: skip
def test_files_that_are_no_panel(tmp_path, name, text, words):
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=f"{name}: .*{words}") as raised:
        Panel.read(tmp_path / name)
    assert "\n" not in str(raised.value)


def test_memory_is_flat_over_slides(tmp_path):
    for k in range(60):
        write_slide(tmp_path, f"S{k}", "ST", side=2)
        header = [f"GENE{g:05d}" for g in range(5000)]
        path = tmp_path / f"ST/gene_exp/S{k}_count.csv"
        ids = [row.split(",")[0] for row in path.read_text().splitlines()[1:]]
        path.write_text("\n".join([",".join(["", *header]), *(f"{i}" + ",1" * 5000 for i in ids)]) + "\n")
    slides = read_catalog(str(tmp_path)).slides
    common_genes(slides[:2])
    peaks = []
    for n in (6, 60):
        tracemalloc.start()
        assert len(common_genes(slides[:n])) == 5000
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]


@pytest.mark.slow
def test_golden_numbers(shared, tmp_path):
    golden = json.loads((shared / "golden/golden.json").read_text())
    for slide, want in golden["hvg"].items():
        genes = select(shared / "real", tmp_path / "p.json", "hvg", "--slides", slide)
        assert genes == want["genes"]
        examples = load_dataset("stimage_1k4m", "ST", data_dir=str(shared / "real"), split="train", streaming=True,
                                slides=slide, panel=genes, normalise="original")  # fmt: skip
        rows = {e["spot_id"]: e["expression"] for e in examples}
        assert [len(rows), len(genes)] == want["shape"]
        assert np.sum(list(rows.values())) == pytest.approx(want["sum"], rel=1e-6)
        text = (shared / f"real/ST/gene_exp/{slide}_count.csv").read_text()
        first = text.splitlines()[1].split(",")[0].strip('"')
        assert rows[first][:8] == pytest.approx(want["row0"], abs=1e-4)
    want = golden["overlap_hvg"]
    genes = select(shared / "real", tmp_path / "p.json", "overlap-hvg", "--slides", *want["slides"])
    assert genes == want["genes"]
    tables = [pd.read_csv(shared / f"real/ST/gene_exp/{slide}_count.csv", index_col=0) for slide in want["slides"]]
    stack = pd.concat(tables, join="inner")
    assert [len(stack), len(genes)] == want["shape"] and stack.shape[1] == want["n_common"]
    assert (stack.sum() > 0).sum() == want["n_kept"]


def test_held_out_slides_must_have_the_genes_but_their_counts_are_not_read(root, tmp_path):
    copy = tmp_path / "root"
    shutil.copytree(root, copy)
    path = sorted((copy / "ST/gene_exp").glob("Human*.csv"))[2]
    header = path.read_text().split("\n", 1)[0]
    path.write_text(f"{header}\nno counts\n")
    slide = path.name.removesuffix("_count.csv")
    options = ("--tech", "ST", "--species", "human", "--method", "hvg-consensus", "--n", 50)
    assert run(SCRIPT, copy, *options, "--out", tmp_path / "all.json").returncode == 1
    done = run(SCRIPT, copy, *options, "--held-out", slide, "--out", tmp_path / "panel.json")
    assert done.returncode == 0, done.stderr
    panel = json.loads((tmp_path / "panel.json").read_text())
    assert panel["held_out"] == [slide] and len(panel["slides"]) == 2
    assert set(panel["genes"]) <= set(header.replace('"', "").split(","))
    everyone = [s.name for s in read_catalog(copy).of_techs(["ST"]).slides]
    assert "all slides are held out" in refused(copy, tmp_path / "none.json", *options, "--held-out", *everyone)


def test_versions_of_ids_that_differ_are_said_so(tmp_path):
    """It is not the species; a gene table, as the message advises, joins the slides."""
    root, out, ids = tmp_path / "root", tmp_path / "panel.json", [f"ENSG{k:011d}" for k in range(len(GENES))]
    for slide, version in (("A", 12), ("B", 15)):
        write_slide(root, slide, "ST")
        counts = root / f"ST/gene_exp/{slide}_count.csv"
        rows = counts.read_text().splitlines()[1:]
        counts.write_text("\n".join([",".join(["", *(f"{one}.{version}" for one in ids)]), *rows]) + "\n")
    told = refused(root, out, "--method", "overlap-hvg")
    assert "B_count.csv: has the same genes" in told and "other versions of their Ensembl ids" in told
    table = tmp_path / "genes.tsv"
    table.write_text("".join(f"{one}\t{symbol}\tGene Expression\n" for one, symbol in zip(ids, GENES)))
    assert set(select(root, out, "overlap-hvg", "--n", 2, "--gene-table", table)) <= set(GENES)
