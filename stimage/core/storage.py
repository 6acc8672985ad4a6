"""Files of a root, on disk or behind any fsspec URL: list folders, notice changes, make local copies."""

import gzip
import hashlib
import logging
import os
import re
import shutil
import stat
import tempfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import fsspec
import numpy as np

from stimage.core import hub
from stimage.core.access import OPEN, Access, is_local
from stimage.core.errors import DataError, one_line
from stimage.core.files import locked, replacing, writable

# what file systems call that which changes when a file does, the surest first
STAMPS = ("blob_id", "md5Hash", "ETag", "etag", "Last-Modified", "LastModified", "last_modified", "mtime", "modify")
STAMPS += ("updated", "created")
ZIPPED = ".gz"
HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")
log = logging.getLogger(__name__)


def normal_root(url: str | os.PathLike) -> str:
    """Return the path of a root, absolute and with ``~`` expanded, or its URL without a slash at the end."""
    url = os.fspath(url).removeprefix("file://")
    return os.path.abspath(os.path.expanduser(url)) if is_local(url) else url.rstrip("/")


def pinned(root: str, access: Access = OPEN) -> str:
    """Return a URL of the Hub with its current commit, so that all files are from one commit; other URLs stay.

    Raises
    ------
    DataError
        If the Hub does not answer, or has no such repository, or hides it.
    """
    with access.asking(root, "looked up"):
        return hub.pinned(root, access.token, access.storage_options)


def located(location: str | os.PathLike, access: Access = OPEN) -> str:
    """Return the path or URL of a root or a published folder, after `normal_root` and `pinned`.

    ``user/repo`` is a data set on the Hub, unless there is such a folder.
    """
    location = os.fspath(location)
    if is_local(location) and not os.path.exists(location) and HUB_NAME.fullmatch(location):
        location = f"hf://datasets/{location}"
    return pinned(normal_root(location), access)


def list_folder(root: str, folder: str, access: Access = OPEN) -> dict[str, dict]:
    """List the files of one folder of a root, without hidden files (``.name``); {} if there is no such folder.

    Returns
    -------
    dict
        File name → ``url`` (full path or URL), ``size`` in bytes or None, and ``stamp`` as of `stamp_of`, or None where
        a listing has no stamps, as over HTTP.
    """
    url = f"{root}/{folder}".rstrip("/")
    try:
        with access.asking(url, "listed"):
            files = _list_local(url) if is_local(url) else _list_remote(url, access)
    except _NotThere:
        return {}
    return {name: file for name, file in files.items() if not name.startswith(".")}  # what editors and macOS leave


class _NotThere(DataError):
    """There is no such folder."""


def _list_local(folder: str) -> dict[str, dict]:
    try:
        entries = list(os.scandir(folder))
    except (FileNotFoundError, NotADirectoryError):
        raise _NotThere from None
    files = {}
    for entry in entries:
        if os.path.isfile(entry.path):  # a link that leads nowhere is no file
            state = entry.stat()  # of what is linked to, not of the link
            files[entry.name] = {"url": entry.path, "size": state.st_size, "stamp": _local_stamp(state)}
    return files


def _list_remote(url: str, access: Access) -> dict[str, dict]:
    fs, path = access.open(url)
    web = "http" in fs.protocol
    try:
        entries = _fresh(fs, path).ls(path + "/" if web else path, detail=True)
    except (FileNotFoundError, NotADirectoryError) as error:
        if error.__cause__:  # a repository or a bucket that is not there, or is not shown, is no absent folder
            raise
        raise _NotThere from None
    files = {}
    for entry in entries:
        if entry["type"] == "file":
            name = entry["name"].rsplit("/", 1)[-1]
            file = {"url": fs.unstrip_protocol(entry["name"]), "size": entry.get("size"), "stamp": _stamp(entry)}
            files[unquote(name) if web else name] = file
    return files


def _fresh(fs: fsspec.AbstractFileSystem, path: str) -> fsspec.AbstractFileSystem:
    """Return the file system without its memory of listings; a commit's never change."""
    if not hub.is_pinned(path):
        fs.invalidate_cache()
    return fs


def stamp_of(url: str, access: Access = OPEN) -> str:
    """Return a stamp of a file, which changes when the file does.

    On this machine, it is made of size and time in ns; behind a URL, of what the server says about the file now.

    Raises
    ------
    DataError
        If the server does not answer, or does not give the file.
    """
    with access.asking(url, "looked up"):
        if is_local(url):
            return _local_stamp(os.stat(url))
        if url.startswith("hf://"):  # which says more of a file in its folder's listing
            folder, _, name = url.rpartition("/")
            if name in (files := list_folder(folder, "", access)):
                return files[name]["stamp"]
        return _said_of(url, access)[1]


def _said_of(url: str, access: Access) -> tuple[int | None, str]:
    """Return a remote file's size, where the server says it, and stamp."""
    fs, path = access.open(url)
    info = _fresh(fs, path).info(path)
    if stamp := _stamp(info):
        return info.get("size"), stamp
    log.warning("%s: the server does not say when it changed: if it keeps its size, that will not be noticed", url)
    return info.get("size"), f"{info.get('size')}"


def _stamp(info: Mapping[str, Any]) -> str | None:
    said = next((f"{key}={info[key]}" for key in STAMPS if info.get(key)), None)
    return f"{info.get('size')} {said}" if said else None


def file_state(path: str | os.PathLike) -> tuple[int, ...]:
    """Return what changes at any edit of a file of this machine, even of one that keeps its size and time.

    Only what is kept in memory, or made again at little cost, goes by it: it also changes where the file does not.
    """
    state = os.stat(path)
    return state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino


def _local_stamp(state: os.stat_result) -> str:
    return f"{state.st_size} {state.st_mtime_ns}"


def local_copy(url: str, access: Access = OPEN) -> str:
    """Return a path on this machine that holds a file: the file itself, or its copy in the Hugging Face cache.

    A remote file is fetched whole, once, with a progress bar, and again when the server says that it changed. The files
    of a slide are cached and not streamed, which keeps one way of reading them: spots come in the image's order, which
    needs the counts in any order, and later epochs read from disk. A file whose name ends in .gz is unzipped into the
    cache.

    Raises
    ------
    DataError
        If the file can't be fetched whole, opened or unzipped.
    """
    if is_local(url):
        check_readable(url)
        path = url
    else:
        with access.asking(url, "fetched"):
            path = hub.copy(url, access.token, access.storage_options) or str(_copy(url, access))
    return _unzipped(path) if url.lower().endswith(ZIPPED) else path


def _unzipped(path: str) -> str:
    """Return a copy of a gzip file without the zip; it is made anew when the file changes."""
    key = hashlib.sha256(f"{os.path.abspath(path)} {file_state(path)}".encode()).hexdigest()[:32]
    copy = cache_folder() / "files" / key / os.path.basename(path)[: -len(ZIPPED)]
    if not copy.exists():
        with locked(copy.parent):
            try:
                with replacing(copy) as unfinished, gzip.open(path) as zipped, unfinished.open("wb") as plain:
                    shutil.copyfileobj(zipped, plain, 1 << 20)
            except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                raise DataError(f"{path}: can't be unzipped ({one_line(error)}); was the download cut off?") from None
    return str(copy)


def _copy(url: str, access: Access) -> Path:
    from datasets.utils import tqdm  # here, since it takes seconds to import
    from fsspec.callbacks import TqdmCallback

    size, stamp = _said_of(url, access)
    key = hashlib.sha256(f"{url} {stamp}".encode()).hexdigest()[:32]
    copy = cache_folder() / "files" / key / unquote(url.rsplit("/", 1)[-1])
    if copy.exists():
        return copy
    with locked(copy.parent):  # threads and processes that want the same file wait for one of them
        if not copy.exists():
            with replacing(copy) as unfinished:
                fs, path = access.open(url)
                bar = {"desc": f"Fetching {copy.name}", "unit": "B", "unit_scale": True}
                with TqdmCallback(bar, tqdm_cls=tqdm) as progress:
                    fs.get_file(path, str(unfinished), callback=progress)
                if size not in (None, got := unfinished.stat().st_size):
                    raise DataError(f"{url}: was cut off: {got} bytes came of {size}; run it again")
                if _said_of(url, access) != (size, stamp):
                    raise DataError(f"{url}: changed while it was fetched; run it again")
    return copy


def check_readable(path: str) -> None:
    """Refuse a file that does not exist, may not be read, or is no file, such as a pipe, which would be waited for."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise DataError(f"{path}: is no file")
        with open(path, "rb"):
            pass
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({one_line(error)})") from None


def cache_folder() -> Path:
    """Return the folder in the Hugging Face cache for the files of this project."""
    from datasets import config  # here, since it takes seconds to import

    return Path(config.HF_DATASETS_CACHE) / "stimage_1k4m"


def why_not_writable(folder: str | os.PathLike) -> str:
    """Return why no file can be made in a folder on this machine, "" if one can; a missing folder is made."""
    try:
        os.makedirs(folder, exist_ok=True)
        with tempfile.TemporaryFile(dir=os.fspath(folder)):
            return ""
    except OSError as error:
        return one_line(error)


def unnamed_array(length: int, dtype: np.dtype) -> np.ndarray:
    """Return an array in a nameless file on the disk of the cache; the system frees the file with its last user.

    Raises
    ------
    OutputError
        If the cache can't be written.
    """
    if not length:
        return np.empty(0, dtype)
    folder = cache_folder() / "decoded"
    with writable(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.truncate(length * dtype.itemsize)
            return np.memmap(file, dtype, "r+", shape=length)


def first_line(url: str, access: Access = OPEN) -> bytes:
    """Return the first line of a file; of a remote file, only the beginning is fetched, unless it is zipped.

    Raises
    ------
    DataError
        If the file can't be read, or ends before the size that the server gives.
    """
    if url.lower().endswith(ZIPPED):
        url = local_copy(url, access)
    text = b""
    with access.asking(url, "read"):
        if is_local(url):
            with open(url, "rb") as file:
                return file.readline()
        fs, path = access.open(url)
        with fs.open(path, "rb", block_size=1 << 18) as file:
            while b"\n" not in text and (more := file.read(1 << 17)):
                text += more
            if b"\n" not in text and len(text) < (file.size or 0):
                raise DataError(f"{url}: was cut off: {len(text)} bytes came of {file.size}; run it again")
    return text.partition(b"\n")[0] + b"\n" if text else text
