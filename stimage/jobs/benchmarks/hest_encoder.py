"""Embeddings of HEST-Benchmark's patches: made once for each encoder and sample, or read of files that are there."""

import time
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from stimage.core.errors import DataError
from stimage.core.files import listed, write_text
from stimage.evaluation.embedding import settle_options
from stimage.evaluation.hest_bench.folder import BenchSample, BenchTask, read_barcodes
from stimage.evaluation.hest_bench.vectors import (
    BASELINES,
    Encode,
    by_colour,
    by_nuclei,
    by_position,
    by_tower,
    embed_sample,
    in_patch_order,
)
from stimage.jobs.benchmarks.encoders import BenchEncoder
from stimage.jobs.vectors.writing import provenance_of
from stimage.loading.embeddings import Embeddings, read_embeddings
from stimage.loading.provenance import Provenance
from stimage.slides.freshness import file_digest
from stimage.towers.image_towers import load_tower


class HestEncoder:
    """An encoder, and the folder with its embeddings, whose marker says what these were made with."""

    def __init__(self, encoder: BenchEncoder, out: Path, batch_size: int):
        self.name, self.dtype, self.files = encoder.name, encoder.dtype, encoder.files
        self.folder = Path(encoder.name) if encoder.files else out / "embeddings" / encoder.folder
        self.batch_size, self.label = batch_size, encoder.name
        self._encode: Encode | None = None

    @cached_property
    def provenance(self) -> Provenance | None:
        """The slides that the encoder has seen; None if they are unknown."""
        if self.files:
            first = next(iter(listed(self.folder, "**/*.parquet")), None)
            return read_embeddings(first).provenance if first else None
        return None if self.name in BASELINES else provenance_of(self.name)

    def vectors(self, task: BenchTask) -> Callable[[BenchSample], Embeddings]:
        """Return what gives the embeddings of a task's samples; those that are not there are made.

        The encoder is loaded even if all are there: its weights may be others now.
        """
        encode = None if self.files else self._load()

        def of(sample: BenchSample) -> Embeddings:
            path = self._path(task, sample)
            if encode is None:
                if not path.is_file():
                    raise DataError(f"{path}: there is no such file: embeddings of HEST-Benchmark are files "
                                    "TASK/SAMPLE.parquet, as a benchmark writes them below OUT/embeddings")  # fmt: skip
                return in_patch_order(sample, path)
            self._settle(sample, path)
            if not path.exists():
                embed_sample(sample, encode, path, self.label, self.provenance)
            return in_patch_order(sample, path)

        return of

    def plan_line(self, tasks: Sequence[BenchTask]) -> tuple:
        """Return the plan of embedding: see `RootBench.plan`; slides are samples, spots are patches."""
        every = {self._path(task, one): (task, one) for task in tasks for one in task.samples}
        n = {path: len(read_barcodes(sample)) for path, (_, sample) in every.items()}
        left, seconds = [path for path in every if not self.files and not path.exists()], 0.0
        if left and self.name not in BASELINES:
            began = time.monotonic()
            barcodes, _ = next(self._load()(every[left[0]][1]))
            seconds = (time.monotonic() - began) / len(barcodes) * sum(n[path] for path in left)
        space = "files" if self.files else "baseline" if self.name in BASELINES else "tower"
        there = len(every) - len(left)
        return self.name, space, self.dtype, len(every), sum(n.values()), there, sum(n[p] for p in left), seconds

    def _path(self, task: BenchTask, sample: BenchSample) -> Path:
        return self.folder / task.name / f"{sample.name}.parquet"

    def _settle(self, sample: BenchSample, path: Path) -> None:
        """Note the digest of the patches that embeddings are made of, or compare it with the one noted."""
        note, digest = path.with_suffix(".patches"), file_digest(str(sample.patches))
        if not path.exists():
            write_text(note, digest)
        elif not note.exists() or note.read_text(encoding="utf-8") != digest:
            raise DataError(f"{path}: was made from other patches than {sample.patches} has now; delete it, or pass "
                            "another out= (--out)")  # fmt: skip

    def _load(self) -> Encode:
        if self._encode is None:
            options: dict[str, Any] = {"model": self.name, "space": "tower", "of": "images"}
            if self.name in BASELINES:
                known = {"colour": by_colour, "position": by_position, "nuclei": by_nuclei}
                self._encode = known[self.name]
            else:
                tower = load_tower(self.name, dtype=self.dtype)
                self.label = f"{tower.name} {tower.digest[:12]}"
                options |= {"weights": tower.digest, "dtype": self.dtype, "pooling": tower.pooling, "size": tower.size}
                self._encode = by_tower(tower, self.batch_size)
            settle_options(self.folder, options)
        return self._encode
