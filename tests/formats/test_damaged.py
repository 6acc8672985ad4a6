"""What `tests/reliability/test_importers.py` had found, an input of each kind, made small."""

import json
import os
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile

import stimage
from stimage.core.errors import DataError
from stimage.core.tables import read_cells
from stimage.formats.frame import check_frame
from stimage.formats.h5ad import from_anndata, read_h5ad
from stimage.formats.imported import ImportOptions
from stimage.formats.tenx.space_ranger import read_space_ranger
from stimage.slides.images.reader import image_info
from tests.formats.annotated import is_right, picture, refusal, slide
from tests.formats.space_ranger import FACTORS, H5, HIRES, POSITIONS, as_folder, change, put, read, refused
from tests.reliability.faults import as_a_user

pytestmark = pytest.mark.usefixtures("old_strings")


def rewrite(path: Path, **factors) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | factors))


def test_a_matrix_by_columns_that_contradicts_itself(read):
    """scipy ends the process where it converts one."""
    data = slide()
    data.X = data.X.tocsc()
    data.X.indices[5] = 10**9
    assert "X is no matrix of numbers" in refusal(from_anndata, data)


@pytest.mark.parametrize(
    ("put_in", "said"),
    [
        (lambda file: file.__delitem__("X") or file.__setitem__("X", h5py.ExternalLink("lost.h5", "X")), "as .h5ad"),
        (lambda file: file.__delitem__("var") or file.__setitem__("var", h5py.SoftLink("var")), "its var"),
    ],
)
def test_links_to_nothing(tmp_path, tissue, put_in, said):
    slide().write_h5ad(tmp_path / "slide.h5ad")
    with h5py.File(tmp_path / "slide.h5ad", "a") as file:
        put_in(file)
    message = refusal(read_h5ad, tmp_path / "slide.h5ad", ImportOptions(tissue))
    assert str(tmp_path / "slide.h5ad") in message and said in message


def test_a_full_image_that_is_none_is_not_replaced_by_the_small_one(tissue):
    data = slide()
    data.uns["spatial"]["lib"]["images"]["fullres"] = {"a": 1}
    assert "its image 'fullres' is no array of pixels; pass image= (--image)" in refusal(from_anndata, data)
    assert is_right(from_anndata(data, ImportOptions(tissue)))


def test_places_in_another_order_than_obs(tmp_path, tissue):
    """Counts go by obs: which of both is right, nobody says."""
    import pandas as pd

    data = slide()
    data.obsm["spatial"] = pd.DataFrame(data.obsm["spatial"], columns=["x", "y"], index=data.obs_names)
    data.write_h5ad(tmp_path / "slide.h5ad")
    with h5py.File(tmp_path / "slide.h5ad", "a") as file:
        file["obs/_index"][:] = file["obs/_index"][:][::-1]
    told = refusal(read_h5ad, tmp_path / "slide.h5ad", ImportOptions(tissue))
    assert "has other rows than obs, or in another order" in told


@pytest.mark.parametrize("number", [True, "0.2", [0.2]])
def test_a_factor_of_another_type(outs, number):
    """A text that is a number is one; a truth value or a list is none."""
    rewrite(outs / FACTORS, spot_diameter_fullres=number)
    if number == "0.2":
        assert read(outs).r == 0.1
    else:
        assert f"spot_diameter_fullres is {number}, no number above 0" in refused(outs)


@pytest.mark.parametrize(("diameter", "said"), [(1e300, "and "), (0.2, "covers none; pass the full")])
def test_spots_that_cannot_be_cut(outs, diameter, said):
    """Loading would refuse them, or take all memory."""
    rewrite(outs / FACTORS, spot_diameter_fullres=diameter)
    with pytest.raises(DataError, match=r"a spot's radius is .* pixels") as error:
        check_frame(read(outs))
    assert said in str(error.value) and "correct spot_diameter_fullres" in str(error.value)


def test_a_scale_factor_that_cannot_be(outs):
    """It is to blame, not the image."""
    rewrite(outs / FACTORS, tissue_hires_scalef=1e-300)
    assert f"{outs / FACTORS}: by its scale factor, 1e-300, 'tissue_hires_image.png' is of an" in refused(outs)


def test_a_small_image_whose_pixels_are_damaged(outs):
    (outs / HIRES).write_bytes((outs / HIRES).read_bytes()[:3000])
    with pytest.raises(DataError, match=r"tissue_hires_image.png: cannot be read as an image"):
        check_frame(read(outs))


def as_text(outs: Path, how) -> None:
    path = as_folder(outs, unzip=True) / "features.tsv"
    path.write_text("\n".join(how([line.split("\t") for line in path.read_text().splitlines()])) + "\n")


REFUSED = {
    "names of two dimensions": (
        lambda outs: change(outs / H5, lambda g: put(g["features"], "name", [["A"]] * 40)),
        "has the shape (40, 1), not a text a row",
    ),
    "complex counts": (
        lambda outs: change(outs / H5, lambda g: put(g, "data", g["data"][:] * 1j)),
        "has complex128, int32 and int32, not numbers",
    ),
    "counts of two dimensions": (
        lambda outs: change(outs / H5, lambda g: put(g, "data", g["data"][:][:, None])),
        "not one value after the other",
    ),
    "rows that are longer": (
        lambda outs: as_text(outs, lambda rows: ["\t".join(["é", *rows[0]]), *map("\t".join, rows[1:])]),
        "features.tsv: has rows of 4 and of 3 cells",
    ),
    "no names": (
        lambda outs: as_text(outs, lambda rows: ["\t".join(row[1:]) for row in rows]),
        "features.tsv: has types of features where their names should be",
    ),
    "a link to nothing": (
        lambda outs: (outs / H5).unlink() or (outs / H5).symlink_to("annexed"),
        f"{H5}: is a link to nothing; put the file itself there",
    ),
    "a folder": (
        lambda outs: (outs / POSITIONS).unlink() or (outs / POSITIONS).mkdir(),
        "tissue_positions.csv: is a folder; put",
    ),
    "a pipe": (lambda outs: (outs / FACTORS).unlink() or os.mkfifo(outs / FACTORS), "is no file; put"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(outs, case):
    spoil, message = REFUSED[case]
    spoil(outs)
    assert message in refused(outs)


def test_a_name_of_blanks_is_none(outs):
    as_text(outs, lambda rows: ["\t".join([rows[0][0], " ", rows[0][2]]), *map("\t".join, rows[1:])])
    assert read(outs).genes[0] == read(outs).gene_ids[0]


def test_a_group_of_version_2_whose_name_is_no_text(outs):
    before = read(outs)
    with h5py.File(outs / H5, "a") as file:
        file.move("matrix", b"GRCh\xdf8")
        group = file[b"GRCh\xdf8"]
        group["genes"], group["gene_names"] = group["features/id"][:], group["features/name"][:]
        del group["features"]
    assert read(outs).genes == before.genes


@pytest.mark.parametrize("folder", [".", "spatial"])
def test_folders_that_may_not_be_read(outs, folder):
    (outs / folder).chmod(0)
    with as_a_user():
        told = refusal(stimage.add_slide, outs, outs.parent / "root", "Mine")
    (outs / folder).chmod(0o755)
    assert f"{outs}: cannot be read as " in told and "(Permission denied)" in told


def test_pipes_are_not_waited_for(tmp_path, tissue):
    for name in ("slide.h5ad", "image.tif"):
        os.mkfifo(tmp_path / name)
    assert "it is no file" in refusal(read_h5ad, tmp_path / "slide.h5ad", ImportOptions())
    told = refusal(stimage.add_slide, slide(), tmp_path / "root", "Mine", image=tmp_path / "image.tif")
    assert told.startswith(f"{tmp_path}/image.tif: ") and not (tmp_path / "root").exists()


def test_metadata_of_hest_that_says_nothing(tmp_path):
    for part in ("st", "metadata"):
        (tmp_path / part).mkdir()
    slide().write_h5ad(tmp_path / "st/A.h5ad")
    for text in ("[1]", "[" * 50_000, "null"):
        (tmp_path / "metadata/A.json").write_text(text)
        assert "metadata/A.json: cannot be read (" in refusal(read_h5ad, tmp_path / "st/A.h5ad", ImportOptions())


def test_tables_whose_header_is_one_name(tmp_path):
    """R's write.table names no column of row names: what separates cells, the second line tells."""
    for mark, text in ((";", "a, b"), ("\t", "a; b"), (",", '"a; b"')):
        (tmp_path / "labels.txt").write_text(f'"x"\nACGT-1{mark}{text}\nACGA-1{mark}{text}\n')
        rows = [cells for _, cells in read_cells(tmp_path / "labels.txt")]
        assert rows[1:] == [["ACGT-1", text.strip('"')], ["ACGA-1", text.strip('"')]]


def test_images_gzipped_or_not_are_read_as_before(outs):
    assert np.array_equal(read_space_ranger(outs, ImportOptions()).x, read(outs).x / 2)


def test_columns_that_pandas_cannot_handle(tmp_path, tissue):
    """Of another machine's order of bytes, which are read; and bytes that are no text, which are not."""
    path = tmp_path / "slide.h5ad"
    slide().write_h5ad(path)
    with h5py.File(path, "a") as file:
        values, kept = file["obs/array_row"][:], dict(file["obs/array_row"].attrs)
        del file["obs/array_row"]
        file.create_dataset("obs/array_row", data=values.astype(">i4")).attrs.update(kept)
    assert is_right(read_h5ad(path, ImportOptions(tissue)))
    with h5py.File(path, "a") as file:
        del file["obs/array_row"]
        file["obs/array_row"] = b"\xff\xfe"
    assert f"{path}: its obs is no table" in refusal(read_h5ad, path, ImportOptions(tissue))


def test_names_that_are_bytes_and_counts_that_cannot_be(tmp_path, tissue):
    """Some programs write texts without saying so; a count that no file can hold is told of the source."""
    path = tmp_path / "slide.h5ad"
    slide().write_h5ad(path)
    with h5py.File(path, "a") as file:
        file["var/_index"].attrs["encoding-type"] = "array"
    assert is_right(read_h5ad(path, ImportOptions(tissue)))
    with h5py.File(path, "a") as file:
        file["X/data"][7] = 2**32
    assert f"{path}: X has 4.29497e+09, which is no raw count" in refusal(read_h5ad, path, ImportOptions(tissue))


def test_a_tag_of_several_values_where_one_should_be(tmp_path):
    """tifffile gives them as they are."""
    path = tmp_path / "image.tif"
    tifffile.imwrite(path, picture(), photometric="rgb", tile=(64, 64))
    with tifffile.TiffFile(path) as tiff:
        tag = tiff.pages[0].tags["SamplesPerPixel"]
    with path.open("r+b") as file:
        file.seek(tag.offset + 4)
        file.write((2).to_bytes(4, "little"))  # how many values
    told = refusal(image_info, str(path))
    assert told.startswith(f"{path}: is ")
