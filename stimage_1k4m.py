"""STimage-1K4M as a Hugging Face data set: spots of tissue slides, each an H&E image with its gene expression.

    import stimage_1k4m
    spots = stimage_1k4m.load("ST", "ROOT")

ROOT is a folder laid out as the data set: ST, Visium and VisiumHD with image, coord and gene_exp; annotation; meta.
Once this is imported, `load_dataset("stimage_1k4m", "ST", data_dir="ROOT", split="train", streaming=True)` is the same.
With datasets 3.x the same file is a loading script:
`load_dataset("path/to/stimage_1k4m.py", "ST", data_dir="ROOT", trust_remote_code=True)`.
"""

import os
from collections.abc import Iterator
from typing import Any

import datasets
import pyarrow as pa

from stimage.genes.carried import carried_by
from stimage.genes.carried import names_of
from stimage.genes.carried import vocabulary_in
from stimage.genes.vocabulary import load_as_it_was
from stimage.genes.vocabulary import load_vocabulary
from stimage.examples.image_formats import encoder
from stimage.examples.arrow import PREPARED_ROWS
from stimage.examples.arrow import rebatch
from stimage.examples.arrow import spot_tables
from stimage.examples.datasets_cache import for_preparing
from stimage.examples.datasets_cache import for_streaming
from stimage.examples.registering import raise_cause
from stimage.examples.registering import register
from stimage.examples.registering import raise_as_example_error
from stimage.examples.opening import Opening
from stimage.examples.published import published_at
from stimage.examples.options import OPTIONS
from stimage.examples.options import SpotsConfig
from stimage.examples.options import plain_value
from stimage.genes.panels import Panel
from stimage.examples.code_digest import source_digest
from stimage.slides.splits.table import SPLITS
from stimage.slides.catalog import TECHS
from stimage.slides.images.patches import Patch
from stimage.slides.catalog import Slide
from stimage.core.access import Access
from stimage.core.files import room_for

NAME = "stimage_1k4m"
CONFIGS = (*TECHS, "all")
SPOTS_PER_SHARD = 20_000  # a shard of a huge slide; every Visium slide is one shard
SPOTS_PER_FINE_SHARD = 1_000  # what IterableDataset.reshard() makes of it
DESCRIPTION = "Tissue spots, each an H&E image with its gene expression."


class STimage1K4M(datasets.ArrowBasedBuilder):
    """Builds examples from spots: slide by slide, each slide from top to bottom, then from left to right."""

    BUILDER_CONFIG_CLASS = SpotsConfig
    BUILDER_CONFIGS = [SpotsConfig(name=name) for name in CONFIGS]
    DEFAULT_CONFIG_NAME = "all"
    DEFAULT_WRITER_BATCH_SIZE = PREPARED_ROWS  # datasets would cut tables that have images to a hundred rows

    def __init__(
        self,
        cache_dir: str | os.PathLike | None = None,
        *args: Any,
        token: str | bool | None = None,
        storage_options: dict | None = None,
        **kwargs: Any,
    ):
        kwargs = {key: plain_value(value) if key in OPTIONS else value for key, value in kwargs.items()}
        access = Access(dict(storage_options or {}), token)
        storage_options = dict(storage_options or {})  # datasets adds to it
        with room_for(cache := for_streaming(cache_dir)):  # datasets makes a folder and a lock there
            super().__init__(cache, *args, token=token, storage_options=storage_options, access=access,
                             code=source_digest(__file__), **kwargs)  # fmt: skip
        self.asked_cache = cache_dir

    def _info(self) -> datasets.DatasetInfo:
        self.patch = Patch.parse(self.config.patch, self.config.upsample, self.config.pyramid)
        self.panel = Panel.read(self.config.panel, self.config.gene_table) if self.config.panel is not None else None
        return datasets.DatasetInfo(
            description=DESCRIPTION,
            homepage="https://huggingface.co/datasets/jiawennnn/STimage-1K4M",
            features=self.config.features,
        )

    def _split_generators(self, dl_manager: datasets.DownloadManager) -> list[datasets.SplitGenerator]:
        config = self.config
        shards: dict[str, list] = {split: [] for split in SPLITS}
        for placed in config.contents.placed:
            n = placed.slide.parts(SPOTS_PER_SHARD)
            shards[placed.split] += [(placed.slide, (k, n)) for k in range(n)]
        same = {
            "vocabulary": self._numbering(),
            "classes": config.contents.classes,
            "streaming": dl_manager.is_streaming,
            "image_format": config.image_format or ("ppm" if dl_manager.is_streaming else "png"),
        }
        found = []
        for split, part in shards.items():
            if part:
                own, ranges = map(list, zip(*part))
                given = {"slides": own, "parts": ranges, "among": tuple(own)}
                found.append(datasets.SplitGenerator(split, given | same))
        return found

    def download_and_prepare(self, output_dir: str | None = None, *args: Any, **kwargs: Any) -> None:
        """Prepare spots as datasets does, and note which vocabulary an earlier preparation's gene ids belong to."""
        if output_dir is None:
            for_preparing(self.asked_cache)
        with room_for(output_dir or self.cache_dir), raise_cause():
            super().download_and_prepare(output_dir, *args, **kwargs)
        self._numbering()

    def _numbering(self) -> tuple[str, int, str] | None:
        """Return the file of the root's vocabulary, its number of genes and their digest, which the data set names.

        None where examples have no gene ids.
        """
        contents = self.config.contents
        if contents.vocabulary is None:
            return None
        vocabulary = load_vocabulary(contents.vocabulary)
        carried = carried_by(vocabulary, contents.root)
        self.info.description = f"{DESCRIPTION}\n{carried}"
        return vocabulary.path, carried.genes, carried.digest

    def _generate_tables(self, **shards: Any) -> Iterator[tuple[str, pa.Table]]:
        with raise_as_example_error():
            yield from self._spot_tables(**shards)

    def _spot_tables(
        self,
        slides: list[Slide],
        parts: list[tuple[int, int]],
        among: tuple[Slide, ...],
        vocabulary: tuple[str, int, str] | None,
        classes: tuple[str, ...],
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
            tables = spot_tables(spots, self.patch, genes, encode, begin, end, config.normalise, columns, classes)
            for i, table in enumerate(tables if streaming else rebatch(tables)):
                yield f"{slide.name}_{k}_{n}_{i}", table

    def _generate_more_gen_kwargs(
        self, slides: list[Slide], parts: list[tuple[int, int]], **same: object
    ) -> Iterator[dict]:
        """Cut shards finer, for `IterableDataset.reshard`. Each shard opens its slide again, which takes time."""
        for slide, (k, n) in zip(slides, parts):
            more = max(1, slide.about_spots // n // SPOTS_PER_FINE_SHARD)
            yield {"slides": [slide] * more, "parts": [(k * more + j, n * more) for j in range(more)], **same}


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
    """Load the spots of a root as a Hugging Face data set: images with gene expression.

    After ``import stimage_1k4m``, `load_dataset` gives the same data set by the same cache.

    Parameters
    ----------
    name
        A technology, "ST", "Visium" or "VisiumHD", or "all" for the three together.
    root
        A folder laid out as the data set (ST, Visium and VisiumHD with image, coord and gene_exp; annotation; meta), or
        the fsspec URL of one, such as "hf://datasets/jiawennnn/STimage-1K4M". A folder that `publish` made, or its name
        on the Hub, ``user/repo``, works too: its patches and splits are fixed, so it takes only filters, ``panel``,
        ``gene_table``, ``normalise``, ``columns`` and ``cells``.
    split
        "train", "validation" or "test". All spots are in "train", unless ``split_by`` is given or the root has a
        splits.csv. None gives all splits.
    streaming
        True reads spots as they are asked for. False first prepares all spots in the cache of datasets.
    num_proc, keep_in_memory
        With ``streaming=False``: number of processes that prepare spots, and whether the prepared spots are read into
        memory.
    cache_dir
        Folder of the cache of datasets. None takes its default.
    token, storage_options
        Access to the root's server: a token of the Hub, and what fsspec passes to its file system.
    **options
        Filters, patches, genes, columns and splits, as the attributes of `SpotsConfig` explain them. Examples:
        ``species="human"``, ``patch={"um": 112, "px": 224}``, ``panel=["ERBB2", "KRT8"]``, ``split_by="slide"``.

    Returns
    -------
    datasets.IterableDataset or datasets.Dataset
        The spots of the split: streamed, or prepared. A dict of split → spots if ``split`` is None. A spot has
        ``spot_id``, ``slide``, ``tech``, ``species``, ``tissue``, ``pmid``, ``involve_cancer``, ``x``, ``y`` and
        ``radius`` (pixels of the slide's image), ``um_per_px``, ``annotation``, ``image`` (RGB), and its genes:
        ``gene_ids`` and ``counts`` (raw) of the genes with a count, or with a panel ``expression``, in the panel's
        order.

    Raises
    ------
    ValueError
        If there is no such name, split or option, or an option has a value that it can't have.
    DataError
        If a file of the root is missing or damaged. When streaming, some errors are raised only while spots are read.

    Examples
    --------
    >>> import stimage
    >>> spots = stimage.load("Visium", "sample", species="human", panel=["ERBB2", "KRT8"], normalise="log1p")
    >>> spot = next(iter(spots))
    >>> spot["spot_id"], spot["image"].size, len(spot["expression"])
    ('Human_Breast_Sample3_Visium_A1_...', (36, 36), 2)
    """
    if name not in CONFIGS:
        raise ValueError(f"{name!r}: is no configuration; pass one of {', '.join(CONFIGS)}")
    known = sorted(OPTIONS - {"root"})
    if unknown := options.keys() - set(known):
        raise ValueError(f"there is no option {min(unknown)!r}; there are {', '.join(known)}")
    if not isinstance(root, (str, os.PathLike)):
        raise ValueError(f"root: a {type(root).__name__} is no root; pass a path or a URL, and which slides as options")
    if streaming and (num_proc is not None or keep_in_memory):
        raise ValueError("num_proc= and keep_in_memory= work only without streaming: pass streaming=False too")
    access = Access(dict(storage_options or {}), token)
    if published := published_at(root, access):
        how = {} if streaming else {"num_proc": num_proc, "keep_in_memory": keep_in_memory}
        options = {key: plain_value(value) for key, value in options.items()}
        return published.load(name, options, split, {"streaming": streaming, "cache_dir": cache_dir, **how})
    where = {"root": str(root)} if "://" in str(root) else {"data_dir": str(root)}
    builder = STimage1K4M(cache_dir=cache_dir, dataset_name=NAME, config_name=name, hash=source_digest(__file__),
                          token=token, storage_options=storage_options, **where, **options)  # fmt: skip
    if streaming:
        return builder.as_streaming_dataset(split)
    with raise_cause():
        builder.download_and_prepare(num_proc=num_proc)
    return builder.as_dataset(split, in_memory=keep_in_memory)


def gene_names(
    data: Any,
    root: str | os.PathLike | None = None,
    storage_options: dict | None = None,
    token: str | bool | None = None,
) -> list[str]:
    """Return the names of genes in the order of their ids, so that ``names[gene_id]`` is the name of a gene.

    Parameters
    ----------
    data
        A root or a published folder (a path, a URL, or ``user/repo`` on the Hub): all its genes are named. Or a data
        set, streamed or not, or a dict or list of several: the genes that its ``gene_ids`` stand for are named.
    root
        With a data set: the published folder that it was loaded from, or the root that it was made from. None takes the
        one that the data set itself names. Where data sets were concatenated and some name no root, all of them are
        taken to be from the one that is named.
    storage_options, token
        Access to the root's server.

    Returns
    -------
    list of str
        The names, in the order of their ids.

    Raises
    ------
    ValueError
        If the root now has other ids than the data set, or the data set has no ``gene_ids``. Also if the data set names
        no root, as after `to_parquet` and `to_iterable_dataset`, and ``root`` is not passed.

    Examples
    --------
    >>> import stimage
    >>> names = stimage.gene_names("sample")
    >>> spot = next(iter(stimage.load("ST", "sample")))
    >>> {names[gene]: count for gene, count in zip(spot["gene_ids"], spot["counts"])}["ERBB2"]
    1.0
    """
    access = Access(storage_options or {}, token)
    if not isinstance(data, (str, os.PathLike)):
        return list(names_of(data, root, access))
    if root is not None:
        raise ValueError(f"gene_names({str(data)!r}, root=…): root is for a data set; pass one of the two")
    return list(vocabulary_in(data, access).names)


if __name__ == NAME:
    register(NAME, source_digest(__file__))
