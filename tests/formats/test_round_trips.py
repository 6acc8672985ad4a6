"""A slide that goes out of a root in another format, and comes back: every number, name and pixel is as it was."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from datasets import Image as Bytes
from PIL import Image

import stimage
import stimage_1k4m
from stimage.slides.catalog import read_catalog
from stimage.slides.coordinates import read_coordinates
from stimage.slides.counts.count_file import read_counts, read_genes
from tests.outs import PITCH, write_outs

NAMES = {"h5ad": "S.h5ad", "spatialdata": "S.zarr"}


@pytest.fixture(scope="module", params=["Visium", "VisiumHD"])
def root(tmp_path_factory, request) -> Path:
    """A root of a slide of Space Ranger's, with labels and µm per pixel of its own."""
    folder = tmp_path_factory.mktemp("source")
    _, places = write_outs(folder)
    factors = folder / "outs/spatial/scalefactors_json.json"
    factors.write_text(json.dumps({**json.loads(factors.read_text()), "microns_per_pixel": 100 / PITCH * 0.98765432}))
    labels = {spot: f"region {'ab'[x > 600]}" for spot, x in places["pxl_col_in_fullres"].items() if x > 300}
    more = {"species": "human", "tissue": "breast", "labels": labels, "tech": request.param}
    stimage.add_slide(folder / "outs", folder / "root", "S", image=folder / "tissue.tif", **more)
    return folder / "root"


def told(root: Path) -> dict:
    """Return all that a root says of its slide, but its title and the order of its spots."""
    (slide,) = read_catalog(str(root)).slides
    at = read_coordinates(slide.coord)
    numbers = np.stack([at.x, at.y, at.r], 1).tolist()
    blocks = list(read_counts(slide.counts))
    counts = {spot: [row.tolist() for row in rows[k]] for rows in blocks for k, spot in enumerate(rows.ids)}
    labels = pd.read_csv(slide.annotation, index_col=0)["V2"].to_dict()
    by_spot = {"places": dict(zip(at.ids.to_pylist(), numbers)), "counts": counts, "labels": labels}
    named = {name: {f"S_{spot.removeprefix('S_')}": value for spot, value in values.items()}  # as examples are
             for name, values in by_spot.items()}  # fmt: skip
    return named | {
        "genes": read_genes(slide.counts), "pixels": np.asarray(Image.open(slide.image)),
        "scale": (slide.um_per_px, slide.um_per_px_source), "tech": slide.tech,
    }  # fmt: skip


def same(one: dict, other: dict) -> bool:
    assert np.array_equal(one.pop("pixels"), other.pop("pixels"))
    for name in one:
        assert one[name] == other[name], name
    return one.keys() == other.keys()


def examples(root: Path, **options) -> list[dict]:
    """Return a root's examples, with the bytes of their images."""
    return list(stimage_1k4m.load("all", root, **options).cast_column("image", Bytes(decode=False)))


@pytest.mark.parametrize("to", ["h5ad", "spatialdata"])
def test_what_goes_out_comes_back(root, tmp_path, to):
    (path,) = stimage.export_slides(root, tmp_path, to).values()
    assert path == tmp_path / NAMES[to] and {one.name for one in tmp_path.iterdir()} - {".lock"} == {path.name}
    (slide,) = read_catalog(str(root)).slides
    full = {"image": slide.image} if to == "h5ad" else {}
    stimage.add_slide(path, tmp_path / "back", "S", labels="annotation", species="human", tissue="breast", **full)
    assert same(told(root), told(tmp_path / "back"))
    for options in ({}, {"panel": ["ERBB2-1", "GENE7"], "normalise": "median-log1p"}):
        assert examples(root, **options) == examples(tmp_path / "back", **options)


def test_examples_are_the_same_of_each_form_of_counts(root, tmp_path):
    """CSV, 10x's .h5 and .h5ad: ids, counts, expression and images."""
    (slide,) = read_catalog(str(root)).slides
    (path,) = stimage.export_slides(root, tmp_path).values()
    sources = {"csv": root.parent / "outs", "h5": root.parent / "outs", "h5ad": path}
    for form, source in sources.items():
        stimage.add_slide(source, tmp_path / form, "S", image=slide.image, tech=slide.tech, species="human",
                          tissue="breast", counts_as="csv" if form == "csv" else "h5")  # fmt: skip
        assert [one.name for one in tmp_path.glob(f"{form}/*/gene_exp/*")] == [f"S_count.{form}"]
    for options in ({}, {"panel": ["GENE9", "ERBB2"]}, {"panel": ["GENE9", "GENE2"], "normalise": "original"}):
        one, *others = [examples(tmp_path / form, **options) for form in sources]
        assert all(one == other for other in others) and len(one) == len(read_coordinates(slide.coord))
