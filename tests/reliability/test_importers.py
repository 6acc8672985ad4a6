"""Slides of other formats, one file damaged, through `stimage.add_slide`: right, or refused and the root as before."""

import os
import random
import shutil
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import stimage
from stimage.slides.images.patches import Patch
from stimage.slides.spots import open_spots, read_batches
from tests.reliability.faults import WEIGHED, Fault, damage
from tests.reliability.insides import inside
from tests.reliability.oracle import judge
from tests.reliability.sources import MAKERS, Source, make_source
from tests.reliability.told import Told, in_root, in_source
from tests.reliability.world import some

ACTIONS = (*WEIGHED, *["inside"] * 16, "swap within")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return, made once: a source, its folder, and what it tells; the folder of another slide; a root that has it."""
    top = tmp_path_factory.mktemp("sources")

    @cache
    def make(name: str) -> tuple[Source, Path, Told, Path, Path]:
        folder, other, root = (top / name / part for part in ("source", "other", "root"))
        source = make_source(name, folder)
        make_source(name, other, seed=1)
        stimage.add_slide(folder / source.path, root, "Mine", **source.arguments(folder))
        stimage.add_slide(other / source.path, root, "Other", **source.arguments(other))
        return source, folder, in_source(source, folder), other, root

    return make


def contents(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def spoil(fault: Fault, source: Source, folder: Path, other: Path) -> str:
    """Damage one of the source's files; return its name below the folder."""
    rng = random.Random(fault.seed)
    waits = fault.action == "pipe"  # a table may be one
    name = rng.choice([one for one in source.files if not waits or one != source.options.get("labels")])
    kind = folder / Path(name).parent / "zarr.json"
    texts = kind.exists() and "vlen-utf8" in kind.read_text() and not name.endswith(kind.name)
    if texts and fault.action in ("flip", "inside"):
        fault = replace(fault, action="truncate")  # numcodecs makes room for as many texts as the first bytes say
    if fault.action == "inside":
        inside(folder / name, rng)
    elif fault.action == "swap within" and len(source.files) > 1:
        with_ = rng.choice([one for one in source.files if one != name])
        mine, its = (folder / name).read_bytes(), (folder / with_).read_bytes()
        (folder / name).write_bytes(its)
        (folder / with_).write_bytes(mine)
    else:
        action = "disappear" if fault.action == "swap within" else fault.action
        damage(folder / name, Fault(Path(name).suffix, action, fault.seed), (other / name).read_bytes())
    return name


@pytest.mark.parametrize("name", MAKERS)
def test_a_sound_slide_is_told_as_it_is(made, name):
    _, _, told, _, root = made(name)
    assert in_root(root, told.tech, "Mine") == told and len(told.places) in (53, 60)


@given(
    name=st.sampled_from(sorted(MAKERS)),
    action=st.sampled_from(ACTIONS),
    seed=st.integers(0, 2**32 - 1),
    new=st.booleans(),
)
@some(60)
def test_a_damaged_file(made, tmp_path_factory, name, action, seed, new):
    source, sound, told, other, before = made(name)
    folder, fault = tmp_path_factory.mktemp("case"), Fault(name, action, seed)
    root = folder / "root"
    shutil.copytree(sound, folder / "source")
    if not new:
        shutil.copytree(before, root)
    was = contents(root)
    struck = spoil(fault, source, folder / "source", other)
    arguments = source.arguments(folder / "source")

    def check(added) -> None:
        found = in_root(root, added.tech, "Mine")
        spots = open_spots(added)
        assert sum(len(block.patches) for block in read_batches(spots, Patch())) == len(found.places)
        changed = found.pixels.shape == told.pixels.shape and (found.pixels != told.pixels).mean()
        if fault.action == "flip" and 0 < changed < 1e-3:  # of bare pixels, nobody finds it, whatever else was changed
            found = replace(found, pixels=told.pixels)
        assert found == told or found == in_source(source, folder / "source"), (fault, struck)

    names = [
        Path(struck).name.removesuffix(".gz"),
        "spot_diameter_fullres",
        "is of a slide of this name already",
        *(["is not the image that the positions are of"] if "scalefactors" in struck else []),
        *([source.path] if source.path.endswith(".zarr") else []),  # Zarr names no file
        str(folder / "source" / ("" if action == "swap within" else Path(struck).parent)),
    ]
    try:
        add = lambda: stimage.add_slide(folder / "source" / source.path, root, "Mine", **arguments)  # noqa: E731
        if not judge("add_slide", fault, names, add, check):
            assert contents(root) == was and (not new or not root.exists()), fault
    except BaseException as error:
        error.add_note(f"{struck}: {fault}")
        raise
    finally:
        os.chmod(folder, 0o700)
        shutil.rmtree(folder)
