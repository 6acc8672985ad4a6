"""Reading counts asks the system for no memory block after block, whatever the C library does with what is freed."""

import os
import subprocess
import sys

import numpy as np
import pytest

COUNT_FAULTS = """
import resource, sys
from stimage.slides.counts.wide_csv import index_rows, read_header, read_counts, rows_at
path = sys.argv[1]
index, genes = index_rows(path), read_header(path)[0]
for _ in range(2):  # the first time, memory is new
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    values = sum(len(rows.values) for rows in read_counts(path))
    for at in range(0, len(index.start), 64):
        values += len(rows_at(path, genes, index.start[at : at + 64], index.end[at : at + 64]).values)
print(values, (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) * resource.getpagesize())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="page faults as Linux counts them")
@pytest.mark.parametrize("filled", [0.01, 0.14])
def test_memory_is_used_again_where_freed_memory_goes_back_at_once(tmp_path, filled):
    path, rng = tmp_path / "f.csv", np.random.default_rng(0)
    some = [np.where(rng.random(20_000) < filled, rng.integers(1, 30, 20_000), 0) for _ in range(20)]
    lines = [",".join(map(str, row.tolist())) for row in some]
    genes = ",".join(map(str, range(20_000)))
    path.write_text("\n".join([f",{genes}", *(f"S_{i},{lines[i % 20]}" for i in range(400))]))
    as_dask_does = os.environ | {"MALLOC_TRIM_THRESHOLD_": "65536"}
    run = subprocess.run(
        [sys.executable, "-c", COUNT_FAULTS, str(path)], env=as_dask_does, capture_output=True, text=True
    )
    values, touched = map(int, run.stdout.split())
    assert values == 2 * 20 * sum(np.count_nonzero(row) for row in some)
    assert touched < 3 * path.stat().st_size  # ten times as much, if all arrays are new each time
