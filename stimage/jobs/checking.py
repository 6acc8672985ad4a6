"""Check slides and splits: findings as a table, and as a page to look through."""

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
from stimage.genes.names import kept_gene_table
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
    gene_table: str | Path | None = None,
    workers: int = 0,
    progress: bool | None = False,
) -> pd.DataFrame:
    """Check slides: files, ids, geometry, scale, tissue, sharpness, counts and the meta file.

    Parameters
    ----------
    root
        A folder laid out as the data set, its URL, or a `Root` that `open_root` returned.
    out
        A folder to write ``findings.csv``, ``findings.parquet``, ``results.json``, a picture of each slide with its
        spots, and ``report.html`` into, a page to look through the slides and to mark them. None writes nothing.
    colour
        The colour of the spots in pictures: "counts", "annotation", or the name of a gene.
    zoom
        Longer side, in pixels, of the image that the page can zoom into. An image that is smaller stays as it is. A
        side of 4,096 pixels takes 1 to 7 MB per slide, a doubled side four times that. 0 makes no such image. An image
        that is already there is kept.
    genes
        Genes to show on that image. None takes the three whose counts differ most between the slide's spots.
    gene_table
        A file of symbols and Ensembl ids. A slide with ids is asked by symbols, too, and the pictures show both.
    workers
        Number of processes, each with one slide at a time. 0 works in this process.
    progress
        True shows a progress bar, None shows one only on a terminal.

    Returns
    -------
    pandas.DataFrame
        One row per slide and check: ``slide``, ``check``, ``status``, ``message``, ``remedy``, ``values``. The status
        is "fail" (mend this before you use the slide), "warn" (look at this), "pass", or "skipped" (another check's
        finding made this check impossible). ``values`` is a dict of measured values, by name. ``attrs["zoomed"]`` of
        the table has the bytes of each slide's image to zoom into, by slide.

    Raises
    ------
    DataError
        As in `open_root`, or if ``splits.csv`` is damaged or lacks a slide, or if the gene table is damaged or lacks a
        species. A fault of a slide is a row, not an error.

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
    symbols = str(path_of(gene_table, "gene_table")) if gene_table is not None else None
    if symbols:
        for species in {slide.species for slide in root.listed}:
            kept_gene_table(symbols, species)  # so that what is wrong with it is told before slides are read
    drawing = Drawing(out, colour, zoom, genes, symbols) if out else None
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
    """Find what slides on two sides of a split share: counts, an image, a study or a patient.

    The same counts are found in any order of spots and genes, under any names, and also where one slide has only a part
    of them. The same image is found by patches around spots, also where it was cut, scaled, turned, mirrored or stored
    in another format. Slides whose expression is as alike as that of sections of one piece of tissue are suspected
    only: two animals of one strain may be as alike.

    Parameters
    ----------
    split
        A CSV with the columns slide (or sample_id) and split, as split_slides.py writes it, or with one column of names
        for each of train, val and test. Or a folder of folds, train_0.csv, test_0.csv and so on, with the column
        sample_id, as in HEST-Benchmark and STFlow.
    root
        A folder laid out as the data set, a folder of HEST-1k, or a `Root` that `open_root` returned. Slides of the
        split that it lacks are not compared.
    patients
        A CSV with the columns slide and patient. None takes the patients that HEST-1k's table names.
    content
        The content that is read: "counts", "image", both, or () for none, which is fast.
    out
        A CSV file to write the table to. None writes nothing.
    progress
        True shows progress bars, None shows them only on a terminal.

    Returns
    -------
    pandas.DataFrame
        One row per finding. ``status`` is "leak" or "suspected". ``what`` is shared: "patient", "study", "counts",
        "image" or "sections". ``fold`` is empty if there is only one. ``slides`` is a dict of part → names,
        ``evidence`` a text. ``attrs["missing"]`` of the table has the slides that the root lacks. A shared study is
        only "suspected" where its patients are known and differ between parts.

    Raises
    ------
    DataError
        If the split can't be read, the root has fewer than two of its slides, or a slide can't be read.

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
    """Find the slides of a root that another collection has too, such as HEST-1k, so that they can be left out.

    Parameters
    ----------
    root
        A folder laid out as the data set, its URL, or a `Root` that `open_root` returned.
    other
        Another root, a folder of HEST-1k, or HEST's table of samples, HEST_v1_1_0.csv, which gives publications alone.
    content
        The content that is compared besides publications (pmids, titles): "counts", "image", both, or () for none. See
        `leaks`.
    out
        A CSV file to write the table to, which ``exclude=`` and ``--exclude`` take. None writes nothing.
    progress
        True shows progress bars, None shows them only on a terminal.

    Returns
    -------
    pandas.DataFrame
        One row for each slide of the root and each thing that it shares: ``slide``, ``what`` ("publication", "counts"
        or "image"), ``others`` (names in the other collection) and ``evidence``. A shared publication alone does not
        say which of its slides are shared.

    Raises
    ------
    DataError
        If a collection or a slide can't be read.

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
    """Return the slides of each part as one line of text."""
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
                     "gene_table": drawing.gene_table, "slides": len(root.listed), "meta_file": meta_file}  # fmt: skip
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
