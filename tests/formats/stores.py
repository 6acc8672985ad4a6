"""SpatialData stores of the slide of `tests.formats.annotated`, whose gene DARK tells of the image under each spot."""

from collections.abc import Sequence

import numpy as np
from spatialdata import SpatialData
from spatialdata.models import Image2DModel, ShapesModel, TableModel
from spatialdata.transformations import Identity, Scale

from tests.formats.annotated import picture, slide


def shapes(seed: int = 0, systems: dict | None = None, **how):
    """Return the spots of all rows as circles, in another order than the table's, by numbers from 100."""
    xy, order = slide(seed).obsm["spatial"], np.random.default_rng(seed).permutation(slide(seed).n_obs)
    how = {"geometry": 0, "radius": 11.0, **how}
    return ShapesModel.parse(xy[order], index=order + 100, transformations=systems or {"lib": Identity()}, **how)


def table(seed: int = 0, region: str = "lib", key: str = "spot_id"):
    """Return counts by barcode, annotating a region."""
    data = slide(seed)
    del data.uns["spatial"], data.obsm["spatial"]
    data.obs[key] = np.arange(data.n_obs) + 100
    data.obs["region"] = np.full(data.n_obs, region, object)
    data.obs["region"] = data.obs["region"].astype("category")
    return TableModel.parse(data, region=region, region_key="region", instance_key=key)


def image(pixels: np.ndarray | None = None, systems: dict | None = None, scales: Sequence[int] | None = None, **how):
    """Return an image of bytes, at several scales if these are named."""
    pixels = picture() if pixels is None else pixels
    return Image2DModel.parse(np.moveaxis(pixels, 2, 0), dims=("c", "y", "x"), scale_factors=scales,
                              transformations=systems or {"lib": Identity()}, **how)  # fmt: skip


def visium(seed: int = 0, library: str = "lib", full: bool = True) -> SpatialData:
    """Return a store as ``spatialdata_io.visium`` makes it."""
    half, hires = Scale([0.5, 0.5], ("y", "x")), f"{library}_downscaled_hires"
    whole = {library: Identity()}
    images = {f"{library}_hires_image": image(picture(seed)[::2, ::2], {hires: Identity(), library: half.inverse()})}
    if full:
        images[f"{library}_full_image"] = image(picture(seed), whole, [2, 2])
    spots = shapes(seed, {**whole, hires: half})
    return SpatialData(images=images, shapes={library: spots}, tables={"table": table(seed, library)})
