"""What needs counts refuses an image alone by name, with a remedy that works; all else takes it."""

import anndata
import numpy as np
import pyarrow.parquet as pq
import pytest
from datasets import interleave_datasets, load_dataset

import stimage
import stimage_1k4m
from stimage.core.errors import DataError
from stimage.loading import spot_loader
from tests.alone import mixed, write_alone
from tests.roots import write_slide
from tests.test_scripts import run

REMEDY = r"Slide_B; leave such slides out by exclude= \(--exclude\)"


@pytest.fixture
def root(tmp_path):
    return mixed(tmp_path / "root")


@pytest.fixture
def out(root, tmp_path):
    stimage.publish(root, tmp_path / "out")
    return tmp_path / "out"


def test_the_list_of_slides_tells(root, out):
    for where in (root, out):
        assert stimage.list_slides(where).genes.to_dict() == {"Slide_A": 4, "Slide_B": 0, "Slide_C": 4}
    assert (stimage.list_slides(root).problem == "").all()


def test_read_alone_as_anndata(root, tmp_path):
    adata = stimage.read_slide(root, "Slide_B")
    assert adata.shape == (9, 0) and adata.obsm["spatial"].shape == (9, 2)
    assert adata.uns["spatial"]["Slide_B"]["images"]["hires"].shape == (80, 90, 3)
    done = run("data_process/export_slides.py", root, "--out", tmp_path / "h5ad")
    assert done.returncode == 0, done.stderr
    written = anndata.read_h5ad(tmp_path / "h5ad/Slide_B.h5ad")
    assert written.shape == (9, 0) and written.obs_names.equals(adata.obs_names)
    assert anndata.read_h5ad(tmp_path / "h5ad/Slide_A.h5ad").shape == (9, 4)
    with pytest.raises(DataError, match="has no genes, as that of an image alone, whose image file is what to add"):
        stimage.add_slide(tmp_path / "h5ad/Slide_B.h5ad", tmp_path / "again", "Slide_B")


@pytest.mark.parametrize("options", [{"panel": ["ESR1"]}, {"slide": ["Slide_A", "Slide_B"]}])
def test_no_anndata_of_it_with_genes(root, options):
    with pytest.raises(DataError, match="images alone have none: Slide_B; read images alone without panel="):
        stimage.read_slide(root, **({"slide": "Slide_B"} | options))


def test_choosing_genes(root):
    with pytest.raises(DataError, match=f"choosing genes needs counts.*{REMEDY}"):
        stimage.select_genes(root, "overlap-hvg", 2)
    without = stimage.open_root(root, exclude="Slide_B")
    assert len(stimage.select_genes(without, "overlap-hvg", 2).genes) == 2
    with pytest.raises(DataError, match=REMEDY):
        stimage.select_genes(without, "overlap-hvg", 2, held_out="Slide_B")


def test_converting_counts_leaves_it(root, caplog):
    assert [one.slide for one in stimage.convert_counts(root, "h5")] == ["Slide_A", "Slide_C"]
    assert "images alone have no counts, and stay as they are: Slide_B" in caplog.text
    with pytest.raises(DataError, match="Slide_B; name other slides"):
        stimage.convert_counts(stimage.open_root(root, slides="Slide_B"), "csv")


def test_checks_that_need_counts_are_skipped(root, tmp_path):
    found = stimage.check(root, tmp_path / "checked")
    mine = found[found.slide == "Slide_B"].set_index("check")
    skipped = {"ids", "duplicates", "counts", "empty spots", "library", "mitochondrial", "genes", "meta"}
    assert set(mine.index[mine.message == "an image alone has no counts"]) == skipped
    assert (mine.status[list(skipped)] == "skipped").all() and mine.status["files"] == "pass"
    assert mine.status["inside"] == "pass" and (tmp_path / "checked/pictures/Slide_B.jpg").exists()
    assert not (found.status[found.check == "twins"] == "warn").any()


def test_a_check_fails_where_the_loader_would(root):
    with (root / "ST/coord/Slide_B_coord.csv").open("a") as file:
        file.write("Slide_B_0x0,20,20,5\n")
    found = stimage.check(stimage.open_root(root, slides="Slide_B")).set_index("check")
    assert found.status["files"] == "fail" and "occurs more than once" in found.message["files"]


def test_its_contact_sheet(root, tmp_path):
    done = run("data_process/show_spots.py", root, "--slide", "Slide_B", "--out", tmp_path)
    assert done.returncode == 0 and "genes       0" in done.stdout, done.stderr
    assert (tmp_path / "Slide_B.png").exists()


def test_published(root, out):
    spots = load_dataset(str(out), "ST", split="train")
    null = np.array([one is None for one in spots["counts"]])
    assert (null == (np.array(spots["slide"]) == "Slide_B")).all() and null.sum() == 9
    (shard,) = (out / "data/ST/train").glob("Slide_B-*")
    plain = load_dataset("parquet", data_files=str(shard), split="train", streaming=True)
    other = load_dataset("parquet", data_files=str(shard).replace("Slide_B", "Slide_A"), split="train", streaming=True)
    told = [one["gene_ids"] is None for one in interleave_datasets([plain, other])]
    assert told[:4] == [True, False, True, False]
    rows = {row["slide"]: row for row in pq.read_table(out / "slides.parquet").to_pylist()}
    assert [rows[name]["genes"] for name in ("Slide_A", "Slide_B")] == [4, 0] and rows["Slide_B"]["spots"] == 9
    assert {row["slides"] for row in pq.read_table(out / "genes.parquet").to_pylist()} == {2}
    card = (out / "README.md").read_text()
    assert "27 spots of 3 tissue slides" in card and "null on 1 slide that is an image alone" in card


def test_two_images_alone_in_two_splits_do_not_share_counts(tmp_path):
    root = tmp_path / "root"
    for seed, name in enumerate(("Slide_A", "Slide_B")):
        write_slide(root, name, "ST", seed=seed, meta={"gene_num": "0"})
        (root / f"ST/gene_exp/{name}_count.csv").unlink()
    splits = {"Slide_A": "train", "Slide_B": "test"}
    stimage.publish(stimage.open_root(root, splits=splits), tmp_path / "out")
    assert load_dataset(str(tmp_path / "out"), "ST", split="test")["counts"] == [None] * 9


@pytest.mark.parametrize("panel", [None, ["ESR1"]])
def test_batches_have_no_null(root, panel):
    spots = stimage_1k4m.load("ST", root, panel=panel)
    with pytest.raises(DataError, match="slide Slide_B is an image alone; leave it out by exclude=, or load columns="):
        list(spot_loader(spots, 4, workers=0, image_size=8))
    images = stimage_1k4m.load("ST", root, columns=["spot_id", "slide", "annotation", "image"])
    assert sum(len(batch) for batch in spot_loader(images, 4, workers=0, image_size=8)) == 27


def test_making_the_meta_file_anew_keeps_what_it_is(root):
    meta = root / "meta/meta_all_gene.csv"
    done = run("data_collection/make_meta.py", root, "--allow-unknown", "--out", meta)
    assert done.returncode == 0, done.stderr
    table = stimage.list_slides(root)
    assert table.genes["Slide_B"] == 0 and table.spots["Slide_B"] == 9 and (table.problem == "").all()


def test_training_and_the_demo_refuse_it(tmp_path):
    write_alone(tmp_path / "alone", "Slide_B")
    done = run("demo.py", tmp_path / "alone", "--out", tmp_path / "demo")
    assert done.returncode == 1 and "the demo needs counts, and images alone have none: Slide_B" in done.stderr
    with pytest.raises(DataError, match=r"training needs counts, and images alone have none: Slide_B; .* exclude"):
        stimage.finetune(tmp_path / "alone", tmp_path / "run", panel=["ESR1"], image="configs/finetune/tiny_clip",
                         pretrained=False)  # fmt: skip
