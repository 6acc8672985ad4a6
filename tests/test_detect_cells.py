"""Nuclei found without a GPU: on made tissue, at tiles' edges, at several scales, and what can't be looked at."""

import numpy as np
import pandas as pd
import pytest
import shapely
from PIL import Image
from scipy.spatial import cKDTree

import stimage
from stimage.cells import nuclei as finder
from stimage.cells.cells import read_cells
from stimage.core.errors import DataError
from tests.nuclei import UM, Nuclei, write_root
from tests.test_scripts import run

DIAMETER = 16.0  # pixels at 0.5 µm


def f1(found: np.ndarray, truth: np.ndarray, within: float) -> float:
    """Return F1 of centres, each matched to one at most."""
    far, at = cKDTree(truth).query(found, distance_upper_bound=within)
    matched = {int(k) for k in at[np.isfinite(far)]}
    return 2 * len(matched) / (len(found) + len(truth))


@pytest.fixture(scope="module")
def crowded():
    return Nuclei(pitch=1.2 * DIAMETER, radius=DIAMETER / 2)


@pytest.fixture
def root(crowded, tmp_path):
    return write_root(tmp_path / "root", crowded)


def test_nuclei_are_found(root, crowded, monkeypatch):
    monkeypatch.setattr(finder, "TILE", 150)  # many tiles, whose edges cut nuclei
    done = run("data_process/detect_cells.py", root, "--um-per-px", UM)
    assert done.returncode == 0, done.stderr
    opened = stimage.open_root(root, um_per_px=UM)
    cells = read_cells(str(root), opened.slides[0])
    assert f1(cells.xy, crowded.xy, 3 / UM) >= 0.9
    assert done.stdout.startswith(f"Slide_A: {len(cells)} nuclei; medians: area ")
    table = cells.table.to_pandas()
    assert cells.um_per_px == UM and cells.region == (0, 0, *crowded.size) and table["class"].isna().all()
    assert table.area.median() == pytest.approx(np.pi * (DIAMETER * UM / 2) ** 2, rel=0.15)
    assert table.ellipticity.between(0, 0.5).all() and table.id.is_unique
    outlines = shapely.from_wkb(table.polygon.to_numpy())
    assert np.allclose(shapely.area(outlines) * UM**2, table.area, rtol=0.1)
    assert (shapely.distance(outlines, shapely.points(cells.xy)) == 0).all()
    within = cKDTree(cells.xy * UM).query_ball_point(cells.xy * UM, 50, return_length=True)
    assert np.allclose(table.density, within / (np.pi * 0.05**2))
    counts = stimage.count_cells(opened)
    assert counts.columns.tolist()[-1] == "unclassed" and counts.unclassed.sum() > 20


def test_tiles_change_nothing(root, monkeypatch):
    def found() -> pd.DataFrame:
        stimage.detect_cells(opened)
        cells = read_cells(str(root), opened.slides[0]).table.to_pandas()
        return cells.sort_values(["x", "y"]).drop(columns=["id", "polygon"]).reset_index(drop=True)

    opened = stimage.open_root(root, um_per_px=UM)
    whole = found()
    monkeypatch.setattr(finder, "TILE", 190)
    tiled = found()
    far, _ = cKDTree(whole[["x", "y"]]).query(tiled[["x", "y"]])
    assert abs(len(tiled) - len(whole)) <= 0.01 * len(whole) and np.quantile(far, 0.98) < 0.01


@pytest.mark.parametrize("um", [0.2, 1.0, 2.0])
def test_at_any_scale_places_are_pixels_of_the_image(um, tmp_path):
    radius = 4 / um
    made = Nuclei(round(300 / um), round(240 / um), pitch=3 * radius, radius=radius)
    root = write_root(tmp_path / "root", made)
    image = finder.detect(str(root / "ST/image/Slide_A.png"), "Slide_A", um)
    assert f1(image.xy, made.xy, 2 / um) >= 0.9
    assert np.median(image.table["area"].to_numpy()) == pytest.approx(np.pi * 16, rel=0.25)


def test_the_darkest_are_darkest(tmp_path):
    made = Nuclei(pitch=40, radius=8)
    pixels = made.pixels().astype(float)
    pixels[:, :300] = 255 - 0.75 * (255 - pixels[:, :300])  # paler on the left
    root = write_root(tmp_path / "root", made)
    Image.fromarray(pixels.astype(np.uint8)).save(root / "ST/image/Slide_A.png")
    cells = finder.detect(str(root / "ST/image/Slide_A.png"), "Slide_A", UM)
    dark = cells.table["haematoxylin"].to_numpy()
    assert dark[cells.xy[:, 0] > 310].min() > dark[cells.xy[:, 0] < 290].max()


def test_what_cannot_be_looked_at(root, tmp_path):
    with pytest.raises(DataError, match=r"Slide_A.png: has 3 µm per pixel, where nuclei can't be seen"):
        stimage.detect_cells(stimage.open_root(root, um_per_px=3.0))
    path = root / "ST/coord/Slide_A_coord.csv"
    path.write_text(path.read_text().replace(",55.0", ",20.0"))  # r contradicts the pitch
    with pytest.raises(DataError, match=r"Slide_A: finding nuclei needs µm per pixel, and this slide's is not trusted"):
        stimage.detect_cells(root)
    Image.new("RGB", (400, 300), (243, 243, 243)).save(tmp_path / "glass.png")
    with pytest.raises(DataError, match=r"glass\.png: has no stained tissue, as far as is seen"):
        finder.detect(str(tmp_path / "glass.png"), "S", UM)
    Image.new("RGB", (400, 300), (150, 80, 120)).save(tmp_path / "flat.png")
    with pytest.raises(DataError, match=r"flat\.png: no nuclei are found in it"):
        finder.detect(str(tmp_path / "flat.png"), "S", UM)
    assert not (root / "cells").exists()
