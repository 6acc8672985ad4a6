"""The gene names of slides: first lines of count files, each read once and kept in the cache by its file's stamp.

A kept line is named by its digest. So slides with the same genes share one file, and damage is noticed.
"""

import hashlib
import re
from codecs import BOM_UTF8 as BOM
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from tqdm.auto import tqdm

from stimage.core.access import is_local
from stimage.core.errors import DataError, OutputError
from stimage.core.files import replacing
from stimage.core.storage import cache_folder, check_readable, list_folder, stamp_of
from stimage.slides.catalog import Slide
from stimage.slides.counts.count_file import header_line
from stimage.slides.counts.wide_csv import parse_header

THREADS = 16  # that wait for servers and disks
FEW = 100  # slides of this machine: their lines are read at once, with no bar


def header_digests(slides: Sequence[Slide]) -> list[str]:
    """Return the digest of each slide's line of gene names, which then is in the cache.

    Raises
    ------
    DataError
        If a line can't be read; the others are kept.
    """
    quiet = len(slides) < FEW and all(is_local(slide.counts) for slide in slides)
    folders = {slide.counts.rpartition("/")[0]: slide.access for slide in slides}
    listed = [file for folder, access in folders.items() for file in list_folder(folder, "", access).values()]
    stamps = {file["url"]: file["stamp"] for file in listed}
    with ThreadPoolExecutor(1 if quiet else THREADS) as pool:
        found = pool.map(lambda slide: _digest_of(slide, stamps.get(slide.counts)), slides)
        try:
            return list(tqdm(found, "Reading gene names", len(slides), unit="slide", disable=quiet))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def header_genes(slide: Slide, digest: str) -> pa.Array:
    """Return the gene names of a slide whose line has this digest, as `wide_csv.read_header` does.

    Raises
    ------
    DataError
        If the line is none of gene names; it is then read again the next time.
    """
    try:
        line = _kept(digest).read_bytes()
    except OSError:
        line = b""
    if _digest(line) != digest:  # it is lost, or damaged
        line = _read(slide)
        if _digest(line) != digest:
            raise DataError(f"{slide.counts}: changed while the gene names were read; run it again")
        _keep(digest, line)
    if (names := _plain(line)) is not None:
        return names
    try:
        return pa.array(parse_header(line, slide.counts), pa.string())
    except DataError:
        with suppress(OSError):  # of a cache that may not be written
            _kept(digest).unlink(missing_ok=True)
        raise


def _plain(line: bytes) -> pa.Array | None:
    """Return the names in a line without quoted or repeated names: faster than `parse_header`, and in threads."""
    line = line.removeprefix(BOM).rstrip(b"\r\n")
    if b'"' in line or b"\r" in line:
        return None
    try:
        names = pc.split_pattern(pa.scalar(line.decode()), ",").values[1:]
    except UnicodeDecodeError:
        return None
    return names if 0 < len(names) == len(names.unique()) else None


def _digest_of(slide: Slide, stamp: str | None) -> str:
    key = _key(slide, stamp or stamp_of(slide.counts, slide.access))
    if digest := _known(key):
        return digest
    line = _read(slide)
    digest = _digest(line)
    _keep(digest, line)
    _keep(key, digest.encode())
    return digest


def _key(slide: Slide, stamp: str) -> str:
    return _digest(f"{slide.counts} {stamp}".encode())


def forget_header(slide: Slide) -> None:
    """Let the line of a slide's gene names be read again the next time, since its file has other genes."""
    with suppress(OSError, DataError):  # of a cache that may not be written, or a server that is away
        _kept(_key(slide, stamp_of(slide.counts, slide.access))).unlink(missing_ok=True)


def _known(key: str) -> str:
    """Return the digest that is kept for a file and its stamp, if the line itself is kept too."""
    try:
        digest = _kept(key).read_bytes().decode("ascii")
        return digest if re.fullmatch("[0-9a-f]{64}", digest) and _kept(digest).exists() else ""
    except (OSError, ValueError):
        return ""


def _read(slide: Slide) -> bytes:
    if is_local(slide.counts):
        check_readable(slide.counts)
    return header_line(slide.counts, slide.access)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _kept(name: str) -> Path:
    return cache_folder() / "headers" / name


def _keep(name: str, content: bytes) -> None:
    """Keep a line, if the cache can be written; if not, it is read again where it is needed."""
    with suppress(OutputError), replacing(_kept(name)) as unfinished:
        unfinished.write_bytes(content)
