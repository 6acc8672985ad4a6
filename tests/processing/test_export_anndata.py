"""Slides as .h5ad: what is in them is what the files have, and scanpy draws it."""

import anndata
import matplotlib
import numpy as np
import pandas as pd
import pytest
import scanpy
from datasets import load_dataset
from PIL import Image

import stimage_1k4m  # noqa: F401
from tests.roots import write_slide
from tests.test_scripts import run

matplotlib.use("Agg")
SCRIPT = "data_process/export_anndata.py"


@pytest.mark.parametrize("tech", ["ST", "Visium", "VisiumHD"])
def test_each_slide_round_trips(sample, tmp_path, tech):
    done = run(SCRIPT, sample, "--config", tech, "--out", tmp_path, "--image-px", 300)
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


def test_scanpy_processes_and_draws_it(sample, tmp_path):
    assert run(SCRIPT, sample, "--config", "Visium", "--out", tmp_path).returncode == 0
    data = scanpy.read_h5ad(sorted(tmp_path.glob("*.h5ad"))[0])
    scanpy.pp.normalize_total(data)
    scanpy.pp.log1p(data)
    scanpy.pl.spatial(data, color=["annotation", data.var_names[0]], show=False)
    figure = matplotlib.pyplot.gcf()
    figure.savefig(tmp_path / "plot.png")
    matplotlib.pyplot.close(figure)
    assert np.asarray(Image.open(tmp_path / "plot.png").convert("RGB")).std() > 10


@pytest.mark.filterwarnings("ignore")  # squidpy's own, by the dozen
def test_squidpy_draws_it_and_knows_the_lattice(sample, tmp_path):
    import squidpy

    assert run(SCRIPT, sample, "--config", "Visium", "--species", "human", "--out", tmp_path).returncode == 0
    data = anndata.read_h5ad(sorted(tmp_path.glob("*.h5ad"))[0])
    squidpy.pl.spatial_scatter(data, color="annotation", library_id=data.obs["slide"].iloc[0])
    matplotlib.pyplot.gcf().savefig(tmp_path / "plot.png")
    matplotlib.pyplot.close("all")
    assert np.asarray(Image.open(tmp_path / "plot.png").convert("RGB")).std() > 10
    squidpy.gr.spatial_neighbors(data, coord_type="grid", n_neighs=6)
    neighbours = np.asarray(data.obsp["spatial_connectivities"].sum(1)).ravel()
    assert np.median(neighbours) == 6
    squidpy.gr.spatial_autocorr(data, mode="moran", genes=data.var_names[:5].tolist())
    assert len(data.uns["moranI"]) == 5


def test_one_file_for_all(sample, tmp_path):
    done = run(SCRIPT, sample, "--species", "human", "--config", "Visium", "--one-file", "--out", tmp_path / "all.h5ad")
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
    assert done.returncode == 1 and "2 slides have no gene in common" in done.stderr
    counts.write_text(text.replace(",1", ",x"))
    done = run(SCRIPT, tmp_path / "root", "--out", tmp_path / "out")
    assert done.returncode == 1 and "B_count.csv" in done.stderr and "Traceback" not in done.stderr
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["A.h5ad"]


def test_real_slides(shared, tmp_path):
    assert run(SCRIPT, shared / "real", "--out", tmp_path).returncode == 0
    assert sum(len(anndata.read_h5ad(path)) for path in tmp_path.glob("*.h5ad")) == 834
