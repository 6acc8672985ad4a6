"""Splits: groups stay together, shares are kept, and nothing depends on order, selection or machine."""

import subprocess
import sys
from collections import Counter, defaultdict

import pytest
from datasets import load_dataset
from hypothesis import given, settings
from hypothesis import strategies as st

import stimage_1k4m  # noqa: F401
from stimage.errors import DataError
from stimage.processing.splits import Splitting, check_leaks, split_slides
from stimage.slides import Slide, read_catalog
from stimage.slides.storage import read_names
from tests.roots import write_csv, write_slide


def slide(name: str, tech: str = "ST", tissue: str = "breast", pmid: str | None = None) -> Slide:
    return Slide(name, tech, "", "", "", tissue=tissue, pmid=pmid)


SLIDES = st.lists(
    st.tuples(st.sampled_from(["ST", "Visium"]), st.sampled_from(["breast", "brain", None]),
              st.sets(st.integers(1, 30), min_size=1, max_size=3)),
    min_size=30, max_size=80,
).map(lambda rows: [slide(f"S{i}", tech, tissue, ",".join(map(str, sorted(pmids))))
                    for i, (tech, tissue, pmids) in enumerate(rows)])  # fmt: skip


@given(SLIDES, st.integers(0, 5))
@settings(deadline=None, derandomize=True)
def test_no_pmid_is_on_two_sides(slides, seed):
    try:
        placed = split_slides(slides, slides, Splitting("study", seed))
    except DataError as error:
        assert "are too few" in str(error)
        return
    assert {p.split for p in placed.values()} == {"train", "validation", "test"}
    sides = defaultdict(set)
    for p in placed.values():
        for pmid in p.slide.pmid.split(","):
            sides[pmid].add(p.split)
    assert all(len(of_pmid) == 1 for of_pmid in sides.values())


@given(SLIDES, st.integers(0, 5), st.randoms(use_true_random=False))
@settings(deadline=None, derandomize=True)
def test_order_and_selection_do_not_matter(slides, seed, random):
    want = {name: p.split for name, p in split_slides(slides, slides, Splitting("slide", seed)).items()}
    shuffled = random.sample(slides, len(slides))
    some = random.sample(slides, 5)
    assert {n: p.split for n, p in split_slides(shuffled, some, Splitting("slide", seed)).items()} == {
        s.name: want[s.name] for s in some
    }
    assert want != {name: p.split for name, p in split_slides(slides, slides, Splitting("slide", seed + 1)).items()}


def test_shares_are_kept_by_technology_and_tissue():
    slides = [
        slide(f"{tech}{tissue}{i}", tech, tissue) for tech in ("ST", "Visium") for tissue in "ab" for i in range(40)
    ]
    placed = split_slides(slides, slides, Splitting("slide"))
    counts = Counter((p.slide.tech, p.slide.tissue, p.split) for p in placed.values())
    assert all(n == {"train": 32, "validation": 4, "test": 4}[split] for (_, _, split), n in counts.items())
    placed = split_slides(slides, slides, Splitting("slide", fractions=(0.5, 0, 0.5)))
    assert Counter(p.split for p in placed.values()) == {"train": 80, "test": 80}


def test_the_hash_seed_of_the_interpreter_does_not_matter():
    code = (
        "from tests.processing.test_splits import *;"
        "s = [slide(f'S{i}', pmid=str(i % 13)) for i in range(60)];"
        "print([p.split for p in split_slides(s, s, Splitting('study')).values()])"
    )
    outputs = {
        subprocess.run([sys.executable, "-c", code], env={"PYTHONHASHSEED": seed, "PYTHONPATH": "."},
                       capture_output=True, text=True, check=True).stdout
        for seed in "012"
    }  # fmt: skip
    assert len(outputs) == 1


def test_slides_that_were_split_stay_and_new_ones_follow_their_group():
    old = [slide(f"S{i}", pmid=str(i)) for i in range(30)]
    known = {name: p.split for name, p in split_slides(old, old, Splitting("study")).items()}
    new = [*old, *(slide(f"N{i}", pmid=str(i)) for i in range(0, 60, 2))]
    placed = split_slides(new, new, Splitting("study"), known)
    assert {name: placed[name].split for name in known} == known
    assert all(placed[f"N{i}"].split == known[f"S{i}"] for i in range(0, 30, 2))
    sides = {split: next(name for name in known if known[name] == split) for split in ("train", "test")}
    bridge = slide("B", pmid=f"{sides['train'][1:]},{sides['test'][1:]}")
    with pytest.raises(DataError, match="on two sides already"):
        split_slides([*old, bridge], [*old, bridge], Splitting("study"), known)


def test_unknown_groups_are_never_guessed(tmp_path):
    slides = [slide(f"S{i}", pmid=str(i) if i else None) for i in range(9)]
    with pytest.raises(
        DataError,
        match=r"study of 1 of 9 slides is not known: S0; name them in a file for --exclude, or split by a table",
    ):
        split_slides(slides, slides, Splitting("study"))
    assert len(split_slides(slides, slides[1:], Splitting("study"))) == 8
    write_csv(tmp_path / "p.csv", [["slide", "patient"], *([f"S{i}", f"P{i // 2}"] for i in range(1, 9))])
    with pytest.raises(DataError, match=r"patient of 1 of 9 slides is not known: S0"):
        split_slides(slides, slides, Splitting("patient", patients=tmp_path / "p.csv"))
    write_csv(tmp_path / "p.csv", [["slide", "patient"], ["S1", "a"], ["S1", "b"]])
    with pytest.raises(DataError, match="slide 'S1' has two rows"):
        split_slides(slides, slides, Splitting("patient", patients=tmp_path / "p.csv"))
    write_csv(tmp_path / "p.csv", [["slide", "donor"], ["S1", "a"]])
    with pytest.raises(DataError, match="no column 'patient'"):
        split_slides(slides, slides, Splitting("patient", patients=tmp_path / "p.csv"))
    with pytest.raises(DataError, match="would get no slide"):
        split_slides(slides[:2], slides[:2], Splitting("slide", fractions=(0.5, 0.25, 0.25)))


@pytest.mark.parametrize(
    "wrong",
    [{"by": "donor"}, {"by": "patient"}, {"patients": "x.csv"}, {"fractions": (0.5, 0.5, 0.5)}, {"fractions": (1,)}],
)
def test_wrong_options_are_refused(wrong):
    with pytest.raises(ValueError, match=r"pass one of|go together|give three"):
        Splitting(**wrong)


def test_leaks():
    split_of = {"A": "train", "B": "train", "C": "test"}
    digests = {"images": {"A": "1", "B": "1", "C": "2"}, "counts": {"A": "x", "B": "y", "C": "z"}}
    assert check_leaks(digests, split_of) == ["the same images: A (train), B (train)"]
    digests["counts"]["C"] = "x"
    with pytest.raises(DataError, match=r"the same counts: A \(train\), C \(test\)\. Name one"):
        check_leaks(digests, split_of)


@pytest.mark.parametrize("text", ["A\nB\n", "slide,mark\nA,accept\nB,accept\n", "\ufeffA\nB"])
def test_lists_of_slides(tmp_path, text):
    (tmp_path / "list.csv").write_text(text, encoding="utf-8")
    assert read_names(tmp_path / "list.csv") == ["A", "B"]


def test_a_table_without_slides_is_no_list(tmp_path):
    (tmp_path / "list.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="is no list of slides"):
        read_names(tmp_path / "list.csv")


def test_load_dataset_splits(tmp_path):
    root = tmp_path / "root"
    for i in range(10):
        write_slide(root, f"S{i}", "ST", side=2, seed=i, meta={"pmid": str(i // 2)})
    options = {"data_dir": str(root), "streaming": True, "split_by": "study", "split_fractions": (0.6, 0.2, 0.2)}
    sides = {name: {e["slide"] for e in d} for name, d in load_dataset("stimage_1k4m", "ST", **options).items()}
    assert {name: len(slides) for name, slides in sides.items()} == {"train": 6, "validation": 2, "test": 2}
    catalog = read_catalog(str(root))
    study = {s.name: s.pmid for s in catalog.slides}
    assert not {study[s] for s in sides["train"]} & {study[s] for s in sides["test"] | sides["validation"]}
    one = next(iter(sides["test"]))
    (only,) = load_dataset("stimage_1k4m", "ST", slides=one, **options).items()
    assert only[0] == "test" and {e["slide"] for e in only[1]} == {one}
