"""The slides that a run's model has seen: those trained on, and those that chose the epoch and the genes."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from stimage.core.errors import shown
from stimage.genes.panels import chosen_on
from stimage.loading.provenance import Provenance, read_provenance
from stimage.loading.sources import open_source
from stimage.training.data.image_vectors import ImageVectors
from stimage.training.data.parts import Parts
from stimage.training.settings.groups import Settings


def panel_saw(settings: Settings, parts: Parts, say: Callable[[str], None]) -> list[str]:
    """Return the slides not trained on that the panel was chosen on, which it should not have been, and say so."""
    if seen := sorted(_choosers(settings) & {*parts.validation, *parts.test}):
        say(f"warning: {settings.panel} was chosen on {len(seen)} held-out slides too: {shown(seen)}. Choose the genes "
            "again: pass these slides to select_genes as held_out= (--held-out), and the splits of the run, if it has "
            "any")  # fmt: skip
    return seen


def provenance_of(
    settings: Settings,
    parts: Parts,
    contents: Mapping[str, Any],
    say: Callable[[str], None],
    vectors: ImageVectors | None = None,
    expression: Provenance | None = None,
) -> Provenance:
    """Return what a run's model has seen, with what those had seen that it began from, or that made its inputs.

    ``expression`` is of the model that made vectors of expression. ``say`` is told of held-out slides that the
    checkpoint, or what made vectors, had learned from.
    """
    images = {name: files.get("image", "") for name, files in contents.get("slides", {}).items()}
    trained, validation = ({name: images.get(name, "") for name in some} for some in (parts.train, parts.validation))
    found = Provenance(trained, validation, tuple(sorted(_choosers(settings))), _patch(settings, vectors))
    if vectors:
        images_seen = vectors.embeddings.provenance
    else:
        images_seen = read_provenance(settings.towers.image) if settings.towers.pretrained else None
    for name, before in (
        (settings.data.image_vectors or settings.towers.image, images_seen),
        (settings.data.vectors, expression),
    ):
        if before is None:
            continue
        if seen := [one for one in (*parts.validation, *parts.test) if before.has("trained", one, images.get(one, ""))]:
            say(f"warning: {name} was trained on {len(seen)} held-out slides, such as {seen[0]}: hold out those that "
                "it held out")  # fmt: skip
        found = found.joined(before)
    return found


def _choosers(settings: Settings) -> set[str]:
    return chosen_on(settings.panel) if settings.takes_panel else set()


def _patch(settings: Settings, vectors: ImageVectors | None) -> dict[str, Any] | None:
    """Return how patches are cut: as the settings say, or, of a published folder, as it was made; None if unknown."""
    source = open_source(settings.data.source)
    if vectors and not source.published:
        return vectors.patch
    patch = source.patch if source.published else settings.data.patch
    return asdict(patch) if patch else None
