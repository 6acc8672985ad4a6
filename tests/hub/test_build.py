"""A root on the Hub is published twice, from two caches: its files are known by what the Hub says of them."""

import subprocess
import sys

from tests.building import BUILD
from tests.hub.client import upload
from tests.roots import write_slide
from tests.test_scripts import SCRIPTS


def build(hub, out) -> str:
    command = [sys.executable, SCRIPTS / BUILD, "hf://datasets/tester/data", out, "--workers", "1"]
    done = subprocess.run(command, env=hub.env(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_another_cache_makes_no_shard_anew(hub, tmp_path):
    for k in range(2):
        write_slide(tmp_path / "root", f"S{k}", "ST", seed=k)
    upload(hub, tmp_path / "root")
    build(hub, tmp_path / "out")
    first = {path: path.stat().st_mtime_ns for path in (tmp_path / "out/data").rglob("*.parquet")}
    assert len(first) == 2
    build(hub, tmp_path / "out")
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out/data").rglob("*.parquet")} == first

    counts = tmp_path / "root/ST/gene_exp/S1_count.csv"
    counts.write_text(counts.read_text().replace("S1_0x0,", "S1_0x0,9", 1))
    upload(hub, tmp_path / "root")
    build(hub, tmp_path / "out")
    changed = [path.name for path, time in first.items() if path.stat().st_mtime_ns != time]
    assert changed == ["S1-00000-of-00001.parquet"]
