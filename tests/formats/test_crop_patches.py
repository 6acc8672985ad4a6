"""A PNG a spot: as the authors' steps make them, kept by a later call, and cut anew where a slide changed."""

import errno
import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import stimage
from stimage.core.errors import DataError, OutputError
from stimage.formats.original import crops
from tests.roots import write_csv, write_slide
from tests.test_scripts import run

SCRIPT = "data_process/crop_patches.py"


@pytest.fixture
def root(tmp_path) -> Path:
    write_slide(tmp_path / "root", "Slide_A", "ST")
    write_slide(tmp_path / "root", "Slide_B", "Visium", side=4, seed=1)
    return tmp_path / "root"


def original(image: Path, coord: Path, out: Path) -> None:
    """Crop as the original's page does: r of the first row, edges by Pillow, names as in the first column."""
    Image.MAX_IMAGE_PIXELS = None
    picture, table = Image.open(image).convert("RGB"), pd.read_csv(coord)
    r = table["r"][0]
    out.mkdir(exist_ok=True)
    for spot, y, x in zip(table.iloc[:, 0], table["yaxis"], table["xaxis"]):
        picture.crop((x - r, y - r, x + r, y + r)).save(out / f"{spot}.png")


def pixels(folder: Path) -> dict[str, np.ndarray]:
    return {path.name: np.asarray(Image.open(path)) for path in folder.glob("*.png")}


def test_as_the_original_cuts_them(root, tmp_path):
    coord = root / "ST/coord/Slide_A_coord.csv"  # half pixels, and over the edge
    write_csv(coord, [["", "yaxis", "xaxis", "r"], *([f"Slide_A_{i}x{j}", 20.5 + 27 * i, 2.5 + 31 * j, 9.5]
                                                     for i in range(3) for j in range(3))])  # fmt: skip
    done = run(SCRIPT, root, "--out", tmp_path / "crop", "--workers", "1")
    assert done.returncode == 0 and "2 slides, 25 images, 25 of them new" in done.stdout, done.stderr
    for tech, slide in (("ST", "Slide_A"), ("Visium", "Slide_B")):
        original(root / tech / f"image/{slide}.png", root / tech / f"coord/{slide}_coord.csv", tmp_path / "theirs")
    ours, theirs = pixels(tmp_path / "crop"), pixels(tmp_path / "theirs")
    assert ours.keys() == theirs.keys() and all((ours[name] == theirs[name]).all() for name in theirs)


def test_what_is_there_is_kept(root, tmp_path, monkeypatch):
    out = tmp_path / "crop"
    stimage.crop_patches(root, out)
    gone, kept = out / "Slide_A_1x1.png", out / "Slide_A_0x0.png"
    before, stamp = gone.read_bytes(), kept.stat().st_mtime_ns
    gone.unlink()
    table = stimage.crop_patches(root, out)
    assert table.new.to_dict() == {"Slide_A": 1, "Slide_B": 0} and table.spots.to_dict() == {
        "Slide_A": 9,
        "Slide_B": 16,
    }
    assert gone.read_bytes() == before and kept.stat().st_mtime_ns == stamp


def test_it_goes_on_after_a_stop(root, tmp_path, monkeypatch):
    class Killed(BaseException):
        pass

    def encode(image):
        encoded.append(image)
        if len(encoded) > 5:
            raise Killed
        return usual(image)

    usual, encoded = crops.encode_png, []
    with monkeypatch.context() as patched:
        patched.setattr(crops, "encode_png", encode)
        with pytest.raises(Killed):
            stimage.crop_patches(root, tmp_path / "crop")
    assert len(pixels(tmp_path / "crop")) == 5
    assert stimage.crop_patches(root, tmp_path / "crop").new.sum() == 20
    stimage.crop_patches(root, tmp_path / "at_once")
    ours, theirs = pixels(tmp_path / "crop"), pixels(tmp_path / "at_once")
    assert ours.keys() == theirs.keys() and all((ours[name] == theirs[name]).all() for name in theirs)
    assert not list((tmp_path / "crop").glob(".*.png"))


def test_a_full_disk_leaves_no_part_of_an_image(root, tmp_path, monkeypatch):
    def full(self, data):
        self.touch()  # a part of it
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", full)
        with pytest.raises(OutputError, match="No space left"):
            stimage.crop_patches(root, tmp_path / "crop")
    assert not list((tmp_path / "crop").glob(".*.png"))
    assert stimage.crop_patches(root, tmp_path / "crop").new.sum() == 25


def test_another_image_or_patch_is_cut_anew(root, tmp_path):
    out = tmp_path / "crop"
    stimage.crop_patches(root, out)
    Image.new("RGB", (90, 80), (200, 10, 10)).save(root / "ST/image/Slide_A.png")
    assert stimage.crop_patches(root, out).new.to_dict() == {"Slide_A": 9, "Slide_B": 0}
    assert (pixels(out)["Slide_A_0x0.png"] == (200, 10, 10)).all()
    opened = stimage.open_root(root, um_per_px=1.0)
    assert stimage.crop_patches(opened, out, patch={"um": 12, "px": 6}).new.sum() == 25
    assert {image.shape for image in pixels(out).values()} == {(6, 6, 3)}
    assert json.loads((out / "slides/Slide_B.json").read_text())["patch"]["um"] == 12


def test_counts_are_not_read(root, tmp_path):
    for path in root.glob("*/gene_exp/*"):
        path.write_text("damaged")
    assert stimage.crop_patches(root, tmp_path / "crop").spots.sum() == 25


def test_processes(root, tmp_path):
    assert stimage.crop_patches(root, tmp_path / "crop", workers=2).new.sum() == 25


def test_other_slides_are_cut_where_one_is_damaged(root, tmp_path):
    (root / "ST/image/Slide_A.png").write_bytes(b"none")
    with pytest.raises(DataError, match=r"ST/image/Slide_A.png"):
        stimage.crop_patches(root, tmp_path / "crop")
    assert len(pixels(tmp_path / "crop")) == 16
    done = run(SCRIPT, root, "--out", tmp_path / "crop", "--workers", "1")
    assert done.returncode == 1 and "Slide_A.png" in done.stderr


@pytest.mark.parametrize("spot", ["a/b", "..", "a\\b"])
def test_ids_that_are_no_names_of_files(root, tmp_path, spot):
    coord = root / "ST/coord/Slide_A_coord.csv"
    write_csv(coord, [["", "yaxis", "xaxis", "r"], [spot, 20, 20, 5]])
    if spot == "..":  # an id of another slide has the slide's name in front
        assert stimage.crop_patches(root, tmp_path / "crop").spots["Slide_A"] == 1
        assert (tmp_path / "crop/Slide_A_...png").exists()
    else:
        with pytest.raises(DataError, match=r"Slide_A_coord.csv: spot .* is no name of a file"):
            stimage.crop_patches(root, tmp_path / "crop")


def test_spots_outside_the_image(root, tmp_path):
    coord = root / "ST/coord/Slide_A_coord.csv"
    write_csv(coord, [["", "yaxis", "xaxis", "r"], ["Slide_A_1", 20, 20, 5], ["Slide_A_2", 20, 2000, 5]])
    with pytest.raises(DataError, match="Slide_A_2"):
        stimage.crop_patches(root, tmp_path / "crop")
    left = stimage.open_root(root, on_mismatch="drop")
    assert stimage.crop_patches(left, tmp_path / "crop").spots["Slide_A"] == 1


def test_the_golden_crops(shared, tmp_path):
    golden = json.loads((shared / "golden/golden.json").read_text())["crops"]
    root = stimage.open_root(shared / "real", slides=list(golden))
    stimage.crop_patches(root, tmp_path / "crop")
    for slide, crop in golden.items():
        for spot, digest in crop["sha256_16"].items():
            image = np.asarray(Image.open(tmp_path / f"crop/{spot}.png"))
            assert hashlib.sha256(image.tobytes()).hexdigest()[:16] == digest, (slide, spot)


def test_another_scale_cuts_patches_in_um_anew(root, tmp_path):
    def cut(um_per_px: float, out: str, **patch) -> tuple[list[int], dict[str, bytes]]:
        opened = stimage.open_root(root, um_per_px=um_per_px)
        new = stimage.crop_patches(opened, tmp_path / out, **patch).new.tolist()
        return new, {path.name: path.read_bytes() for path in (tmp_path / out).glob("*.png")}

    physical = {"patch": {"um": 20, "px": 8}}
    assert [cut(scale, "um", **physical)[0] for scale in (1.0, 1.0, 2.0)] == [[9, 16], [0, 0], [9, 16]]
    assert cut(2.0, "um", **physical)[1] == cut(2.0, "alone", **physical)[1]
    assert [cut(scale, "squares")[0] for scale in (1.0, 2.0)] == [[9, 16], [0, 0]]  # of 2r, in pixels
