"""Which of a store's images shows a slide, and where the spots lie in it: by transformations to shared systems."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stimage.core.errors import DataError, one_line, shown
from stimage.core.extras import needs
from stimage.formats.imported import reading
from stimage.formats.stored.image import StoredImage
from stimage.formats.stored.store import AGAIN, missing_chunks

VIEW = re.compile(r"(.+)_(full|hires|lowres)_image")  # of spatialdata-io's readers of Visium and Visium HD
RGB = (["0", "1", "2"], ["r", "g", "b"], ["red", "green", "blue"])
STRETCH = 0.05  # by which an image's scale may differ between its axes
APART = 0.01  # share of an image's size by which two systems, or two images, may disagree


@dataclass(frozen=True, eq=False)
class Picture:
    """An image of a store, and the affine matrix (3 x 3) from coordinates of the spots' element to its pixels."""

    name: str
    image: StoredImage
    matrix: np.ndarray

    @property
    def scale(self) -> float:
        """Pixels per unit of the element's coordinates."""
        return float(np.sqrt(abs(np.linalg.det(self.matrix[:2, :2]))))

    @property
    def is_small(self) -> bool:
        """Whether it is Space Ranger's small image, so that the element's coordinates are pixels of the full one."""
        view = VIEW.fullmatch(self.name)
        return bool(view) and view[2] != "full"  # type: ignore[index]

    def corners(self) -> np.ndarray:
        """Return its corners in coordinates of the element (4 x 2)."""
        return moved(_corners(*self.image.shape[:2]), np.linalg.inv(self.matrix))


def moved(xy: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Return places (n x 2) under an affine matrix (3 x 3)."""
    return xy @ matrix[:2, :2].T + matrix[:2, 2]


def picture_of(data: Any, region: str, path: Path, wanted: str | None, has_file: bool) -> Picture | None:
    """Return the image that shows most of a slide; ``wanted`` names one.

    If the user has a file of it (``has_file``), there may be none, and the spots' own coordinates are its pixels.

    Raises
    ------
    DataError
        If there is none of RGB in a coordinate system of the spots, if systems disagree where it lies, or if there are
        images of several places and none is named.
    """
    element = data.shapes[region] if region in data.shapes else data.labels[region]
    found, unfit = {}, []
    for name in (name for name in data.images if wanted in (None, name)):
        planes = _rgb(data.images[name])
        if isinstance(planes, str):
            unfit.append(f"{name} ({planes})")
        elif (
            matrix := _matrix(element, data.images[name], planes.shape[1:], f"{path}: {region} and {name}")
        ) is not None:
            found[name] = Picture(name, StoredImage(str(path / "images" / name), planes), matrix)
        else:
            unfit.append(f"{name} (no coordinate system that {region} is in)")
    if not found and has_file:
        return None
    if not found:
        has = f"no RGB image of {region}, but {shown(unfit)}" if unfit else "no image"
        raise DataError(f"{path}: has {has}; pass the slide's image as image= (--image)")
    found = _own_views(found, region)
    best = max(found.values(), key=lambda picture: picture.scale)
    size = np.ptp(best.corners(), 0).max()
    if any(np.abs(one.corners() - best.corners()).max() > APART * size + 2 / one.scale for one in found.values()):
        if has_file:
            return None
        raise DataError(f"{path}: has images of several places or sizes in the coordinate systems of {region}: "
                        f"{shown(sorted(found))}; name the one to take as image= (--image)")  # fmt: skip
    if (axes := np.linalg.svd(best.matrix[:2, :2], compute_uv=False))[0] > (1 + STRETCH) * axes[1]:
        raise DataError(f"{path}: the transformations stretch {best.name} {axes[0] / axes[1]:.3g} x more one way than "
                        "the other, so that its spots are no circles; correct them")  # fmt: skip
    return best


def check_chunks(store: Any, picture: Picture, xy: np.ndarray) -> None:
    """Refuse an image that has no pixels at spots (n x 2, in its pixels), because chunks of it are missing."""
    group = store[f"images/{picture.name}"]
    with reading(picture.image.where, "an image"):
        attrs = dict(group.attrs)
        array = group[attrs.get("ome", attrs)["multiscales"][0]["datasets"][0]["path"]]
        if not (lost := missing_chunks(array)):
            return
        height, width, _ = picture.image.shape
        x, y = xy[((xy >= 0) & (xy < (width, height))).all(1)].astype(int).T
        black = (np.asarray(picture.image.planes.vindex[:, y, x]) == 0).all(1)
    if black.any():
        raise DataError(f"{picture.image.where}: lacks {lost:,} of {array.nchunks:,} chunks, so that {black.sum():,} "
                        f"spots lie on nothing; {AGAIN}, or pass the image as image= (--image)")  # fmt: skip


def _own_views(found: dict[str, Picture], region: str) -> dict[str, Picture]:
    """Return the images that spatialdata-io calls after the sample of this region, if there are any.

    The lowres image is the last choice. CytAssist's own image, which has no eosin, is not among them.
    """
    views = {name: view for name in found if (view := VIEW.fullmatch(name))}
    own = {name: found[name] for name, view in views.items() if region == view[1] or region.startswith(f"{view[1]}_")}
    large = {name: one for name, one in own.items() if views[name][2] != "lowres"}
    return large or own or found


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


def _matrix(element: Any, image: Any, size: tuple[int, int], called: str) -> np.ndarray | None:
    """Return the matrix from an element's coordinates to an image's pixels, by the systems that both are in."""
    of, to = _affine(element, called), _affine(image, called)
    if not (shared := [system for system in of if system in to]):
        return None
    try:
        matrices = {system: np.linalg.inv(to[system]) @ of[system] for system in shared}
    except np.linalg.LinAlgError as error:
        raise DataError(f"{called}: a transformation has no inverse ({one_line(error)}); correct it") from None
    if not all(np.isfinite(matrix).all() for matrix in matrices.values()):
        raise DataError(f"{called}: a transformation has numbers that are none; correct it")
    first, corners = matrices[shared[0]], _corners(*size)
    for system, matrix in matrices.items():
        if np.abs(moved(corners, matrix @ np.linalg.inv(first)) - corners).max() > APART * max(size) + 2:
            raise DataError(
                f"{called} lie differently in the coordinate systems {shared[0]!r} and {system!r}; remove the wrong "
                "transformation (spatialdata.transformations.remove_transformation)"
            )
    return first


def _corners(height: int, width: int) -> np.ndarray:
    return np.array([[0, 0], [width, 0], [width, height], [0, height]], float)


def _affine(element: Any, called: str) -> Mapping[str, np.ndarray]:
    """Return the matrix from an element's own coordinates to each of its systems."""
    transformations = needs("spatialdata.transformations").get_transformation(element, get_all=True)
    try:
        return {system: np.asarray(one.to_affine_matrix(("x", "y"), ("x", "y")), float)
                for system, one in transformations.items()}  # fmt: skip
    except ValueError as error:
        raise DataError(f"{called}: a transformation is not affine ({one_line(error)})") from None
