"""Cells in a SpatialData store: spatialdata counts in each spot those that ``obs`` has, in pixels and in µm."""

import numpy as np
import pytest
import spatialdata
from spatialdata.models import PointsModel, ShapesModel
from spatialdata.transformations import get_transformation

import stimage
from tests.nuclei import CLASSES, UM, Nuclei, cellvit, write, write_root
from tests.test_count_cells import lattice

NUCLEI = Nuclei()
pytestmark = pytest.mark.filterwarnings("ignore")  # of libraries, about each other


def export(folder, file, to: str = "spatialdata"):
    """Take cells into a root whose spots partly lie outside what was segmented, and export it."""
    lattice(write_root(folder / "root", NUCLEI), 33.0, 40.0)
    root = stimage.open_root(folder / "root", um_per_px=UM)
    stimage.import_cells(root, "Slide_A", file)
    (path,) = stimage.export_slides(root, folder / "out", to, cells=True).values()
    return path


def in_system(element, system: str):
    """Return x and y (n x 2) in a coordinate system: of points, or of middles of shapes."""
    moved = spatialdata.transform(element, to_coordinate_system=system)
    if hasattr(moved, "compute"):
        return moved.compute()[["x", "y"]].to_numpy()
    return np.stack([moved.centroid.x, moved.centroid.y], 1)


@pytest.mark.parametrize("system", ["global", "micrometers"])
@pytest.mark.parametrize("points", [False, True])
def test_cells_lie_in_their_spots(tmp_path, points, system):
    data = spatialdata.read_zarr(export(tmp_path, write(tmp_path / "cells", cellvit(NUCLEI, points))))
    cells, spots, obs = data["Slide_A_cells"], data["Slide_A"], data["table"].obs
    (PointsModel() if points else ShapesModel()).validate(cells)
    assert ("Slide_A_cells" in data.points) == points
    scale = get_transformation(spots, system).to_affine_matrix("xy", "xy")[0, 0]
    assert scale == (UM if system == "micrometers" else 1)
    apart = in_system(spots, system)[:, None] - in_system(cells, system)
    inside = np.hypot(*np.moveaxis(apart, 2, 0)) <= 33 * scale
    known = obs["cells"].notna().to_numpy()
    assert known.any() and not known.all()
    kinds = (cells.compute() if points else cells)["class"].to_numpy()
    for name in CLASSES:
        assert inside[:, kinds == name].sum(1)[known].tolist() == obs[f"cells_{name}"][known].tolist()


def test_outlines_and_what_is_measured(tmp_path):
    np.save(tmp_path / "labels.npy", NUCLEI.labels())
    path = export(tmp_path, tmp_path / "labels.npy")
    cells, want = spatialdata.read_zarr(path)["Slide_A_cells"], NUCLEI.labels()
    assert cells.index.tolist() == [str(k) for k in np.unique(want)[1:]] and cells["class"].isna().all()
    pixels = np.bincount(want.ravel())[1:]
    assert cells["area"].tolist() == pytest.approx((pixels * UM**2).tolist())
    assert np.allclose(cells.area, pixels, rtol=0.06)  # outlines cut corners of pixels
    np.testing.assert_allclose(in_system(cells, "global"), NUCLEI.xy, atol=0.6)
    again = stimage.add_slide(path, tmp_path / "again", "Slide_A")  # whose spots are not the cells
    assert len(stimage.read_slide(tmp_path / "again", again.name)) == len(spatialdata.read_zarr(path)["table"])


def test_without_cells_there_are_none(tmp_path):
    path = export(tmp_path, write(tmp_path / "cells", cellvit(NUCLEI)))
    stimage.export_slides(stimage.open_root(tmp_path / "root"), tmp_path / "out", "spatialdata")
    assert list(spatialdata.read_zarr(path).shapes) == ["Slide_A"]
