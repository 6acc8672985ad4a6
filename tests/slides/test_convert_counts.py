"""convert_counts: the same slides in either form, and no slide without counts, whatever happens."""

import shutil
import subprocess
import sys
from pathlib import Path

import fsspec
import pytest

import stimage
import stimage_1k4m
from stimage.core.errors import DataError
from tests.roots import write_genes, write_slide
from tests.test_scripts import run


def examples(root: Path) -> list[dict]:
    return list(stimage_1k4m.load("all", root))


def counts_of(root: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in root.glob("*/gene_exp/*_count.*")}


@pytest.fixture
def root(sample, tmp_path) -> Path:
    return Path(shutil.copytree(sample, tmp_path / "root"))


def test_there_and_back(root):
    want, before = examples(root), counts_of(root)
    done = list(stimage.convert_counts(root))
    now = counts_of(root)
    assert now.keys() == {name.replace(".csv", ".h5") for name in before}
    assert {one.slide: one.after for one in done} == {name.removesuffix("_count.h5"): len(now[name]) for name in now}
    assert examples(root) == want and stimage_1k4m.gene_names(root) == stimage_1k4m.gene_names(root)
    assert list(stimage.convert_counts(root)) == [type(one)(one.slide, one.after, one.after) for one in done]
    done = run("data_process/convert_counts.py", root, "--to", "csv", "--tech", "ST")
    assert done.returncode == 0 and "2 slides as csv: " in done.stdout
    assert run("data_process/convert_counts.py", root, "--to", "csv").returncode == 0
    assert counts_of(root).keys() == before.keys() and examples(root) == want


def test_names_stay_as_they_are(tmp_path):
    path = write_genes(tmp_path, "S", ["A", "A", "1-Mar", 'x,"y"', ""])
    before = path.read_bytes()
    list(stimage.convert_counts(tmp_path))
    list(stimage.convert_counts(tmp_path, "csv"))
    assert path.read_bytes().splitlines() == before.splitlines()


def test_what_is_killed_leaves_the_old_file_or_the_new_one(tmp_path):
    write_slide(tmp_path / "root", "S", "ST")
    want, script = examples(tmp_path / "root"), Path(__file__).parents[1] / "formats/killed.py"
    command = [sys.executable, script, "convert", tmp_path / "root", tmp_path / "killed"]
    assert not subprocess.run(command, capture_output=True, text=True, check=True).stderr
    forms = []
    for root in sorted((tmp_path / "killed").iterdir(), key=lambda path: int(path.name)):
        assert examples(root) == want
        forms.append(next(iter(counts_of(root))))
    assert forms == sorted(forms) and len(set(forms)) == 2 and len(forms) > 5
    assert not [path for path in root.rglob(".*") if path.name != ".lock"]


def test_what_cannot_be_converted_stays(tmp_path):
    path = write_genes(tmp_path, "S", ["A", "B"])
    path.write_text(path.read_text().replace(",1,2", ",1.5,2"))
    before = counts_of(tmp_path)
    with pytest.raises(DataError, match=r"S_count.h5: cannot hold 1.5"):
        list(stimage.convert_counts(tmp_path))
    path.write_text(path.read_text().replace("1.5", "x"))
    with pytest.raises(DataError, match="line 2 "):
        list(stimage.convert_counts(tmp_path))
    assert counts_of(tmp_path).keys() == before.keys()
    with pytest.raises(ValueError, match="to='h5ad': pass one of csv, h5"):
        stimage.convert_counts(tmp_path, "h5ad")
    fsspec.filesystem("memory").put(f"{tmp_path}/", "/root/", recursive=True)
    with pytest.raises(DataError, match="can't be written from here"):
        stimage.convert_counts("memory://root")
