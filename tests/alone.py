"""Slides that are images alone, written by hand."""

from pathlib import Path

from tests.roots import write_slide


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
