"""The benchmark of towers on slides of a root, on two tiny made slides: each way is a line, and all are scored."""

import json

import pytest

import stimage
from benchmarks import towers_real
from tests.evaluation.towers import make_tower

pytestmark = pytest.mark.slow
TRAIN, TEST = "Human_Breast_Sample1_ST_A1", "Human_Breast_Sample1_ST_B1"


def test_each_way_is_a_line(tmp_path, capsys):
    stimage.make_sample(tmp_path / "root", genes=120, slides_per_study=2, st_side=14, visium_side=4, hd_side=4)
    encoder = tmp_path / "encoder"
    make_tower("dinov2", encoder)
    arguments = [str(tmp_path / "root"), "--tech", "ST", "--train", TRAIN, "--test", TEST, "--encoders", str(encoder),
                 "--out", str(tmp_path / "out"), "--seeds", "0", "1", "--epochs", "1", "--clip-epochs", "1",
                 "--panel", "16"]  # fmt: skip
    assert towers_real.main(arguments) == 0
    results = json.loads((tmp_path / "out/towers_real.json").read_text())
    assert [(row["images"], row["genes"], len(row["runs"])) for row in results["rows"]] == [
        ("position", "none", 1), ("position, heads", "linear", 2),
        ("colours", "none", 1), ("colours, heads", "linear", 2),
        ("encoder", "none", 1), *(("encoder, heads", tower, 2) for tower in towers_real.GENES),
        ("small CLIP, untrained", "linear", 2), *(("small CLIP, tuned", tower, 2) for tower in towers_real.GENES),
    ]  # fmt: skip
    first = {(row["images"], row["genes"]): row["runs"] for row in results["rows"]}
    assert all({"pearson", "f1"} <= set(run) for runs in first.values() for run in runs)
    assert first["colours", "none"][0]["f1"] > first["colours", "none"][0]["probed"]["majority"]["macro_f1"]["mean"]
    tuned = [run["recall"] for tower in towers_real.GENES for run in first["small CLIP, tuned", tower]]
    assert len(set(tuned)) > 4 and tuned[:2] != [run["recall"] for run in first["small CLIP, untrained", "linear"]]
    for run in (tmp_path / "out/runs").glob("*/results.json"):
        slides = json.loads(run.read_text())["slides"]
        assert slides["train"] == [TRAIN] and not slides["validation"]
    lines = (tmp_path / "out/towers_real.md").read_text()
    assert lines in capsys.readouterr().out and "nan" not in lines and lines.count("\n") == 19
