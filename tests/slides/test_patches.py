"""How spots are cut: boxes as Pillow rounds them, and physical patches as Pillow resamples the whole image."""

import hashlib
import json
import os
import re

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from stimage.core.errors import DataError
from stimage.slides.coordinates import read_coordinates
from stimage.slides.images.patches import Patch, square_boxes
from stimage.slides.scale.scale import Scale

SOME = settings(max_examples=100)
REAL = pytest.mark.skipif(not os.environ.get("STIMAGE_REAL"), reason="STIMAGE_REAL names no folder of real slides")
HEIGHT, WIDTH, AROUND = 80, 100, 300
HALVES = st.integers(-4000, 4000).map(lambda n: n / 2)
EIGHTHS = st.integers(-30 * 8, 130 * 8).map(lambda n: n / 8)


def scale_of(um_per_px: float | None, reason: str = "trusted") -> Scale:
    return Scale(um_per_px, um_per_px, 4.0, reason, None)


def arrays(*values: float) -> list[np.ndarray]:
    return [np.array([value], float) for value in values]


@pytest.fixture(scope="module")
def slide(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("patches") / "slide.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)).save(path)
    return str(path)


@pytest.fixture(scope="module")
def padded(slide) -> Image.Image:
    """The slide with black all around it."""
    image = Image.new("RGB", (WIDTH + 2 * AROUND, HEIGHT + 2 * AROUND))
    image.paste(Image.open(slide), (AROUND, AROUND))
    return image


@given(st.lists(st.tuples(HALVES | st.floats(-1e6, 1e6), HALVES | st.floats(-1e6, 1e6), st.floats(0.1, 1e4) | HALVES)))
@SOME
def test_edges_are_rounded_half_to_even(spots):
    x, y, r = np.array(spots).reshape(-1, 3).T
    boxes = square_boxes(x, y, r)
    assert boxes.dtype == np.int64 and boxes.shape == (len(spots), 4)
    assert boxes.tolist() == [[round(v) for v in (x - r, y - r, x + r, y + r)] for x, y, r in spots]
    assert np.array_equal(square_boxes(x, y, 2.5), square_boxes(x, y, np.full(len(x), 2.5)))


@given(st.lists(st.tuples(HALVES | EIGHTHS, HALVES | EIGHTHS, st.integers(3, 160).map(lambda n: n / 4)), max_size=6))
@SOME
def test_original_patches_equal_pillow(slide, padded, spots):
    x, y, r = np.clip(np.array(spots).reshape(-1, 3).T, -200, 250)
    got = list(Patch().cut(slide, x, y, r, scale_of(None)))
    assert len(got) == len(spots)
    image = Image.open(slide)
    for patch, a, b, c in zip(got, x, y, r):
        assert np.array_equal(patch, np.asarray(image.crop((a - c, b - c, a + c, b + c))).reshape(patch.shape))


def resampled(padded: Image.Image, x: float, y: float, side: float, px: int) -> np.ndarray:
    box = [x - side / 2 + AROUND, y - side / 2 + AROUND, x + side / 2 + AROUND, y + side / 2 + AROUND]
    return np.asarray(padded.resize((px, px), Image.Resampling.BICUBIC, box))


@given(EIGHTHS, EIGHTHS, st.integers(1, 120 * 4), st.integers(1, 40))
@SOME
def test_physical_patches_equal_pillow_on_the_whole_image(slide, padded, x, y, quarters, px):
    side = quarters / 4
    (patch,) = Patch(side / 2, px, upsample=True).cut(slide, *arrays(x, y, 5), scale_of(0.5))
    assert np.array_equal(patch, resampled(padded, x, y, side, px))


@given(st.floats(-30, 130), st.floats(-30, 110), st.floats(0.3, 90), st.integers(3, 20), st.floats(0.1, 3))
@SOME
def test_physical_patches_at_any_place(slide, padded, x, y, um, px, um_per_px):
    """Pillow holds a box in 32 bits, so that its place in the whole image and in a part of it differ a little."""
    side = um / um_per_px
    assume(px <= side < 200)
    (patch,) = Patch(um, px).cut(slide, *arrays(x, y, 5), scale_of(um_per_px))
    assert patch.shape == (px, px, 3) and patch.dtype == np.uint8
    assert np.abs(patch - resampled(padded, x, y, side, px).astype(int)).max() <= 1


def test_physical_patches_are_in_the_order_of_the_spots(slide, padded):
    spots = np.array([(50, 70), (10, 10), (95, 40), (10, 10), (-90, 40)], float)
    got = list(Patch(16, 8).cut(slide, *spots.T, np.full(5, 9.0), scale_of(0.5)))
    for patch, (x, y) in zip(got, spots, strict=True):
        assert np.array_equal(patch, resampled(padded, x, y, 32, 8))
    assert not got[-1].any()


def test_a_physical_patch_of_as_many_pixels_is_a_crop(slide):
    (patch,) = Patch(10, 20).cut(slide, *arrays(50, 40, 5), scale_of(0.5))
    assert np.array_equal(patch, Image.open(slide).crop((40, 30, 60, 50)))


@pytest.mark.parametrize("value", [{"um": 112, "px": 224}, {"px": 224, "um": 112.0}, Patch(112, 224)])
def test_a_physical_size_is_accepted(value):
    assert Patch.parse(value) == Patch(um=112, px=224)


@pytest.mark.parametrize("value", [None, "original", Patch()])
def test_the_original_size_is_accepted(value):
    assert Patch.parse(value) == Patch() and Patch.parse(value).um is None


@pytest.mark.parametrize(
    "value",
    ["112", "Original", "", b"original", 5, 112.0, [112, 224], (112, 224), {}, {"um": 112}, {"px": 224}, {"um", "px"},
     {"um": 112, "px": 224, "z": 3}, {"um": 112, "px": None}, {"um": None, "px": 224}, {"um": 0, "px": 224},
     {"um": -1, "px": 224}, {"um": float("nan"), "px": 224}, {"um": float("inf"), "px": 224}, {"um": 112, "px": 0},
     {"um": 112, "px": -224}, {"um": 112, "px": 224.0}, {"um": 112, "px": "224"}, {"um": "112", "px": 224}],
)  # fmt: skip
def test_other_sizes_are_refused(value):
    with pytest.raises(ValueError, match=r"um.*px"):
        Patch.parse(value)


def test_a_scale_that_is_not_trusted_is_refused(slide):
    scale = Scale(None, 0.7, 8.1, "not trusted: pitch and r disagree", None)
    want = f"{slide}: a patch of 112 µm in 224 px needs a scale, and this slide's is not trusted: pitch and r disagree"
    with pytest.raises(DataError, match=f"^{re.escape(want)}$"):
        Patch(112, 224).cut(slide, *arrays(50, 40, 5), scale)
    assert len(list(Patch().cut(slide, *arrays(50, 40, 5), scale))) == 1


def test_up_sampling_is_refused(slide):
    want = f"{slide}: a patch of 112 µm in 224 px would up-sample: at 0.7 µm/px it is 160.0 px of the image; "
    want += "ask for at most 160 px, or at least 156.8 µm, "
    want += "or pass upsample=True (--upsample)"
    with pytest.raises(DataError, match=f"^{re.escape(want)}$"):
        Patch(112, 224).cut(slide, *arrays(50, 40, 5), scale_of(0.7))
    assert Patch(112, 224, upsample=True).source_px(slide, scale_of(0.7)) == pytest.approx(160)
    assert Patch(112, 224).source_px(slide, scale_of(0.5)) == 224
    assert Patch(112, 224).source_px(slide, scale_of(0.25)) == 448


@pytest.mark.parametrize(("um_per_px", "taken"), [(0.5002, True), (0.5098, True), (0.5101, False), (0.52, False)])
def test_two_per_cent_are_within_the_estimate(slide, um_per_px, taken):
    """At 0.5002 µm/px, 112 µm are 223.9 pixels: no reason to refuse 224."""
    if taken:
        (patch,) = Patch(112, 224).cut(slide, *arrays(50, 40, 5), scale_of(um_per_px))
        assert patch.shape == (224, 224, 3)
    else:
        with pytest.raises(DataError, match="would up-sample"):
            Patch(112, 224).source_px(slide, scale_of(um_per_px))


@pytest.mark.parametrize(("value", "upsample"), [("original", True), (None, True), ({"um": 112, "px": 224}, "yes"),
                                                 ({"um": 112, "px": 224}, 1)])  # fmt: skip
def test_upsample_is_of_physical_patches(value, upsample):
    with pytest.raises(ValueError, match="upsample"):
        Patch.parse(value, upsample)


@given(st.floats(1, 2000), st.integers(2, 1024), st.floats(0.1, 10))
@SOME
def test_the_sizes_that_a_refusal_names_are_accepted(um, px, um_per_px):
    assume(1 <= um / um_per_px < px / 1.02)
    with pytest.raises(DataError, match="would up-sample") as caught:
        Patch(um, px).source_px("slide.png", scale_of(um_per_px))
    fewer, more = re.search(r"at most (\d+) px, or at least (\S+) µm, or", str(caught.value)).groups()
    assert Patch(um, int(fewer)).source_px("slide.png", scale_of(um_per_px)) >= int(fewer)
    enough = Patch(float(more), px).source_px("slide.png", scale_of(um_per_px))
    assert px * (1 - 1e-9) <= enough <= px + 0.11 / um_per_px


@REAL
def test_original_patches_of_real_slides_have_the_golden_digests(shared):
    golden = json.loads((shared / "golden/golden.json").read_text())["crops"]
    assert [slide[-2:] for slide in golden] == ["C2", "C3", "C4"]
    for slide, want in golden.items():
        spots = read_coordinates(str(shared / f"real/ST/coord/{slide}_coord.csv"))
        order = np.argsort(spots.y)
        image = str(shared / f"real/ST/image/{slide}.png")
        patches = Patch().cut(image, spots.x[order], spots.y[order], spots.r[order], scale_of(None))
        ids = spots.ids.take(order).to_pylist()
        assert {i: hashlib.sha256(p.tobytes()).hexdigest()[:16] for i, p in zip(ids, patches)} == want["sha256_16"]
