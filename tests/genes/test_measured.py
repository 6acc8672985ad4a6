"""Which genes slides measured: of a root from headers, of a published folder from its table, the same."""

import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stimage.core.errors import DataError
from stimage.genes.carried import vocabulary_in
from stimage.genes.measured import MEASURED_FILE, SCHEMA, measured_in_folder, measured_in_root, write_measured
from stimage.slides.catalog import read_catalog
from tests.roots import write_genes
from tests.test_scripts import run


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """A root of two slides of different genes, one of which no spot expresses, and the folder published of it."""
    root, out = (tmp_path_factory.mktemp("measured") / name for name in ("root", "out"))
    path = write_genes(root, "A", ["G1", "G2", "ZERO"])
    path.write_text(re.sub(r",3$", ",0", path.read_text(), flags=re.M))
    write_genes(root, "B", ["G2", "OWN"])
    done = run("data_process/build_shards.py", root, out)
    assert done.returncode == 0, done.stderr
    return root, out


def test_a_gene_without_a_count_is_measured(both):
    root, out = both
    names = vocabulary_in(out).names
    of_root = measured_in_root(read_catalog(str(root)).slides, names)
    published = measured_in_folder(str(out), ["A", "B"], len(names))
    for found in (of_root, published):
        assert {slide: {names[i] for i in np.flatnonzero(marks)} for slide, marks in found.items()} == {
            "A": {"G1", "G2", "ZERO"}, "B": {"G2", "OWN"}
        }  # fmt: skip


def test_names_that_are_not_asked_for_are_left_out(both):
    found = measured_in_root(read_catalog(str(both[0])).slides, ["OWN", "NEW"])
    assert {slide: marks.tolist() for slide, marks in found.items()} == {"A": [False, False], "B": [True, False]}


def test_an_older_folder_says_nothing_and_a_damaged_one_is_refused(tmp_path):
    assert measured_in_folder(str(tmp_path), ["A"], 3) is None
    path = tmp_path / MEASURED_FILE
    write_measured(path, [("A", np.array([2, 0]))])
    assert measured_in_folder(str(tmp_path), ["A"], 3)["A"].tolist() == [True, False, True]
    with pytest.raises(DataError, match=r"measured.parquet: lacks slide 'B'"):
        measured_in_folder(str(tmp_path), ["A", "B"], 3)
    with pytest.raises(DataError, match=r"measured.parquet: is no table of the genes"):
        measured_in_folder(str(tmp_path), ["A"], 2)  # id 2 is none of two genes
    path.write_bytes(b"PAR1 no table")
    with pytest.raises(DataError, match=r"measured.parquet: is no table of the genes"):
        measured_in_folder(str(tmp_path), ["A"], 3)
    for ids in ([-1], None):
        pq.write_table(pa.table([pa.array(["A"]), pa.array([ids], pa.list_(pa.int32()))], schema=SCHEMA), path)
        with pytest.raises(DataError, match=r"measured.parquet: is no table of the genes"):
            measured_in_folder(str(tmp_path), ["A"], 3)
