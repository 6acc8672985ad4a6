"""Slides as pyramids for segmenters: OpenSlide, tifffile and our own reader find size, pixels and µm per pixel."""

import shutil
import subprocess
from types import SimpleNamespace

import numpy as np
import openslide
import pytest
import pyvips
import tifffile
from PIL import Image

import stimage
from stimage.core.errors import DataError, OutputError
from stimage.slides.images import pyramid
from stimage.slides.images.reader import open_image
from tests.test_scripts import run

UM = 0.6884  # of H1, whose resolution tags came out ten times too fine in the original
SIZE = (300, 290)


@pytest.fixture
def root(tiny):
    """A slide whose image has texture, and levels: 300 x 290 pixels."""
    y, x = np.mgrid[: SIZE[1], : SIZE[0]]
    pixels = np.stack([120 + 100 * np.sin(x / 9), 128 + 90 * np.cos(y / 7), 100 + x / 4], -1).astype(np.uint8)
    Image.fromarray(pixels).save(tiny / "ST/image/Slide_A.png")
    return tiny


def source(root) -> np.ndarray:
    return np.asarray(Image.open(root / "ST/image/Slide_A.png"))


def test_openslide_and_tifffile_read_size_and_scale(root, tmp_path):
    done = run("data_process/export_pyramid.py", root, "--um-per-px", UM, "--out", tmp_path / "out")
    path = tmp_path / "out/Slide_A.tif"
    assert done.returncode == 0 and done.stdout == f"{path}\n1 slide: {tmp_path / 'out'}\n", done.stderr
    with openslide.OpenSlide(path) as slide:
        assert slide.properties["openslide.vendor"] == "aperio"
        assert float(slide.properties["openslide.mpp-x"]) == float(slide.properties["openslide.mpp-y"]) == UM
        assert slide.properties["openslide.objective-power"] == "20" and slide.properties["aperio.MPP"] == str(UM)
        assert slide.level_dimensions == (SIZE, (150, 145))
        seen = np.asarray(slide.read_region((0, 0), 0, SIZE).convert("RGB"))
    assert np.abs(seen.astype(int) - source(root)).mean() < 2  # the codec's loss
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages[0]
        assert (page.tilewidth, page.tilelength, page.compression.name, tiff.is_bigtiff) == (256, 256, "JPEG", False)
        assert page.tags["ResolutionUnit"].value == 3  # cm
        for tag in ("XResolution", "YResolution"):
            assert 10_000 * page.tags[tag].value[1] / page.tags[tag].value[0] == pytest.approx(UM, rel=1e-6)


@pytest.mark.parametrize("ome", [False, True])
@pytest.mark.parametrize("compression", pyramid.COMPRESSIONS[1:])
def test_lossless_level_0_is_the_source(root, tmp_path, compression, ome):
    opened = stimage.open_root(root, um_per_px=0.25)
    path = stimage.export_pyramid(opened, tmp_path, compression=compression, ome=ome)["Slide_A"]
    assert path.name == f"Slide_A.{'ome.' * ome}tif"
    with openslide.OpenSlide(path) as slide:
        assert (np.asarray(slide.read_region((0, 0), 0, SIZE).convert("RGB")) == source(root)).all()
        assert float(slide.properties["openslide.mpp-x"]) == pytest.approx(0.25, rel=1e-6)
    ours = open_image(str(path))
    assert (ours.region(0, 0, *SIZE) == source(root)).all()
    assert [(level.width, level.height) for level in ours.levels] == [SIZE, (150, 145)]
    assert ours.um_per_px == 0.25


def test_ome_xml_is_read_as_ome(root, tmp_path):
    folder = root / "ST"
    for part, end in (("coord", "_coord.csv"), ("gene_exp", "_count.csv"), ("image", ".png")):
        (folder / part / f"Slide_A{end}").rename(folder / part / f"Schnitt_µ{end}")
    (root / "meta/meta_all_gene.csv").unlink()
    paths = stimage.export_pyramid(stimage.open_root(root, um_per_px=UM), tmp_path, ome=True)
    with tifffile.TiffFile(paths["Schnitt_µ"]) as tiff:
        image = tifffile.xml2dict(tiff.ome_metadata)["OME"]["Image"]
        assert image["Name"] == "Schnitt_µ" and image["Pixels"]["PhysicalSizeX"] == UM
        (series,) = tiff.series
        assert series.kind == "ome" and [level.shape for level in series.levels] == [(290, 300, 3), (145, 150, 3)]


@pytest.mark.parametrize(("um", "power"), [(0.25, 40), (0.2738, 40), (0.5, 20), (0.688, 20), (0.9, 10), (7.02, 1.25)])
def test_magnification_is_the_nearest_objective(root, tmp_path, um, power):
    path = stimage.export_pyramid(stimage.open_root(root, um_per_px=um), tmp_path)["Slide_A"]
    with openslide.OpenSlide(path) as slide:
        assert float(slide.properties["openslide.objective-power"]) == power


def test_no_scale_no_pyramid(root, tmp_path):
    path = root / "ST/coord/Slide_A_coord.csv"
    path.write_text(path.read_text().replace(",5.0", ",2.0"))  # r contradicts the pitch
    done = run("data_process/export_pyramid.py", root, "--out", tmp_path / "out")
    assert done.returncode == 1 and "Slide_A: a pyramid needs µm per pixel, and this slide's is not" in done.stderr
    assert "give um_per_px= (--um-per-px" in done.stderr and not (tmp_path / "out").exists()


def test_a_bigtiff_where_it_could_need_4_gb(root, tmp_path, monkeypatch):
    monkeypatch.setattr(pyramid, "CLASSIC", 4 * SIZE[0] * SIZE[1] - 1)
    path = stimage.export_pyramid(stimage.open_root(root, um_per_px=UM), tmp_path)["Slide_A"]
    with tifffile.TiffFile(path) as tiff, openslide.OpenSlide(path) as slide:
        assert tiff.is_bigtiff and slide.dimensions == SIZE


def test_the_slides_own_image_is_not_replaced(root, tmp_path):
    image = root / "ST/image/Slide_A.png"
    (tmp_path / "Slide_A.tif").symlink_to(image)
    before = image.read_bytes()
    with pytest.raises(DataError, match=r"Slide_A.tif: would be replaced, and is what is to be written"):
        stimage.export_pyramid(stimage.open_root(root, um_per_px=UM), tmp_path)
    assert image.read_bytes() == before


def test_damage_and_wrong_arguments_leave_nothing(root, tmp_path):
    opened, out = stimage.open_root(root, um_per_px=UM), tmp_path / "out"
    with pytest.raises(ValueError, match="compression='webp', quality=90: pass one of jpeg"):
        stimage.export_pyramid(opened, out, compression="webp")
    with pytest.raises(ValueError, match="and 1 to 100"):
        stimage.export_pyramid(opened, out, quality=0)
    image = root / "ST/image/Slide_A.png"
    image.write_bytes(image.read_bytes()[: image.stat().st_size // 2])
    with pytest.raises(DataError, match=r"Slide_A.png: is damaged or cut off"):
        stimage.export_pyramid(opened, out)
    assert not out.exists() or not list(out.iterdir())


@pytest.mark.parametrize(("free", "why"), [(0, "No space left on device"), (1 << 30, "unable to call tiffsave")])
def test_a_full_disk_is_told_where_libvips_lost_the_reason(root, tmp_path, monkeypatch, free, why):
    def save(*_, **__):
        raise pyvips.Error("unable to call tiffsave")

    monkeypatch.setattr(pyramid, "_save", save)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=free))
    with pytest.raises(OutputError, match=rf"Slide_A.tif: cannot be written \({why}\)"):
        stimage.export_pyramid(stimage.open_root(root, um_per_px=UM), tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


def test_a_full_disk_is_told_and_leaves_nothing(root, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    small = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    if subprocess.run(small, capture_output=True).returncode:
        pytest.skip("a small file system cannot be mounted here")
    try:
        with pytest.raises(OutputError, match=r"Slide_A.tif: cannot be written \(No space left on device\)"):
            stimage.export_pyramid(stimage.open_root(root, um_per_px=UM), disk, compression="none")
        assert not list(disk.iterdir())
    finally:
        subprocess.run(["umount", "-l", disk], check=True)  # libvips may still have the file open
