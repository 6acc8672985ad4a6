"""Publish results as a data set on the Hub, with all that they are computed from."""

from dataclasses import dataclass
from pathlib import Path

from stimage.core.arguments import path_of
from stimage.core.errors import DataError, shown
from stimage.core.results import RESULTS
from stimage.evaluation.saved.card import write_card
from stimage.evaluation.saved.manifest import EMBEDDINGS, seal_all, seal_more
from stimage.jobs.results.verifying import verify
from stimage.publishing.pushing import open_repository, push_folder


@dataclass(frozen=True)
class PublishedResults:
    """The ``folder``, which ``datasets.load_dataset`` reads, and its ``address`` on the Hub, or None."""

    folder: Path
    address: str | None


def publish_results(
    folder: str | Path, *, push_to_hub: str | None = None, public: bool = False, license: str | None = None
) -> PublishedResults:
    """Make a data set of a folder of results, which `datasets.load_dataset` reads without our code, and upload it.

    Results are published only if they can be computed again: see `verify`. Embeddings that a benchmark keeps are not
    uploaded: they are large, and the terms of some encoders forbid it.

    Parameters
    ----------
    folder
        A folder that `probe`, `predict`, `retrieve` or `benchmark` wrote. It gets a card and ``figures.parquet``.
    push_to_hub, public
        The data set on the Hub to upload the folder as, such as "user/results". A new one is private, unless
        ``public``. None uploads nothing.
    license
        The licence of the results, for the card.

    Returns
    -------
    PublishedResults
        The folder, and its address on the Hub.

    Raises
    ------
    DataError
        If the results can't be computed again, or the Hub refuses.

    Examples
    --------
    >>> import stimage, datasets
    >>> folder = stimage.publish_results("benchmarked").folder
    >>> figures = datasets.load_dataset(str(folder), "figures", split="test")
    >>> "overall" in figures["scope"]
    True
    """
    folder = path_of(folder, "folder")
    if wrong := verify(folder):
        raise DataError(
            f"{folder}: its figures differ from those that its files give, so it is not published: {shown(wrong, 3)}; "
            "make these results again"
        )
    repo = open_repository(push_to_hub, public) if push_to_hub else "user/results"
    written = write_card(folder, repo, license)
    if (folder / RESULTS).exists():
        seal_more(folder, written)
    else:
        seal_all(folder)
    if not push_to_hub:
        return PublishedResults(folder, None)
    sent = push_folder(folder, repo, message="Add results", mirrored="**", left_out=(f"{EMBEDDINGS}/**",))
    return PublishedResults(folder, sent)
