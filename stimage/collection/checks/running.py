"""Check all slides of a root in processes, and write the findings: tables, JSON, pictures, a page."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from stimage.cells.cells import FOLDER as CELLS_FOLDER
from stimage.collection.checks.checks import check_slide, find_twins
from stimage.collection.checks.evidence import gather
from stimage.collection.checks.findings import STATUSES, Finding, worst
from stimage.collection.checks.versions import REMEDY, ensembl_names, find_versions
from stimage.collection.page.drawing import Drawing, Drawn
from stimage.core.files import replacing, write_text
from stimage.core.processes import in_processes
from stimage.core.results import record_results
from stimage.core.storage import list_folder, local_copy
from stimage.core.tables import csv_text
from stimage.genes.vocabulary import GENES_FILE
from stimage.slides.catalog import Catalog, Slide
from stimage.slides.images.reader import MAX_IMAGE_PIXELS
from stimage.slides.names import fold_name

FINDING_COLUMNS = ("slide", "check", "status", "message", "remedy", "values")
PACKAGES = ("stimage-1k4m", "numpy", "pillow", "pyarrow", "pyvips", "scipy")


@dataclass(frozen=True)
class Checked:
    """The findings on a slide, digests of its image and counts, its drawn files, and `ensembl_names`."""

    slide: Slide
    findings: list[Finding]
    digests: dict[str, str]
    drawn: Drawn
    ensembl: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Task:
    """A slide to check, its row of the meta file, what the catalog says of it, and the root, if it has its cells."""

    slide: Slide
    meta: Mapping[str, str] | None
    broken: str | None
    cells_root: str | None


def check_one(task: Task, drawing: Drawing | None, genes_file: str | None, max_pixels: int) -> Checked:
    """Check a slide, and draw it if that is asked for."""
    slide, varying = task.slide, drawing.varying if drawing else 0
    wanted = [name for names in drawing.names(slide).values() for name in names] if drawing else []
    evidence = gather(slide, task.meta, wanted, task.broken, genes_file, max_pixels, varying, task.cells_root)
    digests = {}
    if evidence.picture:
        digests["image"] = evidence.picture.file_digest
    if evidence.counts:
        digests["counts"] = evidence.counts.digest
    drawn = drawing.draw(evidence, max_pixels) if drawing else Drawn()
    names = ensembl_names(evidence.counts.genes) if evidence.counts else {}
    return Checked(slide, check_slide(evidence), digests, drawn, names)


def check_all(
    catalog: Catalog,
    slides: Sequence[Slide],
    drawing: Drawing | None,
    workers: int,
    max_pixels: int = MAX_IMAGE_PIXELS,
) -> Iterator[Checked]:
    """Check slides in processes, and yield them as they finish; a slide whose process dies fails the check "files"."""
    root, access = catalog.root, catalog.access
    celled = list_folder(root, CELLS_FOLDER, access)
    tasks = [
        Task(slide, (catalog.meta or {}).get(fold_name(slide.name)), catalog.broken.get(slide.name),
             root if f"{slide.name}.parquet" in celled else None)
        for slide in slides
    ]  # fmt: skip
    own = list_folder(root, "", access).get(GENES_FILE)
    genes_file = local_copy(own["url"], access) if own else None
    check = partial(check_one, drawing=drawing, genes_file=genes_file, max_pixels=max_pixels)
    for task, checked, died in in_processes(check, tasks, workers):
        fault = Finding(task.slide.name, "files", "fail", died, "check it alone")
        yield checked or Checked(task.slide, [fault], {}, Drawn())


def with_twins(checked: Iterable[Checked]) -> dict[str, list[Finding]]:
    """Return all findings by slide, with findings on slides that share image or counts, or differ in gene versions."""
    checked = sorted(checked, key=lambda one: one.slide.name)
    twins = find_twins({one.slide.name: one.digests for one in checked})
    versions = find_versions({one.slide.name: one.ensembl for one in checked})
    return {
        one.slide.name: [*(_with_versions(finding, versions) for finding in one.findings), twin]
        for one, twin in zip(checked, twins)
    }


def _with_versions(finding: Finding, versions: Mapping[str, str]) -> Finding:
    if finding.check != "genes" or finding.slide not in versions:
        return finding
    remedy = finding.remedy if REMEDY in finding.remedy else "; ".join(filter(None, [finding.remedy, REMEDY]))
    message = f"{finding.message}; {versions[finding.slide]}"
    return replace(finding, status=worst([finding.status, "warn"]), message=message, remedy=remedy)


def write_tables(
    out: Path, findings: Mapping[str, list[Finding]], configuration: Mapping[str, object], seconds: float
) -> None:
    """Write findings.csv and findings.parquet, one row per slide and check, and results.json, one entry per slide."""
    rows = [
        asdict(one) | {"values": json.dumps(one.values, default=float)} for some in findings.values() for one in some
    ]
    with replacing(out / "findings.parquet") as path:
        pq.write_table(pa.Table.from_pylist(rows, pa.schema([(name, pa.string()) for name in FINDING_COLUMNS])), path)
    write_text(out / "findings.csv", csv_text([FINDING_COLUMNS, *(row.values() for row in rows)]))
    slides = {
        name: {
            "status": worst(one.status for one in some),
            "checks": {one.check: [one.status, one.message, one.values] for one in some},
        }
        for name, some in findings.items()
    }
    record_results(
        out, "configuration", configuration, (), PACKAGES, seconds, overall=count_statuses(findings), slides=slides
    )


def count_statuses(findings: Mapping[str, list[Finding]]) -> dict[str, int]:
    """Return how many slides have each status as their worst."""
    statuses = [worst(one.status for one in some) for some in findings.values()]
    return {status: statuses.count(status) for status in STATUSES if status != "skipped"}
