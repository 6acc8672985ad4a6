"""The page on which a curator looks through a collection: one HTML file, with the pictures in folders beside it."""

import json
import re
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path

from stimage.collection.checks.findings import Finding, worst
from stimage.core.files import write_text
from stimage.slides.catalog import Slide

PAGE_FILES = files("stimage.collection.page")
MARKS = re.compile(r"<!--(TITLE|META|DATA)-->|/\*(STYLE|SCRIPT)\*/")


def write_review_page(
    path: Path,
    title: str,
    slides: Sequence[Slide],
    findings: Mapping[str, list[Finding]],
    pictures: Mapping[str, str],
    meta_file: str | None = None,
    thumbnails: Mapping[str, str] | None = None,
) -> None:
    """Write the page. It needs no network, and no files but the pictures, which load as they come into view.

    Parameters
    ----------
    path
        The HTML file.
    title
        What the collection is called.
    slides, findings
        The slides, and what was found of each by name.
    pictures
        Path of a slide's picture, relative to the page, by name; slides without one have no image.
    meta_file
        Which meta file was read, as a path below the root; None if there is none.
    thumbnails
        As ``pictures``: small ones, for the list; None takes the large ones.
    """
    rows = [
        {
            "slide": slide.name,
            "tech": slide.tech,
            "species": slide.species or "",
            "tissue": slide.tissue or "",
            "status": worst(one.status for one in findings[slide.name]),
            "values": {key: value for one in findings[slide.name] for key, value in one.values.items()},
            "findings": [[f.check, f.status, f.message, f.remedy] for f in findings[slide.name]],
            "picture": pictures.get(slide.name, ""),
            "thumbnail": (thumbnails or pictures).get(slide.name, ""),
        }
        for slide in slides
    ]
    data = json.dumps(rows, ensure_ascii=False, allow_nan=False, default=float).replace("<", "\\u003c")
    texts = {
        name: PAGE_FILES.joinpath(f"report.{end}").read_text("utf-8")
        for name, end in (("STYLE", "css"), ("SCRIPT", "js"))
    }
    meta = f"Meta file: {meta_file}." if meta_file else "The root has no meta file."
    texts |= {"TITLE": escape(title), "META": escape(meta), "DATA": data}
    page = PAGE_FILES.joinpath("report.html").read_text("utf-8")
    write_text(path, MARKS.sub(lambda found: texts[found[1] or found[2]], page))
