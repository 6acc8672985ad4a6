"""The reader of text tables, beside Python's own, and what it refuses."""

import csv
import gzip
import io

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stimage.core.access import OPEN
from stimage.core.errors import DataError
from stimage.core.tables import csv_text, read_cells, read_lines, read_table

# a cell's "\r" is kept only where it is quoted, and a first cell that begins with "<" is taken for a web page
CELL = st.text(st.sampled_from("abÉ漢 \",;\t\r\n#'\ufeff0"), max_size=6)
TABLES = st.integers(1, 4).flatmap(lambda n: st.lists(st.lists(CELL, min_size=n, max_size=n), min_size=1, max_size=6))
anew = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@given(TABLES, st.booleans(), st.sampled_from(["\n", "\r\n", "\r"]), st.booleans(), st.booleans())
@anew
def test_cells_are_as_the_csv_module_reads_them(tmp_path, rows, zipped, end, mark, quoted):
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator=end, quoting=csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL).writerows(rows)
    data = text.getvalue().encode("utf-8-sig" if mark else "utf-8")
    (tmp_path / "t.csv").write_bytes(gzip.compress(data) if zipped else data)
    want = [row for row in csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True) if any(row)]
    if not want:
        return
    found = list(read_cells(tmp_path / "t.csv", by_hand=False))
    assert [cells for _, cells in found] == want
    lines = data.decode("utf-8-sig").splitlines(keepends=True) if end != "\r" else None
    for number, cells in found if lines and all("\r" not in c for row in rows for c in row) else ():
        again = csv.reader(io.StringIO("".join(lines[number - 1 :]), newline=""))
        assert next(again) == cells  # which begins at that line


@given(TABLES)
@anew
def test_what_is_written_is_read(tmp_path, rows):
    columns = [f"c{k}" for k in range(len(rows[0]))]
    (tmp_path / "t.csv").write_text(csv_text([columns, *rows]), newline="", encoding="utf-8")
    found, table = read_table(tmp_path / "t.csv", columns[:1])
    assert found == columns
    assert [list(map(row.get, columns)) for row in table] == [row for row in rows if any(row)]


@given(st.binary(max_size=60), st.booleans())
@anew
def test_any_bytes_are_read_or_refused(tmp_path, data, by_hand):
    (tmp_path / "t.csv").write_bytes(data)
    try:
        columns, rows = read_table(tmp_path / "t.csv", by_hand=by_hand)
    except DataError as error:
        assert "t.csv" in str(error)
    else:
        assert all(len(row) == len(set(columns)) for row in rows)


def test_a_curators_table(tmp_path):
    path = tmp_path / "t.tsv"
    path.write_bytes(b'\nSlide \tTISSUE\nS\xe9\t a, b \n\t\n\nT\t"two\nlines"\n')
    columns, rows = read_table(path, ("slide",), ("slide", "tissue"), by_hand=True)
    assert columns == ["slide", "tissue"]
    assert [dict(row) for row in rows] == [
        {"slide": "Sé", "tissue": " a, b "}, {"slide": "T", "tissue": "two\nlines"}
    ]  # fmt: skip
    assert [row.source for row in rows] == [f"{path}: line 3", f"{path}: line 6"]
    assert rows[0].told("organ", "tissue") == "a, b" and rows[0].told("organ") == ""
    assert list(read_lines(path))[1] == (2, "Slide \tTISSUE")


def test_what_programs_write_is_held_to_it(tmp_path):
    path = tmp_path / "t.csv"
    for data, why in (
        (b"slide\tx\n", "has no column 'slide', but slide\tx; it is separated by tabs; make it comma-separated"),
        (b"Slide,x\n", "has no column 'slide', but Slide, x"),
        (b"slide,x\nS\xe9,1\n", "line 2: byte 0xe9 is not UTF-8"),
        (b"slide,x,x\n", "line 1: has two columns of one name, 'x'"),
        (b"slide,y\n", "line 1: unknown column 'y'; the columns may be slide, x"),
        (b"slide,x\n\na,1\nb\n", "line 4 has 1 cells for 2 columns; was the file cut off"),
        (b'slide,x\na,1\nb,"2\n3', "line 3 begins a row that is no CSV"),
        (b"", "t.csv: is empty"),
        (b"<html>\n", "is a web page"),
        ("slide,x\n".encode("utf-16"), "is UTF-16"),
        (b"slide,x\na\0,1\n", "line 2: has a zero byte"),
        (gzip.compress(b"slide,x\n" * 99, mtime=0)[:-9], "can't be unzipped"),
    ):
        path.write_bytes(data)
        with pytest.raises(DataError) as error:
            read_table(path, ["slide"], ["slide", "x"] if b"x,x" not in data else None)
        assert f"{path}: " in str(error.value) and why in str(error.value)
    path.write_text(",,V2\na,b,c\n")  # as R and spreadsheets write: of columns without a name, the first
    assert read_table(path)[1] == [{"": "a", "V2": "c"}]
    with pytest.raises(DataError, match=r"no\.csv: cannot be read"):
        read_table(tmp_path / "no.csv", access=OPEN)
