"""STimage-1K4M as a Hugging Face data set: spots of tissue slides, each an H&E image with its gene expression.

    import stimage_1k4m
    spots = stimage_1k4m.load("ST", "ROOT")

ROOT is a folder laid out as the data set: ST, Visium and VisiumHD with image, coord and gene_exp; annotation; meta.
Once this is imported, `load_dataset("stimage_1k4m", "ST", data_dir="ROOT", split="train", streaming=True)` is the same.
With datasets 3.x the same file is a loading script:
`load_dataset("path/to/stimage_1k4m.py", "ST", data_dir="ROOT", trust_remote_code=True)`.
"""

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field
from dataclasses import fields
from dataclasses import replace
from functools import cached_property
from typing import Any

import datasets
import pyarrow as pa
from datasets import Features
from datasets import Image
from datasets import Value

from stimage.collection.texts import read_lines
from stimage.genes.carried import carried_by
from stimage.genes.carried import names_of
from stimage.genes.carried import vocabulary_in
from stimage.genes.numbering import ids_digest
from stimage.genes.numbering import root_vocabulary
from stimage.genes.vocabulary import load_as_it_was
from stimage.genes.vocabulary import load_vocabulary
from stimage.processing.contents import Contents
from stimage.processing.contents import plain
from stimage.processing.encoders import IMAGE_FORMATS
from stimage.processing.encoders import encoder
from stimage.processing.examples import PREPARED_ROWS
from stimage.processing.examples import joined
from stimage.processing.examples import needs_counts
from stimage.processing.examples import spot_tables
from stimage.processing.loading import direct
from stimage.processing.loading import register
from stimage.processing.loading import unhidden
from stimage.processing.normalise import NORMALISATIONS
from stimage.processing.opening import Opening
from stimage.processing.panels import Panel
from stimage.processing.selection import Selection
from stimage.processing.source import source_digest
from stimage.processing.split_table import SPLITS
from stimage.processing.splits import Splitting
from stimage.processing.splits import split_slides
from stimage.slides import MAX_PIXELS
from stimage.slides import TECHS
from stimage.slides import Catalog
from stimage.slides import Filters
from stimage.slides import Patch
from stimage.slides import Slide
from stimage.slides import read_catalog
from stimage.slides.access import Access
from stimage.slides.freshness import FILES
from stimage.slides.freshness import stamped
from stimage.slides.storage import normal_root

NAME = "stimage_1k4m"
CONFIGS = (*TECHS, "all")
SPOTS_PER_SHARD = 20_000  # a shard of a huge slide; every Visium slide is one shard
SPOTS_PER_FINE_SHARD = 1_000  # what IterableDataset.reshard() makes of it
# of the config: what shows in the slides that are chosen and in their splits, or in nothing
CHOOSING = {"root", "slides", "species", "tissue", "pmid", "involve_cancer", "access", "catalog", "um_per_px"}
CHOOSING |= {"exclude", "split_by", "split_seed", "split_fractions", "patients", "splits", "no_study"}
CHOOSING |= {key.name for key in fields(datasets.BuilderConfig)}
DESCRIPTION = "Tissue spots, each an H&E image with its gene expression."
log = logging.getLogger(NAME)


@dataclass
class SpotsConfig(datasets.BuilderConfig):
    """The options of `load` and `load_dataset`.

    Parameters
    ----------
    root
        Any fsspec URL of a root (``hf://datasets/jiawennnn/STimage-1K4M``), instead of ``data_dir``. What its server
        asks for goes to `load_dataset` beside it: ``storage_options``, as fsspec takes them, or the Hub's ``token``.
    slides, exclude, species, tissue, pmid, involve_cancer
        A value or a list of values, ``slides`` and ``exclude``, which leaves slides out, also a CSV or text file of
        names; slides that do not match are not opened, but for the line of gene names of their count files, which is
        read once for the root's vocabulary, and never with a panel.
    patch, upsample
        How the image of a spot is cut: "original", the square of 2r in the image's own pixels; or
        ``{"um": 112, "px": 224}``, a square of so many µm, resampled to so many pixels; see `stimage.slides.Patch`.
        Slides whose image is coarser than that by more than 2 % are refused, unless ``upsample`` is True.
    um_per_px
        µm per pixel where you know it: a number for all slides, or by slide a mapping or the path of a CSV (slide,
        um_per_px). Without it, see `stimage.slides.scale.slide_scale`.
    panel
        Gene names, or the path of a file of them: examples then have ``expression``, a dense vector of raw counts.
        Without a panel they have ``gene_ids`` and ``counts``, only of the genes with a count; see `gene_names`.
    gene_table
        File of symbols and Ensembl ids, for slides that name the panel's genes by the other; see
        `stimage.processing.gene_names.read_gene_table`. Counts of genes that come to one name are added.
    columns
        Names of features; examples have these alone, and what the others take is not read: without ``gene_ids``,
        ``counts`` and ``expression`` no count is parsed and no gene numbered, without ``annotation`` its file is not
        opened, without ``image`` that is not (with on_mismatch="drop" but for its size). Which spots come never
        depends on it.
    normalise
        What ``expression`` is: "counts", "log1p", "median-log1p" or "original"; see
        `stimage.processing.normalise.Normalisation`.
    image_format
        "ppm" (the default when streaming), "png" (the default otherwise) or "jpeg", the only one that loses anything.
    on_mismatch
        "error", or "drop" to leave out, and log, spots that the coord file, the count file and the image do not all
        have, and slides that lack a file, a row in the meta file, a gene of the panel or the scale for the patch.
    max_image_pixels
        Images of more pixels are refused, as decompression bombs.
    split_by, split_seed, split_fractions, patients, no_study
        "slide", "study" or "patient": examples then come in the splits train, validation and test, and no slide, study
        or patient is in two of them; see `stimage.processing.splits.Splitting`. Without it, all are in train.
    splits
        CSV file with the columns ``slide`` and ``split``, or slide name → split: it rules instead, as does a splits.csv
        in the root, which "none" overlooks.
    """

    root: str | None = None
    slides: Any = None
    exclude: Any = None
    species: object = None
    tissue: object = None
    pmid: object = None
    involve_cancer: object = None
    patch: Any = "original"
    um_per_px: object = None
    upsample: bool = False
    panel: Any = None
    gene_table: str | None = None
    columns: Any = None
    normalise: str = "counts"
    image_format: str | None = None
    on_mismatch: str = "error"
    max_image_pixels: int = MAX_PIXELS
    split_by: str | None = None
    split_seed: int = 0
    split_fractions: tuple = (0.8, 0.1, 0.1)
    patients: str | None = None
    splits: Any = None
    no_study: str | None = None
    access: Access = field(default_factory=Access, repr=False)  # made of load_dataset's storage_options and token
    catalog: Catalog | None = field(default=None, repr=False)  # the root's, where it is known: it is not listed again

    @property
    def location(self) -> str:
        """The root's path or URL."""
        if not (self.root or self.data_dir):
            raise ValueError(f"{NAME}: pass data_dir=ROOT, a folder laid out as the data set, or root=URL")
        return self.root or self.data_dir

    @property
    def techs(self) -> tuple[str, ...]:
        """The technologies' folders that the config's name stands for."""
        return TECHS if self.name == "all" else (self.name,)

    @property
    def selection(self) -> Selection:
        """The slides that are asked for."""
        filters = Filters(**{key.name: getattr(self, key.name) for key in fields(Filters)})
        return Selection(str(self.location), self.techs, filters, self.on_mismatch)

    @property
    def splitting(self) -> Splitting:
        """How they are split."""
        how = (self.split_by, self.split_seed, self.split_fractions, self.patients, self.splits, self.no_study)
        return Splitting(*how)

    @cached_property
    def contents(self) -> Contents:
        """The slides that are asked for, with their splits and their files as they are now; a root is listed once."""
        catalog = self.catalog or read_catalog(self.location, access=self.access)
        catalog = catalog.with_scales(self.um_per_px)
        placed = split_slides(catalog, self.selection, self.splitting).values()
        columns = {self.columns} if isinstance(self.columns, str) else set(self.columns or spot_features())
        files = [file for file in FILES if file != "image" or file in columns]
        slides = [one.slide for one in placed]
        if self.catalog is None:  # one that is given is for streaming, which keeps nothing
            slides = stamped(slides, files)
        placed = tuple(replace(one, slide=slide) for one, slide in zip(placed, slides))
        contents = Contents(normal_root(self.location), placed, tuple(files))
        if self.panel is not None or not needs_counts(columns):
            return contents
        ids = ids_digest(catalog, slides) if self.catalog is None else None
        return replace(contents, vocabulary=root_vocabulary(catalog), ids=ids)

    def create_config_id(self, config_kwargs: dict, custom_features: Features | None = None) -> str:
        """Name the prepared data set's cache by all that its examples depend on, and by nothing else."""
        if self.catalog is not None:
            return super().create_config_id({"of": "streamed"}, custom_features)
        made = {key.name: getattr(self, key.name) for key in fields(self) if key.name not in CHOOSING}
        made["patch"] = Patch.of(self.patch, self.upsample)
        made["panel"] = Panel.of(self.panel).genes if self.panel is not None else None
        made["gene_table"] = [text for _, text in read_lines(self.gene_table)] if self.gene_table else None
        return super().create_config_id({"of": self.contents.digest(source_digest(__file__), made)}, custom_features)


class STimage1K4M(datasets.ArrowBasedBuilder):
    """Examples are spots: slide by slide, each from top to bottom, then from left to right."""

    BUILDER_CONFIG_CLASS = SpotsConfig
    BUILDER_CONFIGS = [SpotsConfig(name=name) for name in CONFIGS]
    DEFAULT_CONFIG_NAME = "all"
    DEFAULT_WRITER_BATCH_SIZE = PREPARED_ROWS  # datasets would cut tables that have images to a hundred rows

    def __init__(self, *args: Any, token: str | bool | None = None, storage_options: dict | None = None, **kwargs: Any):
        own = {key.name for key in fields(SpotsConfig)} - {key.name for key in fields(datasets.BuilderConfig)}
        kwargs = {key: plain(value) if key in own else value for key, value in kwargs.items()}
        access = Access(dict(storage_options or {}), token)
        storage_options = dict(storage_options or {})  # datasets adds to it
        super().__init__(*args, token=token, storage_options=storage_options, access=access, **kwargs)

    def _info(self) -> datasets.DatasetInfo:
        self.patch = Patch.of(self.config.patch, self.config.upsample)
        self.panel = Panel.of(self.config.panel, self.config.gene_table) if self.config.panel is not None else None
        if self.config.normalise not in NORMALISATIONS:
            raise ValueError(f"normalise={self.config.normalise!r}: pass one of {NORMALISATIONS}")
        if self.config.normalise != "counts" and not self.panel:
            raise ValueError(f"normalise={self.config.normalise!r} is of a panel's genes: pass panel= too")
        if self.config.gene_table and not self.panel:
            raise ValueError("gene_table= is for finding a panel's genes: pass panel= too")
        if self.config.image_format not in (None, *IMAGE_FORMATS):
            raise ValueError(f"image_format={self.config.image_format!r}: pass one of {IMAGE_FORMATS}")
        return datasets.DatasetInfo(
            description=DESCRIPTION,
            homepage="https://huggingface.co/datasets/jiawennnn/STimage-1K4M",
            features=_chosen(spot_features(self.panel), self.config.columns),
        )

    def _split_generators(self, dl_manager: datasets.DownloadManager) -> list[datasets.SplitGenerator]:
        config = self.config
        shards: dict[str, list] = {split: [] for split in SPLITS}
        for placed in config.contents.placed:
            n = placed.slide.parts(SPOTS_PER_SHARD)
            shards[placed.split] += [(placed.slide, (k, n)) for k in range(n)]
        numbered = not self.panel and needs_counts(self.info.features)
        same = {
            "vocabulary": self._numbering() if numbered else None,
            "streaming": dl_manager.is_streaming,
            "image_format": config.image_format or ("ppm" if dl_manager.is_streaming else "png"),
        }
        found = []
        for split, part in shards.items():
            if part:
                own, ranges = map(list, zip(*part))
                found.append(
                    datasets.SplitGenerator(split, {"slides": own, "parts": ranges, "among": tuple(own), **same})
                )
        return found

    def _numbering(self) -> tuple[str, int, str]:
        """Return the file of the root's vocabulary, its number of genes and their digest; the data set says both."""
        contents = self.config.contents
        vocabulary = load_vocabulary(contents.vocabulary)
        carried = carried_by(vocabulary, contents.root)
        self.info.description = f"{DESCRIPTION}\n{carried}"
        return vocabulary.path, carried.genes, carried.digest

    def _generate_tables(self, **shards: Any) -> Iterator[tuple[str, pa.Table]]:
        with unhidden():
            yield from self._spot_tables(**shards)

    def _spot_tables(
        self,
        slides: list[Slide],
        parts: list[tuple[int, int]],
        among: tuple[Slide, ...],
        vocabulary: tuple[str, int, str] | None,
        image_format: str,
        streaming: bool,
    ) -> Iterator[tuple[str, pa.Table]]:
        config, columns = self.config, list(self.info.features)
        opening = Opening(self.patch, self.panel, config.on_mismatch, config.max_image_pixels, "image" in columns)
        genes, encode = self.panel or (load_as_it_was(*vocabulary) if vocabulary else None), encoder(image_format)
        for slide, (k, n) in zip(slides, parts):
            if (spots := opening.open(slide, among)) is None:
                continue
            begin, end = (len(spots) * i // n for i in (k, k + 1))
            tables = spot_tables(spots, self.patch, genes, encode, begin, end, config.normalise, columns)
            for i, table in enumerate(tables if streaming else joined(tables)):
                yield f"{slide.name}_{k}_{n}_{i}", table

    def _generate_more_gen_kwargs(
        self, slides: list[Slide], parts: list[tuple[int, int]], **same: object
    ) -> Iterator[dict]:
        """Cut shards finer, for `IterableDataset.reshard`: each opens its slide anew, so it costs time."""
        for slide, (k, n) in zip(slides, parts):
            more = max(1, slide.about_spots // n // SPOTS_PER_FINE_SHARD)
            yield {"slides": [slide] * more, "parts": [(k * more + j, n * more) for j in range(more)], **same}


def spot_features(panel: Panel | None = None) -> Features:
    """Return the features of an example: with a panel, ``expression`` instead of ``gene_ids`` and ``counts``."""
    text, number = Value("string"), Value("float32")
    expression = {"gene_ids": datasets.Sequence(Value("int32")), "counts": datasets.Sequence(number)}
    if panel:
        expression = {"expression": datasets.Sequence(number, length=len(panel.genes))}
    return Features(
        dict.fromkeys(("spot_id", "slide", "tech", "species", "tissue", "pmid"), text)
        | {"involve_cancer": Value("bool"), "x": number, "y": number, "radius": number, "um_per_px": number}
        | {"annotation": text, "image": Image(), **expression}
    )


def _chosen(features: Features, columns: Any) -> Features:
    """Return the features of these names, in their own order; all, where no names are given."""
    if columns is None:
        return features
    wanted = [columns] if isinstance(columns, str) else list(columns)
    if not wanted or (unknown := [name for name in wanted if name not in features]):
        what = f"has {unknown[0]!r}" if wanted else "is empty"
        raise ValueError(f"columns= {what}: name some of {', '.join(features)}")
    return Features({name: kind for name, kind in features.items() if name in wanted})


def load(
    name: str,
    root: str | os.PathLike,
    split: str | None = "train",
    streaming: bool = True,
    *,
    num_proc: int | None = None,
    keep_in_memory: bool = False,
    cache_dir: str | os.PathLike | None = None,
    token: bool | str | None = None,
    storage_options: dict | None = None,
    **options: object,
) -> Any:
    """Load spots: as `load_dataset` does, with the same cache, through public parts of datasets alone.

    Parameters
    ----------
    name
        A technology, "ST", "Visium" or "VisiumHD", or "all".
    root
        A folder laid out as the data set, or any fsspec URL of one.
    split
        "train", which has all spots unless ``split_by`` is given, then "validation" and "test", too. None gives all.
    streaming
        Read spots as they are asked for, or prepare all in datasets' cache first.
    num_proc, keep_in_memory
        Of preparing: so many processes, and whether to read what is prepared into memory.
    cache_dir, token, storage_options
        datasets' cache; what the root's server is given.
    **options
        Filters, patches, panels, splits: those of `SpotsConfig`.

    Returns
    -------
    datasets.IterableDataset or datasets.Dataset
        The spots of the split, streamed or prepared; without a split, a dict of them by split.

    Raises
    ------
    ValueError
        If there is no such name, split or option, or an option's value is none.
    DataError
        If the root's files are not as they should be; when streaming, also later, when they are read.

    Examples
    --------
    >>> spots = load("Visium", "ROOT", species="human", panel=["ERBB2", "EPCAM"], normalise="log1p")  # doctest: +SKIP
    """
    if name not in CONFIGS:
        raise ValueError(f"{name!r}: is no configuration; pass one of {', '.join(CONFIGS)}")
    known = {one.name for one in fields(SpotsConfig)} - {one.name for one in fields(datasets.BuilderConfig)}
    known -= {"root", "access", "catalog"}
    if unknown := options.keys() - known:
        raise ValueError(f"there is no option {min(unknown)!r}; there are {', '.join(sorted(known))}")
    if streaming and (num_proc is not None or keep_in_memory):
        raise ValueError("num_proc and keep_in_memory are of preparing: pass streaming=False too")
    where = {"root": str(root)} if "://" in str(root) else {"data_dir": str(root)}
    builder = STimage1K4M(cache_dir=cache_dir, dataset_name=NAME, config_name=name, hash=source_digest(__file__),
                          token=token, storage_options=storage_options, **where, **options)  # fmt: skip
    if streaming:
        return builder.as_streaming_dataset(split)
    with direct():
        builder.download_and_prepare(num_proc=num_proc)
    return builder.as_dataset(split, in_memory=keep_in_memory)


def gene_names(
    data: Any,
    root: str | os.PathLike | None = None,
    storage_options: dict | None = None,
    token: str | bool | None = None,
) -> list[str]:
    """Return names of genes; a gene id is a place in this list.

    Parameters
    ----------
    data
        A root or a published folder (a path, a URL, or ``user/repo`` on the Hub), for the names of all its genes. Or a
        data set, streamed or not, or a dict or list of several, for the names that its ``gene_ids`` stand for.
    root
        Beside a data set: the root or published folder that it was made of. Without it, the one that the data set
        says.
    storage_options, token
        What the root's server asks for.

    Raises
    ------
    ValueError
        If the root now has other ids than the data set, if the data set has no ``gene_ids``, or if it does not say
        what it was made of, as after `to_parquet` and `to_iterable_dataset`, and ``root`` is not passed.
    """
    access = Access(storage_options or {}, token)
    if not isinstance(data, (str, os.PathLike)):
        return list(names_of(data, root, access))
    if root is not None:
        raise ValueError(f"gene_names({str(data)!r}, root=…): root is for a data set; pass one of the two")
    return list(vocabulary_in(data, access).names)


if __name__ == NAME:
    register(NAME, source_digest(__file__))
