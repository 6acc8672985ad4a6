"""The patches that are embedded: cut as for the model's training, unless another patch is asked for."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stimage.core.errors import DataError
from stimage.loading.provenance import Provenance
from stimage.loading.sources import Source, open_source
from stimage.slides.images.patches import Patch

LEEWAY = 0.01  # of the side in µm, by which patches count as the same
ANOTHER = (
    "pass patch= (--patch-um, --patch-px), or patch='original' (--patch original), to embed these patches unchanged"
)
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Asked:
    """The patch that a user asked for, or None for the model's, and how a patch in µm is cut."""

    patch: Patch | Mapping | str | None = None
    upsample: bool = False
    pyramid: bool = False


def cut_as_trained(source: Source, asked: Asked, model: str, provenance: Provenance | None) -> Source:
    """Return the source with patches cut as is asked for, or as the model was trained, or the original's.

    That they differ from what the model was trained on is told; where nobody asked for it, it is refused.

    Raises
    ------
    DataError
        If the patches of a published folder differ from what was asked for or, if nothing was, from the model's.
    """
    trained = _trained(provenance)
    if source.published:
        return _published(source, asked, model, trained)
    if asked.patch is None and trained is not None and trained.um is not None:
        patch = Patch(trained.um, trained.px, asked.upsample or trained.upsample, asked.pyramid or trained.pyramid)
        log.info("patches are %s, as %s was trained", words(patch), model)
    else:
        patch = Patch.parse(asked.patch, asked.upsample, asked.pyramid)
        _tell(model, trained, patch)
    how: dict[str, Any] = {"patch": {"um": patch.um, "px": patch.px} if patch.um else "original"}
    how |= {"upsample": patch.upsample, "pyramid": patch.pyramid}
    return open_source(source.location, source.access, **how, **source.reading)


def _published(source: Source, asked: Asked, model: str, trained: Patch | None) -> Source:
    """Return a published folder, if its patches are those that are asked for, or the model's."""
    there = source.patch
    if asked.patch is not None or asked.upsample or asked.pyramid:
        wanted = Patch.parse(asked.patch, asked.upsample, asked.pyramid)
        if wanted.um and (there is None or not _alike(wanted, there) or wanted.px != there.px):
            raise DataError(
                f"{source.location}: is a published folder, whose patches are cut "
                f"already{f', {words(there)}' if there else ''}; leave out patch= (--patch-um, --patch-px), or pass "
                "the root that the folder was made from"
            )
        _tell(model, trained, there)
    elif trained and there and not _alike(trained, there):
        raise DataError(
            f"{source.location}: its patches are {words(there)}, but {model} was trained on {words(trained)}; pass the "
            f"root that this folder was made from, or {ANOTHER}"
        )
    elif trained and there is None:
        log.warning("%s: does not say how its patches were cut; %s was trained on %s", source.location, model,
                    words(trained))  # fmt: skip
    return source


def _tell(model: str, trained: Patch | None, patch: Patch | None) -> None:
    if trained is not None and patch is not None and not _alike(trained, patch):
        log.warning("patches are %s, but %s was trained on %s", words(patch), model, words(trained))


def _trained(provenance: Provenance | None) -> Patch | None:
    if provenance is None or provenance.patch is None:
        return None
    try:
        return Patch(**provenance.patch)
    except (TypeError, ValueError) as error:
        raise DataError(f"the model says wrongly how its patches were cut ({error}); get the model again") from None


def _alike(one: Patch, other: Patch) -> bool:
    """Say whether two patches show as much tissue; by how many pixels, is the tower's."""
    if one.um is None or other.um is None:
        return one.um == other.um
    return abs(one.um / other.um - 1) <= LEEWAY


def words(patch: Patch) -> str:
    """Return a patch in words."""
    return "the square of 2r" if patch.um is None else f"{patch.um:g} µm in {patch.px} px"
