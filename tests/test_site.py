"""The site of the documentation: it is made without a warning, and needs neither a network nor a server."""

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import stimage

PROJECT = Path(__file__).parents[1]
LOADED = (
    r"<(?:script|img|iframe)[^>]*\ssrc=\"([^\"]+)|<link[^>]*rel=\"(?:stylesheet|preload|icon)\"[^>]*href=\"([^\"]+)"
    r"|url\(([^)]+)\)|@import \"([^\"]+)"
)


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    for package in ("sphinx", "myst_parser", "furo"):
        pytest.importorskip(package, reason="make docs needs it; the extra dev has it")
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "--quiet", "docs", str(out)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return out


def test_every_page_is_made(site):
    files = [path for path in (PROJECT / "docs").rglob("*") if path.suffix in (".md", ".ipynb")]
    pages = [path.relative_to(PROJECT / "docs") for path in files]
    assert len(pages) > 10 and not [page for page in pages if not (site / page.with_suffix(".html")).exists()]


def test_nothing_is_loaded_from_a_network(site):
    files = [path for path in site.rglob("*") if path.suffix in (".html", ".css")]
    found = [one for path in files for one in re.findall(LOADED, path.read_text(encoding="utf-8"))]
    loaded = {link for links in found for link in links}
    assert "_static/styles/furo.css" in {re.sub(r"^(\.\./)*|\?.*", "", link) for link in loaded}
    assert not [link for link in loaded if re.match(r"['\"]?(?:https?:)?//", link)]


def test_search_needs_no_server(site):
    assert "searchindex.js" in (site / "search.html").read_text(encoding="utf-8")
    assert "DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY" in (site / "_static/searchtools.js").read_text(encoding="utf-8")
    assert "SHOW_SEARCH_SUMMARY: false" in (site / "_static/documentation_options.js").read_text(encoding="utf-8")


def test_the_reference_has_each_job(site):
    page = (site / "reference/api.html").read_text(encoding="utf-8")
    jobs = [name for name in stimage.__all__ if inspect.isroutine(getattr(stimage, name))]
    assert len(jobs) > 25 and not [name for name in jobs if f'id="stimage.{name}"' not in page]
