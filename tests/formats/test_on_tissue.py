"""Where the source has no small image, the spots must lie on the image's tissue; right images are never refused."""

import logging
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from stimage.core.errors import DataError
from stimage.formats.frame import check_frame, without_beyond
from stimage.slides.coordinates import read_coordinates
from stimage.slides.images.alignment import fit_spots
from stimage.slides.images.reader import MAX_IMAGE_PIXELS, image_info
from stimage.slides.images.views import read_views, whole
from tests.formats.test_frame import HIGH, WIDE, scaled, shifted, slide_of, tissue

WRONG = {
    r"if the coordinates were multiplied by 0\.(89|9|91)": scaled(0.9),
    r"if the coordinates were multiplied by (1\.9|2)": scaled(2),
    r"if the coordinates were shifted by dx=\+2[12]\d, dy=[+-]\d+ pixels; add 2": shifted(tissue(), 220, 0),
    r"if the coordinates were (multiplied by 0.9\d and )?shifted by dx=-1\d\d, dy=[+-]\d+ pixels": tissue().crop(
        (190, 0, WIDE, HIGH)
    ),
    r"if the coordinates were mirrored left to right": tissue().transpose(Image.Transpose.FLIP_LEFT_RIGHT),
}


def unframed(picture: Image.Image, folder: Path):
    return slide_of(picture, folder, frame=None, preview=None)


@pytest.mark.parametrize("words", WRONG)
def test_a_wrong_image_is_told_without_a_frame(tmp_path, words):
    found = without_beyond(unframed(WRONG[words], tmp_path))  # as on_mismatch="drop" does
    with pytest.raises(DataError, match=words) as error:
        check_frame(found)
    assert "pass trust_coordinates=True (--trust-coordinates)" in str(error.value)
    check_frame(found, trust_coordinates=True)


def spots(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return spots of a lattice on the tissue of `tissue`."""
    rows, columns = np.mgrid[60:840:40, 60:1040:40].reshape(2, -1)
    on = picture[rows, columns].min(1) < 235
    return columns[on].astype(float), rows[on].astype(float)


@settings(max_examples=25, deadline=None)
@given(st.floats(0.15, 1), st.booleans(), st.booleans(), st.integers(0, 300), st.integers(0, 300))
def test_a_right_image_is_never_called_wrong(strength, fat, dark, left, top):
    """Pale, of fat, on a dark ground, cut so that tissue touches the border or fills the image."""
    x, y = spots(np.asarray(tissue()))
    pixels = 243 - strength * (243 - np.asarray(tissue(fat=fat), float))
    pixels = np.ascontiguousarray((255 - pixels if dark else pixels).astype(np.uint8)[top:, left:])
    kept = (x >= left) & (y >= top)
    fit = fit_spots(pixels, 1, x[kept] - left, y[kept] - top)
    assert fit is None or fit.judge()[0] == "pass", fit


REAL = pytest.mark.skipif(not os.environ.get("STIMAGE_REAL"), reason="STIMAGE_REAL names no folder of real slides")
NAMES = ("B4", "C2", "C3", "C4")


def real(name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a real slide's thumbnail, and x and y in its pixels."""
    folder, slide = Path(os.environ["STIMAGE_REAL"]) / "real/ST", f"Human_Breast_Andersson_10142021_ST_{name}"
    path, at = str(folder / f"image/{slide}.png"), read_coordinates(str(folder / f"coord/{slide}_coord.csv"))
    part = whole(image_info(path), 800)
    return read_views(path, [part], MAX_IMAGE_PIXELS)[0].pixels, at.x / part.step, at.y / part.step


@REAL
@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_real_slides(name):
    """As it is; pale; dark; scaled; shifted by a fifth; a part; and the images of the others."""
    pixels, x, y = real(name)
    for right in (pixels, (255 - (255 - pixels.astype(float)) * 0.3).astype(np.uint8), 255 - pixels):
        assert fit_spots(right, 1, x, y).judge()[0] == "pass"
    high, wide = pixels.shape[:2]
    for factor in (0.5, 0.8, 0.9, 1.25, 2):
        other = np.asarray(Image.fromarray(pixels).resize((round(wide * factor), round(high * factor))))
        fit = fit_spots(other, 1, x, y)
        assert fit.judge()[0] == "fail" and fit.best.factor == pytest.approx(factor, rel=0.02) and not fit.best.dx
    fit = fit_spots(np.ascontiguousarray(pixels[high // 5 :]), 1, x, y)
    assert fit.judge()[0] == "fail" and fit.best.dy == pytest.approx(-(high // 5), abs=9) and abs(fit.best.dx) < 9
    glass = np.median(pixels.reshape(-1, 3), 0).astype(np.uint8)
    moved = np.full_like(pixels, glass)
    moved[:, wide // 5 :] = pixels[:, : -(wide // 5)]
    fit = fit_spots(moved, 1, x, y)
    assert fit.judge()[0] == "fail" and fit.best.dx == pytest.approx(wide // 5, abs=9) and abs(fit.best.dy) < 9
    for other in NAMES:
        if other != name:
            assert fit_spots(real(other)[0], 1, x, y).judge()[0] in ("fail", "warn")


def test_a_doubt_is_a_warning(tmp_path, caplog):
    """A fifth of the tissue has spots that lie on glass: no move explains it."""
    found = unframed(tissue(), tmp_path)
    picture = np.asarray(tissue()).copy()
    picture[:, : WIDE // 3] = 243
    Image.fromarray(picture).save(tmp_path / "tissue.tif")
    with caplog.at_level(logging.WARNING):
        check_frame(found)
    assert "perhaps is not the image that the positions are of" in caplog.text
    caplog.clear()
    check_frame(without_beyond(unframed(scaled(0.8), tmp_path)))  # what is left of the outline is nearly a rectangle
    assert "if the coordinates were multiplied by 0.8" in caplog.text
