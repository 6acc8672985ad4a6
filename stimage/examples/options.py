"""The builder's options, the features of examples that follow from them, and the name of the cache."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any

import datasets
import numpy as np
from datasets import Features, Image, Value

from stimage.cells.columns import CELLS, DENSITY, root_classes
from stimage.core.access import Access
from stimage.core.storage import normal_root
from stimage.core.tables import read_lines
from stimage.examples.arrow import needs_counts
from stimage.examples.contents import Contents
from stimage.examples.image_formats import IMAGE_FORMATS
from stimage.genes.normalise import NORMALISATIONS
from stimage.genes.numbering import ids_digest, root_vocabulary
from stimage.genes.panels import Panel
from stimage.slides.catalog import FILE_KINDS, Catalog, Filters, read_catalog
from stimage.slides.freshness import with_stamps
from stimage.slides.images.patches import Patch
from stimage.slides.images.reader import MAX_IMAGE_PIXELS
from stimage.slides.selection import Selection, techs_called
from stimage.slides.splits.splitting import FRACTIONS, Splitting, split_slides

# of the config: what shows in the slides that are chosen and in their splits, or in nothing
CHOOSING = {"root", "slides", "exclude", "species", "tissue", "pmid", "involve_cancer", "um_per_px"}
CHOOSING |= {"split_by", "split_seed", "split_fractions", "patients", "splits", "no_study"}
INNER = {key.name for key in fields(datasets.BuilderConfig)} | {"access", "code", "catalog"}  # not for users to pass


@dataclass
class SpotsConfig(datasets.BuilderConfig):
    """The options of `load` and `load_dataset`.

    Parameters
    ----------
    root
        Any fsspec URL of a root (``hf://datasets/jiawennnn/STimage-1K4M``), in place of ``data_dir``. Access to its
        server is passed to `load_dataset` as ``storage_options``, as fsspec takes them, or as ``token``, for the Hub.
    slides, exclude, species, tissue, pmid, involve_cancer
        Filters, each a value or a list of values; None takes all slides. ``slides`` and ``exclude``, which leaves
        slides out, may also be a CSV or text file of names. Slides that do not match are not opened. Only the gene
        names of their count files are read, once, for the root's vocabulary, and never with a panel.
    patch, upsample, pyramid
        The image of a spot: "original", the square of 2r in the image's own pixels; or ``{"um": 112, "px": 224}``, a
        square of 112 µm resampled to 224 pixels; see `stimage.slides.Patch`. Slides whose image is more than 2 %
        coarser than the patch are refused, unless ``upsample`` is True. ``pyramid=True`` cuts from the coarsest level
        of an image that is fine enough, which is faster.
    um_per_px
        µm per pixel: a number for all slides, a mapping by slide, or the path of a CSV with the columns slide and
        um_per_px. None takes the value of the meta file, or of the lattice; see
        `stimage.slides.scale.scale.slide_scale`.
    panel
        Gene names, or the path of a file of them: examples then have ``expression``, a dense vector in the panel's
        order. Without a panel, they have ``gene_ids`` and ``counts`` of the genes with a count; see `gene_names`.
    gene_table
        File of symbols and Ensembl ids, for slides that name the panel's genes by the other kind; see
        `stimage.genes.names.read_gene_table`. Counts of genes that get the same name are added.
    columns
        Names of the features that examples have; None makes all. Files that only other features need are not read:
        without ``gene_ids``, ``counts`` and ``expression`` no count is parsed and no gene numbered, without
        ``annotation`` its file is not opened. Without ``image`` the image is not opened, except for its size with
        ``on_mismatch="drop"``. The choice of columns never changes which spots come.
    cells
        True adds ``cells``, the number of cells of each class in a spot, and ``cells_per_mm2``, the density of all
        cells. The cells are those that `stimage.import_cells` or `stimage.detect_cells` stored in the root, and the
        classes are those of all slides. Both are null for slides without cells, and for spots that are not wholly in
        the segmented region.
    normalise
        The values of ``expression``: "counts" (raw), "log1p", "median-log1p" or "original"; see
        `stimage.genes.normalise.Normalisation`.
    image_format
        "ppm" (the default when streaming), "png" (the default otherwise) or "jpeg", the only one that loses detail.
    on_mismatch
        "error", or "drop", which leaves out and logs spots that the coord file, the count file and the image do not all
        have. It also leaves out slides that lack a file, a row in the meta file, a gene of the panel, or the scale for
        the patch.
    max_image_pixels
        Largest number of pixels of an image; larger images are refused, as decompression bombs.
    split_by, split_seed, split_fractions, patients, no_study
        The division into train, validation and test by "slide", "study" or "patient", so that none of these is in two
        splits; see `stimage.slides.splits.splitting.Splitting`. Without it, all spots are in train.
    splits
        CSV file with the columns ``slide`` and ``split``, or slide name → split, which goes before ``split_by``. A
        splits.csv in the root does so, too; "none" ignores it.
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
    pyramid: bool = False
    panel: Any = None
    gene_table: str | None = None
    columns: Any = None
    cells: bool = False
    normalise: str = "counts"
    image_format: str | None = None
    on_mismatch: str = "error"
    max_image_pixels: int = MAX_IMAGE_PIXELS
    split_by: str | None = None
    split_seed: int = 0
    split_fractions: tuple = FRACTIONS
    patients: str | None = None
    splits: Any = None
    no_study: str | None = None
    access: Access = field(default_factory=Access, repr=False)  # made of load_dataset's storage_options and token
    code: str = field(default="", repr=False)  # digest of what makes examples
    catalog: Catalog | None = field(default=None, repr=False)  # the root's, where it is known: it is not listed again

    def check(self) -> None:
        """Refuse values that an option can't have, and options that exclude each other, with a `ValueError`."""
        if not isinstance(self.cells, bool):
            raise ValueError(f"cells={self.cells!r}: pass True or False")
        if self.normalise not in NORMALISATIONS:
            raise ValueError(f"normalise={self.normalise!r}: pass one of {NORMALISATIONS}")
        if self.normalise != "counts" and self.panel is None:
            raise ValueError(f"normalise={self.normalise!r} works only on a panel's genes: pass panel= too")
        if self.gene_table and self.panel is None:
            raise ValueError("gene_table= only helps to find a panel's genes: pass panel= too")
        if self.image_format not in (None, *IMAGE_FORMATS):
            raise ValueError(f"image_format={self.image_format!r}: pass one of {IMAGE_FORMATS}")
        if not isinstance(self.max_image_pixels, int | float) or not self.max_image_pixels > 0:
            raise ValueError(f"max_image_pixels={self.max_image_pixels!r}: pass a number above 0")
        Patch.parse(self.patch, self.upsample, self.pyramid)
        self.features_with(())

    @property
    def location(self) -> str:
        """The path or URL of the root."""
        if not (self.root or self.data_dir):
            raise ValueError("pass data_dir=ROOT, a folder laid out as the data set, or root=URL")
        return self.root or self.data_dir

    @property
    def techs(self) -> tuple[str, ...]:
        """The technologies that the name of the configuration stands for."""
        return techs_called(self.name)

    @property
    def features(self) -> Features:
        """The features of examples."""
        return self.features_with(self.contents.classes if self.cells else ())

    def features_with(self, classes: Sequence[str]) -> Features:
        """Return the features of examples for cells of these classes."""
        panel = Panel.read(self.panel, self.gene_table) if self.panel is not None else None
        return _chosen(spot_features(panel, classes if self.cells else None), self.columns)

    @property
    def selection(self) -> Selection:
        """The choice of slides."""
        filters = Filters(**{key.name: getattr(self, key.name) for key in fields(Filters)})
        return Selection(str(self.location), self.techs, filters, self.on_mismatch, f"the configuration {self.name!r}")

    @property
    def splitting(self) -> Splitting:
        """The division of slides into splits."""
        how = (self.split_by, self.split_seed, self.split_fractions, self.patients, self.splits, self.no_study)
        return Splitting(*how)

    @cached_property
    def contents(self) -> Contents:
        """The chosen slides, with their splits and their files as they are now; a root is listed once."""
        catalog = self.catalog or read_catalog(self.location, access=self.access)
        catalog = catalog.with_scales(self.um_per_px)
        placed = split_slides(catalog, self.selection, self.splitting).values()
        columns = set(spot_features()) if self.columns is None else set(_named(self.columns))
        files = _files_of(columns | ({"cells"} if self.cells else set()), self.on_mismatch)
        slides = [one.slide for one in placed]
        if self.catalog is None:  # one that is given is for streaming, which keeps nothing
            slides = with_stamps(slides, files)
        placed = tuple(replace(one, slide=slide) for one, slide in zip(placed, slides))
        classes = root_classes(catalog.slides, catalog.root) if self.cells else ()
        contents = Contents(normal_root(self.location), placed, tuple(files), classes=classes)
        if self.panel is not None or not needs_counts(columns):
            return contents
        ids = ids_digest(catalog, slides) if self.catalog is None else None
        return replace(contents, vocabulary=root_vocabulary(catalog), ids=ids)

    def create_config_id(self, config_kwargs: dict, custom_features: Features | None = None) -> str:
        """Return a name for the prepared data set's cache, made from all values that its examples depend on."""
        self.check()  # before a root is read, which may take long
        if self.catalog is not None:
            return super().create_config_id({"of": "streamed"}, custom_features)
        made = {key.name: getattr(self, key.name) for key in fields(self) if key.name not in CHOOSING | INNER}
        made["columns"] = self.columns and sorted(set(_named(self.columns)))
        made["cells"] = self.contents.classes
        made["patch"] = Patch.parse(self.patch, self.upsample, self.pyramid)
        made["panel"] = Panel.read(self.panel).genes if self.panel is not None else None
        made["gene_table"] = [text for _, text in read_lines(self.gene_table)] if self.gene_table else None
        return super().create_config_id({"of": self.contents.digest(self.code, made)}, custom_features)


OPTIONS = {key.name for key in fields(SpotsConfig)} - INNER


def _named(columns: Any) -> list:
    """Return the names in the option ``columns``."""
    return list(columns) if isinstance(columns, Iterable) and not isinstance(columns, str) else [columns]


def _files_of(columns: set[str], on_mismatch: str) -> list[str]:
    """Return the files of a slide that these columns depend on; the image's size says which spots to drop."""
    needed = {"coord", "counts", *columns} | ({"image"} if on_mismatch == "drop" else set())
    return [file for file in FILE_KINDS if file in needed]


def spot_features(panel: Panel | None = None, classes: Sequence[str] | None = None) -> Features:
    """Return the features of an example: with a panel, ``expression`` instead of ``gene_ids`` and ``counts``.

    With classes of cells, also ``cells`` and ``cells_per_mm2``.
    """
    text, number = Value("string"), Value("float32")
    expression = {"gene_ids": datasets.Sequence(Value("int32")), "counts": datasets.Sequence(number)}
    if panel:
        expression = {"expression": datasets.Sequence(number, length=len(panel.genes))}
    cells = {} if classes is None else {CELLS: dict.fromkeys(classes, Value("int32")), DENSITY: number}
    return Features(
        dict.fromkeys(("spot_id", "slide", "tech", "species", "tissue", "pmid"), text)
        | {"involve_cancer": Value("bool"), "x": number, "y": number, "radius": number, "um_per_px": number}
        | {"annotation": text, "image": Image(), **expression, **cells}
    )


def _chosen(features: Features, columns: Any) -> Features:
    """Return the features of these names, in their own order; all, where no names are given."""
    if columns is None:
        return features
    wanted = _named(columns)
    if not wanted or (unknown := [name for name in wanted if name not in features]):
        what = f"has {unknown[0]!r}" if wanted else "is empty"
        cells = " (with cells=True, also those of cells)" if {CELLS, DENSITY} & {*map(str, wanted)} else ""
        raise ValueError(f"columns= {what}: name some of {', '.join(features)}{cells}")
    return Features({name: kind for name, kind in features.items() if name in wanted})


def plain_value(value: Any) -> Any:
    """Return an option's value in plain Python: paths as text, NumPy's numbers as Python's, iterables as lists."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {plain_value(key): plain_value(one) for key, one in value.items()}
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        return value
    values = [plain_value(one) for one in value]
    return sorted(values, key=str) if isinstance(value, set | frozenset) else values
