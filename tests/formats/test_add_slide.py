"""`add_slide.py`: slides of Space Ranger and AnnData files become a root's, counts and pixels unchanged."""

import json
import runpy
import sys
from dataclasses import replace
from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
from datasets import load_dataset
from PIL import Image

import stimage
import stimage_1k4m
from stimage.formats.adding import write_slide as add_to_root
from stimage.formats.h5ad import from_anndata
from stimage.formats.written.anndata_files import write_h5ad
from stimage.formats.written.options import ExportOptions
from stimage.slides.catalog import Filters, read_catalog
from stimage.slides.meta_file import MetaRow
from tests.outs import COLUMNS, write_outs
from tests.roots import write_slide

SCRIPT = Path(__file__).parents[2] / "scripts/data_collection/add_slide.py"


@pytest.fixture
def add(tmp_path, monkeypatch):
    """Run the script on a source, adding to the root ``tmp_path``/root; return None or what it said of an error."""

    def run(source: Path, slide: str, *options):
        command = ["add_slide.py", source, "--out", tmp_path / "root", "--slide", slide, *options]
        monkeypatch.setattr(sys, "argv", list(map(str, command)))
        with pytest.raises(SystemExit) as end:
            runpy.run_path(str(SCRIPT), run_name="__main__")
        return end.value.code

    return run


def spots_of(root: Path, config: str, slide: str) -> list[dict]:
    return list(load_dataset("stimage_1k4m", config, data_dir=str(root), split="train", streaming=True, slides=slide))


def test_space_ranger(add, tmp_path, capsys):
    counts, places = write_outs(tmp_path)
    assert add(tmp_path / "outs", "Mine_1", "--image", tmp_path / "tissue.tif", "--tissue", "breast") is None
    assert "note:" not in capsys.readouterr().out
    assert add(tmp_path / "outs", "Mine_2") is None
    assert "2.5 µm/px, a patch has 26 px; to see cells" in capsys.readouterr().out
    root, names = tmp_path / "root", stimage_1k4m.gene_names(str(tmp_path / "root"))
    assert set(names[:2]) <= {"ERBB2", "ERBB2-1"} and len(names) == counts.shape[1]
    spots = spots_of(root, "Visium", "Mine_1")
    assert len(spots) == len(counts)
    image = Image.open(tmp_path / "tissue.tif")
    dense = counts.set_axis(["ERBB2", "ERBB2-1", *counts.columns[2:]], axis=1)
    for spot in spots:
        barcode = spot["spot_id"].removeprefix("Mine_1_")
        want = dense.loc[barcode]
        assert {names[g]: n for g, n in zip(spot["gene_ids"], spot["counts"])} == want[want > 0].to_dict()
        y, x = places.loc[barcode, COLUMNS[4:]]
        assert (spot["x"], spot["y"]) == pytest.approx((x, y), abs=1e-3)
        box = tuple(round(v) for v in (x - 26, y - 26, x + 26, y + 26))
        assert np.array_equal(np.asarray(spot["image"]), np.asarray(image.crop(box)))
    assert spots[0]["tissue"] == "breast" and spots[0]["um_per_px"] == pytest.approx(100 / 80, rel=1e-3)
    small = spots_of(root, "Visium", "Mine_2")
    assert small[0]["um_per_px"] == pytest.approx(200 / 80, rel=1e-3) and small[0]["image"].size == (26, 26)


def test_what_is_left_out_is_said(add, tmp_path, caplog):
    write_outs(tmp_path)
    with h5py.File(tmp_path / "outs/filtered_feature_bc_matrix.h5", "a") as file:
        file["matrix/features/feature_type"][-2:] = b"CRISPR"
    assert add(tmp_path / "outs", "Mine", "--image", tmp_path / "tissue.tif") is None
    assert caplog.messages == ["Mine: left out: 2 features of type CRISPR"]
    names = stimage_1k4m.gene_names(str(tmp_path / "root"))
    assert len(names) == 38 and "GENE38" not in names


def test_older_space_ranger_and_labels_of_loupe(add, tmp_path):
    counts, _ = write_outs(tmp_path)
    spatial = tmp_path / "outs/spatial"
    pd.read_csv(spatial / "tissue_positions.csv").to_csv(
        spatial / "tissue_positions_list.csv", index=False, header=False
    )
    (spatial / "tissue_positions.csv").unlink()
    labels = tmp_path / "labels.csv"
    labels.write_text("Barcode,Regions\n" + "".join(f"{barcode},tumour\n" for barcode in counts.index[:7]))
    assert add(tmp_path / "outs", "Mine", "--labels", labels) is None
    found = [spot["annotation"] for spot in spots_of(tmp_path / "root", "Visium", "Mine")]
    assert found.count("tumour") == 7 and found.count(None) == len(counts) - 7


def test_bins_of_visium_hd(add, tmp_path):
    """Their positions are Parquet; r is half of a bin's side."""
    _, places = write_outs(tmp_path)
    spatial = tmp_path / "outs/spatial"
    pd.read_csv(spatial / "tissue_positions.csv").to_parquet(spatial / "tissue_positions.parquet")
    (spatial / "tissue_positions.csv").unlink()
    factors = json.loads((spatial / "scalefactors_json.json").read_text())
    (spatial / "scalefactors_json.json").write_text(json.dumps(factors | {"bin_size_um": 8.0}))
    assert add(tmp_path / "outs", "Mine", "--image", tmp_path / "tissue.tif") is None
    found = {spot["spot_id"]: (spot["y"], spot["x"]) for spot in spots_of(tmp_path / "root", "VisiumHD", "Mine")}
    assert found == {
        f"Mine_{spot}": pytest.approx(tuple(yx), abs=1e-3) for spot, *yx in places[COLUMNS[4:]].itertuples()
    }


def test_back_from_h5ad(add, sample, tmp_path):
    """What `export_slides.py` writes comes back: ids, counts, labels, places."""
    catalog = read_catalog(str(sample))
    slide = next(s for s in catalog.of_techs(("ST",)).slides if s.annotation)
    write_h5ad([slide], tmp_path / "one.h5ad", ExportOptions(image_px=100_000))
    options = ("--tech", "ST", "--labels", "annotation")
    assert add(tmp_path / "one.h5ad", slide.name, *options) is None
    before, after = spots_of(sample, "ST", slide.name), spots_of(tmp_path / "root", "ST", slide.name)
    names = stimage_1k4m.gene_names(str(sample)), stimage_1k4m.gene_names(str(tmp_path / "root"))
    for a, b in zip(before, after, strict=True):
        assert (a["spot_id"], a["x"], a["y"], a["annotation"]) == (b["spot_id"], b["x"], b["y"], b["annotation"])
        assert np.array_equal(np.asarray(a["image"]), np.asarray(b["image"]))
        one, other = ({n[g]: c for g, c in zip(s["gene_ids"], s["counts"])} for n, s in zip(names, (a, b)))
        assert one == other
    assert add(tmp_path / "one.h5ad", slide.name, *options) is None  # again: replaced
    assert len(read_catalog(str(tmp_path / "root")).select(Filters())) == 1


def test_what_is_refused(add, sample, tmp_path):
    write_outs(tmp_path)
    assert "has no filtered_feature_bc_matrix.h5" in add(tmp_path, "Mine")
    path = tmp_path / "outs/spatial/tissue_positions.csv"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:9]))
    assert "lacks spot" in add(tmp_path / "outs", "Mine")
    path.unlink()
    assert "has no scalefactors_json.json, or none of" in add(tmp_path / "outs", "Mine")
    slides = [slide for slide in read_catalog(str(sample)).slides if slide.species == "human"]
    write_h5ad(slides[:2], tmp_path / "two.h5ad")
    assert "has 2 slides in obs['slide']: " in add(tmp_path / "two.h5ad", "Mine")
    write_h5ad(slides[:1], tmp_path / "log.h5ad", ExportOptions(normalise="log1p"))
    assert "which is no raw count; neither a layer nor .raw has raw counts" in add(tmp_path / "log.h5ad", "Mine")
    assert "has no layer 'counts'" in add(tmp_path / "log.h5ad", "Mine", "--layer", "counts")
    counts = np.expm1(anndata.read_h5ad(tmp_path / "log.h5ad").X.toarray()).round()
    with h5py.File(tmp_path / "log.h5ad", "a") as file:
        anndata.io.write_elem(file["layers"], "counts", counts)
    options = ("--layer", "counts", "--labels", "region")
    assert "obs has no column 'region'" in add(tmp_path / "log.h5ad", "Mine", *options)
    assert add(tmp_path / "log.h5ad", "Mine", "--layer", "counts", "--tech", "ST") is None
    assert {path.name for path in (tmp_path / "root").rglob(".*")} == {".lock"}


def test_what_would_spoil_the_root_is_refused(add, tmp_path):
    """Of a name that is taken, an image that can't be read, labels of no spot: nothing is written."""
    counts, _ = write_outs(tmp_path)
    outs, root = tmp_path / "outs", tmp_path / "root"
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "labels.csv").write_text("Barcode,Regions\nNONE-1,tumour\n")
    assert "is no slide name" in add(outs, "../Mine")
    assert "text.png: is no PNG" in add(outs, "Mine", "--image", tmp_path / "text.png")
    assert "lost.csv: cannot be read" in add(outs, "Mine", "--labels", tmp_path / "lost.csv")
    assert "has no barcode of" in add(outs, "Mine", "--labels", tmp_path / "labels.csv")
    small = outs / "spatial/tissue_hires_image.png"
    assert f"{small}: is 0.5 x the size of the image that the positions are of" in add(outs, "Mine", "--image", small)
    assert not root.exists()
    write_slide(root, "Slide_A", "ST")
    assert "is of a slide of this name already" in add(outs, "slide_a")
    meta = root / "meta/meta_all_gene.csv"
    before = pd.read_csv(meta, dtype=str).assign(donor="7")
    meta.unlink()
    assert "make it with stimage make-meta first" in add(outs, "Mine")
    before.to_csv(meta, index=False)
    assert add(outs, counts.index[0][0]) is None  # a letter that some barcodes begin with
    after = pd.read_csv(meta, dtype=str)
    assert after.loc[0, before.columns].fillna("").to_dict() == before.loc[0].fillna("").to_dict() and len(after) == 2
    assert all(len(spot["spot_id"]) == 20 for spot in spots_of(root, "Visium", counts.index[0][0]))


def test_in_python_the_technology_is_said_once(sample, tmp_path):
    """By the data, or by the caller; `write_slide` needs it from one side, and refuses two that differ."""
    catalog = read_catalog(str(sample))
    st, hd = (catalog.of_techs((tech,)).slides[0].name for tech in ("ST", "VisiumHD"))
    for name, tech in ((st, None), (hd, None), (st, "Visium")):
        added = stimage.add_slide(stimage.read_slide(sample, name), tmp_path / f"{tech}", name, tech=tech)
        assert added.tech == (tech or name.split("_")[3])
        assert added.coord == str(tmp_path / f"{tech}/{added.tech}/coord/{name}_coord.csv")
    found = from_anndata(stimage.read_slide(sample, st))
    add_to_root(found, tmp_path / "root", MetaRow("Mine"))
    assert read_catalog(str(tmp_path / "root")).slides[0].tech == "ST"
    for wrong, row, words in (
        (found, MetaRow("Mine", tech="Visium"), "the slide is of ST; leave tech out"),
        (replace(found, tech="Xenium"), MetaRow("Mine"), "pass one of ST, Visium, VisiumHD"),
    ):
        with pytest.raises(ValueError, match=words):
            add_to_root(wrong, tmp_path / "other", row)
    assert not (tmp_path / "other").exists()
