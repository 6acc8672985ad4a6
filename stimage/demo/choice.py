"""The slides of a root that the demo takes, and those that it holds out."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from stimage.core.errors import DataError
from stimage.core.storage import local_copy
from stimage.slides.catalog import Catalog, Filters, Slide, read_catalog
from stimage.slides.counts.count_file import read_genes
from stimage.slides.labels import is_label, read_labels
from stimage.slides.missing import need_counts
from stimage.slides.names import fold_name, slide_names
from stimage.slides.selection import techs_called
from stimage.slides.splits.dealing import deal_slides
from stimage.slides.splits.splitting import Splitting
from stimage.training.settings.groups import Settings

SLIDES, SPOTS = 6, 12_000  # at most, so that two cores are done in minutes
HELD_OUT_SHARE = 0.25  # of the slides


@dataclass(frozen=True)
class Choice:
    """Slides to train on and to hold out, and what there is to say about them.

    ``by`` is what is never on both sides ("slide", "study"); ``labels`` has, by slide, how many spots have each label,
    of slides that have any.
    """

    root: str
    train: list[Slide]
    held_out: list[Slide]
    by: str
    labels: dict[str, Counter]
    notes: list[str]

    @property
    def slides(self) -> list[Slide]:
        """All of them, in the catalog's order."""
        return sorted(self.train + self.held_out, key=lambda slide: (slide.tech, fold_name(slide.name)))

    @property
    def names(self) -> list[str]:
        return [slide.name for slide in self.slides]

    @property
    def tech(self) -> str:
        """The technology, as --tech takes it."""
        techs = {slide.tech for slide in self.slides}
        return techs.pop() if len(techs) == 1 else "all"

    @property
    def shown(self) -> Slide:
        """The slide to draw: one held out that has labels, if there is one."""
        return max(self.slides, key=lambda slide: (slide in self.held_out, slide.name in self.labels))


def choose_as_configured(root: str, settings: Settings) -> Choice:
    """Take the slides that a configuration names, and hold out those that it holds out."""
    catalog = read_catalog(root).of_techs(techs_called(settings.data.tech))
    slides = catalog.select(settings.data.filters)
    held = {fold_name(name) for name in slide_names(settings.data.validation_slides or [])}
    train, held_out = ([s for s in slides if (fold_name(s.name) in held) == side] for side in (False, True))
    return Choice(str(root), train, held_out, "slide", count_labels(slides), [])


def choose_slides(root: str, names: Sequence[str] | None = None) -> Choice:
    """Take the named slides, or a few similar ones: of one technology and species, with genes of the same names.

    Raises
    ------
    DataError
        If the root has no slide that can be read, or lacks a named slide.
    """
    catalog = read_catalog(root)
    slides, notes = (catalog.select(Filters(names)), []) if names else a_few(catalog)
    need_counts(slides, "the demo", "name others with --slides")
    held, by = hold_out(slides)
    train = [slide for slide in slides if slide not in held]
    return Choice(str(root), train, held, by, count_labels(slides), notes)


def a_few(catalog: Catalog) -> tuple[list[Slide], list[str]]:
    """Return at most 6 slides of at most 12,000 spots together, and what to say about the others."""
    groups = defaultdict(list)
    for slide in catalog.slides:
        if slide.name not in catalog.broken and not slide.image_alone:
            groups[slide.tech, slide.species].append(slide)
    if not groups:
        need_counts((slide for slide in catalog.slides if slide.name not in catalog.broken), "the demo", "add others")
        raise DataError(f"{catalog.root}: no slide can be read: {'; '.join(list(catalog.broken.values())[:5])}")
    annotated = {group: sum(bool(slide.annotation) for slide in slides) for group, slides in groups.items()}
    best = max(groups, key=lambda group: (min(len(groups[group]), 3), annotated[group], len(groups[group])))
    chosen, spots = [], 0
    for slide in sorted(groups[best], key=lambda slide: (not slide.annotation, fold_name(slide.name))):
        if len(chosen) < SLIDES and spots + slide.about_spots <= SPOTS:
            chosen.append(slide)
            spots += slide.about_spots
    chosen = _with_alike_genes(chosen or [min(groups[best], key=lambda slide: slide.about_spots)])
    notes = [f"left out: {why}" for why in catalog.broken.values()]
    if len(chosen) < len(catalog.slides):
        kind = " ".join(filter(None, (best[1], best[0])))
        notes.append(f"{len(chosen)} of {len(catalog.slides)} slides are taken: {kind}, at most {SLIDES} slides and "
                     f"about {SPOTS:,} spots, with genes of the same names; name others with --slides")  # fmt: skip
    return chosen, notes


def _with_alike_genes(slides: list[Slide]) -> list[Slide]:
    """Return the first slide, and those that have at least half of its genes, or it of theirs."""
    genes = [set(read_genes(local_copy(slide.counts, slide.access))) for slide in slides]
    return [s for s, own in zip(slides, genes) if 2 * len(own & genes[0]) >= min(len(own), len(genes[0]))]


def hold_out(slides: Sequence[Slide]) -> tuple[list[Slide], str]:
    """Return a quarter of the slides, whole studies where several are known, and what is never on both sides."""
    studies = {slide.pmid for slide in slides}
    by = "study" if len(studies) > 1 and all(studies) else "slide"
    if len(slides) < 2:
        return [], by
    try:
        placed = deal_slides(slides, Splitting(by, fractions=(1 - HELD_OUT_SHARE, HELD_OUT_SHARE, 0)))
    except DataError:  # studies that share a slide are one
        by = "slide"
        placed = deal_slides(slides, Splitting(by, fractions=(1 - HELD_OUT_SHARE, HELD_OUT_SHARE, 0)))
    return [one.slide for one in placed.values() if one.split == "validation"], by


def count_labels(slides: Sequence[Slide]) -> dict[str, Counter]:
    """Return slide name → label → spots, of slides whose annotation has labels."""
    found = {}
    for slide in filter(lambda slide: slide.annotation, slides):
        labels = read_labels(slide.annotation or "", slide.access).values()
        if counted := Counter(filter(is_label, labels)):
            found[slide.name] = counted
    return found
