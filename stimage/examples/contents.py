"""What a data set is made of, and a digest that changes only when its examples may change."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stimage.core.access import is_local
from stimage.slides.catalog import READ_FILES
from stimage.slides.freshness import slide_identity
from stimage.slides.splits.splitting import SlideSplit


@dataclass(frozen=True)
class Contents:
    """Slides of a root, as their server describes them, each with its split.

    ``files`` are those of a slide that are read; ``vocabulary`` is the file that numbers the genes, ``ids`` a digest of
    the numbers of those that the slides have, where examples have them; ``classes`` are those of cells, of all slides
    of the root, where they are counted.
    """

    root: str
    placed: tuple[SlideSplit, ...]
    files: tuple[str, ...] = READ_FILES
    vocabulary: str | None = None
    ids: str | None = None
    classes: tuple[str, ...] = ()

    def digest(self, source: str, options: Mapping[str, Any]) -> str:
        """Digest all that the examples depend on.

        Parameters
        ----------
        source
            A digest of the code that makes them; see `stimage.examples.code_digest.source_digest`.
        options
            How they are made; which slides are asked for, and how they are split, shows in the slides.
        """
        root = os.path.realpath(self.root) if is_local(self.root) else self.root
        slides = [(placed.split, sorted(slide_identity(placed.slide, self.files).items())) for placed in self.placed]
        known = [source, root, slides, self.ids, sorted(options.items())]
        return hashlib.sha256(repr(known).encode()).hexdigest()[:24]
