"""Slides as SpatialData stores: spatialdata reads and validates them, others draw them, and none is there by halves."""

import matplotlib
import numpy as np
import pytest
import spatialdata
from PIL import Image
from spatialdata.models import Image2DModel, ShapesModel, TableModel
from spatialdata.transformations import get_transformation

import stimage
from stimage.formats.written.spatialdata_store import element_name
from tests.roots import write_slide
from tests.test_scripts import run

matplotlib.use("Agg")
pytestmark = pytest.mark.filterwarnings("ignore")  # of libraries, about each other
SCRIPT = "data_process/export_slides.py"
SLIDES = {"Visium": "Human_Breast_Sample3_Visium_A1", "VisiumHD": "Human_Breast_Sample5_VisiumHD_A1"}


@pytest.mark.parametrize("tech", SLIDES)
def test_it_has_the_slide(sample, tmp_path, tech):
    name = SLIDES[tech]
    done = run(SCRIPT, sample, "--to", "spatialdata", "--slides", name, "--out", tmp_path)
    assert done.returncode == 0 and done.stdout == f"1 slide: {tmp_path}\n", done.stderr
    data, want = spatialdata.read_zarr(tmp_path / f"{name}.zarr"), stimage.read_slide(sample, name)
    table, shapes, image = data["table"], data[name], data[f"{name}_full_image"]
    TableModel().validate(table), ShapesModel.validate(shapes), Image2DModel().validate(image)
    assert (table.X != want.X).nnz == 0 and table.X.indptr.dtype == table.X.indices.dtype
    assert table.obs_names.tolist() == want.obs_names.tolist() and table.var_names.equals(want.var_names)
    assert table.obs[want.obs.columns].astype(str).equals(want.obs.astype(str))
    joined, _ = spatialdata.join_spatialelement_table(sdata=data, spatial_element_names=name, table_name="table")
    centre = joined[name].centroid
    np.testing.assert_allclose(np.stack([centre.x, centre.y], 1), want.obsm["spatial"])
    assert set(shapes.geom_type) == {"Polygon" if tech == "VisiumHD" else "Point"}
    with Image.open(sample / tech / f"image/{name}.png") as whole:
        assert (np.moveaxis(image.values, 0, 2) == np.asarray(whole.convert("RGB"))).all()
    um = want.obs["um_per_px"].iloc[0]
    for element in (shapes, image):
        systems = get_transformation(element, get_all=True)
        assert list(systems) == ["global", "micrometers"]
        assert np.allclose(np.diag(systems["micrometers"].to_affine_matrix("xy", "xy")), [um, um, 1])


def test_a_large_image_has_a_pyramid_of_its_own_pixels(tmp_path, monkeypatch):
    monkeypatch.setattr("stimage.formats.written.spatialdata_store.TOP", 20)
    write_slide(tmp_path / "root", "Größe 1", "ST", side=6, mode="L")
    (path,) = stimage.export_slides(tmp_path / "root", tmp_path / "out", "spatialdata").values()
    data = spatialdata.read_zarr(path)
    assert path.name == "Größe 1.zarr" and list(data.shapes) == [element_name("Größe 1")] == ["Gr__e_1"]
    assert data["table"].obs["slide"].unique().tolist() == ["Größe 1"]
    levels = [spatialdata.get_pyramid_levels(data["Gr__e_1_full_image"], n=n).values for n in range(3)]
    assert [level.shape for level in levels] == [(3, 140, 150), (3, 70, 75), (3, 35, 37)]
    mean = levels[0].reshape(3, 70, 2, 75, 2).mean((2, 4))
    assert np.abs(levels[1] - mean).max() <= 1


@pytest.mark.slow
def test_squidpy_and_spatialdata_plot_draw_it(sample, tmp_path):
    import spatialdata_plot  # noqa: F401
    import squidpy

    name = SLIDES["Visium"]
    (path,) = stimage.export_slides(stimage.open_root(sample, slides=name), tmp_path, "spatialdata").values()
    data = spatialdata.read_zarr(path)
    gene = data["table"].var_names[0]
    data.pl.render_images().pl.render_shapes(name, color=gene).pl.show(coordinate_systems="global")
    matplotlib.pyplot.savefig(tmp_path / "plot.png")
    squidpy.gr.spatial_neighbors(data["table"], coord_type="grid", n_neighs=6)
    assert np.median(np.asarray(data["table"].obsp["spatial_connectivities"].sum(1))) == 6
    squidpy.pl.spatial_scatter(data["table"], color=gene, library_id=name)
    matplotlib.pyplot.savefig(tmp_path / "scatter.png")
    for picture in ("plot.png", "scatter.png"):
        assert np.asarray(Image.open(tmp_path / picture).convert("RGB")).std() > 10
    matplotlib.pyplot.close("all")


def test_a_store_is_replaced_by_a_whole_one_alone(tmp_path):
    root, out = tmp_path / "root", tmp_path / "out"
    write_slide(root, "A", "ST")
    script = (SCRIPT, root, "--to", "spatialdata", "--out", out)
    assert run(*script).returncode == 0 and run(*script).returncode == 0
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    counts = root / "ST/gene_exp/A_count.csv"
    text = counts.read_text()
    counts.write_text(text.replace(",1", ",x", 1))
    done = run(*script)
    assert done.returncode == 1 and "A_count.csv: " in done.stderr and done.stderr.count("\n") == 1, done.stderr
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    counts.write_text(text)
    (out / "mine").mkdir()
    (out / "A.zarr").rename(out / "there.zarr")
    (out / "A.zarr").mkdir()
    (out / "A.zarr/notes.txt").write_text("mine")
    done = run(*script)
    assert done.returncode == 1 and "A.zarr: is there, and is no Zarr store" in done.stderr
    assert (out / "A.zarr/notes.txt").read_text() == "mine"
    done = run(*script, "--one-file")
    assert (
        done.returncode == 1
        and "one_file= (--one-file) works only with to= (--to) h5ad, not with spatialdata" in done.stderr
    )
