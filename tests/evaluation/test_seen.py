"""Slides that a model was trained on are not scored in silence: by their name, or by what their image holds."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import stimage
from stimage.core.errors import DataError
from stimage.evaluation.seen import settle_seen
from stimage.loading.embeddings import read_embeddings, write_embeddings
from stimage.loading.provenance import PROVENANCE, Provenance, read_provenance
from stimage.slides.catalog import read_catalog
from stimage.slides.coordinates import read_coordinates
from stimage.slides.freshness import file_digest
from tests.evaluation.scripts import labelled_root, run
from tests.evaluation.test_hest_bench import write_bench

SLIDES = ("Slide_A", "Slide_B", "Slide_C")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return labelled_root(tmp_path_factory.mktemp("seen"), lambda slide, n: "ab"[n % 2], SLIDES)


@pytest.fixture
def vectors(root, tmp_path):
    """Write embeddings of all slides by a model that has seen so."""

    def write(name, provenance):
        for k, slide in enumerate(read_catalog(root).slides):
            ids = read_coordinates(slide.coord).ids.to_pylist()
            noise = np.random.default_rng(k).normal(size=(len(ids), 4))
            write_embeddings(tmp_path / name / f"{slide.name}.parquet", ids, slide.name, noise, "tuned", provenance)
        return tmp_path / name

    return write


SCORERS = {
    "probe": lambda root, found, **more: stimage.probe(root, found, colour=False, **more),
    "predict": lambda root, found, **more: stimage.predict(root, found, n=3, **more),
    "retrieve": lambda root, found, **more: stimage.retrieve(root, found, found, **more),
}


@pytest.mark.parametrize("score", SCORERS)
def test_slides_that_were_trained_on_are_scored_on_request_alone(root, vectors, score, tmp_path):
    found = vectors("tuned", Provenance({"slide_a": ""}, {"Slide_B": ""}, ("Slide_C",)))
    message = r"tuned: was trained on 1 of the 3 slides that would be scored: Slide_A; .* pass|choose others by slides="
    for embeddings in (found, read_embeddings(found), read_embeddings(found).to_frame()):
        with pytest.raises(DataError, match=message):
            SCORERS[score](root, embeddings)
    left = SCORERS[score](root, found, seen="drop", out=tmp_path / "left")
    assert set(left.slides) == {"Slide_B", "Slide_C"} and "left out, which the model was trained on" in left.notes[0]
    data = json.loads(left.path.read_text())["data"]
    assert data["seen"] == {"trained": [], "validation": ["Slide_B"], "panel": ["Slide_C"]}
    every = SCORERS[score](root, found, seen="score", out=tmp_path / "every")
    assert set(every.slides) == set(SLIDES)
    assert any(note.startswith("1 of 3 slides were trained on by the model") for note in every.notes)
    assert any("chose the model's epoch" in note for note in every.notes)
    assert json.loads(every.path.read_text())["data"]["seen"]["trained"] == ["Slide_A"]
    part = stimage.open_root(root, slides=["Slide_B", "Slide_C"])  # the other remedy
    assert set(SCORERS[score](part, found).slides) == {"Slide_B", "Slide_C"}
    with pytest.raises(ValueError, match="seen='no'"):
        SCORERS[score](root, found, seen="no")


def test_what_is_not_known_is_taken_and_called_so(root, vectors, tmp_path):
    found = vectors("foreign", None)
    scores = stimage.probe(root, found, colour=False, out=tmp_path / "out")
    assert json.loads(scores.path.read_text())["data"]["seen"] == "unknown"
    nothing = vectors("untouched", Provenance())
    scores = stimage.probe(root, nothing, colour=False, out=tmp_path / "none")
    assert json.loads(scores.path.read_text())["data"]["seen"] == {"trained": [], "validation": [], "panel": []}


def test_a_renamed_slide_is_known_by_its_image(root, tmp_path):
    (a, *_) = read_catalog(root).slides
    seen = Provenance({"Old_Name": file_digest(a.image)})
    with pytest.raises(DataError, match=r"was trained on 1 of the 3 slides .*: Slide_A"):
        settle_seen(seen, read_catalog(root).slides, "error")
    assert len(settle_seen(seen, read_catalog(root).slides, "drop").slides) == 2
    with pytest.raises(DataError, match="was trained on all slides that would be scored"):
        settle_seen(Provenance(dict.fromkeys(SLIDES, "")), read_catalog(root).slides, "drop")


def test_scripts_refuse_and_tables_say_it(root, vectors, capsys, tmp_path):
    found, other = vectors("tuned", Provenance({"Slide_A": ""})), vectors("foreign", None)
    words = ["embedding_scores.py", "--root", root, "--embeddings"]
    done = run(capsys, *words, found, out=tmp_path / "refused")
    assert "was trained on 1 of the 3 slides" in done.error and "(--seen score)" in done.error and not done.results
    done = run(capsys, *words, found, "--seen", "score", out=tmp_path / "tuned_scores")
    assert not done.error and done.results["data"]["seen"]["trained"] == ["Slide_A"]
    assert "note: 1 of 3 slides were trained on by the model: their scores are too good: Slide_A" in done.printed
    run(capsys, *words, other, out=tmp_path / "scores")
    done = run(capsys, "compare.py", tmp_path / "scores", tmp_path / "tuned_scores", out=tmp_path / "compared")
    lines = (tmp_path / "compared/comparison.md").read_text().splitlines()
    assert lines[0].startswith("|  | slides seen |") and "| scores | unknown |" in lines[2]
    assert lines[3].startswith("| tuned_scores | 1 trained on |")
    dropped = run(capsys, "linear_probe.py", *words[1:], found, "--seen", "drop", "--no-colour", out=tmp_path / "d")
    assert not dropped.error and set(dropped.results["slides"]) == {"Slide_B", "Slide_C"}


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "can't be read"), ("[]", "is damaged"), ('{"version": 1}', "is damaged"),
     ('{"version": 2}', "was written by a newer version of this project, in format 2; this version reads format 1"),
     ('{"version": "x", "trained": {}}', "is damaged"),
     ('{"version": 1, "trained": ["a"], "validation": {}, "panel": [], "patch": null}', "is damaged")],
)  # fmt: skip
def test_damaged_or_newer_provenance_is_told(tmp_path, text, message):
    (tmp_path / PROVENANCE).write_text(text)
    with pytest.raises(DataError, match=message):
        read_provenance(str(tmp_path))


def test_provenance_within_damaged_vectors(root, vectors):
    found = vectors("tuned", Provenance({"Slide_A": ""}))
    file = found / "Slide_A.parquet"
    table = pq.read_table(file)
    pq.write_table(table.replace_schema_metadata({b"model": b"tuned", b"provenance": b"{"}), file)
    with pytest.raises(DataError, match=r"Slide_A\.parquet: is damaged: it does not say which slides"):
        read_embeddings(found)


def test_models_from_before_there_was_such_a_file(tmp_path):
    assert read_provenance(str(tmp_path)) is None  # of elsewhere
    (tmp_path / "settings.json").write_text(json.dumps({"data": {"patch_um": 112.0, "patch_px": 224}}))
    assert read_provenance(str(tmp_path)) == Provenance(
        patch={"um": 112.0, "px": 224, "upsample": False, "pyramid": False}
    )
    (tmp_path / "slides.json").write_text(json.dumps({"train": ["A"], "validation": ["B"], "test": []}))
    assert read_provenance(str(tmp_path)).trained == {"A": ""}
    (tmp_path / "slides.json").write_text("{}")
    with pytest.raises(DataError, match=r"slides\.json: is damaged"):
        read_provenance(str(tmp_path))
    (tmp_path / "settings.json").write_text("{")
    with pytest.raises(DataError, match=r"settings\.json: can't be read"):
        read_provenance(str(tmp_path))
    (tmp_path / "settings.json").write_text('{"name": "of another program"}')
    assert read_provenance(str(tmp_path)) is None
    shutil.rmtree(tmp_path)
    assert read_provenance("timm:resnet18") is None and read_provenance("uni2-h") is None


def test_keys_of_neighbours_and_probes_of_some_slides(root, vectors, tmp_path):
    """What finds neighbours may be of a trained model, too; slides that are merely trained on may have been seen."""
    plain, tuned = vectors("plain", Provenance()), vectors("tuned", Provenance({"Slide_A": ""}))
    with pytest.raises(DataError, match="was trained on 1 of the 3 slides that would be scored: Slide_A"):
        stimage.predict(root, plain, "neighbours", keys=tuned, colour=False, n=3)
    left = stimage.predict(root, plain, "neighbours", keys=tuned, colour=False, n=3, test=["Slide_B"])
    assert set(left.slides) == {"Slide_B"}
    with pytest.raises(DataError, match="was trained on 1 of the 1 slides that would be scored: Slide_A"):
        stimage.probe(root, tuned, colour=False, test=["Slide_A"])
    found = stimage.probe(root, tuned, colour=False, test=["slide_b"], out=tmp_path / "out")
    assert set(found.slides) == {"Slide_B"} and found.overall["pooled"]["spots"] == 25
    with pytest.raises(ValueError, match=r"test= \(--test\) works only with split= \(--split\) slide, study, patient"):
        stimage.probe(root, plain, split="block", test=["Slide_A"])
    with pytest.raises(DataError, match="'Slide_X' is none of the 3 slides"):
        stimage.probe(root, plain, test=["Slide_X"])


def test_samples_of_a_benchmark(tmp_path):
    """An encoder, or its embeddings as files, that was trained on a sample of HEST-Benchmark."""
    bench = write_bench(tmp_path / "bench")
    stimage.benchmark(bench, [], tmp_path / "first", heads="ridge", untrained=False)
    files = shutil.copytree(tmp_path / "first/embeddings/colour", tmp_path / "mine")
    for path in files.glob("*/*.parquet"):
        read = read_embeddings(path)
        write_embeddings(path, read.spot_ids, path.stem, read.vectors, "tuned", Provenance({"INT2": ""}))
    with pytest.raises(DataError, match=r"mine: was trained on 1 of the 3 samples that would be scored: INT2; leave"):
        stimage.benchmark(bench, files, tmp_path / "out", heads="ridge", untrained=False)
    found = stimage.benchmark(bench, files, tmp_path / "out", heads="ridge", untrained=False, seen="score")
    place = found.results[found.encoder == str(files)].iloc[0]
    assert json.loads(Path(place, "results.json").read_text())["data"]["seen"]["trained"] == ["INT2"]
    with pytest.raises(ValueError, match="folds are fixed; pass error or score"):
        stimage.benchmark(bench, files, tmp_path / "out", heads="ridge", seen="drop")
