"""Sources that are refused with advice: what each is made of, what the message says, and what it advises."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from PIL import Image

from tests.alone import draw
from tests.formats.annotated import logged, picture, slide
from tests.formats.space_ranger import FACTORS, H5, HIRES, version_2
from tests.formats.test_st_tables import Section
from tests.outs import write_outs


@dataclass(frozen=True)
class Case:
    """A source that is refused in ``words``, and the arguments that these advise; None leaves one out."""

    words: str
    make: Callable[[Path], dict]
    advice: dict
    spots: int | None = 53
    right: Callable | None = None


def h5ad(folder: Path, change: Callable | None = None, image: bool = True, **given) -> dict:
    """Write the slide of `tests.formats.annotated`, changed, and its image; return what add_slide is given."""
    data = slide()
    data = (change(data) if change else None) or data
    data.write_h5ad(folder / "slide.h5ad")
    Image.fromarray(picture()).save(folder / "tissue.tif")
    return {"data": folder / "slide.h5ad", "image": folder / "tissue.tif" if image else None, **given}


def entry(data):
    return data.uns["spatial"]["lib"]


def counts_in_layer(data):
    changed = logged(data)
    changed.layers["counts"] = data.X
    return changed


def logged_layer(data):
    data.layers["log"] = logged(data).X


def two_libraries(data):
    data.obs["library_id"] = np.where(np.arange(data.n_obs) < 40, "lib", "other").astype(object)
    data.uns["spatial"]["other"] = entry(data)


def put(*where, value=None) -> Callable:
    """Return what sets a value of the entry of uns["spatial"], or removes it."""

    def change(data):
        place = entry(data)
        for name in where[:-1]:
            place = place[name]
        if value is None:
            del place[where[-1]]
        else:
            place[where[-1]] = value

    return change


def unplaced(data):
    data.obsm["spatial"] = data.obsm["spatial"].astype(float)
    data.obsm["spatial"][7] = np.nan


def two_genomes(data):
    data.var["genome"] = ["GRCh38", "GRCh38", "mm10", "mm10"]


def drawn_anew(data):
    data.uns["spatial"] = {"lib_full_image": {"images": {"hires": picture()}, "scalefactors": {
        "tissue_hires_scalef": 1.0, "spot_diameter_fullres": 22.0}}}  # fmt: skip


def of_hest(folder: Path) -> dict:
    (folder / "metadata").mkdir()
    (folder / "metadata/slide.json").write_text(json.dumps({"st_technology": "Xenium"}))
    (folder / "st").mkdir()
    given = h5ad(folder)
    return given | {"data": shutil.move(given["data"], folder / "st/slide.h5ad")}


def large_beside_drawn(folder: Path) -> dict:
    given = h5ad(folder, drawn_anew)
    Image.fromarray(picture()).resize((840, 600)).save(folder / "tissue.tif")
    return given


def cut_image(folder: Path) -> dict:
    """Have an image that ends before the last columns of spots."""
    given = h5ad(folder, put("images"))
    Image.fromarray(picture()[:, :330]).save(folder / "tissue.tif")
    return given


def labels(folder: Path, header: str, row: str, **given) -> dict:
    given = h5ad(folder, **given)
    lines = [row.format(code, code[:-2]) for code in slide().obs_names]
    (folder / "labels.csv").write_text("\n".join([header, *lines]))
    return given | {"labels": folder / "labels.csv"}


def section(folder: Path, places: str | None = "A1_spot_data-all.tsv", **given) -> dict:
    """Write tables of legacy ST."""
    one = Section(folder)
    one.write_counts()
    if places:
        (folder / places).parent.mkdir(exist_ok=True)
        one.write_places(places)
    return {"data": folder / "A1_stdata.tsv", "image": one.image} | given


def st_without_most(folder: Path) -> dict:
    given, one = section(folder, None), Section(folder)
    one.write_places(rows=[row for row in one.rows() if row[-1] == "1"])
    return given


def alone(folder: Path, **given) -> dict:
    return {"data": draw(folder / "image.png"), **given}


def crumb(folder: Path) -> dict:
    data = draw(folder / "image.png", box=(560, 430, 700, 560))
    return {"data": data, "um_per_px": 2.0, "pitch_um": 1900}


def full_of_tissue(folder: Path) -> dict:
    return {"data": draw(folder / "image.png", box=(0, 0, 1200, 900)), "um_per_px": 2.0}


def labelled(added, adata) -> bool:
    return set(adata.obs["annotation"]) == {"tumour"}


def space_ranger(folder: Path, lost: str = "", image: bool = True) -> dict:
    """Write Space Ranger's folder without one of its scale factors, or one of its files."""
    write_outs(folder)
    factors = json.loads((folder / "outs" / FACTORS).read_text())
    if factors.pop(lost, None):
        (folder / "outs" / FACTORS).write_text(json.dumps(factors))
    elif lost:
        (folder / "outs" / lost).unlink()
    return {"data": folder / "outs", "image": folder / "tissue.tif" if image else None}


def of_two_genomes(folder: Path) -> dict:
    """Have a group a genome in the matrix, as Space Ranger 2 wrote them."""
    given = space_ranger(folder)
    version_2(folder / "outs")
    with h5py.File(folder / "outs" / H5, "a") as file:
        file.copy("GRCh38", "mm10")
    return given


def half_image(folder: Path) -> dict:
    given = h5ad(folder)
    Image.fromarray(picture()[::2, ::2]).save(folder / "half.tif")
    return given | {"image": folder / "half.tif"}


def st_of_three(folder: Path) -> dict:
    given, one = section(folder, None), Section(folder)
    kept = [0, 33, 65, 50, 12, 20, 27]
    one.write_counts(spots=None)
    lines = (folder / "A1_stdata.tsv").read_text().splitlines()
    (folder / "A1_stdata.tsv").write_text("\n".join([lines[0], *(lines[k + 1] for k in kept)]) + "\n")
    one.write_places(rows=[one.rows()[k] for k in kept])
    return given


PICTURE = {"image": "tissue.tif"}
MINE = "annotated/pictures.py: "
CASES = [
    Case("annotated/counts.py: (--layer ", lambda f: h5ad(f, counts_in_layer), {"layer": "counts"}),
    Case("annotated/counts.py: no layer= (--layer)", lambda f: h5ad(f, logged_layer, layer="log"), {"layer": None}),
    Case("annotated/libraries.py: name the one to take as library=", lambda f: h5ad(f, two_libraries),
         {"library": "lib"}, 39),
    Case(MINE + "; pass the full-resolution image as image=", lambda f: h5ad(f, put("images"), False), PICTURE),
    Case(MINE + "is no array of pixels; pass image=", lambda f: h5ad(f, put("images", "hires", value="a.png"), False),
         PICTURE),
    Case(MINE + ", is no RGB of bytes, or of 0 to 1; pass image=",
         lambda f: h5ad(f, put("images", "hires", value=picture()[::2, ::2].astype(float)), False), PICTURE),
    Case("formats/h5ad.py: pass the diameter in pixels", lambda f: h5ad(f, put("scalefactors",
         "spot_diameter_fullres")), {"spot_diameter": 22}),
    Case("formats/h5ad.py: is of ", of_hest, {"tech": "Visium"}),
    Case("formats/h5ad.py: has no coordinates, as have", lambda f: h5ad(f, unplaced), {"on_mismatch": "drop"}, 52),
    Case("formats/h5ad.py: add the SpatialData store itself, or leave out image=", large_beside_drawn, {"image": None}),
    Case("genomes.py: name one of them as genome=", lambda f: h5ad(f, two_genomes), {"genome": "GRCh38"}),
    Case("genomes.py: leave out genome=", lambda f: h5ad(f, genome="mm10"), {"genome": None}),
    Case("labels.py: or name that of the labels as label_column=",
         lambda f: labels(f, "Barcode,Note,Pathology", "{0},x,tumour"), {"label_column": "Pathology"}, right=labelled),
    Case("labels.py: number of this slide as label_run=", lambda f: labels(f, "Barcode,Pathology",
         "{0},tumour\n{1}-2,normal"), {"label_run": 1}, right=labelled),
    Case("frame.py: correct spot_diameter_fullres, or pass spot_diameter=",
         lambda f: h5ad(f, put("scalefactors", "spot_diameter_fullres", value=9000.0)), {"spot_diameter": 22}),
    Case("frame.py: covers none; pass the full-resolution image",
         lambda f: h5ad(f, put("scalefactors", "spot_diameter_fullres", value=0.2)), {"spot_diameter": 22}),
    Case("frame.py: on_mismatch='drop' (--on-mismatch drop)", cut_image, {"on_mismatch": "drop"}, None),
    Case("source_scale.py: correct it, or pass um_per_px=",
         lambda f: h5ad(f, put("scalefactors", "microns_per_pixel", value="many")), {"um_per_px": 0.5}),
    Case("large/rebinning.py: which is no bin of Visium HD: leave out rebin=", lambda f: h5ad(f, rebin=8),
         {"rebin": None}),
    Case("imported.py: pass image= (--image)", lambda f: space_ranger(f, "tissue_hires_scalef", False), PICTURE, None),
    Case("imported.py: pass spot_diameter=", lambda f: space_ranger(f, "spot_diameter_fullres"),
         {"spot_diameter": 52}, None),
    Case("space_ranger.py: has no tissue_hires_image.png; get it, or pass", lambda f: space_ranger(f, HIRES, False),
         PICTURE, None),
    Case("matrices.py: name one of them as genome=", of_two_genomes, {"genome": "GRCh38"}, None),
    Case("frame.py: pass as image= (--image) the one that", half_image, PICTURE),
    Case("st_tables.py: pass a spot's diameter in pixels", st_of_three, {"spot_diameter": 18}, None),
    Case("st_tables.py: name it as positions=", lambda f: section(f, "other/A1_spot_data-all.tsv"),
         {"positions": "other/A1_spot_data-all.tsv"}, 60),
    Case("st_tables.py: Name the right table as positions=",
         lambda f: section(f, "B2_spot_data-all.tsv"), {"positions": "B2_spot_data-all.tsv"}, 60),
    Case("st_tables.py: pass the one that the spot detector was given as image=", lambda f: section(f, image=None),
         {"image": "HE.png"}, 60),
    Case("st_tables.py: leave out the others with on_mismatch=", st_without_most, {"on_mismatch": "drop"}, 60),
    Case("alone/reading.py: says no µm per pixel; pass um_per_px=", alone, {"um_per_px": 2.0}, None),
    Case("alone/reading.py: so it has no bins to add together", lambda f: alone(f, um_per_px=2.0, rebin=8),
         {"rebin": None, "pitch_um": 200.0}, None),
    Case("alone/reading.py: leave out image=", lambda f: alone(f, um_per_px=2.0, image=draw(f / "more.png")),
         {"image": None}, None),
    Case("alone/reading.py: pass spot_um= (--spot-um) instead of",
         lambda f: alone(f, um_per_px=2.0, spot_diameter=20.0), {"spot_um": 40, "spot_diameter": None}, None),
    Case("alone/reading.py: say their side as pitch_um=",
         lambda f: alone(f, um_per_px=1.0, tech="VisiumHD", spot_um=16), {"pitch_um": 16, "spot_um": None}, None),
    Case("alone/reading.py: pass a larger pitch_um=",
         lambda f: alone(f, um_per_px=100.0, tech="ST", pitch_um=0.05, spot_um=200.0), {"pitch_um": 500}, None),
    Case("alone/reading.py: too few to see anything", lambda f: alone(f, um_per_px=50.0), {"spot_um": 110}, None),
    Case("alone/reading.py: or pass a smaller spot_um=", lambda f: alone(f, um_per_px=2.0, spot_um=9000),
         {"spot_um": 55}, None),
    Case("alone/reading.py: no spot of a lattice of", crumb, {"pitch_um": 40}, None),
    Case("alone/reading.py: if all of it is tissue, pass whole_image=", full_of_tissue, {"whole_image": True}, None),
]  # fmt: skip
