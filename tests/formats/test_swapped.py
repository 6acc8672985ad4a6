"""Coordinates without names of which x is y and y is x, on a whole lattice that fits the tissue either way, nearly."""

import logging

import anndata
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.sparse import csr_matrix

from stimage.core.errors import DataError
from stimage.formats.frame import check_frame
from stimage.formats.h5ad import from_anndata
from stimage.formats.imported import ImportOptions
from stimage.slides.hest.places import is_mirrored
from stimage.slides.images.alignment import fit_spots

SIDE, PITCH = 1000, 60.0


def picture() -> np.ndarray:
    """Return tissue that fills most of a rectangle left of the middle, on glass."""
    y, x = np.mgrid[:SIDE, :SIDE]
    inside = ((x - 430) / 430) ** 4 + ((y - 480) / 330) ** 4 < 1
    rough = np.random.default_rng(0).normal(0, 12, (SIDE, SIDE, 1))
    return np.clip(np.where(inside[..., None], [190, 90, 160], [240, 238, 242]) + rough * inside[..., None], 0, 255
                   ).astype(np.uint8)  # fmt: skip


def slide(swapped: bool) -> anndata.AnnData:
    """Return a slide whose spots fill a rectangle, as scanpy has it, with the source's small image."""
    row, column = np.array([(r, c) for r in range(12) for c in range(r % 2, 26, 2)]).T
    xy = np.stack([40 + column * PITCH / 2, 195 + row * PITCH * np.sqrt(3) / 2], 1)
    obs = pd.DataFrame({"array_row": row, "array_col": column}, index=pd.Index([f"S{k}-1" for k in range(len(row))],
                                                                               dtype=object))  # fmt: skip
    var = pd.DataFrame(index=pd.Index(["ERBB2", "KRT8", "CD3E"], dtype=object))
    factors = {"tissue_hires_scalef": 0.5, "spot_diameter_fullres": 39.0}
    return anndata.AnnData(
        csr_matrix(np.ones((len(row), 3), np.float32)), obs, var, obsm={"spatial": xy[:, ::-1] if swapped else xy},
        uns={"spatial": {"lib": {"images": {"hires": picture()[::2, ::2]}, "scalefactors": factors}}},
    )  # fmt: skip


@pytest.fixture
def image(tmp_path):
    Image.fromarray(picture()).save(tmp_path / "tissue.tif")
    return ImportOptions(image=tmp_path / "tissue.tif")


def test_the_swap_is_named_and_not_a_shift():
    """Of two moves that fit alike, the one that has no choice of place."""
    x, y = slide(swapped=True).obsm["spatial"].T
    status, message, remedy = fit_spots(picture(), 1, x, y).judge()
    assert status == "warn" and "if the coordinates were swapped (x is y and y is x)" in message, message
    assert remedy == "turn the coordinates back"
    x, y = slide(swapped=False).obsm["spatial"].T
    assert fit_spots(picture(), 1, x, y).judge()[0] == "pass"


def test_adding_refuses_what_the_array_says_too(image):
    """The small image is the right one, so that it tells nothing; the remedy of the message is followed."""
    data = slide(swapped=True)
    with pytest.raises(DataError, match=r"^S: x and y run the other way round .* swapped .*x is y") as error:
        check_frame(from_anndata(data, image, "S"))
    told = "adata.obsm['spatial'] = adata.obsm['spatial'][:, ::-1]"
    assert told in str(error.value) and "(--trust-coordinates)" in str(error.value)
    check_frame(from_anndata(data, image), trust_coordinates=True)
    exec(told, {"adata": data})
    check_frame(from_anndata(data, image))


def test_without_an_array_it_is_a_warning(image, caplog):
    """Also where the columns of that name are no numbers."""
    for change in ({"array_row": "a"}, {"array_row": 1}, {}):
        data = slide(swapped=True)
        data.obs = data.obs.assign(**change) if change else data.obs.drop(columns=["array_row", "array_col"])
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            check_frame(from_anndata(data, image))
        assert "if the coordinates were swapped" in caplog.text


def test_which_arrays_run_the_other_way():
    obs, xy = slide(swapped=False).obs, slide(swapped=False).obsm["spatial"]
    quarter = np.stack([-xy[:, 1], xy[:, 0]], 1)
    assert [is_mirrored(at, obs) for at in (xy, quarter, xy[:, ::-1], xy * [-1, 1])] == [False, False, True, True]
    assert not is_mirrored(np.full_like(xy, np.nan), obs)
