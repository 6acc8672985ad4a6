"""Space Ranger's folders that are refused: our own error names the file and the cause."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stimage.core.errors import DataError
from stimage.formats.imported import ImportOptions
from stimage.formats.recognise import read_source
from stimage.formats.tenx.space_ranger import read_space_ranger
from tests.formats.space_ranger import (
    FACTORS,
    H5,
    HIRES,
    POSITIONS,
    as_folder,
    change,
    hd,
    parquet,
    put,
    read,
    refused,
    suffix,
    texts,
    told,
)


def two_samples(outs: Path) -> None:
    (outs / H5).rename(outs / f"GSM1_A_{H5}")
    for path in [*(outs / "spatial").iterdir()]:
        path.rename(path.with_name(f"GSM2_B_{path.name}"))


def another_slides(outs: Path) -> None:
    """Have spots on tissue change places with those off it, as another slide's positions would."""
    table = pd.read_csv(outs / POSITIONS)
    table["in_tissue"] = table["in_tissue"].sample(frac=1, random_state=0).to_numpy()
    table.to_csv(outs / POSITIONS, index=False)


def with_cell(column: str, text: object) -> Callable[[Path], None]:
    def write(outs: Path) -> None:
        table = pd.read_csv(outs / POSITIONS, dtype=str)
        table.loc[3, column] = text
        table.to_csv(outs / POSITIONS, index=False)

    return write


REFUSED = {
    "aggr": (lambda outs: suffix(outs, 9), "is of several slides: its barcodes end in -1, -2, as spaceranger aggr"),
    "suffix": (lambda outs: suffix(outs, 0), "lacks spot"),
    "hd": (hd, "square_002um, {outs}/binned_outputs/square_008um, {outs}/binned_outputs/square_016um; its segmented"),
    "two samples": (two_samples, "are of 2 samples by their names; keep a folder a sample"),
    "two matrices": (
        lambda outs: [shutil.copy(outs / H5, outs / f"{name}_{H5}") for name in "AB"] + [(outs / H5).unlink()],
        f"has A_{H5}, B_{H5}; keep a folder a sample",
    ),
    "CellBender's too": (
        lambda outs: shutil.copy(outs / H5, outs / "x_cellbender_filtered.h5"),
        f"has two matrices, x_cellbender_filtered.h5 and {H5}",
    ),
    "archive": (
        lambda outs: (outs / H5).rename(outs / f"{H5[:-3]}.tar.gz"),
        "; unpack filtered_feature",
    ),
    "other h5": (
        lambda outs: (outs / H5).rename(outs / "molecule_info.h5"),
        "but molecule_info.h5, spatial; name",
    ),
    "another slide": (another_slides, "lacks; take both files from one run"),
    "text": (with_cell("pxl_row_in_fullres", "left"), "pxl_row_in_fullres of spot"),
    "no number": (with_cell("pxl_col_in_fullres", "nan"), "is 'nan', no number"),
    "on no tissue": (
        lambda outs: pd.read_csv(outs / POSITIONS).assign(in_tissue=0).to_csv(outs / POSITIONS, index=False),
        "as on tissue (in_tissue 1)",
    ),
    "twice": (
        lambda outs: (outs / POSITIONS).write_text((lines := (outs / POSITIONS).read_text()) + lines.splitlines()[-1]),
        "twice; is it of several slides?",
    ),
    "a list": (lambda outs: (outs / FACTORS).write_text("[1, 2]"), "is no JSON object of scale factors, but a list"),
    "no JSON": (lambda outs: (outs / FACTORS).write_text('{"tissue'), "scalefactors_json.json: cannot be read as JSON"),
    "no factor": (
        lambda outs: (outs / FACTORS).write_text("{}"),
        "has no scale factor 'spot_diameter_fullres'",
    ),
    "wrong factor": (
        lambda outs: (outs / FACTORS).write_text(json.dumps({"spot_diameter_fullres": "wide"})),
        "spot_diameter_fullres is 'wide', no number above 0; get it again, or pass spot_diameter= (--spot-diameter)",
    ),
    "no counts": (
        lambda outs: change(outs / H5, lambda g: put(g, "data", g["data"][:] - 2)),
        "which is no raw count; name Space Ranger's own matrix",
    ),
    "no gene": (
        lambda outs: change(outs / H5, lambda g: put(g["features"], "feature_type", ["CRISPR"] * 40)),
        "has no feature of type Gene Expression, but CRISPR",
    ),
    "wrong group": (
        lambda outs: h5py.File(outs / H5, "w").create_group("X").file.close(),
        "has no matrix of 10x Genomics",
    ),
    "shape": (
        lambda outs: change(outs / H5, lambda g: put(g, "shape", g["shape"][:] + 1)),
        "features and barcodes, but has",
    ),
    "indices": (
        lambda outs: change(outs / H5, lambda g: put(g, "indices", g["indices"][:] + 40)),
        "has a count of gene 40, but there are 40",
    ),
    "a barcode twice": (
        lambda outs: change(outs / H5, lambda g: put(g, "barcodes", [texts(g, "barcodes")[0]] * g["shape"][1])),
        "times;",
    ),
    "half a folder": (
        lambda outs: (as_folder(outs) / "barcodes.tsv.gz").unlink(),
        "has no barcodes.tsv beside matrix.mtx.gz",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_with_its_reason(outs, case):
    spoil, message = REFUSED[case]
    spoil(outs)
    said = refused(outs)
    assert message.replace("{outs}", str(outs)) in said and str(outs) in said


@pytest.mark.parametrize("name", ["layer", "library"])
def test_an_option_that_says_nothing_here_is_refused(outs, name):
    assert f"has no {name}; leave out --{name}" in refused(outs, **{name: "counts"})


def test_what_messages_advise_works(outs):
    before = read(outs)
    shutil.copytree(outs, outs.parent / "run/outs")
    assert f"name {outs.parent}/run/outs" in refused(outs.parent / "run")
    assert told(read(outs)) == told(before)
    factors = json.loads((outs / FACTORS).read_text())
    (outs / FACTORS).write_text(json.dumps({key: factors[key] for key in factors if "spot" not in key}))
    assert "or pass spot_diameter= (--spot-diameter)" in refused(outs)
    assert read(outs, spot_diameter=52.0).r == before.r
    hd(outs)
    assert "name bins: " in refused(outs / "segmented_outputs")


@pytest.mark.parametrize("lie", [("40 ", "41 "), (" 40", " 40"), ("coordinate", "array"), ("integer", "complex")])
def test_matrixmarket_that_lies_is_refused(outs, lie):
    path = as_folder(outs, unzip=True) / "matrix.mtx"
    head, sizes, *rows = path.read_text().splitlines()
    if lie[0] == " 40":
        rows = rows[: len(rows) // 2]
    path.write_text("\n".join([head.replace(*lie), sizes.replace(*lie, 1), *rows]) + "\n")
    assert str(path) in refused(outs)


FILES: dict[str, Callable[[Path], object]] = {
    **dict.fromkeys((H5, POSITIONS, FACTORS, HIRES), lambda outs: None),
    "spatial/tissue_positions.parquet": parquet,
    **{f"{H5[:-3]}/{part}.gz": as_folder for part in ("matrix.mtx", "barcodes.tsv", "features.tsv")},
}


@pytest.mark.parametrize("fault", ["empty", "text", "zeros", "web page", "other"])
@pytest.mark.parametrize("file", FILES)
def test_another_file_in_its_place_is_refused(outs, file, fault):
    FILES[file](outs)
    path = outs / file
    other = outs / (POSITIONS if path.suffix in (".h5", ".json") and (outs / POSITIONS).exists() else HIRES)
    content = {"empty": b"", "text": b"no such file\n", "zeros": bytes(4096), "web page": b"<html>404</html>"}
    swapped = other.read_bytes() if other != path else b"\x93NUMPY"
    path.write_bytes(content.get(fault, swapped))
    said = refused(outs)
    assert path.name.partition(".")[0] in said or "matrix" in said


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_cut_and_flipped_files_are_read_or_refused(outs, data):
    """Nothing but our own error: what comes through is a slide whose parts fit each other."""
    made = outs.parent / "spoilt/outs"
    shutil.rmtree(made.parent, ignore_errors=True)
    shutil.copytree(outs, made)
    name = data.draw(st.sampled_from(sorted(FILES)))
    FILES[name](made)
    content = bytearray((made / name).read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        del content[at:]
    else:
        content[at] ^= 1 << data.draw(st.integers(0, 7))
    (made / name).write_bytes(content)
    try:
        found = read_space_ranger(made, ImportOptions(image=outs.parent / "tissue.tif"))
    except DataError as error:
        assert str(made) in str(error)
    else:
        n = len(found.barcodes)
        assert found.counts.shape == (n, len(found.genes)) and n == len(found.x) == len(found.y) == len(
            set(found.barcodes)
        )
        assert np.isfinite(found.x).all() and np.isfinite(found.y).all()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (H5, "is a file of counts alone, without positions; name the folder that has it"),
        (POSITIONS, "is of no format that is read here; name Space Ranger's folder outs, or a .h5ad file"),
        ("store.zarr", "is a Zarr store"),
        ("nothing", "there is no such file or folder"),
    ],
)
def test_what_no_reader_takes_is_told(outs, name, message):
    (outs / "store.zarr").mkdir()
    (outs / "store.zarr/zarr.json").write_text("{}")
    with pytest.raises(DataError) as error:
        read_source(outs / name, ImportOptions())
    assert f"{outs / name}: {message}" in str(error.value)
    assert told(read_source(outs, ImportOptions())) == told(read_space_ranger(outs, ImportOptions()))
