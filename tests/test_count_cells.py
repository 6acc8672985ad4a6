"""Cells per spot: as the original counts them, in squares of bins, as shares and per mm², and in obs."""

import json
import shutil
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
from PIL import Image

import stimage
from stimage.core.errors import DataError
from tests.nuclei import CLASSES, UM, Nuclei, cellvit, qupath, write, write_root
from tests.roots import write_csv, write_slide
from tests.test_scripts import run

NUCLEI = Nuclei()


def lattice(root, r: float, step: float, tech: str = "ST", name: str = "Slide_A") -> None:
    """Lay spots over the whole image, in an order of no meaning, so that some overlap and some are outside."""
    centres = [(y, x) for y in np.arange(0, 600, step) for x in np.arange(0, 800, step)]
    centres = [centres[k] for k in np.random.default_rng(0).permutation(len(centres))]
    ids = [f"{name}_{round(y / step)}x{round(x / step)}" for y, x in centres]
    write_csv(root / tech / f"coord/{name}_coord.csv", [["", "yaxis", "xaxis", "r"]] + [
        [one, y, x, r] for one, (y, x) in zip(ids, centres)])  # fmt: skip
    write_csv(root / tech / f"gene_exp/{name}_count.csv", [["", "A", "B"], *([one, 1, 2] for one in ids)])


@pytest.fixture
def root(tmp_path):
    root = write_root(tmp_path / "root", NUCLEI)
    lattice(root, 33.0, 40.0)
    return root


def add(root, told=None, um=UM):
    file = write(root / "cells.geojson", cellvit(NUCLEI, points=True) if told is None else told)
    return stimage.import_cells(stimage.open_root(root, um_per_px=um), "Slide_A", file)


def original(geojson, coord) -> pd.DataFrame:
    """Count as the original's page does, cell by cell and spot by spot."""
    cells = []
    for feature in json.loads(geojson.read_text()):
        name = feature["properties"]["classification"]["name"]
        cells += [(x, y, name) for x, y in feature["geometry"]["coordinates"]]
    low_x, low_y, high_x, high_y = (f(c[i] for c in cells) for f in (min, max) for i in (0, 1))
    rows = []
    for spot, y, x, r in pd.read_csv(coord).itertuples(index=False):
        if x - r >= low_x and x + r <= high_x and y - r >= low_y and y + r <= high_y:
            row = {"SPOT": spot, "yaxis": y, "xaxis": x, "r": r} | dict.fromkeys(CLASSES, 0.0)
            for cell_x, cell_y, name in cells:
                if (cell_x - x) ** 2 + (cell_y - y) ** 2 <= r**2:
                    row[name] += 1
            rows.append(row)
    return pd.DataFrame(rows)


def test_the_table_is_the_originals(root, tmp_path):
    add(root)
    done = run("data_process/count_cells.py", root, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    ours = pd.read_csv(tmp_path / "out/Slide_A_cells.csv")
    theirs = original(root / "cells.geojson", root / "ST/coord/Slide_A_coord.csv")
    pd.testing.assert_frame_equal(ours, theirs)
    assert ours.iloc[:, 4:].to_numpy().sum() > len(NUCLEI)  # spots overlap: a cell may be counted in several
    assert "\n" + ours.SPOT[0] + "," in (tmp_path / "out/Slide_A_cells.csv").read_text()
    assert f"Slide_A: {len(ours)} spots; Neoplastic {ours.Neoplastic.sum():g}, " in done.stdout


def test_a_cell_at_r_is_in_and_each_spot_has_its_own_r(root):
    path = root / "ST/coord/Slide_A_coord.csv"
    write_csv(path, [["", "yaxis", "xaxis", "r"], *(
        [f"Slide_A_{k}x1", 200.0, 200.0, r] for k, r in enumerate((5.0, 4.999999, 20.0, 1.0)))])  # fmt: skip
    told = qupath(NUCLEI)["features"][1:]
    for feature, (x, y) in zip(told, [(203.0, 204.0), (200.0, 219.0), (10.0, 10.0), (700.0, 590.0)]):
        feature["geometry"] = {"type": "Point", "coordinates": [x, y]}
    file = write(root / "cells.geojson", told[:4])
    stimage.import_cells(root, "Slide_A", file, unchecked=True)
    counts = stimage.count_cells(root).iloc[:, 4:].sum(axis=1)
    assert counts.tolist() == [1, 0, 2, 0]


def test_bins_are_squares_that_share_no_cell(tmp_path):
    root = write_root(tmp_path / "root", NUCLEI)
    (root / "ST").rename(root / "VisiumHD")
    lattice(root, 10.0, 20.0, "VisiumHD")
    meta = root / "meta/meta_all_gene.csv"
    meta.write_text(meta.read_text().replace(",ST,", ",VisiumHD,"))
    told = cellvit(NUCLEI, points=True)
    for place in (place for feature in told for place in feature["geometry"]["coordinates"]):
        place[0] = 10.0 * round(place[0] / 10)  # many on the edge between two bins
    cells = stimage.import_cells(root, "Slide_A", write(root / "cells.geojson", told), unchecked=True)
    table = stimage.count_cells(root)
    box = cells.region
    left, top, right, bottom = (table.xaxis - 10).min(), (table.yaxis - 10).min(), (table.xaxis + 10).max(), (
        table.yaxis + 10).max()  # fmt: skip
    x, y = cells.xy.T
    within = (x >= left) & (x < right) & (y >= top) & (y < bottom)
    assert table[list(CLASSES)].to_numpy().sum() == within.sum() > 0.8 * len(NUCLEI)
    assert left >= box[0] and right <= box[2] and top >= box[1] and bottom <= box[3]


def test_shares_and_densities(root):
    add(root)
    counts, shares, density = (
        stimage.count_cells(root, values=one)[list(CLASSES)] for one in ("counts", "shares", "density")
    )
    assert shares.sum(axis=1).dropna().to_numpy() == pytest.approx(1)
    assert shares.isna().all(axis=1).equals(counts.sum(axis=1) == 0)
    mm2 = np.pi * (33 * UM / 1000) ** 2
    assert np.allclose(density, counts / mm2)
    with pytest.raises(ValueError, match="values='x': pass one of counts, shares, density"):
        stimage.count_cells(root, values="x")


def test_cells_without_a_class_have_a_column(root):
    told = qupath(NUCLEI)
    for feature in told["features"][1::2]:
        del feature["properties"]["classification"]
    add(root, told)
    columns = stimage.count_cells(root).columns[4:].tolist()
    assert columns == [*CLASSES, "unclassed"]


def test_in_obs_of_what_is_read_and_written(root, tmp_path):
    add(root)
    table = stimage.count_cells(root)
    adata = stimage.read_slide(root, "Slide_A", cells=True)
    inside = adata.obs.loc[table.index]
    for name in CLASSES:
        assert (inside[f"cells_{name}"] == table[name]).all()
    assert (inside["cells"] == table[list(CLASSES)].sum(axis=1)).all()
    assert adata.obs.drop(index=table.index)["cells"].isna().all() and len(adata) > len(table)
    done = run("data_process/export_slides.py", root, "--cells", "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    written = anndata.read_h5ad(tmp_path / "out/Slide_A.h5ad")
    assert written.obs["cells"].equals(adata.obs["cells"])
    done = run("data_process/export_slides.py", root, "--cells", "--to", "hest", "--out", tmp_path / "hest")
    assert (
        done.returncode == 1
        and "cells= (--cells) works only with to= (--to) h5ad or spatialdata, not with hest" in done.stderr
    )


def test_what_lacks_cells_a_region_or_a_scale(root):
    with pytest.raises(DataError, match=r"cells/Slide_A.parquet: is missing: slide Slide_A has no cells; add them by"):
        stimage.count_cells(root)
    with pytest.raises(DataError, match=r"slide Slide_A has no cells"):
        stimage.read_slide(root, "Slide_A", cells=True)
    told = qupath(NUCLEI)["features"][1:2]
    stimage.import_cells(root, "Slide_A", write(root / "few.json", told), unchecked=True)
    with pytest.raises(DataError, match=r"none of 300 spots lies wholly in the region whose cells are known, x \d+ to"):
        stimage.count_cells(root)
    path = root / "ST/coord/Slide_A_coord.csv"
    path.write_text(path.read_text().replace(",33.0", ",3.0"))  # r contradicts the pitch
    stimage.import_cells(root, "Slide_A", write(root / "cells.json", qupath(NUCLEI)))
    with pytest.raises(DataError, match=r"Slide_A: cells per mm² need µm per pixel.*um_per_px= \(--um-per-px\)"):
        stimage.count_cells(root, values="density")
    image = root / "ST/image/Slide_A.png"
    whole = image.read_bytes()
    Image.new("RGB", (790, 600)).save(image)
    with pytest.raises(DataError, match=r"the cells of an image of 800 x 600 pixels, but .* has 790 x 600; import"):
        stimage.count_cells(root)
    image.write_bytes(whole)
    write_slide(root, "Slide_B", "ST")
    shutil.copy(root / "cells/Slide_A.parquet", root / "cells/Slide_B.parquet")
    with pytest.raises(DataError, match=r"Slide_B.parquet: has the cells of slide Slide_A; import this slide's"):
        stimage.count_cells(stimage.open_root(root, slides="Slide_B"))
    root = stimage.open_root(root, slides="Slide_A")
    parquet = Path(root.location, "cells/Slide_A.parquet")
    parquet.write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"Slide_A.parquet: is no file of cells, or damaged"):
        stimage.count_cells(root)
    parquet.unlink()
    pd.DataFrame({"x": [1]}).to_parquet(parquet)
    with pytest.raises(DataError, match=r"Slide_A.parquet: is no file of cells, or damaged"):
        stimage.count_cells(root)
