"""An image file a spot: ours, and a plain program after the original's steps."""

import hashlib
import tempfile
from pathlib import Path

from benchmarks.jobs import loads


@loads("stimage.jobs.original.cropping", "stimage.formats.original.crops", "scipy.spatial")
def crops(root: str, slide: str) -> dict:
    """Write the crops of a slide by the job."""
    import stimage

    with tempfile.TemporaryDirectory() as out:
        stimage.crop_patches(stimage.open_root(root, slides=slide), out)
        return _found(out)


@loads("PIL.Image", "pandas")
def crops_plain(root: str, slide: str) -> dict:
    """Decode the image whole, and save each crop as the original does."""
    import pandas as pd
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = None
    with tempfile.TemporaryDirectory() as out:
        image = Image.open(Path(root, f"ST/image/{slide}.png")).convert("RGB")
        table = pd.read_csv(Path(root, f"ST/coord/{slide}_coord.csv"))
        r = table["r"][0]
        for spot, y, x in zip(table.iloc[:, 0], table["yaxis"], table["xaxis"]):
            image.crop((x - r, y - r, x + r, y + r)).save(Path(out, f"{spot}.png"))
        return _found(out)


def _found(folder: str) -> dict:
    """Return how many images there are, and a digest of their names."""
    names = sorted(path.name for path in Path(folder).glob("*.png"))
    return {"spots": len(names), "names": hashlib.sha256("\n".join(names).encode()).hexdigest()}
