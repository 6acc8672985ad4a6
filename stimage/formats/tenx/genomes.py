"""Which features of several genomes are kept, and what they are called: one rule for all sources."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from stimage.core.errors import DataError


def kept_of_genome(
    genomes: np.ndarray, are_genes: np.ndarray, genome: str | None, where: Path | str
) -> tuple[np.ndarray, dict[str, int]]:
    """Return which features are genes of the genome that is asked for or of none, and how many others there are.

    ``genomes`` has a text a feature, "" where it says none.

    Raises
    ------
    DataError
        If there are genes of several genomes and none is named, or there is no such genome.
    """
    known = Counter(genomes[are_genes & (genomes != "")].tolist())
    if (len(known) > 1 and genome is None) or (genome is not None and genome not in known):
        found = ", ".join(f"{name} ({n:,} genes)" for name, n in known.items()) or "names none"
        asked = f"no genome {genome!r}, but" if genome else f"genes of {len(known)} genomes:"
        remedy = "name one of them as genome= (--genome)" if known else "leave out genome= (--genome)"
        raise DataError(f"{where}: has {asked} {found}; {remedy}")
    kept = are_genes & ((genomes == genome) | (genomes == "")) if genome else are_genes
    return kept, {f"genes of {name}": n for name, n in known.items() if genome not in (None, name)}


def genomes_in_names(ids: Sequence[str], names: Sequence[str]) -> np.ndarray:
    """Return the genome that 10x puts before both id and name where there are several, as in ``mm10___ENSMUSG…``."""
    begins = [re.match(r"(\w+?)_+ENS[A-Z]*G\d", one) for one in ids]
    named = [begin and name.startswith(begin[1] + "_") for begin, name in zip(begins, names)]
    return np.array([begin[1] if begin and ok else "" for begin, ok in zip(begins, named)], dtype=str)


def without_genome(texts: Sequence[str], genome: str) -> list[str]:
    """Return ids or names without the genome that they begin with."""
    begin = re.compile(re.escape(genome) + "_+") if genome else None
    return [begin.sub("", text, count=1) if begin and begin.match(text) else text for text in texts]
