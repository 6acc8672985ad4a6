"""Settings of a run: what a YAML file, its base and overrides may say, and how they are described."""

import ast
import json
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from types import NoneType

import numpy as np
import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from stimage.core.errors import DataError
from stimage.training.settings.describing import fill, settings_help
from stimage.training.settings.groups import GROUPS, SETTINGS, Settings, flat
from stimage.training.settings.reading import RENAMED, make_settings, read_settings

PROJECT = Path(__file__).parents[2]
SHIPPED = sorted((PROJECT / "configs/finetune").glob("*.yaml"))
LEAST = {"source": "root", "towers.second": "text"}
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates() | st.binary()
VALUES = st.recursive(SCALARS, lambda one: st.lists(one, max_size=3) | st.dictionaries(st.text(), one, max_size=3))
WORDS = st.sampled_from(
    [*SETTINGS, *GROUPS, *RENAMED, "base", "null", "[", "{", "&a", "*a", ": ", "\n", "- ", "<<", "!!x"]
)


@pytest.fixture
def read(tmp_path):
    """Read settings out of a YAML text."""

    def read(text: str | bytes, *overrides: str) -> Settings:
        (tmp_path / "mine.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_settings(tmp_path / "mine.yaml", ["towers.second=text", *overrides], "root")

    return read


def refused(message: str):
    return pytest.raises(DataError, match=message)


def test_values_are_read_by_their_settings_type(read):
    found = read("data: {validation_slides: [002, 2024-05-17, no, 1e3], species: 1.0}\nrun: {mixed_precision: no}\n"
                 "optimiser: {lr: 1e-4, head_lr: '2e-4', betas: [.5, 9e-1], cosine: Off, clip_norm: ~}",
                 "seed=007")  # fmt: skip
    assert found.data.validation_slides == ("002", "2024-05-17", "no", "1e3") and found.data.species == "1.0"
    assert found.run.mixed_precision == "no" and found.run.seed == 7
    own = found.optimiser
    assert (own.lr, own.head_lr, own.betas, own.cosine, own.clip_norm) == (1e-4, 2e-4, (0.5, 0.9), False, None)
    assert read("data: {um_per_px: 0.5}").data.um_per_px == 0.5
    assert read("{}", "um_per_px=scales.csv", "slides=").data.um_per_px == "scales.csv"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("patience=0", "run.patience: is 0; must be a whole number of 1 or more, or null"),
        ("warmup=500", "optimiser.warmup: is 500; must be a number from 0 to 1"),
        ("logit_scale_lr=-1", "logit_scale_lr: is -1; must be a number of 0 or more"),
        ("slides=[a", r"slides=\[a: is no YAML: .*line 1, column 1"),
        ("betas=[0.9]", r"betas: is \['0.9'\]; must be a list of 2 numbers from 0 to below 1"),
        ("betas=0.9", "betas: is 0.9; must be a list"), ("lr=[1e-4]", "lr: is .*; must be a number"),
        ("lr=nan", "lr: is nan"), ("lr=.inf", "lr: is .inf"), ("lr=1e999", "lr: is 1e999"), ("lr=", "lr: is null"),
        ("epochs=2.5", "epochs: is 2.5"), ("epochs=true", "epochs: is true"), ("compile=2", "must be true or false"),
        ("batch_size=1", "whole number of 2 or more"), ("clip_norm=0", "above 0, or null"), ("seed=-1", "seed: is -1"),
        ("panel={a: b}", "panel: is .*; must be a text"), ("slides=[[a]]", "slides: is"), ("panel=''", "panel: is ''"),
        ("tech=visium", "must be ST, Visium, VisiumHD or all"), ("um_per_px=-1", "um_per_px: is -1"),
        ("vision=a", "'vision' is called 'towers.image' now"), ("data=a", "'data' is called 'data.source' now"),
        ("loss.lr=1", "knows no setting 'loss.lr'; did you mean 'optimiser.lr'"),
        ("epochss=1", "did you mean 'epochs'"), ("run=1", "'run' is a group of settings, such as 'run.epochs'"),
        ("epochs", "--override epochs: write name=value"), ("split_fractions=[1, 1, 1]", "give three that add up to 1"),
    ],
)  # fmt: skip
def test_what_an_override_may_not_say(read, override, message):
    with refused(message):
        read("{}", override)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is no YAML mapping of settings"), ("# nothing", "is no YAML mapping"), ("[a]", "is no YAML mapping"),
        ("data: {panel: a, panel: b}", "line 1: has 'panel' twice"),
        ("run: {epochs: 1}\nloss: {}\nrun: {}", "line 3: has 'run' twice"),
        ("run:\n\tepochs: 1", r"cannot start any token at line 2"), (b"\x89PNG\r\n", "is no YAML: .*utf-8"),
        ("run: {epochs: 1", "is no YAML"), ("{}\n---\n{}", "but found another document"),
        ("run: {lr: 1}", "knows no setting 'run.lr'; did you mean 'optimiser.lr'"), ("run: 3", "is a group"),
        ("vision: a\npanel: b", "write vision as towers: {image: …}, panel as data: {panel: …}"),
        ("data: root", "write data as data: {source: …}"), ("data.panel: a", "write data.panel as data: {panel: …}"),
        ("base: [a]", "base: must be a YAML file"), ("base: nobodys", "mine.yaml: 'nobodys': is neither"),
        ("base: none.yaml", "mine.yaml: .*none.yaml: cannot be read"),
        ("base: mine.yaml", "stands on itself"), ("run: &a {epochs: *a}", "run.epochs: is"),
        ("run: {epochs: !!python/name:os.system }", "is no YAML"), ("run: {epochs: " + "[" * 3000, "is no YAML"),
    ],
)  # fmt: skip
def test_what_a_file_may_not_say(read, text, message):
    with refused(message):
        read(text)


def test_a_file_stands_on_others(tmp_path, read):
    (tmp_path / "far").mkdir()
    (tmp_path / "far/one.yaml").write_text("base: ../two.yaml\nrun: {epochs: 7}\nloss: {chunk: 8}")
    (tmp_path / "two.yaml").write_text("run: {epochs: 5, keep: 9, patience: 4}\noptimiser: {lr: 0.5}")
    found = read("base: far/one.yaml\nrun: {patience: null}\nloss:", "chunk=16")
    assert (found.run.epochs, found.run.keep, found.run.patience) == (7, 9, None)
    assert found.loss.chunk == 16 and found.optimiser.lr == 0.5
    assert flat(found.record)["run.keep"] == 9  # what a run records is the whole
    assert read("base: plip_text\nrun: {epochs: 4}").towers.image == "vinid/plip"  # a shipped one
    (tmp_path / "two.yaml").write_text("optimiser: {lr: fast}")
    with refused(r"two.yaml: optimiser.lr: is fast"):
        read("base: far/one.yaml")
    (tmp_path / "two.yaml").write_text("base: far/one.yaml")
    with refused("stands on itself"):
        read("base: far/one.yaml")
    assert read("run: &a {epochs: 3}\nloss: {<<: {chunk: 4}}").run.epochs == 3


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_configurations(path):
    found = read_settings(path, ["vectors=table.csv"] if path.stem == "original_tables" else (), source="root")
    tables = path.stem.startswith("original_")  # tests/training/test_original_runs.py has more on these
    assert found.towers.second == ("text" if "text" in path.stem else "vectors" if tables else "linear")
    assert found.optimiser.kind == ("adam" if path.stem.startswith("original") else "adamw")
    if path.stem.startswith(("clip", "plip")):
        assert found.towers.image == {"c": "openai/clip-vit-base-patch32", "p": "vinid/plip"}[path.stem[0]]
        assert (found.loss.batch_size, found.loss.chunk, found.run.patience) == (1024, 256, 3)
        assert found.optimiser.lr == (1e-5 if "text" in path.stem else 5e-5)


def test_settings_that_cannot_do_without_one_another(read):
    with refused("data.panel: is not given; make one"):
        read("{}", "towers.second=mlp")
    with refused("data.source: is not given"):
        make_settings({"second": "text"})


@pytest.mark.parametrize("name", [name for name in SETTINGS if name != "data.source"])
def test_every_setting_refuses_what_it_cannot_be(name):
    one = SETTINGS[name]
    wrong = [float("nan"), -np.inf, b"x", object(), set(), [[1]], [None], ""]
    wrong += [] if dict in one.kinds else [{}]
    wrong += [] if NoneType in one.kinds else [None]
    wrong += [] if str in one.kinds or (int in one.kinds and one.most is None) else [10**400]
    for value in wrong:
        with refused(f"^{name}: is .*; must be "):
            make_settings(LEAST | {name: value})


@given(st.dictionaries(st.sampled_from(sorted(SETTINGS)), VALUES, max_size=4))
def test_what_is_made_is_recorded_and_read_again(tmp_path_factory, values):
    with suppress(DataError):
        found = make_settings(LEAST | values)
        path = tmp_path_factory.getbasetemp() / "again.yaml"
        path.write_text(yaml.safe_dump(found.record, allow_unicode=True))
        assert read_settings(path) == found
        assert make_settings(flat(json.loads(json.dumps(found.record)))) == found


@given(st.lists(WORDS | st.text(max_size=5), max_size=12))
@example(["run", ": ", "{", "&a"])
def test_a_file_is_read_or_refused(tmp_path_factory, words):
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text("".join(words), encoding="utf-8", errors="ignore")
    with suppress(DataError):
        assert isinstance(read_settings(path, ["towers.second=text"], "root"), Settings)


def test_documentation_and_help_have_all_settings():
    page = (PROJECT / "docs/reference/settings.md").read_text(encoding="utf-8")
    assert fill(page) == page, "run python -m stimage.training.settings.describing"
    lines = settings_help().splitlines()
    assert all(any(line.startswith(f"  {name}=") for line in lines) for name in SETTINGS)


def test_help_imports_no_torch():
    code = (
        "import runpy, sys\nsys.argv = ['finetune_clip.py', '--help']\n"
        "try: runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "except SystemExit: print(sorted({'torch', 'transformers', 'accelerate'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT / "scripts/finetune", capture_output=True, text=True
    )
    assert ast.literal_eval(done.stdout.splitlines()[-1]) == [] and "towers.image=" in done.stdout
