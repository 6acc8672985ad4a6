"""An opened root: the choice of its slides, their splits, and how their files are read."""

import os
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import pandas as pd

from stimage.core.access import OPEN, Access, is_local
from stimage.core.arguments import check_whole, path_of
from stimage.core.errors import DataError
from stimage.loading.sources import Source, open_source
from stimage.slides.catalog import ON_MISMATCH, TECHS, Catalog, Filters, Slide
from stimage.slides.images.reader import MAX_IMAGE_PIXELS
from stimage.slides.scale.scale import scale_given_by
from stimage.slides.selection import Selection, techs_called
from stimage.slides.splits.splitting import FRACTIONS, SlideSplit, Splitting, slides_by_split, split_slides
from stimage.slides.splits.table import SPLITS

COLUMNS = ("tech", "species", "tissue", "pmid", "involve_cancer")  # of the table of slides, as `Slide` has them
READING = {"um_per_px": None, "on_mismatch": "error", "max_image_pixels": MAX_IMAGE_PIXELS}  # unless told otherwise


@dataclass(frozen=True, repr=False)
class Root:
    """A root or a published folder with a choice of slides, as `open_root` returns it.

    Attributes
    ----------
    source
        The place of the slides, and how their files are read.
    selection
        The choice of slides.
    splitting
        The division of slides into train, validation and test.
    part
        The splits whose slides are taken. None takes all.
    """

    source: Source
    selection: Selection
    splitting: Splitting
    part: tuple[str, ...] | None = None

    def __repr__(self) -> str:
        counts = Counter(slide.tech for slide in self.listed)
        return f"<Root {self.location}: {', '.join(f'{n} {tech}' for tech, n in counts.items())}>"

    @property
    def location(self) -> str:
        """The path or URL of the root."""
        return self.source.location

    @property
    def catalog(self) -> Catalog:
        """All slides of the root, also those that the filters leave out."""
        return self.source.catalog

    @cached_property
    def listed(self) -> list[Slide]:
        """The slides that match the filters, from all splits, also those that can't be read."""
        return self.catalog.of_techs(self.selection.techs, self.selection.asked).select(
            self.selection.filters, with_broken=True
        )

    @cached_property
    def placed(self) -> dict[str, SlideSplit]:
        """Slide name → its split, for the slides that match the filters."""
        return split_slides(self.catalog, self.selection, self.splitting)

    @cached_property
    def slides(self) -> list[Slide]:
        """The chosen slides.

        Raises
        ------
        DataError
            If no slide is in the chosen splits, or a slide lacks a file.
        """
        if not self.part:
            return self.selection.select_from(self.catalog)
        taken = [one.slide for one in self.placed.values() if one.split in self.part]
        if not taken:
            raise DataError(f"{self.location}: no slide is in {' or '.join(self.part)}; say by split_by= "
                            "(--split-by) or splits= (--splits) which are, or take another part")  # fmt: skip
        return taken

    @property
    def settings(self) -> dict[str, Any]:
        """The choice as settings of training, by full name; `ValueError` for options that have no setting."""
        reading, splitting = self.source.reading, self.splitting
        usual = READING | {"um_per_px": reading.get("um_per_px")}  # which is a setting
        if self.source.access != OPEN or any(reading.get(name, value) != value for name, value in usual.items()):
            raise ValueError("on_mismatch=, max_image_pixels=, token= and storage_options= are no settings of "
                             "training: open the root without them")  # fmt: skip
        own = {"split_by": splitting.by, "split_seed": splitting.seed, "split_fractions": splitting.fractions,
               "patients": splitting.patients, "splits": splitting.splits, "no_study": splitting.no_study,
               "um_per_px": reading.get("um_per_px")}  # fmt: skip
        techs = self.selection.techs
        own |= {"source": self.location, "tech": techs[0] if len(techs) == 1 else "all"}
        if self.part or self.selection.filters != Filters():
            own["slides"] = tuple(slide.name for slide in self.slides)
        return {f"data.{name}": value for name, value in own.items()}

    def names_by_split(self, names: Collection[str]) -> dict[str, list[str]]:
        """Return split → names of those of these slides that it has, or {} if nothing is split."""
        if not self.splitting.by and all(one.split == "train" for one in self.placed.values()):
            return {}
        return slides_by_split(one for name, one in self.placed.items() if name in names)


def open_root(
    root: "str | Path | Root",
    tech: str = "all",
    *,
    slides: str | Path | Iterable[str] | None = None,
    exclude: str | Path | Iterable[str] | None = None,
    species: str | Iterable[str] | None = None,
    tissue: str | Iterable[str] | None = None,
    pmid: str | int | Iterable[str | int] | None = None,
    involve_cancer: bool | Iterable[bool] | None = None,
    split_by: str | None = None,
    split_seed: int = 0,
    split_fractions: Sequence[float] = FRACTIONS,
    patients: str | Path | None = None,
    splits: str | Path | Mapping[str, str] | None = None,
    no_study: str | None = None,
    part: str | Iterable[str] | None = None,
    um_per_px: float | str | Path | Mapping[str, float] | None = None,
    on_mismatch: str = "error",
    max_image_pixels: int = MAX_IMAGE_PIXELS,
    token: str | bool | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> Root:
    """Open a root, and choose its slides, their splits and how files are read, once for all jobs.

    Folders are listed and the meta file is read. No file of a slide is opened. The options are those of `load`.

    Parameters
    ----------
    root
        A folder laid out as the data set, a folder that `publish` made, the fsspec URL of one, or ``user/repo`` on the
        Hub. A `Root` is returned as it is, and takes no options.
    tech
        "ST", "Visium", "VisiumHD", or "all".
    slides, exclude
        Slides to take, and slides to leave out: names, or a file of names (one per line, or a CSV with the column
        ``slide``).
    species, tissue, pmid, involve_cancer
        Values of the meta file: slides with this value, or with one of several values, are taken.
    split_by, split_seed, split_fractions, patients, no_study
        The division of slides into train, validation and test. ``split_by`` keeps the slides of one "slide", "study" or
        "patient" in one split. ``patients`` is a CSV with the columns ``slide`` and ``patient``. ``no_study="own"``
        makes each slide without a known study a study of its own. Without ``split_by`` and without a ``splits.csv`` in
        the root, all slides are in train.
    splits
        A CSV with the columns ``slide`` and ``split``, or slide name → split. "none" ignores the root's own splits.csv.
    part
        Splits to take: "train", "validation" or "test", or a list of these. None takes all.
    um_per_px
        µm per pixel of the images: a number for all slides, a dict by slide, or a CSV with the columns ``slide`` and
        ``um_per_px``. None takes the value of the meta file, or of the lattice of spots.
    on_mismatch
        What to do with slides that lack a file, and with spots that not all files of a slide have: "error", or "drop",
        which leaves them out.
    max_image_pixels
        Largest number of pixels of an image; larger images are refused.
    token, storage_options
        Access to the root's server: a token of the Hub, and what fsspec passes to its file system.

    Returns
    -------
    Root
        Its ``slides`` are the chosen slides. All jobs take it in place of a path.

    Raises
    ------
    DataError
        If the root has no slides, its meta file is damaged, or a filter has a value that no slide has.
    ValueError
        If an option has a value that it can't have.

    Examples
    --------
    >>> import stimage
    >>> stimage.open_root("sample")
    <Root .../sample: 2 ST, 2 Visium, 1 VisiumHD>
    >>> root = stimage.open_root("sample", "Visium", species="human")
    >>> [slide.name for slide in root.slides]
    ['Human_Breast_Sample3_Visium_A1']
    """
    if isinstance(split_fractions, str) or not isinstance(split_fractions, Iterable):
        raise ValueError(f"split_fractions={split_fractions!r}: pass three numbers")
    if not (part is None or isinstance(part, str | Iterable)):
        raise ValueError(f"part={part!r}: pass one of {', '.join(SPLITS)}, or a list of these")
    if not (storage_options is None or isinstance(storage_options, Mapping)):
        raise ValueError(f"storage_options={storage_options!r}: pass a mapping")
    check_whole(max_image_pixels, "max_image_pixels", 1)
    filters = Filters(slides, species, tissue, pmid, involve_cancer, exclude)
    splitting = Splitting(
        split_by, split_seed, cast(tuple[float, float, float], tuple(split_fractions)), patients, splits, no_study
    )
    reading = {"um_per_px": um_per_px, "on_mismatch": on_mismatch, "max_image_pixels": max_image_pixels}
    access = Access(dict(storage_options or {}), token)
    if isinstance(root, Root):
        if (tech, part, filters, splitting, reading, access) != ("all", None, Filters(), Splitting(), READING, OPEN):
            raise ValueError(f"{root!r}: is opened already; pass its path to open it with other options")
        return root
    part = (part,) if isinstance(part, str) else tuple(part or ()) or None
    _check_asked(root, tech, on_mismatch, part)
    selection = Selection(str(root), techs_called(tech), filters, on_mismatch, "tech= (--tech)")
    opened = Root(open_source(str(root), access, **reading), selection, splitting, part)
    _ = opened.listed  # refuses filters that match nothing
    return opened


def _check_asked(root: object, tech: str, on_mismatch: str, part: tuple[str, ...] | None) -> None:
    """Refuse what can't be asked for."""
    if not isinstance(root, str | os.PathLike) or not os.fspath(root):
        raise ValueError(f"root={root!r} is no root; pass a path, a URL, or what open_root returns")
    if tech not in (*TECHS, "all"):
        raise ValueError(f"tech={tech!r}: pass one of {', '.join(TECHS)}, or all")
    if on_mismatch not in ON_MISMATCH:
        raise ValueError(f"on_mismatch={on_mismatch!r}: pass one of {ON_MISMATCH}")
    if unknown := [one for one in part or () if one not in SPLITS]:
        raise ValueError(f"part={unknown[0]!r}: pass one of {', '.join(SPLITS)}")


def root_folder(root: str | Path | Root) -> Path:
    """Return the folder of a root that a slide is to be added to; it need not be there."""
    location = root.location if isinstance(root, Root) else root
    path = path_of(location, "root")
    if not is_local(str(location)):
        raise DataError(f"{location}: is no folder of this machine; add the slide to one, and upload it")
    return path


def open_unpublished(root: str | Path | Root) -> Root:
    """Open a root whose own files are read; a published folder is refused."""
    root = open_root(root)
    if root.source.published:
        raise DataError(f"{root.location}: is a published folder, which has no files of slides; "
                        "pass the root that it was made from")  # fmt: skip
    return root


def list_slides(root: str | Path | Root) -> pd.DataFrame:
    """List the slides of a root, one row per slide, without opening a file of a slide.

    Parameters
    ----------
    root
        A folder laid out as the data set, its URL, or a `Root` that `open_root` returned; then the slides that match
        its filters are listed, from all splits, whatever its ``part``: the column ``split`` tells them apart.

    Returns
    -------
    pandas.DataFrame
        By slide: ``tech``, ``species``, ``tissue``, ``pmid``, ``involve_cancer``, and the numbers of ``spots`` and
        ``genes``, from the meta file (0 genes for an image alone). ``um_per_px`` is there where it is given;
        ``um_per_px_by`` says by whom, or how the scale becomes known.
        ``annotated`` says whether the slide has labels, and ``split`` is its split. ``problem`` says why the slide
        can't be read, or is empty.

    Raises
    ------
    DataError
        As in `open_root`, and if slides can't be split as asked for.

    Examples
    --------
    >>> import stimage
    >>> table = stimage.list_slides("sample")
    >>> table.loc["Human_Breast_Sample1_ST_A1", ["tech", "species", "tissue", "split"]].tolist()
    ['ST', 'human', 'breast', 'train']
    >>> int(table.spots.sum())
    249
    >>> table[table.tissue == "brain"].index.tolist()
    ['Mouse_Brain_Sample2_ST_A1', 'Mouse_Brain_Sample4_Visium_A1']
    """
    root = open_root(root)
    problems = {slide.name: root.catalog.broken.get(slide.name, "") for slide in root.listed}
    placed = {}
    if "" in problems.values():  # else there is nothing to split
        selection = replace(root.selection, on_mismatch="drop" if any(problems.values()) else "error")
        placed = split_slides(root.catalog, selection, root.splitting)
    rows = [
        {name: getattr(slide, name) for name in COLUMNS}
        | {"spots": slide.spot_num, "genes": slide.gene_num, "um_per_px": slide.um_per_px}
        | {"um_per_px_by": scale_given_by(slide), "annotated": bool(slide.annotation)}
        | {"split": placed[slide.name].split if slide.name in placed else None, "problem": problems[slide.name]}
        for slide in root.listed
    ]
    table = pd.DataFrame(rows, index=pd.Index([slide.name for slide in root.listed], name="slide"))
    return table.astype({"spots": "Int64", "genes": "Int64", "um_per_px": float})
