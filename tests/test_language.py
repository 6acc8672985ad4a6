"""The language of documents: sentences that are read once. What a program can tell of that is tested here.

Tables, code and headings are left out. A sentence ends by a full stop, a question mark, or the end of its paragraph or
item.
"""

import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
PAGES = sorted(str(path.relative_to(PROJECT)) for path in (PROJECT / "docs").rglob("*.md"))
DOCUMENTS = ["README.md", "CONTRIBUTING.md", *PAGES]
MOST_WORDS = 42
RELATIVE = re.compile(r"\b(?:which|that|whose|whom|who)\b")
FORBIDDEN = {
    "says 'of which' or 'of whom'": re.compile(r"\bof (?:which|whom)\b"),
    "begins with 'Of'": re.compile(r"^Of (?!course)"),
    "begins with 'What' and asks nothing": re.compile(r"^What [^?]*$"),
    "begins with 'That', 'Else' or 'So it is'": re.compile(r"^(?:That (?:is|are|holds)|Else|So it is)\b"),
}
OPENS_WITH_PRONOUN = re.compile(r"^(?:It|They|This|These|Those) (?:is|are|was|has|have|can|may|does|do|says?|takes?)\b")


def paragraphs(text: str) -> list[str]:
    """Return paragraphs and items of lists, without tables, code, headings and links' targets."""
    text = re.sub(r"^<!-- (\w+) -->$.*?^<!-- /\1 -->$", "", text, flags=re.M | re.S)  # tables that programs write
    text = re.sub(r"^ *```.*?^ *```$|^<!--.*?-->$", "", text, flags=re.M | re.S)
    lines = [line for line in text.splitlines() if not re.match(r"\s*[|#!]|\s*:::|AMD EPYC|NVIDIA", line)]
    text = re.sub(r"\]\([^)]*\)", "]", "\n".join(lines)).replace("[", "").replace("]", "")
    text = re.sub(r"`[^`]*`", "CODE", text)
    found = re.split(r"\n\s*\n|\n\s*(?=[-*¹²]\s|\d+\. )", text)
    found = [re.sub(r"^\s*(?:[-*¹²]|\d+\.)\s+", "", " ".join(part.split())) for part in found if part.strip()]
    return [re.sub(r"^\*\*[^*]+\*\*:?\s*", "", part) for part in found]  # labels in bold


def sentences(paragraph: str) -> list[str]:
    """Return the sentences of a paragraph."""
    return [part for part in re.split(r"(?<=[.?!:])\s+(?=[A-Z`*])", paragraph) if part]


def faults(text: str) -> list[str]:
    """Return what is wrong with the sentences of a text."""
    found = []
    for paragraph in paragraphs(text):
        if OPENS_WITH_PRONOUN.match(paragraph):
            found.append(f"a paragraph begins with a pronoun: {paragraph[:60]}")
        for sentence in sentences(paragraph):
            found += [f"{words}: {sentence}" for words, pattern in FORBIDDEN.items() if pattern.search(sentence)]
            if len(re.findall(r"[\w'’-]+", sentence)) > MOST_WORDS:
                found.append(f"more than {MOST_WORDS} words: {sentence}")
            if any(len(RELATIVE.findall(part)) > 3 for part in re.split(r"[:;]", sentence)):
                found.append(f"a chain of 'which' and 'that': {sentence}")
    return found


@pytest.mark.parametrize("document", DOCUMENTS)
def test_sentences_are_read_once(document):
    assert not faults((PROJECT / document).read_text(encoding="utf-8"))
