"""`load` of a published folder: a panel's expression as the root gives it, and only the columns that are asked for."""

import shutil
from inspect import signature

import pyarrow.parquet as pq
import pytest
from datasets import Image
from datasets.distributed import split_dataset_by_node

import stimage_1k4m
from stimage.core.errors import DataError
from tests.building import BUILD
from tests.roots import write_slide
from tests.test_scripts import run

PANEL = ["ERBB2", "KRT8", "MKI67"]


def plain(spots) -> dict[str, dict]:
    """Return examples by spot id, with the bytes of their images."""
    if "image" in spots.features:
        spots = spots.cast_column("image", Image(decode=False))
    return {e["spot_id"]: e for e in spots}


def few(published, n: int = 0) -> str:
    table = pq.read_table(published / "slides.parquet").to_pylist()
    return [row["slide"] for row in table if row["species"] == "human"][n]


@pytest.mark.parametrize("normalise", ["counts", "log1p", "median-log1p", "original"])
@pytest.mark.parametrize("streaming", [True, False])
def test_a_panel_is_what_the_root_gives(sample, published, tmp_path, normalise, streaming):
    options = {"species": "human", "panel": PANEL, "normalise": normalise, "cache_dir": tmp_path}
    columns = ["expression", "spot_id", "x"]
    got = stimage_1k4m.load("Visium", published, None, streaming, columns=columns, **options)
    want = stimage_1k4m.load("Visium", sample, None, streaming, columns=columns, **options)
    assert got.keys() == want.keys()
    for split in want:
        assert list(got[split].features) == list(want[split].features) == ["spot_id", "x", "expression"]
        assert got[split].features == want[split].features
        assert plain(got[split]) == plain(want[split])


@pytest.mark.skipif("strategy" not in signature(split_dataset_by_node).parameters, reason="batches need datasets 5.1")
def test_all_columns_and_shuffled_batches(sample, published):
    from stimage.loading.batches import spot_loader

    spots = stimage_1k4m.load("Visium", published, panel=PANEL, species="human")
    want = plain(stimage_1k4m.load("Visium", sample, panel=PANEL, species="human", image_format="png"))
    assert plain(spots) == want
    seen = {}
    for batch in spot_loader(spots.shuffle(seed=1, buffer_size=20), 16, image_size=8):
        seen |= dict(zip(batch.spot_ids, batch.expression.tolist()))
    assert seen == {spot: e["expression"] for spot, e in want.items()}
    assert plain(stimage_1k4m.load("Visium", published, slides=few(published, 1)).select_columns(["spot_id"]))


def test_names_of_genes_go_along(sample, published):
    spots = stimage_1k4m.load("ST", published)
    assert stimage_1k4m.gene_names(spots) == stimage_1k4m.gene_names(published)


def test_other_columns_are_not_read(published, tmp_path):
    """Damage of all pages but those of the columns that are asked for shows in no example."""
    folder = shutil.copytree(published, tmp_path / "out")
    whole = stimage_1k4m.load("ST", published, slides=few(published), panel=PANEL, columns=["expression", "x"])
    for path in folder.glob("data/ST/*/*.parquet"):
        content, meta = bytearray(path.read_bytes()), pq.ParquetFile(path).metadata
        for group in range(meta.num_row_groups):
            for k in range(meta.num_columns):
                column = meta.row_group(group).column(k)
                start = column.dictionary_page_offset or column.data_page_offset
                if column.path_in_schema.partition(".")[0] not in ("slide", "gene_ids", "counts", "x"):
                    content[start : start + column.total_compressed_size] = b"\xff" * column.total_compressed_size
        path.write_bytes(content)
    part = stimage_1k4m.load("ST", folder, slides=few(published), panel=PANEL, columns=["expression", "x"])
    assert list(part) == list(whole) and len(list(part)) > 10
    with pytest.raises(Exception, match=r"Parquet|page|Corrupt|Thrift|thrift"):
        list(stimage_1k4m.load("ST", folder, slides=few(published), columns=["tissue"]))


def test_what_cannot_be(published):
    for options, error, words in (
        ({"panel": ["ERBB2", "NOPE"]}, DataError, r"genes.parquet: lacks 1 of the panel's 2 genes: NOPE"),
        ({"columns": ["label"]}, ValueError, "columns= has 'label': name some of spot_id"),
        ({"columns": ["expression"]}, ValueError, "columns= has 'expression': name some of"),
        ({"columns": ["counts"], "panel": PANEL}, ValueError, "columns= has 'counts'"),
        ({"normalise": "log1p"}, ValueError, "pass panel= too"),
        ({"patch": {"um": 64, "px": 32}}, ValueError, r"patch=: .* is a published folder, so its patches are cut"),
        ({"split_by": "slide"}, ValueError, r"split_by=: .* is a published folder"),
        ({"slides": "nobody"}, DataError, "has no slide 'nobody'"),
        (
            {"split": "test", "slides": few(published)},
            DataError,
            "but in train; pass one of these as split=",
        ),
    ):
        with pytest.raises(error, match=words):
            stimage_1k4m.load("all", published, **options)


def test_a_gene_that_a_slide_may_lack(tmp_path):
    """Published spots do not say which genes without a count a slide has: where that matters, it is told."""
    for seed, name in enumerate("AB"):
        write_slide(tmp_path / "root", name, "ST", seed=seed)
    counts = tmp_path / "root/ST/gene_exp/B_count.csv"
    counts.write_text(counts.read_text().replace("CD3E", "OTHER"))
    assert run(BUILD, tmp_path / "root", tmp_path / "out").returncode == 0
    panel = {"panel": ["CD3E", "ERBB2"]}
    got, want = (plain(stimage_1k4m.load("ST", tmp_path / one, slides="A", **panel)) for one in ("out", "root"))
    assert [e["expression"] for e in got.values()] == [e["expression"] for e in want.values()]
    with pytest.raises(DataError, match=r"B-.*: no spot has a count of 1 of the panel's 2 genes.*: CD3E; leave these"):
        list(stimage_1k4m.load("ST", tmp_path / "out", **panel))
