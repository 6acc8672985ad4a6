"""What no argument can be is refused at once by our own errors, by the argument's name; nothing is written."""

from types import SimpleNamespace

import anndata
import numpy as np
import pytest

import stimage
from tests.formats.annotated import slide

NO_NUMBER = (0, -1, float("nan"), float("inf"), "2", True, [1], int)


@pytest.fixture(scope="module")
def root(sample):
    return str(sample)


@pytest.mark.parametrize("name", ["um_per_px", "spot_diameter"])
@pytest.mark.parametrize("value", NO_NUMBER)
def test_scales_and_sizes_are_numbers_above_0(tmp_path, name, value):
    with pytest.raises(ValueError, match=rf"^{name}=.*of the full-resolution image, a number above 0$"):
        stimage.add_slide(slide(), tmp_path / "root", "Mine", **{name: value})
    assert not (tmp_path / "root").exists()


def test_numpys_numbers_are_numbers(tmp_path):
    stimage.add_slide(slide(), tmp_path / "root", "Mine", um_per_px=np.float32(0.5), spot_diameter=np.int64(22))


WRONG = {
    "root=None is no root": lambda root, out: stimage.list_slides(None),
    "root=3 is no root": lambda root, out: stimage.list_slides(3),
    "root='' is no root": lambda root, out: stimage.publish("", out),
    "data: a NoneType is no slide; pass an AnnData, or a path": lambda root, out: stimage.add_slide(None, out, "M"),
    "data: a int is no slide": lambda root, out: stimage.add_slide(3, out, "M"),
    "root=None: pass a path": lambda root, out: stimage.add_slide(slide(), None, "M"),
    "s3://b/c: is no folder of this machine": lambda root, out: stimage.add_slide(slide(), "s3://b/c", "M"),
    "slide: None is no slide name": lambda root, out: stimage.add_slide(slide(), out, None),
    "slide: 3 is no slide name": lambda root, out: stimage.add_slide(slide(), out, 3),
    "image=3: pass a path": lambda root, out: stimage.add_slide(slide(), out, "M", image=3),
    "positions=3: pass a path": lambda root, out: stimage.add_slide(slide(), out, "M", positions=3),
    "labels=3: pass a column": lambda root, out: stimage.add_slide(slide(), out, "M", labels=3),
    "on_mismatch='x': pass one of": lambda root, out: stimage.add_slide(slide(), out, "M", on_mismatch="x"),
    "tech='x': pass one of ST": lambda root, out: stimage.add_slide(slide(), out, "M", tech="x"),
    "slide=3: pass a slide's name": lambda root, out: stimage.read_slide(root, 3),
    "slide=None: pass a slide's name": lambda root, out: stimage.read_slide(root, None),
    r"slide=\[3\]: pass a slide's name": lambda root, out: stimage.read_slide(root, [3]),
    "panel=3: pass a Panel, a list": lambda root, out: stimage.read_slide(root, "A", panel=3),
    "image_px=0: pass a whole number, 1 or more": lambda root, out: stimage.read_slide(root, "A", image_px=0),
    "normalise='x': pass one of": lambda root, out: stimage.read_slide(root, "A", normalise="x"),
    "workers='x': pass a whole number, 0 or more": lambda root, out: stimage.publish(root, out, workers="x"),
    "workers=-1: pass": lambda root, out: stimage.publish(root, out, workers=-1),
    "workers=1.5: pass": lambda root, out: stimage.check(root, workers=1.5),
    "out=None: pass a path": lambda root, out: stimage.publish(root, None),
    "out=3: pass a path": lambda root, out: stimage.check(root, 3),
    "colour=3: pass counts, or": lambda root, out: stimage.check(root, colour=3),
    "out=4: pass a path": lambda root, out: stimage.embed(root, "clip", 4),
    "batch_size='x': pass a whole number, 1": lambda root, out: stimage.embed(root, "clip", batch_size="x"),
    "n='x', folds=None: pass 1 gene": lambda root, out: stimage.predict(root, None, n="x"),
    "n=50, folds=1: pass 1 gene or more, and 2 folds": lambda root, out: stimage.predict(root, None, folds=1),
    "maps='x': pass": lambda root, out: stimage.predict(root, None, maps="x"),
    "gene=3: pass a gene's name": lambda root, out: stimage.predict(root, None, "original", gene=3),
    "out=5: pass a path": lambda root, out: stimage.select_genes(root, out=5),
    "out=6: pass a path": lambda root, out: stimage.finetune(root, 6),
    "out=7: pass a path": lambda root, out: stimage.make_sample(7),
    "genes='x': pass a whole number": lambda root, out: stimage.make_sample(out, genes="x"),
    "part=3: pass one of train": lambda root, out: stimage.open_root(root, part=3),
    "split_fractions='abc': pass three": lambda root, out: stimage.open_root(root, split_fractions="abc"),
    "storage_options=3: pass a mapping": lambda root, out: stimage.open_root(root, storage_options=3),
    "max_image_pixels='x': pass": lambda root, out: stimage.open_root(root, max_image_pixels="x"),
}


@pytest.mark.parametrize("words", WRONG)
def test_what_no_argument_can_be(root, tmp_path, words):
    with pytest.raises(ValueError, match=f"^{words}"):
        WRONG[words](root, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_only_an_anndata_is_one(tmp_path):
    """What is like an AnnData in part is read as far as it is, or refused by our own error."""
    with pytest.raises(ValueError, match=r"data: a SimpleNamespace is no slide"):
        stimage.add_slide(SimpleNamespace(X=1), tmp_path / "root", "Mine")
    with pytest.raises(ValueError, match="the AnnData: has no X"):
        stimage.add_slide(anndata.AnnData(obs=slide().obs, obsm=dict(slide().obsm), uns=slide().uns), tmp_path, "Mine")
