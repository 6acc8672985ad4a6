"""A root's tables as people have them: gzip is read; other forms are told, with a command that mends them."""

import csv
import gzip
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stimage.core.errors import DataError
from stimage.core.tables import read_table
from stimage.slides.catalog import read_catalog
from stimage.slides.counts.converting import convert
from stimage.slides.counts.count_file import read_genes
from stimage.slides.spots import open_spots
from tests.faults import serving
from tests.roots import write_csv, write_slide

COUNT, COORD, ANNO = "ST/gene_exp/A_count.csv", "ST/coord/A_coord.csv", "annotation/A_anno.csv"
FILES = (COUNT, COORD, ANNO)
GENES = ["ERBB2", "ERBB2", "1-Mar", "NA", "G\u00e8ne 7"]  # as they are, whatever a table's reader makes of them


@pytest.fixture
def root(tmp_path) -> Path:
    """A root with labels, and genes whose names are easily changed."""
    write_slide(tmp_path, "A", "ST", side=4)
    with (tmp_path / COUNT).open(newline="") as file:
        rows = list(csv.reader(file))[1:]
    write_csv(tmp_path / COUNT, [["", *GENES], *([*row, 7] for row in rows)])
    write_csv(tmp_path / ANNO, [["", "V2"], *([row[0], "T\u00fcmor"] for row in rows)])
    return tmp_path


def read(root: Path | str) -> tuple:
    spots = open_spots(read_catalog(str(root)).slides[0])
    rows = spots.rows(slice(0, len(spots)))
    return (spots.genes, spots.ids.to_pylist(), spots.x.tolist(), spots.y.tolist(), spots.r.tolist(),
            spots.annotation.to_pylist(), rows.columns.tolist(), rows.values.tolist())  # fmt: skip


def rewrite(path: Path, how: str) -> None:
    """Write a table as ``how`` says."""
    text = path.read_text(encoding="utf-8")
    rows = list(csv.reader(text.splitlines()))
    if how == "transposed":
        write_csv(path, zip(*rows))
        return
    if how == "semicolons":  # of Excel in Europe
        rows = [[cell.replace(".", ",") if cell[:1].isdigit() else cell for cell in row] for row in rows]
    mark = {"semicolons": ";", "tabs": "\t", "UTF-16": "\t"}.get(how, ",")
    text = "".join(mark.join(row) + "\r\n" for row in rows)
    text = f"sep=,\r\n{text}" if how == "sep=" else text
    path.write_bytes(text.encode({"UTF-16": "utf-16", "Windows-1252": "cp1252"}.get(how, "utf-8")))


TOLD = {
    "transposed": "has genes as rows and spots as columns, as 'A_3x3'; transpose it: python -c",
    "semicolons": "is separated by semicolons; make it comma-separated UTF-8: python -c",
    "tabs": "is separated by tabs; make it comma-separated UTF-8: python -c",
    "UTF-16": "is UTF-16",
    "Windows-1252": "is not UTF-8, but perhaps Windows-1252; make it comma-separated UTF-8: python -c",
    "sep=": "is preceded by Excel's line sep=; make it comma-separated UTF-8: python -c",
}


@pytest.mark.parametrize("how", TOLD)
@pytest.mark.parametrize("name", FILES)
def test_a_form_is_told_and_its_remedy_works(root, name, how, monkeypatch):
    if (how, name) in {("transposed", COORD), ("transposed", ANNO), ("Windows-1252", COORD)}:
        return  # there is no such thing
    before = read(root)
    rewrite(root / name, how)
    with pytest.raises(DataError, match=f"{name}.*") as told:
        read(root)
    assert TOLD[how] in str(told.value) or name == ANNO
    if "python -c" not in str(told.value):
        return
    words = shlex.split(str(told.value)[str(told.value).index("python -c") :])
    exec(words[2], {})  # what `python -c` does
    assert read(root) == before


def test_the_remedy_works_in_a_shell(root, monkeypatch):
    """Of a file whose path has quotes and blanks, too."""
    odd = root / 'it\'s a "root" $HOME' / "ROOT"
    odd.mkdir(parents=True)
    for part in ("ST", "annotation", "meta"):
        shutil.move(root / part, odd / part)
    before = read(odd)
    rewrite(odd / COUNT, "semicolons")
    with pytest.raises(DataError) as told:
        read(odd)
    command = str(told.value)[str(told.value).index("python -c") :]
    subprocess.run(["sh", "-c", f"{shlex.quote(sys.executable)}{command.removeprefix('python')}"], check=True)
    assert read(odd) == before


def test_gzip_is_read(root, caplog):
    """Also over HTTP; a copy is unzipped once, and again when the file changes."""
    before = read(root)
    for name in FILES:
        zip_up(root / name)
    assert read(root) == before
    with serving(root) as server:
        assert read(server.url) == before
        assert read_genes(f"{root}/{COUNT}.gz") == before[0]
    text = gzip.decompress((root / f"{COUNT}.gz").read_bytes()).replace(b",7\r\n", b",8\r\n")
    (root / f"{COUNT}.gz").write_bytes(gzip.compress(text))
    changed = read(root)
    assert changed[-1] != before[-1]
    (one,) = convert(read_catalog(str(root)).slides, root, "csv")
    assert one.slide == "A" and not (root / f"{COUNT}.gz").exists() and read(root) == changed


def zip_up(path: Path) -> None:
    path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()


def test_gzip_that_cannot_be_read(root):
    zip_up(root / COUNT)
    zipped = root / f"{COUNT}.gz"
    content = zipped.read_bytes()
    zipped.write_bytes(content[:-20])
    with pytest.raises(DataError, match=r"A_count.csv.gz: can't be unzipped .*; was the download cut off\?"):
        read(root)
    zipped.write_bytes(b"no zip")
    with pytest.raises(DataError, match=r"A_count.csv.gz: can't be unzipped"):
        read(root)
    (root / COUNT).write_bytes(content)
    with pytest.raises(DataError, match=r"already has .*; remove one"):
        read(root)
    zipped.unlink()
    with pytest.raises(DataError, match=r"A_count.csv: is gzip; call it A_count.csv.gz$"):
        read(root)
    (root / COUNT).rename(zipped)
    assert read(root)


def test_a_workbook(root):
    (root / COORD).write_bytes(b"PK\x03\x04" + bytes(40) + b"\n")
    with pytest.raises(DataError, match=r"A_coord.csv: is a workbook of Excel, or a zip; save it as CSV UTF-8"):
        read(root)


def test_other_tables(root):
    """The meta file; and what has its spots called as Visium's and HD's are, whatever the slide's name."""
    rewrite(root / "meta/meta_all_gene.csv", "semicolons")
    with pytest.raises(
        DataError, match=r"has no column 'slide', but slide;species.*; it is separated by semicolons"
    ) as told:
        read_table(root / "meta/meta_all_gene.csv", ["slide"])
    exec(shlex.split(str(told.value)[str(told.value).index("python -c") :])[2], {})
    assert read_table(root / "meta/meta_all_gene.csv", ["slide"])[1][0]["slide"] == "A"
    for spots in (["10x13", "2x3"], ["ACGTACGTACGTACGT-1"] * 2, ["s_008um_00012_00034-1"] * 2, ["X_A_1x2", "X_A_1x3"]):
        write_csv(root / COUNT, [["", *spots, "1x1"], ["ERBB2", 1, 2, 3]])
        with pytest.raises(DataError, match="has genes as rows and spots as columns"):
            read_genes(str(root / COUNT))
    write_csv(root / COUNT, [["", "10x13", "ERBB2", "CD3E"], ["A_1x1", 1, 2, 3]])
    assert read_genes(str(root / COUNT))[0] == "10x13"
