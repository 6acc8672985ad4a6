"""Slides as .h5ad: what is in them is what the files have, and scanpy draws it."""

import anndata
import matplotlib
import numpy as np
import pandas as pd
import pytest
import scanpy
from datasets import load_dataset
from PIL import Image

import stimage
import stimage_1k4m
from tests.roots import write_slide
from tests.test_scripts import run

matplotlib.use("Agg")
SCRIPT = "data_process/export_slides.py"


@pytest.mark.parametrize("tech", ["ST", "Visium", "VisiumHD"])
def test_each_slide_round_trips(sample, tmp_path, tech):
    done = run(SCRIPT, sample, "--tech", tech, "--out", tmp_path, "--image-px", 300)
    assert done.returncode == 0, done.stderr
    paths = sorted(tmp_path.glob("*.h5ad"))
    assert [p.stem for p in paths] == sorted(p.name[:-10] for p in (sample / tech / "gene_exp").glob("*.csv"))
    for path in paths:
        data = anndata.read_h5ad(path)
        counts = pd.read_csv(sample / tech / f"gene_exp/{path.stem}_count.csv", index_col=0)
        coord = pd.read_csv(sample / tech / f"coord/{path.stem}_coord.csv", index_col=0).loc[data.obs_names]
        assert data.var_names.is_unique and data.shape == counts.shape and data.X.format == "csr"
        np.testing.assert_array_equal(data.X.toarray(), counts.loc[data.obs_names].to_numpy())
        np.testing.assert_array_equal(data.obsm["spatial"], coord[["xaxis", "yaxis"]])
        spatial = data.uns["spatial"][path.stem]
        image, factors = spatial["images"]["hires"], spatial["scalefactors"]
        assert max(image.shape) <= 300 and image.dtype == np.uint8
        with Image.open(sample / tech / f"image/{path.stem}.png") as whole:
            assert (
                abs(image.shape[1] / factors["tissue_hires_scalef"] - whole.width) <= 1 / factors["tissue_hires_scalef"]
            )
        assert factors["spot_diameter_fullres"] == pytest.approx(2 * coord["r"].median())
        options = {"data_dir": str(sample), "split": "train", "streaming": True, "slides": path.stem}
        for example in load_dataset("stimage_1k4m", tech, **options).take(20):
            row = data.obs.loc[example["spot_id"]]
            assert row["species"] == example["species"] and row["um_per_px"] == pytest.approx(example["um_per_px"])
            assert row["annotation"] == example["annotation"] or pd.isna(row["annotation"])


@pytest.mark.slow
def test_scanpy_processes_and_draws_it(sample, tmp_path):
    assert run(SCRIPT, sample, "--tech", "Visium", "--out", tmp_path).returncode == 0
    data = scanpy.read_h5ad(sorted(tmp_path.glob("*.h5ad"))[0])
    scanpy.pp.normalize_total(data)
    scanpy.pp.log1p(data)
    scanpy.pl.spatial(data, color=["annotation", data.var_names[0]], show=False)
    figure = matplotlib.pyplot.gcf()
    figure.savefig(tmp_path / "plot.png")
    matplotlib.pyplot.close(figure)
    assert np.asarray(Image.open(tmp_path / "plot.png").convert("RGB")).std() > 10


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # squidpy's own, by the dozen
def test_squidpy_draws_it_and_knows_the_lattice(sample, tmp_path):
    import squidpy

    assert run(SCRIPT, sample, "--tech", "Visium", "--species", "human", "--out", tmp_path).returncode == 0
    data = anndata.read_h5ad(sorted(tmp_path.glob("*.h5ad"))[0])
    squidpy.pl.spatial_scatter(data, color="annotation", library_id=data.obs["slide"].iloc[0])
    matplotlib.pyplot.gcf().savefig(tmp_path / "plot.png")
    matplotlib.pyplot.close("all")
    assert np.asarray(Image.open(tmp_path / "plot.png").convert("RGB")).std() > 10
    scanpy.pp.pca(data, n_comps=5)
    scanpy.pp.neighbors(data, n_neighbors=5)
    assert data.obsm["X_pca"].shape == (data.n_obs, 5) and data.obsp["connectivities"].nnz
    squidpy.gr.spatial_neighbors(data, coord_type="grid", n_neighs=6)
    neighbours = np.asarray(data.obsp["spatial_connectivities"].sum(1)).ravel()
    assert np.median(neighbours) == 6
    squidpy.gr.spatial_autocorr(data, mode="moran", genes=data.var_names[:5].tolist())
    assert len(data.uns["moranI"]) == 5


def test_one_file_for_all(sample, tmp_path):
    done = run(SCRIPT, sample, "--species", "human", "--tech", "Visium", "--one-file", "--out", tmp_path / "all.h5ad")
    assert done.returncode == 0, done.stderr
    data, tables = anndata.read_h5ad(tmp_path / "all.h5ad"), []
    for path in sorted((sample / "Visium/gene_exp").glob("Human*.csv")):
        names = path.read_text().split("\n", 1)[0].replace('"', "").split(",")[1:]
        tables.append(pd.read_csv(path, index_col=0))  # which makes repeated names unique in its own way
        tables[-1].columns = anndata.utils.make_index_unique(pd.Index(names))
    want = pd.concat(tables, join="inner")
    assert set(data.var_names) == set(want.columns) and len(data) == len(want)
    np.testing.assert_array_equal(data.X.toarray(), want.loc[data.obs_names, data.var_names].to_numpy())
    assert data.obs["slide"].nunique() == len(tables) == len(data.uns["spatial"])


def test_nothing_by_halves(tmp_path):
    write_slide(tmp_path / "root", "A", "ST")
    write_slide(tmp_path / "root", "B", "ST", seed=1)
    counts = tmp_path / "root/ST/gene_exp/B_count.csv"
    text = counts.read_text()
    counts.write_text(",a,b,c,d\n" + text.split("\n", 1)[1])
    done = run(SCRIPT, tmp_path / "root", "--one-file", "--out", tmp_path / "out/all.h5ad")
    assert done.returncode == 1 and "B_count.csv: shares no gene with" in done.stderr
    counts.write_text(text.replace(",1", ",x"))
    done = run(SCRIPT, tmp_path / "root", "--out", tmp_path / "out")
    assert done.returncode == 1 and "B_count.csv" in done.stderr and "Traceback" not in done.stderr
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["A.h5ad"]


@pytest.mark.parametrize("kind", ["log1p", "median-log1p", "original"])
def test_a_panel_normalised_is_what_the_builder_gives(sample, tmp_path, kind):
    filters = {"species": "mouse", "slides": "Mouse_Brain_Sample2_ST_A1"}
    panel = tmp_path / "panel.txt"
    panel.write_text("Nrgn\nMbp\nSatb2\n")
    done = run(SCRIPT, sample, "--slides", filters["slides"], "--panel", panel, "--normalise", kind, "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    data = anndata.read_h5ad(tmp_path / f"{filters['slides']}.h5ad")
    assert data.var_names.tolist() == ["Nrgn", "Mbp", "Satb2"]
    options = {"data_dir": str(sample), "split": "train", "streaming": True, "panel": str(panel), "normalise": kind}
    got = {e["spot_id"]: e["expression"] for e in load_dataset("stimage_1k4m", "ST", **filters, **options)}
    np.testing.assert_array_equal(data.X.toarray(), np.float32([got[spot] for spot in data.obs_names]))


@pytest.mark.parametrize("one_file", [["--one-file"], []])
def test_slides_that_are_dropped_are_not_exported(tmp_path, one_file):
    root, panel = tmp_path / "root", tmp_path / "panel.txt"
    for seed, name in enumerate(("Slide_A", "Slide_B", "Slide_C", "Slide_D")):
        write_slide(root, name, "ST", seed=seed)
    coord = root / "ST/coord/Slide_B_coord.csv"
    coord.write_text(coord.read_text().replace("Slide_B_", "Slide_B_other_"))  # no spot is left
    counts = root / "ST/gene_exp/Slide_B_count.csv"
    counts.write_text(counts.read_text().replace("ESR1", "OTHER"))  # so that not all slides have ESR1
    counts = root / "ST/gene_exp/Slide_C_count.csv"
    counts.write_text(counts.read_text().replace("CD3E", "OTHER"))
    panel.write_text("ERBB2\nCD3E\n")
    for more, slides in (([], "ACD"), (["--panel", panel], "AD")):
        out = tmp_path / f"out{len(more)}"
        script = (SCRIPT, root, *one_file, "--out", out, *more)
        assert run(*script).returncode == 1
        done = run(*script, "--on-mismatch", "drop")
        assert done.returncode == 0 and f"{len(slides)} slides" in done.stdout, done.stderr
        written = [anndata.read_h5ad(path) for path in ([out] if one_file else sorted(out.iterdir()))]
        want = {
            e["spot_id"] for e in stimage_1k4m.load("ST", root, on_mismatch="drop", panel=str(panel) if more else None)
        }
        assert {spot for one in written for spot in one.obs_names} == want and len(want) == 9 * len(slides)
        assert more or all("ESR1" in one.var_names for one in written)


def test_all_genes_normalised_are_scanpys(sample, tmp_path):
    more = ("--slides", "Mouse_Brain_Sample2_ST_A1", "--out")
    for kind in ("counts", "median-log1p"):
        assert run(SCRIPT, sample, "--normalise", kind, *more, tmp_path / kind).returncode == 0
    want, got = (anndata.read_h5ad(next((tmp_path / kind).iterdir())) for kind in ("counts", "median-log1p"))
    scanpy.pp.normalize_total(want)
    scanpy.pp.log1p(want)
    np.testing.assert_allclose(got.X.toarray(), want.X.toarray(), rtol=1e-5)
    done = run(SCRIPT, sample, "--normalise", "original", *more, tmp_path / "x")
    assert done.returncode == 2 and "pass --panel too" in done.stderr


def test_options_that_cannot_be(tmp_path):
    root, out = tmp_path / "root", tmp_path / "out"
    write_slide(root, "A", "ST")
    (tmp_path / "panel.txt").write_text("ERBB2\nNOPE\n")
    (tmp_path / "file").touch()
    counts = root / "ST/gene_exp/A_count.csv"
    counts.write_text(counts.read_text().replace(",1", ",1.5"))
    for options, words in (
        (("--panel", tmp_path / "panel.txt", "--out", out), "A_count.csv: lacks 1 of the panel's 2 genes: NOPE"),
        (("--panel", tmp_path / "no.json", "--out", out), "no.json: can't be read as a panel"),
        (("--normalise", "log1p", "--out", out), "A_count.csv: has counts that are no whole numbers"),
        (("--out", tmp_path / "file/out"), "cannot be written (Not a directory)"),
        (("--one-file", "--out", tmp_path), "cannot be written (it is a folder)"),
    ):
        done = run(SCRIPT, root, *options)
        assert done.returncode == 1 and words in done.stderr and done.stderr.count("\n") == 1, done.stderr
        assert not out.exists() or not list(out.iterdir())


@pytest.mark.slow
def test_real_slides(shared, tmp_path):
    assert run(SCRIPT, shared / "real", "--out", tmp_path).returncode == 0
    assert sum(len(anndata.read_h5ad(path)) for path in tmp_path.glob("*.h5ad")) == 834


def test_in_python_it_is_what_the_file_has(sample, tmp_path):
    """And scanpy's PCA takes both: columns and row starts are integers of one width."""
    name = "Mouse_Brain_Sample2_ST_A1"
    assert run(SCRIPT, sample, "--slides", name, "--image-px", 300, "--out", tmp_path).returncode == 0
    want, got = anndata.read_h5ad(tmp_path / f"{name}.h5ad"), stimage.read_slide(sample, name, image_px=300)
    assert (got.X != want.X).nnz == 0 and got.X.dtype == want.X.dtype
    assert got.obs.astype(str).equals(want.obs.astype(str)) and got.var_names.equals(want.var_names)
    np.testing.assert_array_equal(got.obsm["spatial"], want.obsm["spatial"])
    spatial = (data.uns["spatial"][name] for data in (got, want))
    np.testing.assert_array_equal(*(one["images"]["hires"] for one in spatial))
    for data in (want, got):
        assert data.X.indptr.dtype == data.X.indices.dtype == np.int32
        scanpy.pp.log1p(data)
        scanpy.pp.pca(data, n_comps=5)
        assert data.obsm["X_pca"].shape == (data.n_obs, 5)
