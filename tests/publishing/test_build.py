"""The published folder, made by the script and read by `load_dataset` with no import of ours."""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from datasets import load_dataset

import stimage_1k4m
from tests.building import BUILD, files
from tests.roots import write_slide
from tests.test_scripts import run

NO_IMPORT = """
import sys, json, hashlib
from datasets import load_dataset
for config, splits in json.loads(sys.argv[2]).items():
    for split in splits:
        rows = load_dataset(sys.argv[1], config, split=split, streaming=True)
        for e in rows:
            e["image"] = [e["image"].size, hashlib.sha256(e["image"].convert("RGB").tobytes()).hexdigest()]
            print(json.dumps(e, sort_keys=True))
assert "stimage" not in sys.modules and "stimage_1k4m" not in sys.modules
"""


def read(folder: Path | str, configs: dict[str, list[str]], tmp_path: Path, env: dict | None = None) -> list[dict]:
    """Read a folder, or a data set of the Hub that ``env`` names, in another process, with no code of the project's."""
    command = [sys.executable, "-c", NO_IMPORT, str(folder), json.dumps(configs)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=env)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def of_root(root: Path, config: str, **options) -> list[dict]:
    """Read the same through the builder."""
    found = []
    for e in load_dataset("stimage_1k4m", config, data_dir=str(root), split="train", streaming=True, **options):
        e["image"] = [list(e["image"].size), hashlib.sha256(e["image"].tobytes()).hexdigest()]
        found.append(json.loads(json.dumps(e, sort_keys=True)))
    return found


def test_the_folder_holds_what_the_root_does(sample, published, tmp_path):
    back = read(published, {tech: ["train"] for tech in ("ST", "Visium", "VisiumHD")}, tmp_path)
    assert back == [e for tech in ("ST", "Visium", "VisiumHD") for e in of_root(sample, tech)]
    assert read(published, {"all": ["train"]}, tmp_path) == back


def test_it_is_prepared_too(published, tmp_path):
    code = "import sys; from datasets import load_dataset; print(load_dataset(sys.argv[1], 'ST')['train'].num_rows)"
    done = subprocess.run([sys.executable, "-c", code, published], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == sum(pq.read_metadata(p).num_rows for p in published.glob("data/ST/train/*"))


def test_the_tables(sample, published):
    examples = of_root(sample, "all")
    slides = pq.read_table(published / "slides.parquet").to_pylist()
    for row in slides:
        own = [e for e in examples if e["slide"] == row["slide"]]
        assert row["spots"] == len(own) and row["um_per_px"] == pytest.approx(own[0]["um_per_px"], rel=1e-6)
        assert (row["species"], row["tissue"], row["split"]) == (own[0]["species"], own[0]["tissue"], "train")
        assert row["title"] and row["image_type"] in ("png", "jpeg", "tiff") and row["image_width"] > 100
    genes = pq.read_table(published / "genes.parquet").to_pylist()
    assert [g["name"] for g in genes] == stimage_1k4m.gene_names(sample)
    totals, spots = np.zeros(len(genes)), np.zeros(len(genes))
    for e in examples:
        totals[e["gene_ids"]] += e["counts"]
        spots[e["gene_ids"]] += 1
    assert [g["total_count"] for g in genes] == totals.tolist() and [g["spots"] for g in genes] == spots.tolist()
    assert {g["kind"] for g in genes} == {"symbol", "ensembl"}
    assert max(g["slides"] for g in genes) <= len(slides) and all(g["species"] for g in genes if g["slides"])
    assert load_dataset(str(published), "genes", split="train").num_rows == len(genes)


def test_row_groups_are_small_and_images_are_stored_once(published):
    for path in published.glob("data/*/*/*.parquet"):
        data = pq.ParquetFile(path)
        group = data.metadata.row_group(0)
        assert group.num_rows <= 564 and group.column(12).path_in_schema == "image.bytes"
        assert group.column(12).compression == "UNCOMPRESSED" and group.column(0).has_column_index


def test_a_rerun_does_nothing_and_changes_nothing(sample, published, tmp_path):
    out = shutil.copytree(published, tmp_path / "out")
    done = run(BUILD, sample, out)
    assert done.returncode == 0 and ", 0 to make" in done.stderr
    assert files(out) == files(published)


def test_only_what_changed_is_made_again(tmp_path):
    root, out = tmp_path / "root", tmp_path / "out"
    for i in range(3):
        write_slide(root, f"S{i}", "ST", seed=i)
    assert run(BUILD, root, out).returncode == 0
    ids = {row["name"]: row["id"] for row in pq.read_table(out / "genes.parquet").to_pylist()}
    coord = root / "ST/coord/S1_coord.csv"
    coord.write_text(coord.read_text().replace(",5.0", ",6.0"))
    write_slide(root, "A0", "ST", seed=9)
    counts = root / "ST/gene_exp/A0_count.csv"
    counts.write_text(counts.read_text().replace("ERBB2", "NEW1"))  # a gene that comes first in the root
    done = run(BUILD, root, out)
    assert done.returncode == 0 and "4 shards, 2 to make" in done.stderr, done.stderr
    now = {row["name"]: row["id"] for row in pq.read_table(out / "genes.parquet").to_pylist()}
    assert now == ids | {"NEW1": len(ids)}
    (out / "data/ST/train/S2-00000-of-00001.parquet").write_bytes(b"cut")
    (out / ".build/done/S0-00000-of-00001.json").write_text('{"key": ')
    done = run(BUILD, root, out)
    assert done.returncode == 0 and "4 shards, 2 to make" in done.stderr


def test_ranges_of_a_slide_are_shards(sample, published, tmp_path):
    done = run(BUILD, sample, tmp_path / "out", "--tech", "VisiumHD", "--spots-per-shard", 100)
    assert done.returncode == 0, done.stderr
    (slide,) = pq.read_table(tmp_path / "out/slides.parquet").to_pylist()
    assert slide["shards"] == -(-slide["spots"] // 100) > 2
    assert len(list(tmp_path.glob(f"out/data/VisiumHD/train/*-of-{slide['shards']:05d}.parquet"))) == slide["shards"]
    want = [e["spot_id"] for e in of_root(sample, "VisiumHD")]
    assert [e["spot_id"] for e in read(tmp_path / "out", {"VisiumHD": ["train"]}, tmp_path)] == want


def test_jpeg_and_physical_patches(sample, tmp_path):
    done = run(BUILD, sample, tmp_path / "out", "--tech", "ST", "--image-format", "jpeg", "--jpeg-quality", 80,
               "--patch-um", 150, "--patch-px", 32)  # fmt: skip
    assert done.returncode == 0, done.stderr
    example = next(iter(load_dataset(str(tmp_path / "out"), split="train", streaming=True)))
    assert example["image"].format == "JPEG" and example["image"].size == (32, 32)
    assert "150 µm as 32 x 32 pixels, JPEG of quality 80" in (tmp_path / "out/README.md").read_text()


def test_splits_in_folders_and_no_leaks(tmp_path):
    root, out = tmp_path / "root", tmp_path / "out"
    for i in range(10):
        write_slide(root, f"S{i}", "ST", side=2, seed=i, meta={"pmid": str(i)})
    options = ("--split-by", "study", "--fractions", 0.4, 0.3, 0.3, "--seed", 1, "--exclude", tmp_path / "not.txt")
    (tmp_path / "not.txt").write_text("S9\nElsewhere\n")
    done = run(BUILD, root, out, *options)
    assert done.returncode == 0 and "1 of 2 excluded slides are not in" in done.stderr
    data = load_dataset(str(out), "ST", streaming=True)
    sides = {name: {e["slide"] for e in split} for name, split in data.items()}
    assert all(sides.values()) and sum(map(len, sides.values())) == 9
    assert "S9" not in set().union(*sides.values())
    train, test = next(iter(sides["train"])), next(iter(sides["test"]))
    for part, suffix in (("gene_exp", "_count.csv"), ("coord", "_coord.csv")):  # the same counts under another name
        text = (root / "ST" / part / f"{train}{suffix}").read_text().replace(f"{train}_", f"{test}_")
        (root / "ST" / part / f"{test}{suffix}").write_text(text)
    done = run(BUILD, root, out, *options)
    assert (
        done.returncode == 1 and "the same counts: " in done.stderr and "Name one slide of each pair in" in done.stderr
    )
    assert not (out / "README.md").exists()
    (tmp_path / "not.txt").write_text(f"S9\n{test}\n")
    done = run(BUILD, root, out, *options)
    assert done.returncode == 0, done.stderr
    assert not list(out.glob(f"data/*/*/{test}-*")) and list(out.glob(f"data/*/*/{train}-*"))


def test_real_slides(shared, tmp_path):
    done = run(BUILD, shared / "real", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    back = read(tmp_path / "out", {"ST": ["train"]}, tmp_path)
    assert len(back) == 834 and back == of_root(shared / "real", "ST")
    digests = {e["spot_id"]: e["image"][1][:16] for e in back}
    golden = json.loads((shared / "golden/golden.json").read_text())["crops"]
    for crops in golden.values():
        assert crops["sha256_16"].items() <= digests.items()
