"""results.json, as every job writes it."""

import platform

import numpy as np
import pytest

from stimage.core.errors import DataError
from stimage.core.results import digest_of, read_results, record_results


def test_results_say_what_they_were_made_with(tmp_path):
    config = {"k": np.int64(3), "ways": ("a", "b")}
    found = {"S": {"f1": np.float32(0.5), "auc": float("nan"), "of": np.arange(2)}}
    path = record_results(tmp_path / "out", "protocol", config, [0], ["numpy", "no-such"], 1.23456, slides=found)
    assert read_results(tmp_path / "out") == read_results(path) == {
        "protocol": {"k": 3, "ways": ["a", "b"], "sha256": digest_of({"ways": ["a", "b"], "k": 3})},
        "seeds": [0],
        "versions": {"python": platform.python_version(), "numpy": np.__version__, "no-such": None},
        "seconds": 1.235,
        "slides": {"S": {"f1": 0.5, "auc": None, "of": [0, 1]}},
    }  # fmt: skip
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["results.json"]


def test_what_is_no_results(tmp_path):
    for text, why in (("{", "cannot be read as results"), ("[]", "has no 'slides'"), ("{}", "has no 'slides'")):
        (tmp_path / "results.json").write_text(text)
        with pytest.raises(DataError, match=why):
            read_results(tmp_path, ["slides"])
    with pytest.raises(DataError, match=r"nowhere.json: cannot be read \(No such file"):
        read_results(tmp_path / "nowhere.json")
