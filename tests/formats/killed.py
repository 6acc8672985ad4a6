"""Change copies of a root, killed at the first of its writes, at the second, and so on.

killed.py CHANGE ROOT OUT [STEP]: with STEP, at each such write alone.
"""

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix

import stimage
from stimage.formats.adding import write_slide
from stimage.formats.imported import ImportedSlide
from stimage.slides.meta_file import MetaRow

WRITES = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate")


def imported(seed: int = 7, n: int = 9, **more) -> ImportedSlide:
    """Return a slide of n spots, with labels, a scale and a gene that is new."""
    rng = np.random.default_rng(seed)
    spots, genes = [f"{seed}A{k}-1" for k in range(n)], ["ERBB2", "KRT8", f"NEW{seed}"]
    x, y = 20 + 20.0 * (np.arange(n) % 3), 20 + 20.0 * (np.arange(n) // 3)
    parts = {"where": "made", "barcodes": spots, "genes": genes, "counts": csr_matrix(rng.poisson(3, (n, 3)))}
    parts |= {"x": x, "y": y, "r": 6.5, "image": rng.integers(0, 255, (90, 90, 3), np.uint8)}
    return ImportedSlide(**{**parts, "labels": {spots[0]: f"label {seed}"}, "tech": "ST", **more})


def add(root: Path) -> None:
    write_slide(imported(), root, MetaRow("Mine"))


def convert(root: Path) -> None:
    list(stimage.convert_counts(root))


def export(root: Path) -> None:
    """Write the slides of the root "slides" beside in HEST's layout; two, of which one is there in another form."""
    source = root.parents[1] / "slides"
    stimage.export_slides(source, root, "hest", compression="deflate", patch={"um": 100, "px": 8}, upsample=True)


CHANGES = {"add": add, "convert": convert, "export": export}


def killed_at(step: int, root: Path, change: Callable[[Path], object]) -> bool:
    """Change the root in a process that ends at its write number ``step``; tell whether it came so far."""
    if child := os.fork():
        return os.waitpid(child, 0)[1] != 0
    left = [step]

    def count(event: str, args: tuple) -> None:
        writes = event != "open" or args[2] & (os.O_WRONLY | os.O_RDWR)
        if event in WRITES and writes and str(args[0]).startswith(str(root)):
            left[0] -= 1
            if left[0] < 0:
                os._exit(9)

    sys.addaudithook(count)
    try:
        change(root)
    except BaseException as error:
        print(f"write {step}: {error!r}", file=sys.stderr)
        os._exit(0)  # the test misses a root
    os._exit(0)


if __name__ == "__main__":
    change, source, out = CHANGES[sys.argv[1]], *map(Path, sys.argv[2:4])
    k, step = 0, int(sys.argv[4]) if len(sys.argv) > 4 else 1
    while True:
        shutil.copytree(source, out / str(k))
        if not killed_at(k, out / str(k), change):
            break
        k += step
