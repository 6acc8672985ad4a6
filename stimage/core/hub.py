"""Files of the Hub: all from one commit, through the Hub's own cache."""

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from stimage.core.errors import DataError, one_line

if TYPE_CHECKING:
    from huggingface_hub import HfApi

WRITES = 300  # seconds, at least: the Hub may need minutes to answer a commit of many files

KINDS = {"datasets": "dataset", "spaces": "space", "models": "model", None: "model"}
REVISION = r"refs/(?:convert|pr)/[^/]+|[^/]+"
URL = re.compile(rf"hf://(?:(datasets|spaces|models)/)?((?!buckets/)[^/@]+/[^/@]+)(?:@({REVISION}))?(?:/(.*))?")
COMMIT = re.compile(r"@[0-9a-f]{40}(/|$)")


def is_pinned(path: str) -> bool:
    """Say whether a path names its commit, so that what it leads to never changes."""
    return bool(COMMIT.search(path))


def says_private(error: BaseException) -> bool:
    """Say whether the Hub does not show a repository, be it private, gated or not there."""
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    return isinstance(error, RepositoryNotFoundError | GatedRepoError)


def pinned(url: str, token: str | bool | None, options: Mapping[str, Any]) -> str:
    """Return a URL of the Hub with the commit that its revision is at; any other URL as it is."""
    match = URL.fullmatch(url)
    if not match or is_pinned(url):
        return url
    kind, repository, revision, path = match.groups()
    api = hub_api(token, options)
    info = api.repo_info(repository, repo_type=KINDS[kind], revision=revision and unquote(revision))
    return "/".join(filter(None, ["hf:/", kind, f"{repository}@{info.sha}", path]))


def copy(url: str, token: str | bool | None, options: Mapping[str, Any]) -> str | None:
    """Return the path of a file's copy in the Hub's cache, fetched if need be; None if the URL is not of the Hub."""
    match = URL.fullmatch(url)
    if not match:
        return None
    kind, repository, revision, path = match.groups()
    api = hub_api(token, options)
    try:
        return api.hf_hub_download(repository, path, repo_type=KINDS[kind], revision=revision and unquote(revision))
    except OSError as error:
        if why := not_kept(error):
            raise DataError(f"{url}: {why}") from None
        raise


def not_kept(error: BaseException) -> str:
    """Return why a file can't be kept in the Hub's cache, and the remedy; "" for errors that have another cause."""
    from huggingface_hub import constants

    if not isinstance(error, OSError) or not error.errno or not isinstance(error.filename, str):
        return ""
    if not Path(error.filename).is_relative_to(constants.HF_HUB_CACHE):
        return ""
    why = f"{error.filename}: cannot be written ({one_line(error)}); set HF_HUB_CACHE to another folder"
    return f"cannot be kept in the Hub's cache: {why}"


def hub_api(token: str | bool | None = None, options: Mapping[str, Any] = MappingProxyType({})) -> "HfApi":
    """Return the Hub's client, none of whose requests waits for ever."""
    from huggingface_hub import HfApi  # here, since it takes long to import

    limit_waiting()
    return HfApi(options.get("endpoint"), token)


def limit_waiting() -> None:
    """Let each request of this process to the Hub end in time; by itself, the client limits downloads alone."""
    from huggingface_hub import get_session

    hooks = get_session().event_hooks["request"]
    if _limit not in hooks:
        hooks.append(_limit)


def _limit(request: Any) -> None:
    """Limit the time that a request may wait for the next byte, where it has no limit of its own."""
    from huggingface_hub import constants

    seconds = constants.HF_HUB_DOWNLOAD_TIMEOUT
    seconds = seconds if request.method in ("GET", "HEAD") else max(seconds, WRITES)
    own = request.extensions.get("timeout", {})
    request.extensions["timeout"] = {part: own.get(part) or seconds for part in ("connect", "read", "write", "pool")}


def too_late(error: BaseException | None) -> str:
    """Return the remedy for an answer of the Hub that did not come in time; "" for errors that have another cause."""
    while error:
        if any(kind.__name__ == "TimeoutException" for kind in type(error).__mro__):
            return "no byte came in time: run it again, or set HF_HUB_DOWNLOAD_TIMEOUT to more seconds"
        error = error.__cause__
    return ""
