"""Stamps of a slide's files, which tell whether a file changed; a server is asked only if its listings lack them."""

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace

from stimage.core.access import OPEN, Access, is_local
from stimage.core.storage import check_readable, stamp_of
from stimage.slides.catalog import FILE_KINDS, READ_FILES, Slide, read_catalog
from stimage.slides.slide_files import REQUIRED_FILES

ASKING = 16  # requests at once
PIECE, PLACES, WHOLE = 1 << 20, 16, 32 << 20  # bytes that are digested at once, of how many places, of what size


def with_stamps(slides: Iterable[Slide], files: Iterable[str] = FILE_KINDS) -> list[Slide]:
    """Return the slides with the stamps of their files.

    Raises
    ------
    DataError
        If a server does not answer; the error names the file.
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


def slide_identity(slide: Slide, files: Iterable[str] = READ_FILES) -> dict:
    """Return everything that a slide's examples depend on: its row of the meta file, and its files' names and stamps.

    The place of the root, tokens and storage options are not part of it.
    """
    known = {part.name: getattr(slide, part.name) for part in fields(Slide) if part.compare and part.name != "size"}
    known = {name: value for name, value in known.items() if value is not None or name not in ("grid_um", "image_size")}
    for file in FILE_KINDS:
        known.pop(file, None)
        url = getattr(slide, file)
        known |= {file: [os.path.basename(url), slide.stamps[file]]} if url and file in files else {}
    return known


def root_digest(root: str) -> str:
    """Return a digest of a root's slides and their files as they are now; it changes when one of them does."""
    slides = with_stamps(read_catalog(root).slides)
    return hashlib.sha256(repr([sorted(slide_identity(slide).items()) for slide in slides]).encode()).hexdigest()


def _unknown(slide: Slide, file: str) -> bool:
    return bool(getattr(slide, file)) and file not in slide.stamps


def slide_digests(slides: Iterable[Slide], files: Iterable[str] = REQUIRED_FILES) -> dict[str, dict[str, str]]:
    """Return slide name → part → `file_digest` of the file, for the parts that a slide has."""
    asked = [(slide, part) for slide in slides for part in files if getattr(slide, part)]
    with ThreadPoolExecutor(ASKING) as pool:
        digests = pool.map(lambda it: file_digest(getattr(it[0], it[1]), it[0].access), asked)
    found: dict[str, dict[str, str]] = {slide.name: {} for slide, _ in asked}
    for (slide, part), digest in zip(asked, digests):
        found[slide.name][part] = digest
    return found


def file_digest(url: str, access: Access = OPEN) -> str:
    """Return a digest of the content of a file: the whole file, or beyond 32 MiB its size and 16 places.

    Behind a URL, the server's statement about the content takes its place.

    Raises
    ------
    DataError
        If there is no such file, or a server does not answer.
    """
    if not is_local(url):
        return hashlib.blake2b(stamp_of(url, access).encode(), digest_size=16).hexdigest()
    check_readable(url)
    size = os.path.getsize(url)
    digest = hashlib.blake2b(str(size).encode(), digest_size=16)
    places = range(0, size, PIECE) if size <= WHOLE else [k * (size - PIECE) // (PLACES - 1) for k in range(PLACES)]
    with open(url, "rb") as file:
        for place in places:
            file.seek(place)
            digest.update(file.read(PIECE))
    return digest.hexdigest()
