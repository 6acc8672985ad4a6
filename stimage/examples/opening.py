"""Open slides one after the other. Slides that do not fit may be left out, but at least one must stay."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from stimage.core.errors import DataError
from stimage.genes.panels import Panel
from stimage.slides.catalog import Slide
from stimage.slides.freshness import with_current_stamps
from stimage.slides.images.patches import Patch
from stimage.slides.images.reader import MAX_IMAGE_PIXELS
from stimage.slides.matching import NoSpotLeft
from stimage.slides.spots import Spots, open_spots

MOST_TOLD = 3  # reasons in an error
log = logging.getLogger(__name__)


def check_asked_for(spots: Spots, patch: Patch, panel: Panel | None) -> None:
    """Raise `DataError` if a slide lacks a gene of the panel, or the scale that a physical patch needs."""
    if panel and not spots.slide.image_alone:  # whose expression is null
        panel.places_in(spots.genes, spots.counts_path, spots.slide.species)
    if patch.um:
        patch.source_px(spots.image_path or spots.slide.image, spots.scale)


@dataclass(frozen=True)
class Opening:
    """The way to open slides; see `open_spots` and the builder's options of these names."""

    patch: Patch
    panel: Panel | None = None
    on_mismatch: str = "error"
    max_pixels: int = MAX_IMAGE_PIXELS
    with_image: bool = True

    def open(self, slide: Slide, among: Sequence[Slide]) -> Spots | None:
        """Return a slide's spots, or None, with a log entry, if the slide is left out.

        Whether a slide is left out is known only once it is opened, and each process sees only some slides. So a
        process that leaves one out looks for a slide among all, ``among``, that stays.

        Raises
        ------
        DataError
            If the slide can't be read, or if all are left out.
        """
        spots = self._open(slide)
        if isinstance(spots, Spots):
            return spots
        log.warning("left out slide %s: %s", slide.name, spots)
        _check_one_is_left(self, among)
        return None

    def kept(self, slides: Sequence[Slide]) -> list[Slide]:
        """Return the slides that are not left out. Slides are opened only if some may be left out.

        Raises
        ------
        DataError
            As in `open`.
        """
        if self.on_mismatch != "drop":
            return list(slides)
        return [slide for slide in slides if self.open(slide, slides) is not None]

    def _open(self, slide: Slide) -> Spots | DataError:
        """Return a slide's spots, or why it is left out."""
        try:
            spots = open_spots(slide, self.on_mismatch, self.max_pixels, self.with_image)
        except NoSpotLeft as error:
            return self._left_out(error)
        try:
            check_asked_for(spots, self.patch, self.panel)
        except DataError as error:
            return self._left_out(error)
        return spots

    def _left_out(self, error: DataError) -> DataError:
        if self.on_mismatch != "drop":
            raise error
        return error


def _check_one_is_left(opening: Opening, slides: Sequence[Slide]) -> None:
    """Look for a slide that is not left out; the one that was found before does, while its files are as they were."""
    known = _found.get(opening)
    if known in slides and known and with_current_stamps(known).stamps == known.stamps:
        return
    reasons = []
    for slide in map(with_current_stamps, slides):
        spots = opening._open(slide)
        if isinstance(spots, Spots):
            _found[opening] = slide
            return
        reasons.append(str(spots))
    more = "; …" if len(reasons) > MOST_TOLD else ""
    told = "; ".join(reasons[:MOST_TOLD]) + more
    raise DataError(f"nothing is left: on_mismatch='drop' leaves out all {len(reasons)} slides: {told}")


_found: dict[Opening, Slide] = {}  # a slide that was not left out, with its stamps
