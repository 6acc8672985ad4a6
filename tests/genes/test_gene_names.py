"""Symbols and Ensembl ids: tables as they come, the rule for duplicates, and what is told of the rest."""

import csv
import gzip
import json

import anndata
import pandas as pd
import pytest
from datasets import load_dataset

import stimage_1k4m  # noqa: F401
from stimage.core.errors import DataError
from stimage.genes.names import Naming, map_genes, read_gene_table
from tests.roots import write_slide
from tests.test_scripts import run

A, B, C, D = (f"ENSG0000000000{k}" for k in range(1, 5))
FEATURES = (
    f"{A}\tAAA\tGene Expression\n{B}\tBBB\tGene Expression\n{C}\tBBB\tGene Expression\n{D}\t{D}\tGene Expression\n"
)
BIOMART = f"Gene stable ID,Gene name,Organism\n{A}.7,AAA,human\n{B},BBB,human\n{C},BBB,human\n{D},,human\n" \
          "ENSMUSG00000000001,Aaa,mouse\n"  # fmt: skip


@pytest.fixture(params=["features", "gzip", "biomart"])
def table(request, tmp_path):
    path = tmp_path / "table"
    path.write_bytes({"features": FEATURES.encode(), "gzip": gzip.compress(FEATURES.encode()),
                      "biomart": BIOMART.encode()}[request.param])  # fmt: skip
    return read_gene_table(path, "human")


def test_to_symbols(table):
    found = map_genes([f"{A}.2", B, C, D, "ENSG00000000009", "XYZ"], table, "symbol", "S_count.csv")
    assert found.names == ("AAA", "BBB", D, "XYZ") and found.target.tolist() == [0, 1, 1, 2, -1, 3]
    assert found.merged == {"BBB": (B, C)} and found.lost == ("ENSG00000000009",)
    assert (found.mapped, found.kept) == (3, 2)
    assert found.report() == "3 mapped, 2 kept, 2 merged into 1, 1 lost (ENSG00000000009)"


def test_to_ensembl(table):
    found = map_genes(["AAA", "BBB", f"{A}.3", "XYZ"], table, "ensembl", "S_count.csv")
    assert found.names == (A, B) and found.target.tolist() == [0, 1, 0, -1] and found.lost == ("XYZ",)


def test_another_species_is_refused(table):
    with pytest.raises(DataError, match=r"^S_count.csv: the gene table .* has none of the slide's 2 genes, .* 'Aaa'"):
        map_genes(["Aaa", "Bbb"], table, "ensembl", "S_count.csv")
    with pytest.raises(ValueError, match="to='entrez': pass one of"):
        Naming("table", "entrez")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("gene,colour\na,b\n", "line 1: has no column for the id"),
        ("Gene stable ID,colour\na,b\n", "line 1: has no column for the symbol"),
        (f"{A}\tAAA\n{A}\tBBB\n", "line 2: ENSG00000000001 is 'BBB' here and 'AAA' before"),
        (f"{A}\tAAA\nAAA\t{A}\n", "line 2: 'AAA' is no Ensembl id"),
        (f"{A}\tAAA\n{B}\n", "line 2: has 1 cells"),
        (f"id,symbol,species\n{A},AAA,mouse\n", "has no gene of the species 'human'"),
    ],
)
def test_tables_that_are_none(tmp_path, text, words):
    (tmp_path / "table.tsv").write_text(text)
    with pytest.raises(DataError, match=words):
        read_gene_table(tmp_path / "table.tsv", "human")


IDS = {"ERBB2": (A,), "ESR1": (B, C), "MKI67": (D,)}  # CD3E is not in the table


@pytest.fixture
def mixed(tmp_path):
    """Slide S has symbols; E the Ensembl ids of ERBB2, of ESR1 twice and of MKI67; and their table."""
    root = tmp_path / "root"
    write_slide(root, "S", "ST", seed=1)
    write_slide(root, "E", "ST", seed=2)
    counts = root / "ST/gene_exp/E_count.csv"
    counts.write_text(counts.read_text().replace("ERBB2,ESR1,MKI67,CD3E", f"{A}.5,{B},{D},{C}"))
    table = tmp_path / "features.tsv"
    table.write_text("".join(f"{i}\t{symbol}\n" for symbol, ids in IDS.items() for i in ids))
    return root, table


def by_symbol(root) -> pd.DataFrame:
    """Return the counts of both slides under symbols, as pandas adds them."""
    s, e = (pd.read_csv(root / f"ST/gene_exp/{name}_count.csv", index_col=0) for name in "SE")
    symbol = {i: name for name, ids in IDS.items() for i in ids}
    e = e.T.groupby([symbol[name.split(".")[0]] for name in e.columns]).sum().T
    return pd.concat([s[list(IDS)], e[list(IDS)]])


@pytest.mark.parametrize("panel", [["MKI67", "ESR1"], [D, B]])
def test_a_panel_is_found_under_other_names(mixed, panel):
    root, table = mixed
    options = {"data_dir": str(root), "split": "train", "streaming": True, "panel": panel}
    want = by_symbol(root)[["MKI67", "ESR1"]]
    if panel == [D, B]:
        ensembl = pd.read_csv(root / "ST/gene_exp/E_count.csv", index_col=0)[[D, B]].set_axis(want.columns, axis=1)
        want = pd.concat([ensembl, want.loc[want.index.str.startswith("S")]])
    data = load_dataset("stimage_1k4m", "ST", gene_table=str(table), **options)
    got = {e["spot_id"]: e["expression"] for e in data}
    assert got == {spot: row.tolist() for spot, row in want.astype(float).iterrows()}
    with pytest.raises(
        ValueError, match=r"lacks 2 of the panel's 2 genes.*are the species and the kind of names the same"
    ):
        list(load_dataset("stimage_1k4m", "ST", **options))
    with pytest.raises(ValueError, match="gene_table= only helps to find a panel's genes"):
        load_dataset("stimage_1k4m", "ST", gene_table=str(table), **options | {"panel": None})


def test_choosing_and_exporting_by_symbols(mixed, tmp_path):
    root, table = mixed
    assert "shares no gene with" in run("data_process/select_genes.py", root, "--method", "overlap-hvg",
                                           "--out", tmp_path / "p.json").stderr  # fmt: skip
    for method in ("overlap-hvg", "hvg-union"):
        done = run("data_process/select_genes.py", root, "--method", method, "--n", 3, "--gene-table", table,
                   "--out", tmp_path / "p.json")  # fmt: skip
        assert done.returncode == 0, done.stderr
        panel = json.loads((tmp_path / "p.json").read_text())
        assert set(panel["genes"]) == set(IDS) and panel["parameters"]["names"] == "symbol"
    done = run("data_process/export_slides.py", root, "--one-file", "--gene-table", table, "--out", tmp_path / "x.h5ad")
    assert done.returncode == 0, done.stderr
    data = anndata.read_h5ad(tmp_path / "x.h5ad")
    assert data.to_df()[list(IDS)].equals(by_symbol(root).loc[data.obs_names].astype("float32"))


def test_the_report(mixed, tmp_path):
    root, table = mixed
    done = run("data_process/map_genes.py", root, "--gene-table", table, "--out", tmp_path / "names.csv")
    assert "E: 4 mapped, 0 kept, 2 merged into 1, 0 lost" in done.stdout, done.stderr
    assert "S: 0 mapped, 4 kept" in done.stdout
    rows = [tuple(row.values()) for row in csv.DictReader((tmp_path / "names.csv").open())]
    merged = [("E", B, "ESR1", "merged"), ("E", C, "ESR1", "merged")]
    assert rows[:4] == [("E", f"{A}.5", "ERBB2", "mapped"), merged[0], ("E", D, "MKI67", "mapped"), merged[1]]
    assert rows[4:] == [("S", gene, gene, "kept") for gene in (*IDS, "CD3E")]
    done = run(
        "data_process/map_genes.py", root, "--gene-table", table, "--names", "ensembl", "--out", tmp_path / "n.csv"
    )
    assert "S: 3 mapped, 0 kept, 0 merged into 0, 1 lost (CD3E)" in done.stdout


@pytest.mark.parametrize("script", ["map_genes", "select_genes", "export_slides"])
def test_the_wrong_species_and_no_table(mixed, tmp_path, script):
    root, table = mixed
    table.write_text("ENSMUSG00000000001\tErbb2\n")
    more = ("--method", "overlap-hvg") if script == "select_genes" else ()
    for path, words in ((table, "has none of the slide's 4 genes"), (tmp_path / "no.tsv", "no.tsv")):
        done = run(f"data_process/{script}.py", root, *more, "--gene-table", path, "--out", tmp_path / "out.json")
        assert done.returncode == 1 and words in done.stderr and "Traceback" not in done.stderr, done.stderr


def test_tables_of_several_species_and_of_10x(mixed, tmp_path):
    root, table = mixed
    head, script = (
        "Gene stable ID,Gene name,Species\n",
        ("data_process/map_genes.py", root, "--out", tmp_path / "n.csv"),
    )
    table.write_text(f"{head}ENSMUSG00000000001,Erbb2,mouse\n" + "".join(
        f"{i},{symbol},human\n" for symbol, ids in IDS.items() for i in ids))  # fmt: skip
    done = run(*script, "--gene-table", table)
    assert "E: 4 mapped, 0 kept, 2 merged into 1, 0 lost" in done.stdout, done.stderr
    table.write_text(f"{A}\tERBB2\tGene Expression\nCD3_TotalSeqB\tCD3\tAntibody Capture\n")
    assert "E: 1 mapped, 0 kept, 0 merged into 0, 3 lost" in run(*script, "--gene-table", table).stdout
    before = (tmp_path / "n.csv").read_bytes()
    for text, words in (
        (
            f"{head}{A},ERBB2,Homo sapiens\n",
            "has no gene of the species 'human', only of Homo sapiens",
        ),
        ("\n# nothing\n", "has no row; expected Ensembl ids and symbols"),
    ):
        table.write_text(text)
        done = run(*script, "--gene-table", table)
        assert done.returncode == 1 and words in done.stderr and done.stderr.count("\n") == 1, done.stderr
    assert (tmp_path / "n.csv").read_bytes() == before
    meta = root / "meta/meta_all_gene.csv"
    meta.write_text(meta.read_text().replace("human", ""))
    table.write_text(f"{head}{A},ERBB2,human\n")
    assert "add the slide's species to the meta file" in run(*script, "--gene-table", table).stderr


def test_the_builder_names_a_table_that_is_not_there(mixed, tmp_path):
    options = {"data_dir": str(mixed[0]), "split": "train", "streaming": True, "panel": ["ERBB2"]}
    with pytest.raises(DataError, match=r"no.tsv: cannot be read"):
        load_dataset("stimage_1k4m", "ST", gene_table=str(tmp_path / "no.tsv"), **options)
