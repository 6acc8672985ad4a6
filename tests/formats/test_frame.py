"""An image that is not the one of the positions is refused before anything is written, with the factor."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from stimage.core.errors import DataError
from stimage.formats.frame import check_frame, without_beyond
from tests.formats.killed import imported

WIDE, HIGH = 1100, 900


@cache
def tissue(seed: int = 0, wide: int = WIDE, high: int = HIGH, fat: bool = False) -> Image.Image:
    """Draw a lopsided piece of pink tissue on white glass; of fat, hardly more than its walls."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:high, :wide]
    inside = ((x - 0.42 * wide) / (0.4 * wide)) ** 2 + ((y - (0.45 + 0.1 * (seed % 2)) * high) / (0.42 * high)) ** 2 < 1
    noise = gaussian_filter(rng.normal(0, 1, (high, wide)), 12)
    shade = np.clip(0.5 + noise / noise.std() / 4, 0, 1)
    colour = np.stack([225 - 95 * shade, 150 - 95 * shade, 190 - 60 * shade], -1)
    if fat:
        colour = 238 - 40 * (np.abs(noise / noise.std()) < 0.3)[..., None] * [0.5, 1, 0.6]
    return Image.fromarray(np.where(inside[..., None], colour, 243.0).astype(np.uint8))


def slide_of(picture: Image.Image, folder, **more):
    """Return a slide whose spots lie on the tissue, with the frame and the small image that its source has."""
    whole = np.asarray(tissue())
    rows, columns = np.mgrid[60:840:40, 60:1040:40].reshape(2, -1)
    on = whole[rows, columns].min(1) < 235
    x, y = columns[on].astype(float), rows[on].astype(float)
    picture.save(folder / "tissue.tif")
    half = tissue().reduce(2)
    said = {"frame": (half.width / 0.5, half.height / 0.5, "tissue_hires_image.png"), "preview": np.asarray(half)}
    places = {"barcodes": [f"A{k}" for k in range(len(x))], "x": x, "y": y, "r": 13.0, "tech": "Visium"}
    counts = imported(n=len(x)).counts
    return imported(**{"image": folder / "tissue.tif", "counts": counts, "labels": {}, **places, **said, **more})


def shifted(picture: Image.Image, right: int, down: int) -> Image.Image:
    moved = Image.new("RGB", picture.size, (243, 243, 243))
    moved.paste(picture, (right, down))
    return moved


def scaled(factor: float) -> Image.Image:
    return tissue().resize((round(WIDE * factor), round(HIGH * factor)))


WRONG = {
    "tissue.tif: is 0.5 x the size of the image that the positions are of, or a part of it: it": scaled(0.5),
    "is 0.8 x the size": scaled(0.8),
    "is 1.25 x the size": scaled(1.25),
    "is 2 x the size .*: it is 2,200 x 1,800 pixels, that one 1,100 x 900 by tissue_hires_image.png": scaled(2),
    "or a part of it: it is 1,060 x 900": tissue().crop((40, 0, WIDE, HIGH)),
    "is 0.991 x the size .*, or a part of it: it is 1,090 x 895": tissue().crop((0, 0, 1090, 895)),
    "is turned by a quarter": tissue().transpose(Image.Transpose.ROTATE_90),
    "is turned by half": tissue().transpose(Image.Transpose.ROTATE_180),
    "is mirrored left to right": tissue().transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "is shifted by 55 pixels to the right and 0 down": shifted(tissue(), 55, 0),
    "is shifted by -33 pixels to the right and 9 down": shifted(tissue(), -33, 9),
    "shows another picture": Image.fromarray(np.random.default_rng(0).integers(0, 255, (HIGH, WIDE, 3), np.uint8)),
    "or a part of it: it is 1,000 x 950": tissue(1, 1000, 950),
}


@pytest.mark.parametrize("words", WRONG)
def test_a_wrong_image_is_told(tmp_path, words):
    with pytest.raises(DataError, match=words):
        check_frame(slide_of(WRONG[words], tmp_path))


def test_the_right_image_passes(tmp_path):
    """As it is, saved again as JPEG, darker, a pixel smaller; without a frame, and where nothing is to be seen."""
    picture = tissue()
    check_frame(slide_of(picture, tmp_path))
    check_frame(slide_of(picture.crop((0, 0, WIDE - 1, HIGH)), tmp_path))
    check_frame(slide_of(picture.point(lambda value: value * 0.8), tmp_path))
    picture.save(tmp_path / "tissue.jpg", quality=60)
    check_frame(slide_of(picture, tmp_path, image=tmp_path / "tissue.jpg"))
    check_frame(slide_of(picture, tmp_path, frame=None))
    blank = Image.new("RGB", (WIDE, HIGH), (240, 240, 240))
    check_frame(slide_of(blank, tmp_path, preview=np.asarray(blank.reduce(2))))


def test_spots_beyond_the_image(tmp_path):
    """Some are counted, and left out on request; if it is half of them, the image is another."""
    found = slide_of(tissue(), tmp_path, frame=None, preview=None)
    order = np.argsort(found.x)
    x = found.x.copy()
    x[order[-5:]] = 2000
    some = replace(found, x=x, left_out={"antibodies": 3})
    with pytest.raises(DataError, match=f"does not show all spots: .* and 5 of {len(x)} spots .* on_mismatch='drop' "):
        check_frame(some)
    left = without_beyond(some)
    check_frame(left)
    assert left.left_out == {"antibodies": 3, "spots that lie beyond the image": 5}
    kept = np.setdiff1d(np.arange(len(x)), order[-5:])
    assert left.barcodes == [found.barcodes[k] for k in kept] and (left.counts != found.counts[kept]).nnz == 0
    narrow = replace(found, frame=None, preview=None, image=tmp_path / "part.tif", x=found.x - 150)
    tissue().crop((150, 0, WIDE, HIGH)).save(tmp_path / "part.tif")
    whole = slide_of(tissue(), tmp_path)
    cut = replace(narrow, frame=whole.frame, preview=whole.preview)
    n = int((found.x + 13 <= 150).sum())
    with pytest.raises(DataError, match=f"or a part of it: it is 950 .* drop\\) leaves out the {n} of {len(x)} spots"):
        check_frame(cut)
    check_frame(without_beyond(cut))
    assert without_beyond(cut).left_out == {"spots that lie beyond the image": n}
    far = replace(found, x=found.x + 700)
    assert without_beyond(far) is far
    with pytest.raises(DataError, match=r"is not the image that the positions are of(?!.*drop)"):
        check_frame(far)


def test_places_that_were_turned_to_be_drawn_upwards(tmp_path):
    """The image is not to blame; the remedy of the message is followed."""
    found = slide_of(tissue(), tmp_path)
    turned = replace(found, y=-found.y)
    with pytest.raises(DataError, match=r"^made: y is negative, -.* to -.*; give -y") as error:
        check_frame(turned)
    assert "tissue.tif" not in str(error.value)
    check_frame(replace(turned, y=-turned.y))
