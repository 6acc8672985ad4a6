"""`import stimage`: what it gives, that its examples run, and that it loads nothing before it is needed."""

import doctest
import importlib.util
import inspect
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import stimage
from tests.test_house import given

PROJECT = Path(__file__).parents[2]
HEAVY = ("torch", "scanpy", "scipy", "datasets", "pandas", "numpy")
WITH_TORCH = {
    "benchmark",
    "embed",
    "finetune",
    "predict",
    "probe",
    "retrieve",
    "search",
}  # functions whose examples need it
FUNCTIONS = [
    alias.name for module, alias in given() if module.startswith(("jobs.", "sample.")) and alias.name[0].islower()
]


@pytest.fixture(scope="session")
def made(tmp_path_factory) -> Path:
    """The root that examples call sample, and beside it the encoder that they call clip."""
    root = tmp_path_factory.mktemp("examples") / "sample"
    stimage.make_sample(root, genes=120, slides_per_study=1, st_side=6, visium_side=8, hd_side=10)
    if importlib.util.find_spec("torch"):
        from tests.evaluation.test_hest_bench import write_bench
        from tests.evaluation.towers import make_tower

        make_tower("clip", root.parent / "clip")
        write_bench(root.parent / "hest-bench")
        stimage.benchmark(root.parent / "hest-bench", [], root.parent / "benchmarked", heads="ridge")
    return root


def test_importing_it_loads_nothing():
    code = f"import sys, stimage; print([name for name in {HEAVY} if name in sys.modules], stimage.__version__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PROJECT)
    assert done.stdout.split() == ["[]", stimage.__version__]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_examples_run(name, made, tmp_path, monkeypatch):
    if name in WITH_TORCH and not importlib.util.find_spec("torch"):
        pytest.skip("needs torch")
    for path in made.parent.iterdir():
        (tmp_path / path.name).symlink_to(path)
    if accelerate := sys.modules.get("accelerate.state"):  # which has one state for a process
        accelerate.AcceleratorState._reset_state(reset_partial_state=True)
    monkeypatch.chdir(tmp_path)
    finder, runner = doctest.DocTestFinder(recurse=False), doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    (examples,) = finder.find(getattr(stimage, name), name, globs={})
    assert examples.examples
    report: list[str] = []
    runner.run(examples, out=report.append)
    assert not runner.failures, "".join(report)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_each_says_what_it_takes_returns_and_raises(name):
    words = getattr(stimage, name).__doc__
    sections = re.findall(r"^    (\w+)\n    -+$", words, re.MULTILINE)
    takes = bool(inspect.signature(getattr(stimage, name)).parameters)
    assert sections == (["Parameters", "Returns", "Raises", "Examples"] if takes else ["Returns", "Examples"])


def test_the_page_lists_all():
    page = (PROJECT / "docs/tutorials/python.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`.*?) \|", page, re.MULTILINE)
    assert sorted(re.findall(r"`(\w+)`", " ".join(rows))) == sorted(FUNCTIONS)


def test_a_root_says_once_what_is_meant(made):
    root = stimage.open_root(made, "ST", splits={"Human_Breast_Sample1_ST_A1": "test",
                             "Mouse_Brain_Sample2_ST_A1": "train"}, part="test")  # fmt: skip
    assert [slide.name for slide in root.slides] == ["Human_Breast_Sample1_ST_A1"]
    assert stimage.list_slides(root).split.tolist() == ["test", "train"]
    assert root.settings["data.slides"] == ("Human_Breast_Sample1_ST_A1",) and root.settings["data.tech"] == "ST"
    assert stimage.open_root(root) is root
    for options, words in (
        ({"tech": "Xenium"}, "pass one of ST, Visium, VisiumHD, or all"),
        ({"part": "tests"}, "pass one of train, validation, test"),
        ({"on_mismatch": "ignore"}, "pass one of"),
        ({"species": "cow"}, "no slide has species 'cow'"),
    ):
        with pytest.raises(ValueError, match=words):
            stimage.open_root(made, **options)
    for wrong in (None, 3, stimage.list_slides(made)):
        with pytest.raises(ValueError, match="is no root; pass a path"):
            stimage.open_root(wrong)
        with pytest.raises(ValueError, match="is no root; pass a path"):
            stimage.load("ST", wrong)


def test_options_of_an_opened_root_are_not_overlooked(made):
    """Its slides are chosen once: other options are refused, not ignored; a generator of names is read once."""
    names = ["Human_Breast_Sample1_ST_A1"]
    root = stimage.open_root(made, slides=iter(names))
    for options in ({"tech": "Visium"}, {"species": "human"}, {"um_per_px": 2.0}, {"part": "test"}):
        with pytest.raises(ValueError, match="is opened already; pass its path"):
            stimage.open_root(root, **options)
    assert [slide.name for slide in root.slides] == stimage.list_slides(root).index.tolist() == names
    with pytest.raises(stimage.DataError, match="no slide is left of 5: loosen the filters"):
        stimage.open_root(made, slides=[])


def test_a_number_of_genes_is_one_or_more(made):
    for wrong in (0, -1, 1.5, "5"):
        with pytest.raises(ValueError, match="pass a whole number of genes, 1 or more"):
            stimage.select_genes(stimage.open_root(made, "ST", species="human"), "overlap-hvg", wrong)
    with pytest.raises(ValueError, match="the method list, and no other, goes with genes="):
        stimage.select_genes(made, "overlap-hvg", genes=["ERBB2"])


def test_arguments_that_are_none_are_refused(made):
    """At once, by name: a batch of no spot, a recall at -3 or embeddings that are an array make no sense."""
    pytest.importorskip("torch")
    from stimage.loading import spot_loader

    root, vectors = stimage.open_root(made, "ST"), np.zeros((3, 4))
    for call, words in (
        (lambda: stimage.embed(root, None), "a NoneType is no encoder; pass a path or a name"),
        (lambda: stimage.embed(root, "clip", batch_size=0), "batch_size=0"),
        (lambda: stimage.embed(root, "clip", dtype="int8"), "dtype='int8'"),
        (lambda: stimage.probe(root, vectors), "embeddings: a ndarray is none; pass what embed returns"),
        (lambda: stimage.predict(root, vectors, split="random"), "split='random': pass one of slide, study, patient"),
        (lambda: stimage.predict(root, vectors, "original", panel=["ERBB2"]), "predicts one gene: pass gene="),
        (
            lambda: stimage.predict(root, vectors, gene="KRT8"),
            r"gene= .* only with protocol='original' .* as panel=",
        ),
        (lambda: stimage.probe(root, pd.DataFrame(vectors)), "its index is numbered; make the spot ids its index"),
        (lambda: stimage.embed(root, "clip", key=None), "key=None: pass a name"),
        (lambda: stimage.embed(root, "clip", into="x"), "into=: a str is no AnnData"),
        (lambda: stimage.open_root(made, exclude=123), r"exclude= .*: has no slide '123'; there are: Human_Breast"),
        (lambda: stimage.predict(root, vectors, n=0), "n=0, folds=None: pass 1 gene or more"),
        (lambda: stimage.predict(root, vectors, folds=1), "folds=1: pass 1 gene or more, and 2 folds or more"),
        *(
            (lambda k=k: stimage.retrieve(root, vectors, vectors, k), "pass a list of whole numbers")
            for k in ([], [-3], "5")
        ),
        (lambda: spot_loader(stimage.load("ST", made), 0), "batch_size=0: pass a whole number, 1 or more"),
        (lambda: spot_loader(stimage.load("ST", made), 8, image_size=0), "image_size=0: pass a whole number"),
    ):
        with pytest.raises(ValueError, match=words):
            call()


def test_spots_of_slides_that_are_not_meant_are_not_embedded(made):
    """An AnnData does not bring back a slide that was excluded when the root was opened."""
    pytest.importorskip("torch")
    name = "Human_Breast_Sample1_ST_A1"
    adata = stimage.read_slide(made, name)
    for options in ({"exclude": name}, {"slides": "Mouse_Brain_Sample2_ST_A1"}):
        with pytest.raises(stimage.DataError, match=f"slide '{name}', .* is not among those that are meant; open"):
            stimage.embed(stimage.open_root(made, "ST", **options), "clip", into=adata)


def test_a_panel_is_a_list_and_a_refused_run_leaves_nothing(made, tmp_path):
    pytest.importorskip("torch")
    for options, words in (
        ({"epochs": 0}, "run.epochs: is 0"),
        ({"panel": ["NOPE"], "image": "nowhere/at/all"}, "nowhere/at/all"),
        ({"panel": 7}, "panel"),
        ({"validation_slides": all}, "validation_slides"),
    ):
        with pytest.raises(ValueError, match=words):
            stimage.finetune(stimage.open_root(made, "ST"), tmp_path / "run", **{"panel": ["ERBB2"]} | options)
        assert not (tmp_path / "run.panel.json").exists()


def test_what_would_spoil_a_root_is_not_added(made, tmp_path):
    """A scale that is none would leave a meta file that can't be read; a published folder has no slides' files."""
    adata = stimage.read_slide(made, "Human_Breast_Sample1_ST_A1")
    for wrong in (-3, 0, float("nan"), "abc"):
        with pytest.raises(ValueError, match=r"um_per_px=.* above 0"):
            stimage.add_slide(adata, tmp_path / "root", "Mine", um_per_px=wrong)
    assert not (tmp_path / "root").exists()
    published = stimage.publish(stimage.open_root(made, "ST"), tmp_path / "out").folder
    with pytest.raises(stimage.DataError, match="is a published folder; add the slide to the root"):
        stimage.add_slide(adata, published, "Mine")
    assert not (published / "ST").exists()


def test_a_published_folder_has_no_files_of_slides(made, tmp_path):
    published = stimage.publish(stimage.open_root(made, "ST"), tmp_path / "out").folder
    assert stimage.list_slides(published).index.tolist() == ["Human_Breast_Sample1_ST_A1", "Mouse_Brain_Sample2_ST_A1"]
    with pytest.raises(stimage.DataError, match=r"pass the root that .* was made from"):
        stimage.read_slide(published, "Human_Breast_Sample1_ST_A1")


def test_prediction_refuses_a_split_that_it_does_not_have(made):
    pytest.importorskip("torch")
    for split in ("random", "pacient"):
        with pytest.raises(ValueError, match=f"split='{split}': pass one of"):
            stimage.predict(made, "nowhere", split=split)


def test_processes_that_embed_a_share_each_need_one_folder(made, monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ValueError, match="out= is not given: of several processes each embeds its share"):
        stimage.embed(stimage.open_root(made, "ST"), "clip")
