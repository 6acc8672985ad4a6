"""Checks and loader are of one mind: what the loader refuses fails, and what it takes has no fault of reading."""

import unicodedata
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import load_dataset
from PIL import Image

import stimage
import stimage_1k4m  # noqa: F401
from stimage.collection.checks.checks import READING
from stimage.core.errors import DataError
from stimage.genes.vocabulary import write_vocabulary
from tests.roots import GENES, write_csv, write_slide
from tests.test_bad_input import COORD, COUNTS, IMAGE, META, edit


def cut(part: str, share: float):
    return lambda root: (root / part).write_bytes(
        (root / part).read_bytes()[: int((root / part).stat().st_size * share)]
    )


def without(part: str):
    return lambda root: (root / part).unlink()


def wrote(part: str, content: bytes):
    return lambda root: (root / part).write_bytes(content)


def edited(part: str, old: str, new: str):
    return lambda root: edit(root / part, old, new)


def radii(r: float):
    def change(root: Path) -> None:
        lines = (root / COORD).read_text().splitlines()
        rows = [",".join([*line.split(",")[:3], str(r)]) for line in lines[1:]]
        (root / COORD).write_text("\n".join([lines[0], *rows]) + "\n")

    return change


def labelled(rows):
    return lambda root: write_csv(root / "annotation/Slide_A_anno.csv", rows)


def numbered(*names: str):
    return lambda root: write_vocabulary(root / "genes.parquet", names)


def otherwise_numbered(root: Path) -> None:
    pq.write_table(pa.table({"id": [0, 2], "name": GENES[:2]}), root / "genes.parquet")


def decomposed(root: Path) -> None:
    """Name the files in NFD, as macOS does, and the meta file's slide in NFC."""
    for part in (COORD, COUNTS, IMAGE):
        path = root / part
        path.rename(path.with_name(path.name.replace("Slide_A", unicodedata.normalize("NFD", "Schnitt_é"))))
    edit(root / META, "Slide_A", unicodedata.normalize("NFC", "Schnitt_é"))


def saved(**kind):
    return lambda root: Image.open(root / IMAGE).convert(kind.pop("mode", "RGB")).save(root / IMAGE, **kind)


def one_spot(root: Path) -> None:
    for part in (COORD, COUNTS):
        lines = (root / part).read_text().splitlines(True)
        (root / part).write_text(lines[0] + next(line for line in lines if "_1x1," in line))


FAULTS = {
    "none": (True, lambda root: None),
    "no coord file": (False, without(COORD)),
    "no counts": (False, without(COUNTS)),
    "no image": (False, without(IMAGE)),
    "no meta file": (True, without(META)),
    "no row in the meta file": (False, edited(META, "Slide_A", "Slide_C")),
    "empty meta values": (True, edited(META, ",ST,9,4", ",,,")),
    "no species": (True, edited(META, "human,breast", ",")),
    "empty counts": (False, wrote(COUNTS, b"")),
    "header alone": (False, wrote(COORD, b",yaxis,xaxis,r\n")),
    "cut counts": (False, cut(COUNTS, 0.8)),
    "cut image": (False, cut(IMAGE, 0.5)),
    "no image at all": (False, wrote(IMAGE, b"%PDF-1.4\n")),
    "a header in UTF-16": (False, wrote(COUNTS, ",A,B\n".encode("utf-16"))),
    "r of nothing": (False, edited(COORD, "Slide_A_1x1,40.0,40.0,5.0", "Slide_A_1x1,40.0,40.0,0")),
    "r of one pixel's tenth": (False, radii(0.1)),
    "r beyond the image": (False, radii(500)),
    "r of one spot too large": (False, edited(COORD, "Slide_A_1x1,40.0,40.0,5.0", "Slide_A_1x1,40.0,40.0,80")),
    "x of nothing": (False, edited(COORD, "Slide_A_1x1,40.0,40.0", "Slide_A_1x1,40.0,nan")),
    "a spot beyond the image": (False, edited(COORD, "Slide_A_1x1,40.0,40.0", "Slide_A_1x1,40.0,400.0")),
    "a spot over the border": (True, edited(COORD, "Slide_A_0x0,20.0,20.0", "Slide_A_0x0,-2.0,1.0")),
    "a spot in one file": (False, edited(COUNTS, "Slide_A_1x1,", "Slide_A_9x9,")),
    "a spot twice": (False, edited(COUNTS, "Slide_A_1x1,", "Slide_A_0x0,")),
    "a spot id in NFD": (True, lambda root: [edit(root / p, "Slide_A_1x1,", "Slide_A_1é1,") for p in (COORD, COUNTS)]),
    "one spot": (True, one_spot),
    "names in NFD": (True, decomposed),
    "labels without V2": (False, labelled([["", "label"], ["Slide_A_1x1", "tumour"]])),
    "two labels": (False, labelled([["", "V2"], ["Slide_A_1x1", "tumour"], ["Slide_A_1x1", "stroma"]])),
    "labels of others": (True, labelled([["", "V2"], ["x", "tumour"]])),
    "a gene twice": (True, edited(COUNTS, "ESR1", "ERBB2")),
    "a gene without a name": (True, edited(COUNTS, "ESR1", "")),
    "numbered genes": (True, numbered("X", *GENES)),
    "a gene that is not numbered": (False, numbered(*GENES[1:])),
    "genes numbered otherwise": (False, otherwise_numbered),
    "numbered genes that are no Parquet": (False, wrote("genes.parquet", b"text")),
    "a grey image": (True, saved(mode="L", format="PNG")),
    "an image in float": (False, saved(mode="F", format="TIFF")),
    "a hidden file": (True, wrote("ST/coord/._Slide_A_coord.csv", b"\0")),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_the_checks_and_the_loader_agree(tmp_path, fault):
    can_be_read, damage = FAULTS[fault]
    write_slide(tmp_path, "Slide_A", "ST")
    damage(tmp_path)
    found = stimage.check(tmp_path)
    failed = found[(found.status == "fail") & found.check.isin(READING)]
    try:
        loaded = list(load_dataset("stimage_1k4m", "ST", data_dir=str(tmp_path), split="train", streaming=True))
        error = ""
    except DataError as refusal:
        loaded, error = [], str(refusal)
    assert bool(loaded) == failed.empty == can_be_read, (error, failed.message.tolist())
    assert all(failed.remedy)
