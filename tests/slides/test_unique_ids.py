"""Ids of spots get the slide's name in front unless they begin with it: all at once or one by one, the same comes."""

import re

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from stimage.slides.matching import unique_ids
from stimage.slides.names import fold_name

NAMES = st.sampled_from(["A1", "a", "K", "\u212a", "ſ", "Größe", "S_1", "1", "I", "ß"])  # Kelvin and long s fold too
IDS = st.builds("{}{}".format, NAMES, st.sampled_from(["", "_", "x", "0_1", "-1", "_2"]))


@given(NAMES, st.lists(IDS, min_size=1, max_size=3))
def test_each_begins_with_the_slides_name(slide, ids):
    named = re.compile(re.escape(fold_name(slide)) + r"(?![^\W_])")
    want = [one if named.match(fold_name(one)) else f"{slide}_{one}" for one in ids]
    assert unique_ids(pa.array(ids, pa.string()), slide).to_pylist() == want


def test_barcodes_of_space_ranger():
    ids = unique_ids(pa.array(["s_002um_00000_00001-1", "s_002um_00000_00002-1"]), "Mine")
    assert ids.to_pylist() == ["Mine_s_002um_00000_00001-1", "Mine_s_002um_00000_00002-1"]
    assert unique_ids(ids, "Mine").equals(ids)
