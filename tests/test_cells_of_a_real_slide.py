"""A real slide all the way: pyramid, OpenSlide, nuclei, these in CellViT's format, cells again, per spot, pictures."""

import json

import numpy as np
import openslide
import pytest
import shapely
from PIL import Image

import stimage
from stimage.cells.cells import read_cells
from stimage.core.errors import DataError

SLIDE = "Human_Breast_Andersson_10142021_ST_C3"
UM = 0.6911589  # by the lattice


@pytest.fixture
def root(shared, tmp_path):
    """A root of links to the real slides, which cells may be written into."""
    for path in (shared / "real").rglob("*"):
        if path.is_file() and ("meta" in path.parts or path.name.startswith(SLIDE)):
            link = tmp_path / "root" / path.relative_to(shared / "real")
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(path)
    return stimage.open_root(tmp_path / "root", slides=SLIDE)


@pytest.mark.slow
def test_the_whole_way(root, tmp_path):
    pyramid = stimage.export_pyramid(root, tmp_path)[SLIDE]
    with openslide.OpenSlide(pyramid) as slide, Image.open(root.slides[0].image) as image:
        assert float(slide.properties["openslide.mpp-x"]) == pytest.approx(UM, rel=1e-6)
        assert slide.dimensions == image.size
        box = (4000, 3000, 4512, 3512)
        seen = np.asarray(slide.read_region(box[:2], 0, (512, 512)).convert("RGB")).astype(int)
        assert np.abs(seen - np.asarray(image.convert("RGB").crop(box))).mean() < 3

    assert 25_000 < stimage.detect_cells(root).loc[SLIDE, "cells"] < 45_000
    found = read_cells(root.location, root.slides[0])
    outlines = shapely.from_wkb(found.table["polygon"].to_numpy())
    rings = [[shapely.get_coordinates(one).tolist()] for one in outlines]
    told = {"objectType": "annotation", "classification": {"name": "Neoplastic", "color": [255, 0, 0]}}
    feature = {"type": "Feature", "geometry": {"type": "MultiPolygon", "coordinates": rings}, "properties": told}
    file = tmp_path / "cells.geojson"
    file.write_text(json.dumps([feature]))
    cells = stimage.import_cells(root, SLIDE, file)
    assert len(cells) == len(found) and np.abs(cells.xy - found.xy).max() < 5  # of outlines, not of pixels

    counts = stimage.count_cells(root)
    assert len(counts) > 170 and 20 < counts.Neoplastic.mean() < 50
    assert all(path.stat().st_size > 1_000_000 for path in stimage.show_cells(root, SLIDE, tmp_path / "pictures"))

    feature["geometry"]["coordinates"] = [[(UM * np.array(ring)).tolist() for ring in one] for one in rings]
    file.write_text(json.dumps([feature]))
    with pytest.raises(DataError, match=r"they fit, for they are in µm if you pass factor=1\.446"):
        stimage.import_cells(root, SLIDE, file)
    feature["geometry"]["coordinates"] = [[np.array(ring)[:, ::-1].tolist() for ring in one] for one in rings]
    file.write_text(json.dumps([feature]))
    with pytest.raises(DataError, match=r"they fit if you pass swap=True \(--swap\)"):
        stimage.import_cells(root, SLIDE, file)
