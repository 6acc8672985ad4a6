"""Inputs of the benchmarks, generated once into a folder."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path

import numpy as np

from benchmarks.files import (
    count_rows,
    write_cells,
    write_clips,
    write_coord,
    write_counts,
    write_image,
    write_outs,
    write_patches,
    write_pngs,
    write_vectors,
)
from benchmarks.measure import ROOT

HD_ACROSS = 450  # bins side by side, however many there are: a wider image would take more memory
PANEL = 128  # genes to tune on
ROWS = 300  # distinct rows of counts; a huge file repeats them under new ids
META = "slide,species,tissue,pmid,title,abstract,keywords,involve_cancer,tech,spot_num,gene_num\n"


@dataclass(frozen=True)
class Sizes:
    """How large the inputs are."""

    spots: int = 2261  # of a Visium slide, with so many genes
    genes: int = 32285
    st: tuple[int, int] = (14, 13)  # spots of an ST slide, down and across
    margin: int = 2700  # pixels around them
    huge: int = 400  # bins along a side of the huge image
    slides: int = 6  # of a collection; the larger has twice as many
    small_slides: tuple[int, int] = (10, 200)
    bins: tuple[int, ...] = (1_000, 3_000, 10_000, 30_000, 100_000, 200_000)  # of Visium HD slides, with so many genes
    bins_genes: int = 3000
    bins_plain: int = 30_000  # the largest that is read by pandas and Pillow, too
    added: tuple[int, int] = (30_000, 18_085)  # bins of 8 µm, and their genes, of a slide that is added
    headers: tuple[int, int, int] = (100, 30_000, 99_086)  # slides, genes of each, and all genes
    patches: int = 2000
    step: int = 32
    pngs: int = 1024  # of each slide
    vision: str = "ViT-B/32"
    probe: tuple[int, int] = (3000, 512)
    silhouette: int = 50_000
    cells: int = 300_000


QUICK = Sizes(spots=300, genes=2000, st=(3, 4), margin=300, huge=20, slides=2, small_slides=(2, 4),
              added=(400, 200), headers=(8, 200, 500), bins=(300, 1000, 3000), bins_genes=200, bins_plain=1000,
              patches=128, step=16, vision="tiny", probe=(300, 32), silhouette=1000, cells=4000)  # fmt: skip


class Inputs:
    """The arguments of each job; what they name is made when it is first asked for."""

    def __init__(self, folder: Path, sizes: Sizes):
        self.folder, self.sizes = folder, sizes
        self.made = folder / "made"  # what jobs may write into

    def _once(self, name: str, write: Callable[[Path], None]) -> Path:
        """Return a file or folder, made if it is not there; one that was interrupted is made anew."""
        path, part = self.folder / name, self.folder / f"part-{name}"
        if not path.exists():
            shutil.rmtree(part, ignore_errors=True)
            self.folder.mkdir(parents=True, exist_ok=True)
            write(part)
            part.rename(path)
        return path

    def counts(self) -> tuple[Path]:
        return (self.visium()[0] / "Visium/gene_exp/Bench_Visium_count.csv",)

    @property
    def real(self) -> str | None:
        """The folder of real slides, if there is one."""
        return os.environ.get("STIMAGE_REAL") if self.sizes == Sizes() else None

    def st(self) -> tuple[Path, Path]:
        """A JPEG of an ST slide and its coord file: a real one of 187 spots, or one of its size."""
        name = "Bench_ST"
        if self.real:
            root, name = Path(self.real) / "real", "Human_Breast_Andersson_10142021_ST_C2"
        else:
            root = self._once("st", lambda root: self._st_slide(root, name))
        return root / f"ST/image/{name}.png", root / f"ST/coord/{name}_coord.csv"

    def st_slide(self) -> tuple[Path, str]:
        """The root of that slide, and the slide's name."""
        image = self.st()[0]
        return image.parents[2], image.stem

    def _st_slide(self, root: Path, name: str) -> None:
        (down, across), margin = self.sizes.st, self.sizes.margin
        i, j = (a.ravel() for a in np.mgrid[0:down, 0:across])
        ids = [f"{name}_{a}x{b}" for a, b in zip(j, i)]
        write_image(root / f"ST/image/{name}.png", 2 * margin + 290 * across, 2 * margin + 340 * down)
        write_coord(root / f"ST/coord/{name}_coord.csv", ids, margin + j * 290.0, margin + i * 340.0, 67.86)
        (root / "ST/gene_exp").mkdir()
        (root / f"ST/gene_exp/{name}_count.csv").write_text(",A\n" + "".join(f"{one},1\n" for one in ids))

    def huge(self) -> tuple[Path, int]:
        """A JPEG, and the bins along its sides."""
        across = self.sizes.huge
        return self._once("huge.jpg", lambda path: write_image(path, 200 + 62 * across, 200 + 62 * across)), across

    def visium(self) -> tuple[Path]:
        """A root with one Visium slide of usual size, 14 % of its counts not 0."""
        return (self._once("visium", lambda root: self._slide(root, "Bench_Visium", 63, self._rows)),)

    def cells(self) -> tuple[Path]:
        """A root of a slide full of nuclei, and these as CellViT writes them."""
        return (self._once("cells", lambda root: write_cells(root, self.sizes.cells)),)

    def outs(self) -> tuple[Path, Path]:
        """Space Ranger's folder of a Visium slide, 14 % of its counts not 0, and a folder to add it to."""
        s = self.sizes
        return self._once("outs-visium", lambda folder: write_outs(folder, s.spots, s.genes, 0.14)) / "outs", self.made

    def hd_outs(self) -> tuple[Path, Path]:
        """The same of bins of 8 µm, 2 % of their counts not 0."""
        bins, genes = self.sizes.added
        return self._once("outs-hd", lambda folder: write_outs(folder, bins, genes, 0.02, 8)) / "outs", self.made

    def few_roots(self) -> tuple[Path]:
        """A root with several such slides."""
        return (self._collection(self.sizes.slides, 63),)

    def few_slides(self) -> tuple[Path, Path]:
        """The same, and a folder to build into."""
        return *self.few_roots(), self.made

    def more_slides(self) -> tuple[Path, Path]:
        return self._collection(2 * self.sizes.slides, 63), self.made

    def shards(self) -> tuple[Path]:
        """The larger collection as shards of JPEGs of 224 px."""
        return (self._once("jpeg", self._build),)

    def _build(self, out: Path) -> None:
        command = [sys.executable, ROOT / "scripts/data_process/build_shards.py"]
        command += [self._collection(2 * self.sizes.slides, 112), out, "--image-format", "jpeg"]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"build_shards.py: {done.stderr[-2000:]}")

    def tuning(self) -> tuple[Path]:
        """A folder of these shards, a PNG file each of some of their spots, a panel of 128 genes, and CLIPs' sizes."""
        return (self._once("tuning", self._tuning),)

    def _tuning(self, out: Path) -> None:
        out.mkdir()
        (out / "shards").symlink_to(self.shards()[0].resolve())
        genes = min(PANEL, self.sizes.genes)
        (out / "panel.txt").write_text("".join(f"GENE{i:05d}\n" for i in range(genes)))
        write_pngs(out / "png", sorted((out / "shards/data/Visium/train").glob("*.parquet")), self.sizes.pngs, genes)
        write_clips(out)

    def image_vectors(self) -> tuple[Path]:
        """A folder of embeddings of these spots for each CLIP, at random, as long as its own."""
        return (self._once("image-vectors", lambda out: write_vectors(out, self.tuning()[0])),)

    def small_slides(self, slides: int) -> tuple[Path]:
        """A root with many slides of 300 spots and 2,000 genes, of which nothing but the counts is of use."""

        def write(root: Path) -> None:
            rows = count_rows(ROWS, 2000, 0.14)
            for k in range(slides):
                name = f"Bench_{k:03d}"
                ids = [f"{name}_{i}" for i in range(ROWS)]
                write_counts(root / f"Visium/gene_exp/{name}_count.csv", ids, 2000, rows[k:] + rows[:k])
                write_coord(root / f"Visium/coord/{name}_coord.csv", ids, np.arange(300.0), np.arange(300.0), 5.0)
                (root / "Visium/image").mkdir(exist_ok=True)
                (root / f"Visium/image/{name}.png").touch()

        return (self._once(f"small-{slides}", write),)

    def headers(self) -> tuple[Path]:
        """A root with many slides of one spot, each of other genes in another order, one in a hundred of all genes."""
        slides, few, every = self.sizes.headers

        def write(root: Path) -> None:
            rng = np.random.default_rng(0)
            for k in range(slides):
                name, genes = f"Bench_{k:04d}", rng.permutation(every)[: every if k % 100 == 50 else few].tolist()
                for folder in ("coord", "gene_exp", "image"):
                    (root / "Visium" / folder).mkdir(parents=True, exist_ok=True)
                lines = "".join([f",GENE{gene:05d}" for gene in genes]), f"\n{name}_0", ",1" * len(genes), "\n"
                (root / f"Visium/gene_exp/{name}_count.csv").write_text("".join(lines))
                (root / f"Visium/coord/{name}_coord.csv").touch()
                (root / f"Visium/image/{name}.png").touch()

        return (self._once(f"headers-{slides}-{few}", write),)

    def patches(self) -> tuple[Path]:
        """A folder of patches of 112 px."""
        return (self._once("patches", lambda out: write_patches(out, self.sizes.patches)),)

    def bins(self, bins: int) -> tuple[Path]:
        """A root with one Visium HD slide: the first bins of the largest."""
        return (self._once(f"bins-{bins}", lambda root: self._hd_slide(root, bins)),)

    def _hd_slide(self, root: Path, bins: int) -> None:
        """Write bins of 16 px, 450 side by side, 2 % of their counts not 0."""
        genes, largest = self.sizes.bins_genes, max(self.sizes.bins)
        counts = "VisiumHD/gene_exp/Bench_VisiumHD_count.csv"
        i, j = np.divmod(np.arange(bins), HD_ACROSS)
        ids = [f"Bench_VisiumHD_s_008um_{a:05d}_{b:05d}-1" for a, b in zip(i, j)]
        write_image(root / "VisiumHD/image/Bench_VisiumHD.png", 16 * HD_ACROSS + 40, 16 * int(i[-1]) + 56)
        write_coord(root / "VisiumHD/coord/Bench_VisiumHD_coord.csv", ids, j * 16 + 20.0, i * 16 + 20.0, 8.0)
        if bins == largest:
            write_counts(root / counts, ids, genes, count_rows(ROWS, genes, 0.02))
            return
        (root / counts).parent.mkdir()
        with (self.bins(largest)[0] / counts).open("rb") as whole, (root / counts).open("wb") as file:
            file.writelines(islice(whole, bins + 1))

    @cached_property
    def _rows(self) -> list[bytes]:
        return count_rows(self.sizes.spots, self.sizes.genes, 0.14)

    def _collection(self, slides: int, radius: int) -> Path:
        """A root of Visium slides and a meta file; roots share the files that are the same in them."""
        return self._once(f"visium-{slides}-{radius}", lambda root: self._visium_slides(root, slides, radius))

    def _visium_slides(self, root: Path, slides: int, radius: int) -> None:
        first = slides == 2 * self.sizes.slides and radius == 63
        names = [f"Bench_Visium_{k:02d}" for k in range(slides)]
        for k, name in enumerate(names):
            if first:
                self._slide(root, name, radius, self._rows[k:] + self._rows[:k])
                continue
            self._coord(root, name, radius)
            for file in (f"Visium/image/{name}.png", f"Visium/gene_exp/{name}_count.csv"):
                (root / file).parent.mkdir(exist_ok=True)
                os.link(self.more_slides()[0] / file, root / file)
        (root / "meta").mkdir()
        size = f"{self.sizes.spots},{self.sizes.genes}"
        lines = [f"{name},human,breast,1,,,,True,Visium,{size}\n" for name in names]
        (root / "meta/meta_all_gene.csv").write_text("".join([META, *lines]))

    def _slide(self, root: Path, name: str, radius: int, rows: list[bytes]) -> None:
        ids, side = self._coord(root, name, radius), self._side
        write_image(root / f"Visium/image/{name}.png", 660 + 180 * side, 512 + 156 * side)
        write_counts(root / f"Visium/gene_exp/{name}_count.csv", sorted(ids), self.sizes.genes, rows)

    def _coord(self, root: Path, name: str, radius: int) -> list[str]:
        i, j = (a.ravel()[: self.sizes.spots] for a in np.mgrid[0 : self._side, 0 : self._side])
        x, y = 300 + (j + i % 2 / 2) * 180.0, 300 + i * 180 * np.sqrt(3) / 2
        ids = [f"{name}_{k:016d}-1" for k in np.random.default_rng(0).permutation(self.sizes.spots)]
        write_coord(root / f"Visium/coord/{name}_coord.csv", ids, x, y, radius)
        return ids

    @property
    def _side(self) -> int:
        return int(np.ceil(self.sizes.spots**0.5))
