"""Splits: a function of the group alone, refused where a split would be empty, and the same through every door."""

import csv
import subprocess
import sys
from collections import Counter, defaultdict

import pytest
from datasets import load_dataset
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import stimage_1k4m  # noqa: F401
from stimage.core.errors import DataError
from stimage.core.tables import read_names
from stimage.slides.catalog import Catalog, Filters, Slide
from stimage.slides.selection import Selection
from stimage.slides.splits.splitting import FRACTIONS, Splitting, check_leaks, part_of, split_slides
from tests.roots import write_csv, write_slide

SIDES = {"train", "validation", "test"}


def slide(name: str, tech: str = "ST", tissue: str = "breast", pmid: str | None = None) -> Slide:
    return Slide(name, tech, "", "", "", tissue=tissue, pmid=pmid)


def split(slides, by, seed=0, filters=None, **how) -> dict[str, str]:
    """Return slide name → split, of slides that have no files."""
    catalog = Catalog("/root/of/none", tuple(slides), meta={})
    placed = split_slides(catalog, Selection("ROOT", filters=filters or Filters()), Splitting(by, seed, **how))
    return {name: one.split for name, one in placed.items()}


SLIDES = st.lists(
    st.tuples(st.sampled_from(["ST", "Visium"]), st.sampled_from(["breast", "brain", None]), st.integers(1, 60)),
    min_size=60,
    max_size=90,
).map(lambda rows: [slide(f"S{i}", tech, tissue, str(pmid)) for i, (tech, tissue, pmid) in enumerate(rows)])


@settings(max_examples=30)
@given(SLIDES, SLIDES, st.sampled_from(["slide", "study"]), st.integers(0, 5), st.randoms(use_true_random=False))
def test_slides_that_are_added_or_left_out_move_none(slides, more, by, seed, random):
    more = [slide(f"new {s.name}", s.tech, s.tissue, f"{s.pmid}{random.randint(0, 1)}") for s in more]
    everything = random.sample([*slides, *more], len(slides) + len(more))
    try:
        before, after = split(slides, by, seed), split(everything, by, seed)
    except DataError as error:
        assert "would get no slide" in str(error)
        assume(False)
    assert before.items() <= after.items()
    sides = defaultdict(set)
    for one in everything:
        sides[one.pmid if by == "study" else one.name].add(after[one.name])
    assert all(len(of_group) == 1 for of_group in sides.values()) and set(after.values()) == SIDES


def test_fractions_hold_in_expectation():
    """Of 4,000 groups, within five standard deviations."""
    for fractions in (FRACTIONS, (0.5, 0.3, 0.2), (1 / 3, 1 / 3, 1 / 3), (0.7, 0.0, 0.3)):
        counts = Counter(part_of(f"S{i}", 7, fractions) for i in range(4000))
        for name, share in zip(("train", "validation", "test"), fractions):
            assert abs(counts[name] - 4000 * share) <= 5 * (4000 * share * (1 - share)) ** 0.5


def test_names_draw_the_same_however_they_are_written():
    assert all(part_of(f"É{i}", 0, FRACTIONS) == part_of(f"É{i}".lower(), 0, FRACTIONS) for i in range(50))


@pytest.mark.slow
def test_the_same_on_every_machine():
    """Held here, so that no version moves a slide of a published split."""
    assert [part_of(f"S{i}", 0, FRACTIONS)[:2] for i in range(16)] == (
        "tr te tr tr va tr va va va tr tr tr tr tr tr tr".split()
    )
    code = (
        "from tests.slides.test_splits import *;"
        "print(split([slide(f'S{i}', pmid=str(i % 40)) for i in range(60)], 'study', 1))"
    )
    outputs = {
        subprocess.run([sys.executable, "-c", code], env={"PYTHONHASHSEED": seed, "PYTHONPATH": "."},
                       capture_output=True, text=True, check=True).stdout
        for seed in "012"
    }  # fmt: skip
    assert len(outputs) == 1


def test_an_empty_split_is_refused_with_seeds_that_work():
    slides = [slide(f"S{i}", pmid=str(i // 2)) for i in range(12)]
    works = []
    for seed in range(100):
        try:
            found = split(slides, "study", seed)
        except DataError as error:
            message = str(error)
            continue
        assert set(found.values()) == SIDES
        works.append(seed)
    assert 5 < len(works) < 95
    assert f"These seeds below 100 work: {', '.join(map(str, works[:10]))}" in message
    with pytest.raises(DataError, match=r"would get no slide, as 2 groups are too few for 3 splits"):
        split(slides[:4], "study")
    command = r"ROOT --slides S0 S1 S2 --exclude S9 --split-by slide --split-fractions 0.98 0.01 0.01 --out splits.csv`"
    with pytest.raises(DataError, match=f"`python -m stimage split-slides {command}"):
        split(slides, "slide", filters=Filters(slides=["S0", "S1", "S2"], exclude="S9"), fractions=(0.98, 0.01, 0.01))
    seldom = [slide(f"S{i}", pmid="1,2,3,4,5,6,7,8,9") for i in range(3)]
    with pytest.raises(DataError, match="No seed below 100 works"):
        split([*seldom, slide("T", pmid="10"), slide("U", pmid="11")], "study")


def test_a_slide_of_studies_of_two_splits_is_refused():
    slides = [slide(f"S{i}", pmid=str(i)) for i in range(40)]
    found = split(slides, "study")
    one, other = (next(name for name in found if found[name] == side)[1:] for side in ("train", "test"))
    bridge = slide("Bridge", pmid=f"{one}, {other}")
    with pytest.raises(
        DataError, match=r"1 of 41 slides belong to several studies, .*: Bridge\. These seeds below 100"
    ) as info:
        split([*slides, bridge], "study")
    seed = int(str(info.value).split("100 work: ")[1].split(",")[0])
    again = split([*slides, bridge], "study", seed)
    assert again["Bridge"] == again[f"S{one}"] == again[f"S{other}"]
    assert split([*slides, bridge], "study", filters=Filters(exclude=["bridge"])) == found


def test_unknown_groups_are_never_guessed(tmp_path):
    slides = [slide(f"S{i}", pmid=str(i) if i else None) for i in range(40)]
    with pytest.raises(DataError, match=r"study of 1 of 40 slides is not known: S0; leave these slides out by ex"):
        split(slides, "study")
    own = split(slides, "study", no_study="own")
    assert own.pop("S0") in SIDES and split(slides[1:], "study") == own
    table = tmp_path / "p.csv"
    write_csv(table, [["slide", "patient"], *([f"s{i}", f"P{i // 2}"] for i in range(1, 40))])
    with pytest.raises(DataError, match=r"patient of 1 of 40 slides is not known: S0; .* to the table of patients"):
        split(slides, "patient", patients=table)
    found = split(slides[1:], "patient", patients=table)
    assert all(found[f"S{i}"] == found[f"S{i + 1}"] for i in range(2, 39, 2))
    write_csv(table, [["slide", "patient"], ["S1", "a"], ["s1", "b"]])
    with pytest.raises(DataError, match="row 2: slide 's1' occurs twice"):
        split(slides, "patient", patients=table)
    write_csv(table, [["slide", "donor"], ["S1", "a"]])
    with pytest.raises(DataError, match="no column 'patient'"):
        split(slides, "patient", patients=table)


@pytest.mark.parametrize(
    "wrong",
    [{"by": "donor"}, {"patients": "x.csv"}, {"by": "slide", "fractions": (0.5, 0.5, 0.5)},
     {"by": "slide", "fractions": (1,)}, {"seed": 3}, {"fractions": (0.5, 0.5, 0)}, {"no_study": "own"},
     {"by": "slide", "no_study": "own"}, {"by": "study", "no_study": "each"}, {"by": "slide", "seed": 1.5},
     {"by": "slide", "fractions": (float("nan"), 0.5, 0.5)}, {"by": "slide", "fractions": 0.8},
     {"by": "slide", "splits": "splits.csv"}],
)  # fmt: skip
def test_wrong_options_are_refused(wrong):
    with pytest.raises(ValueError, match=r"pass |work only together|give three|leave out"):
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


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Ten ST slides, two a study."""
    root = tmp_path_factory.mktemp("splits") / "root"
    for i in range(10):
        write_slide(root, f"S{i}", "ST", side=2, seed=i, meta={"pmid": str(i // 2)})
    return root


def loaded(root, streaming=True, **options) -> dict[str, set[str]]:
    """Return the slides of each split, as `load_dataset` gives them."""
    data = load_dataset("stimage_1k4m", "ST", data_dir=str(root), streaming=streaming, **options)
    return {name: {e["slide"] for e in part} for name, part in data.items()}


def test_load_dataset_splits_and_excludes(root, tmp_path, caplog):
    options = {"split_by": "study", "split_fractions": (0.5, 0.25, 0.25)}
    sides = loaded(root, **options)
    assert set(sides) == SIDES and sum(map(len, sides.values())) == 10
    assert all((f"S{2 * k}" in of_side) == (f"S{2 * k + 1}" in of_side) for of_side in sides.values() for k in range(5))
    (tmp_path / "not.txt").write_text("s3\n")
    for exclude in ("S3", ["S3"], str(tmp_path / "not.txt")):
        for streaming in (True, False):
            found = loaded(root, streaming, exclude=exclude, **options)
            assert found == {name: of_side - {"S3"} for name, of_side in sides.items()}
    loaded(root, exclude=["S3", "Nobody"])
    assert "1 of 2 excluded slides are not in" in caplog.text
    with pytest.raises(DataError, match="would get no slide"):
        loaded(root, slides=next(iter(sides["test"])), **options)


def test_a_table_rules(root, tmp_path):
    rows = {f"S{i}": ("train", "validation", "test")[i % 3] for i in range(10)}
    want = {side: {name for name in rows if rows[name] == side} for side in SIDES}
    table = tmp_path / "mine.csv"
    write_csv(table, [["slide", "split"], *((name.lower(), side) for name, side in rows.items())])
    for streaming in (True, False):
        assert loaded(root, streaming, splits=str(table)) == loaded(root, streaming, splits=rows) == want
    assert loaded(root, slides=["S0", "S1"], splits=rows) == {"train": {"S0"}, "validation": {"S1"}}
    for wrong, message in (
        ([["slide", "split"], ["S0", "train"]], r"mine.csv: lacks 9 of 10 slides: S1, .*split-slides .* --add-to"),
        ([["slide", "split"], ["S0", "dev"]], "slide 'S0' has the split 'dev'; one of train, validation, test"),
        ([["slide", "split"], ["S0", "test"], ["s0", "test"]], "slide 's0' occurs twice"),
        ([["slide", "part"], ["S0", "test"]], "has no column 'split'"),
    ):
        write_csv(table, wrong)
        with pytest.raises(DataError, match=message):
            loaded(root, splits=str(table))
    with pytest.raises(DataError, match=r"cannot be read"):
        loaded(root, splits=str(tmp_path / "no.csv"))
    with pytest.raises(ValueError, match="leave out split_by="):
        loaded(root, splits=rows, split_by="slide")


def test_the_roots_own_table_rules(tmp_path):
    root = tmp_path / "root"
    for i in range(6):
        write_slide(root, f"S{i}", "ST", side=2, seed=i)
    every = {f"S{i}" for i in range(6)}
    for streaming in (True, False):
        assert loaded(root, streaming) == {"train": every}
    for test in ("S0", "S1"):  # prepared anew when the table changes
        rows = [[name, "test" if name == test else "train"] for name in sorted(every)]
        write_csv(root / "splits.csv", [["slide", "split"], *rows])
        for streaming in (True, False):
            assert loaded(root, streaming) == {"train": every - {test}, "test": {test}}
            assert loaded(root, streaming, splits="none") == {"train": every}
    with pytest.raises(DataError, match=r"splits.csv: already says which slide .* Leave out split_by= .*splits='none'"):
        loaded(root, split_by="slide")
    options = {"split_by": "slide", "split_fractions": (0.5, 0, 0.5), "split_seed": 2}
    assert set(loaded(root, splits="none", **options)) == {"train", "test"}


@pytest.mark.slow
def test_the_real_meta_file_and_its_38_selections(shared):
    """By slide and by study: three splits, or a refusal whose seeds work; a study of five more moves no slide."""
    with (shared / "real/meta/meta_all_gene02122025.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    slides = [
        Slide(r["slide"], r["tech"], "", "", "", None, r["species"], r["tissue"], r["pmid"] or None) for r in rows
    ]
    more = [Slide(f"New{i}", "Visium", "", "", "", None, "human", "brain", "99999999") for i in range(5)]
    assert len(slides) == 1149
    moved = [split([*slides, *more], by, **how)[name] != where
             for by, how in (("slide", {}), ("study", {"no_study": "own", "seed": 1}))
             for name, where in split(slides, by, **how).items()]  # fmt: skip
    assert len(moved) == 2 * 1149 and not any(moved)
    selections = Counter((s.tech, s.species, s.tissue) for s in slides)
    selections = [key for key, n in selections.items() if n >= 5]
    assert len(selections) == 38
    for tech, species, tissue in selections:
        some = [s for s in slides if (s.tech, s.species, s.tissue) == (tech, species, tissue)]
        for by, how in (("slide", {}), ("study", {"no_study": "own"})):
            check_selection(some, by, how)


def check_selection(some, by, how):
    try:
        found = split(some, by, **how)
    except DataError as error:
        message = str(error)
        if "100 work: " not in message:
            assert "are too few for" in message or "No seed below 100 works" in message
            return
        seed = int(message.split("100 work: ")[1].split(",")[0].split(";")[0])
        found = split(some, by, seed, **how)
    assert set(found.values()) == SIDES and len(found) == len(some)
