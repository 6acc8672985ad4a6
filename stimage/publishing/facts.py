"""Measurements of a slide: a row of ``slides.parquet``."""

from dataclasses import dataclass

import numpy as np

from stimage.slides.spots import Spots


@dataclass(frozen=True)
class SlideFacts:
    """Lengths are in pixels of the slide image; ``um_per_px_reason`` tells why ``um_per_px`` is trusted, or null.

    ``um_per_px_source`` says who gives it: the user, the slide's source, "known" or "lattice".
    """

    spots: int
    spots_left_out: int
    genes: int
    annotated: int
    radius: float
    image_type: str
    image_width: int
    image_height: int
    image_bands: int
    image_bits: int
    lattice: str | None
    pitch: float | None
    um_per_px: float | None
    um_per_px_from_pitch: float | None
    pitch_to_radius: float | None
    um_per_px_source: str | None
    um_per_px_reason: str

    @classmethod
    def from_spots(cls, spots: Spots) -> "SlideFacts":
        """Measure an opened slide."""
        image, scale, lattice = spots.image_info, spots.scale, spots.scale.lattice
        return cls(
            spots=len(spots),
            spots_left_out=spots.dropped,
            genes=len(spots.genes),
            annotated=len(spots) - spots.annotation.null_count,
            radius=float(np.median(spots.r)),
            image_type=image.type,
            image_width=image.width,
            image_height=image.height,
            image_bands=image.bands,
            image_bits=image.bits,
            lattice=lattice.kind if lattice else None,
            pitch=lattice.pitch if lattice else None,
            um_per_px=scale.um_per_px,
            um_per_px_from_pitch=scale.from_pitch,
            pitch_to_radius=scale.ratio,
            um_per_px_source=scale.source,
            um_per_px_reason=scale.reason,
        )
