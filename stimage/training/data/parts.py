"""The slides that a run trains on, holds out, and leaves alone."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from stimage.core.errors import DataError, shown
from stimage.loading.sources import Source, open_source
from stimage.slides.missing import need_counts
from stimage.slides.selection import Selection, techs_called
from stimage.slides.splits.splitting import slides_by_split, split_slides
from stimage.slides.splits.table import NO_TABLE
from stimage.training.settings.groups import Settings

NONE_HELD_OUT = {  # what is to be done, by the setting that asks for it
    "data.validation_slides": "name other slides, or set it to null to hold out none",
    "data.split_by": "name slides as data.validation_slides, or, to hold out none, set the share of validation in "
    "data.split_fractions to 0",
    "data.splits": "give the table slides in validation, or, to hold out none, name the training slides as "
    "data.slides with data.splits=none",
}


@dataclass(frozen=True)
class Parts:
    """Names of slides: trained on, held out to choose the epoch by, and left alone."""

    train: tuple[str, ...]
    validation: tuple[str, ...] = ()
    test: tuple[str, ...] = ()

    @property
    def record(self) -> dict[str, tuple[str, ...]]:
        """The names by split, as JSON has them."""
        return asdict(self)


def choose_parts(settings: Settings, source: Source | None = None) -> Parts:
    """Split the slides of a run's data, as its settings say.

    Parameters
    ----------
    source
        Where the slides are; without it, what ``settings.data.source`` names.

    Raises
    ------
    DataError
        If one to train on or to hold out is an image alone. If slides can't be split so, none is left to train on, or
        one is trained on and held out. If a table holds out other slides than ``validation_slides``.
    """
    data = settings.data
    catalog = (source or open_source(data.source)).catalog
    asked = f"the setting data.tech={data.tech}, of the configuration or an override,"
    selection = Selection(data.source, techs_called(data.tech), data.filters, asked=asked)
    parts = slides_by_split(split_slides(catalog, selection, data.splitting).values())
    if data.validation_slides:
        named = replace(selection, filters=replace(data.filters, slides=data.validation_slides))
        held_out = [slide.name for slide in named.select_from(catalog)]
        if data.slides is not None and (both := sorted(set(held_out) & set(parts["train"]))):
            raise DataError(f"slide {both[0]!r} is trained on and held out; name it in one of the two")
        parts = {**_beside(parts, held_out), "validation": held_out}
    if not parts["train"]:
        names = f"all {len(parts['validation'])} slides are held out; name fewer as validation_slides"
        remedy = names if data.validation_slides else "loosen the filters or the splits"
        raise DataError(f"{data.source}: no slide is left to train on; {remedy}")
    used = {*parts["train"], *parts["validation"]}
    need_counts((one for one in catalog.slides if one.name in used), "training", "leave such slides out by the setting "
                "exclude")  # fmt: skip
    return Parts(**{split: tuple(names) for split, names in parts.items()})


def _beside(parts: Mapping[str, Sequence[str]], held_out: Sequence[str]) -> dict[str, list[str]]:
    """Return the parts without slides that are held out by name; `DataError` if a table has another use for slides."""
    first, names = "data.validation_slides holds out", set(held_out)
    way = "set data.validation_slides=null to take the table's, or name a table that says what you want as data.splits"
    if tested := sorted(names & set(parts["test"])):
        raise DataError(f"{first} {shown(tested)}, which the table of splits has as test; {way}")
    if (own := parts["validation"]) and set(own) != names:
        raise DataError(f"{first} {shown(held_out)}, but the table of splits holds out {shown(own)}; {way}")
    return {split: [name for name in some if name not in names] for split, some in parts.items()}


def need_held_out(settings: Settings, slides: Collection[str]) -> bool:
    """Return whether slides are held out; `DataError` if none is, though the settings ask for it."""
    data = settings.data
    asked = {
        "data.validation_slides": bool(data.validation_slides),
        "data.split_by": bool(data.split_by and data.split_fractions[1]),
        "data.splits": data.splits not in (None, NO_TABLE),
    }
    if not slides and any(asked.values()):
        name = next(name for name, does in asked.items() if does)
        raise DataError(
            f"{name}: asks for slides to hold out, but {data.source} has no spot of such slides; {NONE_HELD_OUT[name]}"
        )
    return bool(slides)


def balanced_groups(settings: Settings, slides: Sequence[str], source: Source | None = None) -> np.ndarray | None:
    """Return the number of the group of each slide that ``loss.balance`` weighs alike; None if nothing is balanced.

    A slide of several studies is of the group of exactly these; one of no study is a group of its own.
    """
    if settings.loss.balance is None:
        return None
    if settings.loss.balance == "slide":
        return np.arange(len(slides))
    known = {slide.name: slide for slide in (source or open_source(settings.data.source)).catalog.slides}
    studies = [known[name].study or ",".join(known[name].pmids) or name for name in slides]
    return np.unique(studies, return_inverse=True)[1]
