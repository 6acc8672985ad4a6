"""Titles, abstracts and keywords of publications by pmid, from BibTeX or a table, and a meta row's values by them."""

import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bibtexparser
from bibtexparser.middlewares import RemoveEnclosingMiddleware, ResolveStringReferencesMiddleware
from bibtexparser.model import Block, Entry, Field, ImplicitComment
from pylatexenc import latex2text

from stimage.core.errors import DataError
from stimage.core.tables import read_lines, read_table

PUBLICATION_COLUMNS = ("pmid", "title", "abstract", "keywords")
TEXTS = PUBLICATION_COLUMNS[1:]
CANCER = re.compile(" WORD|WORD ".replace("WORD", "(?:cancer|tumor|metastasis|tme)"))
LOST_AT = re.compile(r"^[ \t]*\w+[ \t]*\{[^{}\n]*,", re.MULTILINE)  # "article{key," among what BibTeX skips
LOST_COMMA = re.compile(r'[}"]\s*(\w+)\s*=\s*[{"]')
KEY = re.compile(r"(?:pmid|pubmed)?[:_ -]*(\d{5,9})", re.IGNORECASE)
TRANSPARENT = ("textsuperscript", "textsubscript", "relax")
log = logging.getLogger(__name__)
logging.getLogger("bibtexparser").setLevel(logging.CRITICAL)  # what it logs is raised here, with file and line


@dataclass(frozen=True)
class Publication:
    """PubMed's facts about a publication; ``title`` has no full stop at its end."""

    pmid: str
    title: str
    abstract: str
    keywords: str
    source: str


def read_publications(bibs: Iterable[str | Path] = (), tables: Iterable[str | Path] = ()) -> dict[str, Publication]:
    """Read publications by pmid.

    Parameters
    ----------
    bibs
        BibTeX files. The pmid of an entry is its field ``pmid``, or its key if that has one (``pmid32579974``). Entries
        without a pmid are left out, with a warning.
    tables
        CSV or TSV files with the columns pmid, title, abstract, keywords.

    Raises
    ------
    DataError
        If an entry is broken or uses an unknown LaTeX command, a pmid is not a number, or two publications have the
        same pmid. The error names files and lines.
    """
    found = {}
    for publication in [*(p for path in bibs for p in _read_bib(path)), *(p for t in tables for p in _read_table(t))]:
        if not publication.pmid.isdecimal():
            raise DataError(f"{publication.source}: {publication.pmid!r} is no pmid; expected a number")
        if old := found.get(publication.pmid):
            raise DataError(f"{publication.source}: pmid {publication.pmid} is also in {old.source}; remove one")
        found[publication.pmid] = publication
    return found


def joined(texts: Sequence[str], column: str) -> str:
    """Join the titles, abstracts or keywords of several publications, as the data set does.

    One text stays as it is; of two, it makes "Title 1: … Title 2: …".
    """
    if len(texts) == 1:
        return texts[0]
    if column == "title":
        texts = [text + "." if text and text[-1] not in ".?!" else text for text in texts]
    return " ".join(f"{column.capitalize()} {i}: {text}" for i, text in enumerate(texts, 1)).strip()


def involves_cancer(title: str, abstract: str, keywords: str) -> bool:
    """Tell whether cancer, tumor, metastasis or tme follows or precedes a space, in any case.

    So " tumors" and "anti-tumor " count, and "(cancer)" does not. The data set's authors have this rule, and the rule
    gives their values for all 1,149 slides.
    """
    return bool(CANCER.search(f"{title} {abstract} {keywords}".lower()))


def _read_table(path: str | Path) -> Iterator[Publication]:
    for row in read_table(path, PUBLICATION_COLUMNS, PUBLICATION_COLUMNS, by_hand=True)[1]:
        title, abstract, keywords = map(row.told, TEXTS)
        yield Publication(row.told("pmid"), _no_stop(title), abstract, keywords, row.source)


def _read_bib(path: str | Path) -> Iterator[Publication]:
    text = "\n".join(line for _, line in read_lines(path))
    middlewares = [ResolveStringReferencesMiddleware(), RemoveEnclosingMiddleware()]
    library = bibtexparser.parse_string(text, parse_stack=middlewares)
    problems = [f"line {_line(b)} begins an entry that {_fault(b)}" for b in library.failed_blocks]
    for block in library.blocks:
        if isinstance(block, ImplicitComment) and (lost := LOST_AT.search(block.comment)):
            line = _line(block) + block.comment.count("\n", 0, lost.start())
            problems.append(f"line {line} has no @ before {lost[0].strip()!r}")
    for entry in library.entries:
        for field in entry.fields:
            if lost := LOST_COMMA.search(field.value):
                problems.append(f"line {_line(entry)}: no comma before {lost[1]!r} in entry {entry.key!r}")
    if problems:
        raise DataError(f"{path}: {'; '.join(problems)}; correct the BibTeX")
    if not library.entries:
        raise DataError(f"{path}: has no BibTeX entry; expected @article{{…}}")
    yield from _publications(path, library.entries)


def _publications(path: str | Path, entries: Iterable[Entry]) -> Iterator[Publication]:
    without = []
    for entry in entries:
        fields = {field.key.lower(): field for field in entry.fields}
        key = KEY.fullmatch(entry.key)
        pmid = fields["pmid"].value.strip() if "pmid" in fields else key[1] if key else ""
        if not pmid:
            without.append(f"{entry.key!r} (line {_line(entry)})")
            continue
        title, abstract, keywords = (_plain(fields[name], path) if name in fields else "" for name in TEXTS)
        yield Publication(pmid, _no_stop(title), abstract, keywords, f"{path}: line {_line(entry)}")
    if without:
        log.warning("%s: %d entries have no field pmid, left out: %s", path, len(without), ", ".join(without))


def _line(block: Block) -> int:
    return (block.start_line or 0) + 1


def _fault(block: Block) -> str:
    return {
        "DuplicateFieldKeyBlock": "has one field twice",
        "DuplicateBlockKeyBlock": "has the same key as an entry before",
    }.get(type(block).__name__, "is broken (a brace, a quote or a comma is missing)")


def _plain(field: Field, path: str | Path) -> str:
    """Return a field as plain text; a single line break is a space."""
    text = re.sub(r"(?<!\n)[ \t]*\n[ \t]*(?!\n)", " ", field.value.strip())
    if "\\" not in text:
        return re.sub(r"[{}]", "", text)
    text = re.sub(r"(?<!\\)([%&#])", r"\\\1", text)  # in LaTeX, a bare % would hide the rest of the line
    try:
        text = _latex().latex_to_text(text)
    except KeyError as error:
        message = f"{field.key} uses the LaTeX command {error.args[0]}, which is not known; write the letter itself"
        raise DataError(f"{path}: line {field.start_line + 1}: {message}") from None
    return text.replace("\xa0", " ").strip()


def _latex() -> latex2text.LatexNodes2Text:
    known = latex2text.get_default_latex_context_db()
    signs = {"textgreater": ">", "textless": "<"} | dict.fromkeys(TRANSPARENT, "")
    known.add_context_category(
        "text", [latex2text.MacroTextSpec(name, sign) for name, sign in signs.items()], prepend=True
    )
    known.set_unknown_macro_spec(latex2text.MacroTextSpec("", _refuse))
    return latex2text.LatexNodes2Text(latex_context=known, math_mode="text")


def _refuse(node: Any, **_: object) -> str:
    raise KeyError(f"\\{node.macroname}")


def _no_stop(title: str) -> str:
    return title[:-1] if title.endswith(".") and not title.endswith("..") else title
