"""The reader of wide count CSVs against the csv module and float, on random and on awkward files."""

import csv
from itertools import accumulate, chain, product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stimage.core.errors import DataError
from stimage.slides.counts import wide_csv as counts

SOME = settings(max_examples=200)
IDS = st.one_of(
    st.sampled_from(["0", "1", "10.0", "S.1_10x21", "x,y", 'q"u,o"', '"', "V_é_1", "0,0", ",.0", "long" * 200, " s "]),
    st.text("aZ01.,\"' _-é٣", max_size=30),
)
NUMBERS = st.one_of(
    *[st.just("0")] * 6,
    st.integers(0, 300).map(str),
    st.integers(0, 10**25).map(str),
    st.floats(0, 1e300).map(repr),
    st.decimals(0, 1000, places=2).map(str),
    st.sampled_from("00 007 3.0 0.0 1e3 3e-05 .5 5. .0 +5 -0 -0.0 0e0 2.50 1E3 10.0 1.0e2 3.0e0 1e-400".split()),
    st.sampled_from(
        ["0" * 30 + "5", "9" * 18, "9" * 19, "9223372036854775808", "18446744073709551617", "1" + "0" * 300]
    ),
)
BAD = ["", "NA", "nan", "inf", "-inf", "-1", "-0.5", "-1.0", "-3e-05", "1_0", "1_0.0", " 5", "5 ", "x", "1e999", "--"]
BAD += ["0x10", '5"', '"5"', "1e", ".", "e5", "1-", "٣", "+-1", "N/A", "null", "-9" * 40, "1\r5", "1;2", "1 000", "5\0"]
ENDS = st.sampled_from(["\n", "\r\n"])
BLOCKS = st.sampled_from([1, 7, 64, 300, 1 << 19])
GENES = st.sampled_from(["ACTB", "A,1", 'B"2', "1.0", "ÉG", "MT-CO1", ""])


def quoted(text: str, always: bool = False) -> str:
    return '"' + text.replace('"', '""') + '"' if always or any(c in text for c in ',"') else text


def write(path: Path, genes, rows, end="\n", last=True, bom=False, quote=False, blank=()) -> tuple[str, list[int]]:
    """Write a count file with so many blank lines before each row; return its name, and the line of each row."""
    blank = [*blank, *[0] * len(rows)][: len(rows)]
    lines = [",".join(quoted(name, quote) for name in ["", *genes])]
    for before, (spot, cells) in zip(blank, rows):
        lines += [""] * before + [",".join([quoted(spot, quote), *cells])]
    text = end.join(lines) + (end if last else "")
    path.write_bytes((b"\xef\xbb\xbf" if bom else b"") + text.encode())
    return str(path), [2 + k + before for k, before in enumerate(accumulate(blank))]


def slow(path: str, width: int) -> tuple[list[str], np.ndarray]:
    with open(path, newline="", encoding="utf-8-sig") as file:
        rows = [row for row in csv.reader(file) if row][1:]
    return [row[0] for row in rows], np.array([[float(c) for c in row[1:]] for row in rows]).reshape(-1, width)


def dense(parts, width: int) -> tuple[list[str], np.ndarray]:
    """Check that the parts are proper CSR without zeros, and put them into one matrix."""
    ids, out = [], [np.zeros((0, width))]
    for rows in parts:
        assert rows.columns.dtype == np.int32 and rows.values.dtype == np.float64 and (rows.values > 0).all()
        assert rows.indptr[0] == 0 and rows.indptr[-1] == len(rows.columns) == len(rows.values)
        matrix = np.zeros((len(rows.ids), width))
        row = np.repeat(np.arange(len(rows.ids)), np.diff(rows.indptr))
        assert (np.diff(row * width + rows.columns) > 0).all()
        matrix[row, rows.columns] = rows.values
        ids += rows.ids
        out.append(matrix)
    return ids, np.concatenate(out)


@st.composite
def tables(draw, cells=NUMBERS):
    width = draw(st.integers(1, 12))
    row = st.tuples(IDS, st.lists(cells, min_size=width, max_size=width))
    return draw(st.lists(GENES, min_size=width, max_size=width)), draw(st.lists(row, max_size=9))


STYLES = st.fixed_dictionaries(
    {"end": ENDS, "last": st.booleans(), "bom": st.booleans(), "quote": st.booleans(),
     "blank": st.lists(st.integers(0, 2), max_size=9)}
)  # fmt: skip


@given(tables(), STYLES, BLOCKS)
@SOME
def test_all_rows_equal_those_of_a_slow_reader(tmp_path, table, style, block):
    genes, rows = table
    path, _ = write(tmp_path / "f.csv", genes, rows, **style)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counts, "BLOCK_BYTES", block)
        ids, got = dense(counts.read_counts(path), len(genes))
    want_ids, want = slow(path, len(genes))
    assert ids == want_ids == [spot for spot, _ in rows]
    assert np.array_equal(got, want)


@given(tables(), STYLES, st.data())
@SOME
def test_rows_are_read_in_any_order(tmp_path, table, style, data):
    genes, rows = table
    path, _ = write(tmp_path / "f.csv", genes, rows, **style)
    ids, want = slow(path, len(genes))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counts, "ID_BYTES", data.draw(st.sampled_from([1, 16, 512])))
        index = counts.index_rows(path)
    assert index.ids.to_pylist() == ids
    content = Path(path).read_bytes()
    lines = [content[a:b].rstrip(b"\r").decode() for a, b in zip(index.start.tolist(), index.end.tolist())]
    assert lines == [",".join([quoted(spot, style["quote"]), *cells]) for spot, cells in rows]
    picked = np.array(data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=12)) if rows else [], int)
    names, _ = counts.read_header(path)
    some_ids, some = dense([counts.rows_at(path, names, index.start[picked], index.end[picked])], len(genes))
    assert some_ids == [ids[i] for i in picked]
    assert np.array_equal(some, want[picked])


@pytest.mark.parametrize("style", [{}, {"bom": True}, {"end": "\r\n"}, {"quote": True}, {"last": False}])
@pytest.mark.parametrize("rows", [[], [("a", list("0123"))]])
def test_the_header(tmp_path, style, rows):
    genes = ["ERBB2", "A,1", 'B"2', "1.0"]
    path, _ = write(tmp_path / "f.csv", genes, rows, **style)
    assert counts.read_header(path) == (genes, len(Path(path).read_bytes().splitlines(keepends=True)[0]))
    assert dense(counts.read_counts(path), 4)[1].tolist() == [[0, 1, 2, 3]] * len(rows)
    assert len(counts.index_rows(path).start) == len(rows)


@pytest.mark.parametrize(
    ("names", "unique"),
    [("A A B A", "A A-1 B A-2"), ("A A-1 A", "A A-1 A-2"), ("A A A-1 A-1", "A A-2 A-1 A-1-1"), ("B A", "B A")],
)
def test_repeated_names(tmp_path, names, unique):
    path, _ = write(tmp_path / "f.csv", names.split(), [])
    assert counts.read_header(path)[0] == counts.make_unique(names.split()) == unique.split()


@pytest.mark.filterwarnings("ignore:Suffix used")
@given(st.lists(st.sampled_from(["A", "B", "A-1", "A-2", "A-1-1", "", "-1"]), max_size=12))
@SOME
def test_names_are_made_unique_as_anndata_does(names):
    utils = pytest.importorskip("anndata.utils")
    pandas = pytest.importorskip("pandas")
    assert counts.make_unique(names) == list(utils.make_index_unique(pandas.Index(names, dtype=object)))


def both_readers(path: str, block: int, genes, order):
    """Return the two ways to read a file: all rows in blocks, and rows in an order."""
    index = counts.index_rows(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counts, "BLOCK_BYTES", block)
        for read in (
            lambda: list(counts.read_counts(path)),
            lambda: counts.rows_at(path, genes, index.start[order], index.end[order]),
        ):
            with pytest.raises(DataError) as caught:
                read()
            yield str(caught.value)


@pytest.mark.parametrize("bad", BAD)
@given(st.data())
@settings(max_examples=12)
def test_a_bad_cell_is_named(tmp_path, bad, data):
    width, height = data.draw(st.integers(2, 9)), data.draw(st.integers(1, 6))
    genes = [f"G{i}" for i in range(width)]
    cell = st.sampled_from(["0", "0", "3", "12", "1.0", "0.0"])
    rows = [(f"s{k}", [data.draw(cell) for _ in genes]) for k in range(height)]
    r, c = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    rows[r][1][c:] = [bad, *data.draw(st.permutations([*rows[r][1][c + 1 :]]))]
    blank = data.draw(st.lists(st.integers(0, 2), max_size=6))
    path, lines = write(tmp_path / "f.csv", genes, rows, data.draw(ENDS), blank=blank)
    order = np.array(data.draw(st.permutations(range(height))))
    for message in both_readers(path, data.draw(BLOCKS), genes, order):
        assert message.startswith(f"{path}: line {lines[r]} (spot 's{r}'), column {c + 2} (gene 'G{c}'): ")
        assert message.endswith("is no count of 0 or more") and repr(bad[:40]) in message


def test_of_several_bad_cells_the_first_read_is_named(tmp_path):
    rows = [("a", list("012")), ("b", ["0", "x", "NA"]), ("c", ["-1", "0", "0"])]
    path, _ = write(tmp_path / "f.csv", "ABC", rows, blank=[1, 0, 2])
    in_order, reversed_ = both_readers(path, 1 << 19, "ABC", np.array([2, 1, 0]))
    assert "line 4 (spot 'b'), column 3 (gene 'B'): 'x'" in in_order
    assert "line 7 (spot 'c'), column 2 (gene 'A'): '-1'" in reversed_


def test_the_line_is_right_among_many_short_rows(tmp_path):
    rows = [(f"s{k}", ["x" if k in (17, 71) else "0"]) for k in range(99)]
    path, lines = write(tmp_path / "f.csv", "A", rows)
    in_order, reversed_ = both_readers(path, 1 << 19, "A", np.arange(99)[::-1])
    assert f": line {lines[17]} (spot 's17')" in in_order and f": line {lines[71]} (spot 's71')" in reversed_


@pytest.mark.parametrize("cell", ["1.5.0", "1e3.0", "1.0.0", "2..0"])
@pytest.mark.parametrize("place", [0, 1])
def test_a_point_zero_behind_no_integer_is_refused(tmp_path, cell, place):
    path, _ = write(tmp_path / "f.csv", "AB", [("a", [cell, "1"] if place == 0 else ["1", cell])])
    with pytest.raises(DataError, match=rf"line 2 \(spot 'a'\), column {place + 2} .*'{cell}' is no count"):
        list(counts.read_counts(path))


@pytest.mark.parametrize("cell", ["+.0", "-.0", ".0", "0.0", "-0.0", "00.0", "+0.0"])
def test_a_zero_may_be_written_in_many_ways(tmp_path, cell):
    path, _ = write(tmp_path / "f.csv", "ABC", [("a", ["1", cell, "2.0"]), ("b", [cell, "3", cell])])
    assert dense(counts.read_counts(path), 3)[1].tolist() == [[1, 0, 2], [0, 3, 0]]


@pytest.mark.parametrize("change", [-6, -2, -1, 1, 2, 3])
@pytest.mark.parametrize("block", [1, 30, 1 << 19])
def test_a_row_of_the_wrong_length_is_named(tmp_path, change, block):
    rows = [(f"s{k}", list("0301200")) for k in range(5)]
    rows[3] = ("s3", (rows[3][1] + ["0"] * 5)[: 7 + change])
    path, lines = write(tmp_path / "f.csv", "ABCDEFG", rows, blank=[0, 2, 1])
    for message in both_readers(path, block, list("ABCDEFG"), np.array([4, 3, 0])):
        assert message.startswith(f"{path}: line {lines[3]} (spot 's3') has {7 + change} counts for 7 genes")
        assert message.endswith("was the file cut off?") == (change < 0)


def test_empty_cells_cannot_hide_extra_cells(tmp_path):
    for cells in chain.from_iterable(product(["", "0", "10"], repeat=n) for n in (3, 4, 5)):
        path, _ = write(tmp_path / "f.csv", "ABCD", [("a", cells)])
        if len(cells) == 4 and "" not in cells:
            assert dense(counts.read_counts(path), 4)[1].tolist() == [[float(c) for c in cells]]
        else:
            with pytest.raises(DataError, match="line 2 "):
                list(counts.read_counts(path))


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_file_cut_anywhere(tmp_path, end):
    rows = [("s1", ["0", "12", "0", "3.25"]), ("s2", ["7", "0", "1e2", "305"])]
    path, _ = write(tmp_path / "f.csv", "ABCD", rows, end)
    content = Path(path).read_bytes()
    for size in range(content.index(b"s1"), len(content)):
        (tmp_path / "f.csv").write_bytes(content[:size])
        *_, tail = content[:size].split(b"\n")
        cells = tail.rstrip(b"\r").split(b",")
        if not tail or (len(cells) == 5 and cells[-1]):  # between rows, or in the last number, where nobody can tell
            ids, want = slow(path, 4)
            got_ids, got = dense(counts.read_counts(path), 4)
            assert got_ids == ids == counts.index_rows(path).ids.to_pylist() and np.array_equal(got, want)
        else:
            spot, line = cells[0].decode(), 1 + content[:size].count(b"\n")
            with pytest.raises(DataError, match=rf"f.csv: line {line} \(spot '{spot}'\)"):
                list(counts.read_counts(path))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"id\na\n", "line 1 names no gene"),
        (b"Dear Sir or Madam\nthis is a letter\n", "line 1 names no gene"),
        (b"\tA\tB\na\t1\t2\n", "is separated by tabs; make it comma-separated"),
        (b",A\xff\na,1\n", "is not UTF-8, but perhaps Windows-1252"),
        (b',"A,B\na,1,2\n', "line 1 is no CSV header"),
        (b",A,B\ra,1,2\r", "line 1 is no CSV header"),
        (b"\x89PNG\r\n\x1a\n" + bytes(99), "line 1 is no CSV header"),
        (",A,B\na,1,2\n".encode("utf-16"), "is UTF-16; make it"),
    ],
)
def test_no_count_file(tmp_path, content, why):
    (tmp_path / "f.csv").write_bytes(content)
    for read in (counts.read_header, counts.index_rows, lambda path: list(counts.read_counts(path))):
        with pytest.raises(DataError, match=f"f.csv: .*{why}"):
            read(str(tmp_path / "f.csv"))


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b""])
def test_a_line_without_a_comma(tmp_path, end):
    (tmp_path / "f.csv").write_bytes(b",A,B\na,1,0\n\nlonely" + end)
    for message in both_readers(str(tmp_path / "f.csv"), 1, ["A", "B"], np.array([1, 0])):
        assert "f.csv: line 4 (spot 'lonely')" in message


def test_a_carriage_return_within_a_row(tmp_path):
    (tmp_path / "f.csv").write_bytes(b",A,B\na,1,2\nb\rc,1,2\n")
    with pytest.raises(DataError, match=r"f.csv: line 3 \(spot 'b\\rc'\) has a carriage return that ends no line"):
        list(counts.read_counts(str(tmp_path / "f.csv")))
