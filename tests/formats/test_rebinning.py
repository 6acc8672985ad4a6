"""Bins of 2 µm added to larger ones: sums are exact, bins lie where their squares do, and little is held at a time."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.sparse import csr_matrix

import stimage
import stimage_1k4m
from stimage.core.errors import DataError
from stimage.formats.imported import ImportOptions
from stimage.formats.large.file_counts import count_blocks
from stimage.formats.large.rebinning import rebinned
from stimage.formats.tenx.space_ranger import read_space_ranger
from stimage.slides.counts import sparse_hdf5
from tests.outs import write_matrix

PX, GENES = 6.0, 5  # pixels of a bin, turned by 90 degrees and mirrored in the image, as scanners do


def place(row: np.ndarray, column: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return x and y of places in the array."""
    return 200 - PX * row, 30 + PX * column


@pytest.fixture
def bins(tmp_path) -> pd.DataFrame:
    """Write outs of most bins of 19 x 23, in no order; return counts by (row, column)."""
    rng = np.random.default_rng(0)
    row, column = (a.ravel() for a in np.mgrid[2:21, 3:26])
    kept = rng.permutation(len(row))[: int(0.8 * len(row))]
    row, column, (x, y) = row[kept], column[kept], place(row[kept], column[kept])
    barcodes = [f"s_002um_{a:05d}_{b:05d}-1" for a, b in zip(row, column)]
    outs = tmp_path / "outs"
    (outs / "spatial").mkdir(parents=True)
    columns = {"barcode": barcodes, "in_tissue": 1, "array_row": row, "array_col": column}
    table = pd.DataFrame(columns | {"pxl_row_in_fullres": y, "pxl_col_in_fullres": x})
    table.to_parquet(outs / "spatial/tissue_positions.parquet")
    factors = {"spot_diameter_fullres": PX, "bin_size_um": 2.0, "microns_per_pixel": 1 / 3, "tissue_hires_scalef": 1.0}
    (outs / "spatial/scalefactors_json.json").write_text(json.dumps(factors))
    Image.fromarray(rng.integers(0, 255, (210, 240, 3), np.uint8)).save(outs / "spatial/tissue_hires_image.png")
    counts = rng.poisson(0.4, (len(kept), GENES))
    names = [f"G{k}" for k in range(GENES)]
    write_matrix(outs / "filtered_feature_bc_matrix.h5", csr_matrix(counts), pd.Index(barcodes), names)
    return pd.DataFrame(counts, pd.MultiIndex.from_arrays([row, column]), names)


def summed(bins: pd.DataFrame, k: int) -> pd.DataFrame:
    rows, columns = (bins.index.get_level_values(level) // k for level in (0, 1))
    return bins.groupby([rows, columns]).sum()


@pytest.mark.parametrize("k", [2, 3, 4, 6])
def test_counts_are_sums_and_places_are_of_the_large_squares(bins, tmp_path, k):
    want = summed(bins, k)
    slide = stimage.add_slide(tmp_path / "outs", tmp_path / "root", "S", rebin=2 * k)
    got = {e["spot_id"]: e for e in stimage_1k4m.load("VisiumHD", tmp_path / "root", panel=list(want))}
    assert slide.tech == "VisiumHD" and len(got) == len(want)
    for (row, column), counts in want.iterrows():
        e = got[f"S_s_{2 * k:03d}um_{row:05d}_{column:05d}-1"]
        x, y = place(row * k + (k - 1) / 2, column * k + (k - 1) / 2)
        assert e["expression"] == counts.tolist() and e["radius"] == PX * k / 2
        assert (e["x"], e["y"]) == pytest.approx((x, y), abs=1e-3) and e["um_per_px"] == pytest.approx(1 / 3)


def test_any_order_in_any_blocks_and_without_some(bins, tmp_path, monkeypatch):
    monkeypatch.setattr(sparse_hdf5, "BLOCK_COUNTS", 40)
    want, found = summed(bins, 4), read_space_ranger(tmp_path / "outs", ImportOptions())
    large = rebinned(found, 8)
    kept = np.random.default_rng(1).random(len(want)) < 0.6
    at = pd.MultiIndex.from_tuples([tuple(map(int, spot[8:].removesuffix("-1").split("_"))) for spot in large.barcodes])
    for some, counts in ((slice(None), large.counts), (kept, large.counts[kept])):
        blocks = [rows.dense(np.arange(GENES), GENES) for rows in count_blocks(counts)]
        assert counts.shape == np.vstack(blocks).shape and len(blocks) > 1
        assert (np.vstack(blocks) == want.loc[at[some]].to_numpy()).all()


def test_bins_in_order_are_given_a_band_at_a_time(bins, tmp_path, monkeypatch):
    """So what is held at a time is a row of large bins, however many there are."""
    order = bins.sort_index()
    barcodes = [f"s_002um_{a:05d}_{b:05d}-1" for a, b in order.index]
    write_matrix(tmp_path / "outs/filtered_feature_bc_matrix.h5", csr_matrix(order), pd.Index(barcodes), list(order))
    monkeypatch.setattr(sparse_hdf5, "BLOCK_COUNTS", 40)
    large = rebinned(read_space_ranger(tmp_path / "outs", ImportOptions()), 8)
    assert large.barcodes == sorted(large.barcodes)
    read, usual = [], type(large.counts.counts).blocks
    monkeypatch.setattr(type(large.counts.counts), "blocks", lambda self: (read.append(1) or b for b in usual(self)))
    next(large.counts.blocks())
    assert len(read) <= len(list(usual(large.counts.counts))) / 3


def test_what_cannot_be_added_up_is_refused(bins, tmp_path):
    found = read_space_ranger(tmp_path / "outs", ImportOptions())
    for um in (3, 2, 1):
        with pytest.raises(DataError, match=r"has bins of 2 µm: rebin= \(--rebin\) takes multiples of them, as 4, 8"):
            rebinned(found, um)
    for um in (0, 8.0, "8", True):
        with pytest.raises(ValueError, match="rebin="):
            rebinned(found, um)
    x = found.x.copy()
    x[7] += 3
    for other, message in (
        ({"x": x}, "do not lie where their barcodes say"),
        ({"barcodes": ["ACGT-1", *found.barcodes[1:]]}, "has spot 'ACGT-1', which is no bin of Visium HD"),
        ({"barcodes": ["s_008um_00000_00000-1", *found.barcodes[1:]]}, "has bins of 2 and of 8 µm"),
    ):
        with pytest.raises(DataError, match=message):
            rebinned(replace(found, **other), 8)
