"""The note in a data set about the vocabulary of its gene ids, and the names that follow from it.

The note is a line of the data set's description. datasets keeps this line through map, filter, select, shuffle,
concatenate, interleave and save_to_disk, and loses it in to_parquet, push_to_hub and to_iterable_dataset.
"""

import json
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from stimage.core.access import OPEN, Access
from stimage.core.errors import DataError
from stimage.core.storage import list_folder, local_copy, located, normal_root
from stimage.genes.numbering import root_vocabulary
from stimage.genes.vocabulary import GENES_FILE, NUMBER, Vocabulary, load_vocabulary
from stimage.slides.catalog import read_catalog

LINE = re.compile(r'^Gene ids: (\d+) genes, sha256 ([0-9a-f]{64}), of (".*")$', re.MULTILINE)


class Carried(NamedTuple):
    """A number of genes, the digest of their names in order, and the root that numbers them."""

    genes: int
    digest: str
    root: str

    def __str__(self) -> str:
        return f"Gene ids: {self.genes} genes, sha256 {self.digest}, of {json.dumps(self.root, ensure_ascii=False)}"


def carried_by(vocabulary: Vocabulary, root: str) -> Carried:
    """Return the note that a data set of a root carries, without a password in the root's URL."""
    return Carried(len(vocabulary.names), vocabulary.digest, re.sub(r"//[^/@]*@", "//", normal_root(root)))


def vocabulary_in(location: str | os.PathLike, access: Access = OPEN) -> Vocabulary:
    """Return the vocabulary of a root or of a published folder: a path, a URL, or ``user/repo`` on the Hub.

    Raises
    ------
    DataError
        As in `root_vocabulary` and `load_vocabulary`.
    """
    location = located(location, access)
    own = list_folder(location, "", access).get(GENES_FILE)
    path = local_copy(own["url"], access) if own else root_vocabulary(read_catalog(location, access=access))
    return load_vocabulary(path)


def names_of(data: Any, root: str | os.PathLike | None = None, access: Access = OPEN) -> tuple[str, ...]:
    """Return the names that the gene ids of a data set, or of a dict or list of several, stand for.

    Raises
    ------
    DataError
        If the data set has no gene ids, its note does not match the root, or it has no note and ``root`` is not passed.
    """
    parts = list(data.values()) if isinstance(data, Mapping) else data if isinstance(data, list) else [data]
    for part in parts or [data]:
        if not hasattr(part, "features"):
            raise DataError(
                "gene_names takes a root, a published folder, a data set, or a dict or list of data sets; this is or "
                f"contains a {type(part).__name__}"
            )
        _check_has_ids(part.features)
    carried = [_found(part.info.description or "") for part in parts]
    if root is None and not all(carried):
        raise DataError(
            "the data set does not say which root gave it its gene ids: it was published, or a conversion "
            "(to_parquet, push_to_hub, to_iterable_dataset) lost this. Pass as root= the published folder that the "
            "data set was loaded from, or, if it was not published, the root that it was made from"
        )
    every = sorted({one for found in carried for one in found}, key=lambda one: one.genes)
    if not every:
        return vocabulary_in(root or "", access).names
    try:
        vocabulary = vocabulary_in(root if root is not None else every[-1].root, access)
    except DataError as error:
        if root is not None:
            raise
        raise DataError(
            f"{error}; the data set was made from that root: pass as root= the place where the root is now"
        ) from error
    for one in every:
        _check_same(one, vocabulary, root)
    return vocabulary.names[: every[-1].genes]


def _check_has_ids(features: Mapping | None) -> None:
    """Refuse what surely has no gene ids; a stream that was mapped does not say what it has."""
    if features is not None and "gene_ids" not in features:
        panel = "it has a panel's expression, in the panel's own order" if "expression" in features else ""
        raise DataError(f"the data set has no gene_ids: {panel or 'it has ' + ', '.join(features)}")


def _found(description: str) -> Sequence[Carried]:
    return [Carried(int(genes), digest, json.loads(root)) for genes, digest, root in LINE.findall(description)]


def _check_same(one: Carried, vocabulary: Vocabulary, root: str | os.PathLike | None) -> None:
    if not vocabulary.begins_with(one.genes, one.digest):
        raise DataError(
            f"the data set has ids for the {one.genes:,} genes that {one.root} had (sha256 {one.digest[:12]}…), but "
            f"{root or one.root} now gives other ids to its {len(vocabulary.names):,} genes: load the data set again, "
            "or pass as root= a root that still has the old ids. To keep a root's ids when slides are added, run "
            f"{NUMBER}, which makes a {GENES_FILE}"
        )
