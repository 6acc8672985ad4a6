"""Publish a folder as a data set, or as a model, on the Hugging Face Hub.

The token is that of ``hf auth login`` or of HF_TOKEN. Only the Hub's client reads and sends it.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from huggingface_hub.errors import HTTPError

from stimage.core.errors import DataError, one_line
from stimage.core.hub import hub_api, too_late

LOG_IN = "log in with a token that may write there: run 'hf auth login', or set HF_TOKEN"
AGAIN = "run the same command again to go on"


def open_repository(repo: str, public: bool = False, kind: str = "dataset") -> str:
    """Make a repository unless it exists, and return its full name. Call it before the work: the Hub may refuse.

    ``kind`` is "dataset" or "model".

    Raises
    ------
    DataError
        If nobody is logged in, the Hub refuses or can't be reached, or the repository exists and is public where
        private was asked for, or the other way round.
    """
    with _explained(repo):
        api = hub_api()
        name = api.create_repo(repo, repo_type=kind, private=not public, exist_ok=True).repo_id
        private = api.repo_info(name, repo_type=kind).private
    if not private and not public:
        raise DataError(
            f"{name}: is public already; pass public=True (--public) if all may see the data, or another name"
        )
    if private and public:
        raise DataError(f"{name}: is private already; make it public in its settings, or leave out public= (--public)")
    return name


def push_folder(
    out: Path,
    repo: str,
    kind: str = "dataset",
    message: str = "Add spots",
    mirrored: str = "data/**",
    left_out: Sequence[str] = (),
) -> str:
    """Upload a finished folder as a repository that `open_repository` opened, and return its address.

    Files that the Hub already has are not sent again, so a repeated upload continues a broken one. Files of the pattern
    ``mirrored`` that the folder no longer has are removed. Hidden files, and those of ``left_out``, are not uploaded.

    Raises
    ------
    DataError
        If the Hub refuses, or the connection breaks.
    """
    with _explained(repo):
        api = hub_api()
        api.upload_folder(
            repo_id=repo, repo_type=kind, folder_path=out, commit_message=message,
            ignore_patterns=[".*", *left_out], delete_patterns=[mirrored],
        )  # fmt: skip
        return f"{api.endpoint}/{'datasets/' if kind == 'dataset' else ''}{repo}"


@contextmanager
def _explained(repo: str) -> Iterator[None]:
    """Turn what the client raises into one line with the remedy; a failed upload of a file is a RuntimeError there."""
    try:
        yield
    except (HTTPError, OSError, RuntimeError) as error:
        refused = getattr(getattr(error, "response", None), "status_code", None) in (401, 403)
        reason = one_line(" ".join(dict.fromkeys([str(error), str(error.__cause__ or "")])), 1000)
        raise DataError(f"{repo}: the Hub said: {reason}; {LOG_IN if refused else too_late(error) or AGAIN}") from None
