"""Checking slides: findings as a table, and as a page to look through."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from stimage.collection.checks.findings import Finding
from stimage.collection.checks.running import FINDING_COLUMNS, PICTURES, SMALL, check_all, with_twins, write_tables
from stimage.collection.page.report import write_review_page
from stimage.core.arguments import check_whole, path_of
from stimage.jobs.roots import Root, open_unpublished
from stimage.slides.splits.splitting import split_by_table


def check(
    root: str | Path | Root,
    out: str | Path | None = None,
    *,
    colour: str = "counts",
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
        Of the spots in pictures: "counts", "annotation", or a gene.
    workers
        Processes that check a slide each; with 0, this one does it.
    progress
        Whether to show a bar; None shows it on a terminal.

    Returns
    -------
    pandas.DataFrame
        A row a slide and check: ``slide``, ``check``, ``status``, ``message``, ``remedy``, ``values``. The status is
        "fail" (to be mended before the slide is used), "warn" (to be looked at), "pass" or "skipped" (could not be
        looked at, because of what another check found). ``values`` is a dict of what was measured, by name.

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
    if not isinstance(colour, str):
        raise ValueError(f"colour={colour!r}: pass counts, or a gene's name")
    began, root, out = time.monotonic(), open_unpublished(root), path_of(out, "out") if out is not None else None
    if out:
        out.mkdir(parents=True, exist_ok=True)
    split_by_table(root.catalog, root.listed, root.selection, root.splitting)  # as the loader does, for any slide
    max_pixels = root.source.reading["max_image_pixels"]
    work = check_all(root.catalog, root.listed, out, colour, workers, max_pixels)
    hidden = None if progress is None else not progress
    checked = list(tqdm(work, total=len(root.listed), unit="slide", disable=hidden))
    findings = with_twins(checked)
    if out:
        drawn = [one.slide.name for one in checked if one.picture]
        _write(out, root, findings, drawn, colour, time.monotonic() - began)
    return pd.DataFrame([asdict(one) for some in findings.values() for one in some], columns=list(FINDING_COLUMNS))


def _write(
    out: Path,
    root: Root,
    findings: Mapping[str, list[Finding]],
    drawn: Sequence[str],
    colour: str,
    seconds: float,
) -> None:
    given, meta_file = root.selection.root, root.catalog.meta_file
    configuration = {"root": given, "colour": colour, "slides": len(root.listed), "meta_file": meta_file}
    write_tables(out, findings, configuration, seconds)
    title = f"Slides of {Path(given).name}"
    pictures, small = ({name: f"{folder}/{name}.jpg" for name in drawn} for folder in (PICTURES, SMALL))
    write_review_page(out / "report.html", title, root.listed, findings, pictures, meta_file, small)
