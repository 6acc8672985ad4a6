"""The reader that the page on importers shows: its slide is added, in the right place, and what it lacks is refused."""

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import stimage
from stimage.core.errors import DataError
from stimage.formats import recognise
from tests.formats.annotated import HEIGHT, WIDTH, picture

PAGE = Path(__file__).parents[2] / "docs/developing"


@pytest.fixture
def flat(tmp_path, monkeypatch) -> Path:
    """Return a source; its reader is named as the page says."""
    spec = importlib.util.spec_from_file_location("flat", PAGE / "flat.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(recognise, "FORMATS", ((module.is_flat, module.read_flat), *recognise.FORMATS))
    folder, image = tmp_path / "flat", picture()
    folder.mkdir()
    Image.fromarray(image).save(folder / "tissue.png")
    y, x = (grid.ravel() for grid in np.mgrid[30 : HEIGHT - 30 : 30, 30 : WIDTH - 30 : 30])
    dark = 255 - image[y, x].mean(-1).astype(int)
    names = [f"s{k}" for k in range(len(x))]
    pd.DataFrame({"barcode": names, "x": x, "y": y, "DARK": dark, "CD3E": 1}).to_csv(folder / "spots.csv", index=False)
    return folder


def test_a_slide_of_the_example_is_added_in_its_place(flat, tmp_path):
    stimage.add_slide(flat, tmp_path / "root", "Mine_1", species="human", tissue="breast", spot_diameter=20,
                      um_per_px=1.0)  # fmt: skip
    root = stimage.open_root(tmp_path / "root")
    data = stimage.read_slide(root, "Mine_1")
    pixels = picture()
    for (x, y), count in zip(data.obsm["spatial"].round().astype(int), data[:, "DARK"].X.toarray()[:, 0]):
        assert count == 255 - int(pixels[y, x].mean())


def test_what_the_example_refuses(flat, tmp_path):
    with pytest.raises(DataError, match=r"does not say how large a spot is; pass spot_diameter= \(--spot-diameter\)"):
        stimage.add_slide(flat, tmp_path / "root", "Mine_1", species="human", tissue="breast")
    pd.read_csv(flat / "spots.csv").drop(columns="y").to_csv(flat / "spots.csv", index=False)
    with pytest.raises(DataError, match="has no column 'y'"):
        stimage.add_slide(flat, tmp_path / "root", "Mine_1", species="human", tissue="breast", spot_diameter=20)
    assert not (tmp_path / "root/Visium").exists()


@pytest.mark.parametrize(("column", "value", "message"), [
    ("CD3E", 0.5, r"spots\.csv: has 0\.5, which is no raw count; write the counts as they were"),
    ("CD3E", "many", r"spots\.csv: cannot be read as a table of spots \(could not convert string to float: 'many'\)"),
    ("x", None, r"1 of 96 spots have no place, such as 's1'"),
])  # fmt: skip
def test_a_cell_of_the_table_that_can_not_be(flat, tmp_path, column, value, message):
    table = pd.read_csv(flat / "spots.csv").astype(object)
    table.loc[1, column] = value
    table.to_csv(flat / "spots.csv", index=False)
    with pytest.raises(DataError, match=message):
        stimage.add_slide(flat, tmp_path / "root", "Mine_1", species="human", tissue="breast", spot_diameter=20)
