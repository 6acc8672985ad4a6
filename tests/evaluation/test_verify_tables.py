"""A benchmark's tables are computed again from its results: a table, or the rows that it is made of, may not differ."""

import shutil
from pathlib import Path

import pytest

import stimage
from stimage.core.errors import DataError
from stimage.evaluation.saved.manifest import seal_all
from tests.building import once
from tests.evaluation.scripts import embed, run
from tests.evaluation.test_hest_bench import write_bench
from tests.roots import write_slide

TASK = """\
job: predict
each: {tissue: any, slides: 2}
options: {protocol: fixed, split: slide, panel: [ERBB2, ESR1]}
metric: pooled.pearson
baselines: {gene mean: pooled.baselines.gene_mean.pearson, colour: pooled.baselines.colour.pearson}
"""


@pytest.fixture(params=["root", "hest"])
def out(request, tmp_path_factory, tmp_path, capsys) -> Path:
    """What the command wrote, of two encoders, one of which has a name that Markdown and LaTeX may mistake."""

    def build(folder: Path) -> None:
        arguments = [write_bench(folder / "hest") or folder / "hest", "--encoders", "position", "colour"]
        if request.param == "root":
            for k in range(3):
                write_slide(folder / "root", f"S{k}", "ST", side=5, seed=k)
            (folder / "genes.yaml").write_text(TASK)
            mine = [embed(folder / "root", folder / name, size=size) for name, size in (("a_&%", 4), ("b|#^", 5))]
            arguments = [folder / "root", "--tasks", folder / "genes.yaml", "--encoders", *mine]
        assert not run(capsys, "benchmark.py", *arguments, out=folder / "out").error

    return shutil.copytree(once(tmp_path_factory, f"tables-{request.param}", build) / "out", tmp_path / "copy")


def test_tables_are_of_the_results_wherever_they_are(out):
    assert stimage.verify(out) == []
    tables = sorted(path for form in ("csv", "md", "tex") for path in out.glob(f"*.{form}") if path.name != "units.csv")
    assert len(tables) in (9, 12)  # of 25 spots no ceiling is known, and none stands in a table
    for path in tables:
        text = path.read_text()
        path.write_text(text.replace("0.", "1.", 1) if "0." in text else text + "\n")
        seal_all(out)
        assert stimage.verify(out) == [f"{path}: is not the table of units.csv"]
        path.write_text(text)


def test_rows_are_of_the_results(out):
    path = out / "units.csv"
    lines = path.read_text().splitlines()
    cells = lines[1].split(",")
    figure = lines[0].split(",").index("value" if "value" in lines[0] else "pearson")
    path.write_text("\n".join([lines[0], ",".join([*cells[:figure], "0.5", *cells[figure + 1 :]]), *lines[2:], ""]))
    seal_all(out)
    wrong = stimage.verify(out)
    assert f"is 0.5, but {cells[figure]} by " in wrong[0] and "results.json" in wrong[0]
    assert any(one.endswith("benchmark.md: is not the table of units.csv") for one in wrong)
    path.write_text("\n".join([lines[0], ",".join([*cells[:figure], "x", *cells[figure + 1 :]]), ""]))
    seal_all(out)
    with pytest.raises(DataError, match=r"units.csv: line 2: \w+ 'x' is no number; run the benchmark again"):
        stimage.verify(out)
    path.write_text("task,encoder,results,kind\n")
    seal_all(out)
    with pytest.raises(DataError, match=r"units.csv: has no column .*; run the benchmark again"):
        stimage.verify(out)


def test_results_that_were_taken_away_are_missed(out):
    path = next(path for path in sorted(out.glob("*/*/*/results.json")))
    shutil.rmtree(path.parent)
    assert f"{path}: is missing" in stimage.verify(out)
