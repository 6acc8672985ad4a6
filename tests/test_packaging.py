"""What is installed: the command, extras and requirements, imports that wait until they are needed, former imports."""

import importlib
import re
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

import stimage
from stimage.core.extras import EXTRAS, needs
from stimage.core.shipped import find_config, find_shipped

tomllib = pytest.importorskip("tomllib")  # of Python 3.11 and later
PROJECT = Path(__file__).parents[1]
DECLARED = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
SCRIPTS = sorted((PROJECT / "scripts").rglob("*.py"))
SLOW = ("accelerate", "anndata", "datasets", "matplotlib", "scanpy", "sklearn", "torch", "transformers")


def run(*words: str, code: str | None = None) -> subprocess.CompletedProcess:
    """Run `stimage` with some words, or Python code."""
    command = [sys.executable, *(["-c", code] if code else ["-m", "stimage"]), *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=PROJECT)


def test_requirements_are_those_of_what_exists_today():
    wanted = [*DECLARED["dependencies"]]
    for extra in ("genes", "train", "evaluate"):
        wanted += [one for one in DECLARED["optional-dependencies"][extra] if not one.startswith("stimage-1k4m")]
    assert sorted(wanted) == sorted((PROJECT / "requirements.txt").read_text(encoding="utf-8").split())
    pinned = re.findall(r"^([\w.-]+)==", (PROJECT / "constraints.txt").read_text(encoding="utf-8"), re.M)
    all_of_them = [*wanted, *(one for some in DECLARED["optional-dependencies"].values() for one in some)]
    names = {re.split(r"[\[>=]", one)[0] for one in all_of_them} - {"stimage-1k4m"}
    assert not names - {*pinned}


@pytest.mark.parametrize("module, extra", EXTRAS.items())
def test_extras_have_what_errors_say(module, extra):
    names = [re.split(r"[\[>=]", one)[0] for one in DECLARED["optional-dependencies"][extra]]
    assert {*packages_distributions().get(module, [module])} & {*names}


def test_what_is_missing_names_its_extra():
    with pytest.raises(ModuleNotFoundError, match="No module named 'no_such_module'"):
        needs("no_such_module")
    without = "import sys; sys.modules['scanpy'] = sys.modules['sklearn'] = None; import stimage.core.extras"
    done = run(code=f"{without}; stimage.core.extras.needs('scanpy')").stderr.splitlines()[-1]
    install = f'pip install -e "{PROJECT}'  # the clone: no index has the project
    assert done == f'stimage.core.extras.NotInstalled: scanpy is not installed; {install}[genes]"'
    done = run(code=f"{without}; stimage.scores.project").stderr.splitlines()[-1]
    assert done.endswith(f': sklearn is not installed; {install}[evaluate]"')


def test_the_command_lists_and_runs_every_script():
    listed = run("--help").stdout
    for path in SCRIPTS:
        first = re.match(r'"""(.*?)("""|\n)', path.read_text(encoding="utf-8"))[1]
        assert re.search(rf"^  {path.stem.replace('_', '-')} +{re.escape(first)}$", listed, re.M)
    assert run("--version").stdout.strip() == stimage.__version__
    assert run().returncode == 2
    done = run("build-shard")
    assert done.returncode == 1 and "did you mean build-shards?" in done.stderr and done.stderr.count("\n") == 1
    done = run("make-sample", "--out", str(PROJECT / "README.md"))
    assert done.returncode == 1 and done.stderr.startswith("error: ")
    assert run("compare", "--help").stdout.startswith("usage: stimage compare ")


def test_help_of_no_job_waits_for_what_only_its_work_needs():
    code = f"""if True:
        import os, sys
        import stimage.cli.options  # what all jobs share; each is then forked
        from stimage.cli.command import find_jobs, run_script
        for job, path in find_jobs().items():
            if os.fork():
                os.wait()
                continue
            sys.stdout = open(os.devnull, "w")
            try:
                run_script(path, job, ["--help"])
            except SystemExit as end:
                print(job, end.code, *[name for name in {SLOW} if name in sys.modules], file=sys.stderr)
            os._exit(0)
    """
    done = dict(line.split(" ", 1) for line in run(code=code).stderr.splitlines())
    assert done == {path.stem.replace("_", "-"): "0" for path in SCRIPTS}


@pytest.mark.parametrize("module, without", [("stimage_1k4m", ("torch", "scanpy", "scipy")), ("stimage", SLOW)])
def test_importing_waits_for_no_more_than_it_needs(module, without):
    done = run(code=f"import sys, {module}; print(*[name for name in {without!r} if name in sys.modules])")
    assert done.returncode == 0 and done.stdout.split() == []


def test_shipped_files_by_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_config("tiny") == PROJECT / "configs/finetune/tiny.yaml"
    assert find_config("mine.yaml") == Path("mine.yaml")
    with pytest.raises(ValueError, match=r"'tinny': is neither .* such as tiny"):
        find_config("tinny")
    assert Path(find_shipped("configs/finetune/tiny_clip")).is_dir() and find_shipped("user/model") == "user/model"
    assert Path(stimage.metric_path("retrieval"), "retrieval.py").exists()
    with pytest.raises(ValueError, match="pass one of embedding_scores, linear_probe, retrieval"):
        stimage.metric_path("accuracy")


@pytest.mark.parametrize(
    "former, name, room", [("spot_clip", "SpotClipModel", "towers"), ("batches", "spot_loader", "loading")]
)
def test_former_imports_warn_with_the_new_one(former, name, room, monkeypatch):
    monkeypatch.delitem(sys.modules, f"stimage.modeling.{former}", raising=False)
    with pytest.warns(FutureWarning, match=f"stimage.modeling.{former}: import {name} from stimage.{room}"):
        module = importlib.import_module(f"stimage.modeling.{former}")
    assert getattr(module, name) is getattr(importlib.import_module(f"stimage.{room}"), name)


def test_files_of_embeddings_are_had_from_where_they_were_with_a_warning():
    with pytest.warns(FutureWarning, match=r"stimage.evaluation.write_embeddings: import .* from stimage.loading"):
        assert stimage.evaluation.write_embeddings is stimage.loading.write_embeddings
    with pytest.raises(AttributeError):
        _ = stimage.evaluation.no_such_name
