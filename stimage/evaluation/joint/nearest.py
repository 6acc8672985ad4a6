"""The nearest spots of a vector, and their patches."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from stimage.core.errors import DataError
from stimage.examples.published import published_sides
from stimage.loading.embeddings import Embeddings
from stimage.loading.sources import Source
from stimage.loading.tensors import to_batch
from stimage.slides.catalog import Slide
from stimage.slides.images.patches import Patch
from stimage.slides.spots import open_spots

DIGITS = 6  # of a similarity: float32 does not tell nearer ones apart


@dataclass(frozen=True, eq=False)
class FoundPatch:
    """The patch of a spot (uint8 RGB), and µm per its pixel; None where that is not known."""

    pixels: np.ndarray
    um_per_px: float | None


def nearest_spots(
    embeddings: Embeddings, vector: np.ndarray, n: int, per_slide: int | None = None, without: int | None = None
) -> pd.DataFrame:
    """Return the spots nearest to a vector by cosine similarity, the nearest first.

    Parameters
    ----------
    embeddings, vector
        Embeddings of m spots, and a vector (d) of any length.
    n, per_slide
        Number of spots, and largest number of spots from one slide.
    without
        The row of a spot that is left out, such as the one that is searched for.

    Returns
    -------
    pandas.DataFrame
        By spot id: ``slide`` and ``similarity``, to six digits. Spots with equal similarity are in the order of their
        ids.
    """
    lengths = np.linalg.norm(embeddings.vectors, axis=1) * np.linalg.norm(vector)
    similarity = (embeddings.vectors @ vector) / np.where(lengths > 0, lengths, 1)
    table = pd.DataFrame(
        {"slide": embeddings.slides, "similarity": similarity.astype(np.float64).round(DIGITS)},
        pd.Index(embeddings.spot_ids, name="spot_id"),
    )
    if without is not None:
        table = table.drop(table.index[without])
    table = table.iloc[np.argsort(-table.similarity.to_numpy(), kind="stable")]
    if per_slide is not None:
        table = table[table.groupby("slide", sort=False).cumcount() < per_slide]
    return table.head(n)


def patches_of(source: Source, slides: dict[str, Slide], found: pd.DataFrame) -> list[FoundPatch]:
    """Return the patches of spots in a table of `nearest_spots`, in its order.

    Raises
    ------
    DataError
        If the source lacks one of them.
    """
    read = _published_patches if source.published else _cut_patches
    patches = {}
    for name, part in found.groupby("slide"):
        patches |= dict(read(source, slides[str(name)], part.index.tolist()))
        if lost := [spot for spot in part.index if spot not in patches]:
            raise DataError(
                f"{source.location}: slide {name} lacks spot {lost[0]!r}, which the embeddings have; pass the root "
                "that the embeddings were made from"
            )
    return [patches[spot] for spot in found.index]


def _cut_patches(source: Source, slide: Slide, ids: list[str]) -> Iterator[tuple[str, FoundPatch]]:
    """Cut patches out of a root's image."""
    reading = source.reading
    spots = open_spots(slide, reading.get("on_mismatch", "error"), reading["max_image_pixels"])
    at = np.flatnonzero(pa.compute.is_in(spots.ids, pa.array(ids, pa.string())).to_numpy())
    patch, scale = source.patch or Patch(), spots.scale
    um_per_px = patch.um / patch.px if patch.um and patch.px else scale.um_per_px
    cut = patch.cut(spots.image_path, spots.x[at], spots.y[at], spots.r[at], scale, spots.max_pixels)
    for spot, pixels in zip(spots.ids.take(pa.array(at)).to_pylist(), cut):
        yield spot, FoundPatch(pixels, um_per_px)


def _published_patches(source: Source, slide: Slide, ids: list[str]) -> Iterator[tuple[str, FoundPatch]]:
    """Decode patches of a published folder, those that are wanted alone."""
    patch, side, wanted = source.patch, published_sides(source.location, source.access)[slide.name], pa.array(ids)
    for table in source.spots(slide, ["spot_id", "slide", "annotation", "image"]).with_format("arrow").iter(256):
        for row in np.flatnonzero(pa.compute.is_in(table["spot_id"], wanted).to_numpy()):
            batch = to_batch(table.slice(row, 1))
            pixels = batch.images[0].numpy()
            if patch and patch.um and patch.px:
                um_per_px = patch.um / patch.px
            else:
                um_per_px = side / len(pixels) if side and patch else None
            yield batch.spot_ids[0], FoundPatch(pixels, um_per_px)
