"""`add_slide` of an image alone: where its spots are, what the files say, and what is refused."""

import csv
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

import stimage
from stimage.core.errors import DataError
from tests.alone import draw
from tests.test_scripts import run


def places(root: Path, tech: str = "Visium", slide: str = "Mine") -> dict[str, tuple[float, float, float]]:
    """Return spot id → x, y and r as the coord file has them."""
    with (root / f"{tech}/coord/{slide}_coord.csv").open(newline="") as file:
        return {row[""]: (float(row["xaxis"]), float(row["yaxis"]), float(row["r"])) for row in csv.DictReader(file)}


@pytest.fixture
def image(tmp_path):
    return draw(tmp_path / "image.png")


def add(image: Path, root: Path, um: float | None = 2.0, **options):
    return stimage.add_slide(image, root, "Mine", um_per_px=um, **options)


def test_what_is_written(image, tmp_path):
    slide = add(image, tmp_path / "root", species="human", tissue="breast")
    assert slide.image_alone and not slide.counts and slide.tech == "Visium"
    assert (tmp_path / "root/Visium/image/Mine.png").read_bytes() == image.read_bytes()
    assert not (tmp_path / "root/Visium/gene_exp").exists()
    (row,) = csv.DictReader((tmp_path / "root/meta/meta_all_gene.csv").open(newline=""))
    spots = places(tmp_path / "root")
    told = [row[name] for name in ("gene_num", "spot_num", "um_per_px", "um_per_px_source", "species")]
    laid = "user (add_slide --um-per-px), for its lattice"
    assert told == ["0", str(len(spots)), "2", laid, "human"]
    assert {r for _, _, r in spots.values()} == {13.75}
    assert all(190 < x < 1010 and 140 < y < 760 for x, y, _ in spots.values())
    cell = 50 * 50 * np.sqrt(3) / 2
    assert len(spots) == pytest.approx(800 * 600 / cell, rel=0.12)
    assert all(spot.startswith("Mine_") and spot.count("x") == 1 for spot in spots)


@pytest.mark.parametrize(
    ("tech", "options", "pitch", "r", "name"),
    [
        ("ST", {}, 100, 25, "x"),
        ("VisiumHD", {"pitch_um": 16}, 8, 4, "s_016um_"),
        ("Visium", {"pitch_um": 200, "spot_um": 40}, 100, 10, "x"),
        ("ST", {"pitch_um": 112}, 56, 14, "x"),
    ],
)
def test_other_lattices(image, tmp_path, tech, options, pitch, r, name):
    add(image, tmp_path, tech=tech, **options)
    spots = places(tmp_path, tech)
    xy = np.array([at[:2] for at in spots.values()])
    apart = np.hypot(*(xy[1:] - xy[0]).T).min()
    assert apart == pytest.approx(pitch) and {at[2] for at in spots.values()} == {r} and name in min(spots)
    scale = stimage.check(tmp_path).set_index("check")
    assert scale.status["scale"] == "pass" and scale.status["lattice"] == "pass", scale.message["scale"]


def test_a_scale_that_is_given_otherwise_is_held_against_the_lattice(image, tmp_path):
    add(image, tmp_path)
    found = stimage.check(stimage.open_root(tmp_path, um_per_px=1.0)).set_index("check")
    assert found.status["scale"] == "fail" and "the lattice gives 2" in found.message["scale"]


def test_the_file_says_its_scale(image, tmp_path, caplog):
    pixels = np.asarray(Image.open(image))
    per_cm = {"resolution": (5000, 5000), "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(tmp_path / "scan.tif", pixels, photometric="rgb", tile=(256, 256), metadata=None, **per_cm)
    slide = add(tmp_path / "scan.tif", tmp_path, None)
    told = slide.um_per_px, slide.um_per_px_source
    assert told == (2.0, "image file (TIFF's XResolution per cm), for its lattice") and not caplog.text
    spots = places(tmp_path)
    assert add(tmp_path / "scan.tif", tmp_path, 4.0).um_per_px == 4.0 and len(places(tmp_path)) > 3 * len(spots)
    assert "says 2 µm per pixel, but user (add_slide --um-per-px), for its lattice 4, which is taken" in caplog.text


def test_twice_the_same(image, tmp_path):
    for name in ("one", "two"):
        add(image, tmp_path / name)
    one, two = ((tmp_path / name / "Visium/coord/Mine_coord.csv").read_bytes() for name in ("one", "two"))
    assert one == two


def test_dust_is_no_tissue(image, tmp_path):
    add(image, tmp_path)
    clean = places(tmp_path)
    pixels = np.array(Image.open(image))
    pixels[40:60, 40:60] = np.random.default_rng(0).integers(0, 255, (20, 20, 3))
    Image.fromarray(pixels).save(tmp_path / "dust.png")
    add(tmp_path / "dust.png", tmp_path)
    assert places(tmp_path) == clean


def test_all_of_the_image(image, tmp_path):
    add(image, tmp_path, whole_image=True)
    assert len(places(tmp_path)) == pytest.approx(1200 * 900 / (50 * 50 * np.sqrt(3) / 2), rel=0.08)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"um": None}, r"says no µm per pixel.*; pass um_per_px= \(--um-per-px\)"),
        ({"um": 100.0}, "a spot of 55 µm is 0.55 pixels across at 100 µm/px, too few"),
        ({"um": 0.01}, "is 5.5e.03 pixels across at 0.01 µm/px, and the image has 1,200 x 900"),
        ({"spot_um": 1e5}, "pixels across at 2 µm/px, and the image has"),
        (
            {"pitch_um": 0.1, "spot_um": 55},
            r"of 0\.1 µm would have about 2\d\d,\d{3},\d{3} spots, more than 5,000,000",
        ),
        ({"tech": "VisiumHD", "spot_um": 8.0}, "bins lie side by side"),
        ({"spot_diameter": 40.0}, r"pass spot_um= \(--spot-um\) instead of spot_diameter"),
        ({"layer": "counts"}, "is an image alone, which has no layer"),
        ({"rebin": 8}, "is an image alone, so it has no bins"),
    ],
)
def test_what_is_refused(image, tmp_path, options, message):
    with pytest.raises(DataError, match=message):
        add(image, tmp_path / "root", **options)
    assert not list((tmp_path / "root").glob("*/coord/*"))


@pytest.mark.parametrize(
    ("name", "value"), [("um_per_px", 0), ("pitch_um", -1.0), ("spot_um", "55"), ("pitch_um", 1e999)]
)
def test_values_that_no_option_has(image, tmp_path, name, value):
    with pytest.raises(ValueError, match=f"{name}={value!r}: pass"):
        stimage.add_slide(image, tmp_path / "root", "Mine", **({"um_per_px": 2.0} | {name: value}))


@pytest.mark.parametrize("level", [255, 128, 0])
def test_an_image_without_tissue(tmp_path, level, caplog):
    Image.new("RGB", (600, 400), (level,) * 3).save(tmp_path / "blank.png")
    with pytest.raises(DataError, match=r"blank\.png: no tissue is to be told.*whole_image=True \(--whole-image\)"):
        add(tmp_path / "blank.png", tmp_path / "root")
    assert "has no colour" in caplog.text
    assert len(places(tmp_path / "root")) if add(tmp_path / "blank.png", tmp_path / "root", whole_image=True) else None


def test_a_mask_is_told(tmp_path, caplog):
    mask = np.zeros((600, 800), np.uint8)
    mask[200:400, 200:500] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    add(tmp_path / "mask.png", tmp_path / "root")
    assert "mask.png: has no colour, so it is no H&E image; is it a mask?" in caplog.text


def test_a_damaged_image(image, tmp_path):
    image.write_bytes(image.read_bytes()[:-5000])
    with pytest.raises(DataError, match="is damaged or cut off"):
        add(image, tmp_path / "root")


def test_another_image_beside_it(image, tmp_path):
    with pytest.raises(DataError, match=r"is an image alone, on which spots are laid; leave out image= \(--image\)"):
        stimage.add_slide(image, tmp_path / "root", "Mine", um_per_px=2.0, image=image)


def test_a_pitch_larger_than_the_image(tmp_path):
    stimage.add_slide(draw(tmp_path / "middle.png"), tmp_path, "Mine", um_per_px=2, pitch_um=5000, spot_um=55)
    assert list(places(tmp_path).values()) == [(600, 450, 13.75)]
    corner = draw(tmp_path / "corner.png", box=(50, 50, 400, 400))
    with pytest.raises(DataError, match="no spot of a lattice of 5000 µm is on its tissue; pass a smaller"):
        stimage.add_slide(corner, tmp_path, "Mine", um_per_px=2, pitch_um=5000, spot_um=55)


@pytest.mark.parametrize("options", [{"pitch_um": 100}, {"spot_um": 55}, {"whole_image": True}])
def test_lattice_options_of_a_slide_with_spots(tmp_path, sample, options):
    adata = stimage.read_slide(sample, "Human_Breast_Sample3_Visium_A1")
    name = next(iter(options)).replace("_", "-")
    with pytest.raises(DataError, match=rf"has spots of its own; leave out \w+= \(--{name}\)"):
        stimage.add_slide(adata, tmp_path, "Mine", **options)


def test_labels_by_id(image, tmp_path):
    add(image, tmp_path)
    spots = places(tmp_path)
    labels = {spot: "left" if x < 600 else "right" for spot, (x, _, _) in spots.items()}
    add(image, tmp_path, labels=labels)
    with (tmp_path / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("spot", "label"), *labels.items()])
    (tmp_path / "annotation/Mine_anno.csv").unlink()
    done = run("data_collection/add_slide.py", image, "--out", tmp_path, "--slide", "Mine", "--um-per-px", 2,
               "--labels", tmp_path / "labels.csv")  # fmt: skip
    assert done.returncode == 0 and f"{len(spots)} of them labelled, 0 genes" in done.stdout, done.stderr
    found = {one["spot_id"]: one["annotation"] for one in stimage.load("Visium", tmp_path)}
    assert found == labels


def test_counts_come_later(image, tmp_path, sample, caplog):
    adata = stimage.read_slide(sample, "Human_Breast_Sample3_Visium_A1")
    add(image, tmp_path, labels=dict.fromkeys(places_of(image, tmp_path), "x"))
    stimage.add_slide(adata, tmp_path, "Mine")
    assert "the labels of the slide that was there are removed" in caplog.text
    (one,) = stimage.open_root(tmp_path).slides
    assert not one.image_alone and one.gene_num == adata.n_vars and not one.annotation
    assert len(next(iter(stimage.load("Visium", tmp_path)))["counts"])
    add(image, tmp_path)
    (one,) = stimage.open_root(tmp_path).slides
    assert one.image_alone and not list(tmp_path.glob("Visium/gene_exp/*"))


def places_of(image: Path, root: Path) -> list[str]:
    add(image, root)
    return list(places(root))


@pytest.mark.parametrize("name", ["picture", "picture.jfif", "picture.tif.part"])
def test_an_image_of_any_name(image, tmp_path, name):
    add(image.rename(tmp_path / name), tmp_path / "root")
    assert len(places(tmp_path / "root"))


@pytest.mark.parametrize("kind", ["GIF", "WEBP"])
def test_an_image_that_is_not_read_is_told_how_to_be(image, tmp_path, kind):
    Image.open(image).save(path := tmp_path / f"image.{kind.lower()}", kind)
    with pytest.raises(DataError, match=f"image.{kind.lower()}: not supported: a {kind} image; convert it so: python"):
        add(path, tmp_path / "root")
