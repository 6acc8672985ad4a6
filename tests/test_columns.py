"""`columns=`: the same spots, of which only what is asked for is read."""

import io

import pyarrow.parquet as pq
import pytest
from datasets import load_dataset
from PIL import Image

import stimage_1k4m
from stimage.core.errors import DataError
from stimage.examples import options
from stimage.slides import spots
from tests.roots import write_csv, write_slide
from tests.test_bad_input import COORD, COUNTS, IMAGE, edit
from tests.test_builder import FIELDS

ANNOTATION = "annotation/Slide_A_anno.csv"


def comparable(example: dict) -> dict:
    return {key: value.tobytes() if key == "image" else value for key, value in example.items()}


def load(root, streaming=True, **options):
    return load_dataset("stimage_1k4m", "ST", data_dir=str(root), split="train", streaming=streaming, **options)


@pytest.fixture
def root(tiny):
    write_csv(tiny / ANNOTATION, [["", "V2"], ["Slide_A_1x1", "tumor"]])
    return tiny


@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize(
    "columns",
    [["image"], ["counts"], ["gene_ids"], ["counts", "slide", "image"], ["annotation", "spot_id"], ["x"], FIELDS],
)
def test_a_column_is_what_it_is_among_all(root, tmp_path, streaming, columns):
    cache = str(tmp_path / "cache")
    part, whole = (load(root, streaming, cache_dir=cache, **options) for options in ({"columns": columns}, {}))
    names = [name for name in FIELDS if name in columns]
    assert list(part.features) == names
    assert [comparable(e) for e in part] == [comparable(e) for e in whole.select_columns(names)]


def test_a_panels_column(root):
    panel = {"panel": ["ERBB2", "CD3E"], "normalise": "median-log1p"}
    want = [e["expression"] for e in load(root, **panel)]
    assert [e["expression"] for e in load(root, columns=["expression"], **panel)] == want
    assert [e["spot_id"] for e in load(root, columns="spot_id", **panel)] == [e["spot_id"] for e in load(root)]


@pytest.mark.parametrize("columns", [[], ["image", "label"], ["expression"], "images", 5, True])
def test_names_that_are_none(root, columns):
    with pytest.raises(ValueError, match=r"name some of spot_id, slide, tech, .*image, gene_ids, counts"):
        load(root, columns=columns)


def test_without_counts_none_is_read_and_no_gene_is_numbered(root, monkeypatch):
    want = [e["image"].tobytes() for e in load(root)]
    edit(root / COUNTS, ",ERBB2,", ",,")  # a name that no vocabulary takes twice
    (root / COUNTS).write_text((root / COUNTS).read_text().replace(",0", ",x").replace(",1", ",x"))
    with pytest.raises(DataError):
        list(load(root))

    def fail(*_):
        raise AssertionError("genes are numbered")

    monkeypatch.setattr(options, "root_vocabulary", fail)
    monkeypatch.setattr(stimage_1k4m, "load_vocabulary", fail)
    monkeypatch.setattr(spots, "rows_at", fail)
    assert [e["image"].tobytes() for e in load(root, columns=["image", "annotation"])] == want


def test_without_image_it_is_not_opened(root):
    want = [e["counts"] for e in load(root)]
    (root / IMAGE).write_bytes(b"no image")
    assert [e["counts"] for e in load(root, columns=["counts"])] == want
    with pytest.raises(DataError, match="is no PNG, JPEG or TIFF"):  # to know which spots lie outside
        list(load(root, columns=["counts"], on_mismatch="drop"))


def test_without_annotation_its_file_is_not_read(root):
    (root / ANNOTATION).write_text("spot\n")
    assert len(list(load(root, columns=["image", "counts"]))) == 9
    with pytest.raises(DataError, match="no column 'V2'"):
        list(load(root, columns=["annotation"]))


@pytest.mark.parametrize("columns", [["image"], ["counts"], ["x"], None])
def test_which_spots_come_does_not_depend_on_it(tmp_path, columns):
    for name in ("Slide_A", "Slide_B"):
        write_slide(tmp_path, name, "ST")
    edit(tmp_path / COUNTS, "Slide_A_1x1,", "Slide_A_9x9,")
    edit(tmp_path / COORD, "Slide_A_0x0,20.0,20.0", "Slide_A_0x0,20.0,400.0")
    (tmp_path / "ST/gene_exp/Slide_B_count.csv").write_text(
        (tmp_path / "ST/gene_exp/Slide_B_count.csv").read_text().replace("CD3E", "OTHER")
    )
    columns = columns and [*columns, "spot_id"]
    assert len(list(load(tmp_path, on_mismatch="drop", columns=columns))) == 16
    kept = load(tmp_path, on_mismatch="drop", panel=["CD3E"], columns=None if columns is None else ["spot_id"])
    assert len(list(kept)) == 7
    with pytest.raises(DataError, match="has no row in"):
        list(load(tmp_path, columns=columns))


def test_selecting_of_streamed_prepared_and_published(root, tmp_path):
    want = [e["counts"] for e in load(root)]
    chosen = ["counts", "spot_id"]
    assert [e["counts"] for e in load(root, columns=["spot_id", "counts", "image"]).select_columns(chosen)] == want
    prepared = load(root, False, cache_dir=str(tmp_path / "cache"), columns=["image", "counts", "spot_id"])
    assert prepared.select_columns(chosen)["counts"][:] == want
    prepared.to_parquet(str(tmp_path / "spots.parquet"))
    again = load_dataset("parquet", data_files=str(tmp_path / "spots.parquet"), split="train", columns=["counts"])
    assert again["counts"][:] == want
    table = pq.read_table(tmp_path / "spots.parquet")
    assert table.column_names == ["spot_id", "image", "counts"]
    Image.open(io.BytesIO(table["image"][0]["bytes"].as_py())).verify()


def test_workers_and_shuffling(root):
    loaders = pytest.importorskip("torch.utils.data")
    dataset = load(root, columns=["counts", "spot_id"])
    loaded = loaders.DataLoader(dataset.shuffle(seed=0, buffer_size=4), batch_size=None, num_workers=1)
    assert {e["spot_id"]: e["counts"] for e in loaded} == {e["spot_id"]: e["counts"] for e in load(root)}
