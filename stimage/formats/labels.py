"""Labels of a slide from a table of barcodes, as Loupe, R and people write it, or from a mapping."""

import logging
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from stimage.core.errors import DataError
from stimage.core.tables import read_cells
from stimage.formats.imported import ImportedSlide
from stimage.slides.labels import NONE

TABLES = (".csv", ".tsv", ".txt", ".gz")
RUN = re.compile(r"(.*(?:[ACGTN]{8,}|um_\d+_\d+|cellid_\d+))-(\d+)")  # 10x's barcode: which slide of a run is behind it
LEAST = 0.5  # share of a table's barcodes, or of the slide's, that must be of both
UNKNOWN = "labels of barcodes that the slide does not have"
log = logging.getLogger(__name__)


def is_table(labels: object) -> bool:
    """Return whether labels are the path of a table, and not the name of a column."""
    return isinstance(labels, Path) or (
        isinstance(labels, str) and (labels.lower().endswith(TABLES) or Path(labels).is_file())
    )


def with_labels(
    found: ImportedSlide,
    labels: str | Path | Mapping[str, str],
    column: str | None = None,
    run: str | int | None = None,
) -> ImportedSlide:
    """Return the slide with labels of its barcodes; labels of other barcodes are counted in ``left_out``.

    Parameters
    ----------
    labels
        A table, or barcode → label. Cells may be separated by commas, tabs or semicolons. R's column of row names may
        come first.
    column
        The column of labels, if the table has several.
    run
        The number behind this slide's barcodes in the labels, as in ``ACGT-2`` of an aggregated run.

    Raises
    ------
    DataError
        If labels may belong to another slide: their barcodes end in several numbers or in another one, or fewer than
        half of them and of the slide's barcodes are in both. If a barcode has two labels, or the column is unclear.
    """
    if isinstance(labels, str | Path):
        where, pairs = str(labels), _pairs(str(labels), found, column)
    else:
        where, pairs = "labels=", [(str(code), str(text)) for code, text in labels.items() if text == text]  # not NaN
    told: dict[str, str] = {}
    for barcode, label in _of_run(pairs, found, where, None if run is None else str(run)):
        if label not in NONE and told.setdefault(barcode, label) != label:
            raise DataError(f"{where}: spot {barcode!r} has two labels, {told[barcode]!r} and {label!r}; keep one row")
    if _are_numbers_of_rows(found.barcodes):
        first, last = found.barcodes[0], found.barcodes[-1]
        log.warning(f"{found.where}: has numbers of rows for barcodes, from {first} to {last}, so labels are matched "
                    f"by the order of rows; is it the order of {where}?")  # fmt: skip
    spots = set(found.barcodes)
    known = {barcode: label for barcode, label in told.items() if barcode in spots}
    strange = len(told) - len(known)
    if not known or len(known) < LEAST * min(len(told), len(spots)):
        some = f"labels of only {len(known):,} of {len(spots):,} barcodes" if known else "no barcode"
        other = next((barcode for barcode in told if barcode not in spots), None)
        such = f", such as {other!r}" if other is not None else ""
        raise DataError(
            f"{where}: has {some} of {found.where}, such as {found.barcodes[0]!r}, and {strange:,} barcodes that the "
            f"slide lacks{such}; pass the labels of this slide, with the barcodes as the slide has them"
        )
    return replace(found, labels=known, left_out={**found.left_out, **({UNKNOWN: strange} if strange else {})})


def _are_numbers_of_rows(barcodes: Sequence[str]) -> bool:
    """Return whether barcodes only count the rows, from 0 or from 1."""
    first = barcodes[0] if barcodes else ""
    return first in ("0", "1") and barcodes == [str(k + int(first)) for k in range(len(barcodes))]


def _pairs(path: str, found: ImportedSlide, column: str | None) -> list[tuple[str, str]]:
    """Return barcodes and labels of a table; the column of barcodes is the one that has most of the slide's."""
    rows = [[cell.strip() for cell in cells] for _, cells in read_cells(path)]
    stems = {_parts(barcode)[0] for barcode in found.barcodes}
    wide = max(map(len, rows))
    header = ["", *rows[0]] if len(rows[0]) == wide - 1 else rows[0]  # R names no column of row names
    if ragged := [row for row in rows[1:] if len(row) != wide]:
        raise DataError(f"{path}: has rows of {wide} and of {len(ragged[0])} cells, such as {','.join(ragged[0])!r}")
    hits = [sum(_parts(row[k])[0] in stems for row in rows[1:]) for k in range(len(header))]
    at = max(range(len(header)), key=lambda k: (hits[k], -k))
    if _parts(header[at])[0] in stems:  # there is no header
        header, rows = [str(k + 1) for k in range(wide)], [[], *rows]
    others = [k for k in range(wide) if k != at and (header[k] or wide == 2)]
    if column is not None:
        others = [k for k in others if header[k] == column]
    if len(others) != 1:
        what = f"no column {column!r} of labels" if column is not None else f"{len(others)} columns beside the barcodes"
        raise DataError(
            f"{path}: has {what}, but {', '.join(map(repr, header))}; give it a column of barcodes and one of labels, "
            "or name that of the labels as label_column= (--label-column)"
        )
    return [(row[at], row[others[0]]) for row in rows[1:]]


def _of_run(
    pairs: list[tuple[str, str]], found: ImportedSlide, where: str, run: str | None
) -> Iterable[tuple[str, str]]:
    """Return the labels under the slide's own barcodes: of an aggregated run, those of one slide."""
    told = Counter(number for barcode, _ in pairs if (number := _parts(barcode)[1]))
    own = {_parts(barcode)[1] for barcode in found.barcodes}
    shown = ", ".join(f"{n:,} end in -{number}" for number, n in sorted(told.items()))
    if run is not None:
        if run.lstrip("-") not in told:
            raise DataError(f"{where}: has no barcode that ends in -{run.lstrip('-')}: {shown or 'none has a number'}")
        pairs = [(barcode, label) for barcode, label in pairs if _parts(barcode)[1] == run.lstrip("-")]
    elif told.keys() - own:
        raise DataError(
            f"{where}: its barcodes are of {'several slides' if len(told) > 1 else 'another slide'} of a run: {shown}, "
            f"those of {found.where} in {', '.join(f'-{number}' for number in sorted(own)) or 'no number'}; name the "
            "number of this slide as label_run= (--label-run)"
        )
    if run is None and told:
        return pairs
    by_stem = {_parts(barcode)[0]: barcode for barcode in found.barcodes} if len(own) == 1 else {}
    return [(by_stem.get(_parts(barcode)[0], barcode), label) for barcode, label in pairs]


def _parts(barcode: str) -> tuple[str, str]:
    """Return a barcode without the number of its slide, and that number, "" if it has none."""
    found = RUN.fullmatch(barcode)
    return (found[1], found[2]) if found else (barcode, "")
