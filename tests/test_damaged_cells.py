"""Files of cells in a root that are damaged, each in another way: the error names the file and the cause."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import stimage
from stimage.cells.cells import ABOUT
from stimage.core.errors import DataError
from tests.nuclei import Nuclei, cellvit, write, write_root

NUCLEI = Nuclei(pitch=40)
DAMAGES = {
    "no slide": lambda about: about.pop("slide"),
    "no region": lambda about: about.pop("region"),
    "no size": lambda about: about.pop("image_size"),
    "no source": lambda about: about.pop("source"),
    "three sides": lambda about: about["region"].pop(),
    "words for sides": lambda about: about.update(region=["a", "b", "c", "d"]),
    "region of null": lambda about: about.update(region=None),
    "endless": lambda about: about.update(region=[0, 0, float("inf"), 1]),
    "scale of 0": lambda about: about.update(um_per_px=0),
    "scale of words": lambda about: about.update(um_per_px="fine"),
    "a side": lambda about: about.update(image_size=[800]),
}


@pytest.fixture
def root(tmp_path):
    root = write_root(tmp_path / "root", NUCLEI)
    stimage.import_cells(root, "Slide_A", write(root / "cells.json", cellvit(NUCLEI)), unchecked=True)
    return root


def refused(root, match: str = "") -> None:
    where = r"Slide_A\.parquet: is no file of cells, or damaged .*; import them anew"
    with pytest.raises(DataError, match=where) as found:
        stimage.count_cells(root)
    assert match in str(found.value)


def test_metadata(root):
    path = root / "cells/Slide_A.parquet"
    table = pq.read_table(path)
    for damage in DAMAGES.values():
        about = json.loads(table.schema.metadata[ABOUT])
        damage(about)
        pq.write_table(table.replace_schema_metadata({ABOUT: json.dumps(about).encode()}), path)
        refused(root)
    for text in (b"", b"null", b"[]", b"3", b"{", b'"slide"', b"[" * 100_000):
        pq.write_table(table.replace_schema_metadata({ABOUT: text}), path)
        refused(root)
    pq.write_table(table.replace_schema_metadata(None), path)
    refused(root)


def test_columns(root):
    path = root / "cells/Slide_A.parquet"
    table = pq.read_table(path)
    for name in ("id", "x", "class", "polygon"):
        pq.write_table(table.drop_columns([name]), path)
        refused(root, f"has no column {name!r} of the type")
    texts = pa.array(map(str, table["x"].to_pylist()))
    pq.write_table(table.set_column(1, "x", texts), path)
    refused(root, "has no column 'x' of the type double")


def test_bytes(root):
    path = root / "cells/Slide_A.parquet"
    whole, counts = path.read_bytes(), stimage.count_cells(root)
    for damaged in (b"", whole[:100], whole[:-9], whole[: len(whole) // 2], whole[:-4] + b"xxxx"):
        path.write_bytes(damaged)
        refused(root)
    rng = np.random.default_rng(0)
    for _ in range(30):  # flipped bits are told, unless they are of what is not read
        bad = bytearray(whole)
        for k in rng.integers(4, int(0.9 * len(bad)), 3).tolist():
            bad[k] ^= 1 << int(rng.integers(8))
        path.write_bytes(bytes(bad))
        try:
            assert stimage.count_cells(root).equals(counts)
        except DataError as error:
            assert "Slide_A.parquet: is no file of cells, or damaged" in str(error)
