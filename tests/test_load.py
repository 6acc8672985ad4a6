"""`stimage_1k4m.load`: the same as `load_dataset`, through public parts of datasets; and what it says."""

import os
import re
import subprocess
import sys
from pathlib import Path

import datasets
import pytest
from datasets import DatasetDict, IterableDatasetDict, load_dataset
from packaging.version import Version

import stimage_1k4m
from stimage.core.errors import DataError
from tests.roots import write_slide

PROJECT = Path(__file__).parents[1]
OLD = Version(datasets.__version__).major < 4
TROUBLESHOOTING = " ".join((PROJECT / "docs/reference/messages.md").read_text(encoding="utf-8").split())
MOVED = ("datasets.packaged_modules._PACKAGED_DATASETS_MODULES", "datasets.load.PackagedDatasetModuleFactory",
         "datasets.load.DatasetModule")  # fmt: skip


def comparable(examples) -> list[dict]:
    return [example | {"image": example["image"].tobytes()} for example in examples]


def by_name(root, **options):
    return load_dataset("stimage_1k4m", "ST", data_dir=str(root), split="train", **options)


def python(code: str, **environment: str) -> subprocess.CompletedProcess:
    environment = os.environ | {"PYTHONPATH": str(PROJECT)} | environment
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)


@pytest.fixture
def two(tiny) -> Path:
    write_slide(tiny, "Slide_B", "ST", side=4, seed=1)
    return tiny


@pytest.mark.parametrize("options", [{}, {"panel": ["ESR1"], "slides": "slide_b"}, {"image_format": "jpeg"}])
def test_it_streams_what_load_dataset_streams(two, options):
    dataset = stimage_1k4m.load("ST", two, **options)
    assert comparable(dataset) == comparable(by_name(two, streaming=True, **options))
    assert dataset.features == by_name(two, streaming=True, **options).features
    assert dataset.info.dataset_name == "stimage_1k4m"


@pytest.mark.parametrize("first", ["load", "load_dataset"])
def test_both_have_one_cache(two, tmp_path, first):
    cache = str(tmp_path / "cache")
    loads = [lambda: stimage_1k4m.load("ST", two, streaming=False, num_proc=2, cache_dir=cache),
             lambda: by_name(two, cache_dir=cache)]  # fmt: skip
    prepared, again = (load() for load in (loads if first == "load" else loads[::-1]))
    assert comparable(prepared) == comparable(again) == comparable(stimage_1k4m.load("ST", two, image_format="png"))
    assert prepared.cache_files and prepared.cache_files == again.cache_files
    assert prepared._fingerprint == again._fingerprint


def test_a_root_may_be_a_url(two):
    assert comparable(stimage_1k4m.load("ST", two.as_uri())) == comparable(stimage_1k4m.load("ST", two))


def test_without_a_split_all_come(two, tmp_path):
    streamed = stimage_1k4m.load("ST", two, None)
    prepared = stimage_1k4m.load("ST", two, None, streaming=False, keep_in_memory=True, cache_dir=tmp_path / "cache")
    assert isinstance(streamed, IterableDatasetDict) and isinstance(prepared, DatasetDict)
    assert list(streamed) == list(prepared) == ["train"] and not prepared["train"].cache_files
    assert len(prepared["train"]) == 25


@pytest.mark.parametrize("name", ["Visum", "st", "", None])
def test_another_name_is_told_the_four(tiny, name):
    with pytest.raises(ValueError, match=r"is no configuration; pass one of ST, Visium, VisiumHD, all$"):
        stimage_1k4m.load(name, tiny)


def test_arguments_that_cannot_be_are_refused(tiny):
    with pytest.raises(ValueError, match=r"there is no option 'tisue'; there are .*tissue"):
        stimage_1k4m.load("ST", tiny, tisue="breast")
    for option in ({"num_proc": 2}, {"keep_in_memory": True}):
        with pytest.raises(ValueError, match="pass streaming=False too"):
            stimage_1k4m.load("ST", tiny, **option)
    for streaming in (True, False):
        with pytest.raises(ValueError, match="test"):
            stimage_1k4m.load("ST", tiny, "test", streaming)
        with pytest.raises(DataError, match="has no slides; expected"):
            stimage_1k4m.load("ST", tiny / "meta", streaming=streaming)


@pytest.mark.parametrize("load", [stimage_1k4m.load, lambda _, root, **options: by_name(root, **options)])
def test_an_error_is_the_datas_own(two, tmp_path, load):
    spoil(two)
    with pytest.raises(DataError, match=r"Slide_B_count.csv: .*Slide_B_1x1"):
        load("ST", two, streaming=False, cache_dir=str(tmp_path / "cache"))
    with pytest.raises(DataError, match=r"Slide_B_count.csv: .*Slide_B_1x1"):
        list(load("ST", two, streaming=True))


@pytest.mark.parametrize("load", [
    "stimage_1k4m.load('ST', root, num_proc=2, streaming=False)",
    "datasets.load_dataset('stimage_1k4m', 'ST', data_dir=root, split='train', num_proc=2)",
])  # fmt: skip
def test_an_error_of_several_processes_is_the_datas_own(two, tmp_path, load):
    """In a process of its own: datasets ends its processes by SIGTERM, which a handler that others leave would lose."""
    spoil(two)
    code = f"""
import datasets
import stimage_1k4m
from stimage.core.errors import DataError
root = {str(two)!r}
try:
    {load}
except DataError as error:
    print(error)
"""
    done = python(code, HF_HOME=str(tmp_path / "home"))
    assert re.search(r"Slide_B_count.csv: .*Slide_B_1x1", done.stdout), done.stderr


def spoil(root: Path) -> None:
    """Put a letter into a count of Slide_B."""
    counts = root / "ST/gene_exp/Slide_B_count.csv"
    counts.write_text(counts.read_text().replace("Slide_B_1x1,", "Slide_B_1x1,x", 1))


def test_what_else_goes_wrong_while_preparing_is_said(two, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("datasets.arrow_writer.ArrowWriter.write_table", full)
    with pytest.raises(DataError, match=f"{tmp_path}/cache.*: cannot be written .No space left"):
        stimage_1k4m.load("ST", two, streaming=False, cache_dir=tmp_path / "cache")


@pytest.mark.parametrize("moved", MOVED)
def test_datasets_may_move_its_private_parts(tiny, moved):
    code = f"""
import datasets
del {moved}
import stimage_1k4m
print(len(list(stimage_1k4m.load("ST", {str(tiny)!r}))))
"""
    done = python(code)
    assert done.returncode == 0 and done.stdout == "9\n", done.stderr
    assert "use stimage_1k4m.load(" in done.stderr and moved.split(".")[-1] in done.stderr


@pytest.mark.parametrize("module", ["stimage", "stimage_1k4m"])
def test_windows_is_refused_in_a_sentence(module):
    done = python(f"import datasets, sys; sys.platform = 'win32'; import {module}")
    said = done.stderr.splitlines()[-1]
    assert done.returncode and said.startswith("ImportError: stimage runs on Linux and macOS; on Windows, ")
    assert f"`{said.removeprefix('ImportError: ')}`" in TROUBLESHOOTING


FORGOTTEN = "import datasets; datasets.load_dataset({name!r}, 'ST', data_dir={root!r}{more})"
NO_HUB = ("stimage_1k4m", "", "Couldn't reach 'stimage_1k4m' on the Hub (OfflineModeIsEnabled)")
MESSAGES = [NO_HUB]
if OLD:
    MESSAGES += [("stimage_1k4m.py", "", "The repository for stimage_1k4m contains custom code which must be executed")]
else:
    MESSAGES += [
        ("stimage_1k4m.py", "", "Dataset scripts are no longer supported, but found stimage_1k4m.py"),
        ("stimage_1k4m", ", trust_remote_code=True", "`trust_remote_code` is not supported anymore."),
    ]


@pytest.mark.parametrize("name, more, message", MESSAGES)
def test_what_datasets_says_is_in_troubleshooting(tiny, tmp_path, monkeypatch, name, more, message):
    monkeypatch.chdir(PROJECT)
    code = FORGOTTEN.format(name=name, root=str(tiny), more=more)
    done = python(code, HF_HUB_OFFLINE="1", HF_HOME=str(tmp_path / "home"))
    assert done.returncode and message in done.stderr
    assert message.replace("OfflineModeIsEnabled", "…") in TROUBLESHOOTING


def test_not_importing_it_is_in_troubleshooting(tiny, tmp_path, hub):
    code = FORGOTTEN.format(name="stimage_1k4m", root=str(tiny), more="")
    message = "Dataset 'stimage_1k4m' doesn't exist on the Hub or cannot be accessed."
    home = {"HF_HOME": str(tmp_path / "home")}
    assert message in python(code, **hub.env() | home).stderr and message in TROUBLESHOOTING
    prepare = f"import stimage_1k4m; stimage_1k4m.load('ST', {str(tiny)!r}, streaming=False)"
    assert (done := python(prepare, **home)).returncode == 0, done.stderr  # it is prepared, too
    message = "Couldn't find cache for stimage_1k4m for config"
    said = python(code, HF_HUB_OFFLINE="1", **home).stderr
    assert message in said and message in TROUBLESHOOTING
    done = python(f"import stimage_1k4m; {code}", HF_HUB_OFFLINE="1", **home)
    assert done.returncode == 0, done.stderr
