"""A downloaded hest-bench folder: tasks with their folds, genes, patches and expression."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stimage.core.errors import DataError, one_line, shown
from stimage.core.tables import read_table
from stimage.slides.counts.count_file import read_genes, rows_at
from stimage.slides.counts.hdf5_layout import opened
from stimage.slides.counts.row_index import kept_index
from stimage.slides.names import check_name

GENES = "var_50genes.json"
COLUMNS = ("sample_id", "patches_path", "expr_path")
IMAGES, BARCODES, PLACES = ("img", "imgs", "images"), ("barcode", "barcodes"), ("coords",)  # in files of patches


@dataclass(frozen=True)
class BenchSample:
    """A sample: its name, its file of patches (HDF5) and its expression (.h5ad)."""

    name: str
    patches: Path
    expression: Path


@dataclass(frozen=True)
class BenchFold:
    """Samples to train on and to test on, in the order of the files."""

    train: tuple[BenchSample, ...]
    test: tuple[BenchSample, ...]


@dataclass(frozen=True)
class BenchTask:
    """A task: its name, the genes to predict, and its folds."""

    name: str
    genes: tuple[str, ...]
    folds: tuple[BenchFold, ...]

    @property
    def samples(self) -> list[BenchSample]:
        """All samples, each once, in the order in which they are met."""
        return list(dict.fromkeys(one for fold in self.folds for one in (*fold.train, *fold.test)))


def find_tasks(folder: Path) -> list[str]:
    """Return the names of the tasks of a hest-bench folder: its folders that have splits.

    Raises
    ------
    DataError
        If it has none.
    """
    found = sorted(path.parent.name for path in folder.glob("*/splits") if path.is_dir())
    if not found:
        raise DataError(f"{folder}: has no task of HEST-Benchmark: folders such as IDC with splits, patches and adata; "
                        "pass a download of MahmoodLab/hest-bench")  # fmt: skip
    return found


def read_task(folder: Path, name: str, genes: str = GENES) -> BenchTask:
    """Read a task of a hest-bench folder.

    Parameters
    ----------
    genes
        The task's file of genes: JSON with the key "genes".

    Raises
    ------
    DataError
        If there is no such task, a fold lacks one of its two files, or a file is damaged or names one that is missing.
    """
    task = folder / name
    if not (task / "splits").is_dir():
        raise DataError(f"{folder}: has no task {name!r}, but {', '.join(find_tasks(folder))}")
    try:
        named = json.loads((task / genes).read_text(encoding="utf-8"))["genes"]
        panel = tuple(map(str, named))
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(f"{task / genes}: cannot be read as a list of genes ({one_line(error)})") from None
    if not isinstance(named, list) or not panel:
        raise DataError(f"{task / genes}: has no list of genes; download the task again")
    if twice := [gene for gene, n in Counter(panel).items() if n > 1]:
        raise DataError(f"{task / genes}: names {shown(twice)} twice; download the task again")
    files = sorted(path.name for path in (task / "splits").glob("train_*.csv"))
    numbers = range(len(files))
    if not files or {*files} != {f"train_{k}.csv" for k in numbers}:
        raise DataError(f"{task / 'splits'}: has {shown(files)} as folds; expected train_0.csv, train_1.csv and so on")
    folds = [BenchFold(*(_samples(task, f"{part}_{k}.csv") for part in ("train", "test"))) for k in numbers]
    for k, fold in enumerate(folds):
        if both := {one.name for one in fold.train} & {one.name for one in fold.test}:
            raise DataError(f"{task / 'splits'}: train_{k}.csv and test_{k}.csv both have {shown(sorted(both))}; a "
                            "sample that is trained on cannot be tested")  # fmt: skip
    return BenchTask(name, panel, tuple(folds))


def _samples(task: Path, file: str) -> tuple[BenchSample, ...]:
    _, rows = read_table(path := task / "splits" / file, COLUMNS)
    found = [BenchSample(row["sample_id"], task / row["patches_path"], task / row["expr_path"]) for row in rows]
    if not found:
        raise DataError(f"{path}: names no sample")
    if twice := [name for name, n in Counter(one.name for one in found).items() if n > 1]:
        raise DataError(f"{path}: names sample {twice[0]} twice")
    for one in found:
        check_name(one.name, str(path))
        for missing in (one.patches, one.expression):
            if not missing.is_file():
                raise DataError(f"{path}: sample {one.name}: there is no {missing}; download the task again")
    return tuple(found)


def read_patches(sample: BenchSample, size: int) -> Iterator[tuple[list[str], np.ndarray]]:
    """Yield a sample's patches in their order, ``size`` at a time: barcodes, and images (uint8, n x h x w x 3)."""
    with opened(str(sample.patches)) as file:
        images, barcodes = _data(file, sample, IMAGES), barcodes_in(file, sample)
        if images.ndim != 4 or images.shape[-1] != 3 or images.dtype != np.uint8 or len(images) != len(barcodes):
            raise DataError(f"{sample.patches}: its images are {images.dtype} {images.shape}, for {len(barcodes)} "
                            "barcodes; expected uint8, n x height x width x 3")  # fmt: skip
        for k in range(0, len(barcodes), size):
            yield barcodes[k : k + size], images[k : k + size]


def read_barcodes(sample: BenchSample) -> list[str]:
    """Return the barcodes of a sample's patches, in their order."""
    with opened(str(sample.patches)) as file:
        return barcodes_in(file, sample)


def read_places(sample: BenchSample) -> np.ndarray:
    """Return the places of a sample's patches (float64, n x 2), in pixels of the slide's image."""
    with opened(str(sample.patches)) as file:
        return np.asarray(_data(file, sample, PLACES)[:], np.float64).reshape(-1, 2)


def barcodes_in(file: h5py.File, sample: BenchSample) -> list[str]:
    """Return the barcodes of an open file of patches."""
    cells = np.ravel(_data(file, sample, BARCODES)[:]).tolist()
    return [cell.decode() if isinstance(cell, bytes) else str(cell) for cell in cells]


def read_counts_of(sample: BenchSample, barcodes: Sequence[str], genes: Sequence[str]) -> np.ndarray:
    """Return the counts of some spots and genes (float64, n x genes), in the order asked for.

    Raises
    ------
    DataError
        If the sample lacks a spot or a gene, naming it.
    """
    path = str(sample.expression)
    known, index = read_genes(path), kept_index(path)
    if lost := [gene for gene in genes if gene not in set(known)]:
        raise DataError(f"{path}: lacks {len(lost)} of the task's {len(genes)} genes: {shown(lost)}")
    at = pc.index_in(pa.array(barcodes, pa.string()), index.ids)
    if at.null_count:
        spot = barcodes[at.is_null().to_pylist().index(True)]
        raise DataError(f"{path}: has no spot {spot!r}, which {sample.patches} has a patch of")
    rows = at.to_numpy()
    places = np.full(len(known), -1)
    places[[known.index(gene) for gene in genes]] = np.arange(len(genes))
    return rows_at(path, known, index.start[rows], index.end[rows]).dense(places, len(genes)).astype(np.float64)


def _data(file: h5py.File, sample: BenchSample, names: Sequence[str]) -> h5py.Dataset:
    found = next((name for name in names if name in file), None)
    if found is None:
        raise DataError(f"{sample.patches}: has none of {', '.join(names)}, but {', '.join(file)}")
    return file[found]
