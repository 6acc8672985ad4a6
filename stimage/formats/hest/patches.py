"""A slide's patches/ID.h5 as HEST has it: a patch of physical size around each spot."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from stimage.core.files import replacing_hdf5
from stimage.slides.images.patches import Patch
from stimage.slides.spots import Spots


def write_patches(spots: Spots, ids: Sequence[str], patch: Patch, path: Path) -> None:
    """Write the patches of all spots, whole or not at all, one after the other.

    ``img``: n x px x px x 3, uint8. ``coords``: x and y (n x 2) of each patch's top left corner, whole pixels of the
    image. ``barcode``: n x 1, bytes. Both of the former say ``pixel_size``, µm of a pixel of the image, ``downsample``,
    pixels of the image per pixel of the patch, and the sides ``patch_size_src`` and ``patch_size_target``.

    Raises
    ------
    DataError
        As `Patch.cut` does, and if the image is coarser than the patch, unless it may be up-sampled.
    """
    um_per_px, px = spots.scale.um_per_px or 0, patch.sides[1]
    side = round(patch.source_px(spots.image_path, spots.scale))
    corners = np.rint(np.stack([spots.x, spots.y], 1) - side / 2).astype(np.int64)
    whole = Patch(side * um_per_px, px, upsample=True)  # whole pixels of the image
    x, y = corners.T + side / 2
    images = whole.cut(spots.image_path, x, y, spots.r, spots.scale, spots.max_pixels)
    told = {"pixel_size": um_per_px, "downsample": side / px, "patch_size_src": side, "patch_size_target": px}
    with replacing_hdf5(path) as file:
        shape = (len(spots), px, px, 3)
        img = file.create_dataset("img", shape, np.uint8, chunks=(1, px, px, 3))
        for k, pixels in enumerate(images):
            img[k] = pixels
        file["coords"] = corners
        file["barcode"] = np.array([[one.encode()] for one in ids])
        for name in ("img", "coords"):
            file[name].attrs.update(told)
