"""Slides that are written in HEST's layout, by who is killed or is not alone: each is whole, and a rerun goes on."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import stimage
from stimage.core.errors import DataError
from tests.building import ended
from tests.formats import killed
from tests.hest import write_sample

pytestmark = pytest.mark.slow
SCRIPT = "import sys; from pathlib import Path; from tests.formats.killed import export; export(Path(sys.argv[1]))"


@pytest.fixture
def before(tmp_path) -> Path:
    """A folder that has an earlier TENX1; "slides" beside it has TENX1 as it is now, and TENX2."""
    write_sample(tmp_path / "slides", "TENX1", seed=1)
    killed.export(tmp_path / "made/before")
    write_sample(tmp_path / "slides", "TENX1", seed=2, patient="Patient 2")
    write_sample(tmp_path / "slides", "TENX2", seed=3)
    return tmp_path / "made/before"


def samples(root: Path) -> dict[str, list]:
    """Return what each slide of a root tells, with its patient."""
    names, found = stimage.gene_names(root), {}
    for slide in stimage.open_root(root).slides:
        spots = list(stimage.load("all", root, slides=[slide.name]))
        told = [(one["spot_id"], np.asarray(one["image"]).tobytes(), one["um_per_px"]) for one in spots]
        counts = [{names[k]: n for k, n in zip(one["gene_ids"], one["counts"])} for one in spots]
        found[slide.name] = [slide.patient, told, counts]
    return found


def test_a_kill_at_every_eleventh_write_leaves_whole_slides(before, tmp_path):
    script, out = Path(killed.__file__), tmp_path / "killed"
    run = subprocess.run(
        [sys.executable, script, "export", before, out, "11"], capture_output=True, text=True, check=True
    )
    assert "write" not in run.stderr
    roots = sorted(out.iterdir(), key=lambda path: int(path.name))
    old, new = samples(before), samples(roots.pop())
    assert len(roots) > 3 and new == samples(tmp_path / "slides") and old["TENX1"] != new["TENX1"]
    seen = []
    for one in roots:
        found = samples(one)
        seen.append((found["TENX1"] == new["TENX1"], "TENX2" in found))
        assert found in (old, new, {"TENX1": new["TENX1"]})
        killed.export(one)
        assert samples(one) == new and not [*one.glob(".begun*"), *one.glob(".ready")]
        rows = (one / "HEST_v1_1_0.csv").read_text().splitlines()
        assert len(rows) == 3 and "Patient 2" in rows[1]
    assert seen == sorted(seen) and {(False, False), (True, False)} <= {*seen}


def test_two_at_once(before, tmp_path):
    runs = [
        subprocess.Popen([sys.executable, "-W", "ignore", "-c", SCRIPT, before], stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    assert [ended(run) for run in runs] == [([], 0)] * 2
    assert samples(before) == samples(tmp_path / "slides")


def test_a_folder_is_not_written_into_itself(before, tmp_path):
    want = samples(tmp_path / "slides")
    with pytest.raises(DataError, match=r"TENX1\.h5ad: would be replaced, and is what is to be written"):
        stimage.export_slides(tmp_path / "slides", tmp_path / "made/../slides", "hest", patches=False)
    assert samples(tmp_path / "slides") == want
