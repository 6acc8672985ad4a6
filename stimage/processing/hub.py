"""Uploading a published folder to the Hugging Face Hub."""

from pathlib import Path

from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError

from stimage.errors import DataError
from stimage.processing.shards import WORK


def push_folder(out: Path, repo: str, public: bool = False) -> str:
    """Upload a finished folder as a data set, private unless said otherwise, and return its address.

    What the Hub has already is not sent again, so a broken upload goes on when it is repeated. Shards that the folder
    no longer has are removed. The token is that of ``hf auth login`` or of HF_TOKEN.

    Raises
    ------
    DataError
        If nobody is logged in, or the Hub refuses.
    """
    api = HfApi()
    try:
        url = api.create_repo(repo, repo_type="dataset", private=not public, exist_ok=True)
        api.upload_folder(
            repo_id=url.repo_id, repo_type="dataset", folder_path=out, commit_message="Add spots",
            ignore_patterns=[f"{WORK}/**"], delete_patterns=["data/**"],
        )  # fmt: skip
    except LocalTokenNotFoundError:
        raise DataError(f"{repo}: nobody is logged in; run 'hf auth login', or set HF_TOKEN") from None
    except HfHubHTTPError as error:
        raise DataError(f"{repo}: the Hub refused: {error}; run the same command again to go on") from None
    return str(url)
