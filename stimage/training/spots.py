"""Training and held-out spots in any order: memory-mapped examples, and what the second tower is given of each."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from transformers import PreTrainedTokenizerBase

import stimage_1k4m
from stimage.core.errors import DataError
from stimage.core.files import room_for
from stimage.examples.datasets_cache import for_preparing
from stimage.examples.registering import raise_cause
from stimage.loading.ahead import Batches, Begun, Memory, Task
from stimage.loading.pixels import augment
from stimage.loading.sources import VERIFIED, open_source, reading
from stimage.loading.tensors import BATCH_COLUMNS, begin_batch
from stimage.training.data.parts import Parts
from stimage.training.data.preparing import prepare_root
from stimage.training.second.making import second_inputs
from stimage.training.second.spot_tables import BLOCK, SecondInput, SpotTable
from stimage.training.settings.groups import Settings


@dataclass(frozen=True, eq=False)
class TrainingSpots:
    """Examples of a data set, by row: read from disk as they are asked for.

    Attributes
    ----------
    table
        `datasets.Dataset` in Arrow format.
    slides, slide
        Names of the slides, and each row's place among them (int32).
    place
        Each row's x and y in µm (n x 2, float32), where the objective asks for neighbours; else None.
    other
        Turns a batch into what the second tower takes, by its name in the model's forward.
    image_size
        Pixels along a side of the images; None leaves them as they are.
    vectors
        Each row's vector (n x d, float32) in place of its image; None where images are read.
    """

    table: datasets.Dataset
    slides: tuple[str, ...]
    slide: np.ndarray
    other: SecondInput
    image_size: int | None = None
    augmented: bool = False
    seed: int = 0
    place: np.ndarray | None = None
    vectors: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.slide)

    @property
    def labels(self) -> np.ndarray:
        """The pathologist's label of each row, or None."""
        return np.array(self.table.select_columns(["annotation"])[:]["annotation"].to_pylist(), object)

    def begin(self, epoch: int, rows: np.ndarray, memory: Memory | None = None) -> tuple[dict, list[Task]]:
        """Return rows as tensors, and the tasks that fill the images, augmented by place in the data set and epoch."""

        def augmented(images: torch.Tensor, some: slice) -> torch.Tensor:
            return augment(images, [(self.seed, epoch, row) for row in rows[some].tolist()])

        change = augmented if self.augmented else None
        batch, tasks = begin_batch(self.table[rows.tolist()], self.image_size, memory, change)
        seen = (
            {"images": batch.images}
            if self.vectors is None
            else {"image_vectors": torch.from_numpy(self.vectors[rows])}
        )
        return {**seen, **self.other(batch), **self.places(rows)}, tasks

    def told(self, rows: np.ndarray) -> dict[str, torch.Tensor]:
        """Return what objectives may ask for of rows: `places`, and the second tower's input; no image is decoded."""
        batch, _ = begin_batch(self._without_images[rows.tolist()])
        return self.other(batch) | self.places(rows)

    @cached_property
    def _without_images(self) -> datasets.Dataset:
        return self.table.select_columns([name for name in self.table.column_names if name != "image"])

    def inputs(self) -> Iterator[dict[str, torch.Tensor]]:
        """Yield the second tower's input of all spots, a thousand at a time and in order."""
        for begin in range(0, len(self), BLOCK):
            yield self.told(np.arange(begin, min(begin + BLOCK, len(self))))

    def places(self, rows: np.ndarray) -> dict[str, torch.Tensor]:
        """Return where rows are in the data set and, if asked for, on the tissue: what objectives know of them."""
        found = {"row": torch.from_numpy(rows.astype(np.int64))}
        if self.place is None:
            return found
        return found | {"slide": torch.from_numpy(self.slide[rows].astype(np.int64)),
                        "place": torch.from_numpy(self.place[rows])}  # fmt: skip


class TrainingBatches(Batches):
    """Batches of rows, in their order: each is an epoch and rows."""

    def __init__(self, spots: TrainingSpots, batches: Sequence[tuple[int, np.ndarray]]):
        self.spots, self.batches = spots, batches

    def begin(self, memory: Memory, worker: int, workers: int) -> Begun:
        for epoch, rows in self.batches[worker::workers]:  # a DataLoader asks its workers in turn
            yield self.spots.begin(epoch, rows, memory)


def load_spots(
    settings: Settings,
    parts: Parts,
    image_size: int | None = None,
    tokenizer: PreTrainedTokenizerBase | None = None,
    genes: Sequence[str] | None = None,
) -> tuple[TrainingSpots, TrainingSpots | None]:
    """Load the spots to train on and those held out (None where nothing is), prepared once in the data sets' cache.

    Parameters
    ----------
    image_size
        Pixels along a side; None leaves images as they are.
    tokenizer
        Of a text tower.
    genes
        The vocabulary of a tower of sets that was trained before.

    Raises
    ------
    DataError
        If they can't be loaded, or do not have what the second tower takes.
    """
    source = open_source(settings.data.source)
    load = _published if source.published else prepare_root
    train, held_out = load(settings, parts)
    if train is None or not len(train):
        raise DataError(f"{settings.data.source}: no spot is left to train on; loosen the filters or the splits")
    loaded = [part for part in (train, held_out) if part is not None]
    names = None if "expression" in train.features else stimage_1k4m.gene_names(loaded, root=settings.data.source)
    tables = [_table(part) for part in loaded if len(part)]
    others = second_inputs(settings, source, tables, names, tokenizer, genes)
    spots = []
    for part, table, other in zip(loaded, tables, others):
        near = settings.loss.neighbour_um
        place = None if near is None else _in_um(part, table.slides, table.slide)
        if near is not None and place is not None:
            check_neighbours(near, place, table.slide)
        augmented = settings.data.augment and not spots
        spots.append(TrainingSpots(table.table, table.slides, table.slide, other, image_size, augmented,
                                   settings.run.seed, place))  # fmt: skip
    return spots[0], spots[1] if spots[1:] else None


def _table(part: datasets.Dataset) -> SpotTable:
    table = part.select_columns([name for name in BATCH_COLUMNS if name in part.features]).with_format("arrow")
    column = table.select_columns(["slide"])[:]["slide"].combine_chunks().dictionary_encode()
    return SpotTable(table, tuple(column.dictionary.to_pylist()), column.indices.to_numpy())


def _in_um(part: datasets.Dataset, slides: Sequence[str], slide: np.ndarray) -> np.ndarray:
    """Return x and y of all spots in µm; `DataError` of a slide whose scale is not known."""
    columns = part.with_format("arrow").select_columns(["x", "y", "um_per_px"])[:]
    x, y, scale = (columns[name].to_numpy().astype(np.float32) for name in ("x", "y", "um_per_px"))
    if (unknown := np.isnan(scale)).any():
        raise DataError(
            f"slide {slides[slide[unknown.argmax()]]}: its µm per pixel are not known, so distances for "
            "loss.neighbour_um cannot be measured; give data.um_per_px, or leave out loss.neighbour_um"
        )
    return np.column_stack([x, y]) * scale[:, None]


def check_neighbours(neighbour_um: float, place: np.ndarray, slide: np.ndarray) -> None:
    """Raise `DataError` if all spots of each slide (place: n x 2, in µm) are neighbours, so none is a negative."""
    sides = [np.ptp(place[slide == k], axis=0) for k in np.unique(slide)]
    across = max(float(np.hypot(*side)) for side in sides)
    if neighbour_um >= across:
        raise DataError(
            f"loss.neighbour_um: is {neighbour_um:g}, but the spots of the largest slide lie within {across:.0f} µm, "
            "so no spot would be a negative of another spot of its slide; make it less"
        )


def _published(settings: Settings, parts: Parts) -> Iterator[datasets.Dataset | None]:
    """Load the same of published spots, whichever of the folder's splits they are in."""
    data = settings.data
    named = () if settings.towers.second == "set" else ("gene_table",)  # a set's genes are joined by name anyway
    there, cut = open_source(data.source).patch, ["patch_um", "patch_px", "upsample", "pyramid"]
    if there is not None and (there.um, there.px) == (data.patch_um, data.patch_px):
        cut = cut[2:]
    for name in (*([] if data.image_vectors else cut), "um_per_px", *named):
        if getattr(data, name):
            raise DataError(
                f"{data.source}: is published, so its patches are cut and its genes named already. Leave out "
                f"data.{name} (or write data.{name}=null), or pass the root that it was made from"
            )
    cache: dict[str, Any] = {"cache_dir": for_preparing()}
    chosen = {}
    if data.image_vectors:
        features = _load(datasets.load_dataset_builder, data.source, data.tech, **cache).info.features or ()
        chosen = {"columns": [name for name in features if name != "image"]}
    loaded = _load(datasets.load_dataset, data.source, data.tech, **VERIFIED, **cache, **chosen)
    every = datasets.concatenate_datasets(list(loaded.values()))
    for names in (parts.train, parts.validation):
        yield _only(every, names) if names else None


def _only(table: datasets.Dataset, slides: Sequence[str]) -> datasets.Dataset:
    column = table.with_format("arrow").select_columns(["slide"])[:]["slide"]
    return table.select(np.flatnonzero(pc.is_in(column, pa.array(slides, pa.string())).to_numpy()))


def _load(load: Callable, source: str, *arguments: Any, **options: Any) -> Any:
    with reading(source):
        try:
            with room_for(options["cache_dir"]), raise_cause():
                return load(source, *arguments, **options)
        except (OSError, ValueError, pa.ArrowException):
            raise
        except Exception as error:  # a damaged card is told by whatever datasets' parsing of it meets
            raise ValueError(f"its card, README.md, does not fit the files beside it: {error!r}") from error


def held_out_as_is(spots: TrainingSpots) -> TrainingSpots:
    """Return the same spots without augmentation."""
    return replace(spots, augmented=False)
