"""Sources of spots: a root or a published folder, here or on the Hub, as one streamed data set per slide."""

import glob
import logging
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
from datasets.packaged_modules.parquet.parquet import ParquetConfig

import stimage_1k4m
from stimage.core.access import OPEN, Access, is_local
from stimage.core.errors import DataError, one_line, unreadable
from stimage.core.storage import list_folder, located
from stimage.examples.datasets_cache import for_streaming
from stimage.examples.published import VERIFIED, published_catalog, published_patch, shards_of
from stimage.slides.catalog import PUBLISHED, TECHS, Catalog, Filters, Slide, read_catalog
from stimage.slides.images.patches import Patch

FAILED = re.compile(r"Failed to read (?:file|schema from) '(.*?)' with error ")
_parquet_log = logging.getLogger(ParquetConfig.__module__)


@dataclass(frozen=True)
class Source:
    """A root, or a folder that build_shards made.

    Attributes
    ----------
    location
        Path or URL; ``user/repo`` is a data set on the Hub, unless there is such a folder.
    reading
        For a root only: the builder's options for cutting patches (``patch``, ``upsample``, ``pyramid``, ``um_per_px``,
        ``on_mismatch``, ``max_image_pixels``).
    access
        Access to the location's server.
    """

    location: str
    published: bool
    reading: dict
    access: Access = field(default=OPEN, repr=False)

    def slides(self, techs: tuple[str, ...] = TECHS, filters: Filters | None = None) -> list[Slide]:
        """Return the slides that match; raises `DataError` as `Catalog.select` does."""
        return self.catalog.of_techs(techs).select(filters or Filters(), self.reading.get("on_mismatch", "error"))

    @cached_property
    def catalog(self) -> Catalog:
        """All slides; the location is listed once."""
        read = published_catalog if self.published else read_catalog
        return read(self.location, access=self.access).with_scales(self.reading.get("um_per_px"))

    @cached_property
    def patch(self) -> Patch | None:
        """The size of patches, also for a published folder; None where it is unknown."""
        if self.published:
            return published_patch(self.location, self.access)
        return Patch.parse(self.reading.get("patch"), *(bool(self.reading.get(one)) for one in ("upsample", "pyramid")))

    def spots(
        self, slide: Slide, columns: Sequence[str], genes: Mapping[str, Any] | None = None
    ) -> datasets.IterableDataset:
        """Stream these columns of one slide's spots, in the same order from a root and from shards.

        ``genes`` has the options of the column ``expression``: ``panel``, ``normalise`` and ``gene_table``.
        """
        genes = dict(genes or {})
        server: dict[str, Any] = {"storage_options": dict(self.access.storage_options), "token": self.access.token}
        if self.published:
            if not self.shards(slide):
                raise DataError(f"{self.location}: has no shard of slide {slide.name!r}; build the shards again")
            if genes:
                options = {"slides": [slide.name], "columns": columns, **genes, **server}
                (spots,) = stimage_1k4m.load(slide.tech, self.location, None, **options).values()
                return spots.select_columns(columns)
            files = list(map(glob.escape, self.shards(slide)))  # it takes them for patterns
            options = {
                "data_files": files,
                "columns": list(columns),
                "cache_dir": for_streaming(),
                **VERIFIED,
                **server,
            }
            return datasets.load_dataset("parquet", split="train", streaming=True, **options).select_columns(columns)
        options = {"slides": [slide.name], "splits": "none", "columns": columns, **self.reading, **genes, **server}
        builder = stimage_1k4m.STimage1K4M(config_name=slide.tech, root=self.location, catalog=self.catalog, **options)
        return builder.as_streaming_dataset("train").select_columns(columns)

    def shards(self, slide: Slide) -> list[str]:
        """Return the files of a slide in a published folder, in order; none in a root."""
        return self._shards.get(slide.name, []) if self.published else []

    @cached_property
    def _shards(self) -> dict[str, list[str]]:
        """Slide name → its shards in order; a folder is listed once."""
        return {slide: [file for _, file in files] for slide, files in shards_of(self.location, self.access).items()}


def open_source(location: str, access: Access = OPEN, **reading: Any) -> Source:
    """Open a root or a published folder, whichever it is.

    Raises
    ------
    DataError
        If options ask for other patches than those of the shards.
    """
    location = located(location, access)
    published = PUBLISHED in list_folder(location, "", access)
    cut = reading.get("patch") not in (None, "original") or reading.get("um_per_px") is not None
    if published and cut:
        raise DataError(f"{location}: is a published folder, whose patches are cut already; leave out patch= and "
                        "um_per_px= (--patch-um, --patch-px, --um-per-px), or pass the root that it was made "
                        "of")  # fmt: skip
    return Source(location, published, {} if published else reading, access)


@contextmanager
def reading(what: str, files: Callable[[], Iterable[str]] = tuple) -> Iterator[None]:
    """Turn the errors of datasets for a damaged Parquet file into a `DataError` that names the file.

    Parameters
    ----------
    what
        The name in the error where no file is known to be damaged.
    files
        Function that returns the files that are read. If datasets does not name the damaged one, each file on this
        machine is tried.
    """
    heard = _Heard(threading.get_ident())
    _parquet_log.addHandler(heard)
    try:
        yield
    except DataError:
        raise
    except (OSError, ValueError, pa.ArrowException) as error:
        where = heard.file or getattr(error, "filename", None)
        if not where and isinstance(error, OSError):  # as a checksum that differs
            where = next((file for file in files() if is_local(file) and _is_damaged(file)), None)
        why = f"cannot be read ({one_line(error)}); get or make it again"
        raise unreadable(where or what, error, why) from error
    finally:
        _parquet_log.removeHandler(heard)


class _Heard(logging.Handler):
    """Hears which file datasets' Parquet reader was at, in one thread, when it failed: its log names the file."""

    def __init__(self, thread: int):
        super().__init__()
        self.thread = thread
        self.file: str | None = None

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self.thread and (found := FAILED.match(record.getMessage())):
            self.file = found[1]


def _is_damaged(file: str) -> bool:
    """Read a Parquet file, with the checksums of its pages, to tell whether this fails."""
    try:
        with pq.ParquetFile(file, page_checksum_verification=True) as parquet:
            for _ in parquet.iter_batches():
                pass
    except (OSError, ValueError, pa.ArrowException):
        return True
    return False
