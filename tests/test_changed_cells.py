"""Cells that change give new results wherever results are kept, though slides are equal whatever their cells."""

import json

import pytest

import stimage
import stimage_1k4m
from stimage.core.errors import DataError
from stimage.jobs.cells.counting import count_cells
from stimage.slides.catalog import read_catalog
from stimage.slides.coordinates import read_coordinates
from tests.evaluation.scripts import embed
from tests.roots import write_slide

TASK = "job: {job}\neach: {{tissue: any, slides: 2}}\n{options}metric: {metric}\n"
TASKS = {
    "predict": TASK.format(job="predict", options="options: {panel: [ERBB2]}\n", metric="pooled.pearson"),
    "retrieve": TASK.format(job="retrieve", options="", metric="within.a_to_b.recall@1"),
}


@pytest.fixture
def root(tmp_path):
    """Two slides, whose cells are one at each spot."""
    for k in range(2):
        write_slide(tmp_path / "root", f"S{k}", "ST", side=5, seed=k)
    put_cells(tmp_path / "root", 1)
    return tmp_path / "root"


def put_cells(root, each: int, um: float | None = None) -> None:
    """Put so many cells at each spot of all slides."""
    for slide in read_catalog(root).slides:
        at = read_coordinates(slide.coord)
        cells = [{"centroid": [x, y], "type": 1} for x, y in zip(at.x.tolist(), at.y.tolist()) for _ in range(each)]
        (root.parent / "nuclei.json").write_text(json.dumps({"nuc": dict(enumerate(cells))}))
        one = stimage.open_root(root, slides=slide.name, um_per_px=um)
        stimage.import_cells(one, slide.name, root.parent / "nuclei.json", classes="pannuke", unchecked=True)


@pytest.mark.parametrize("streaming", [True, False])
def test_examples(root, tmp_path, streaming):
    """In one process, whose caches know the slides, and in the cache of prepared data sets."""
    for each in (1, 3):
        put_cells(root, each)
        spots = stimage_1k4m.load("ST", root, streaming=streaming, cells=True, columns=["spot_id", "cells"],
                                  **({} if streaming else {"cache_dir": tmp_path / "cache"}))  # fmt: skip
        counts = {spot["spot_id"]: sum(spot["cells"].values()) for spot in spots if spot["cells"]}
        assert len(counts) > 10 and set(counts.values()) == {each}
        assert count_cells(root)["Neoplastic"].to_dict() == counts


@pytest.mark.parametrize("job", TASKS)
def test_benchmarks(root, tmp_path, job):
    """Predictions have a baseline of nuclei even where the task does not name it; retrieval has none."""
    (tmp_path / "task.yaml").write_text(TASKS[job])
    files = embed(root, tmp_path / "mine" / ("images" if job == "retrieve" else ""))
    if job == "retrieve":
        embed(root, tmp_path / "mine/genes")
        files = tmp_path / "mine"
    arguments = (root, files, tmp_path / "out", tmp_path / "task.yaml")
    found = stimage.benchmark_root(*arguments)
    put_cells(root, 3)
    if job == "retrieve":
        assert stimage.benchmark_root(*arguments).equals(found)
        return
    with pytest.raises(DataError, match="or of files that have changed since; pass another out="):
        stimage.benchmark_root(*arguments)


def test_densities_are_of_one_scale(root):
    """A scale that is given later, or with the import alone, is that of both ways to tell densities."""
    for path in root.glob("ST/coord/*.csv"):  # r contradicts the pitch, so that no scale is known
        lines = path.read_text().splitlines()
        path.write_text("\n".join([lines[0], *(f"{line.rpartition(',')[0]},3.0" for line in lines[1:])]) + "\n")
    for at_import, later in ((None, 0.7), (0.5, None), (0.5, 0.7)):
        put_cells(root, 2, at_import)
        given = {} if later is None else {"um_per_px": later}
        table = count_cells(stimage.open_root(root, **given), values="density")["Neoplastic"]
        expected = 2 / (3.141592653589793 * (3 * (later or at_import) / 1000) ** 2)
        assert table.to_numpy() == pytest.approx(expected, rel=1e-6)
        spots = stimage_1k4m.load("ST", root, cells=True, columns=["spot_id", "cells_per_mm2"], **given)
        density = {one["spot_id"]: one["cells_per_mm2"] for one in spots if one["cells_per_mm2"] is not None}
        assert density == pytest.approx(table.to_dict(), rel=1e-6) and len(density) > 10
