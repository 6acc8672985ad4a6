"""Files made to do harm: names that lead elsewhere, huge sizes declared, bombs, pickles, YAML objects, HTML."""

import gzip
import io
import json
import os
import pickle
import re
import struct
import zlib
from pathlib import Path

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from stimage.collection.checks.findings import Finding
from stimage.collection.page.report import PageFiles, write_review_page
from stimage.core.errors import DataError
from stimage.genes.names import read_gene_table
from stimage.genes.panels import Panel
from stimage.loading.sources import open_source
from stimage.slides.catalog import Slide, read_catalog
from stimage.slides.images.reader import image_info, read_patches
from stimage.towers.image_towers import load_tower
from stimage.towers.two_towers import gene_towers
from stimage.training.settings.reading import read_settings
from tests.evaluation.towers import make_tower
from tests.reliability.oracle import limits
from tests.roots import write_slide

EVIL = "Cedar</script><script>alert(1)</script>\"'&<img src=x onerror=alert(2)>"


class Bomb:
    """What makes a file when it is unpickled."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(side: int, interlaced: bool = False) -> bytes:
    """Return a PNG that says it has side x side pixels, and has next to none."""
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, interlaced)
    data = chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + data + chunk(b"IEND", b"")


def jpeg(side: int, progressive: bool) -> bytes:
    Image.new("RGB", (64, 64)).save(file := io.BytesIO(), "JPEG", progressive=progressive)
    data = bytearray(file.getvalue())
    at = data.find(b"\xff\xc2" if progressive else b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", side, side)
    return bytes(data)


def tiff(side: int, tile: int = 0) -> bytes:
    data = zlib.compress(bytes(10**6))
    place = {322: tile, 323: tile, 324: 8, 325: len(data)} if tile else {273: 8, 278: side, 279: len(data)}
    tags = sorted({256: side, 257: side, 258: 8, 259: 8, 262: 1, 277: 1, **place}.items())
    body = b"".join(struct.pack("<HHII", key, 4, 1, value) for key, value in tags)
    return struct.pack("<2sHI", b"II", 42, 8 + len(data)) + data + struct.pack("<H", len(tags)) + body + bytes(4)


HUGE = {
    "png": png(60_000), "larger png": png(100_000), "interlaced png": png(60_000, True), "jpeg": jpeg(62_000, False),
    "progressive jpeg": jpeg(62_000, True), "tiff": tiff(60_000), "larger tiff": tiff(100_000),
    "tiff of one tile": tiff(60_000, 60_000), "tiff of a huge tile": tiff(60_000, 1 << 20),
}  # fmt: skip


@pytest.mark.parametrize("kind", HUGE)
def test_images_that_declare_a_huge_size(tmp_path, kind):
    path = tmp_path / "x.png"
    path.write_bytes(HUGE[kind])
    with limits(), pytest.raises(DataError, match=r"x\.png: "):
        image_info(str(path))
        list(read_patches(str(path), np.array([[0, 0, 50, 50], [20, 9000, 70, 9050]])))


def test_a_line_that_zips_well(tmp_path):
    path = tmp_path / "genes.tsv.gz"
    with gzip.open(path, "wb", 1) as file:
        for _ in range(200):
            file.write(b"A" * (1 << 20))
    with limits(), pytest.raises(DataError, match=r"genes.tsv.gz: line 1 is longer than 64 MB"):
        read_gene_table(path)


def laughs(n: int = 40) -> str:
    """Return YAML of n lines whose value has 9^n parts."""
    return "a0: &a0 [x]\n" + "".join(f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 9)}]\n" for k in range(1, n))


@pytest.mark.parametrize(
    "text", ["slides: !!python/object/apply:os.mkdir [{}]\n", "!!python/object/apply:os.mkdir [{}]\n"]
)
def test_yaml_makes_no_objects(tmp_path, text):
    target = tmp_path / "made"
    for name, read in (("x.yaml", read_settings), ("p.yaml", Panel.read)):
        (tmp_path / name).write_text(text.format(target))
        with pytest.raises(DataError, match=name):
            read(tmp_path / name)
    assert not target.exists()


def test_yaml_that_grows(tmp_path):
    (tmp_path / "x.yaml").write_text(laughs() + "genes: *a39\nepochs: *a39\n")
    for read in (read_settings, Panel.read):
        with limits(), pytest.raises(DataError, match=r"x.yaml"):
            read(tmp_path / "x.yaml")


def test_names_of_files_that_lead_elsewhere(tmp_path):
    """A server may list what is no file's name on a disk."""
    write_slide(tmp_path, "Slide_A", "ST")
    memory = fsspec.filesystem("memory")
    memory.put(f"{tmp_path}/", "/escape/", recursive=True)
    for part, suffix in (("coord", "_coord.csv"), ("gene_exp", "_count.csv"), ("image", ".png")):
        memory.mv(f"/escape/ST/{part}/Slide_A{suffix}", f"/escape/ST/{part}/x\\..\\..\\x{suffix}")
    with pytest.raises(DataError, match="is no slide name"):
        read_catalog("memory://escape")


@pytest.mark.parametrize("name", ["../../x", "a/b", "..", "", None])
def test_names_of_published_slides_that_lead_elsewhere(tmp_path, name):
    row = {"slide": name, "tech": "ST", "species": None, "tissue": None, "pmid": None, "involve_cancer": None}
    pq.write_table(
        pa.Table.from_pylist([row | {"spots": 3, "genes": 2, "left_out": None}]), tmp_path / "slides.parquet"
    )
    with pytest.raises(DataError, match=r"slides.parquet: .* is no slide name"):
        open_source(str(tmp_path)).slides()


def test_links_are_followed(tiny, tmp_path):
    image = tiny / "ST/image/Slide_A.png"
    image.rename(tmp_path / "elsewhere.png")
    image.symlink_to(tmp_path / "elsewhere.png")
    assert len(read_catalog(str(tiny)).select()) == 1


def test_a_pickled_checkpoint_is_refused(tmp_path):
    folder = make_tower("clip", tmp_path / "clip")
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb(tmp_path / "made")))
    torch.save({"x": Bomb(tmp_path / "made")}, folder / "pytorch_model.bin")
    for load in (lambda: load_tower(str(folder)), lambda: gene_towers(str(folder), ["A"], "linear", 4)):
        with pytest.raises(DataError, match="clip: "):
            load()
    assert not (tmp_path / "made").exists()


def test_pickles_in_a_checkpoint_of_a_run_make_nothing(tmp_path):
    from accelerate import Accelerator

    accelerator = Accelerator(cpu=True)
    layer = torch.nn.Linear(2, 2)
    accelerator.prepare(layer, torch.optim.Adam(layer.parameters()))
    accelerator.save_state(str(tmp_path / "step"))
    for path in (tmp_path / "step").iterdir():
        if path.suffix in (".bin", ".pkl"):
            before = path.read_bytes()
            torch.save(Bomb(tmp_path / "made"), path)
            try:
                accelerator.load_state(str(tmp_path / "step"))
            except Exception as error:
                assert "weights_only" in str(error) or "Weights only" in str(error), error
            assert not (tmp_path / "made").exists()
            path.write_bytes(before)


def test_the_code_reads_no_pickles_and_makes_no_yaml_objects():
    root = Path(__file__).parent.parent.parent
    code = [path for folder in ("stimage", "scripts", "metrics") for path in (root / folder).rglob("*.py")]
    for word in ("pickle.load", "torch.load", "np.load", "numpy.load", "allow_pickle", "yaml.load(", "yaml.unsafe",
                 " eval(", "read_pickle", "joblib.load", "shell=True"):  # fmt: skip
        assert not [path for path in code if word in path.read_text()], word
    trusting = re.compile(r"trust_remote_code\W+True(?!\W+trust-remote-code)")  # but in messages: a user reads it first
    told = '("{repo}", trust_remote_code=True)'  # on a model's card, too
    assert not [path for path in code if trusting.search(path.read_text().replace(told, ""))]


def test_the_page_escapes_what_it_shows(tmp_path):
    slide = Slide(EVIL, "ST", "", "", "", species=EVIL, tissue=EVIL)
    finding = Finding(EVIL, "files", "fail", EVIL, EVIL, {"x": 1})
    write_review_page(tmp_path / "r.html", EVIL, [slide], {EVIL: [finding]}, {EVIL: PageFiles(EVIL, EVIL)})
    page = (tmp_path / "r.html").read_text()
    assert "<img" not in page.split("<body")[0] and "alert(1)</script>" not in page and "<img src=x" not in page
    data = page.split('type="application/json"')[1].split(">", 1)[1].split("</script>")[0]
    assert json.loads(data)[0]["slide"] == EVIL
    folder = Path(__file__).parent.parent.parent / "stimage/collection/page"
    script = "".join(path.read_text() for path in folder.glob("*.js"))
    assert "innerHTML" not in script and "document.write" not in script and "outerHTML" not in script
