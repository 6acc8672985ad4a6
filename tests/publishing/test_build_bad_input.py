"""A build that cannot be, or not as it was: it says why in a line, keeps what is done, publishes nothing by halves."""

import os
import shutil
import subprocess

import pytest
from datasets import load_dataset

from tests.building import BUILD, files
from tests.roots import write_slide
from tests.test_scripts import run


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
    done = run(BUILD, sample, published, "--tech", "ST")
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
    done = run(BUILD, sample, out, "--split-by", "study", "--tech", "VisiumHD")
    assert done.returncode == 1 and "study of 1 of 1 slides is not known" in done.stderr and "--exclude" in done.stderr
    done = run(BUILD, sample, out, "--split-by", "slide", "--tech", "ST")
    assert done.returncode == 1 and "2 groups are too few for 3 splits" in done.stderr
    done = run(BUILD, sample, out, "--split-by", "slide", "--tech", "ST", "--split-fractions", 0.5, 0, 0.5,
               "--split-seed", 2)  # fmt: skip
    assert done.returncode == 0, done.stderr
    done = run(BUILD, sample, tmp_path / "all", "--split-by", "slide")
    assert done.returncode == 1 and "100 work: " in done.stderr
    seed = done.stderr.split("100 work: ")[1].split(",")[0]
    done = run(BUILD, sample, tmp_path / "all", "--split-by", "slide", "--split-seed", seed)
    assert done.returncode == 0, done.stderr
    assert {p.parent.name for p in (tmp_path / "all").glob("data/*/*/*")} == {"train", "validation", "test"}


def test_a_lost_numbering_of_genes_is_not_made_anew(tmp_path):
    root, out = tmp_path / "root", tmp_path / "out"
    write_slide(root, "S0", "ST")
    assert run(BUILD, root, out).returncode == 0
    before = files(out)
    (out / ".build/genes.parquet").unlink()
    done = run(BUILD, root, out)
    assert done.returncode == 1 and ".build/genes.parquet: is missing" in done.stderr
    assert {name for name in before if "genes.parquet" not in name} < set(files(out))


def test_a_slide_that_is_gone_from_the_root_can_be_excluded(tmp_path):
    root, out, names = tmp_path / "root", tmp_path / "out", tmp_path / "not.txt"
    for i in range(2):
        write_slide(root, f"S{i}", "ST", seed=i)
    assert run(BUILD, root, out).returncode == 0
    for path in root.glob("ST/*/S1*"):
        path.unlink()
    done = run(BUILD, root, out)
    assert done.returncode == 1 and "not selected now: S1; select them too, or name them" in done.stderr
    assert (out / "README.md").exists() and len(list(out.glob("data/*/*/*"))) == 2
    names.write_text("s1\n")
    done = run(BUILD, root, out, "--exclude", names)
    assert done.returncode == 0, done.stderr
    assert {e["slide"] for e in load_dataset(str(out), split="train", streaming=True)} == {"S0"}


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
     (("--jpeg-quality", 500), "--jpeg-quality"), (("--fractions", 0.5, 0.3, 0.2), "(--split-by) too"),
     (("--seed", 1), "(--split-by) too"), (("--exclude", "no.txt"), "no.txt: cannot be read"),
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


def test_tables_that_cannot_be_written(tiny, tmp_path):
    assert run(BUILD, tiny, tmp_path / "out").returncode == 0
    before = files(tmp_path / "out")
    (tmp_path / "out/slides.parquet").unlink()
    (tmp_path / "out/slides.parquet").mkdir()  # in the way
    (tmp_path / "out/.build/done/Slide_A-00000-of-00001.json").unlink()
    done = run(BUILD, tiny, tmp_path / "out")
    assert done.returncode == 1 and "cannot be written (it is a folder); what is done is kept" in done.stderr
    assert "Traceback" not in done.stderr and not (tmp_path / "out/README.md").exists()
    (tmp_path / "out/slides.parquet").rmdir()
    assert run(BUILD, tiny, tmp_path / "out").returncode == 0 and files(tmp_path / "out") == before


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
    from stimage.publishing import shards
    from stimage.publishing.engines import attempt
    from stimage.publishing.plan import make_plan
    from stimage.slides.catalog import read_catalog
    from stimage.slides.selection import Selection
    from stimage.slides.splits.splitting import Splitting

    plan = make_plan(
        read_catalog(str(tiny)), Selection(str(tiny)), tmp_path / "out", shards.ShardOptions(), Splitting()
    )
    original = shards.spot_tables

    def and_touch(*args, **more):
        yield from original(*args, **more)
        os.utime(tiny / "ST/coord/Slide_A_coord.csv", (1, 1))

    monkeypatch.setattr(shards, "spot_tables", and_touch)
    outcome = attempt(plan.shards[0])
    assert "Slide_A: one of its files changed while it was read" in outcome.error
    assert not list((tmp_path / "out").glob("data/*/*/*")) and not plan.done()
