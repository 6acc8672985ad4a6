"""The published folder, made by the script and read by `load_dataset` with no import of ours."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from datasets import load_dataset

import stimage_1k4m
from tests.processing.conftest import BUILD, files
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
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=env, timeout=300)
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


def test_a_rerun_does_nothing_and_changes_nothing(sample, published):
    before = files(published)
    done = run(BUILD, sample, published, "--workers", 1)
    assert done.returncode == 0 and ", 0 to make" in done.stderr
    assert files(published) == before


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
    done = run(BUILD, sample, tmp_path / "out", "--config", "VisiumHD", "--spots-per-shard", 100)
    assert done.returncode == 0, done.stderr
    (slide,) = pq.read_table(tmp_path / "out/slides.parquet").to_pylist()
    assert slide["shards"] == -(-slide["spots"] // 100) > 2
    assert len(list(tmp_path.glob(f"out/data/VisiumHD/train/*-of-{slide['shards']:05d}.parquet"))) == slide["shards"]
    want = [e["spot_id"] for e in of_root(sample, "VisiumHD")]
    assert [e["spot_id"] for e in read(tmp_path / "out", {"VisiumHD": ["train"]}, tmp_path)] == want


def test_jpeg_and_physical_patches(sample, tmp_path):
    done = run(BUILD, sample, tmp_path / "out", "--config", "ST", "--image-format", "jpeg", "--jpeg-quality", 80,
               "--patch-um", 150, "--patch-px", 32)  # fmt: skip
    assert done.returncode == 0, done.stderr
    example = next(iter(load_dataset(str(tmp_path / "out"), split="train", streaming=True)))
    assert example["image"].format == "JPEG" and example["image"].size == (32, 32)
    assert "150 µm as 32 x 32 pixels, JPEG of quality 80" in (tmp_path / "out/README.md").read_text()


def test_splits_in_folders_and_no_leaks(tmp_path):
    root, out = tmp_path / "root", tmp_path / "out"
    for i in range(10):
        write_slide(root, f"S{i}", "ST", side=2, seed=i, meta={"pmid": str(i)})
    options = ("--split-by", "study", "--fractions", 0.6, 0.2, 0.2, "--exclude", tmp_path / "not.txt")
    (tmp_path / "not.txt").write_text("S9\nElsewhere\n")
    done = run(BUILD, root, out, *options)
    assert done.returncode == 0 and "1 of 2 excluded slides are not in" in done.stderr
    data = load_dataset(str(out), "ST", streaming=True)
    sides = {name: {e["slide"] for e in split} for name, split in data.items()}
    assert sorted(map(len, sides.values())) == [1, 2, 6] or sorted(map(len, sides.values())) == [2, 2, 5]
    assert "S9" not in set().union(*sides.values())
    train, test = next(iter(sides["train"])), next(iter(sides["test"]))
    for part, suffix in (("gene_exp", "_count.csv"), ("coord", "_coord.csv")):  # the same counts under another name
        text = (root / "ST" / part / f"{train}{suffix}").read_text().replace(f"{train}_", f"{test}_")
        (root / "ST" / part / f"{test}{suffix}").write_text(text)
    done = run(BUILD, root, out, *options)
    assert done.returncode == 1 and "the same counts: " in done.stderr and "Name one of each in a file" in done.stderr
    assert not (out / "README.md").exists()
    (tmp_path / "not.txt").write_text(f"S9\n{test}\n")
    done = run(BUILD, root, out, *options)
    assert done.returncode == 0, done.stderr
    assert not list(out.glob(f"data/*/*/{test}-*")) and list(out.glob(f"data/*/*/{train}-*"))


def test_a_failed_slide_stops_no_other(tmp_path):
    root, out = tmp_path / "root", tmp_path / "out"
    for i in range(3):
        write_slide(root, f"S{i}", "ST", seed=i)
    image = root / "ST/image/S1.png"
    whole = image.read_bytes()
    image.write_bytes(whole[:-900])
    done = run(BUILD, root, out)
    assert done.returncode == 1 and "1 of 3 shards failed" in done.stderr and "S1.png: is damaged" in done.stderr
    assert len(list(out.glob("data/ST/train/*"))) == 2 and not (out / "README.md").exists()
    image.write_bytes(whole)
    done = run(BUILD, root, out)
    assert done.returncode == 0 and "3 shards, 1 to make" in done.stderr


def test_other_options_are_refused_and_named(sample, published, tmp_path):
    done = run(BUILD, sample, published, "--image-format", "jpeg")
    assert done.returncode == 1 and "was made with image_format='png', not 'jpeg'" in done.stderr
    done = run(BUILD, sample, published, "--config", "ST")
    assert done.returncode == 1 and "shards of 3 slides that are not selected now" in done.stderr
    assert (published / "README.md").exists()
    (tmp_path / "mine.txt").write_text("mine")
    done = run(BUILD, sample, tmp_path)
    assert done.returncode == 1 and "is not empty (it has 'mine.txt')" in done.stderr
    shutil.copytree(published, tmp_path / "copy")
    (tmp_path / "copy/.build/options.json").write_text("{")
    done = run(BUILD, sample, tmp_path / "copy")
    assert done.returncode == 1 and "options.json: is damaged" in done.stderr


def test_the_sample_is_split_by_slide_and_a_failed_plan_binds_nothing(sample, tmp_path):
    out = tmp_path / "out"
    done = run(BUILD, sample, out, "--split-by", "study", "--config", "VisiumHD")
    assert done.returncode == 1 and "study of 1 of 1 slides is not known" in done.stderr and "--exclude" in done.stderr
    done = run(BUILD, sample, out, "--split-by", "slide", "--config", "ST")
    assert done.returncode == 0, done.stderr
    done = run(BUILD, sample, tmp_path / "all", "--split-by", "slide")
    assert done.returncode == 0, done.stderr
    assert {p.parent.name for p in (tmp_path / "all").glob("data/*/*/*")} == {"train", "validation", "test"}


def test_a_lost_numbering_of_genes_is_not_made_anew(tmp_path):
    root, out = tmp_path / "root", tmp_path / "out"
    write_slide(root, "S0", "ST")
    assert run(BUILD, root, out).returncode == 0
    before = files(out)
    (out / ".build/genes.parquet").unlink()
    done = run(BUILD, root, out)
    assert done.returncode == 1 and ".build/genes.parquet: is gone" in done.stderr
    assert {name for name in before if "genes.parquet" not in name} < set(files(out))


def test_a_slide_that_is_left_out_now_is_told_and_its_shard_removed(tmp_path):
    root, out = tmp_path / "root", tmp_path / "out"
    for i in range(2):
        write_slide(root, f"S{i}", "ST", seed=i, side=6)
    options = ("--patch-um", 200, "--patch-px", 8, "--on-mismatch", "drop")
    assert run(BUILD, root, out, *options).returncode == 0
    meta = root / "meta/meta_all_gene.csv"
    meta.write_text("".join(meta.read_text().splitlines(True)[:2]))
    write_slide(root, "S1", "ST", seed=1, side=2)  # too few spots to see a lattice
    done = run(BUILD, root, out, *options)
    assert done.returncode == 0 and "note: slide left out: " in done.stderr and "S1" in done.stderr, done.stderr
    assert "| ST | train | 1 | 1 | 36 |" in done.stdout
    assert [p.name for p in out.glob("data/*/*/*")] == ["S0-00000-of-00001.parquet"]
    assert load_dataset(str(out), split="train").num_rows == 36
    done = run(BUILD, root, tmp_path / "none", "--slides", "S1", *options)
    assert done.returncode == 1 and "all slides are left out" in done.stderr


@pytest.mark.parametrize(
    "options, words",
    [(("--workers", 0), "must be 1 or more"), (("--spots-per-shard", 0), "must be 1 or more"),
     (("--jpeg-quality", 500), "--jpeg-quality"), (("--fractions", 0.5, 0.3, 0.2), "pass --split-by too"),
     (("--seed", 1), "pass --split-by too"), (("--exclude", "no.txt"), "no.txt: cannot be read"),
     (("--split-by", "patient", "--patients", "no.csv"), "no.csv: cannot be read")],
)  # fmt: skip
def test_options_that_cannot_be(sample, tmp_path, options, words):
    done = run(BUILD, sample, tmp_path / "out", *options)
    assert done.returncode and words in done.stderr and "Traceback" not in done.stderr
    assert not list(tmp_path.glob("out/data/*"))


def test_a_file_cannot_be_a_folder(sample, tmp_path):
    (tmp_path / "file").write_text("")
    done = run(BUILD, sample, tmp_path / "file/out")
    assert done.returncode == 1 and "cannot be written (Not a directory)" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small file system")
def test_a_full_disk(sample, published, tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    half = sum(p.stat().st_size for p in published.rglob("*") if p.is_file()) // 2
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={half}", "tmpfs", small], capture_output=True).returncode:
        pytest.skip("a small file system cannot be mounted here")
    try:
        done = run(BUILD, sample, small / "out")
        assert done.returncode == 1 and "cannot be written (No space left on device)" in done.stderr
        assert "Traceback" not in done.stderr and not (small / "out/README.md").exists()
        subprocess.run(["mount", "-o", "remount,size=100m", small], check=True)
        done = run(BUILD, sample, small / "out")
        assert done.returncode == 0, done.stderr
        assert files(small / "out") == files(published)
    finally:
        subprocess.run(["umount", small], check=True)


def test_a_slide_that_changes_while_it_is_read(tiny, tmp_path, monkeypatch):
    from stimage.processing import shards
    from stimage.processing.build import Selection, make_plan
    from stimage.processing.engines import attempt
    from stimage.processing.splits import Splitting

    plan = make_plan(Selection(str(tiny)), tmp_path / "out", shards.Options(), Splitting())
    original = shards.spot_tables

    def and_touch(*args):
        yield from original(*args)
        os.utime(tiny / "ST/coord/Slide_A_coord.csv", (1, 1))

    monkeypatch.setattr(shards, "spot_tables", and_touch)
    outcome = attempt(plan.shards[0])
    assert "Slide_A: one of its files changed while it was read" in outcome.error
    assert not list((tmp_path / "out").glob("data/*/*/*")) and not plan.done()


def test_real_slides(shared, tmp_path):
    done = run(BUILD, shared / "real", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    back = read(tmp_path / "out", {"ST": ["train"]}, tmp_path)
    assert len(back) == 834 and back == of_root(shared / "real", "ST")
    digests = {e["spot_id"]: e["image"][1][:16] for e in back}
    golden = json.loads((shared / "golden/golden.json").read_text())["crops"]
    for crops in golden.values():
        assert crops["sha256_16"].items() <= digests.items()
