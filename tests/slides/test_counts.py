"""The reader of wide count CSVs against a slow one, on random and on awkward files."""

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stimage.errors import DataError
from stimage.slides import counts

STABLE = settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
IDS = st.one_of(
    st.sampled_from(["0", "1", "10.0", "S.1_10x21", "x,y", 'q"u,o"', '"', "V_é_1", "0,0", "long" * 200, " s "]),
    st.from_regex(r"[A-Za-z0-9_.,é-]{1,30}", fullmatch=True),
)
NUMBERS = st.one_of(
    *[st.just("0")] * 6,
    st.integers(0, 10**25).map(str),
    st.integers(0, 300).map(str),
    st.sampled_from(["00", "007", "3.0", "0.0", "1e3", "3e-05", ".5", "5.", "+5", "-0", "0e0", "2.50", "1E3", "10.0"]),
)
BAD = [
    "",
    "NA",
    "nan",
    "inf",
    "-inf",
    "-1",
    "-0.5",
    "1_0",
    " 5",
    "5 ",
    "x",
    "1e999",
    "--",
    "0x10",
    '5"',
    "1e",
    ".",
    "e5",
]
BAD += ["1-", "٣", "+-1", "N/A", "null", "-9" * 40, "1\r5", "1;2"]


@st.composite
def tables(draw):
    width = draw(st.integers(1, 12))
    rows = draw(st.lists(st.tuples(IDS, st.lists(NUMBERS, min_size=width, max_size=width)), max_size=9))
    genes = draw(
        st.lists(st.sampled_from(["ACTB", "A,1", 'B"2', "1.0", "ÉG", "MT-CO1"]), min_size=width, max_size=width)
    )
    return genes, rows


def write(path: Path, genes, rows, end="\n", last=True, bom=False, blank=()) -> str:
    def quoted(text):
        return '"' + text.replace('"', '""') + '"' if any(c in text for c in ',"') else text

    lines = [",".join(["", *map(quoted, genes)])] + [",".join([quoted(i), *cells]) for i, cells in rows]
    for k in blank:
        lines.insert(1 + k % len(lines), "")
    text = end.join(lines) + (end if last else "")
    path.write_bytes((b"\xef\xbb\xbf" if bom else b"") + text.encode())
    return str(path)


def slow(path: str) -> tuple[list[str], np.ndarray]:
    """Read with the csv module and float."""
    with open(path, newline="", encoding="utf-8-sig") as file:
        rows = [row for row in csv.reader(file) if row][1:]
    return [row[0] for row in rows], np.array([[float(c) for c in row[1:]] for row in rows])


def dense(parts, width: int) -> tuple[list[str], np.ndarray]:
    ids, out = [], [np.zeros((0, width))]
    for rows in parts:
        assert rows.columns.dtype == np.int32 and (rows.values != 0).all() and len(rows.indptr) == len(rows.ids) + 1
        matrix = np.zeros((len(rows.ids), width))
        row = np.repeat(np.arange(len(rows.ids)), np.diff(rows.indptr))
        assert (np.diff(row * width + rows.columns) > 0).all()
        matrix[row, rows.columns] = rows.values
        ids += rows.ids
        out.append(matrix)
    return ids, np.concatenate(out)


@given(tables(), st.sampled_from(["\n", "\r\n"]), st.booleans(), st.booleans(), st.lists(st.integers(0, 9), max_size=2),
       st.sampled_from([1, 7, 64, 300, 1 << 19]))  # fmt: skip
@STABLE
def test_any_file_in_any_order(tmp_path, table, end, last, bom, blank, block):
    genes, rows = table
    path = write(tmp_path / "f.csv", genes, rows, end, last, bom, blank)
    ids, want = slow(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counts, "BLOCK", block)
        patch.setattr(counts, "ID_BYTES", 16)
        got_ids, got = dense(counts.read_rows(path), len(genes))
        index = counts.index_rows(path)
    assert got_ids == ids == index.ids.to_pylist()
    assert np.array_equal(got, want.reshape(-1, len(genes)))
    order = np.random.default_rng(0).permutation(len(ids))[: max(1, len(ids) - 1)]
    names, _ = counts.read_header(path)
    some_ids, some = dense([counts.rows_at(path, names, index.start[order], index.end[order])], len(genes))
    assert some_ids == [ids[i] for i in order] and np.array_equal(some, got[order])


@given(st.lists(st.sampled_from(["A", "B", "A-1", "A-2", "C"]), max_size=9))
@STABLE
def test_names_are_made_unique_as_anndata_does(names):
    unique = counts.make_unique(names)
    assert len(set(unique)) == len(unique)
    for k, (name, new) in enumerate(zip(names, unique)):
        assert new == name if name not in names[:k] else new.startswith(f"{name}-")


def test_duplicate_names():
    assert counts.make_unique(["A", "A", "B", "A"]) == ["A", "A-1", "B", "A-2"]
    assert counts.make_unique(["A", "A-1", "A"]) == ["A", "A-1", "A-2"]


@pytest.mark.parametrize("bad", BAD)
@given(st.data())
@settings(STABLE, max_examples=12)
def test_a_bad_cell_is_named(tmp_path, bad, data):
    width, height = data.draw(st.integers(2, 9)), data.draw(st.integers(1, 6))
    genes = [f"G{i}" for i in range(width)]
    cell = st.sampled_from(["0", "0", "3", "12", "1.0", "0.0"])
    rows = [(f"s{k}", [data.draw(cell) for _ in genes]) for k in range(height)]
    r, c = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    rows[r][1][c] = bad
    blank = data.draw(st.lists(st.integers(0, 3), max_size=2))
    path = write(tmp_path / "f.csv", genes, rows, blank=blank)
    line = 1 + Path(path).read_bytes().decode().split("\n").index(",".join([f"s{r}", *rows[r][1]]))
    index, order = counts.index_rows(path), np.arange(height)[::-1]
    for read in (
        lambda: list(counts.read_rows(path)),
        lambda: counts.rows_at(path, genes, index.start[order], index.end[order]),
    ):
        with pytest.raises(DataError) as caught:
            read()
        message = str(caught.value)
        assert message.startswith(f"{path}: line {line} (spot 's{r}'), column {c + 2} (gene 'G{c}'): ")
        assert message.endswith("is no count of 0 or more")


@pytest.mark.parametrize("change", [-2, -1, 1, 2, 3])
def test_a_row_of_the_wrong_length_is_named(tmp_path, change):
    rows = [(f"s{k}", list("0301200")) for k in range(5)]
    rows[3] = ("s3", (rows[3][1] + ["0"] * 5)[: 7 + change])
    path = write(tmp_path / "f.csv", "ABCDEFG", rows)
    with pytest.raises(DataError, match=rf"line 5 \(spot 's3'\) has {7 + change} counts for 7 genes"):
        list(counts.read_rows(path))


@given(st.lists(st.sampled_from(["", "0", "1", "10", "00"]), min_size=3, max_size=6))
@settings(STABLE, max_examples=1500)
def test_empty_cells_cannot_hide_extra_cells(tmp_path, cells):
    path = write(tmp_path / "f.csv", "ABCD", [("a", cells)])
    if len(cells) == 4 and "" not in cells:
        assert dense(counts.read_rows(path), 4)[1].tolist() == [[float(c) for c in cells]]
    else:
        with pytest.raises(DataError, match="line 2 "):
            list(counts.read_rows(path))


@pytest.mark.parametrize(
    ("content", "why"),
    [(b"", "is empty"), (b"\n\n", "is empty"), (b"id\na\n", "names no gene"), (b",A\xff\na,1\n", "is no CSV header")],
)
def test_no_count_file(tmp_path, content, why):
    (tmp_path / "f.csv").write_bytes(content)
    for read in (counts.read_header, counts.index_rows, lambda path: list(counts.read_rows(path))):
        with pytest.raises(DataError, match=f"f.csv: .*{why}"):
            read(str(tmp_path / "f.csv"))


def test_header_only_has_no_rows(tmp_path):
    path = write(tmp_path / "f.csv", "AB", [])
    assert list(counts.read_rows(path)) == [] and len(counts.index_rows(path).start) == 0


def test_a_line_without_a_comma(tmp_path):
    (tmp_path / "f.csv").write_bytes(b",A,B\na,1,0\nlonely\n")
    with pytest.raises(DataError, match=r"line 3 \(spot 'lonely'\)"):
        list(counts.read_rows(str(tmp_path / "f.csv")))
