"""What a project is expected to have: a changelog of this version, a citation, and issues that ask for the doctor."""

import re
from pathlib import Path

import yaml

import stimage

PROJECT = Path(__file__).parents[1]
TEMPLATES = sorted((PROJECT / ".github/ISSUE_TEMPLATE").glob("*.yml"))


def test_the_changelog_begins_with_this_version():
    versions = re.findall(r"^## (\d+\.\d+\.\d+)", (PROJECT / "CHANGELOG.md").read_text(encoding="utf-8"), re.M)
    assert versions[0] == stimage.__version__
    numbers = [[*map(int, version.split("."))] for version in versions]
    assert numbers == sorted(numbers, reverse=True)


def test_the_version_has_one_place():
    number = stimage.__version__
    others = [PROJECT / name for name in ("pyproject.toml", "CITATION.cff", "setup.py", "README.md")]
    assert not [path.name for path in others if f'"{number}"' in path.read_text(encoding="utf-8")]


def test_the_citation_names_the_data_as_the_readme_does():
    said = yaml.safe_load((PROJECT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= said.keys() and "version" not in said
    (paper,) = said["references"]
    readme = re.sub(r"\s+", " ", (PROJECT / "README.md").read_text(encoding="utf-8"))
    assert paper["title"] in readme and paper["url"] in readme and paper["authors"][0]["family-names"] == "Chen"


def test_issues_ask_for_the_doctor():
    forms = {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in TEMPLATES}
    assert forms.keys() == {"config", "fault", "wish"}
    for name in ("fault", "wish"):
        fields = {one["id"]: one for one in forms[name]["body"]}
        assert "stimage doctor" in fields["doctor"]["attributes"]["label"]
        assert all(one["type"] == "textarea" and one["attributes"]["label"] for one in fields.values())
    assert {one["id"]: one for one in forms["fault"]["body"]}["doctor"]["validations"]["required"]
