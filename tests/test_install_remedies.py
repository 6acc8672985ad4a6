"""How a missing extra is installed: of the clone that runs, of what was installed, or package by package."""

import json
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from stimage.core import extras
from stimage.core.extras import how_to_install, this_project

PROJECT = Path(__file__).parents[1]
REQUIRES = ["numpy>=1.26", 'torch>=2.13; extra == "train"', 'stimage-1k4m[train]; extra == "evaluate"',
            'scikit-learn>=1.5; extra == "evaluate"']  # fmt: skip


class Installed:
    """A distribution that tells where it came from."""

    def __init__(self, told: object) -> None:
        self.told, self.requires = told, REQUIRES

    def read_text(self, name: str) -> str | None:
        assert name == "direct_url.json"
        return None if self.told is None else json.dumps(self.told)


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Let the project be installed, and not run from its clone."""
    monkeypatch.setattr(extras, "HERE", tmp_path / "site-packages/stimage")
    return lambda told: monkeypatch.setattr("importlib.metadata.distribution", lambda name: Installed(told))


def test_in_a_clone():
    assert how_to_install("torch") == f'pip install -e "{PROJECT}[train]"'
    assert (PROJECT / "pyproject.toml").exists() and how_to_install("einops_exts") == "pip install einops-exts"
    assert this_project() == f'-e "{PROJECT}"'


def test_installed_from_a_folder_or_file(installed, tmp_path):
    (tmp_path / "a clone").mkdir()
    url = (tmp_path / "a clone").as_uri()
    installed({"url": url, "dir_info": {}})
    asked = Requirement(this_project("train").strip('"'))
    assert (asked.name, asked.extras, asked.url) == ("stimage-1k4m", {"train"}, url) and "%20" in url


def test_installed_from_what_is_gone(installed, tmp_path):
    installed({"url": (tmp_path / "gone.whl").as_uri(), "archive_info": {}})
    assert this_project("evaluate") == '"torch>=2.13" "scikit-learn>=1.5"'
    assert this_project("train") == '"torch>=2.13"'


def test_installed_from_a_repository(installed):
    installed({"url": "https://example.org/x.git", "vcs_info": {"vcs": "git", "commit_id": "abc1"}})
    assert this_project("genes") == '"stimage-1k4m[genes] @ git+https://example.org/x.git@abc1"'
    installed({"url": "https://example.org/x.whl", "archive_info": {}})
    assert Requirement(this_project("genes").strip('"')).url == "https://example.org/x.whl"


@pytest.mark.parametrize("told", [None, {}])
def test_installed_by_its_name(installed, told):
    installed(told)
    assert this_project("genes") == '"stimage-1k4m[genes]"' and this_project() == '"stimage-1k4m"'
