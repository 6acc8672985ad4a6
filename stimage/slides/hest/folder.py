"""HEST-1k's folder: its samples, each with its files and metadata, or with the reason why it can't be read."""

import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from stimage.core.access import Access, is_local
from stimage.core.errors import DataError
from stimage.core.storage import list_folder, local_copy
from stimage.core.tables import number_of, read_table
from stimage.slides.hest.metadata import SCALE, grid_of, known, meta_row, read_metadata, size_of
from stimage.slides.names import check_name, fold_name

COUNTS, IMAGES, METADATA = "st", "wsis", "metadata"
SUFFIXES = {COUNTS: ".h5ad", IMAGES: ".tif", METADATA: ".json"}
THREADS = 16  # that wait for a server
AGREE = 0.01  # by which the table and a sample's own metadata may differ in a pixel's size
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sample:
    """A sample of which there are counts or an image.

    ``files`` has those of a slide's parts that are there, ``row`` what HEST says as a row of the meta file; both as a
    root's have them; ``grid_um`` the pitch and the diameter of spots, and ``image_size`` width and height of the image,
    as HEST says. ``problem`` is what keeps the sample from being read.
    """

    files: Mapping[str, Any]
    row: Mapping[str, str]
    problem: str | None
    grid_um: tuple[float, float] | None = None
    image_size: tuple[int, int] | None = None


def read_samples(root: str, access: Access) -> list[Sample]:
    """List the samples of a folder, sorted by name; none if the folder is not HEST's. No .h5ad and no image is opened.

    On this machine, the metadata of a sample go before the table of samples. For a remote folder, the table is enough.
    """
    found = {part: _files(root, part, access) for part in SUFFIXES}
    if not found[COUNTS] or not (found[METADATA] or found[IMAGES]):
        return []
    names = {fold: name for part in (IMAGES, COUNTS) for fold, (name, _) in found[part].items()}
    table = _table(root, access)
    if more := len(found[METADATA].keys() - names):
        log.info("%s: %d samples have metadata, but neither counts nor an image here", root, more)

    def sample(fold: str) -> Sample:
        name, files = names[fold], {part: found[part][fold][1] for part in SUFFIXES if fold in found[part]}
        return _sample(root, name, files, table.get(fold), access)

    with ThreadPoolExecutor(1 if is_local(root) else THREADS) as pool:
        return list(pool.map(sample, sorted(names)))


def _files(root: str, part: str, access: Access) -> dict[str, tuple[str, dict]]:
    """Return folded id → id and file, of one folder; an id may have dots."""
    found, suffix = {}, SUFFIXES[part]
    for filename, file in list_folder(root, part, access).items():
        if filename.lower().endswith(suffix):
            name = filename[: -len(suffix)]
            check_name(name, file["url"])
            if (fold := fold_name(name)) in found:
                raise DataError(f"{file['url']}: sample {name!r} already has {found[fold][1]['url']}; remove one")
            found[fold] = name, file
    return found


def _table(root: str, access: Access) -> dict[str, Mapping[str, Any]]:
    """Return what the newest table of samples says, by folded id; a download of some samples has none."""
    files = list_folder(root, "", access)
    tables = [name for name in files if name.startswith("HEST_v") and name.endswith(".csv")]
    if not tables:
        return {}
    url = files[max(tables, key=_version)]["url"]
    return {fold_name(row["id"].strip()): known(row) for row in read_table(url, ["id"], access=access)[1]}


def _version(name: str) -> list[int]:
    return [int(part) for part in name.removeprefix("HEST_v").removesuffix(".csv").split("_") if part.isdecimal()]


def _sample(root: str, name: str, files: Mapping[str, dict], row: Mapping[str, Any] | None, access: Access) -> Sample:
    parts = {"coord": COUNTS, "counts": COUNTS, "image": IMAGES}  # a slide's part → where it is
    own = {part: {**files[at], "size": None} for part, at in parts.items() if at in files}
    where, problem, told = f"{root}/{METADATA}/{name}.json", None, dict(row or {})
    try:
        if METADATA in files and (is_local(root) or not row):
            url = files[METADATA]["url"]
            told = _together(told, read_metadata(local_copy(url, access), url), url)
        elif not row:
            raise DataError(f"{where}: is missing, and no table of samples has {name}")
        described = meta_row(name, told, where)
    except DataError as error:
        problem, described, told = str(error), {"slide": name, "tech": "Visium"}, {}
    for at in (COUNTS, IMAGES):
        if at not in files:
            problem = f"{root}/{at}/{name}{SUFFIXES[at]}: is missing"
    return Sample({"name": name, **own}, described, problem, grid_of(told), size_of(told))


def _together(row: dict[str, Any], own: dict[str, Any], url: str) -> dict[str, Any]:
    """Return both, a sample's own metadata before the table; where they contradict each other in scale, tell it."""
    here, there = (number_of(str(told.get(SCALE, ""))) for told in (own, row))
    if abs(here - there) > AGREE * abs(there):  # not if one says nothing, which is NaN
        log.warning("%s: %s is %g, but %g in the table of samples", url, SCALE, here, there)
    return row | own
