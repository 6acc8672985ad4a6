"""A prepared data set is made anew when its examples may change, and only then."""

import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from datasets import load_dataset, load_dataset_builder
from PIL import Image

import stimage_1k4m
from stimage.examples.code_digest import PACKAGE, source_digest, sources
from stimage.slides.images.reader import MAX_IMAGE_PIXELS
from tests.faults import serving
from tests.roots import GENES, write_csv, write_slide

SCRIPT = Path(stimage_1k4m.__file__)


@pytest.fixture
def root(tmp_path):
    for k in range(3):
        write_slide(tmp_path / "root", f"S{k}", "ST", seed=k)
    return tmp_path / "root"


def cache_of(data_dir=None, **options) -> str:
    """Return the folder that a data set is prepared in."""
    return load_dataset_builder("stimage_1k4m", "ST", data_dir=data_dir and str(data_dir), **options).cache_dir


def total(root, slide: str, **options) -> float:
    data = load_dataset("stimage_1k4m", "ST", data_dir=str(root), split="train", slides=slide, **options)
    return sum(sum(counts) for counts in data["counts"])


def test_a_root_has_one_cache_however_it_is_spelt(root, monkeypatch):
    monkeypatch.chdir(root.parent)
    monkeypatch.setenv("HOME", str(root.parent))
    spelt = ["root", "./root", "root/", str(root), f"{root}/", f"{root}/../root", "~/root", f"file://{root}"]
    (root.parent / "link").symlink_to(root)
    caches = {cache_of(name) for name in [*spelt, "link"]} | {cache_of(root=name) for name in spelt}
    assert len(caches) == 1


def test_what_is_not_used_renews_nothing(root):
    before, all_before = cache_of(root, slides="S0"), cache_of(root)
    for path in root.rglob("*.csv"):
        path.chmod(0o600)
    (root / "notes.txt").write_text("of the curator")
    (root / "ST/image/unrelated.txt").write_text("of the curator")
    write_slide(root, "S9", "ST", seed=9)  # of the same genes
    write_slide(root, "V", "Visium", meta={"species": "mouse"})
    assert cache_of(root, slides="S0") == before
    assert cache_of(root) != all_before


@pytest.mark.parametrize(
    "file", ["ST/coord/S0_coord.csv", "ST/gene_exp/S0_count.csv", "ST/image/S0.png", "annotation/S0_anno.csv"]
)
def test_each_file_of_a_slide_renews_it(root, file):
    write_csv(root / "annotation/S0_anno.csv", [["", "V2"], ["S0_0x0", "tumour"]])
    before, other = cache_of(root, slides="S0"), cache_of(root, slides="S1")
    os.utime(root / file, ns=(0, (root / file).stat().st_mtime_ns + 1))
    assert cache_of(root, slides="S0") != before
    assert cache_of(root, slides="S1") == other


def test_what_columns_do_not_hang_on_renews_nothing(root):
    before = {name: cache_of(root, slides="S0", columns=[name]) for name in ("x", "image", "annotation")}
    write_csv(root / "annotation/S0_anno.csv", [["", "V2"], ["S0_0x0", "tumour"]])
    after = {name: cache_of(root, slides="S0", columns=[name]) for name in before}
    assert {name for name in before if before[name] != after[name]} == {"annotation"}
    (root / "ST/image/S0.png").write_bytes((root / "ST/image/S1.png").read_bytes())
    last = {name: cache_of(root, slides="S0", columns=[name]) for name in before}
    assert {name for name in before if last[name] != after[name]} == {"image"}


@pytest.mark.parametrize("columns", [["counts"], ["x"], ["image"], None])
def test_a_smaller_image_drops_spots_whatever_the_columns(root, columns):
    options = {"split": "train", "on_mismatch": "drop", "columns": columns}
    assert len(load_dataset("stimage_1k4m", "ST", data_dir=str(root), **options)) == 27
    path = root / "ST/image/S0.png"
    with Image.open(path) as image:
        smaller = image.crop((0, 0, image.width, 45))
    smaller.save(path)
    for streaming in (True, False):
        spots = load_dataset("stimage_1k4m", "ST", data_dir=str(root), streaming=streaming, **options)
        assert len(list(spots)) == 24


def test_a_link_is_as_new_as_what_it_leads_to(root, tmp_path):
    counts = root / "ST/gene_exp/S0_count.csv"
    shutil.move(counts, tmp_path / "elsewhere.csv")
    counts.symlink_to(tmp_path / "elsewhere.csv")
    before = total(root, "S0")
    (tmp_path / "elsewhere.csv").write_text((tmp_path / "elsewhere.csv").read_text().replace("S0_0x0,", "S0_0x0,1", 1))
    assert total(root, "S0") > before


def test_a_slide_that_renumbers_genes_renews_others(root):
    before = cache_of(root, slides="S1")
    counts = root / "ST/gene_exp/S0_count.csv"
    counts.write_text(counts.read_text().replace(GENES[0], "OTHER", 1))
    assert cache_of(root, slides="S1") != before
    with_panel = cache_of(root, slides="S1", panel=GENES[1:])
    counts.write_text(counts.read_text().replace("OTHER", "ANOTHER", 1))
    assert cache_of(root, slides="S1", panel=GENES[1:]) == with_panel


def test_the_row_of_the_meta_file_and_the_panel_renew(root, tmp_path):
    panel = tmp_path / "panel.txt"
    panel.write_text("\n".join(GENES[:2]))
    seen = {cache_of(root, slides="S0", panel=str(panel))}
    panel.write_text("\n".join(GENES[1:3]))
    seen |= {cache_of(root, slides="S0", panel=str(panel)), cache_of(root, slides="S0", panel=GENES[1:3])}
    assert len(seen) == 2
    meta = root / "meta/meta_all_gene.csv"
    meta.write_text(meta.read_text().replace("S1,human", "S1,mouse"))
    assert cache_of(root, slides="S0", panel=str(panel)) in seen
    meta.write_text(meta.read_text().replace("S0,human", "S0,mouse"))
    assert cache_of(root, slides="S0", panel=str(panel)) not in seen


def test_a_root_behind_http_is_renewed(root):
    with serving(root) as server:
        options = {"root": server.url, "split": "train"}
        first = load_dataset("stimage_1k4m", "ST", **options)
        counts = root / "ST/gene_exp/S1_count.csv"
        counts.write_text(counts.read_text().replace("S1_0x0,", "S1_0x0,9", 1))
        os.utime(counts, (0, counts.stat().st_mtime + 5))  # Last-Modified is in seconds
        again = load_dataset("stimage_1k4m", "ST", **options)
        streamed = load_dataset("stimage_1k4m", "ST", streaming=True, **options)
        assert again["counts"] == [e["counts"] for e in streamed] != first["counts"]
        asked = Counter(server.asked)
        assert load_dataset("stimage_1k4m", "ST", **options)["counts"] == again["counts"]
        new = server.asked - asked
        assert new and not [path for method, path in new if method == "GET" and not path.endswith("/")]


def test_options_that_only_look_different_are_one(root):
    same = [{"pmid": 222}, {"pmid": np.int64(222)}, {"pmid": ["222"]}, {"involve_cancer": np.bool_(True)}]
    same += [{"slides": (f"S{k}" for k in range(3))}, {"slides": np.array(["S2", "S1", "S0"])}, {}]
    same += [{"slides": {"S0", "S1", "S2"}}, {"max_image_pixels": np.int64(MAX_IMAGE_PIXELS)}]
    assert len({cache_of(root, **options) for options in same}) == 1
    columns = ["x", ("x",), ["x", "x"], np.array(["x"])], [["y", "x"], {"x", "y"}, iter(["x", "y"])]
    assert [len({cache_of(root, columns=names) for names in some}) for some in columns] == [1, 1]
    streamed = load_dataset("stimage_1k4m", "ST", data_dir=root, split="train", streaming=True, slides=iter(["S1"]))
    assert {e["slide"] for e in streamed} == {"S1"}


def test_the_code_that_makes_examples_is_all_that_the_builder_imports():
    code = (
        "import sys, stimage_1k4m; print(*(m.__file__ for n, m in sys.modules.items() if n.split('.')[0] == 'stimage'))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    known = sources(SCRIPT)
    assert {Path(path) for path in loaded} <= set(known)
    rooms = {path.relative_to(PACKAGE).parts[0] for path in known[1:]}
    assert not rooms & {"evaluation", "training", "loading", "towers", "scores", "publishing", "demo", "sample"}
    assert not {"finishing.py", "card.py", "engines.py"} & {path.name for path in known}


def test_only_code_that_makes_examples_renews(root, monkeypatch):
    def cache_with(change: str) -> str:
        read = Path.read_bytes
        monkeypatch.setattr(Path, "read_bytes", lambda p: read(p) + (b"#" if str(p).endswith(change) else b""))
        source_digest.cache_clear()
        found = cache_of(root)
        monkeypatch.undo()
        source_digest.cache_clear()
        return found

    now = cache_with("no such file")
    assert cache_with("figures/style.py") == now
    assert cache_with("counts/wide_csv.py") != now != cache_with("stimage_1k4m.py")
