"""Files of a root, on disk or behind any fsspec URL: listing folders and getting a local copy."""

import os
from urllib.parse import unquote

import aiohttp
import fsspec
from datasets import DownloadConfig
from datasets.utils.file_utils import cached_path

from stimage.errors import DataError


def is_local(url: str) -> bool:
    """Say whether a URL is a plain path of this machine."""
    return "://" not in url


def normal_root(url: str | os.PathLike) -> str:
    """Return a root's path absolute and with ``~`` expanded, or its URL without a slash at the end."""
    url = os.fspath(url).removeprefix("file://")
    return os.path.abspath(os.path.expanduser(url)) if is_local(url) else url.rstrip("/")


def list_folder(root: str, folder: str) -> dict[str, dict]:
    """List the files of one folder of a root, empty if there is no such folder.

    Returns
    -------
    dict
        File name → ``{"url": full path or URL, "size": bytes or None, "stamp": what changes when the file does}``.
    """
    fs, path = fsspec.core.url_to_fs(f"{root}/{folder}".rstrip("/"))
    try:
        entries = fs.ls(path + "/" if "http" in fs.protocol else path, detail=True)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, aiohttp.ClientError) as error:
        raise DataError(f"{root}/{folder}: cannot be listed: {error}") from error
    files = {}
    for entry in entries:
        if entry["type"] == "file":
            name = entry["name"].rsplit("/", 1)[-1]
            stamp = next((str(entry[k]) for k in ("ETag", "blob_id", "mtime", "last_modified") if entry.get(k)), "")
            url = entry["name"] if is_local(root) else fs.unstrip_protocol(entry["name"])
            name = unquote(name) if "http" in fs.protocol else name
            files[name] = {"url": url, "size": entry.get("size"), "stamp": stamp}
    return files


def local_copy(url: str) -> str:
    """Return a path of this machine that holds a file: the file itself, or its copy in the Hugging Face cache.

    A remote file is fetched whole, once, with a progress bar, and again only when its ETag says that it changed. That
    a slide's files are cached before they are read, rather than streamed, keeps one way of reading them: spots come in
    the image's order, which needs the counts in any order, and every further epoch reads from disk.

    Raises
    ------
    DataError
        If the file cannot be fetched.
    """
    if is_local(url):
        return url
    try:
        return cached_path(url, DownloadConfig(download_desc=f"Fetching {url.rsplit('/', 1)[-1]}"))
    except (OSError, aiohttp.ClientError) as error:
        raise DataError(f"{url}: cannot be fetched: {error}") from error


def first_line(url: str) -> bytes:
    """Return a file's first line; of a remote file, only its beginning is fetched."""
    if is_local(url):
        with open(url, "rb") as file:
            return file.readline()
    text = b""
    try:
        with fsspec.open(url, "rb", block_size=1 << 18).open() as file:
            while b"\n" not in text and (more := file.read(1 << 17)):
                text += more
    except (OSError, aiohttp.ClientError) as error:
        raise DataError(f"{url}: cannot be fetched: {error}") from error
    return text.partition(b"\n")[0] + b"\n" if text else text
