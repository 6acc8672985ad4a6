"""`split_slides.py`: near to the fractions, at least one group each, and what is there stays."""

import csv
import json
import shlex
from collections import Counter, defaultdict
from itertools import product

import pytest
from datasets import load_dataset
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from stimage.core.errors import DataError
from stimage.loading.sources import open_source
from stimage.slides.selection import Selection
from stimage.slides.splits.dealing import deal_slides
from stimage.slides.splits.splitting import Splitting, split_slides
from tests.building import BUILD, files
from tests.faults import serving
from tests.roots import write_csv, write_slide
from tests.slides.test_splits import SIDES, SLIDES, slide
from tests.test_scripts import run

DEAL = "data_process/split_slides.py"


def deal(slides, by="slide", known=None, **how) -> dict[str, str]:
    return {name: one.split for name, one in deal_slides(slides, Splitting(by, **how), known).items()}


def distance(sizes, parts, fractions) -> float:
    """Return how far parts (a number for each size) are from the fractions; infinite where one is empty."""
    filled = [sum(size for size, part in zip(sizes, parts) if part == k) for k in range(len(fractions))]
    if not all(filled):
        return float("inf")
    total = sum(sizes)
    return sum((n - total * share) ** 2 / share for n, share in zip(filled, fractions))


@given(st.lists(st.integers(1, 12), min_size=3, max_size=7), st.sampled_from([(0.8, 0.1, 0.1), (0.5, 0.25, 0.25)]))
@settings(max_examples=60)
def test_no_other_deal_of_studies_is_nearer(sizes, fractions):
    slides = [slide(f"S{k}_{i}", pmid=str(k)) for k, size in enumerate(sizes) for i in range(size)]
    found = deal(slides, "study", fractions=fractions)
    order = ("train", "validation", "test")
    ours = distance(sizes, [order.index(found[f"S{k}_0"]) for k in range(len(sizes))], fractions)
    best = min(distance(sizes, parts, fractions) for parts in product(range(3), repeat=len(sizes)))
    assert ours == pytest.approx(best)


def test_shares_are_kept_by_technology_and_tissue():
    slides = [
        slide(f"{tech}{tissue}{i}", tech, tissue) for tech in ("ST", "Visium") for tissue in "ab" for i in range(40)
    ]
    found = deal(slides)
    counts = Counter((s.tech, s.tissue, found[s.name]) for s in slides)
    assert all(n == {"train": 32, "validation": 4, "test": 4}[split] for (_, _, split), n in counts.items())
    assert Counter(deal(slides, fractions=(0.5, 0, 0.5)).values()) == {"train": 80, "test": 80}
    assert Counter(deal(slides[:10]).values()) == {"train": 8, "validation": 1, "test": 1}


@given(SLIDES, st.integers(0, 3), st.randoms(use_true_random=False))
@settings(max_examples=30)
def test_studies_are_whole_whatever_the_order_and_only_added_to(slides, seed, random):
    slides += [slide("Bridge", pmid=f"{slides[0].pmid},{slides[1].pmid}")]
    assume(len({s.pmid for s in slides}) > 4)
    found = deal(slides, "study", seed=seed)
    assert set(found.values()) == SIDES and found["S0"] == found["S1"] == found["Bridge"]
    sides = defaultdict(set)
    for one in slides[:-1]:
        sides[one.pmid].add(found[one.name])
    assert all(len(side) == 1 for side in sides.values())
    assert deal(random.sample(slides, len(slides)), "study", seed=seed) == found
    more = [*slides, *(slide(f"new {s.name}", pmid=str(int(s.pmid) + 20)) for s in slides[:20])]
    known = {name.casefold(): side for name, side in found.items()}
    after = deal(more, "study", known, seed=seed + 1)
    assert found.items() <= after.items() and len(after) == len(more)
    of_pmid = {s.pmid: found[s.name] for s in slides}
    assert all(after[s.name] == of_pmid.get(s.pmid, after[s.name]) for s in more)


def test_what_cannot_be_dealt():
    slides = [slide("A", pmid="1"), slide("B", pmid="1"), slide("C", pmid="2")]
    with pytest.raises(DataError, match=r"would get no slide, as 2 groups are too few for 3 splits\."):
        deal(slides, "study")
    with pytest.raises(DataError, match=r"group '1' is on two sides already \(A in train, B in test\), so D cannot"):
        deal([*slides, slide("D", pmid="1")], "study", {"a": "train", "b": "test", "c": "validation"})
    with pytest.raises(DataError, match="study of 1 of 1 slides is not known: N; leave these slides out"):
        deal([*slides, slide("N")], "study", {"a": "train", "b": "train", "c": "test"})


@pytest.fixture
def root(tmp_path):
    """Twelve ST slides, two a study, the last two of none."""
    for i in range(12):
        write_slide(tmp_path / "root", f"S{i}", "ST", side=2, seed=i, meta={"pmid": str(i // 2) if i < 10 else ""})
    return tmp_path / "root"


def rows(path) -> dict[str, str]:
    with path.open(newline="", encoding="utf-8") as file:
        return {row["slide"]: row["split"] for row in csv.DictReader(file)}


def test_a_table_is_made_added_to_and_used(root, tmp_path):
    out = tmp_path / "splits.csv"
    done = run(DEAL, root, "--split-by", "study", "--out", out)
    assert done.returncode == 1 and "not known: S10, S11; leave these slides out by exclude= (--exclude)" in done.stderr
    assert not out.exists()
    done = run(DEAL, root, "--split-by", "study", "--exclude", "S10", "S11", "--out", out)
    assert done.returncode == 0, done.stderr
    before = rows(out)
    assert Counter(before.values()) == {"train": 6, "validation": 2, "test": 2}
    assert "| ST | validation | 1 | 2 | 8 |" in done.stdout and "10 slides were dealt, 0 were there" in done.stdout
    done = run(DEAL, root, "--split-by", "study", "--no-study", "own", "--add-to", out, "--out", tmp_path / "new.csv")
    assert done.returncode == 0 and "2 slides were dealt, 10 were there already" in done.stdout
    after = rows(tmp_path / "new.csv")
    assert len(after) == 12 and before.items() <= after.items() and rows(out) == before
    done = run(DEAL, root, "--add-to", out, "--out", tmp_path / "new.csv")
    assert done.returncode == 1 and "new.csv: is there already" in done.stderr
    done = run(DEAL, root, "--split-by", "study", "--no-study", "own", "--out", out)
    assert done.returncode == 0 and rows(out) == after
    text = out.read_bytes()
    assert run(DEAL, root, "--out", out).returncode == 0 and out.read_bytes() == text
    out.write_text("slide,split\nS0,trian\n")
    done = run(DEAL, root, "--out", out)
    assert done.returncode == 1 and "has the split 'trian'" in done.stderr and out.read_text().endswith("trian\n")


def test_the_command_that_a_refusal_names_works(root, tmp_path, monkeypatch):
    options = {"data_dir": str(root), "streaming": True, "exclude": ["S10", "S11"]}
    with pytest.raises(DataError) as info:
        for seed in range(100):
            load_dataset("stimage_1k4m", "ST", split_by="study", split_seed=seed, **options)
    words = str(info.value).split("`python -m stimage split-slides ")[1].split("`")[0].split()
    monkeypatch.chdir(tmp_path)
    assert run(DEAL, *words).returncode == 0
    data = load_dataset("stimage_1k4m", "ST", splits="splits.csv", **options)
    found = {e["slide"]: name for name, part in data.items() for e in part}
    assert found == rows(tmp_path / "splits.csv") and set(found.values()) == SIDES


def test_the_commands_that_are_named_work_on_every_source(root, tmp_path, monkeypatch):
    """A root whose broken slides are dropped, a published folder, a table behind a URL; a mapping has no file."""

    def refused(location: str, on_mismatch: str = "error", **splits) -> str:
        catalog, selection = open_source(location).catalog, Selection(location, ("ST",), on_mismatch=on_mismatch)
        with pytest.raises(DataError) as info:
            split_slides(catalog, selection, Splitting(**splits))
        return str(info.value)

    def done(message: str) -> dict[str, str]:
        words = shlex.split(message.split("`python -m stimage split-slides ")[1].split("`")[0])
        (tmp_path / "splits.csv").unlink(missing_ok=True)
        made = run(DEAL, *words)
        assert made.returncode == 0, made.stderr
        return rows(tmp_path / "splits.csv")

    monkeypatch.chdir(tmp_path)
    few = {"by": "slide", "fractions": (0.98, 0.01, 0.01)}
    assert run(BUILD, root, tmp_path / "out").returncode == 0
    assert set(done(refused(str(tmp_path / "out"), **few, splits="none"))) == {f"S{i}" for i in range(12)}
    (root / "ST/image/S3.png").unlink()
    message = refused(str(root), "drop", **few)
    assert " --on-mismatch drop " in message and set(done(message)) == {f"S{i}" for i in range(12)} - {"S3"}
    assert "lacks 11 of 12 slides: S1, " in (given := refused(str(tmp_path / "out"), splits={"S0": "train"}))
    assert "; add them to it, or leave them out" in given and "split-slides" not in given
    write_csv(tmp_path / "out/splits.csv", [["slide", "split"], *([f"S{i}", "test"] for i in range(9))])
    with serving(tmp_path) as server:
        message = refused(f"{server.url}/out")
        assert "and pass splits='splits.csv' (--splits splits.csv)" in message
        found = done(message)
    assert len(found) == 12 and Counter(found.values())["test"] >= 9


def test_every_door_gives_the_same_split(root, tmp_path):
    """The builder, published shards, genes: by hash, and by a table that is named or the root's own."""
    run(DEAL, root, "--out", tmp_path / "dealt.csv")
    done = {}
    for way, options in (
        ("hash", {"split_by": "study", "no_study": "own", "split_seed": 4, "split_fractions": (0.4, 0.3, 0.3)}),
        ("table", {"splits": str(tmp_path / "dealt.csv")}),
    ):
        words = [w for key, value in options.items() for w in (
            f"--{key.replace('_', '-')}", *(value if isinstance(value, tuple) else [value]))]  # fmt: skip
        data = load_dataset("stimage_1k4m", "ST", data_dir=str(root), streaming=True, **options)
        want = {e["slide"]: name for name, part in data.items() for e in part}
        assert len(want) == 12 and set(want.values()) == SIDES
        built = run(BUILD, root, tmp_path / way, *words)
        assert built.returncode == 0, built.stderr
        assert rows(tmp_path / way / "splits.csv") == want
        card = (tmp_path / way / "README.md").read_text()
        assert all(name in card.split("Slides of each split")[1] for name in want)
        chosen = run("data_process/select_genes.py", root, "--method", "overlap-hvg", "--n", 2, *words, "--out",
                     tmp_path / f"{way}.json")  # fmt: skip
        assert chosen.returncode == 0, chosen.stderr
        record = json.loads((tmp_path / f"{way}.json").read_text())
        assert record["slides"] == record["parts"]["train"]
        assert {name: side for side, names in record["parts"].items() for name in names} == want
        done[way] = want
    assert done["hash"] != done["table"]


def test_a_published_folder_goes_on_from_its_splits(root, tmp_path):
    out, table = tmp_path / "out", tmp_path / "mine.csv"
    write_csv(table, [["slide", "split"], *([f"S{i}", ("train", "test")[i % 2]] for i in range(12))])
    assert run(BUILD, root, out, "--splits", table).returncode == 0
    before = files(out)
    table.write_text(table.read_text().replace("S1,test", "S1,train"))
    done = run(BUILD, root, out, "--splits", table)
    assert done.returncode == 1 and "has 1 slides in another split, such as S1 in test, not train" in done.stderr
    assert files(out) == before
    write_slide(root, "S12", "ST", side=2, seed=12)
    done = run(BUILD, root, out, "--splits", out / "splits.csv")
    assert done.returncode == 1 and "lacks 1 of 13 slides: S12" in done.stderr
    write_csv(root / "splits.csv", [["slide", "split"], *([f"S{i}", ("train", "test")[i % 2]] for i in range(13))])
    assert run(BUILD, root, out).returncode == 0
    assert rows(out / "splits.csv") == {f"S{i}": ("train", "test")[i % 2] for i in range(13)}
