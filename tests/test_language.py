"""The language of documents and of public docstrings: sentences that are read once, as far as a program can tell.

Code and headings are left out. A sentence ends by a full stop, a question mark, or the end of its paragraph, item or
cell of a table.
"""

import inspect
import re
from pathlib import Path

import pytest

import stimage
from docs.notebooks import as_markdown

PROJECT = Path(__file__).parents[1]
PAGES = sorted(
    str(path.relative_to(PROJECT)) for path in (PROJECT / "docs").rglob("*") if path.suffix in (".md", ".ipynb")
)
DOCUMENTS = ["README.md", "CONTRIBUTING.md", *PAGES]
MOST_WORDS = 42
WORD = re.compile(r"[\w'’-]+")
RELATIVE = re.compile(r"\b(?:which|that|whose|whom|who)\b")
FORBIDDEN = {
    "says 'of which' or 'of whom'": re.compile(r"\bof (?:which|whom)\b"),
    "begins with 'Of'": re.compile(r"^Of (?!course)"),
    "begins with 'What' and asks nothing": re.compile(r"^What (?!to do with\b)[^?]*$"),
    "begins with 'That', 'Else' or 'So it is'": re.compile(r"^(?:That (?:is|are|holds)|Else|So it is)\b"),
    "has 'such' without its noun": re.compile(r"\bsuch(?=[.,;:)]|$)"),
    "says 'called so' or 'named otherwise'": re.compile(
        r"\b(?:called|named|spelt|numbered|stored|written|cut|read) (?:so|otherwise)\b"
    ),
    "has a clause with the subject 'what'": re.compile(r"; what (?:is|are|was|were|has|have)\b"),
    "says 'a row a spot', not 'one row for each spot'": re.compile(
        r"\ban? (?:row|line|column|cell|file|folder|table|picture|PNG|image|panel|bar|box|name|value|number|function|"
        r"page|probe|tensor) an? (?!few|little|lot)\w"
    ),
    "has a footnote": re.compile(r"[a-z]{3}[¹²³]"),
}
MOST_WORDS_OF_A_CELL = 80
OPENS_WITH_PRONOUN = re.compile(r"^(?:It|They|This|These|Those) (?:is|are|was|has|have|can|may|does|do|says?|takes?)\b")


def prose(text: str) -> str:
    """Return a text without fenced code, comments and tables that programs write."""
    text = re.sub(r"^<!-- (\w+) -->$.*?^<!-- /\1 -->$", "", text, flags=re.M | re.S)
    return re.sub(r"^ *```.*?^ *```$|^<!--.*?-->$", "", text, flags=re.M | re.S)


def words(text: str) -> str:
    """Return a text without the targets of links; each piece of code is the word CODE."""
    return re.sub(r"`[^`]*`", "CODE", re.sub(r"\]\([^)]*\)", "]", text).replace("[", "").replace("]", ""))


def cells(text: str) -> list[str]:
    """Return the cells of a text's tables."""
    rows = [words(line.strip()).strip("|") for line in prose(text).splitlines() if re.match(r"\s*\|(?! ?:?-)", line)]
    return [cell.strip() for row in rows for cell in row.split("|") if cell.strip()]


def paragraphs(text: str) -> list[str]:
    """Return paragraphs and items of lists, without tables, code, headings and links' targets."""
    lines = [line for line in prose(text).splitlines() if not re.match(r"\s*[|#!]|\s*:::|AMD EPYC|NVIDIA", line)]
    found = re.split(r"\n\s*\n|\n\s*(?=[-*]\s|\d+\. )", words("\n".join(lines)))
    found = [re.sub(r"^\s*(?:[-*]|\d+\.)\s+", "", " ".join(part.split())) for part in found if part.strip()]
    return [re.sub(r"^\*\*[^*]+\*\*:?\s*", "", part) for part in found]  # labels in bold


def sentences(paragraph: str) -> list[str]:
    """Return the sentences of a paragraph."""
    return [part for part in re.split(r'(?<=[.?!:])\s+(?=[A-Z`*"])', paragraph) if part]


def faults(text: str) -> list[str]:
    """Return what is wrong with the sentences of a text, and with the cells of its tables."""
    found = []
    for paragraph in paragraphs(text):
        if OPENS_WITH_PRONOUN.match(paragraph):
            found.append(f"a paragraph begins with a pronoun: {paragraph[:60]}")
        for sentence in sentences(paragraph):
            found += faults_of_sentence(sentence)
    for cell in cells(text):
        if len(WORD.findall(cell)) > MOST_WORDS_OF_A_CELL:
            found.append(f"a cell has more than {MOST_WORDS_OF_A_CELL} words: {cell}")
        if cell.startswith("of "):
            found.append(f"a cell of a table begins with 'of': {cell}")
        for sentence in sentences(cell):
            found += [f"a cell of a table: {fault}" for fault in faults_of_sentence(sentence)]
    return found


def faults_of_sentence(sentence: str) -> list[str]:
    """Return what is wrong with a sentence."""
    found = [f"{words}: {sentence}" for words, pattern in FORBIDDEN.items() if pattern.search(sentence)]
    if len(WORD.findall(sentence)) > MOST_WORDS:
        found.append(f"more than {MOST_WORDS} words: {sentence}")
    if any(len(RELATIVE.findall(part)) > 4 for part in re.split(r"[:;]", sentence)):
        found.append(f"a chain of 'which' and 'that': {sentence}")
    return found


@pytest.mark.parametrize("document", DOCUMENTS)
def test_sentences_are_read_once(document):
    text = (PROJECT / document).read_text(encoding="utf-8")
    assert not faults(as_markdown(text) if document.endswith(".ipynb") else text)


def described(docstring: str) -> str:
    """Return a docstring's text without its examples, heads of sections and names of parameters."""
    text = re.split(r"^Examples\n-+\n", inspect.cleandoc(docstring), flags=re.M)[0].replace("``", "`")
    text = re.sub(r"^\w+\n-{3,}$", "", text, flags=re.M)
    text = re.sub(r"^\S.*\n(?=    \S)", "\n", text, flags=re.M)  # a parameter's name, above what is said of it
    return re.sub(r"^    ", "", text, flags=re.M)


@pytest.mark.parametrize("name", [name for name in stimage.__all__ if inspect.isroutine(getattr(stimage, name))])
def test_docstrings_say_what_they_are_about(name):
    found = faults(described(getattr(stimage, name).__doc__))
    assert not [fault for fault in found if fault.startswith(("says 'of which'", "begins with 'Of'"))]
