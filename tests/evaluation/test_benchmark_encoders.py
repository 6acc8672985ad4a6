"""Encoders of a benchmark: embeddings that are there, untrained look-alikes, joint spaces, and what a plan tells."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

import stimage
from stimage.core.errors import DataError
from stimage.jobs.benchmarks.encoders import list_encoders
from stimage.jobs.benchmarks.running import open_benchmark
from stimage.jobs.benchmarks.tabulating import by_unit
from stimage.towers.image_towers import load_tower
from tests.building import once
from tests.evaluation.scripts import embed, run
from tests.evaluation.test_hest_bench import write_bench
from tests.evaluation.towers import make_tower
from tests.roots import write_slide

PREDICTION = """\
job: predict
each: {tissue: any, slides: 2}
options: {protocol: fixed, split: slide, panel: [ERBB2, ESR1]}
metric: pooled.pearson
baselines: {gene mean: pooled.baselines.gene_mean.pearson}
"""


@pytest.fixture(scope="session")
def folder(tmp_path_factory) -> Path:
    """A root of three slides, a task of it, and a tiny CLIP."""

    def build(folder: Path) -> None:
        for k in range(3):
            write_slide(folder / "root", f"S{k}", "ST", side=5, seed=k)
        (folder / "genes.yaml").write_text(PREDICTION)
        make_tower("clip", folder / "clip")

    return once(tmp_path_factory, "encoders", build)


def bench(folder: Path, encoders, out: Path, **options) -> pd.DataFrame:
    return stimage.benchmark_root(folder / "root", encoders, out, folder / "genes.yaml", **options)


def test_embeddings_that_are_there_are_an_encoder(folder, tmp_path):
    files = embed(folder / "root", tmp_path / "mine")
    found = bench(folder, files, tmp_path / "out")
    assert found.encoder.tolist() == [str(files), "gene mean"] and not (tmp_path / "out/embeddings").exists()
    expected = stimage.predict(folder / "root", files, "fixed", "slide", panel=["ERBB2", "ESR1"])
    assert found.value[0] == expected.overall["pooled"]["pearson"]["mean"]
    pd.concat([pd.read_parquet(path) for path in sorted(files.glob("*.parquet"))]).to_parquet(tmp_path / "one.parquet")
    assert bench(folder, tmp_path / "one.parquet", tmp_path / "other").value[0] == found.value[0]
    table = pd.read_parquet(tmp_path / "one.parquet").set_index("spot_id")["embedding"]
    pd.DataFrame(np.stack(table), table.index).to_csv(tmp_path / "spots_&_%.csv")  # as documented: ids come first
    assert bench(folder, tmp_path / "spots_&_%.csv", tmp_path / "csv").value[0] == pytest.approx(found.value[0])
    shutil.rmtree(files)
    embed(folder / "root", files, model="other", size=5)
    with pytest.raises(DataError, match="has results of another task, other slides or embeddings"):
        bench(folder, files, tmp_path / "out")


@pytest.mark.parametrize("file", ["genes.txt", "root/ST/gene_exp/S1_count.csv", "root/ST/coord/S2_coord.csv"])
def test_figures_of_files_that_have_changed_are_not_taken(folder, tmp_path, file):
    shutil.copytree(folder / "root", tmp_path / "root")
    (tmp_path / "genes.txt").write_text("ERBB2\nESR1\n")
    (tmp_path / "genes.yaml").write_text(PREDICTION.replace("[ERBB2, ESR1]", "genes.txt"))
    files = embed(tmp_path / "root", tmp_path / "mine")
    found = bench(tmp_path, files, tmp_path / "out")
    assert bench(tmp_path, files, tmp_path / "out").equals(found)
    (tmp_path / file).write_text((tmp_path / file).read_text() + "\n")
    with pytest.raises(DataError, match="or of files that have changed since; pass another out="):
        bench(tmp_path, files, tmp_path / "out")


def test_embeddings_that_do_not_fit_are_refused(folder, tmp_path):
    files = embed(folder / "root", tmp_path / "mine")
    table = pq.read_table(files / "S1.parquet")
    lost = table["spot_id"][24].as_py()
    pq.write_table(table.slice(0, 24), files / "S1.parquet")
    with pytest.raises(DataError, match=f"lacks 1 of the 25 spots of slide S1, such as '{lost}'"):
        bench(folder, files, tmp_path / "out")
    pq.write_table(table, files / "S1.parquet")
    (files / "embedding.json").write_text(json.dumps({"patch": {"um": 112.0, "px": 224}}))
    with pytest.raises(
        DataError, match="has embeddings of patches that are 112 µm in 224 px, but the square of 2r is asked for"
    ):
        bench(folder, files, tmp_path / "out")
    assert len(bench(folder, files, tmp_path / "out", patch={"um": 112.0, "px": 224})) == 2
    with pytest.raises(DataError, match="there is no such file or folder of embeddings"):
        bench(folder, tmp_path / "nowhere.parquet", tmp_path / "out")


def test_a_folder_without_weights_is_refused_before_the_encoders_before_it_embed(folder, tmp_path):
    bare = tmp_path / "bare"
    shutil.copytree(folder / "clip", bare, ignore=shutil.ignore_patterns("*.safetensors"))
    with pytest.raises(DataError, match=f"bare: has config.json, but no whole weights; .* pass untrained:{bare} for"):
        bench(folder, [folder / "clip", bare], tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert len(list_encoders(f"untrained:{bare}")) == 1


def test_an_untrained_tower_is_the_same_each_time_and_stands_beside(folder, tmp_path):
    clip = str(folder / "clip")
    one, other, trained = (load_tower(name) for name in (f"untrained:{clip}", f"untrained:{clip}", clip))
    assert one.digest == other.digest != trained.digest and one.width == trained.width and one.size == trained.size
    shutil.copytree(clip, tmp_path / "twin")
    asked = [clip, str(tmp_path / "twin")]
    assert [encoder.name for encoder in list_encoders(asked)] == [*asked, f"untrained:{clip}"]
    assert [encoder.name for encoder in list_encoders(asked, untrained=False)] == asked
    found = bench(folder, clip, tmp_path / "out")
    assert found.encoder.tolist() == [clip, f"untrained:{clip}", "gene mean"]
    assert found.value[0] != found.value[1]


def test_a_plan_tells_what_is_left(folder, tmp_path):
    clip, files = str(folder / "clip"), embed(folder / "root", tmp_path / "mine")
    asked = (folder / "root", [clip, files], tmp_path / "out", folder / "genes.yaml", False)
    plan = open_benchmark(*asked, dtype="official").plan().set_index("encoder")
    assert plan.loc[clip, ["slides", "spots", "there", "left"]].tolist() == [3, 75, 0, 75]
    assert plan.seconds[clip] > 0 and plan.space[str(files)] == "files" and plan.left[str(files)] == 0
    assert not (tmp_path / "out").exists()
    bench(folder, clip, tmp_path / "out", untrained=False)
    (tmp_path / "out/embeddings").glob("*/S2.parquet").__next__().unlink()
    plan = open_benchmark(*asked, dtype="official").plan().set_index("encoder")
    assert plan.loc[clip, ["there", "left"]].tolist() == [2, 25]


def test_the_plan_alone(folder, tmp_path, capsys):
    done = run(capsys, "benchmark.py", folder / "root", "--tasks", folder / "genes.yaml", "--encoders",
               folder / "clip", "--plan", out=tmp_path / "out")  # fmt: skip
    assert not done.error and "3 slides (0 there), 75 spots (75 left)" in done.printed
    assert "untrained:" in done.printed and not (tmp_path / "out").exists()
    write_bench(tmp_path / "hest")
    done = run(capsys, "benchmark.py", tmp_path / "hest", "--encoders", folder / "clip", "--plan", out=tmp_path / "out")
    assert not done.error and "3 slides (0 there), 105 spots (105 left)" in done.printed


def test_encoders_are_called_as_they_are_named_and_verify_finds_their_results(folder, tmp_path, capsys):
    files = embed(folder / "root", tmp_path / "mine")
    asked = (folder / "root", "--tasks", folder / "genes.yaml", "--encoders", folder / "clip", files, "--names")
    done = run(capsys, "benchmark.py", *asked, "CLIP", "mine", out=tmp_path / "out")
    assert not done.error and "| CLIP | mine | untrained:CLIP | gene mean |" in done.printed, done.error
    assert stimage.verify(tmp_path / "out") == []
    assert str(files) not in done.printed.split("| task", 1)[1]
    for names in (["CLIP"], ["a", "a"]):  # told before anything is embedded
        assert run(capsys, "benchmark.py", *asked, *names, out=tmp_path / "no").error == 2
    done = run(capsys, "benchmark.py", *asked, "a", "gene mean", out=tmp_path / "out")
    assert "gene mean is the name of two in the table" in done.error and not (tmp_path / "no").exists()


def test_slides_that_an_encoder_was_trained_on_are_dropped_for_all(folder, tmp_path):
    seen = {"version": 1, "trained": {"S1": ""}, "validation": {}, "panel": [], "patch": None}
    shutil.copytree(folder / "clip", tmp_path / "tuned")
    (tmp_path / "tuned/provenance.json").write_text(json.dumps(seen))
    asked = [folder / "clip", tmp_path / "tuned"]
    with pytest.raises(DataError, match="was trained on 1 of the 3 slides"):
        bench(folder, asked, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    found = bench(folder, asked, tmp_path / "out", seen="drop")
    assert set(found.slides) == {2} and len(found) == 4  # the look-alikes are one
    assert set(bench(folder, asked, tmp_path / "scored", seen="score").slides) == {3}


def test_a_file_of_another_kind_is_told_what_embeddings_are(folder, tmp_path):
    np.save(tmp_path / "mine.npy", np.zeros((75, 4)))
    ends = "Parquet files as write_embeddings makes them, or a .csv file with the spot ids in the first column$"
    with pytest.raises(DataError, match=f"mine.npy: is a file; .* finished embeddings are {ends}"):
        bench(folder, tmp_path / "mine.npy", tmp_path / "out")
    with pytest.raises(DataError, match=f"mine.npy: is no Parquet file .*; embeddings are {ends}"):
        stimage.predict(folder / "root", tmp_path / "mine.npy", panel=["ERBB2"])


def test_a_split_without_a_part_is_refused_and_a_part_alone_is_scored(folder, tmp_path):
    """All slides would be scored, in silence, though a table says which are for testing."""
    splits, files = {"S0": "train", "S1": "test", "S2": "test"}, embed(folder / "root", tmp_path / "mine")
    with pytest.raises(ValueError, match=r"do nothing without part= \(--part\)"):
        stimage.benchmark_root(stimage.open_root(folder / "root", splits=splits), files, tmp_path / "out",
                               folder / "genes.yaml")  # fmt: skip
    root = stimage.open_root(folder / "root", splits=splits, part="test")
    assert stimage.benchmark_root(root, files, tmp_path / "out", folder / "genes.yaml").slides.tolist() == [2, 2]


def test_slides_that_only_teach_may_have_been_seen(folder, tmp_path):
    shutil.copytree(folder / "clip", tmp_path / "tuned")
    seen = {"version": 1, "trained": {"S1": ""}, "validation": {}, "panel": [], "patch": None}
    (tmp_path / "tuned/provenance.json").write_text(json.dumps(seen))

    def found(test: str, how: str = "error", *more: Path) -> pd.DataFrame:
        (tmp_path / "held.yaml").write_text(PREDICTION.replace("protocol: fixed", f"protocol: fixed, test: {test}"))
        asked = (
            folder / "root",
            tmp_path / "tuned",
            tmp_path / f"out_{len(test)}_{how}",
            [tmp_path / "held.yaml", *more],
        )
        return stimage.benchmark_root(*asked, untrained=False, seen=how)

    assert set(found("[S2]").slides) == {3}  # S0 and S1 teach, S2 is scored
    assert found("[S2]", "drop").value.tolist() == found("[S2]").value.tolist()
    with pytest.raises(DataError, match="was trained on 1 of the 2 slides that would be scored: S1"):
        found("[S1, S2]")
    with pytest.raises(DataError, match="task held: test: 'S9' is none of the 3 slides"):
        found("[S9]")
    assert found("[S2, S1]", "drop").slides.tolist() == [2, 2]  # S1 is neither tested nor taught from
    with pytest.raises(DataError, match="task held: encoders were trained on all slides of test"):
        found("[S1]", "drop", folder / "genes.yaml")


ORIGINAL = """\
job: predict
options: {protocol: original, gene: ERBB2, train: S0, test: [S1, S2]}
metric: pearson
"""


def test_the_slide_of_train_may_not_have_been_seen_either(folder, tmp_path):
    """That slide is predicted from itself, too: it is refused, or its task is, before anything is embedded."""
    shutil.copytree(folder / "clip", tmp_path / "tuned")
    seen = {"version": 1, "trained": {"S0": ""}, "validation": {}, "panel": [], "patch": None}
    (tmp_path / "tuned/provenance.json").write_text(json.dumps(seen))

    def found(how: str, text: str = ORIGINAL) -> pd.DataFrame:
        (tmp_path / "original.yaml").write_text(text)
        return stimage.benchmark_root(folder / "root", tmp_path / "tuned", tmp_path / "out", tmp_path / "original.yaml",
                                      untrained=False, seen=how)  # fmt: skip

    with pytest.raises(DataError, match="was trained on 1 of the 3 slides that would be scored: S0"):
        found("error")
    with pytest.raises(DataError, match="task original: an encoder was trained on the slide of train"):
        found("drop")
    with pytest.raises(DataError, match="task original: train: 'S1' is among the slides of test"):
        found("score", ORIGINAL.replace("S0", "S1"))
    with pytest.raises(DataError, match="task original: train: 'S9' is none of the 3 slides"):
        found("score", ORIGINAL.replace("S0", "S9"))
    assert not (tmp_path / "out").exists()
    assert found("score").slides.tolist() == [3]


def test_the_model_of_keys_may_not_have_seen_a_slide_either(folder, tmp_path):
    keys = embed(folder / "root", tmp_path / "keys", size=16)
    seen = {"version": 1, "trained": {"S1": ""}, "validation": {}, "panel": [], "patch": None}
    for path in keys.glob("*.parquet"):
        table = pq.read_table(path)
        told = {**(table.schema.metadata or {}), b"provenance": json.dumps(seen).encode()}
        pq.write_table(table.replace_schema_metadata(told), path)
    near = f"protocol: neighbours, k: 2, keys: {keys}"
    (tmp_path / "near.yaml").write_text(PREDICTION.replace("protocol: fixed", near))
    asked = (folder / "root", folder / "clip", tmp_path / "out", tmp_path / "near.yaml")
    with pytest.raises(DataError, match="keys: was trained on 1 of the 3 slides that would be scored: S1"):
        stimage.benchmark_root(*asked, untrained=False)
    assert not (tmp_path / "out").exists()
    assert stimage.benchmark_root(*asked, untrained=False, seen="drop").slides.tolist() == [2, 2]


def test_retrieval_is_of_encoders_with_a_joint_space(folder, tmp_path):
    both, rng = tmp_path / "joint", np.random.default_rng(0)
    embed(folder / "root", both / "images", lambda slide, ids: np.eye(25), size=25)
    embed(folder / "root", both / "genes", lambda slide, ids: np.eye(25) + rng.normal(0, 0.1, (25, 25)), size=25)
    alone = str(make_tower("dinov2", tmp_path / "dinov2"))
    asked = (folder / "root", [alone, both], tmp_path / "out", "retrieval-by-study")
    found = stimage.benchmark_root(*asked, untrained=False).set_index("encoder")
    assert found.value[str(both)] == 1.0 and found.value["chance"] == pytest.approx(0.4)
    assert np.isnan(found.value[alone]) and found.results[alone] == ""
    table = by_unit(found.reset_index())
    assert "no joint space" in table[1]


def test_hest_takes_embeddings_that_are_there_and_holds_its_own_against_the_patches(folder, tmp_path):
    write_bench(tmp_path / "hest")
    first = stimage.benchmark(tmp_path / "hest", [], tmp_path / "out")
    files = tmp_path / "out/embeddings/colour"
    again = stimage.benchmark(tmp_path / "hest", files, tmp_path / "again")
    values = again.set_index("encoder").pearson
    assert values[str(files)] == values["colour"] == first.pearson[0]
    (files / "IDC/INT2.parquet").rename(tmp_path / "away.parquet")
    with pytest.raises(DataError, match=r"INT2.parquet: there is no such file: embeddings of HEST-Benchmark are files"):
        stimage.benchmark(tmp_path / "hest", files, tmp_path / "third")
    (tmp_path / "away.parquet").rename(files / "IDC/INT2.parquet")
    patches = tmp_path / "hest/IDC/patches"
    shutil.copy(patches / "TENX1.h5", patches / "INT2.h5")
    with pytest.raises(DataError, match=r"INT2.parquet: was made from other patches than .*INT2.h5 has now"):
        stimage.benchmark(tmp_path / "hest", [], tmp_path / "out")
