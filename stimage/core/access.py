"""Access to servers of files: their tokens and options, and their errors as one kind of error."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import fsspec

from stimage.core import hub
from stimage.core.errors import DataError, one_line

PATIENT: dict[str, Any] = {
    "total": None,
    "sock_connect": 60,
    "sock_read": 300,
}  # seconds; by default, a file has five minutes
# File systems that were opened. A forked process (num_proc=, a DataLoader's worker) forgets its copies; were they then
# collected, they would close the connections that this process goes on with, and it would wait for an answer in vain.
_kept: set[fsspec.AbstractFileSystem] = set()


@dataclass(frozen=True)
class Access:
    """A user's access to a server of files. It travels with slides, and is part of no name, key or message.

    Parameters
    ----------
    storage_options
        Options of `fsspec.core.url_to_fs` for the URL's protocol, such as ``{"headers": {"Authorization": …}}`` for
        ``https://`` or ``{"anon": True}`` for ``s3://``.
    token
        The token of the Hub, for ``hf://``. True takes the token of the Hub's login, and None takes it if there is one.
    """

    storage_options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    token: str | bool | None = field(default=None, repr=False)

    def open(self, url: str) -> tuple[fsspec.AbstractFileSystem, str]:
        """Return the file system of a URL, and the URL's path there."""
        protocol, others = url.partition("://")[0], fsspec.available_protocols()  # datasets adds options of "hf"
        options = {key: value for key, value in self.storage_options.items() if key == protocol or key not in others}
        if url.startswith("hf://") and self.token is not None:
            options["token"] = self.token
        if url.startswith(("http://", "https://")):
            from aiohttp import ClientTimeout  # here, since it takes long to import

            configured = fsspec.config.conf.get(protocol, {}).get("client_kwargs", {})
            given = {"trust_env": True, "timeout": ClientTimeout(**PATIENT)}
            options["client_kwargs"] = {**given, **configured, **options.get("client_kwargs", {})}
        if url.startswith("hf://"):
            hub.limit_waiting()
        fs, path = fsspec.core.url_to_fs(url, **options)
        _kept.add(fs)
        return fs, path

    @contextmanager
    def asking(self, url: str, what: str) -> Iterator[None]:
        """Turn any error of a file system, which may be of many families, into a `DataError` with the URL."""
        try:
            yield
        except DataError:
            raise
        except Exception as error:
            raise DataError(f"{url}: cannot be {what}: {self._reason(error, url)}") from None

    def _reason(self, error: BaseException, url: str) -> str:
        """Say what went wrong, without what is secret, and what the server may be missing."""
        if is_local(url) and isinstance(error, OSError):
            return one_line(error)
        if isinstance(error, FileNotFoundError) and error.__cause__:  # fsspec says so of any answer but the file
            error = error.__cause__
        text = one_line(f"{type(error).__name__}: {error}", 400)
        for secret in [*_texts_in(self.storage_options), *_texts_in(self.token)]:
            text = text.replace(secret, "…")
        if late := url.startswith("hf://") and hub.too_late(error):
            return f"{text}; {late}"
        if not _refuses(error):
            return text
        if url.startswith("hf://"):
            return f"{text}; pass token=, or log in with `hf auth login` (in scripts: set HF_TOKEN)"
        return f"{text}; pass what the server asks for as storage_options= (in scripts: fsspec's configuration files)"


OPEN = Access()  # to what asks for nothing


def _texts_in(options: Any) -> Iterator[str]:
    """Yield the texts in what a user passes, but for addresses and single words that may stand in any message."""
    if isinstance(options, Mapping):
        options = list(options.values())
    if isinstance(options, str):
        if len(options.strip()) > 5 and "://" not in options:
            yield options.strip()
    elif isinstance(options, Iterable):
        for option in options:
            yield from _texts_in(option)


def _refuses(error: BaseException) -> bool:
    """Say whether a server wants a login; the Hub answers that a private repository is not there."""
    status = getattr(error, "status", None) or getattr(getattr(error, "response", None), "status_code", None)
    return isinstance(error, PermissionError) or status in (401, 403) or hub.says_private(error)


def is_local(url: str) -> bool:
    """Return whether a URL is a plain path on this machine."""
    return "://" not in url
