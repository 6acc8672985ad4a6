"""Coord files: read as pandas wrote them, and refused with the file and the line or spot where they are wrong."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stimage.core.errors import DataError
from stimage.slides.coordinates import read_coordinates

SOME = settings(max_examples=150)
IDS = st.text("aZ01.,\"' _-é٣", min_size=1, max_size=20) | st.sampled_from(
    ["NA", "null", "nan", "001", "1e5", "S_10x21", "True"]
)
FLOATS = st.floats(-1e12, 1e12) | st.integers(-(10**6), 10**6).map(float)
SPOTS = st.lists(st.tuples(IDS, FLOATS, FLOATS, st.floats(1e-9, 1e9)), min_size=1, max_size=9, unique_by=lambda s: s[0])
STYLE = {"header": st.sampled_from(["", "spot", "barcode, of 10x"]), "end": st.sampled_from(["\n", "\r\n"]),
         "bom": st.booleans(), "quoting": st.sampled_from([0, 1, 2]), "last": st.booleans()}  # fmt: skip
HEADER = ",yaxis,xaxis,r"


def save(tmp_path: Path, content: str | bytes) -> str:
    (tmp_path / "c.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(tmp_path / "c.csv")


@given(SPOTS, st.permutations(["yaxis", "xaxis", "r", "extra", "more, extra"]), st.fixed_dictionaries(STYLE))
@SOME
def test_coordinates_are_read_as_written(tmp_path, spots, columns, style):
    table = pd.DataFrame(spots, columns=["id", "yaxis", "xaxis", "r"]).set_index("id").rename_axis(style["header"])
    table["extra"], table["more, extra"] = "text, quoted", np.nan
    text = table[columns].to_csv(lineterminator=style["end"], quoting=style["quoting"])
    text = text if style["last"] else text.removesuffix(style["end"])
    got = read_coordinates(save(tmp_path, ("\ufeff" if style["bom"] else "") + text))
    assert got.ids.to_pylist() == list(table.index) and len(got) == len(table)
    for values, column in ((got.x, "xaxis"), (got.y, "yaxis"), (got.r, "r")):
        assert values.dtype == np.float64
        assert np.array_equal(values, table[column])


@pytest.mark.parametrize("text", ["12", "012", "1.50", "-3.25", "1e3", "2E-2", "+4", "-0", ".5", "7."])
def test_numbers_may_be_written_in_many_ways(tmp_path, text):
    got = read_coordinates(save(tmp_path, f"{HEADER}\na,{text},1,2\n"))
    assert got.y.tolist() == [float(text)]


def test_many_spots_are_read_in_order(tmp_path):
    """The table is larger than pyarrow's blocks."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.uniform(1, 1e4, (60_000, 3)), columns=["yaxis", "xaxis", "r"])
    table.index = [f"S_{i}" for i in rng.permutation(len(table))]
    table.to_csv(path := str(tmp_path / "c.csv"))
    got = read_coordinates(path)
    assert got.ids.to_pylist() == list(table.index)
    assert np.array_equal(np.stack([got.y, got.x, got.r], 1), table)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "is empty"),
        ("\n\n", "is empty"),
        (f"{HEADER}\n", "lists no spot"),
        (f"{HEADER}\r\n\r\n", "lists no spot"),
        (",yaxis,xaxis\na,1,2\n", "has no column 'r'; its columns are '', 'yaxis', 'xaxis'"),
        (",y,x,r\na,1,2,3\n", "has no column 'xaxis'"),
        (",Yaxis,Xaxis,R\na,1,2,3\n", "has no column 'xaxis'"),
        ("\tyaxis\txaxis\tr\na\t1\t2\t3\n", "is separated by tabs; make it"),
        (";yaxis;xaxis;r\na;1;2;3\n", "is separated by semicolons; make it"),
        ("a,1,2,3\nb,1,2,3\n", "has no column 'xaxis'"),
        ("Dear Sir or Madam\nthis is a letter\n", "has no column 'xaxis'"),
        ("yaxis,xaxis,r\na,1,2,3\n", "is no CSV table of 3 columns.*a,1,2,3"),
        (f"{HEADER}\ra,1,2,3\r", "line 1 is no CSV header"),
        (b"\x89PNG\r\n\x1a\n" + bytes(99), "line 1 is no CSV header"),
        (f"{HEADER}\na,1,2,3\n".encode("utf-16"), "is UTF-16; make it"),
        (f"{HEADER}\nspot é,1,2,3\n".encode("latin-1"), "[Uu][Tt][Ff]-?8"),
        (f"{HEADER}\na,1,2,3\nspot b,1,2\nc,1,2,3\n", "4 columns.*spot b"),
        (f"{HEADER}\na,1,2,3\nspot b,1,2,3,4\nc,1,2,3\n", "4 columns.*spot b"),
        (f"{HEADER}\na,1,2,3\nspot b,1,2,3\nspot c,1", "4 columns.*spot c"),
    ],
)  # fmt: skip
def test_no_coord_file(tmp_path, content, why):
    with pytest.raises(DataError, match=f"(?s)c.csv: .*{why}"):
        read_coordinates(save(tmp_path, content))


def test_a_header_without_a_line_end_lists_no_spot(tmp_path):
    with pytest.raises(DataError, match=r"c.csv: lists no spot"):
        read_coordinates(save(tmp_path, HEADER))


@pytest.mark.parametrize("bad", ["", "NA", "nan", "inf", "-Infinity", "x", "1e999", "0x10", "1,5", "--1"])
@pytest.mark.parametrize("column", ["yaxis", "xaxis", "r"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_cell_that_is_no_finite_number_is_named(tmp_path, bad, column, end):
    table = pd.DataFrame({"yaxis": ["1"] * 5, "xaxis": "2.5", "r": "3"}, index=list("abcde"))
    table.loc["d", column] = bad
    with pytest.raises(DataError) as caught:
        read_coordinates(save(tmp_path, table.to_csv(lineterminator=end)))
    assert str(caught.value) == f"{tmp_path}/c.csv: spot 'd' (line 5): {column} is {bad!r}, no finite number"


@pytest.mark.parametrize("bad", ["1_0", "٣"])
def test_what_only_python_takes_for_a_number_is_refused(tmp_path, bad):
    with pytest.raises(DataError, match=rf"c.csv: spot 'a' \(line 2\): xaxis is '{bad}', no finite number"):
        read_coordinates(save(tmp_path, f"{HEADER}\na,1,{bad},3\n"))


@pytest.mark.parametrize(("bad", "shown"), [("0", "0"), ("-0.0", "-0"), ("-3.5", "-3.5"), ("-1e-9", "-1e-09")])
def test_a_radius_of_0_or_less_is_named(tmp_path, bad, shown):
    with pytest.raises(DataError) as caught:
        read_coordinates(save(tmp_path, f"{HEADER}\na,1,2,3\nb,1,2,{bad}\nc,1,2,{bad}\n"))
    why = f"r is {shown}; a radius is more than 0 pixels (2 such spots)"
    assert str(caught.value) == f"{tmp_path}/c.csv: spot 'b' (line 3): {why}"


@pytest.mark.parametrize("row", ["b,1,x,3", "b,1,2,0"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_the_line_counts_blank_lines(tmp_path, row, end):
    with pytest.raises(DataError, match=r"c.csv: spot 'b' \(line 5\): "):
        read_coordinates(save(tmp_path, end.join([HEADER, "a,1,2,3", "", "", row, ""])))
