"""The benchmarks on tiny inputs, in this process: all sides agree, results have what they should, and are compared."""

import copy
import json
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from accelerate.state import AcceleratorState
from PIL import Image

from benchmarks import __main__ as program
from benchmarks import compare, gpu, growth, hd, images, report, steps
from benchmarks.case import Case, Side
from benchmarks.cases import make_cases
from benchmarks.inputs import QUICK, Inputs
from benchmarks.jobs import tuning
from benchmarks.measure import find_job, measure, run_here

TINY = replace(QUICK, spots=40, genes=60, st=(2, 2), huge=3, slides=2, small_slides=(2,),
               added=(30, 40), headers=(3, 20, 40), bins=(20, 40), bins_genes=50, bins_plain=20, patches=24, step=4,
               probe=(300, 16), silhouette=300)  # fmt: skip
ELSEWHERE = {"workers", "batches", "build", "panel"}  # of other processes, or of more genes than there are here
PACKAGES = "datasets pandas pillow polars pyarrow scanpy scikit-learn torch transformers".split()
MACHINE = {"processor": "P", "cores": 2, "memory_gib": 24.0, "system": "S", "gpu": None, "python": "3.11.7",
           "commit": "abc", "date": "2025-01-01", "versions": dict.fromkeys(PACKAGES, "1.0")}  # fmt: skip


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> Inputs:
    return Inputs(tmp_path_factory.mktemp("bench"), TINY)


def _cases(inputs: Inputs) -> dict[str, Case]:
    return {case.name: case for case in make_cases(inputs)}


def _found(case: Case, side: Side) -> dict:
    return run_here(side.job, *case.arguments(), *side.more)["found"]


@pytest.mark.parametrize("name", [name for name in _cases(Inputs(Path(), TINY)) if name not in ELSEWHERE])
def test_what_is_beside_finds_the_same(inputs, name):
    case = _cases(inputs)[name]
    ours = _found(case, case.ours)
    for side in case.beside:
        case.agree(ours, _found(case, side))
    if case.limit:
        assert _found(case, case.limit)


def test_what_differs_is_refused(inputs):
    case = _cases(inputs)["counts"]
    with pytest.raises(ValueError, match="found"):
        case.agree({"filled": 1}, {"filled": 2})
    with pytest.raises(ValueError, match="differs by"):
        _cases(inputs)["silhouette"].agree({"silhouettes": [0.1, 0.2]}, {"silhouettes": [0.1, 0.2001]})


def test_every_job_is_there_and_its_modules_load(inputs):
    sides = [side for case in make_cases(inputs) for side in (case.ours, *case.beside, case.limit) if side]
    for job in {side.job for side in [*sides, *(side for _, side in growth.SERIES)]}:
        assert all(map(import_module, find_job(job).modules)), job


def test_results_are_written_and_fill_the_readme(tmp_path, capsys):
    results = program.run(tmp_path, ["huge"], TINY)
    assert json.loads((tmp_path / "benchmarks.json").read_text()) == results
    assert results["machine"].keys() == MACHINE.keys() and str(tmp_path) not in json.dumps(results)
    row = results["rows"][0]
    assert [len(side["runs"]) for side in (row["ours"], *row["beside"], row["limit"])] == [3, 3, 3]
    assert all(run["seconds"] > 0 and run["peak_mb"] > run["mb"] >= 0 for run in row["ours"]["runs"])

    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    for _ in range(2):
        assert program.main(["--out", str(tmp_path), "--readme", str(readme)]) == 0
        text = readme.read_text()
        assert text.count("| 9 bins of a JPEG") == 1 and "old" not in text
        assert text.startswith("before\n") and text.endswith(f"{report.END}\nafter\n")
    readme.write_text(f"{report.END} {report.BEGIN}")
    assert program.main(["--out", str(tmp_path), "--readme", str(readme)]) == 1
    assert readme.read_text() == f"{report.END} {report.BEGIN}" and "each once" in capsys.readouterr().err


def _here(job: str, *arguments: object, **_: object) -> list[dict]:
    run = run_here(job, *arguments)
    return [run | {"mb": 1.0, "peak_mb": 2.0, "resident_mb": 3.0 + len(run["found"])}]


def test_the_hd_slide_is_measured_joins_the_readme_and_is_removed(tmp_path, monkeypatch):
    monkeypatch.setattr("benchmarks.case.measure", _here)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    out = tmp_path / "out"
    assert hd.main(["--out", str(out), "--bins", "70", "--sparse-bins", "60", "--genes", "40"]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    found = json.loads((out / "hd.json").read_text())
    assert [row["case"] for row in found["rows"]] == [
        f"hd-{of}{what}" for of in ("", "60-") for what in ("first", "stream", "build")
    ]
    assert found["rows"][1]["beside"][0]["remark"] == "" and [one["bins"] for one in found["hd"]] == [70, 60]
    assert "resident at the peak, imports too: first: 5 MB; stream: " in (out / "hd.md").read_text()

    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- hd -->\n<!-- /hd -->\nafter\n")
    assert hd.main(["--out", str(out), "--readme", str(readme)]) == 0
    said = readme.read_text()
    assert said.startswith("before\n") and said.endswith("after\n")
    assert "| first example of 70 HD bins x 40 genes, .csv |" in said
    assert "The HD slide, 60 bins x 40 genes, .h5 of " in said


def test_an_hd_slide_that_has_no_room_is_refused(tmp_path, capsys):
    assert hd.main(["--out", str(tmp_path), "--bins", "9000000000"]) == 1
    assert "GB free, and the slide and its shards need" in capsys.readouterr().err and not list(tmp_path.iterdir())


def _side(*seconds: float, mb: float = 100.0) -> dict:
    runs = [{"seconds": second, "mb": mb, "peak_mb": mb + 50} for second in seconds]
    return {"name": "a", "cores": 1, "seconds": sorted(seconds)[len(seconds) // 2], "mb": mb, "runs": runs}


def _results() -> dict:
    row = {"case": "counts", "job": "of a slide", "ours": _side(0.99, 1.0, 1.02), "limit": None}
    points = [{"spots": n} | _side(n / 1e4, mb=50 + n / 1e4) for n in (10_000, 30_000, 100_000, 200_000)]
    series = [{"name": "streaming", "points": points, **growth.slopes(points)}]
    rows = [row | {"beside": [_side(9.0) | {"remark": ""}]}]
    return {"machine": MACHINE, "rows": rows, "growth": {"genes": 10, "series": series}}


def _compare(tmp_path, old: dict, new: dict, *more: str) -> int:
    paths = tmp_path / "old.json", tmp_path / "new.json"
    for path, results in zip(paths, (old, new)):
        path.write_text(json.dumps(results))
    return compare.main([*map(str, paths), *more])


def test_compare_fails_what_became_worse_beyond_noise_and_threshold(tmp_path, capsys):
    old, new = _results(), _results()
    assert _compare(tmp_path, old, new) == 0
    new["rows"][0]["ours"] = _side(1.19, 1.2, 1.21)
    assert _compare(tmp_path, old, new) == 0 and "| worse |" in capsys.readouterr().out
    assert _compare(tmp_path, old, new, "--threshold", "10") == 1
    new["rows"][0]["ours"] = _side(1.0, 1.5, 2.0)  # the repeats differ by as much
    assert _compare(tmp_path, old, new) == 0
    new["rows"][0]["ours"] = _side(1.0, 1.0, 1.0, mb=200)
    assert _compare(tmp_path, old, new) == 1 and "counts: of a slide (mb)" in capsys.readouterr().out
    new = _results()
    new["growth"]["series"][0]["points"][-1] |= _side(40.0, mb=70)
    assert _compare(tmp_path, old, new) == 1 and "streaming, 200,000 spots (seconds)" in capsys.readouterr().out


def test_compare_refuses_another_machine(tmp_path, capsys):
    old, new = _results(), _results()
    new["machine"] = MACHINE | {"processor": "Q", "versions": MACHINE["versions"] | {"torch": "2.0"}}
    assert _compare(tmp_path, old, new) == 2 and "processor: P / Q" in capsys.readouterr().err
    assert _compare(tmp_path, old, new, "--other-machine") == 0 and "torch: 1.0 / 2.0" in capsys.readouterr().out


def test_growth_is_fitted_and_drawn(tmp_path):
    results = copy.deepcopy(_results())
    one = results["growth"]["series"][0]
    assert one["time_slope"] == pytest.approx(1) and one["bytes_per_spot"] == pytest.approx(100)
    program.write(results, tmp_path)
    assert (tmp_path / "growth.png").read_bytes().startswith(b"\x89PNG")
    assert "streaming: time as spots^1.00, 100 bytes a spot" in (tmp_path / "benchmarks.md").read_text()


WAYS = {
    "ours": (),
    "LoRA": ("lora_rank=2",),
    "frozen": ("image_vectors={vectors}/tiny",),
    "loaded": (),
}


@pytest.mark.parametrize("way", [*WAYS, "original"])
def test_tuning_takes_steps_of_each_way(inputs, monkeypatch, way):
    monkeypatch.setattr(tuning, "LEAST", 2)
    AcceleratorState._reset_state(reset_partial_state=True)  # of a test that ran before
    (folder,), (vectors,) = inputs.tuning(), inputs.image_vectors()
    changes = [change.format(vectors=vectors) for change in WAYS.get(way, ())]
    plain = ("batch_size=16", "mixed_precision=no", "chunk=null", *changes) if way != "original" else (16,)
    job = f"tuning.{way}" if way in ("original", "loaded") else "tuning.ours"
    found = run_here(job, folder, "tiny", 1, *plain)["found"]
    assert found["spots"] == 16 and found["steps"] == 2
    assert found["median"] > 0 and 0 <= found["waiting"] < 1


def test_ways_on_a_gpu_are_a_table(tmp_path, monkeypatch, capsys):
    def measured(job: str, folder, model, workers, *changes, cores: int, most: float | None) -> list[dict]:
        if "compile=true" in changes:
            raise RuntimeError("no compiler")
        if "lora_rank=8" in changes and most:
            raise TimeoutError(f"was stopped after {most} s")
        step = 0.8 if job == "tuning.original" else 0.2
        return [{"found": {"spots": 1024, "steps": 20, "step": step, "median": step, "waiting": 0.5, "gpu_mb": 3e4}}]

    monkeypatch.setattr(gpu, "measure", measured)
    monkeypatch.setattr(Inputs, "tuning", lambda self: (tmp_path,))
    monkeypatch.setattr(Inputs, "image_vectors", lambda self: (tmp_path / "vectors",))
    names = [*gpu.names_of(gpu.WAYS), gpu.ORIGINAL, "base/bf16, two workers"]
    assert gpu.run(tmp_path, names, also=tmp_path / "elsewhere/found.json") == 1
    assert "no compiler" in capsys.readouterr().out
    table = (tmp_path / "gpu.md").read_text()
    assert table.count("the original's way") == 1
    assert "| bf16, two workers | 2 | 5 | 5,120 | 50% | 30.0 GB | 4.0 x |" in table
    assert "| ViT-L/14 | bf16, frozen, from embeddings | 2 | 5 | 5,120 |" in table
    assert "| ViT-B/32 | bf16, compiled (not measured: failed) |  |  |  |  |  |  |\n" in table
    results = json.loads((tmp_path / "gpu.json").read_text())
    assert json.loads((tmp_path / "elsewhere/found.json").read_text()) == results and not results["left_out"]
    assert not compare.compare(results, results, 0.25)[1]

    readme = tmp_path / "README.md"
    readme.write_text("a <!-- gpu --> old <!-- /gpu --> b <!-- benchmarks --> kept <!-- /benchmarks -->")
    assert gpu.main(["--out", str(tmp_path), "--readme", str(readme)]) == 0
    assert "fp32" in readme.read_text() and "old" not in readme.read_text() and "kept" in readme.read_text()

    assert gpu.run(tmp_path, names, minutes=-1) == 0
    assert json.loads((tmp_path / "gpu.json").read_text())["left_out"] == names
    assert gpu.run(tmp_path, ["base/fp32", "base/bf16, LoRA"], minutes=1e9) == 0
    assert "| ViT-B/32 | bf16, LoRA (not measured: time was up) |  |" in (tmp_path / "gpu.md").read_text()


def test_a_job_is_stopped_with_all_that_it_started(inputs):
    (root,) = inputs.more_slides()[:1]
    with pytest.raises(TimeoutError, match=r"training.first_ours: was stopped after 0 s"):
        measure("training.first_ours", root, 2, 10, most=0.01)


def test_steps_are_beside_those_of_all_weights(tmp_path, monkeypatch):
    def measured(job: str, folder, model, workers, *changes, cores: int) -> list[dict]:
        part = 0.25 if "lora_rank=8" in changes else 1.0
        return [{"mb": 800 * part, "found": {"step": 4 * part, "waiting": 0.0, "spots": 32, "gpu_mb": 0}}]

    monkeypatch.setattr(steps, "measure", measured)
    monkeypatch.setattr(Inputs, "tuning", lambda self: (tmp_path,))
    monkeypatch.setattr(Inputs, "image_vectors", lambda self: (tmp_path,))
    results = steps.run(tmp_path / "out", turns=2)
    assert json.loads((tmp_path / "out/steps.json").read_text()) == results
    assert [len(row["ours"]["runs"]) for row in results["rows"]] == [2] * len(steps.WAYS)
    assert "| LoRA | 1.00 s | 0.25 | 200 MB | 0.25 | 0% |" in (tmp_path / "out/steps.md").read_text()
    assert not compare.compare(results, results, 0.25)[1]


def test_without_a_gpu_nothing_is_measured(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert gpu.main(["--out", str(tmp_path)]) == 0
    assert "no GPU" in capsys.readouterr().out and not list(tmp_path.iterdir())


def test_each_format_of_image_is_measured_beside_its_own_decoder(tmp_path, monkeypatch):
    """At a small size, in this process: patches are alike bit for bit, else it raises; and docs get the table."""
    monkeypatch.setattr("benchmarks.case.measure", _here)
    picture = tmp_path / "real.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (1300, 1200, 3), np.uint8)).save(picture)
    out, page = tmp_path / "out", tmp_path / "page.md"
    small = ["--side", "500", "--huge", "900", "--patches", "6", "--image", str(picture)]
    assert images.main(["--out", str(out), *small]) == 0
    found = json.loads((out / "images.json").read_text())
    assert [row["case"] for row in found["rows"]] == [*images.FORMATS, "TIFF, JPEG, 900 x 900 pixels"]
    made, real = found["pyramids"]
    assert 0 < made["difference"] < 10 and 0 < real["difference"] < 10
    page.write_text("<!-- images -->\n<!-- /images -->\n")
    assert images.main(["--out", str(out), "--readme", str(page)]) == 0
    assert "| SVS, JPEG | libvips |" in page.read_text() and "a real slide's image" in page.read_text()
