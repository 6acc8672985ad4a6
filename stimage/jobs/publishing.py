"""Publish a root as Parquet shards with a card, here or on the Hub."""

import logging
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from stimage.cells.columns import root_classes
from stimage.core.arguments import check_one_of, check_whole, path_of
from stimage.core.errors import DataError
from stimage.core.extras import how_to_install
from stimage.core.files import writable
from stimage.jobs.roots import Root, open_unpublished
from stimage.publishing.croissant import FILE, check_metadata, write_metadata
from stimage.publishing.engines import run_local, run_ray
from stimage.publishing.finishing import write_folder_files
from stimage.publishing.plan import CARD, Plan, drop_stale, job_shards, make_plan
from stimage.publishing.progress import with_progress
from stimage.publishing.pushing import open_repository, push_folder
from stimage.publishing.shards import ShardOptions
from stimage.slides.images.patches import Patch

ENGINES = ("local", "ray")
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Published:
    """What `publish` returns.

    Attributes
    ----------
    folder
        The folder; ``datasets.load_dataset(str(folder))`` reads it.
    address
        Where it is on the Hub, or None.
    report
        Groups, slides and spots of each split, as a Markdown table.
    notes
        What a curator should look at: slides left out, and the same image or counts under two names in one split.
    """

    folder: Path
    address: str | None
    report: str
    notes: tuple[str, ...]


def publish(
    root: str | Path | Root,
    out: str | Path,
    *,
    patch: Patch | Mapping | str = "original",
    upsample: bool = False,
    pyramid: bool = False,
    image_format: str = "png",
    jpeg_quality: int = 95,
    spots_per_shard: int = 20_000,
    cells: bool = False,
    push_to_hub: str | None = None,
    public: bool = False,
    license: str | None = None,
    engine: str = "local",
    workers: int = 0,
    progress: bool | None = False,
) -> Published:
    """Publish slides as a folder of Parquet shards that `datasets.load_dataset` reads without our code.

    Finished shards are kept, so the same call continues after an interruption, or when slides were added.

    Parameters
    ----------
    root
        A folder laid out as the data set, its URL, or a `Root` that `open_root` returned. The folder gets the root's
        splits.
    out
        The folder to publish: a new one, or the one of an earlier call with the same options.
    patch, upsample, pyramid
        The size of patches, as `load` takes them.
    image_format, jpeg_quality
        "png", which is lossless, or "jpeg" with a quality from 1 to 100.
    spots_per_shard
        Largest number of spots in a shard: larger slides get several shards.
    cells
        Whether examples have ``cells`` and ``cells_per_mm2``, as in `load`.
    push_to_hub, public
        The data set on the Hub to upload the folder as, such as "user/spots". A new one is private, unless ``public``.
    license
        The licence of the data, for the card, such as "cc-by-4.0".
    engine, workers
        "local" makes shards in this number of processes; 0 works in this process. "ray" makes them as tasks of Ray.
    progress
        True says how far the work is, None says it as the script does.

    Returns
    -------
    Published
        The folder, its address on the Hub, and what a curator should look at.

    Raises
    ------
    DataError
        If a slide can't be read; all others are then done, but the folder is not finished. If slides of two splits have
        the same image or counts, the folder was made with other options, or the Hub refuses.
    ValueError
        If an argument has a value that it can't have, such as a folder that `datasets.load_dataset` takes for a
        pattern.

    Examples
    --------
    >>> import stimage
    >>> root = stimage.open_root("sample", "ST")
    >>> published = stimage.publish(root, "published", patch={"um": 112, "px": 64}, upsample=True)
    >>> sorted(path.name for path in published.folder.glob("[a-zA-Z]*.*"))
    ['README.md', 'genes.parquet', 'measured.parquet', 'slides.parquet', 'splits.csv']
    >>> import datasets
    >>> spots = datasets.load_dataset("published", split="train", streaming=True)
    >>> next(iter(spots))["image"].size
    (64, 64)
    """
    check_one_of(engine, "engine", ENGINES)
    check_whole(workers, "workers")
    options = ShardOptions(
        Patch.parse(patch, upsample, pyramid), image_format, jpeg_quality, spots_per_shard=spots_per_shard
    )
    plan = plan_publishing(open_unpublished(root), out, options, cells)
    repo = open_repository(push_to_hub, public) if push_to_hub else "user/repo"
    if failed := build_shards(plan, engine, workers, progress=progress):
        many = f"{len(failed)} of {len(plan.shards)} shards failed; {plan.out / CARD} is not written:"
        raise DataError("\n".join([many, *failed]))
    done = plan.done()
    notes = write_folder_files(plan, done, repo, license)
    return Published(plan.out, push_folder(plan.out, repo) if push_to_hub else None, plan.report(done), tuple(notes))


def write_croissant(folder: str | Path, *, repo: str | None = None, license: str | None = None) -> Path:
    """Describe a published folder as Croissant metadata, which data set catalogues and loaders read.

    mlcroissant checks the file where it is installed. The log says so where it is not.

    Parameters
    ----------
    folder
        The folder that `publish` made.
    repo
        The data set on the Hub that the folder was pushed to, such as "user/spots"; the metadata then names the files
        there. None names the files beside the metadata.
    license
        The licence of the data.

    Returns
    -------
    pathlib.Path
        The file, ``metadata.json`` in the folder. `publish` removes the file when it makes further shards.

    Raises
    ------
    DataError
        If the folder is not a finished published folder, or mlcroissant finds a fault.

    Examples
    --------
    >>> import stimage
    >>> published = stimage.publish(stimage.open_root("sample", "ST"), "described")
    >>> stimage.write_croissant(published.folder, license="mit").name
    'metadata.json'
    """
    path = write_metadata(path_of(folder, "folder"), repo, license)
    if not check_metadata(path):
        log.warning("%s: is not checked, as mlcroissant is not installed; %s", path, how_to_install("mlcroissant"))
    return path


def plan_publishing(root: Root, out: str | Path, options: ShardOptions, cells: bool = False) -> Plan:
    """Plan a folder, and note its options in it; ``root`` gives the spots and their splits."""
    how = {name: root.source.reading[name] for name in ("on_mismatch", "max_image_pixels")}
    classes = root_classes(root.catalog.slides, root.location) if cells else None
    return make_plan(root.catalog, root.selection, out, replace(options, cells=classes, **how), root.splitting)


def build_shards(
    plan: Plan, engine: str = "local", workers: int = 0, part: str | None = None, progress: bool | None = False
) -> list[str]:
    """Make the missing shards, or part K/N of all shards, and return the errors."""
    done = plan.done()
    todo = [shard for shard in plan.shards if shard.name not in done]
    if part:
        wanted = {shard.name for shard in job_shards(plan.shards, *map(int, part.split("/")))}
        todo = [shard for shard in todo if shard.name in wanted]
    else:
        drop_stale(plan)
    tell = progress is not False
    if tell:
        print(f"{plan.out}: {len(plan.shards)} shards, {len(todo)} to make", file=sys.stderr, flush=True)
    if not todo:
        return []
    with writable(plan.out):
        for name in (CARD, FILE):  # what is said of the folder as it was
            (plan.out / name).unlink(missing_ok=True)
    outcomes = (run_ray if engine == "ray" else run_local)(todo, workers)
    if tell:
        outcomes = with_progress(outcomes, todo, sum(shard.slide.about_spots // shard.parts for shard in todo))
    failed = []
    for outcome in outcomes:
        if outcome.error:
            failed.append(outcome.error)
        if outcome.fatal:
            break
    return failed
