"""The benchmark of gene towers on tiny inputs: its slides lack genes or name them otherwise; each way is a line."""

import json

import pandas as pd
import pytest

from benchmarks import towers

pytestmark = pytest.mark.slow


def test_each_way_is_a_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(towers, "LOSSES", {"CLIP": towers.LOSSES["CLIP"]})
    arguments = ["--out", str(tmp_path), "--seeds", "0", "1", "--epochs", "1", "--genes", "120", "--side", "8"]
    assert towers.main(arguments) == 0
    heads = [pd.read_csv(file, index_col=0, nrows=0).columns for file in sorted(
        (tmp_path / "inputs/root/Visium/gene_exp").glob(f"{towers.STUDY}_*"))]  # fmt: skip
    assert all(name.startswith("ENSG") for name in heads[1]) and "ERBB2" in {*heads[0], *heads[2], *heads[4]}
    assert all(len(head) < 85 for head in heads)
    shared = (tmp_path / "inputs/shared.txt").read_text().split()
    assert 0 < len(shared) < 40 and set(shared) <= set(heads[0])
    results = json.loads((tmp_path / "towers.json").read_text())
    assert [row["way"] for row in results["rows"]] == [
        ["set", "CLIP", "no"], ["linear, shared genes", "CLIP", "no"],
        ["set", "CLIP", "yes"], ["linear, shared genes", "CLIP", "yes"],
    ]  # fmt: skip
    assert all(len(row["runs"]) == 2 for row in results["rows"])
    assert len(results["rows"][0]["runs"][0]) > 5
    table = (tmp_path / "towers.md").read_text()
    assert table.count("±") == 4 and table in capsys.readouterr().out
