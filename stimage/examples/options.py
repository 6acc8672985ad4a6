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
        Any fsspec URL of a root (``hf://datasets/jiawennnn/STimage-1K4M``), instead of ``data_dir``. What its server
        asks for goes to `load_dataset` beside it: ``storage_options``, as fsspec takes them, or the Hub's ``token``.
    slides, exclude, species, tissue, pmid, involve_cancer
        A value or a list of values, ``slides`` and ``exclude``, which leaves slides out, also a CSV or text file of
        names; slides that do not match are not opened, but for the line of gene names of their count files, which is
        read once for the root's vocabulary, and never with a panel.
    patch, upsample, pyramid
        How the image of a spot is cut: "original", the square of 2r in the image's own pixels; or
        ``{"um": 112, "px": 224}``, a square of so many µm, resampled to so many pixels; see `stimage.slides.Patch`.
        Slides whose image is coarser than that by more than 2 % are refused, unless ``upsample`` is True.
        ``pyramid=True`` cuts from the coarsest level of an image's pyramid that is not coarser than that.
    um_per_px
        µm per pixel where you know it: a number for all slides, or by slide a mapping or the path of a CSV (slide,
        um_per_px). Without it, see `stimage.slides.scale.scale.slide_scale`.
    panel
        Gene names, or the path of a file of them: examples then have ``expression``, a dense vector of raw counts.
        Without a panel they have ``gene_ids`` and ``counts``, only of the genes with a count; see `gene_names`.
    gene_table
        File of symbols and Ensembl ids, for slides that name the panel's genes by the other; see
        `stimage.genes.names.read_gene_table`. Counts of genes that come to one name are added.
    columns
        Names of features; examples have these alone, and what the others take is not read: without ``gene_ids``,
        ``counts`` and ``expression`` no count is parsed and no gene numbered, without ``annotation`` its file is not
        opened, without ``image`` that is not (with on_mismatch="drop" but for its size). Which spots come never
        depends on it.
    cells
        True adds ``cells``, how many cells of each class a spot has, with the classes of all slides of the root, and
        ``cells_per_mm2``, of all classes together: of the cells that `stimage.import_cells` or `stimage.detect_cells`
        took into the root. They are null on slides without cells, and where a spot does not lie wholly in the region
        that was segmented.
    normalise
        What ``expression`` is: "counts", "log1p", "median-log1p" or "original"; see
        `stimage.genes.normalise.Normalisation`.
    image_format
        "ppm" (the default when streaming), "png" (the default otherwise) or "jpeg", the only one that loses anything.
    on_mismatch
        "error", or "drop" to leave out, and log, spots that the coord file, the count file and the image do not all
        have, and slides that lack a file, a row in the meta file, a gene of the panel or the scale for the patch.
    max_image_pixels
        Images of more pixels are refused, as decompression bombs.
    split_by, split_seed, split_fractions, patients, no_study
        "slide", "study" or "patient": examples then come in the splits train, validation and test, and no slide, study
        or patient is in two of them; see `stimage.slides.splits.splitting.Splitting`. Without it, all are in train.
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
        """Raise `ValueError` for values that are none of their options', or options that do not go together."""
        if not isinstance(self.cells, bool):
            raise ValueError(f"cells={self.cells!r}: pass True or False")
        if self.normalise not in NORMALISATIONS:
            raise ValueError(f"normalise={self.normalise!r}: pass one of {NORMALISATIONS}")
        if self.normalise != "counts" and self.panel is None:
            raise ValueError(f"normalise={self.normalise!r} is of a panel's genes: pass panel= too")
        if self.gene_table and self.panel is None:
            raise ValueError("gene_table= is for finding a panel's genes: pass panel= too")
        if self.image_format not in (None, *IMAGE_FORMATS):
            raise ValueError(f"image_format={self.image_format!r}: pass one of {IMAGE_FORMATS}")
        if not isinstance(self.max_image_pixels, int | float) or not self.max_image_pixels > 0:
            raise ValueError(f"max_image_pixels={self.max_image_pixels!r}: pass a number above 0")
        Patch.parse(self.patch, self.upsample, self.pyramid)
        self.features_with(())

    @property
    def location(self) -> str:
        """The root's path or URL."""
        if not (self.root or self.data_dir):
            raise ValueError("pass data_dir=ROOT, a folder laid out as the data set, or root=URL")
        return self.root or self.data_dir

    @property
    def techs(self) -> tuple[str, ...]:
        """The technologies' folders that the config's name stands for."""
        return techs_called(self.name)

    @property
    def features(self) -> Features:
        """The features that examples have."""
        return self.features_with(self.contents.classes if self.cells else ())

    def features_with(self, classes: Sequence[str]) -> Features:
        """Return the features that examples have where cells are of these classes."""
        panel = Panel.read(self.panel, self.gene_table) if self.panel is not None else None
        return _chosen(spot_features(panel, classes if self.cells else None), self.columns)

    @property
    def selection(self) -> Selection:
        """The slides that are asked for."""
        filters = Filters(**{key.name: getattr(self, key.name) for key in fields(Filters)})
        return Selection(str(self.location), self.techs, filters, self.on_mismatch, f"the configuration {self.name!r}")

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
        """Name the prepared data set's cache by all that its examples depend on, and by nothing else."""
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
    """Return an option's value in plain Python: paths as text, NumPy's numbers as Python's.

    Iterators and sets become lists.
    """
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
