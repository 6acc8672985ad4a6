"""JSON of cells is taken as Python's own parser takes it, number by number, however its lists are read."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stimage.cells.reading import json_files
from stimage.cells.reading.json_files import read_json
from stimage.core.errors import DataError

CELLS = '{"cells": [{"centroid": %s, "type": 1}, {"centroid": [5, 6], "type": 2}]}'
ALONE = '{"cells": [{"centroid": %s, "type": 1}]}'
NUMBERS = st.one_of(
    st.integers(-99, 9999).map(str),
    st.floats(-1e6, 1e6).map(repr),
    st.sampled_from(["0", "-0", "1e07", "1E+07", "2.50e-07", "0.0", "10", "100.010", "-0.5"]),
)
MISTAKES = st.sampled_from(list("0019.-+eE ,[]\n"))


@st.composite
def places(draw) -> str:
    """Return a list of two numbers as a text, into which characters were put, or out of which they were taken."""
    text = list(f"[{draw(NUMBERS)}{draw(st.sampled_from([',', ', ', ' ,', ',' + chr(10)]))}{draw(NUMBERS)}]")
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(text)))
        text[at : at + draw(st.integers(0, 1))] = draw(st.one_of(MISTAKES, st.just("")))
    return "".join(text)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=places())
def test_taken_if_python_takes_it(tmp_path, text):
    path = tmp_path / "cells.json"
    path.write_text(CELLS % text)
    try:
        x, y = json.loads(CELLS % text)["cells"][0]["centroid"]
        wanted = [[float(x), float(y)], [5, 6]]
    except (ValueError, TypeError):
        with pytest.raises(DataError, match=r"cells.json: (is|cell 1|has|an object)"):
            read_json(path)
        return
    assert read_json(path).xy.tolist() == wanted


@pytest.mark.parametrize("wrong", ["01", "-01", "1.", ".5", "+1", "1.e3", "1e", "0x1", "1_0", "--1", "1e5.0", "00.5"])
def test_what_is_no_number(tmp_path, wrong):
    path = tmp_path / "cells.json"
    for text in (CELLS % f"[{wrong}, 2]", ALONE % f"[2, {wrong}]"):
        path.write_text(text)
        with pytest.raises(DataError, match=r"cells.json: (is no JSON \(at character|cell 1)"):
            read_json(path)


@pytest.mark.parametrize("wrong", ["[1, 2,]", "[1,, 2]", "[, 1, 2]", "[1, 2], [3, 4]", "[1, 2]]", "[[1, 2]", "[1, 2}"])
def test_brackets_and_commas(tmp_path, wrong):
    path = tmp_path / "cells.json"
    path.write_text(CELLS % wrong)
    with pytest.raises(DataError, match=r"cells.json: is no JSON \(at character \d+ of"):
        read_json(path)


def test_regular_numbers_are_still_read_as_a_table(tmp_path, monkeypatch):
    path = tmp_path / "cells.json"
    path.write_text(CELLS % "[-0.50 ,\n 1.5E+07]")
    monkeypatch.setattr(json_files, "_read_plainly", lambda path: pytest.fail("it was read list by list"))
    assert read_json(path).xy.tolist() == [[-0.5, 1.5e7], [5, 6]]


def test_blocks_of_a_long_file(tmp_path, monkeypatch):
    """A wrong number is found wherever a block ends within it."""
    from stimage.cells.reading import lifted

    path = tmp_path / "cells.json"
    path.write_text(CELLS % "[1, 02]")
    for size in range(1, 14):
        monkeypatch.setattr(lifted, "BLOCK", size)
        with pytest.raises(lifted.Irregular):
            lifted._check_numbers(b"[1,02],[5,6]")
        lifted._check_numbers(b"[1,20],[5e-06,0.60]")


@pytest.mark.parametrize("twice", ['"1": {"centroid": [3, 4]}, "1"', '"1": {"centroid": [3, 4], "centroid"'])
def test_a_key_that_is_there_twice(tmp_path, twice):
    tail = ": [1, 2]}}}" if twice.endswith('"centroid"') else ': {"centroid": [1, 2]}}}'
    path = tmp_path / "cells.json"
    path.write_text('{"nuc": {' + twice + tail)
    with pytest.raises(DataError, match=r"cells.json: an object has the key '(1|centroid)' twice, behind \d cells"):
        read_json(path)
