"""What the checks refuse of a root as a whole, as the loader does: splits, sizes of images, and forms of tables."""

import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import stimage
from stimage.core.errors import DataError
from tests.building import load
from tests.roots import write_slide


@pytest.fixture
def root(tmp_path) -> Path:
    write_slide(tmp_path / "root", "Slide_A", "ST")
    return tmp_path / "root"


def test_a_damaged_table_of_splits(root):
    (root / "splits.csv").write_text("slide,split\nSlide_A,tarin\n")
    for read in (stimage.check, load):
        with pytest.raises(DataError, match="slide 'Slide_A' has the split 'tarin'; one of train, validation, test"):
            read(root)
    (root / "splits.csv").write_text("slide,split\nSlide_B,train\n")
    for read in (stimage.check, load):
        with pytest.raises(DataError, match="lacks 1 of 1 slides: Slide_A; add them by"):
            read(root)
    assert not stimage.check(stimage.open_root(root, splits="none")).empty


def test_images_that_are_too_large(root):
    few = stimage.open_root(root, max_image_pixels=100)
    found = stimage.check(few).set_index("check")
    assert found.status["files"] == "fail" and "more than 100; if that is right" in found.message["files"]
    with pytest.raises(DataError, match="more than 100; if that is right, pass max_image_pixels"):
        list(load(root, streaming=True, max_image_pixels=100))
    assert stimage.check(root).set_index("check").status["files"] == "pass"


@pytest.mark.parametrize("encoding", ["utf-16", "cp1252"])
@pytest.mark.parametrize("table", ["meta/meta_all_gene.csv", "annotation/Slide_A_anno.csv", "splits.csv"])
def test_other_encodings_are_told_with_a_command_that_mends_them(root, table, encoding):
    """The command of the message is run, and what was refused is read."""
    path = root / table
    path.parent.mkdir(exist_ok=True)
    if table.startswith("annotation"):
        ids = [line.split(",")[0] for line in (root / "ST/coord/Slide_A_coord.csv").read_text().splitlines()[1:]]
        path.write_text(",V2\n" + "".join(f"{one},x\n" for one in ids))
    if table == "splits.csv":
        path.write_text("slide,split\nSlide_A,train\n")
    whole, text = path.read_text(), path.read_text().replace("\n", ",é\n").replace(",é", ",note é", 1)
    path.write_bytes(text.encode(encoding))
    with pytest.raises(DataError, match=f"{path.name}.* UTF-(16|8);? .*python -c ") as error:
        list(load(root, streaming=True))
    told = str(error.value)
    command = told[told.index("python -c ") :].partition("; pass ")[0].replace("python", shlex.quote(sys.executable), 1)
    subprocess.run(command, shell=True, check=True)
    assert path.read_text(encoding="utf-8") == text and whole != text
    assert len(list(load(root, streaming=True))) == 9


def test_counts_that_were_normalised_and_rounded(tmp_path):
    """Whole numbers of which each spot has 10,000: no raw counts, though each could be one."""
    for name, normalised in (("raw", False), ("normalised", True)):
        write_slide(tmp_path / name, "Slide_A", "ST", side=6)
        path = tmp_path / name / "ST/gene_exp/Slide_A_count.csv"
        table = pd.read_csv(path, index_col=0)
        table[:] = np.random.default_rng(0).poisson(50, table.shape)
        if normalised:
            table = (table.div(table.sum(axis=1), axis=0) * 10_000).round().astype(int)
        table.to_csv(path)
    status = [stimage.check(tmp_path / name).set_index("check").loc["counts"] for name in ("raw", "normalised")]
    assert [one.status for one in status] == ["pass", "warn"]
    assert "all spots have the same sum, 10,000, but for 1%" in status[1].message
