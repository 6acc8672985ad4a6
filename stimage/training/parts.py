"""The slides that a run trains on, holds out, and leaves alone."""

from dataclasses import asdict, dataclass

from stimage.core.errors import DataError
from stimage.loading.sources import Source, open_source
from stimage.slides.catalog import Filters
from stimage.slides.selection import Selection, techs_called
from stimage.slides.splits.splitting import slides_by_split, split_slides
from stimage.training.settings import Settings


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
        Where the slides are; without it, what ``settings.data`` names.

    Raises
    ------
    DataError
        If slides can't be split so, none is left to train on, or one is trained on and held out.
    """
    catalog = (source or open_source(settings.data or "")).catalog
    techs = techs_called(settings.config)
    chosen = {name: getattr(settings, name) for name in ("slides", "exclude", "species", "tissue", "pmid")}
    selection = Selection(settings.data or "", techs, Filters(**chosen))
    parts = slides_by_split(split_slides(catalog, selection, settings.splitting).values())
    if settings.validation_slides:
        named = Filters(**chosen | {"slides": settings.validation_slides})
        held_out = [slide.name for slide in Selection(selection.root, techs, named).select_from(catalog)]
        if settings.slides is not None and (both := sorted(set(held_out) & set(parts["train"]))):
            raise DataError(f"slide {both[0]!r} is trained on and held out; name it in one of the two")
        parts = {split: [name for name in names if name not in held_out] for split, names in parts.items()}
        parts["validation"] = held_out
    if not parts["train"]:
        raise DataError(f"{settings.data}: no slide is left to train on; loosen the filters or the splits")
    return Parts(**{split: tuple(names) for split, names in parts.items()})
