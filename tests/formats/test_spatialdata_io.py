"""Stores that spatialdata-io's own readers make of Space Ranger's folders, and its AnnData of a store."""

import json
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.sparse import csr_matrix

from stimage.formats.frame import check_frame
from stimage.formats.h5ad import from_anndata
from stimage.formats.imported import ImportedSlide, ImportOptions
from stimage.formats.recognise import read_source
from tests.formats.annotated import GENES, refusal
from tests.outs import COLUMNS, write_matrix

spatialdata_io = pytest.importorskip("spatialdata_io")
legacy = pytest.importorskip("spatialdata_io.experimental")
pytestmark = pytest.mark.usefixtures("old_strings")
WIDTH, HEIGHT, HIRES = 420, 320, 0.5


def picture() -> np.ndarray:
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    shade = 90 + 80 * np.sin(x / 53) * np.cos(y / 31 + x / 170)
    return np.stack([shade + 60, shade, shade + 30], -1).astype(np.uint8)


def write_spots(folder: Path, pitch: int, named: str, table: str, **factors: float) -> None:
    """Write spots of a square lattice, off its middle, with counts of DARK that tell the image under each."""
    (folder / "spatial").mkdir(parents=True)
    row, column = np.array([(r, c) for r in range(260 // pitch) for c in range(300 // pitch)]).T
    y, x = 20 + row * pitch, 40 + column * pitch
    barcodes = [named.format(*place) for place in zip(row, column)]
    places = pd.DataFrame(dict(zip(COLUMNS, (barcodes, np.ones(len(row), int), row, column, y, x))))
    write = places.to_parquet if table.endswith("parquet") else places.to_csv
    write(folder / "spatial" / table, index=False)
    factors = {"tissue_hires_scalef": HIRES, "tissue_lowres_scalef": HIRES / 2, **factors}
    (folder / "spatial/scalefactors_json.json").write_text(json.dumps(factors))
    for size, times in (("hires", 2), ("lowres", 4)):
        Image.fromarray(picture()).reduce(times).save(folder / f"spatial/tissue_{size}_image.png")
    counts = np.random.default_rng(0).poisson(2, (len(row), len(GENES)))
    counts[:, 0] = 255 - picture()[y, x].mean(-1)
    order = np.random.default_rng(1).permutation(len(row))
    write_matrix(folder / "filtered_feature_bc_matrix.h5", csr_matrix(counts[order]), pd.Index(barcodes)[order], GENES)


def write_hd(folder: Path) -> None:
    """Write Visium HD's bins of 8 and 16 µm, of 10 and 20 pixels, with the files that spatialdata-io asks for."""
    for um in (8, 16):
        write_spots(folder / f"binned_outputs/square_{um:03}um", um * 10 // 8, f"s_{um:03}um_{{:05}}_{{:05}}-1",
                    "tissue_positions.parquet", spot_diameter_fullres=um * 10 / 8, bin_size_um=float(um),
                    microns_per_pixel=0.8)  # fmt: skip
    layout = json.dumps({"file_format": "1.0", "transform": np.eye(3).tolist()})
    with h5py.File(folder / "S_feature_slice.h5", "w") as file:
        file.attrs["metadata_json"] = json.dumps({"transform_matrices": {}, "hd_layout_json": layout})


@pytest.fixture
def tissue(tmp_path) -> Path:
    Image.fromarray(picture()).save(tmp_path / "tissue.tif")
    return tmp_path / "tissue.tif"


@pytest.fixture
def visium(tmp_path, tissue):
    write_spots(tmp_path / "outs", 30, "ACGTACGT{:04}{:04}-1", "tissue_positions.csv", spot_diameter_fullres=18.0)
    return spatialdata_io.visium(tmp_path / "outs", "S", fullres_image_file=tissue)


def is_right(found: ImportedSlide) -> bool:
    """Return if counts of DARK tell the full image at the spots."""
    check_frame(found)
    dark = found.counts[:, 0].toarray()[:, 0]
    seen = 255 - picture()[found.y.round().astype(int), found.x.round().astype(int)].mean(-1)
    return bool(np.abs(dark - seen).max() <= 1)


def test_visium(visium, tissue, tmp_path):
    visium.write(tmp_path / "slide.zarr")
    for image in (None, tissue):
        found = read_source(tmp_path / "slide.zarr", ImportOptions(image))
        assert is_right(found) and found.r == 9 and found.tech == "Visium" and len(found.barcodes) == 80
        small = read_source(tmp_path / "slide.zarr", ImportOptions(Path("S_hires_image")))
        assert np.allclose(2 * small.x, found.x) and small.image.shape == (HEIGHT // 2, WIDTH // 2, 3)
    assert (read_source(tmp_path / "slide.zarr", ImportOptions()).image[:, :] == picture()).all()


@pytest.mark.parametrize("how", [{}, {"bins_as_squares": False}, {"annotate_table_by_labels": True}])
@pytest.mark.filterwarnings("ignore")
def test_visium_hd(tmp_path, tissue, how):
    write_hd(tmp_path / "outs")
    for full in (tissue, None):
        data = spatialdata_io.visium_hd(tmp_path / "outs", "S", fullres_image_file=full, load_segmentations_only=False,
                                        **how)  # fmt: skip
        path = tmp_path / f"{full is None}.zarr"
        data.write(path)
        assert "has 2 slides, by what its tables annotate: S_square_008um" in refusal(
            read_source, path, ImportOptions()
        )
        for um in (8, 16):
            options = ImportOptions(tissue if full is None else None, library=f"square_{um:03}um")
            found = read_source(path, options)
            assert is_right(found) and found.tech == "VisiumHD" and found.um_per_px == pytest.approx(0.8)
            assert found.r == pytest.approx(um * 5 / 8) and (found.x.min(), found.y.min()) == pytest.approx((40, 20))
            small = read_source(path, ImportOptions(Path("S_hires_image"), library=options.library))
            assert small.um_per_px == pytest.approx(1.6) and np.allclose(2 * small.x, found.x)


@pytest.mark.filterwarnings("ignore")
def test_legacy_anndata(visium, tissue, tmp_path):
    """Its places are in pixels of an image that it has drawn anew, of 2,000 pixels."""
    for system in ("S", "S_downscaled_hires"):
        data = legacy.to_legacy_anndata(visium, coordinate_system=system, include_images=True)
        found = from_anndata(data)
        times = 2000 / WIDTH
        assert np.abs(np.sort(np.unique(found.x)) / times - np.arange(40, 340, 30)).max() < 1
        told = refusal(from_anndata, data, ImportOptions(tissue))
        assert f"is {WIDTH / 2000:.3g} x the image that the positions are of: it is 420 x 320 pixels, that one" in told
        assert "add the SpatialData store itself, or leave out image= (--image)" in told
