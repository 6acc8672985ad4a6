"""Legacy ST: tables of st_pipeline and the spot detector in all their forms, and what is refused; nothing misplaced."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import stimage
from stimage.core.errors import DataError
from stimage.formats.imported import ImportedSlide, ImportOptions
from stimage.formats.recognise import read_source
from stimage.formats.st_tables import is_st_tables
from tests.formats.annotated import HEIGHT, WIDTH, is_right, picture

PITCH, FIRST = 36.0, (3, 5)  # array coordinates of the first spot
GENES = ["DARK", "ENSG00000141736", "__ambiguous[A+B]", "CD3E"]
COLUMNS = ["x", "y", "new_x", "new_y", "pixel_x", "pixel_y", "selected"]


class Section:
    """70 spots, 63 of them selected, whose gene DARK counts how dark the image is under each."""

    def __init__(self, folder: Path):
        rng, image = np.random.default_rng(0), picture()
        a, b = (grid.ravel() for grid in np.mgrid[:10, :7])
        self.x, self.y = 25 + PITCH * a, 25 + PITCH * b
        self.array = np.stack([a + FIRST[0], b + FIRST[1]], 1)
        self.new = self.array + rng.uniform(-0.2, 0.2, self.array.shape).round(2)
        self.selected = (b > 0).astype(int)
        dark = 255 - image[self.y.astype(int), self.x.astype(int)].mean(-1).astype(int)
        self.counts = np.column_stack([dark, *rng.poisson(2, (3, len(a)))])
        self.folder, self.image = folder, folder / "HE.png"
        Image.fromarray(image).save(self.image)

    def names(self, form: str = "{}x{}", array=None) -> list[str]:
        return [form.format(*one) for one in (self.array if array is None else array).tolist()]

    def rows(self, columns=COLUMNS) -> list[list]:
        whole = np.column_stack([self.array, self.new, self.x, self.y, self.selected])
        return [[f"{row[COLUMNS.index(name)]:.12g}" for name in columns] for row in whole.tolist()]

    def write_counts(self, name: str = "A1_stdata.tsv", spots=None, mark="\t", across=False, header=("",)) -> Path:
        spots = self.names() if spots is None else spots
        table = [[*header, *GENES], *([spot, *row] for spot, row in zip(spots, self.counts.tolist()))]
        return write(self.folder / name, list(zip(*table)) if across else table, mark)

    def write_places(self, name: str = "A1_spot_data-all.tsv", header=COLUMNS, rows=None, mark="\t") -> Path:
        rows = self.rows() if rows is None else rows
        return write(self.folder / name, [header, *rows] if header else rows, mark)

    def read(self, path: Path | None = None, **options) -> ImportedSlide:
        return read_source(path or self.folder, ImportOptions(**{"image": self.image, **options}))


def write(path: Path, rows, mark: str) -> Path:
    text = "".join(mark.join(map(str, row)) + "\n" for row in rows)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


@pytest.fixture
def section(tmp_path):
    return Section(tmp_path)


def test_case_of_the_pipeline_and_the_detector(section, caplog):
    """The table or its folder; st_pipeline's features of no gene are left out and counted, as are spots off tissue."""
    counts = section.write_counts()
    section.write_places()
    for path in (counts, section.folder):
        found = section.read(path)
        assert is_right(found, n=60) and found.tech == "ST" and found.r == pytest.approx(PITCH / 4)
        assert found.genes == ["DARK", "ENSG00000141736", "CD3E"] and found.barcodes[0] == "3x6"
        assert found.left_out == {"features that are no gene": 1, "spots that are not selected, outside the tissue": 10}
    assert "takes a spot for 100 µm wide, 18 pixels, by the pitch of 200 µm" in caplog.messages[0]


COUNTS = {
    "gzipped": {"name": "GSM4284316_A1_stdata.tsv.gz"},
    "under the tissue": {"name": "ut_A1_stdata_filtered.tsv.gz"},
    "genes x spots": {"name": "A1.csv", "mark": ",", "across": True},
    "semicolons": {"name": "A1_counts.csv", "mark": ";"},
    "R's row names": {"header": ()},
    "R's names of columns": {"across": True, "form": "X{}x{}"},
    "with the sample's name": {"form": "A1_{}x{}"},
    "STutility's": {"form": "{}x{}_1"},
    "sections in front": {"form": "5x{}x{}"},
    "without x": {"form": "{}_{}"},
}


@pytest.mark.parametrize("form", COUNTS)
def test_tables_of_counts(section, form):
    options = dict(COUNTS[form])
    section.write_counts(spots=section.names(options.pop("form", "{}x{}")), **options)
    section.write_places()
    assert is_right(section.read(), n=60)


PLACES = {
    "selected alone": {"name": "spot_data-selection-A1.tsv", "header": COLUMNS[:6]},
    "gzipped": {"name": "A1_spot_data-selection.tsv.gz", "header": COLUMNS[:6]},
    "selection": {"header": [*COLUMNS[:6], "selection"]},
    "STutility's": {"header": ["x", "y", "adj_x", "adj_y", "pixel_x", "pixel_y", "selected"]},
    "R's row names": {"header": COLUMNS[:6], "row names": True},
    "without a header": {"header": None},
    "commas": {"name": "A1_spots.csv", "mark": ","},
    "without new_x": {"columns": ["x", "y", "pixel_x", "pixel_y"]},
    "other order": {"columns": ["pixel_y", "pixel_x", "y", "x"]},
}


@pytest.mark.parametrize("form", PLACES)
def test_tables_of_places(section, form):
    options = dict(PLACES[form])
    columns = options.pop("columns", None) or COLUMNS[: len(options.get("header") or COLUMNS)]
    rows = section.rows(columns)
    if options.pop("row names", False):
        rows = [[k, *row] for k, row in enumerate(rows)]
    section.write_counts()
    section.write_places(rows=rows, **{"header": columns, **options})
    assert is_right(section.read(), n=60 if len(columns) == 7 else 70)


@pytest.mark.parametrize("header", [["", "X", "Y"], None])
def test_places_by_name(section, header):
    """``spots_*.csv.gz``: a spot's name, X and Y; also without a header."""
    section.write_counts("BC23209_C1_stdata.tsv.gz")
    rows = [[name, x, y] for name, x, y in zip(section.names(), section.x, section.y)]
    section.write_places("spots_BC23209_C1.csv.gz", header, rows, ",")
    assert is_right(section.read(), n=70)


def test_adjusted_coordinates(section):
    """Spots that st_pipeline renamed to where the detector saw them, in full or rounded to whole places."""
    section.write_places()
    section.write_counts(spots=section.names("{:.2f}x{:.2f}", section.new))
    assert is_right(section.read(), n=60)
    section.write_counts(spots=section.names("{:.3f}x{:.3f}", section.new + 0.004))
    assert is_right(section.read(), n=60)
    section.write_counts()
    rows = [[*one[2:4], *one[4:6]] for one in section.rows()]
    section.write_places(header=["x", "y", "pixel_x", "pixel_y"], rows=rows)
    assert is_right(section.read(), n=70)


def test_alignment_alone(section):
    """Nine numbers that bring array coordinates to pixels, as ST's tools and as numpy write them."""
    section.write_counts("Rep1_MOB_count_matrix-1.tsv")
    matrix = np.array([[PITCH, 0, 0], [0, PITCH, 0], [25 - PITCH * FIRST[0], 25 - PITCH * FIRST[1], 1]])
    path = section.folder / "Rep1_MOB_transformation.txt"
    path.write_text(" ".join(map(str, matrix.ravel().tolist())) + "\n")
    assert is_right(section.read(), n=70)
    np.savetxt(path, matrix.T)
    assert is_right(section.read(), n=70)
    np.savetxt(path, np.ones((3, 3)))
    with pytest.raises(DataError, match=r"transformation.txt: its nine numbers are no alignment"):
        section.read()


def test_into_a_root(section):
    section.write_counts()
    section.write_places()
    slide = stimage.add_slide(section.folder, section.folder / "root", "Mine", image=section.image, spot_diameter=20)
    data = stimage.read_slide(section.folder / "root", "Mine")
    assert slide.tech == "ST" and data.shape == (60, 3) and set(data.obs["radius"]) == {10.0}
    assert data.obs["um_per_px"].isna().all()  # r is then no half of 100 µm


def test_places_of_another_slide_are_not_taken(section):
    """The name tells; without it, --positions does. A folder of several slides is told."""
    counts = section.write_counts("A1_stdata.tsv")
    section.write_places("B4_spot_data-all.tsv")
    with pytest.raises(DataError, match=r"no name tells .*: B4_spot_data-all.tsv. Name .* as positions="):
        section.read()
    assert is_right(section.read(positions=section.folder / "B4_spot_data-all.tsv"), n=60)
    section.write_places("A1_selection.tsv")
    assert is_right(section.read(), n=60)
    section.write_counts("B4_stdata.tsv")
    with pytest.raises(DataError, match=r"has 2 tables of counts: A1_stdata.tsv, B4_stdata.tsv; name one of them"):
        section.read()
    assert is_right(section.read(counts), n=60)


def test_spots_without_a_place(section):
    section.write_counts()
    section.write_places(rows=section.rows()[8:])
    with pytest.raises(DataError, match=r"has no place for 8 of the 70 spots of A1_stdata.tsv, such as '3x5'.*--on-m"):
        section.read()
    found = section.read(on_mismatch="drop")
    assert is_right(found, n=54) and found.left_out["spots without a place"] == 8


def test_what_is_refused(section, tmp_path):
    counts, places = section.write_counts(), section.write_places()

    def refused(words: str, path: Path | None = None, **options) -> None:
        with pytest.raises(DataError, match=words):
            section.read(path, **options)

    refused("has no image of its own; pass the one that the spot detector was given as image=", image=None)
    refused("is a table of legacy ST, which has no layer; leave out --layer", layer="raw")
    refused(r"spot_data-all.tsv: is no table of legacy ST's counts: .*as 10x13 is, but 3 and y", places)
    refused("A1_stdata.tsv: is no table of places: it has , DARK, ENSG", positions=counts)
    rows = section.rows()
    section.write_places(rows=[*rows[:5], [*rows[5][:4], "12,5", *rows[5][5:]], *rows[6:]])
    refused(r"spot_data-all.tsv: line 7: pixel_x is '12,5', no number such as 12.5")
    section.write_places(rows=[*rows[:5], [*rows[5][:6], "maybe"], *rows[6:]])
    refused("line 7: selected is 'maybe'; write 1 or 0")
    section.write_places(rows=[*rows[:5], rows[5][:4]])
    refused("line 7 has not 7 cells")
    swapped = [[*row[:4], other[4], *row[5:]] for row, other in zip(rows, rows[::-1])]
    section.write_places(
        rows=[[*a[:4], *b[4:6], "1"] for a, b in zip(rows, np.random.default_rng(1).permutation(rows))]
    )
    refused("spots are not where the array coordinates in their ids say: is it another slide's")
    section.write_places(rows=swapped)  # a mirrored image is told by nothing here
    section.write_places(rows=[[100 + int(row[0]), *row[1:2], *row[:2], *row[4:]] for row in rows], header=COLUMNS)
    section.write_counts(spots=section.names("{}x{}", section.array + 200))
    refused("has none of the spots of A1_stdata.tsv, such as '203x205'; take")
    section.write_counts(spots=section.names("{}x{}")[:35] + section.names("2_{}x{}")[35:])
    refused("is of 2 slides by the names of its spots, 2_…, …; write a table a slide")
    section.write_counts(spots=["ACGTACGTACGT", *section.names()[1:]])
    refused(
        "is of no format that is read here; .* or legacy ST's table of counts, whose spots are called as 10x", counts
    )
    section.write_counts()
    text = counts.read_text()
    counts.write_text(text[: len(text) - 8])
    refused(r"A1_stdata.tsv: line 71 has \d cells for 5 columns; was it cut off")
    counts.write_text(text.replace("\t", "\tx", 9).replace("\tx", "\t", 4))
    refused(r"A1_stdata.tsv: line 2 \('3x5'\): 'x\d+' is no count")
    counts.write_text(text.replace("\n", ".5\n").replace("CD3E.5", "CD3E"))
    refused("which is no raw count; name the table of raw counts")
    counts.write_bytes(text.encode("utf-16"))
    refused("A1_stdata.tsv: line 1: is UTF-16; save the file as UTF-8")
    counts.unlink()
    section.write_counts("A1_stdata.tsv.gz")
    (section.folder / "A1_stdata.tsv.gz").write_bytes((section.folder / "A1_stdata.tsv.gz").read_bytes()[:-30])
    refused(r"A1_stdata.tsv.gz: line \d+ can't be unzipped")
    (section.folder / "A1_stdata.tsv.gz").unlink()
    section.write_counts()
    places.unlink()
    refused(r"has no table of places beside A1_stdata.tsv, such as .*--positions", counts)


def test_a_folder_of_space_ranger_is_none(section):
    """Though its positions may look like the spot detector's: a number for a barcode, and no header."""
    section.write_places("tissue_positions_list.csv", None, section.rows(COLUMNS[:6]), ",")
    assert is_st_tables(section.folder)
    (section.folder / "filtered_feature_bc_matrix.h5").touch()
    assert not is_st_tables(section.folder)


def test_an_array_of_another_pitch(section):
    """Of a 2k array, a checkerboard, the pitch does not tell the size of spots."""
    even = section.array.sum(1) % 2 == 0
    for name in ("array", "new", "x", "y", "selected", "counts"):
        setattr(section, name, getattr(section, name)[even])
    section.selected[:] = 1
    section.write_counts()
    section.write_places()
    with pytest.raises(DataError, match=r"its array is none of 200 µm, such as a 2k array; pass .*--spot-diameter"):
        section.read()
    assert section.read(spot_diameter=30).r == 15


def test_an_image_that_is_too_small(section):
    section.write_counts()
    section.write_places()
    Image.fromarray(picture()[: HEIGHT // 2, : WIDTH // 2]).save(section.image)
    with pytest.raises(
        DataError, match=r"lie beyond it; pass as image= \(--image\) the one that the spot detector was given$"
    ):
        stimage.add_slide(section.folder, section.folder / "root", "Mine", image=section.image)
    assert not (section.folder / "root/ST").exists()
