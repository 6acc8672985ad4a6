"""Slides of SpatialData stores, as spatialdata writes them: read right, or refused by a line that helps."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from geopandas import GeoDataFrame
from PIL import Image
from spatialdata import SpatialData, concatenate, to_polygons
from spatialdata.models import Labels2DModel, PointsModel, ShapesModel
from spatialdata.transformations import Affine, Identity, Scale, Sequence, Translation

import stimage
from stimage.formats.frame import check_frame
from stimage.formats.imported import ImportedSlide, ImportOptions
from stimage.formats.recognise import read_source
from stimage.formats.stored.image import StoredImage
from tests.formats.annotated import HEIGHT, WIDTH, is_right, picture, refusal, slide
from tests.formats.stores import image, shapes, table, visium

pytestmark = pytest.mark.usefixtures("old_strings")


@pytest.fixture
def read(tmp_path):
    """Write a store, read a slide of it, and check the image as adding does."""

    def of(data: SpatialData, image: Path | str | None = None, **options) -> ImportedSlide:
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.zarr"  # a store of its own: data that are read stay there
        data.write(path)
        found = read_source(path, ImportOptions(Path(image) if image else None, **options))
        check_frame(found)
        return found

    return of


def fits(found: ImportedSlide, seed: int = 0, n: int = 53) -> bool:
    """Return if counts of DARK tell the slide's own image at the spots."""
    return isinstance(found.image, StoredImage) and is_right(found, found.image[:, :], n)


def test_full_image_small_image_and_file(read, tissue, tmp_path):
    found = read(visium())
    assert fits(found) and found.image.shape == (HEIGHT, WIDTH, 3) and found.r == 11 and found.tech == "Visium"
    assert (found.image[:, :] == picture()).all() and found.left_out == {"spots outside the tissue": 1}
    assert set(found.barcodes) == set(slide().obs_names[1:]) and found.gene_ids[3] == "ENSG00000000003"
    small = read(visium(), "lib_hires_image")
    assert small.r == 5.5 and small.image.shape == (150, 210, 3) and np.allclose(2 * small.x, found.x)
    small = read(visium(full=False))
    assert small.r == 5.5 and np.allclose(2 * small.y, found.y)
    assert read(visium(full=False), um_per_px=0.5).um_per_px == 1.0
    for full in (True, False):
        by_file = read(visium(full=full), tissue)
        assert is_right(by_file) and by_file.frame[:2] == (WIDTH, HEIGHT) and by_file.image == tissue
    Image.fromarray(picture()).resize((2 * WIDTH, 2 * HEIGHT)).save(tmp_path / "large.tif")
    assert "is 2 x the size of the image that the positions are of" in refusal(
        read, visium(full=False), tmp_path / "large.tif"
    )
    Image.fromarray(picture()[:, ::-1]).save(tmp_path / "other.tif")
    assert "other.tif: is mirrored left to right" in refusal(read, visium(), tmp_path / "other.tif")
    assert "lib_full.tif: there is no such file; images of" in refusal(read, visium(), "lib_full.tif")


def test_added_slide_loads(tmp_path):
    visium().write(tmp_path / "slide.zarr")
    stimage.add_slide(tmp_path / "slide.zarr", tmp_path / "root", "Mine", labels="array_row")
    data = stimage.read_slide(tmp_path / "root", "Mine")
    assert len(data) == 53 and data.obs["annotation"].nunique() == 6
    with Image.open(tmp_path / "root/Visium/image/Mine.png") as written:
        assert (np.asarray(written) == picture()).all()
    x, y = data.obsm["spatial"].round().astype(int).T
    dark = data[:, "DARK"].X.toarray()[:, 0]
    assert np.abs(dark - (255 - picture()[y, x].mean(-1))).max() <= 2


def test_older_store(tmp_path):
    from spatialdata._io.format import SpatialDataContainerFormatV01  # which has no public name

    visium().write(tmp_path / "old.zarr", sdata_formats=SpatialDataContainerFormatV01())
    assert (tmp_path / "old.zarr/.zgroup").exists()
    assert fits(read_source(tmp_path / "old.zarr", ImportOptions()))
    shutil.move(tmp_path / "old.zarr/tables", tmp_path / "old.zarr/table")  # as before spatialdata 0.1
    for path in (tmp_path / "old.zarr").glob(".zmetadata"):
        path.unlink()
    assert fits(read_source(tmp_path / "old.zarr", ImportOptions()))


# transformations


@pytest.mark.parametrize(
    "of_image",
    [
        Scale([0.25, 0.25], ("x", "y")),
        Sequence([Scale([0.25, 0.25], ("x", "y")), Translation([30.0, -40.0], ("x", "y"))]),
        Affine([[0, -2, 500], [2, 0, 7], [0, 0, 1]], ("x", "y"), ("x", "y")),
        Affine([[1, 0, 0], [0, -1, HEIGHT], [0, 0, 1]], ("x", "y"), ("x", "y")),
    ],
    ids=["micrometres", "moved", "turned", "mirrored"],
)
def test_centres_land_in_the_image(read, tissue, of_image):
    """Spots of a pipeline that has them in micrometres, or whose image is registered to them."""
    matrix = of_image.to_affine_matrix(("x", "y"), ("x", "y"))
    xy = slide().obsm["spatial"] @ matrix[:2, :2].T + matrix[:2, 2]
    scale = np.sqrt(abs(np.linalg.det(matrix[:2, :2])))
    spots = ShapesModel.parse(xy, geometry=0, radius=11 * scale, index=np.arange(54) + 100,
                              transformations={"global": Identity()})  # fmt: skip
    data = SpatialData(images={"he": image(systems={"global": of_image})}, shapes={"lib": spots}, tables={"t": table()})
    for file in (None, tissue):
        found = read(data, file)
        assert is_right(found, picture()) and found.r == pytest.approx(11)


def test_systems_that_disagree(read):
    """The default system of the unregistered image, beside that of the registered one."""
    systems = {"aligned": Translation([50, 0], ("x", "y")), "global": Identity()}
    spots = shapes(systems={"aligned": Identity(), "global": Identity()})
    data = SpatialData(images={"he": image(systems=systems)}, shapes={"lib": spots}, tables={"t": table()})
    told = refusal(read, data)
    assert "lib and he lie differently in the coordinate systems" in told and "'aligned'" in told and "'global'" in told
    data = SpatialData(
        images={"he": image(systems={"other": Identity()})}, shapes={"lib": shapes()}, tables={"t": table()}
    )
    assert "he (in no coordinate system that lib is in)" in refusal(read, data)
    data = SpatialData(images={"he": image(systems={"lib": Scale([1, 2], ("x", "y"))})}, shapes={"lib": shapes()},
                       tables={"t": table()})  # fmt: skip
    assert "stretches them 2 x more one way" in refusal(read, data)


# spots


def test_squares_polygons_and_labels(read):
    """As the reader of Visium HD has bins: squares, or pixels of labels; and circles that were made polygons."""
    circles = shapes()
    squares = ShapesModel.parse(GeoDataFrame(geometry=circles.buffer(11, cap_style="square")),
                                transformations={"lib": Identity()})  # fmt: skip
    rounds = to_polygons(shapes())
    for spots in (squares, rounds):
        data = visium()
        del data.shapes["lib"]
        data.shapes["lib"] = spots
        assert fits(found := read(data)) and found.r == pytest.approx(11, rel=0.01)
    painted = np.zeros((HEIGHT // 2, WIDTH // 2), int)
    for name, place in zip(circles.index, circles.geometry):
        y, x = round(place.y / 2), round(place.x / 2)
        painted[y - 5 : y + 6, x - 5 : x + 6] = name
    for scales in (None, [2]):
        data = visium()
        del data.shapes["lib"]
        data.labels["lib"] = Labels2DModel.parse(painted, ("y", "x"), scale_factors=scales,
                                                 transformations={"lib": Scale([2, 2], ("x", "y"))})  # fmt: skip
        found = read(data)
        where = pd.DataFrame(slide().obsm["spatial"], slide().obs_names).loc[found.barcodes].to_numpy()
        assert np.abs(np.stack([found.x, found.y], 1) - where).max() <= 2 and found.r == 11


def test_cells_and_points_are_no_spots(read, tmp_path):
    data = visium()
    data["lib"]["radius"] = np.linspace(3, 9, 54)
    assert "its 'lib' are shapes of many sizes, 6 to 18 across: cells, not spots" in refusal(read, data)
    data = visium()
    data.attrs["spatialdata_io_reader"] = "xenium"
    assert "is of xenium, by spatialdata-io's reader" in refusal(read, data)
    data.attrs["spatialdata_io_reader"] = "dbit"
    assert "is of dbit by its metadata" in refusal(read, data) and "--tech" in refusal(read, data)
    assert fits(read(data, tech="ST"))
    points = PointsModel.parse(np.zeros((3, 2)), transformations={"lib": Identity()})
    told = refusal(read, SpatialData(points={"transcripts": points}))
    assert "has no table of counts, but points transcripts; a slide needs a table" in told


def test_joined_by_instance(read):
    data = visium()
    data.shapes["lib"] = data.shapes["lib"].iloc[3:]
    lost = len(set(range(101, 154)) - set(data.shapes["lib"].index))
    assert f"has no coordinates, as have {lost} of 53" in refusal(read, data)
    found = read(data, on_mismatch="drop")
    assert fits(found, n=53 - lost) and found.left_out["spots without coordinates"] == lost
    data = visium()
    data["table"].obs["spot_id"] = data["table"].obs["spot_id"] + 1000
    told = refusal(read, data)
    assert "its 'lib' has " in told and "and none of the table's instances, 1100, 1101, 1102" in told
    data = visium()
    data["table"].obs["spot_id"] = 101
    assert "and the table has '101' twice" in refusal(read, data)


def test_several_samples(read):
    """Joined into one store and one table, as spatialdata.concatenate does."""
    both = concatenate([visium(0, "a"), visium(1, "b")], concatenate_tables=True)
    assert "has 2 slides, by what its tables annotate: a, b; name the one to take as library=" in refusal(read, both)
    assert "has no slide 'c', but a, b" in refusal(read, both, library="c")
    for name, seed in (("a", 0), ("b", 1)):
        found = read(both, library=name)
        assert fits(found) and (found.image[:, :] == picture(seed)).all()
        assert found.left_out["spots of other slides"] == 54


def test_two_tables_of_one_region(read):
    data = visium()
    data["raw"] = table()
    data["raw"].X = data["raw"].X * 2
    assert "2 slides, by what its tables annotate: raw/lib, table/lib; name" in refusal(read, data)
    found = read(data, library="raw/lib")
    assert (found.counts != 2 * read(data, library="table").counts).nnz == 0


def test_bins(read):
    """Of a store of Visium HD, which says its bins' size by its tables' names; the reader checks it."""
    data = visium()
    data.attrs["spatialdata_io_reader"] = "visium_hd"
    tables, spots = {}, {}
    for um, r in ((8, 11.0), (16, 22.0)):
        spots[f"lib_square_{um:03}um"] = shapes(radius=r)
        tables[f"square_{um:03}um"] = table(0, f"lib_square_{um:03}um")
    data = SpatialData(images=dict(data.images), shapes=spots, tables=tables, attrs=data.attrs)
    assert "lib_square_008um, lib_square_016um; name the one to take as library=" in refusal(read, data)
    for name in ("square_016um", "lib_square_016um"):
        found = read(data, library=name)
        assert fits(found) and found.tech == "VisiumHD" and found.um_per_px == 16 / 44 and found.r == 22


def test_several_images(read, tissue):
    data = visium()
    data.images["other"] = image(picture(2)[:100], {"lib": Translation([50, 20], ("x", "y"))})
    assert fits(read(data))  # the others are the sample's own by their names
    del data.images["lib_full_image"], data.images["lib_hires_image"]
    data.images["he"] = image()
    assert "has images of several places or sizes in the coordinate systems of lib: he, other; name the one" in refusal(
        read, data
    )
    assert fits(read(data, "he")) and is_right(read(data, tissue))


def test_images_that_are_no_he(read, tissue):
    """Channels of fluorescence, 16 bits, floats, alpha, and another order of colours."""
    stain = image(c_coords=["DAPI", "CD3", "CD20"])
    data = SpatialData(images={"if": stain}, shapes={"lib": shapes()}, tables={"t": table()})
    assert (
        "has an image of lib that is no RGB: if (channels dapi, cd3, cd20); pass the slide's image as image="
        in refusal(read, data)
    )
    assert is_right(read(data, tissue))
    data = SpatialData(shapes={"lib": shapes()}, tables={"t": table()})
    assert "has no image; pass the slide's image as image=" in refusal(read, data)
    assert is_right(read(data, tissue))
    bgra = np.dstack([picture()[..., ::-1], np.full((HEIGHT, WIDTH), 255, np.uint8)])
    for made, c_coords in ((bgra, ["b", "g", "r", "a"]), (picture() / np.float32(255), None)):
        data = SpatialData(
            images={"he": image(made, c_coords=c_coords)}, shapes={"lib": shapes()}, tables={"t": table()}
        )
        found = read(data)
        assert fits(found) and np.abs(found.image[:, :].astype(int) - picture()).max() <= 1
    for made, said in ((picture().astype(np.uint16), "uint16, not bytes"), (picture() * 1.0, "floats must be 0 to 1")):
        data = SpatialData(images={"he": image(made)}, shapes={"lib": shapes()}, tables={"t": table()})
        assert said in refusal(read, data)


def test_counts_as_of_any_anndata(read):
    data = visium()
    data["table"].layers["counts"] = data["table"].X.copy()
    data["table"].X = data["table"].X / 3
    assert "which is no raw count; pass layer=" in refusal(read, data)
    assert fits(read(data, layer="counts"))
    data = visium()
    data["table"].var["feature_types"] = ["Gene Expression"] * 3 + ["Antibody Capture"]
    data["table"].var["genome"] = ["GRCh38", "GRCh38", "mm10", ""]
    assert "has genes of 2 genomes: GRCh38 (2 genes), mm10 (1 genes); name one of them" in refusal(read, data)
    found = read(data, genome="GRCh38")
    assert fits(found) and found.genes == ["DARK", "EPCAM"]
    assert found.left_out["features of type Antibody Capture"] == 1 and found.left_out["genes of mm10"] == 1
    del data["table"].uns["spatialdata_attrs"]
    assert "has tables that annotate nothing: table, but images" in refusal(read, data)


def test_labels_of_a_file_alone(read, tissue):
    """No image tells which system has the file's pixels: the only one, or none of several."""
    painted = np.zeros((HEIGHT, WIDTH), int)
    for name, (x, y) in enumerate(slide().obsm["spatial"].round().astype(int), 100):
        painted[y - 5 : y + 6, x - 5 : x + 6] = name
    half = Scale([0.5, 0.5], ("x", "y"))
    for systems, fits_in in (({"lib": Identity()}, True), ({"lib": Identity(), "lib_downscaled_hires": half}, False)):
        labels = Labels2DModel.parse(painted, ("y", "x"), transformations=systems)
        data = SpatialData(labels={"lib": labels}, tables={"t": table()})
        if fits_in:
            assert read(data, tissue).r == 5.5
        else:
            assert (
                "lib is in the coordinate systems lib, lib_downscaled_hires, and no image of the store tells"
                in refusal(read, data, tissue)
            )
