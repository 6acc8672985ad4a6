"""An image as tiles: the same picture, made smaller; written once for each image, and whole or not at all."""

import json
from pathlib import Path

import numpy as np
import pytest
import pyvips
from PIL import Image

from stimage.core.errors import DataError, OutputError
from stimage.slides.images.tiles import TILE, write_tiles

WIDE, HIGH = 1500, 1100


def picture(seed: int = 0) -> np.ndarray:
    """Return smooth colours, which a JPEG keeps."""
    rows, columns = np.mgrid[:HIGH, :WIDE]
    return np.stack([columns * 255 / WIDE, rows * 255 / HIGH, 0 * rows + 60 * seed], 2).astype(np.uint8)


@pytest.fixture
def image(tmp_path) -> str:
    Image.fromarray(picture()).save(tmp_path / "slide.png")
    return str(tmp_path / "slide.png")


def put_together(folder: Path, columns: int, rows: int) -> np.ndarray:
    """Return the picture of which the tiles of a level are parts."""
    return np.concatenate([
        np.concatenate([np.asarray(Image.open(folder / f"{column}_{row}.jpg")) for column in range(columns)], 1)
        for row in range(rows)
    ])  # fmt: skip


@pytest.mark.parametrize(("longest", "step"), [(5000, 1), (WIDE, 1), (1499, 2), (600, 3)])
def test_tiles_are_the_image(image, tmp_path, longest, step):
    tiles = write_tiles(image, tmp_path / "out", longest, "x")
    assert (tiles.width, tiles.height, tiles.step) == (WIDE, HIGH, step)
    wide, high = -(-WIDE // step), -(-HIGH // step)
    for level in range(tiles.levels - 1, -1, -1):
        columns, rows = -(-wide // TILE), -(-high // TILE)
        folder = tmp_path / f"out/image/{level}"
        assert len([*folder.iterdir()]) == columns * rows
        found = put_together(folder, columns, rows)
        assert found.shape == (high, wide, 3)
        places = (np.mgrid[:high, :wide].transpose(1, 2, 0) + 0.5) * [HIGH / high, WIDE / wide]
        wanted = np.stack([places[..., 1] * 255 / WIDE, places[..., 0] * 255 / HIGH], 2)
        assert np.abs(found[..., :2] - wanted).mean() < 3  # of 255
        wide, high = -(-wide // 2), -(-high // 2)
    assert (columns, rows) == (1, 1)
    assert tiles.bytes == sum(path.stat().st_size for path in tmp_path.rglob("out/image/*/*.jpg"))


def test_tiles_are_written_once(image, tmp_path):
    first, about = write_tiles(image, tmp_path / "out", 600, "x"), tmp_path / "out/image/about.json"
    number = about.stat().st_ino
    assert write_tiles(image, tmp_path / "out", 600, "x") == first and about.stat().st_ino == number
    for longest, digest in ((700, "x"), (700, "y")):
        assert write_tiles(image, tmp_path / "out", longest, digest) is not None
        assert about.stat().st_ino != number
        number = about.stat().st_ino
    about.write_text("{}")
    assert write_tiles(image, tmp_path / "out", 700, "y") and json.loads(about.read_text())["asked"]["longest"] == 700


def test_what_fails_leaves_the_old_tiles(image, tmp_path, monkeypatch):
    write_tiles(image, tmp_path / "out", 600, "x")
    before = {path: path.read_bytes() for path in tmp_path.rglob("out/image/**/*") if path.is_file()}

    def fail(image, folder, step):
        (folder / "0").mkdir()
        raise pyvips.Error("unable to write to target", "No space left on device")

    monkeypatch.setattr("stimage.slides.images.tiles._save", fail)
    with pytest.raises(OutputError, match="cannot be written"):
        write_tiles(image, tmp_path / "out", 700, "x")
    assert {path: path.read_bytes() for path in tmp_path.rglob("out/image/**/*") if path.is_file()} == before
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [".lock", "image"]


def test_a_damaged_image_leaves_no_tiles(image, tmp_path):
    content = Path(image).read_bytes()
    Path(image).write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=r"slide\.png"):
        write_tiles(image, tmp_path / "out", 600, "x")
    assert not (tmp_path / "out/image").exists()


def test_a_narrow_image(tmp_path):
    Image.new("RGB", (2, 3000), "red").save(tmp_path / "narrow.png")
    tiles = write_tiles(str(tmp_path / "narrow.png"), tmp_path / "out", 600, "x")
    assert (tiles.step, tiles.levels) == (5, 2) and Image.open(tmp_path / "out/image/1/0_1.jpg").size == (1, 600 - TILE)
