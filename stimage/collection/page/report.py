"""The page for a curator to look through a collection: one HTML file, with the pictures in folders beside it."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape
from importlib.resources import files
from pathlib import Path
from urllib.parse import quote

import matplotlib
import numpy as np

from stimage.collection.checks.findings import Finding, worst
from stimage.core.files import write_text
from stimage.slides.catalog import Slide

PARTS = {"STYLE": ("report.css", "zoom.css"), "SCRIPT": ("painting.js", "zoom.js", "report.js")}
PAGE_FILES = files("stimage.collection.page")
SHADES = matplotlib.colormaps["viridis"](np.linspace(0, 1, 256))[:, :3]  # of counts, as in the pictures
MARKS = re.compile(r"<!--(TITLE|META|DATA|SHADES)-->|/\*(STYLE|SCRIPT)\*/")


@dataclass(frozen=True)
class PageFiles:
    """A slide's files beside the page, by paths relative to it.

    They are ``picture``, the small ``thumbnail`` for the list, the folder of ``tiles`` and the script of ``layers``. A
    path is "" if the image can't be zoomed.
    """

    picture: str
    thumbnail: str
    tiles: str = ""
    layers: str = ""


def write_review_page(
    path: Path,
    title: str,
    slides: Sequence[Slide],
    findings: Mapping[str, list[Finding]],
    pictures: Mapping[str, PageFiles],
    meta_file: str | None = None,
) -> None:
    """Write the page. It needs no network, and no files but those beside it, which load as they come into view.

    Parameters
    ----------
    path
        The HTML file.
    title
        The name of the collection.
    slides, findings
        The slides, and the findings on each, by name.
    pictures
        The files of a slide, by its name; other slides have no image.
    meta_file
        The meta file that was read, as a path below the root, or None.
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
            **{part: quote(file) for part, file in asdict(pictures.get(slide.name, PageFiles("", ""))).items()},
        }
        for slide in slides
    ]
    data = json.dumps(rows, ensure_ascii=False, allow_nan=False, default=float).replace("<", "\\u003c")
    texts = {
        name: "".join(PAGE_FILES.joinpath(file).read_text("utf-8") for file in parts) for name, parts in PARTS.items()
    }
    meta = f"Meta file: {meta_file}." if meta_file else "The root has no meta file."
    shades = "".join(f"{red:02x}{green:02x}{blue:02x}" for red, green, blue in (255 * SHADES).round().astype(int))
    texts |= {"TITLE": escape(title), "META": escape(meta), "DATA": data, "SHADES": shades}
    page = PAGE_FILES.joinpath("report.html").read_text("utf-8")
    write_text(path, MARKS.sub(lambda found: texts[found[1] or found[2]], page))
