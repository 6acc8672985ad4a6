"""Which slides a run trains on, holds out and leaves alone: as its settings, a table or a published folder say."""

import json

import pytest

import stimage
from stimage.core.errors import DataError
from stimage.jobs.finetuning import _settings as settings_of
from stimage.training.data.parts import choose_parts
from stimage.training.settings.reading import make_settings
from tests.building import BUILD
from tests.roots import write_csv, write_slide
from tests.test_scripts import run

NAMES = tuple(f"S{i}" for i in range(12))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("parts") / "root"
    for i, name in enumerate(NAMES):
        write_slide(root, name, "ST", side=2, seed=i, meta={"pmid": str(i // 2)})
    return root


def parts(data, **settings) -> dict[str, set[str]]:
    found = choose_parts(make_settings({"source": data, "towers.second": "text", **settings}))
    return {split: set(names) for split, names in json.loads(json.dumps(found.record)).items()}


def test_a_root_is_split_as_the_builder_splits_it(root, tmp_path):
    assert parts(root) == {"train": set(NAMES), "validation": set(), "test": set()}
    options = {"split_by": "study", "split_seed": 4, "split_fractions": [0.4, 0.3, 0.3]}
    found = parts(root, **options)
    assert all(found.values()) and set().union(*found.values()) == set(NAMES)
    left = parts(root, **options, exclude=[min(found["train"])])
    assert left == found | {"train": found["train"] - {min(found["train"])}}
    with pytest.raises(DataError, match=r"with seed 0: .* would get no slide"):
        parts(root, split_by="study", split_fractions=[0.98, 0.01, 0.01])
    named = parts(root, validation_slides=["s3"])
    assert named == {"train": set(NAMES) - {"S3"}, "validation": {"S3"}, "test": set()}
    with pytest.raises(DataError, match="'S3' is trained on and held out"):
        parts(root, slides=["S3", "S4"], validation_slides=["S3"])
    write_csv(tmp_path / "t.csv", [["slide", "split"], *([n, "test" if n < "S2" else "train"] for n in NAMES)])
    test = {name for name in NAMES if name < "S2"}
    assert parts(root, splits=str(tmp_path / "t.csv"))["test"] == test
    held = parts(root, splits=str(tmp_path / "t.csv"), validation_slides=["S5"])  # what is for testing stays alone
    assert held == {"train": set(NAMES) - test - {"S5"}, "validation": {"S5"}, "test": test}


def test_two_ways_to_hold_out_are_refused(root, tmp_path):
    """One of the two would win in silence, and a slide for testing would choose the epoch."""
    with pytest.raises(DataError, match=r"data.split_by=study are two ways .* set data.validation_slides=null"):
        parts(root, split_by="study", validation_slides=["S3"])
    split = {"S0": "test", "S1": "validation"}
    write_csv(tmp_path / "t.csv", [["slide", "split"], *([name, split.get(name, "train")] for name in NAMES)])
    table = {"splits": str(tmp_path / "t.csv")}
    assert parts(root, **table) == parts(root, **table, validation_slides=["S1"])
    with pytest.raises(DataError, match=r"holds out S0, which the table .* as test; set data.validation_slides=null"):
        parts(root, **table, validation_slides=["s0", "S1"])
    with pytest.raises(DataError, match=r"holds out S5, but the table of splits holds out S1; set data.validation_sl"):
        parts(root, **table, validation_slides=["S5"])
    with pytest.raises(DataError, match=r"holds out S1, S5, but the table of splits holds out S1; set data.validat"):
        parts(root, **table, validation_slides=["S1", "S5"])  # the table trains on S5


def test_what_a_root_was_opened_without_is_the_configuration_s(root, tmp_path):
    config = tmp_path / "own.yaml"
    config.write_text("data: {split_by: study, split_seed: 4, um_per_px: 0.5}\ntowers: {second: text}\n", "utf-8")
    data = settings_of(stimage.open_root(root), config, {}).data
    assert (data.split_by, data.split_seed, data.um_per_px) == ("study", 4, 0.5)
    data = settings_of(stimage.open_root(root, split_by="slide", um_per_px=2), config, {}).data
    assert (data.split_by, data.split_seed, data.um_per_px) == ("slide", 0, 2)  # a seed is of its split
    with pytest.raises(DataError, match="leave out split_by="):
        settings_of(stimage.open_root(root, splits=tmp_path / "t.csv"), config, {})


def test_a_root_that_was_opened_without_a_technology_takes_the_configuration_s(tmp_path):
    root, config = tmp_path / "root", tmp_path / "own.yaml"
    for i, tech in enumerate(("ST", "Visium", "ST", "Visium")):
        write_slide(root, f"S{i}", tech, side=2, seed=i, meta={"species": "human" if i < 3 else "mouse"})
    config.write_text("data: {tech: Visium, validation_slides: [S3]}\ntowers: {second: text}\n", "utf-8")

    def data(given=None, **opened):
        return settings_of(stimage.open_root(root, **opened), config, given or {}).data

    assert data().tech == "Visium" and data(tech="ST").tech == "ST" and data({"tech": "all"}).tech == "all"
    assert data(species="human").slides == ("S1",)  # S0 and S2 are no Visium
    assert data(slides=["S1", "S2", "S3"]).slides == ("S1",)  # S3 is held out
    assert data({"tech": "ST"}, species="human").slides == ("S0", "S2")
    with pytest.raises(DataError, match=r"none of its chosen slides is of the setting data.tech=Visium"):
        data(slides=["S0"])


def test_who_asks_for_slides_that_are_not_there_is_said(root):
    with pytest.raises(DataError, match=r"has no Visium slides, but 12 ST; the setting data.tech=Visium, of the conf"):
        parts(root, tech="Visium")


def test_published_splits_rule(root, tmp_path):
    write_csv(tmp_path / "t.csv", [["slide", "split"], *([n, "test" if n < "S2" else "train"] for n in NAMES)])
    assert run(BUILD, root, tmp_path / "out", "--splits", tmp_path / "t.csv").returncode == 0
    found = parts(tmp_path / "out")
    assert found["test"] == {name for name in NAMES if name < "S2"} and not found["validation"]
    with pytest.raises(DataError, match=r"splits.csv: already says which slide is in which split"):
        parts(tmp_path / "out", split_by="slide")
    options = {"split_by": "study", "split_seed": 4, "split_fractions": [0.4, 0.3, 0.3]}
    assert parts(tmp_path / "out", splits="none", **options) == parts(root, **options)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"exclude": ["mitochondrial", "ribosomal"]}, "mitochondrial genes are left out by exclude_genes"),
     ({"exclude_genes": ["S1"]}, "exclude_genes: is .'S1'.; must be a list of any of"),
     ({"split_by": "slide", "splits": "x.csv"}, "leave out split_by="), ({"split_seed": 3}, "pass split_by=")],
)  # fmt: skip
def test_settings_that_do_not_go_together(root, wrong, message):
    with pytest.raises(DataError, match=message):
        parts(root, **wrong)
