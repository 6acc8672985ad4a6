"""Stamps of a slide's files, which tell whether a file changed; a server is asked only where its listings lack them."""

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace

from stimage.core.storage import stamp_of
from stimage.slides.catalog import FILE_KINDS, Slide, read_catalog

ASKING = 16  # requests at once


def with_stamps(slides: Iterable[Slide], files: Iterable[str] = FILE_KINDS) -> list[Slide]:
    """Return the slides with the stamps of their files.

    Raises
    ------
    DataError
        If a server does not answer; naming the file.
    """
    slides = list(slides)
    unknown = [(k, file) for k, slide in enumerate(slides) for file in files if _unknown(slide, file)]
    more: dict[int, dict[str, str]] = defaultdict(dict)
    with ThreadPoolExecutor(ASKING) as pool:
        asked = ((getattr(slides[k], file), slides[k].access) for k, file in unknown)
        for (k, file), stamp in zip(unknown, pool.map(lambda it: stamp_of(*it), asked)):
            more[k][file] = stamp
    return [
        replace(slide, stamps={**slide.stamps, **more[k]}) if k in more else slide for k, slide in enumerate(slides)
    ]


def with_current_stamps(slide: Slide) -> Slide:
    """Return a slide with the stamps that its files have now."""
    return with_stamps([replace(slide, stamps={})])[0]


def slide_identity(slide: Slide, files: Iterable[str] = FILE_KINDS) -> dict:
    """Return everything that a slide's examples depend on: its row of the meta file, its files' names and stamps.

    The place of the root, tokens and storage options are no part of it.
    """
    known = {part.name: getattr(slide, part.name) for part in fields(Slide) if part.compare and part.name != "size"}
    known = {name: value for name, value in known.items() if value is not None or name not in ("grid_um", "image_size")}
    for file in FILE_KINDS:
        url = known.pop(file)
        known |= {file: [os.path.basename(url), slide.stamps[file]]} if url and file in files else {}
    return known


def root_digest(root: str) -> str:
    """Digest a root's slides and their files as they are now; the digest changes when one of them does."""
    slides = with_stamps(read_catalog(root).slides)
    return hashlib.sha256(repr([sorted(slide_identity(slide).items()) for slide in slides]).encode()).hexdigest()


def _unknown(slide: Slide, file: str) -> bool:
    return bool(getattr(slide, file)) and file not in slide.stamps
