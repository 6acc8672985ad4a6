"""A benchmark that is ended at some moment and run again has the same bytes as one that was not, but for wall times."""

import json
from pathlib import Path

import pytest

from tests.evaluation.scripts import run
from tests.evaluation.test_benchmark_encoders import folder  # noqa: F401 (a fixture)

TIMED = ("results.json", "manifest.json")  # which have wall times, or digests of these


def files_of(out: Path) -> dict[str, object]:
    """Return path → what a file holds, without wall times, and without the digests of the files that have these."""
    found: dict[str, object] = {}
    for path in sorted(one for one in out.rglob("*") if one.is_file() and not one.name.startswith(".")):
        name, data = path.relative_to(out).as_posix(), path.read_bytes()
        if path.name == "results.json":
            found[name] = {key: value for key, value in json.loads(data).items() if key != "seconds"}
        elif path.name == "manifest.json":
            digests = json.loads(data)["sha256"]
            found[name] = {key: value for key, value in digests.items() if not key.endswith(TIMED)}
        else:
            found[name] = data
    return found


@pytest.mark.slow
def test_ended_at_any_file_and_run_again(folder, tmp_path, capsys, monkeypatch):  # noqa: F811
    arguments = (folder / "root", "--tasks", folder / "genes.yaml", "--encoders", folder / "clip")
    assert not run(capsys, "benchmark.py", *arguments, out=tmp_path / "whole").error
    expected, replace, moments = files_of(tmp_path / "whole"), Path.replace, [1, 4, 7, 12, 15]
    out, left = tmp_path / "ended", 0

    def ended(path: Path, target: Path) -> Path:
        nonlocal left
        left -= 1
        if left == 0:
            raise KeyboardInterrupt
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", ended)
    cut = 0
    for left in moments:  # noqa: B007 (counted down by each file that is written)
        cut += run(capsys, "benchmark.py", *arguments, out=out).error == 130
    assert cut >= 3
    left = 0
    assert not run(capsys, "benchmark.py", *arguments, out=out).error
    assert files_of(out).keys() == expected.keys()
    assert [name for name, held in files_of(out).items() if held != expected[name]] == []
