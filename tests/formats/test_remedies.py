"""What a refusal advises is done as it is written, once for each message; then the slide is right."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

import stimage
import stimage_1k4m
from stimage.core.errors import DataError
from tests.formats.annotated import picture
from tests.formats.remedies import CASES, h5ad, put
from tests.roots import write_slide
from tests.test_messages import PACKAGE, texts
from tests.test_scripts import run

pytestmark = pytest.mark.usefixtures("old_strings")

ROOMS = ("formats", "slides/images/readers", "collection/checks")
ADVICE = re.compile(r"[^`]--[a-z]|python -c|stimage make")
HERE = (
    "adding.py: make it with stimage make-meta", "adding.py: pass um_per_px= (--um-per-px) if", "checks.py: mend the",
    "checks.py: mend what", "geometry.py: correct it, or pass on_mismatch=",
)  # fmt: skip
CASES_ELSEWHERE = {  # words of a message: the test that follows them
    "frame.py: pass trust_coordinates=True": "formats/test_on_tissue.py::test_a_wrong_image_is_told_without_a_frame",
    "rebinning.py: has bins of": "formats/test_rebinning.py::test_counts_are_sums_and_places_are_of_the_large_squares",
    "stored/pictures.py: name the one to take as image=": "formats/test_spatialdata_stores.py::test_several_images",
    "stored/pictures.py: has {has}; pass the slide's": "formats/test_spatialdata_stores.py::test_images_that_are_no_he",
    "stored/store.py: name the one to take as library=": "formats/test_spatialdata_stores.py::test_several_samples",
    "remedies.py: python -c": "slides/test_images_by_format.py::test_what_is_not_supported_is_converted_by_the_advice",
}
LEFT = [
    "formats/stored/image.py: {self.where}: has {planes.dtype} up to {planes.max()}, where floats must be 0 to 1; pass "
    "the image as a file, image= (--image)",
    "formats/stored/pictures.py: {picture.image.where}: lacks {lost} of {array.nchunks} chunks, so that {black.sum()} "
    "spots lie on nothing; {AGAIN}, or pass the image as image= (--image)",
    "formats/stored/store.py: {path}: is an image alone (OME-Zarr); name the slide's counts, and write it as TIFF for "
    "image= (--image)",
]
EXPORTS = ("written", "hest", "original")
NO_ADVICE = ("adding.py: slide= (--slide)", "source_scale.py: user (add_slide --um-per-px)")  # a name, and who gave it


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.words)
def test_the_advice_is_followed(case, tmp_path):
    given = case.make(tmp_path)
    words = case.words.split(": ", 1)[1]
    with pytest.raises(DataError) as refused:
        stimage.add_slide(root=tmp_path / "root", slide="Mine", **given)
    told = str(refused.value)
    assert words in told and not (tmp_path / "root/meta").exists()
    for name, value in case.advice.items():
        assert f"{name}=" in told and f"(--{name.replace('_', '-')}" in told, told
        given[name] = tmp_path / value if name in ("image", "positions") and value else value
    given = {name: value for name, value in given.items() if value is not None}
    added = stimage.add_slide(root=tmp_path / "root", slide="Mine", **given)
    adata = stimage.read_slide(tmp_path / "root", "Mine")
    assert adata.n_obs == (case.spots or adata.n_obs) > 5
    assert ("DARK" not in adata.var_names or sees_its_image(adata, added.image)) and (
        not case.right or case.right(added, adata)
    )


def sees_its_image(adata, path: str) -> bool:
    """Return if counts of DARK tell the image at the spots."""
    x, y = adata.obsm["spatial"].round().astype(int).T
    pixels = np.asarray(Image.open(path).convert("RGB")).astype(float)
    inside = (x < pixels.shape[1]) & (y < pixels.shape[0])
    dark = np.asarray(adata[:, "DARK"].X.todense() if hasattr(adata.X, "todense") else adata[:, "DARK"].X).ravel()
    return bool(np.abs(dark - (255 - pixels[y.clip(0, len(pixels) - 1), x.clip(0, pixels.shape[1] - 1)].mean(-1)))[
        inside].max() <= 6)  # fmt: skip


def test_a_meta_file_that_is_missing_is_made(tmp_path):
    """`adding.py: make it with stimage make-meta`."""
    write_slide(tmp_path / "root", "Slide_A", "ST")
    shutil.rmtree(tmp_path / "root/meta")
    given = {"root": tmp_path / "root", "slide": "Mine", **h5ad(tmp_path)}
    with pytest.raises(DataError, match="make it with stimage make-meta first"):
        stimage.add_slide(**given)
    assert run("data_collection/make_meta.py", tmp_path / "root", "--allow-unknown").returncode == 0
    stimage.add_slide(**given)
    assert set(stimage.list_slides(tmp_path / "root").index) == {"Slide_A", "Mine"}


@pytest.mark.parametrize("beside", [0.5, None])
def test_a_scale_that_is_doubted_may_be_given(tmp_path, caplog, beside):
    """`adding.py`: the source and the image disagree, or the image says two scales."""
    given = {"root": tmp_path / "root", "slide": "Mine"}
    given |= h5ad(tmp_path, put("scalefactors", "microns_per_pixel", value=beside) if beside else None)
    scale = {"resolution": (10_000, 10_000 if beside else 40_000), "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(given["image"], picture(), photometric="rgb", metadata=None, **scale)
    assert "pass um_per_px= (--um-per-px) if " in added_with(caplog, given)
    assert "um_per_px=" not in added_with(caplog, given | {"um_per_px": 1.0})
    assert stimage.list_slides(tmp_path / "root").um_per_px["Mine"] == 1.0


def added_with(caplog, given: dict) -> str:
    """Add a slide; return what was warned of."""
    caplog.clear()
    stimage.add_slide(**given)
    return caplog.text


@pytest.mark.parametrize(("name", "options"), [("ids", {"on_mismatch": "drop"}), ("files", {"exclude": "Slide_B"}),
                                               ("radius", {"on_mismatch": "drop"})])  # fmt: skip
def test_what_checks_advise(tmp_path, name, options):
    """`checks.py` and `geometry.py`: what fails the check fails to load, and loads as the check advises."""
    for slide_name in ("Slide_A", "Slide_B"):
        write_slide(tmp_path, slide_name, "ST", side=5)
    coord = tmp_path / "ST/coord/Slide_B_coord.csv"
    lines = coord.read_text().splitlines()
    cells = lines[3].split(",")
    changed = {"ids": ["else", *cells[1:]], "radius": [*cells[:-1], "900"], "files": cells[:2]}[name]
    coord.write_text("\n".join([*lines[:3], ",".join(changed), *lines[4:]]) + "\n")
    found = stimage.check(tmp_path).query("slide == 'Slide_B' and status == 'fail'").set_index("check")
    told = found.remedy[name]
    assert all(f"{key}=" in told and f"(--{key.replace('_', '-')}" in told for key in options), told
    with pytest.raises(DataError):
        [*stimage_1k4m.load("ST", tmp_path)]
    loaded = {spot["spot_id"] for spot in stimage_1k4m.load("ST", tmp_path, **options)}
    assert len(loaded) == (25 if name == "files" else 49)


def test_every_advice_has_a_case():
    """A new message that advises an option or a command is followed here, or listed as left, by its name."""
    names = [case.words for case in CASES] + list(CASES_ELSEWHERE) + list(HERE)
    for test in CASES_ELSEWHERE.values():
        file, function = test.split("::")
        assert f"def {function}(" in (Path(__file__).parents[1] / file).read_text(encoding="utf-8")
    with_case = {message for message in advising() for name in names if is_of(name, message)}
    assert all(any(is_of(name, message) for message in advising()) for name in names)
    assert sorted(advising() - with_case) == sorted(LEFT)


def is_of(name: str, message: str) -> bool:
    file, words = name.split(": ", 1)
    where, text = message.split(": ", 1)
    return where.endswith(file) and words in text


def advising() -> set[str]:
    """Return messages with advice, each behind its file's name."""
    paths = [path for room in ROOMS for path in (PACKAGE / room).rglob("*.py")]
    files = [path for path in paths if path.parent.name not in EXPORTS]
    return {
        f"{path.relative_to(PACKAGE).as_posix()}: {text}"
        for path in files
        for text in texts(path)
        if ADVICE.search(text) and f"{path.name}: {text}" not in NO_ADVICE
    }
