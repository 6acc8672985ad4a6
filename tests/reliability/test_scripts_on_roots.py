"""A root of which one file is damaged, through the scripts that build, check and select."""

import json
import shutil

import pytest
from hypothesis import given

from stimage.core.errors import DataError
from tests.reliability import slow
from tests.reliability.faults import damage, mended
from tests.reliability.oracle import judge
from tests.reliability.scripts import call, in_this_process  # noqa: F401
from tests.reliability.test_root import read
from tests.reliability.world import FILES, faults, make_root, name_of, other_of, some, struck_of
from tests.roots import write_csv

BUILD, CHECK = "data_process/build_shards.py", "data_collection/check_spots.py"
SELECT = "data_process/select_genes.py"
pytestmark = pytest.mark.usefixtures("in_this_process")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return make_root(tmp_path_factory.mktemp("faults") / "root")


@pytest.fixture(scope="module")
def built(root, tmp_path_factory):
    call(BUILD, root, out := tmp_path_factory.mktemp("built") / "out")
    return published(out)


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def published(out):
    """Return what is published of a folder, by name."""
    paths = (path for path in sorted(out.rglob("*")) if path.is_file() and ".build" not in path.parts)
    return {str(path.relative_to(out)): path.read_bytes() for path in paths}


def refusal(root, slides: list[str]) -> str | None:
    """Return why the builder refuses slides of a root."""
    try:
        read(root, slides=slides)
    except DataError as error:
        return str(error)


@given(fault=faults(FILES))
@some(30, 0.2)
def test_build_shards(root, built, out, fault):
    path = root / FILES[fault.kind]
    shutil.rmtree(out, ignore_errors=True)
    with mended(path):
        damage(path, fault, other_of(root, fault.kind))

        def check(_):
            made = {name for name in published(out) if name.startswith("data/")}
            rows = [row for name in sorted(made) for row in slow.parquet(out / name).to_dicts()]
            examples = {example["spot_id"]: example for example in read(root)}
            assert len(rows) == len(examples)
            for row in rows:
                example = examples[row["spot_id"]]
                assert {**row, "image": 0} == {**example, "image": 0}
                assert slow.decoded(row["image"]["bytes"]).tobytes() == example["image"].tobytes()

        whole = judge("build_shards", fault, [name_of(fault)], lambda: call(BUILD, root, out), check)
    if not whole:
        assert not (out / "README.md").exists()
        try:
            call(BUILD, root, out)
        except DataError as error:  # genes were numbered by the damaged file
            assert fault.kind == "genes" and "genes.parquet" in str(error), error
        else:
            assert published(out) == built


@given(fault=faults(FILES))
@some(25, 0.2)
def test_check_spots(root, out, fault):
    """Whatever the builder refuses, the check must say of that slide that it fails; it never stops at one."""
    path = root / FILES[fault.kind]
    slides = {"Slide_A", struck_of(fault) or "Slide_B"}
    shutil.rmtree(out, ignore_errors=True)
    with mended(path):
        damage(path, fault, other_of(root, fault.kind))

        def checks():
            try:
                call(CHECK, root, "--out", out, "--slides", *slides)
            except DataError as error:
                if not str(error).startswith("1\n"):
                    raise
            return json.loads((out / "results.json").read_text())

        def check(results):
            bad = {name for name, slide in results["slides"].items() if slide["status"] == "fail"}
            assert len(results["slides"]) == len(slides) and (out / "report.html").exists()
            why = refusal(root, sorted(slides)) if fault.kind != "genes" else None
            if why and "has no id in" not in why:  # of the root's own numbering check_spots knows nothing
                assert any(name in why for name in bad), why

        judge("check_spots", fault, [name_of(fault)], checks, check)


@given(fault=faults({"meta", "counts"}))
@some(25, 0.2)
def test_select_genes(root, out, fault):
    """A panel is that of the same counts written plainly, by the slow reader."""
    path, panel = root / FILES[fault.kind], out.with_suffix(".json")
    panel.unlink(missing_ok=True)

    def select():
        call(SELECT, root, "--method", "overlap-hvg", "--n", 2, "--out", panel)
        return json.loads(panel.read_text())["genes"]

    with mended(path):
        damage(path, fault, other_of(root, fault.kind))

        def check(genes):
            head, *body = slow.rows(root / FILES["counts"], "backslashreplace")  # ids play no part
            assert body and all(len(row) == len(head) for row in body)
            write_csv(root / FILES["counts"], [head, *([k, *map(float, row[1:])] for k, row in enumerate(body))])
            assert select() == genes

        with mended(root / FILES["counts"]) if fault.kind != "counts" else mended(root / FILES["meta"]):
            if not judge("select_genes", fault, [name_of(fault)], select, check):
                assert not panel.exists()
