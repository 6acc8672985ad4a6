"""Which of a store's images shows a slide."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stimage.core.errors import DataError, shown
from stimage.core.extras import needs
from stimage.formats.annotated.libraries import VIEW
from stimage.formats.imported import reading
from stimage.formats.stored.fitting import APART, OWN, Fit, corners_of, fit_of, moved
from stimage.formats.stored.image import StoredImage
from stimage.formats.stored.store import AGAIN, missing_chunks

RGB = (["0", "1", "2"], ["r", "g", "b"], ["red", "green", "blue"])


@dataclass(frozen=True, eq=False)
class Picture:
    """An image of a store, and how the spots' element lies in it."""

    name: str
    image: StoredImage
    fit: Fit

    @property
    def small_scale(self) -> float | None:
        """Pixels of it per pixel of the full image, if it is Space Ranger's small one."""
        view, units = VIEW.fullmatch(self.name), self.fit.units
        if not view or view[2] == "full":
            return None
        return next((units[name] for name in (view[1], "global", OWN) if name in units), None)

    def corners(self) -> np.ndarray:
        """Return its corners in coordinates of the element (4 x 2)."""
        return moved(corners_of(self.image.shape[:2]), np.linalg.inv(self.fit.matrix))


def picture_of(data: Any, region: str, path: Path, wanted: str | None, has_file: bool) -> Picture | None:
    """Return the image that shows most of a slide; ``wanted`` names one.

    If the user has a file of it (``has_file``), there may be none.

    Raises
    ------
    DataError
        If there is none of RGB in a coordinate system of the spots, if systems disagree where it lies, or if there are
        images of several places and none is named.
    """
    element = data[region]
    own = _own_views(list(data.images), region)
    found, unfit = {}, []
    for name in [wanted] if wanted else own or data.images:
        planes = _rgb(data.images[name])
        if isinstance(planes, str):
            unfit.append(f"{name} ({planes})")
        elif fit := fit_of(element, data.images[name], planes.shape[1:], f"{path}: {region} and {name}"):
            found[name] = Picture(name, StoredImage(str(path / "images" / name), planes), fit)
        else:
            unfit.append(f"{name} (in no coordinate system that {region} is in)")
    if has_file and not found:
        return None
    if not found or (own and unfit and not has_file):
        has = f"an image of {region} that is no RGB: {shown(unfit)}" if unfit else "no image"
        raise DataError(f"{path}: has {has}; pass the slide's image as image= (--image)"
                        f"{f', or one of the store: {shown([*found])}' if found else ''}")  # fmt: skip
    best = max(found.values(), key=lambda picture: picture.fit.scale)
    size = np.ptp(best.corners(), 0).max()
    if all(np.abs(one.corners() - best.corners()).max() <= APART * size + 2 / one.fit.scale for one in found.values()):
        return best
    if has_file:
        return None
    raise DataError(f"{path}: has images of several places or sizes in the coordinate systems of {region}: "
                    f"{shown(sorted(found))}; name the one to take as image= (--image)")  # fmt: skip


def lost_chunks(store: Any, picture: Picture, xy: np.ndarray) -> dict[str, int]:
    """Return how many chunks of an image are missing, if any are: Zarr reads them as black, and leaves out black ones.

    Raises
    ------
    DataError
        If spots (n x 2, in its pixels) lie on such chunks.
    """
    group = store[f"images/{picture.name}"]
    with reading(picture.image.where, "an image"):
        attrs = dict(group.attrs)
        array = group[attrs.get("ome", attrs)["multiscales"][0]["datasets"][0]["path"]]
        if not (lost := missing_chunks(array)):
            return {}
        height, width, _ = picture.image.shape
        x, y = xy[((xy >= 0) & (xy < (width, height))).all(1)].astype(int).T
        black = (np.asarray(picture.image.planes.vindex[:, y, x]) == 0).all(1)
    if black.any():
        raise DataError(f"{picture.image.where}: lacks {lost:,} of {array.nchunks:,} chunks, so that {black.sum():,} "
                        f"spots lie on nothing; {AGAIN}, or pass the image as image= (--image)")  # fmt: skip
    return {"chunks of the image that the store lacks, which are black": lost}


def _own_views(names: list[str], region: str) -> list[str]:
    """Return the images that spatialdata-io calls after the sample of this region, if there are any.

    The lowres image is the last choice. CytAssist's own image, which has no eosin, is not among them.
    """
    views = {name: view for name in names if (view := VIEW.fullmatch(name))}
    own = [name for name, view in views.items() if region == view[1] or region.startswith(f"{view[1]}_")]
    return [name for name in own if views[name][2] != "lowres"] or own


def _rgb(element: Any) -> Any:
    """Return an image's planes at full size (dask, 3 x height x width), or what it is instead."""
    if hasattr(element, "children"):  # an image at several scales
        element = needs("spatialdata").get_pyramid_levels(element, n=0)
    names = [str(name).lower() for name in element.coords["c"].values.tolist()]
    planes = element.transpose("c", "y", "x").data
    if len(names) == 4 and names[3] in ("3", "a", "alpha"):
        names, planes = names[:3], planes[:3]
    if not (rgb := next((rgb for rgb in RGB if sorted(names) == sorted(rgb)), None)):
        return f"channels {shown(names)}"
    if planes.dtype != np.uint8 and planes.dtype.kind != "f":
        return f"{planes.dtype}, not bytes"
    return planes[[names.index(one) for one in rgb]]
