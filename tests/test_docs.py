"""README, CONTRIBUTING and docs: commands and Python blocks are run, links lead somewhere, messages are the code's.

Commands run in one process, in a folder with small files under the names that the documents use. What cannot be
run as it stands is in `STAND_INS`, with what is run instead.
"""

import ast
import gzip
import json
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml
from accelerate.commands.launch import launch_command_parser
from accelerate.state import AcceleratorState
from PIL import Image
from torch.distributed.run import get_args_parser
from transformers import CLIPImageProcessor

import stimage_1k4m
from docs.notebooks import cells_of
from stimage.formats.written.anndata_files import write_h5ad
from stimage.sample import make_sample
from stimage.slides.catalog import read_catalog
from stimage.training.settings.reading import read_settings
from tests.alone import draw
from tests.collection.test_make_meta import BIB, MATRIX
from tests.evaluation.test_hest_bench import write_bench
from tests.formats.stores import visium
from tests.formats.test_st_tables import Section
from tests.nuclei import dark_spots
from tests.outs import write_outs
from tests.test_scripts import no_processes
from tests.towers.checkpoints import write_clip

PROJECT = Path(__file__).parents[1]
PAGES = sorted(str(path.relative_to(PROJECT)) for path in (PROJECT / "docs").rglob("*.md"))
NOTEBOOKS = sorted(str(path.relative_to(PROJECT)) for path in (PROJECT / "docs").rglob("*.ipynb"))
DOCUMENTS = ["README.md", "CONTRIBUTING.md", *PAGES, *NOTEBOOKS]
NAMES = {"SLIDE": "Human_Breast_Sample3_Visium_B1", "user/": "tester/"}  # other names are files
ON_HUB = {"hf://datasets/jiawennnn/STimage-1K4M": "ROOT",  # in Python blocks; tests/hub reads from a Hub
          "Human_Breast_Andersson_10142021_ST_B4": "Human_Breast_Sample1_ST_A1"}  # fmt: skip
SMALL = {"loss": {"batch_size": 16, "chunk": 8}, "run": {"epochs": 1, "workers": 0},  # of every configuration
         "data": {"patch_um": None, "patch_px": None}}  # the sample's images are too coarse  # fmt: skip
STAND_INS = {  # first words of a command: what is run instead
    "make": "make -n, which knows whether there is such a target; CI makes lint and the tests",
    "accelerate launch": "its parser, then the script in this process",
    "--config_file": "of several GPUs: accelerate's parser, the script's, and its settings; there are no GPUs",
    "torchrun": "its parser, the script's, and its settings; tests/training trains on two processes",
    "sbatch": "bash -n and a look for the files that are named; there is no cluster",
    "--engine slurm": "submission to an sbatch that runs nothing; tests/publishing/test_engines.py has one that does",
    "--engine ray": "--engine local; tests/publishing/test_engines.py runs Ray, and finds the same bytes",
    "--push-to-hub": "a local Hub, in a process of its own; tests/hub has the rest",
    "--workers": "all in this process; tests of the build and of the checks have processes",
    "make_sample.py": "a smaller one than its default",
    "pip install": "a look whether there are such extras; tests/test_wheel.py installs",
    ".venv/bin/pre-commit": "pre-commit validate-config; installing it would change this repository",
}
COMMANDS = ("python ", "pip ", "accelerate ", "torchrun ", "make ", "sbatch ", ".venv/bin/")


def read(page: Path) -> str:
    """Return a page's Markdown; of a notebook, without its code, which `test_notebooks.py` runs."""
    text = page.read_text(encoding="utf-8")
    return "\n\n".join(source for kind, source in cells_of(text) if kind != "code") if page.suffix == ".ipynb" else text


def blocks(document: str) -> list[tuple[str, str]]:
    """Return a document's fenced blocks in order: language and text; commands in cells of a table are such, too."""
    text = read(PROJECT / document)
    parts = re.findall(r"^```([^\n`]*)\n(.*?)^```$|^(\|[^\n]*)$", text, re.MULTILINE | re.DOTALL)
    found = [(language, body) for language, body, row in parts if not row]
    for *_, row in parts:
        found += [("sh", code) for code in re.findall(r"`([^`]+)`", row) if code.startswith(COMMANDS)]
    return found


def test_readme_is_short_and_its_figures_are_those_of_the_page():
    readme = (PROJECT / "README.md").read_text(encoding="utf-8")
    assert len(readme.splitlines()) <= 150
    measured = [figures[:6] for _, *figures in rows(PROJECT / "docs/background/speed.md")]
    shown = [
        figures for job, *figures in rows(PROJECT / "README.md") if len(figures) == 6 and job not in ("job", "---")
    ]
    assert len(shown) == 5 and not [figures for figures in shown if figures not in measured]


def rows(page: Path) -> list[list[str]]:
    """Return the cells of the rows of a page's tables."""
    lines = page.read_text(encoding="utf-8").replace("\u00a0", " ").splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]


def test_stand_ins_are_needed():
    said = "\n".join(read(PROJECT / document) for document in DOCUMENTS)
    assert not [words for words in STAND_INS if words not in said]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> Path:
    """A folder with everything that documents name."""
    folder = tmp_path_factory.mktemp("inputs")
    make_sample(folder / "ROOT", genes=120, slides_per_study=2, st_side=6, visium_side=8, hd_side=10)
    (folder / "HEST_v1_1_0.csv").write_text("\ufeffid,dataset_title,study_link\nTENX1,Another,\n", encoding="utf-8")
    write_bench(folder / "hest-bench")
    write_outs(folder)
    draw(folder / "he.tif", 800, 600, (150, 150, 650, 450))
    Image.new("RGB", (36, 36), (160, 90, 150)).save(folder / "patch.png")
    section = Section(folder)
    section.write_counts()
    section.write_places()
    slides = read_catalog(str(folder / "ROOT")).slides
    slide = next(slide for slide in slides if slide.name == NAMES["SLIDE"])
    write_h5ad([slide], folder / "slide.h5ad")
    (folder / "cells.geojson").write_text(json.dumps(dark_spots(Path(slide.image))))
    with pd.option_context("future.infer_string", False):  # anndata does not write the strings of pandas 3
        visium().write(folder / "slide.zarr")
    genes = enumerate(stimage_1k4m.gene_names(str(folder / "ROOT")))
    rows = "".join(f"ENSG{i:011d}\t{gene}\tGene Expression\n" for i, gene in genes)
    (folder / "features.tsv.gz").write_bytes(gzip.compress(rows.encode()))
    (folder / "GSE1_series_matrix.txt").write_text(MATRIX)
    (folder / "bib.txt").write_text(BIB)
    (folder / "scales.csv").write_text(f"slide,um_per_px\n{NAMES['SLIDE']},2.0\n")
    clip = write_clip(folder / "openai/clip-vit-base-patch32")
    CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(clip)
    shutil.copytree(PROJECT / "configs", folder / "configs")
    for path in (folder / "configs/finetune").glob("*.yaml"):
        path.rename(path.with_suffix(".whole"))
        path.write_text(yaml.safe_dump({"base": f"{path.stem}.whole", **SMALL}))
    for name in ("scripts", "metrics", "tests", "Makefile"):
        (folder / name).symlink_to(PROJECT / name)
    (folder / "bin").mkdir()
    (folder / "bin/sbatch").write_text("#!/bin/sh\necho 1\n")
    (folder / "bin/sbatch").chmod(0o755)
    return folder


def run_script(words: list[str], monkeypatch) -> None:
    """Run a script in this process; it must end well."""
    AcceleratorState._reset_state(reset_partial_state=True)  # accelerate has one for a process
    monkeypatch.setattr(sys, "argv", words)
    try:
        runpy.run_path(words[0], run_name="__main__")
    except SystemExit as end:
        assert end.code in (0, None), f"{shlex.join(words)}: {end.code}"


def check_settings(words: list[str], monkeypatch) -> None:
    """Parse a fine-tuning script's arguments, and read the settings that they name."""
    monkeypatch.setattr(sys, "argv", words)
    args = runpy.run_path(words[0])["parse_arguments"]()
    assert read_settings(args.config, args.override, args.data).data.source == args.data


def run_command(words: list[str], monkeypatch, hub) -> None:
    """Run one command, or what `STAND_INS` has in its place."""
    if words[0] == "make":
        subprocess.run(["make", "-n", *words[1:]], cwd=PROJECT, check=True, stdout=subprocess.DEVNULL)
    elif words[:2] == ["pip", "install"]:
        known = (PROJECT / "pyproject.toml").read_text(encoding="utf-8")
        assert not [one for one in re.findall(r"[a-z]+", words[2]) if not re.search(rf"^{one} = \[", known, re.M)]
    elif words[0] == "sbatch":
        subprocess.run(["bash", "-n", words[1]], check=True)
        assert Path(words[2]).exists() and Path(words[3]).exists()
    elif words[0] == ".venv/bin/pre-commit":
        subprocess.run(
            [sys.executable, "-m", "pre_commit", "validate-config", PROJECT / ".pre-commit-config.yaml"], check=True
        )
    elif words[0] in ("accelerate", "torchrun"):
        accelerate = words[:2] == ["accelerate", "launch"]
        launch = (launch_command_parser() if accelerate else get_args_parser()).parse_args(words[1 + accelerate :])
        several = not accelerate or launch.config_file
        (check_settings if several else run_script)([launch.training_script, *launch.training_script_args], monkeypatch)
    elif "--push-to-hub" in words:
        subprocess.run([sys.executable, *words[1:]], check=True, env=hub.env())
    else:
        assert words[0] == "python", f"{shlex.join(words)}: add to STAND_INS what is run in its place"
        small = ["--visium-side", "8", "--hd-side", "8"] if "make_sample.py" in words[1] else []
        run_script([*("local" if word == "ray" else word for word in words[1:]), *small], monkeypatch)


@pytest.mark.parametrize("document", DOCUMENTS)
@no_processes()
def test_every_block_runs(document, inputs, tmp_path, monkeypatch, hub):
    for path in inputs.iterdir():
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / "out/demo").mkdir(parents=True)
    (tmp_path / "out/demo/sample").symlink_to(inputs / "ROOT")  # as `make demo` leaves it
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{inputs / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.syspath_prepend(str(PROJECT))
    names, done = {}, []
    for language, body in blocks(document):
        if language == "python":
            exec(compile(re.sub("|".join(ON_HUB), lambda m: ON_HUB[m[0]], body), document, "exec"), names)
        elif language == "sh":
            lines = body.replace("\\\n", " ").splitlines()
            for words in filter(None, (shlex.split(line, comments=True) for line in lines)):
                words = [re.sub("|".join(NAMES), lambda m: NAMES[m[0]], word) for word in words]
                if words not in done:
                    run_command(words, monkeypatch, hub)
                    done.append(words)
    if document == "README.md":  # what it prints of a spot
        (shown,) = [body for language, body in blocks(document) if language == "pycon"]
        assert re.findall(r"'(\w+)':", shown) == list(next(iter(names["spots"])))


def anchors(path: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```$", "", read(path), flags=re.M | re.S), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_somewhere(document):
    page = PROJECT / document
    for link in re.findall(r"\]\(([^)\s]+)\)", read(page)):
        if not link.startswith("http"):
            path, _, anchor = link.partition("#")
            target = (page.parent / path).resolve() if path else page
            assert target.exists(), f"{document}: {link}"
            assert not anchor or anchor in anchors(target), f"{document}: {link}"


def test_messages_are_the_codes():
    """A message of the troubleshooting page is a template of the code, with … for what is filled in."""
    templates = set()
    for path in [*(PROJECT / "stimage").rglob("*.py"), PROJECT / "stimage_1k4m.py"]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                templates.add("".join(v.value if isinstance(v, ast.Constant) else "…" for v in node.values))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                templates.add(node.value)
    rows = re.findall(
        r"^\| `(.+?)` \|", (PROJECT / "docs/reference/messages.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert len(rows) > 20 and not [row for row in rows if row not in templates]
