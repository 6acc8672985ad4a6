"""The job that the page on tasks shows: a task names it, a benchmark runs it, and its figures are right."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import stimage
from stimage.core.errors import DataError
from stimage.jobs.benchmarks import tasks
from stimage.sample import make_sample

PAGE = Path(__file__).parents[2] / "docs/developing"
TASK = """\
job: richness
select: {tech: ST}
options: {alpha: 0.01}
metric: pearson
baselines: {position: baselines.position.pearson}
"""


@pytest.fixture
def job(monkeypatch):
    """Name the page's job as the page says."""
    spec = importlib.util.spec_from_file_location("richness", PAGE / "richness.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "richness", module)
    spec.loader.exec_module(module)
    monkeypatch.setitem(tasks.JOBS, "richness", tasks.Job("richness", "PROTOCOL"))
    return module


@pytest.fixture
def sample(tmp_path) -> tuple[Path, pd.DataFrame]:
    """Return a root, and embeddings of its ST slides whose first number is that of the genes; the second is noise."""
    folder = tmp_path / "root"
    make_sample(folder, genes=60, slides_per_study=3, st_side=6, visium_side=6, hd_side=8)
    root = stimage.open_root(folder, "ST")
    read = [stimage.read_slide(root, slide.name) for slide in root.slides]
    genes = pd.concat(pd.Series(np.asarray((one.X > 0).sum(1)).ravel(), one.obs_names) for one in read)
    noise = np.random.default_rng(0).normal(size=len(genes))
    return folder, pd.DataFrame({"genes": np.log1p(genes.to_numpy()), "noise": noise}, genes.index)


def test_a_task_of_the_example(job, sample, tmp_path):
    root, vectors = sample
    vectors.to_csv(tmp_path / "told.csv")
    vectors[["noise"]].to_csv(tmp_path / "noise.csv")
    (tmp_path / "genes.yaml").write_text(TASK)
    files = [tmp_path / "told.csv", tmp_path / "noise.csv"]
    found = stimage.benchmark_root(root, files, tmp_path / "out", tmp_path / "genes.yaml").set_index("encoder").value
    assert found.iloc[0] > 0.999 and abs(found.iloc[1]) < 0.3 and abs(found["position"]) < 0.95
    again = stimage.benchmark_root(root, files, tmp_path / "out", tmp_path / "genes.yaml").set_index("encoder").value
    pd.testing.assert_series_equal(again, found)


def test_a_slide_alone_is_refused(job, sample):
    root, vectors = sample
    one = stimage.open_root(root, "ST").slides[0].name
    with pytest.raises(DataError, match="1 slides have embeddings; to hold one out, two are needed"):
        job.richness(stimage.open_root(root, "ST", slides=[one]), vectors[vectors.index.str.startswith(one)])
