"""What is dropped takes part in nothing; and odd inputs get a stated answer, streamed, prepared and published."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import load_dataset

import stimage_1k4m
from stimage.core.errors import DataError
from stimage.examples.opening import Opening
from stimage.slides.catalog import read_catalog
from stimage.slides.images.patches import Patch
from tests.roots import write_csv, write_slide
from tests.test_bad_input import COORD, COUNTS, edit, refused
from tests.test_scripts import run

ANNOTATION = "annotation/Slide_A_anno.csv"


def load(root, streaming=True, **options):
    return load_dataset("stimage_1k4m", "ST", data_dir=str(root), split="train", streaming=streaming, **options)


def labels(root, **options) -> dict[str, str | None]:
    return {e["spot_id"]: e["annotation"] for e in load(root, **options)}


@pytest.mark.parametrize("normalise", ["median-log1p", "original"])
def test_the_median_is_of_the_spots_that_are_kept(tmp_path, normalise):
    write_slide(tmp_path / "whole", "Slide_A", "ST", side=4)
    write_slide(tmp_path / "few", "Slide_A", "ST", side=4)
    for part in (COORD, COUNTS):
        lines = (tmp_path / "whole" / part).read_text().splitlines()
        (tmp_path / "few" / part).write_text("\n".join(lines[:1] + [line for line in lines if "_0x" in line]) + "\n")
    (tmp_path / "whole" / COORD).write_text((tmp_path / "few" / COORD).read_text())
    lines = (tmp_path / "whole" / COUNTS).read_text().splitlines()  # the dropped have a thousand times as much
    lines = [line if "_0x" in line or line[0] == "," else line.split(",")[0] + ",900,900,900,900" for line in lines]
    (tmp_path / "whole" / COUNTS).write_text("\n".join(lines) + "\n")
    options = {"panel": ["ERBB2", "CD3E"], "normalise": normalise}
    want = {e["spot_id"]: e["expression"] for e in load(tmp_path / "few", **options)}
    assert {e["spot_id"]: e["expression"] for e in load(tmp_path / "whole", on_mismatch="drop", **options)} == want
    assert len(want) == 4 and any(value for values in want.values() for value in values)
    for root, more in (("few", []), ("whole", ["--on-mismatch", "drop"])):
        out = tmp_path / f"{root}.h5ad"
        panel = tmp_path / "panel.txt"
        panel.write_text("ERBB2\nCD3E\n")
        done = run("data_process/export_slides.py", tmp_path / root, "--one-file", "--out", out, "--panel", panel,
                   "--normalise", normalise, *more)  # fmt: skip
        assert done.returncode == 0, done.stderr
    import anndata

    few, whole = (anndata.read_h5ad(tmp_path / f"{root}.h5ad") for root in ("few", "whole"))
    assert np.array_equal(few.X.toarray(), whole.X.toarray())
    assert few.X.toarray().tolist() == [want[spot] for spot in few.obs_names]


def test_the_scale_is_of_the_spots_that_are_kept(tmp_path):
    write_slide(tmp_path, "Slide_A", "ST", side=7)
    want = {e["um_per_px"] for e in load(tmp_path)}
    lines = (tmp_path / COORD).read_text().splitlines()
    strange = [f"Other_{i}x{j},{300 + 7 * i},{300 + 7 * j},1" for i in range(12) for j in range(12)]
    (tmp_path / COORD).write_text("\n".join([*lines, *strange]) + "\n")
    assert {e["um_per_px"] for e in load(tmp_path, on_mismatch="drop")} == want != {None}


def test_a_label_of_a_dropped_spot_is_no_strange_one(tiny, caplog):
    write_csv(tiny / ANNOTATION, [["", "V2"], ["Slide_A_1x1", "tumor"], ["Slide_A_0x0", "fat"]])
    edit(tiny / COORD, "Slide_A_1x1,40.0,40.0", "Slide_A_1x1,40.0,400.0")
    assert labels(tiny, on_mismatch="drop")["Slide_A_0x0"] == "fat"
    assert "labels are of spots" not in caplog.text and "left out" in caplog.text


def for_another(path):
    """Make a count file that of other spots."""
    path.write_text(path.read_text().replace(path.name.removesuffix("count.csv"), "Other_"))


@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize("why", ["panel", "scale", "spots", "files"])
def test_all_slides_dropped_is_one_error(tmp_path, streaming, why):
    for name in ("Slide_A", "Slide_B"):
        write_slide(tmp_path, name, "ST")
        if why == "spots":
            for_another(tmp_path / f"ST/gene_exp/{name}_count.csv")
        if why == "files":
            (tmp_path / f"ST/image/{name}.png").unlink()
    options = {"panel": {"panel": ["NOPE"]}, "scale": {"patch": {"um": 100, "px": 80}}}.get(why, {})
    with pytest.raises(DataError) as caught:
        list(load(tmp_path, streaming, on_mismatch="drop", **options))
    message = str(caught.value)
    assert message.startswith("nothing is left: on_mismatch='drop' leaves out all 2 slides: ")
    assert "Slide_A" in message and "Slide_B" in message
    assert {"panel": "NOPE", "scale": "would up-sample", "spots": "no spot is left", "files": "is missing"}[
        why
    ] in message


def test_the_slide_that_was_left_is_looked_at_again_when_its_files_change(tmp_path):
    for name in ("Slide_A", "Slide_B"):
        write_slide(tmp_path, name, "ST")
    for_another(tmp_path / COUNTS)
    opening, slides = Opening(Patch(), on_mismatch="drop"), read_catalog(tmp_path).slides
    for _ in range(2):
        assert [slide.name for slide in opening.kept(slides)] == ["Slide_B"]
    for_another(tmp_path / "ST/gene_exp/Slide_B_count.csv")
    with pytest.raises(DataError, match=r"nothing is left: .* all 2 slides"):
        opening.kept(slides)


def drop_one_of_three(root):
    for name in ("Slide_A", "Slide_B", "Slide_C"):
        write_slide(root, name, "ST")
    path = root / "ST/gene_exp/Slide_A_count.csv"
    path.write_text(path.read_text().replace("CD3E", "OTHER"))


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_a_worker_whose_slides_are_all_dropped_gives_none(tmp_path, workers):
    drop_one_of_three(tmp_path)
    dataset = load(tmp_path, panel=["CD3E"], on_mismatch="drop", columns=["slide"])
    assert dataset.num_shards == 3
    loaders = pytest.importorskip("torch.utils.data")
    loader = loaders.DataLoader(dataset, batch_size=None, num_workers=workers)
    assert sorted(e["slide"] for e in loader) == ["Slide_B"] * 9 + ["Slide_C"] * 9


@pytest.mark.parametrize("processes", [1, 3])
def test_a_process_whose_slides_are_all_dropped_prepares_none(tmp_path, processes):
    drop_one_of_three(tmp_path)
    options = {"panel": ["CD3E"], "on_mismatch": "drop", "num_proc": processes, "cache_dir": str(tmp_path / "cache")}
    assert sorted(load(tmp_path, False, **options)["slide"]) == ["Slide_B"] * 9 + ["Slide_C"] * 9


def twins(root):
    """Write two slides whose files have the same ids."""
    for name, seed in (("Slide_A", 0), ("Slide_B", 1)):
        write_slide(root, name, "ST", side=5, seed=seed)
        anno = [["", "V2"], *([f"{i}x{j}", f"{name} {'low' if i < 2 else 'high'}"] for i in range(5) for j in range(5))]
        write_csv(root / f"annotation/{name}_anno.csv", anno)
        for part in (f"ST/coord/{name}_coord.csv", f"ST/gene_exp/{name}_count.csv"):
            (root / part).write_text((root / part).read_text().replace(f"{name}_", ""))


@pytest.mark.slow
def test_equal_ids_on_two_slides_become_unique(tmp_path):
    root = tmp_path / "root"
    twins(root)
    rows = list(load(root))
    ids = [e["spot_id"] for e in rows]
    assert len(set(ids)) == 50 and {"Slide_A_0x0", "Slide_B_4x4"} < set(ids)
    assert all(e["annotation"].startswith(e["slide"]) for e in rows)
    names = stimage_1k4m.gene_names(root)
    for slide in ("Slide_A", "Slide_B"):
        counts = pd.read_csv(root / f"ST/gene_exp/{slide}_count.csv", index_col=0)
        for e in rows:
            if e["slide"] == slide:
                row = counts.loc[e["spot_id"].removeprefix(f"{slide}_")]
                assert {names[i]: c for i, c in zip(e["gene_ids"], e["counts"])} == row[row > 0].to_dict()
    assert load(root, False, cache_dir=str(tmp_path / "cache"))["spot_id"][:] == ids
    done = run("data_process/build_shards.py", root, tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert load_dataset(str(tmp_path / "out"), "ST", split="train")["spot_id"][:] == ids
    done = run("data_process/export_slides.py", root, "--one-file", "--out", tmp_path / "both.h5ad")
    assert done.returncode == 0, done.stderr
    import anndata

    both = anndata.read_h5ad(tmp_path / "both.h5ad")
    assert sorted(both.obs_names) == sorted(ids) and both.obs["annotation"].str.startswith("Slide_").all()


@pytest.mark.slow
def test_scores_of_slides_with_equal_ids(tmp_path):
    pytest.importorskip("torch")
    twins(tmp_path / "root")
    rows, rng = list(load(tmp_path / "root")), np.random.default_rng(0)
    table = {name: [e[name] for e in rows] for name in ("spot_id", "slide")}
    table["embedding"] = [[float(e["y"] > 50) + rng.normal(0, 0.1), float(e["x"])] for e in rows]
    pq.write_table(pa.table(table), tmp_path / "embeddings.parquet")
    common = ("--embeddings", tmp_path / "embeddings.parquet", "--root", tmp_path / "root", "--out", tmp_path / "out")
    done = run("evaluation/embedding_scores.py", *common)
    assert done.returncode == 0, done.stderr + done.stdout
    done = run("evaluation/predict_expression.py", *common, "--protocol", "original", "--gene", "ERBB2")
    assert done.returncode == 0, done.stderr + done.stdout


def test_the_name_of_another_slide_is_no_prefix(tmp_path):
    for name in ("A1", "A10"):
        write_slide(tmp_path, name, "ST")
    path = tmp_path / "ST/coord/A1_coord.csv"  # its files have the ids of A10
    path.write_text(path.read_text().replace("A1_", "A10_"))
    path = tmp_path / "ST/gene_exp/A1_count.csv"
    path.write_text(path.read_text().replace("A1_", "A10_"))
    ids = [e["spot_id"] for e in load(tmp_path)]
    assert len(set(ids)) == 18 and "A1_A10_0x0" in ids and "A10_0x0" in ids


def test_ids_that_begin_with_the_name_in_other_letters_stay(tmp_path):
    write_slide(tmp_path, "Slide_VisiumHD", "ST")
    edit(tmp_path / "meta/meta_all_gene.csv", "Slide_VisiumHD", "Slide_VIsiumHD")
    assert {e["spot_id"] for e in load(tmp_path)} == {f"Slide_VisiumHD_{i}x{j}" for i in range(3) for j in range(3)}


def test_ids_of_the_real_slides_stay(shared):
    rows = load(shared / "real", columns=["spot_id", "slide"])
    want = {spot for file in (shared / "real/ST/coord").iterdir() for spot in pd.read_csv(file, index_col=0).index}
    assert {e["spot_id"] for e in rows} == want


def test_a_spot_that_is_labelled_twice(tiny):
    same = [["", "V2"], ["Slide_A_1x1", "tumor"], ["Slide_A_1x1", " tumor "]]
    write_csv(tiny / ANNOTATION, same)
    assert labels(tiny)["Slide_A_1x1"] == "tumor"
    write_csv(tiny / ANNOTATION, [*same, ["Slide_A_1x1", "fat"]])
    refused(tiny, ANNOTATION, "row 4", "'Slide_A_1x1'", "has two labels, 'tumor' and 'fat'")
    done = run("data_collection/check_spots.py", tiny, "--out", tiny / "out")
    assert done.returncode == 1 and "has two labels" in (tiny / "out/findings.csv").read_text()


def test_what_is_no_label(tiny):
    write_csv(tiny / ANNOTATION, [["", "V2"], ["Slide_A_0x0", "NA"], ["Slide_A_0x1", "  "], ["Slide_A_0x2", ""],
                                  ["Slide_A_1x1", "Nat"]])  # fmt: skip
    found = labels(tiny)
    assert {spot for spot, label in found.items() if label} == {"Slide_A_1x1"} and found["Slide_A_0x0"] is None


def test_columns_of_labels_that_occur_twice(tiny):
    write_csv(tiny / ANNOTATION, [["", "V2", "V2"], ["Slide_A_0x0", "a", "b"]])
    refused(tiny, ANNOTATION, "two columns of one name")


def test_a_radius_that_cannot_be(tiny, caplog):
    edit(tiny / COORD, "Slide_A_1x1,40.0,40.0,5.0", "Slide_A_1x1,40.0,40.0,400000")
    refused(tiny, COORD, "'Slide_A_1x1'", "line 6", "400000", "median is 5", "on_mismatch='drop'")
    refused(tiny, COORD, "'Slide_A_1x1'", columns=["counts"])
    spots = [e["spot_id"] for e in load(tiny, on_mismatch="drop")]
    assert len(spots) == 8 and "Slide_A_1x1" not in spots and "400000" in caplog.text
    done = run("data_collection/check_spots.py", tiny, "--out", tiny / "out")
    assert done.returncode == 1 and "more than 10 times the median" in (tiny / "out/findings.csv").read_text()


def test_squares_larger_than_the_image(tiny):
    path = tiny / COORD
    path.write_text(path.read_text().replace(",5.0", ",45.1"))  # of an image of 90 x 80
    refused(tiny, COORD, "45.1", "line 2")
    path.write_text(path.read_text().replace(",45.1", ",45.0"))
    assert len(list(load(tiny))) == 9


def test_a_spot_without_an_id(tiny):
    edit(tiny / COORD, "Slide_A_1x1,", ",")
    refused(tiny, COORD, "line 6", "has no id")


def test_a_coordinate_that_the_file_has_twice(tiny):
    path = tiny / COORD
    path.write_text("\n".join(f"{line},{'r' if i == 0 else 7}" for i, line in enumerate(path.read_text().splitlines())))
    refused(tiny, COORD, "two columns 'r'")


@pytest.mark.parametrize("number", ["3²", "", "many", "1.5", "-4", "٣"])
def test_a_number_of_spots_that_is_none(tiny, number):
    edit(tiny / "meta/meta_all_gene.csv", ",9,4", f",{number},4")
    assert len(list(load(tiny))) == 9


def test_a_slide_without_a_spot_left_is_published_without(tmp_path):
    """As the builder leaves it out, with the reason in the table of slides."""
    root, out = tmp_path / "root", tmp_path / "out"
    for name in ("Slide_A", "Slide_B"):
        write_slide(root, name, "ST")
    coord = root / "ST/coord/Slide_B_coord.csv"
    coord.write_text(coord.read_text().replace("Slide_B_", "Slide_B_other_"))
    done = run("data_process/build_shards.py", root, out, "--on-mismatch", "drop")
    assert done.returncode == 0 and "slide left out" in done.stderr
    rows = {row["slide"]: row for row in pq.read_table(out / "slides.parquet").to_pylist()}
    assert rows["Slide_A"]["spots"] == 9 and rows["Slide_A"]["left_out"] is None
    assert rows["Slide_B"]["spots"] is None and "no spot is left" in rows["Slide_B"]["left_out"]
    published = load_dataset(str(out), split="train", streaming=True)
    assert {spot["slide"] for spot in published} == {"Slide_A"}
    again = run("data_process/build_shards.py", root, out, "--on-mismatch", "drop")
    assert "2 shards, 0 to make" in again.stderr
    refused = run("data_process/build_shards.py", root, tmp_path / "other")
    assert refused.returncode and "Slide_B_other_" in refused.stderr
