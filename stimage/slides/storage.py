"""Files of a root, on disk or behind any fsspec URL: listing folders and getting a local copy."""

import csv
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import aiohttp
import datasets
import fsspec
from datasets.utils.file_utils import cached_path

from stimage.errors import DataError

# what the file systems call that which changes when a file does
STAMPS = ("size", "ETag", "Last-Modified", "blob_id", "mtime", "LastModified", "last_modified", "created")


@dataclass(frozen=True)
class Access:
    """What servers ask for before they give a file: it travels with slides, and is part of no name, key or message.

    Parameters
    ----------
    storage_options
        What `fsspec.core.url_to_fs` takes for the URL's protocol, such as ``{"headers": {"Authorization": …}}`` for
        ``https://`` or ``{"anon": True}`` for ``s3://``.
    token
        The Hub's, for ``hf://``; True is the one of the Hub's own login, None too where there is one.
    """

    storage_options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    token: str | bool | None = field(default=None, repr=False)

    def open(self, url: str) -> tuple[fsspec.AbstractFileSystem, str]:
        """Return the file system that a URL is of, and the URL's path there."""
        if is_local(url):
            return fsspec.core.url_to_fs(url)
        options = dict(self.storage_options)
        if url.startswith("hf://") and self.token is not None:
            options["token"] = self.token
        return fsspec.core.url_to_fs(url, **options)


OPEN = Access()  # to what asks for nothing


def is_local(url: str) -> bool:
    """Say whether a URL is a plain path of this machine."""
    return "://" not in url


def normal_root(url: str | os.PathLike) -> str:
    """Return a root's path absolute and with ``~`` expanded, or its URL without a slash at the end."""
    url = os.fspath(url).removeprefix("file://")
    return os.path.abspath(os.path.expanduser(url)) if is_local(url) else url.rstrip("/")


def list_folder(root: str, folder: str, access: Access | None = None) -> dict[str, dict]:
    """List the files of one folder of a root, empty if there is no such folder; hidden files, ``.name``, are none.

    Returns
    -------
    dict
        File name → ``{"url": full path or URL, "size": bytes or None, "stamp": what changes when the file does}``.
    """
    fs, path = (access or OPEN).open(f"{root}/{folder}".rstrip("/"))
    try:
        entries = fs.ls(path + "/" if "http" in fs.protocol else path, detail=True)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, aiohttp.ClientError) as error:
        raise DataError(f"{root}/{folder}: cannot be listed: {error!r}") from error
    files = {}
    for entry in entries:
        if linked := bool(entry.get("islink")) and os.path.isfile(entry["name"]):
            entry["mtime"] = os.stat(entry["name"]).st_mtime  # of what is linked to, not of the link
        if entry["type"] == "file" or linked:
            name = entry["name"].rsplit("/", 1)[-1]
            url = entry["name"] if is_local(root) else fs.unstrip_protocol(entry["name"])
            name = unquote(name) if "http" in fs.protocol else name
            if name.startswith("."):  # what macOS, editors and unfinished writers leave
                continue
            files[name] = {"url": url, "size": entry.get("size"), "stamp": _stamp(entry)}
    return files


def local_copy(url: str, access: Access | None = None) -> str:
    """Return a path of this machine that holds a file: the file itself, or its copy in the Hugging Face cache.

    A remote file is fetched whole, once, with a progress bar, and again when the server says that it changed. That
    a slide's files are cached before they are read, rather than streamed, keeps one way of reading them: spots come in
    the image's order, which needs the counts in any order, and every further epoch reads from disk.

    Raises
    ------
    DataError
        If the file cannot be fetched, or, of this machine, opened.
    """
    if is_local(url):
        check_readable(url)
        return url
    access = access or OPEN
    config = datasets.DownloadConfig(
        download_desc=f"Fetching {url.rsplit('/', 1)[-1]}",
        token=access.token,
        storage_options={url.partition("://")[0]: dict(access.storage_options)},
    )
    try:
        if not url.startswith("hf://"):  # the Hub has a cache of its own; others may have no ETag
            fs, path = access.open(url)
            config.cache_dir = str(cache_folder() / "files" / _stamp(fs.info(path)))
        return cached_path(url, config)
    except (OSError, aiohttp.ClientError) as error:
        raise DataError(f"{url}: cannot be fetched: {error!r}") from error


def check_readable(path: str) -> None:
    """Refuse what is not there, is no file (a pipe would be waited for for ever), or may not be read."""
    try:
        if not os.path.isfile(path):
            os.stat(path)
            raise DataError(f"{path}: is no file")
        with open(path, "rb"):
            pass
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None


def cache_folder() -> Path:
    """Return the folder of the Hugging Face cache that this project keeps its files in."""
    return Path(datasets.config.HF_DATASETS_CACHE) / "stimage_1k4m"


def _stamp(info: dict) -> str:
    """Digest what changes when a file does, out of what a file system says of it."""
    return hashlib.sha256(repr([str(info.get(key)) for key in STAMPS]).encode()).hexdigest()[:16]


def first_line(url: str, access: Access | None = None) -> bytes:
    """Return a file's first line; of a remote file, only its beginning is fetched."""
    if is_local(url):
        with open(url, "rb") as file:
            return file.readline()
    text = b""
    try:
        fs, path = (access or OPEN).open(url)
        with fs.open(path, "rb", block_size=1 << 18) as file:
            while b"\n" not in text and (more := file.read(1 << 17)):
                text += more
    except (OSError, aiohttp.ClientError) as error:
        raise DataError(f"{url}: cannot be fetched: {error!r}") from error
    return text.partition(b"\n")[0] + b"\n" if text else text


def read_table(path: str) -> tuple[list[str], list[dict[str, str]]]:
    """Read a small comma-separated table: its columns, and its rows by column.

    Raises
    ------
    DataError
        If it can't be read, or a row has not as many cells as the header, as where a file was cut off.
    """
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, strict=True)
            columns, rows = next(reader, []), []
            for cells in filter(None, reader):  # without blank lines
                if len(cells) != len(columns):
                    raise DataError(
                        f"{path}: line {reader.line_num} has {len(cells)} cells for {len(columns)} columns; was the "
                        "file cut off?"
                    )
                rows.append(dict(zip(columns, cells)))
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: is no comma-separated table ({error})") from None
    return columns, rows


def read_names(path: str | os.PathLike) -> list[str]:
    """Read slide names: one a line; or the column ``slide`` of a CSV, but for those whose ``mark`` is "reject"."""
    columns, rows = read_table(str(path))
    if "slide" in columns:
        return [row["slide"] for row in rows if row.get("mark", "").strip().lower() != "reject"]
    if len(columns) != 1:
        raise DataError(f"{path}: is no list of slides: expected a name a line, or a CSV with the column 'slide'")
    return [name for name in (columns[0].strip(), *(row[columns[0]].strip() for row in rows)) if name]
