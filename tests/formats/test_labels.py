"""Labels of a slide out of a table: of whatever separators, and never another slide's."""

import gzip

import pandas as pd
import pytest

from stimage.core.errors import DataError
from stimage.formats.labels import UNKNOWN, with_labels
from tests.formats.killed import imported

CODES = [f"ACGTACGTACG{a}{b}-1" for a in "ACG" for b in "ACG"]
LABELS = {code: "tumour" if k % 2 else "normal" for k, code in enumerate(CODES)}


@pytest.fixture
def found():
    return imported(barcodes=CODES)


def table(form: str, separator: str = ",", end: str = "\n") -> str:
    return (
        end.join(
            form.format(k + 1, code, label).replace(",", separator) for k, (code, label) in enumerate(LABELS.items())
        )
        + end
    )


TABLES = {
    "loupe": "Barcode,Pathology\n" + table("{1},{2}"),
    "windows": "\ufeffBarcode,Pathology\r\n" + table("{1},{2}", end="\r\n"),
    "semicolons": "Barcode;Pathology\n" + table("{1},{2}", ";"),
    "tabs": "Barcode\tPathology\n" + table("{1},{2}", "\t"),
    "write.csv": '"","barcode","Pathology"\n' + table('"{0}","{1}","{2}"'),
    "write.csv of row names": '"","Pathology"\n' + table('"{1}","{2}"'),
    "write.csv2": '"";"barcode";"Pathology"\n' + table('"{0}","{1}","{2}"', ";"),
    "write.table": '"barcode" "Pathology"\n'.replace(" ", "\t") + table('"{0}","{1}","{2}"', "\t"),
    "write.table of row names": "Pathology\n" + table("{1},{2}"),
    "label first": "Pathology,Barcode\n" + table("{2},{1}"),
    "no header": table("{1},{2}"),
    "no number behind": ("Barcode,Pathology\n" + table("{1},{2}")).replace("-1", ""),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_is_read_as_it_comes(found, tmp_path, name):
    path = tmp_path / "labels.csv"
    path.write_text(TABLES[name], encoding="utf-8", newline="")
    labelled = with_labels(found, path)
    assert labelled.labels == LABELS and labelled.left_out == {}
    zipped = tmp_path / "labels.csv.gz"
    zipped.write_bytes(gzip.compress(TABLES[name].encode()))
    assert with_labels(found, str(zipped)).labels == LABELS


def test_an_aggregated_run(found, tmp_path):
    """Its table has each barcode once a slide; the number behind tells which, and the user tells the number."""
    path = tmp_path / "aggregated.csv"
    first = "".join(f"{code},normal\n" for code in CODES)
    path.write_text("Barcode,Pathology\n" + first + first.replace("-1,normal", "-2,tumour"))
    with pytest.raises(DataError, match=r"of several slides of a run: 9 end in -1, 9 end in -2, .* as label_run="):
        with_labels(found, path)
    assert with_labels(found, path, run=2).labels == dict.fromkeys(CODES, "tumour")
    assert with_labels(found, path, run="1").labels == dict.fromkeys(CODES, "normal")
    with pytest.raises(DataError, match="has no barcode that ends in -3"):
        with_labels(found, path, run=3)
    series = pd.read_csv(path, index_col=0)["Pathology"]
    with pytest.raises(DataError, match="labels=: its barcodes are of several slides"):
        with_labels(found, series)
    with pytest.raises(DataError, match="of another slide of a run: 9 end in -2, those of made in -1"):
        with_labels(found, series[9:])
    both = [*CODES[:4], *(code.replace("-1", "-2") for code in CODES[:5])]  # a slide that is itself aggregated
    labels = with_labels(imported(barcodes=both), path).labels
    assert labels == {code: "normal" if code.endswith("-1") else "tumour" for code in both}


def test_of_several_columns_one_is_named(found, tmp_path):
    path = tmp_path / "three.csv"
    path.write_text("Barcode,Graph-based,Pathology\n" + "".join(f"{c},Cluster 1,{t}\n" for c, t in LABELS.items()))
    with pytest.raises(DataError, match="has 2 columns beside the barcodes, but 'Barcode', 'Graph-based', 'Pathology'"):
        with_labels(found, path)
    assert with_labels(found, path, "Pathology").labels == LABELS
    with pytest.raises(DataError, match="has no column 'pathology' of labels"):
        with_labels(found, path, "pathology")


def test_labels_of_other_barcodes_are_counted(found, tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text("Barcode,Pathology\n" + table("{1},{2}") + "TTTTTTTTTTTTT-1,fat\nTTTTTTTTTTTTG-1,\n")
    labelled = with_labels(found, path)
    assert labelled.labels == LABELS and labelled.left_out == {UNKNOWN: 1}
    few = f"Barcode,Pathology\n{CODES[0]},fat\n" + "".join(f"TTTTTTTTTT{a}{b}-1,fat\n" for a in "ACG" for b in "ACG")
    path.write_text(few)
    with pytest.raises(DataError, match=r"labels of only 1 of 9 barcodes of made, .* and 9 barcodes that"):
        with_labels(found, path)
    path.write_text(f"Barcode,Pathology\n{CODES[0]},fat\n{CODES[0]},skin\n")
    with pytest.raises(DataError, match="has two labels, 'fat' and 'skin'"):
        with_labels(found, path)
    path.write_text(f"Barcode,Pathology\n{CODES[0]},fat\n{CODES[1]},NA\n")  # a part alone is labelled
    assert with_labels(found, path).labels == {CODES[0]: "fat"}


@pytest.mark.parametrize("first", [0, 1])
def test_numbers_of_rows_are_no_names_of_spots(tmp_path, caplog, first):
    """R counts rows from 1 and pandas from 0, so nothing but their order matches the two."""
    path = tmp_path / "labels.csv"
    path.write_text("spot,label\n" + "".join(f"{k},a\n" for k in range(9)), encoding="utf-8")
    codes = [str(k + first) for k in range(9)]
    with_labels(imported(barcodes=codes), path)
    assert f"numbers of rows for barcodes, from {codes[0]} to {codes[-1]}, so labels are matched by the" in caplog.text
    caplog.clear()
    with_labels(imported(barcodes=codes[::-1]), path)  # which are names, as their order is their own
    assert not caplog.text
