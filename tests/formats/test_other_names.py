"""Files that a lab renamed, packed or saved from a spreadsheet: the error names this cause."""

import gzip

import h5py
import pandas as pd
import pytest

from stimage.core.errors import DataError
from stimage.formats.imported import ImportOptions
from stimage.formats.recognise import read_source
from stimage.formats.tenx.space_ranger import read_space_ranger
from tests.formats.space_ranger import H5, POSITIONS


def renamed(outs, name):
    with h5py.File(outs / H5, "r+") as file:
        barcodes = [name(one.decode()) for one in file["matrix/barcodes"][:]]
        del file["matrix/barcodes"]
        file["matrix/barcodes"] = barcodes


@pytest.mark.parametrize("name", [lambda one: f"E14A_{one}", lambda one: one[:-2], lambda one: f"{one[:-2]}_1"])
def test_barcodes_with_other_words_around_and_the_remedy(outs, name):
    renamed(outs, name)
    with pytest.raises(DataError, match=r"lacks spot .* It calls this spot .*: one of the files has other names"):
        read_space_ranger(outs, ImportOptions())
    table = pd.read_csv(outs / POSITIONS, dtype=object)
    table["barcode"] = table["barcode"].map(name)
    table.to_csv(outs / POSITIONS, index=False)
    assert read_space_ranger(outs, ImportOptions()).barcodes


def test_a_decimal_comma(outs):
    table = pd.read_csv(outs / POSITIONS, dtype=object)
    table["pxl_row_in_fullres"] = "120,5"
    table.to_csv(outs / POSITIONS, index=False)
    with pytest.raises(DataError, match="'120,5', no number, since a spreadsheet wrote a comma for the point"):
        read_space_ranger(outs, ImportOptions())


def test_gzip_where_none_is_read(outs, tmp_path):
    (outs / H5).write_bytes(gzip.compress((outs / H5).read_bytes()))
    (tmp_path / "slide.h5ad.gz").write_bytes((outs / H5).read_bytes())
    for source in (outs, tmp_path / "slide.h5ad.gz"):
        with pytest.raises(DataError, match="compressed by gzip; unpack it first"):
            read_source(source, ImportOptions())
