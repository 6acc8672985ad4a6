"""Names that can hardly be a gene's, by kind: dates, empty names, antibodies, several genomes; each with a remedy."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from stimage.core.errors import shown
from stimage.genes.names import ENSEMBL

MONTH = "jan|feb|fév|mar|mär|mrz|apr|avr|may|mai|jun|juin|jul|juil|aug|août|sept?|oct|okt|nov|dec|dez|déc"
MORE = "|abr|mag|giu|lug|ago|set|ott|dic|ene|gen"  # which behind a hyphen are genes: set-10 of C. elegans
DATE = re.compile(
    rf"\d{{1,2}}[-/ .]+(?:{MONTH}{MORE})\w{{0,6}}\.?(?:[-/ .]+\d{{2,4}})?"  # 1-Mar, 1-Mar-20
    rf"|(?:{MONTH})\w{{0,6}}[-/ .]+\d{{2,4}}"  # Mar-01
    r"|\d{4}([-/.])\d{1,2}\1\d{1,2}(?:[ T]\d{1,2}:\d{2}.*)?|\d{1,2}([-/.])\d{1,2}\2(?:\d{2}|\d{4})"  # 2001/03/01
    r"|\d\.\d+E\+?\d+",  # 2310009E13 as a number
    re.IGNORECASE,
)
SERIAL = re.compile(r"[34]\d{4}(\.0)?")  # days since 1900: 43891 is the first of March 2020
ENTREZ = 0.1  # share of names that are numbers, above which they are NCBI's ids of genes
EMPTY = re.compile(r"(?:nan|na|n/a|none|null|#n/a|#name\?|#ref!|#value!|unnamed: ?\d+)?", re.IGNORECASE)
PROTEIN = re.compile(
    r".*total-?seq.*|.*[-_. ](?:ADT|antibody|prot|protein)|(?:ADT|HTO|CMO|hashtag|anti)(?:[-_. ].*|\d+)"
    r"|.*hashtag.*|.*isotype.?(?:control|ctrl).*|(?:mouse|rat|hamster)[-_. ]Ig[GAM]\d?.*",
    re.IGNORECASE,
)
GUIDE = re.compile(
    r"(?:sg|g)RNA[-_. ].*|.*[-_. ](?:sg|g)RNA.*|(?-i:sg[A-Z0-9]{2,}[-_.]\d+)|non-?targeting.*", re.IGNORECASE
)
GENOME = re.compile(
    r"(GRC[a-z]{1,2}\d+|hg\d\d|mm\d{1,2}|rn\d|mRatBN\d|dm\d|danRer\d+|susScr\d+)[\w.]*?_+(?=[A-Za-z0-9])"
)
BY_IDS = "pass panel= (--panel) and gene_table= (--gene-table), which goes by ids without versions"
CASES = 0.02  # share of names that differ from another by upper and lower case alone
SECOND, SECONDS = (
    re.compile(r"(.+)\.\d{1,2}"),
    0.001,
)  # R makes a name that is there already TBCE.1; most slides have some
PREFIXES = {"human": "ENSG", "mouse": "ENSMUSG", "rat": "ENSRNOG", "pig": "ENSSSCG"}  # of Ensembl ids
CALLED = {"homo sapiens": "human", "mus musculus": "mouse", "rattus norvegicus": "rat", "sus scrofa": "pig"}
ALL_BUT = 0.9  # share of names that must be another species', since a slide may have some of a graft or a virus
CAPITALS = re.compile(r"[A-Z][A-Z0-9]*[A-Z][A-Z0-9.-]*")  # ACTB, as human symbols are written
CAPITAL = re.compile(r"(?:mt-)?[A-Z][a-z]+[\w.-]*")  # Actb, as those of mouse and rat
WRITTEN = {"human": (CAPITAL, "mouse or rat"), "mouse": (CAPITALS, "human"), "rat": (CAPITALS, "human")}
FEW = 20  # symbols, below which their case tells nothing


class OddNames(NamedTuple):
    """Names of a kind, in the slide's order: what they are, what to do, and which."""

    what: str
    remedy: str
    names: list[str]

    def __str__(self) -> str:
        """Say how many there are, and give three examples."""
        return f"{self.what}: {len(self.names):,}, such as {shown([repr(name) for name in self.names], 3)}"


def odd_names(genes: Sequence[str]) -> list[OddNames]:
    """Return the names of a slide that can hardly be a gene's, by kind; a name counts for the first kind that fits.

    MARCH1, SEPT2 and DEC1 are genes: a spreadsheet turns them into 1-Mar, 2-Sep and 1-Dec.
    """
    there = set(genes)
    plain = [re.sub(r"-\d+$", "", name) if re.sub(r"-\d+$", "", name) in there else name for name in genes]
    found, taken = [], set()
    for what, remedy, fits in _kinds(plain):
        names = [gene for gene, name in zip(genes, plain) if gene not in taken and fits(name)]
        taken.update(names)
        if names:
            found.append(OddNames(what, remedy, names))
    return found


def names_of_other_species(genes: Sequence[str], species: str | None) -> OddNames | None:
    """Return the names that another species' genes have, if nearly all do: Ensembl ids, or symbols by their case.

    Parameters
    ----------
    species
        The species that the slide is said to have. Nothing is known of species other than human, mouse, rat and pig.
    """
    word = (species or "").strip().lower()
    word = CALLED.get(word, word)
    if word not in PREFIXES:
        return None
    ids = {name: found[1].rstrip("0123456789") for name in genes if (found := ENSEMBL.fullmatch(name))}
    others = [name for name, prefix in ids.items() if prefix != PREFIXES[word]]
    if others and len(ids) > len(genes) / 2:
        of = next((of for of, prefix in PREFIXES.items() if prefix == ids[others[0]]), "another species")
        return _of(of, word, "Ensembl ids", others) if len(others) >= ALL_BUT * len(ids) else None
    form, of = WRITTEN.get(word, (None, ""))
    symbols = [name for name in genes if name not in ids and (CAPITALS.fullmatch(name) or CAPITAL.fullmatch(name))]
    others = [name for name in symbols if form and form.fullmatch(name)]
    told = len(symbols) >= max(FEW, len(genes) / 2) and len(others) >= ALL_BUT * len(symbols)
    return _of(of, word, "symbols", others) if told else None


def _of(other: str, word: str, what: str, names: list[str]) -> OddNames:
    remedy = "correct the species in the meta file, or add the slide again with the right species= (--species)"
    return OddNames(f"{what} of {other}, on a slide whose species is {word}", remedy, names)


def _kinds(genes: Sequence[str]) -> Iterator[tuple[str, str, Callable[[str], object]]]:
    there, few_numbers = set(genes), sum(name.isdecimal() for name in genes) <= ENTREZ * len(genes)
    times = Counter(name.casefold() for name in there)
    cased = {name for name in there if times[name.casefold()] > 1}
    ids = {name: found for name in genes if (found := ENSEMBL.fullmatch(name))}
    species = {found[1].rstrip("0123456789") for found in ids.values()}
    seconds = {name for name in genes if (found := SECOND.fullmatch(name)) and found[1] in there and name not in ids}
    yield "empty names", "get the names from the study", lambda name: EMPTY.fullmatch(name.strip())
    yield ("dates or numbers that a spreadsheet made of names", "get the file that no spreadsheet has saved",
           lambda name: DATE.fullmatch(name.strip()) or (few_numbers and SERIAL.fullmatch(name)))  # fmt: skip
    yield "antibodies or hashtags", "leave them out: they are no genes", PROTEIN.fullmatch
    yield "guides of CRISPR", "leave them out: they are no genes", GUIDE.fullmatch
    yield "names that begin with a genome", "keep the genes of one genome, without its name", GENOME.match
    if len(species) > 1:
        yield "Ensembl ids of several species", "keep the genes of one species", ids.__contains__
    if len(cased) > CASES * len(genes):
        yield "names that differ by upper and lower case alone", "keep the genes of one species", cased.__contains__
    yield ("Ensembl ids with a version, which other slides may have otherwise",
           f"where slides are joined, {BY_IDS}",
           lambda name: name in ids and ids[name][2])  # fmt: skip
    if len(seconds) > SECONDS * len(genes):
        yield ("names of other genes with a number behind", "are these antibodies, or is a gene there twice?",
               seconds.__contains__)  # fmt: skip
    yield "names with blanks around", "write them without", lambda name: name != name.strip()
