"""Checking slides and splits: findings as a table, and as a page to look through."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from stimage.collection.checks.findings import Finding
from stimage.collection.checks.running import FINDING_COLUMNS, Checked, check_all, with_twins, write_tables
from stimage.collection.leaks.meter import CONTENT, find_leaks, slides_of
from stimage.collection.leaks.overlap import by_content, by_publication, published, published_in
from stimage.collection.leaks.split_files import read_folds
from stimage.collection.page.drawing import LAYERS, PICTURES, SMALL, TILES, Drawing
from stimage.collection.page.report import PageFiles, write_review_page
from stimage.core.arguments import check_whole, path_of
from stimage.core.files import writable, write_text
from stimage.core.tables import csv_text
from stimage.jobs.roots import Root, open_unpublished
from stimage.slides.images.tiles import PLACE, ZOOM
from stimage.slides.names import fold_name
from stimage.slides.splits.groups import read_patients
from stimage.slides.splits.splitting import split_by_table

UNKNOWN = "unknown patient"  # what HEST's samples of no named patient have in common


def check(
    root: str | Path | Root,
    out: str | Path | None = None,
    *,
    colour: str = "counts",
    zoom: int = ZOOM,
    genes: str | Sequence[str] | None = None,
    workers: int = 0,
    progress: bool | None = False,
) -> pd.DataFrame:
    """Check slides: files, ids, geometry, scale, tissue, sharpness, counts, and the meta file.

    Parameters
    ----------
    root
        What `open_root` takes or returns.
    out
        A folder to write, too: ``findings.csv``, ``findings.parquet``, ``results.json``, a picture of each slide with
        its spots, and ``report.html``, a page to look through them and to mark slides.
    colour
        The colour of the spots in pictures: "counts", "annotation", or a gene.
    zoom
        Pixels of the longer side of the image that the page can zoom into; a smaller image stays as it is. 4,096 pixels
        take 1 to 7 MB a slide, twice as many four times that; 0 writes no such image. What is there is kept.
    genes
        To be shown on that image; without it, the three whose counts differ most between the slide's spots.
    workers
        Processes that check a slide each; with 0, this one does it.
    progress
        Whether to show a bar; None shows it on a terminal.

    Returns
    -------
    pandas.DataFrame
        A row a slide and check: ``slide``, ``check``, ``status``, ``message``, ``remedy``, ``values``. The status is
        "fail" (to be mended before the slide is used), "warn" (to be looked at), "pass" or "skipped" (could not be
        looked at, because of what another check found). ``values`` is a dict of what was measured, by name. Its
        ``attrs["zoomed"]`` has the bytes of what can be zoomed, by slide.

    Raises
    ------
    DataError
        As `open_root` does, or if ``splits.csv`` is damaged or lacks a slide; what is wrong with a slide is a row.

    Examples
    --------
    >>> import stimage
    >>> found = stimage.check(stimage.open_root("sample", "ST"))
    >>> found[found.status == "fail"].empty
    True
    >>> found[(found.check == "scale") & (found.slide == "Human_Breast_Sample1_ST_A1")].status.item()
    'pass'
    """
    check_whole(workers, "workers")
    check_whole(zoom, "zoom")
    if not isinstance(colour, str):
        raise ValueError(f"colour={colour!r}: pass counts, or a gene's name")
    genes = [genes] if isinstance(genes, str) else genes
    began, root, out = time.monotonic(), open_unpublished(root), path_of(out, "out") if out is not None else None
    if out:
        with writable(out):
            out.mkdir(parents=True, exist_ok=True)
    split_by_table(root.catalog, root.listed, root.selection, root.splitting)  # as the loader does, for any slide
    max_pixels = root.source.reading["max_image_pixels"]
    drawing = Drawing(out, colour, zoom, genes) if out else None
    work = check_all(root.catalog, root.listed, drawing, workers, max_pixels)
    hidden = None if progress is None else not progress
    checked = list(tqdm(work, total=len(root.listed), unit="slide", disable=hidden))
    findings = with_twins(checked)
    if drawing:
        _write(drawing, root, findings, checked, time.monotonic() - began)
    table = pd.DataFrame([asdict(one) for some in findings.values() for one in some], columns=list(FINDING_COLUMNS))
    table.attrs["zoomed"] = {one.slide.name: one.drawn.zoomed for one in checked if one.drawn.zoomed}
    return table


def leaks(
    split: str | Path,
    root: str | Path | Root,
    *,
    patients: str | Path | None = None,
    content: str | Iterable[str] = CONTENT,
    out: str | Path | None = None,
    progress: bool | None = False,
) -> pd.DataFrame:
    """Find what slides on two sides of a split have in common: content, a study, a patient.

    The same counts are found whatever the order of spots and genes, whatever these are called, and where a slide has
    but some of them; the same image where it is cut, scaled, turned, mirrored or stored otherwise, by patches around
    spots. Slides whose expression is as alike as that of sections of one piece of tissue are suspected: two animals of
    one strain may be as alike.

    Parameters
    ----------
    split
        A CSV with the columns slide (or sample_id) and split, such as split_slides.py makes; or with a column of names
        for each of train, val and test; or a folder of folds, train_0.csv, test_0.csv and so on, with the column
        sample_id, as HEST-Benchmark and STFlow have them.
    root
        What `open_root` takes or returns; a folder of HEST-1k is one. Slides that it lacks are not looked at.
    patients
        A CSV with the columns slide and patient; without it, what HEST says.
    content
        What is read of slides: "counts", "image", both, or () for none, which takes no time.
    out
        A CSV file to write the table to, too.
    progress
        Whether to show bars; None shows them on a terminal.

    Returns
    -------
    pandas.DataFrame
        A row a finding: ``status``, "leak" or "suspected"; ``what`` is shared, "patient", "study", "counts", "image" or
        "sections"; ``fold``, empty where there is one; ``slides``, part → names; ``evidence``. Its ``attrs["missing"]``
        has the slides that the root lacks. If a study's patients are known and differ between parts, the status is
        "suspected".

    Raises
    ------
    DataError
        If the split cannot be read, the root has fewer than two of its slides, or a slide cannot be read.

    Examples
    --------
    >>> import stimage
    >>> root = stimage.open_root("sample", "ST")
    >>> table = stimage.list_slides(root)
    >>> table["split"] = ["train"] + ["test"] * (len(table) - 1)
    >>> table["split"].to_csv("split.csv", index_label="slide")
    >>> sorted(set(stimage.leaks("split.csv", root).what) - {"sections"})
    []
    """
    wanted, folds, root = _content(content), read_folds(split), open_unpublished(root)
    slides, missing = slides_of(folds, root.slides)
    own = {fold_name(s.name): s.patient for s in slides.values() if s.patient and not s.patient.endswith(UNKNOWN)}
    told = read_patients(patients) if patients is not None else own
    hidden = None if progress is None else not progress
    found = find_leaks(folds, slides, told, wanted, lambda some, unit: tqdm(some, unit=unit, disable=hidden))
    table = pd.DataFrame([asdict(one) for one in found], columns=["status", "what", "fold", "slides", "evidence"])
    table.attrs["missing"] = missing
    if out is not None:
        rows = [(one.status, one.what, one.fold, by_part(one.slides), one.evidence) for one in found]
        write_text(path_of(out, "out"), csv_text([table.columns, *rows]))
    return table


def overlap(
    root: str | Path | Root,
    other: str | Path | Root,
    *,
    content: str | Iterable[str] = CONTENT,
    out: str | Path | None = None,
    progress: bool | None = False,
) -> pd.DataFrame:
    """Find the slides of a root that another collection has too, such as HEST-1k, to leave them out.

    Parameters
    ----------
    root
        What `open_root` takes or returns.
    other
        Another root; a folder of HEST-1k; or its table of samples, HEST_v1_1_0.csv, which tells publications alone.
    content
        What is compared besides publications (pmids, titles): "counts", "image", both, or () for none; see `leaks`.
    out
        A CSV file to write the table to, too: ``exclude=`` and ``--exclude`` take it.
    progress
        Whether to show bars; None shows them on a terminal.

    Returns
    -------
    pandas.DataFrame
        A row for each slide of the root and each thing that it shares: ``slide``, ``what`` ("publication", "counts" or
        "image"), ``others`` (names in the other collection) and ``evidence``. A shared publication alone does not say
        which of its slides are shared.

    Raises
    ------
    DataError
        If a collection or a slide cannot be read.

    Examples
    --------
    >>> import stimage
    >>> found = stimage.overlap("sample", "sample", content="counts")  # with itself
    >>> sorted(set(found.what))
    ['counts', 'publication']
    """
    wanted, root = _content(content), open_unpublished(root)
    hidden = None if progress is None else not progress
    ours, theirs = published(root.catalog, root.slides), None
    if isinstance(other, str | Path) and str(other).endswith(".csv"):
        found = by_publication(ours, published_in(other))
    else:
        theirs = open_unpublished(other)
        found = by_publication(ours, published(theirs.catalog, theirs.slides))
    if theirs and wanted:
        found += by_content(root.slides, theirs.slides, wanted, lambda s, unit: tqdm(s, unit=unit, disable=hidden))
    table = pd.DataFrame([asdict(one) for one in found], columns=["slide", "what", "others", "evidence"])
    if out is not None:
        rows = [(one.slide, one.what, ", ".join(one.others), one.evidence) for one in found]
        write_text(path_of(out, "out"), csv_text([table.columns, *rows]))
    return table


def _content(content: str | Iterable[str]) -> tuple[str, ...]:
    wanted = (content,) if isinstance(content, str) else tuple(content)
    if unknown := [one for one in wanted if one not in CONTENT]:
        raise ValueError(f"content={unknown[0]!r}: pass any of {', '.join(CONTENT)}, or () for none")
    return wanted


def by_part(slides: Mapping[str, Sequence[str]]) -> str:
    """Return slides by part as one line of text."""
    return "; ".join(f"{part}: {', '.join(names)}" for part, names in slides.items())


def _write(
    drawing: Drawing,
    root: Root,
    findings: Mapping[str, list[Finding]],
    checked: Sequence[Checked],
    seconds: float,
) -> None:
    given, meta_file, out = root.selection.root, root.catalog.meta_file, drawing.out
    configuration = {"root": given, "colour": drawing.colour, "zoom": drawing.zoom, "genes": drawing.genes,
                     "slides": len(root.listed), "meta_file": meta_file}  # fmt: skip
    write_tables(out, findings, configuration, seconds)
    files = {
        one.slide.name: PageFiles(
            f"{PICTURES}/{one.slide.name}.jpg",
            f"{SMALL}/{one.slide.name}.jpg",
            f"{TILES}/{one.slide.name}/{PLACE}" if one.drawn.zoomed else "",
            f"{LAYERS}/{one.slide.name}.js" if one.drawn.zoomed else "",
        )
        for one in checked
        if one.drawn.picture
    }
    write_review_page(out / "report.html", f"Slides of {Path(given).name}", root.listed, findings, files, meta_file)
