"""Adding a slide to a root, beside copying its files: how long it takes, and what its counts take on disk."""

import shutil
from collections.abc import Iterator
from pathlib import Path

from benchmarks.jobs import loads

MATRIX, IMAGE = "filtered_feature_bc_matrix.h5", "tissue.jpg"


def _size(path: Path) -> dict:
    return {"counts_mb": path.stat().st_size / 1e6}


@loads("stimage.jobs.anndata_slides", "stimage.formats.tenx.space_ranger", "pandas")
def add(outs: str, made: str, form: str) -> Iterator[dict | None]:
    """Add Space Ranger's folder to an empty root, its counts in this form."""
    import stimage

    shutil.rmtree(made, ignore_errors=True)
    yield None
    slide = stimage.add_slide(outs, made, "S", image=Path(outs).parent / IMAGE, counts_as=form, trust_coordinates=True)
    yield _size(Path(slide.counts))


@loads()
def copy(outs: str, made: str) -> Iterator[dict | None]:
    """Copy the matrix and the image, as cp does."""
    shutil.rmtree(made, ignore_errors=True)
    Path(made).mkdir(parents=True)
    yield None
    for path in (Path(outs, MATRIX), Path(outs).parent / IMAGE):
        shutil.copyfile(path, Path(made, path.name))
    yield _size(Path(made, MATRIX))
