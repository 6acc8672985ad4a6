"""A root of which one file is damaged, through `load_dataset`."""

import pytest
from datasets import load_dataset
from hypothesis import given

import stimage.slides.spots
import stimage_1k4m
from tests.reliability import slow
from tests.reliability.faults import MOMENTS, damage, mended
from tests.reliability.oracle import judge
from tests.reliability.world import FILES, faults, image_of, make_root, name_of, other_of, some, struck_of


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return make_root(tmp_path_factory.mktemp("faults") / "root")


def read(root, strikes=None, slide: str = "", **options) -> list[dict]:
    """Load the root; ``strikes`` are called once slides are listed, and once the first spot of a slide was read."""
    listed, reading = strikes or (None, None)
    dataset = load_dataset("stimage_1k4m", "ST", data_dir=str(root), split="train", streaming=True, **options)
    if listed:
        listed()
    examples = []
    for example in dataset:
        examples.append(example)
        if reading and slide in example["slide"]:
            reading()
            reading = None
    return examples


def plain(names: list[str], examples: list[dict]) -> dict[str, dict[str, dict]]:
    """Return examples as the slow reader gives them: by slide and spot."""
    found = {}
    for e in examples:
        found.setdefault(e["slide"], {})[e["spot_id"]] = {
            "place": (e["x"], e["y"], e["radius"]),
            "annotation": e["annotation"],
            "image": e["image"].tobytes(),
            "counts": {names[i]: count for i, count in zip(e["gene_ids"], e["counts"])},
        }
    return found


def check_meta(root, examples: list[dict]) -> None:
    """Hold what examples say of their slides against the meta file."""
    if not (root / FILES["meta"]).is_file():
        assert {e["species"] for e in examples} == {None}
        return
    of_slide = {row["slide"]: row for row in slow.table(root / FILES["meta"])}
    for e in examples:
        row = of_slide[e["slide"]]
        assert {key: e[key] or "" for key in ("species", "tissue", "pmid")} == {
            key: row[key] for key in ("species", "tissue", "pmid")
        }
        assert {True: "True", False: "False", None: ""}[e["involve_cancer"]] == row["involve_cancer"]


@given(fault=faults(FILES, MOMENTS))
@some(100)
def test_spots_are_right_or_the_file_is_named(root, fault):
    path = root / FILES[fault.kind]
    slides = [f"Slide_{letter}" for letter in "ABCDEF"]
    struck = struck_of(fault)

    def strike():
        damage(path, fault, other_of(root, fault.kind))

    def check(examples):
        found = plain(before if fault.kind == "meta" else stimage_1k4m.gene_names(root), examples)
        assert len(found) == len(slides)
        if fault.when == "before":
            check_meta(root, examples)
        for name, spots in found.items():
            file = next(slide for slide in slides if slide.casefold() == name.casefold())
            if file != struck:
                assert spots == whole[file], fault
            elif fault.kind.startswith("counts, ") and spots == whole[file]:
                continue  # damaged where nobody reads; slow readers may stumble over it
            elif fault.when != "reading":
                assert spots == slow.slide(root, "ST", file, image_of(root, file)), fault
            elif spots != whole[file]:
                now = slow.slide(root, "ST", file, image_of(root, file), whole=False)
                assert all(spot in (whole[file][name], now.get(name)) for name, spot in spots.items()), fault

    before = stimage_1k4m.gene_names(root)
    whole = {slide: slow.slide(root, "ST", slide, image_of(root, slide)) for slide in slides}
    strikes = {"listed": (strike, None), "reading": (None, strike)}.get(fault.when)
    with mended(path), pytest.MonkeyPatch.context() as patch:
        patch.setattr(stimage.slides.spots, "BATCH_SPOTS", 2)
        if fault.when == "before":
            strike()
        judge("load_dataset", fault, [name_of(fault)], lambda: read(root, strikes, struck), check)
