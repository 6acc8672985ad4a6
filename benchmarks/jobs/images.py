"""Reading regions of an image, and physical patches from a level of its pyramid."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.jobs import loads
from benchmarks.jobs.reading import _digest

OURS = ("stimage.slides.images.reader", "stimage.slides.images.patches")
UM_PER_PX = 0.25  # of level 0


def _boxes(path: str) -> np.ndarray:
    """Return where patches are cut, which lies beside the image."""
    return np.load(Path(path).parent / "boxes.npy")


@loads(*OURS)
def ours(path: str) -> dict:
    from stimage.slides.images.reader import read_patches

    return _digest(read_patches(path, _boxes(path)))


@loads("tifffile", "zarr", "imagecodecs")
def by_tifffile(path: str) -> dict:
    """Read each region through tifffile's store, which decodes the tiles under it."""
    import tifffile
    import zarr

    def regions() -> Iterator[np.ndarray]:
        with tifffile.imread(path, aszarr=True, level=0) as store:
            image = zarr.open(store, mode="r")
            planes = image.shape[0] == 3
            for x0, y0, x1, y1 in _boxes(path).tolist():
                pixels = image[:, y0:y1, x0:x1].transpose(1, 2, 0) if planes else image[y0:y1, x0:x1]
                yield np.ascontiguousarray(pixels)

    return _digest(regions())


@loads("openslide")
def by_openslide(path: str) -> dict:
    import openslide

    def regions() -> Iterator[np.ndarray]:
        with openslide.OpenSlide(path) as slide:
            for x0, y0, x1, y1 in _boxes(path).tolist():
                yield np.ascontiguousarray(np.asarray(slide.read_region((x0, y0), 0, (x1 - x0, y1 - y0)))[..., :3])

    return _digest(regions())


@loads("PIL.Image")
def by_pillow(path: str) -> dict:
    """Decode the image whole, as Pillow does, and cut regions."""
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = None
    image = Image.open(path).convert("RGB")
    return _digest(np.asarray(image.crop(box)) for box in map(tuple, _boxes(path).tolist()))


@loads(*OURS)
def physical(path: str, um: str, px: str, pyramid: str) -> dict:
    """Cut physical patches around the boxes' centres, and keep their grey values beside the image."""
    from stimage.slides.images.patches import Patch
    from stimage.slides.scale.scale import Scale

    boxes = _boxes(path)
    x, y = (boxes[:, :2] + boxes[:, 2:]).T / 2
    patch = Patch(float(um), int(px), pyramid=bool(pyramid))
    greys = [
        pixels.mean(2).round().astype(np.uint8)
        for pixels in patch.cut(path, x, y, x * 0 + 1, Scale(UM_PER_PX, UM_PER_PX, None, "", None))
    ]
    np.save(Path(path).with_suffix(f".{'level' if pyramid else 'full'}.npy"), np.stack(greys))
    return {"patches": len(greys)}
