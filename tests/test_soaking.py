"""The soak at a tiny size, and what it says of memory that grows."""

import json

from benchmarks import soak


def test_a_slide_is_streamed_for_some_time(tmp_path, capsys):
    (tmp_path / soak.FOLDER).mkdir()  # of a soak that was killed
    assert (
        soak.main(["--out", str(tmp_path), "--bins", "1200", "--genes", "20", "--minutes", "0", "--workers", "1"]) == 0
    )
    found = json.loads((tmp_path / "soak.json").read_text())
    assert (found["epochs"], found["spots"], found["workers"]) == (1, 1200, 1) and len(found["mb"]) >= 2
    assert min(found["mb"]) > 50 and max(found["mapped_mb"]) > 1
    assert not (tmp_path / soak.FOLDER).exists() and found["machine"]["cores"]
    assert "1 epochs of 1,200 bins" in capsys.readouterr().out


def test_memory_that_grows_is_found():
    flat = [900.0, 1300, 1290, 1310, 1300, 1280, 1300, 1305] * 5
    assert soak.is_flat(flat) and soak.is_flat([500.0])
    assert not soak.is_flat([one + 10 * k for k, one in enumerate(flat)])
    assert not soak.is_flat([*flat[:-1], 1600.0])
