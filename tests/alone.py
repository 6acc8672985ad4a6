"""Slides that are images alone, written by hand, and images of which they are made."""

from pathlib import Path

import numpy as np
from PIL import Image

from tests.roots import write_slide

GLASS, TISSUE = 240, (200, 120, 180)


def write_alone(root: Path, name: str, tech: str = "ST", **meta: str) -> None:
    """Add a slide of nine spots without counts, which its row of the meta file says."""
    write_slide(root, name, tech, meta={"gene_num": "0", **meta})
    (root / tech / f"gene_exp/{name}_count.csv").unlink()


def mixed(root: Path, tech: str = "ST") -> Path:
    """Return a root with two slides with counts, and between them one without."""
    write_slide(root, "Slide_A", tech, seed=1)
    write_alone(root, "Slide_B", tech)
    write_slide(root, "Slide_C", tech, seed=3)
    return root


def draw(path: Path, width: int = 1200, height: int = 900, box=(200, 150, 1000, 750), **save) -> Path:
    """Draw an image whose tissue, rough and pink, is a box: left, top, right, bottom."""
    rng = np.random.default_rng(0)
    pixels = GLASS + rng.normal(0, 1, (height, width, 3))
    left, top, right, bottom = box
    pixels[top:bottom, left:right] = TISSUE + rng.normal(0, 25, (bottom - top, right - left, 3))
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path, **save)
    return path
