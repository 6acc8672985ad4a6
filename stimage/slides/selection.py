"""The slides of a root that are asked for: of some technologies, and matching the filters."""

import os
import shlex
from dataclasses import dataclass, field, fields

from stimage.slides.catalog import TECHS, Catalog, Filters, Slide
from stimage.slides.names import texts_of


def techs_called(tech: str) -> tuple[str, ...]:
    """Return the technologies of a configuration's name; "all" stands for all of them."""
    return TECHS if tech == "all" else (tech,)


@dataclass(frozen=True)
class Selection:
    """The choice of a root's slides by technologies and filters; ``asked`` names the option for errors."""

    root: str
    techs: tuple[str, ...] = TECHS
    filters: Filters = field(default_factory=Filters)
    on_mismatch: str = "error"
    asked: str = ""

    def select_from(self, catalog: Catalog) -> list[Slide]:
        """Return the slides, in the catalog's order; raises `DataError` as `Catalog.select` does."""
        return catalog.of_techs(self.techs, self.asked).select(self.filters, self.on_mismatch)

    @property
    def words(self) -> str:
        """The choice as options of a script."""
        words = [self.root, *(("--tech", *self.techs) if len(self.techs) == 1 else ())]
        for one in fields(Filters):
            if (value := getattr(self.filters, one.name)) is not None:
                value = os.fspath(value) if isinstance(value, os.PathLike) else value
                words += [f"--{one.name.replace('_', '-')}", *texts_of(value)]
        return shlex.join(words + (["--on-mismatch", self.on_mismatch] if self.on_mismatch != "error" else []))
