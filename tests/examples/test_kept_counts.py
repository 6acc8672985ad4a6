"""A panel's expression in one pass over a slide's counts: the same as in two, to the last bit."""

import csv

import pytest

import stimage_1k4m
from stimage.core.errors import DataError
from stimage.examples import arrow
from stimage.slides.counts import wide_csv
from tests.roots import GENES, write_csv, write_slide

PANEL = ["CD3E", "ERBB2"]  # two of four genes, in another order


def tables(root, **options):
    return list(stimage_1k4m.load("ST", root, panel=PANEL, **options).with_format("arrow").iter(1000))


@pytest.mark.parametrize("normalise", ["median-log1p", "original"])
def test_expression_is_that_of_two_passes(many, monkeypatch, normalise):
    kept = tables(many, normalise=normalise)
    monkeypatch.setattr(arrow, "KEPT_BYTES", 0)
    assert tables(many, normalise=normalise) == kept
    assert len({str(one) for table in kept for one in table["expression"]}) > 20  # values tell spots apart


@pytest.mark.parametrize("normalise", ["median-log1p", "original"])
def test_counts_are_parsed_once(tmp_path, monkeypatch, normalise):
    write_slide(tmp_path, "Slide_A", "ST", side=9)  # 81 spots: two blocks
    read, parsed = wide_csv.rows_at, []

    def counted(path, genes, start, end):
        parsed.extend(start.tolist())
        return read(path, genes, start, end)

    monkeypatch.setattr(wide_csv, "rows_at", counted)
    tables(tmp_path, normalise=normalise)
    assert len(parsed) == len(set(parsed)) == 81


def test_a_range_of_a_slide_has_the_median_of_all_its_spots(many, monkeypatch):
    monkeypatch.setattr(stimage_1k4m, "SPOTS_PER_FINE_SHARD", 10)
    whole = stimage_1k4m.load("ST", many, panel=PANEL, normalise="median-log1p").with_format("arrow")
    fine = whole.reshard()
    assert fine.num_shards > whole.num_shards == 6
    assert [str(row) for row in fine] == [str(row) for row in whole]


def test_counts_that_are_no_whole_numbers_are_refused(tmp_path):
    write_slide(tmp_path, "Slide_A", "ST")
    path = tmp_path / "ST/gene_exp/Slide_A_count.csv"
    with path.open(newline="") as file:
        rows = list(csv.reader(file))
    rows[3][1 + GENES.index("ESR1")] = "0.5"  # of a gene that is not in the panel
    write_csv(path, rows)
    with pytest.raises(DataError, match="no whole numbers"):
        tables(tmp_path, normalise="median-log1p")
