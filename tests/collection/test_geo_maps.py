"""The shipped maps: what GEO says of organisms and tissues, in the data set's words."""

import csv

import pytest

from tests.collection.test_make_meta import SOFT, files, make, refused, rows_of  # noqa: F401
from tests.test_scripts import run

SCRIPT = "data_collection/make_meta.py"


def soft(gse: str, **said: list[str]) -> str:
    """A family file of one sample; what it says by organism or by field of its characteristics."""
    lines = [f"^SERIES = {gse}", "^SAMPLE = GSM7", "!Sample_geo_accession = GSM7", f"!Sample_series_id = {gse}"]
    lines += [f"!Sample_organism_ch1 = {name}" for name in said.pop("organism", ["Homo sapiens"])]
    lines += [f"!Sample_characteristics_ch1 = {field}: {value}" for field, some in said.items() for value in some]
    return "\n".join(lines) + "\n"


def row_of(tmp_path, text: str, *options) -> dict:
    (tmp_path / "family.soft").write_text(text)
    (tmp_path / "slides.csv").write_text("slide,gsm,tech\nMine,GSM7,Visium\n")
    done = run(SCRIPT, "--geo", tmp_path / "family.soft", "--slides", tmp_path / "slides.csv", "--out",
               tmp_path / "meta.csv", *options)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return rows_of(tmp_path / "meta.csv")[0]


@pytest.mark.parametrize(
    ("written", "tissue"),
    [
        ("Heart ventricles collected 7 days after MI", "heart"),
        ("High grade IPMN with co-ocurring PDAC", "pancreas"),
        ("OSF-associated OSCC", "mouth"),
        ("CRLM", "liver"),
        ("Brain (E13.5)", "brain"),
        ("Tumor section", "lacrimal gland"),
        ("Trunk of Pax2GFP mouse embryo", "embryo"),
        ("5 dpa regenerating lower arm", "arm"),
        ("GS3 breast cancer PDX", "breast"),
        ("unwounded skin tissue", "skin"),
    ],
)
def test_tissues_as_geo_writes_them(tmp_path, written, tissue):
    row = row_of(tmp_path, soft("GSE1", tissue=[written]), "--tissue-raw")
    assert (row["tissue"], row["tissue_raw"]) == (tissue, written)


@pytest.mark.parametrize(
    ("gse", "said", "tissue", "raw"),
    [
        ("GSE179572", {"tissue": ["metastasis"]}, "brain", "metastasis"),
        ("GSE194329", {}, "glioma", ""),
        ("GSE248356", {"tissue": ["skin"]}, "melanoma", "skin"),
        ("GSE180682", {}, "digit", ""),
        ("GSE180682", {"tissue": ["limb"]}, "arm", "limb"),
        ("GSE203612", {"tissue": ["tumor"], "organ": ["Ovary"]}, "ovary", "Ovary"),
        ("GSE203612", {"tissue": ["liver"]}, "liver", "liver"),
        ("GSE1", {"tissue": ["skin"], "organ": ["ear"]}, "skin", "skin"),
    ],
)
def test_what_is_known_of_studies(tmp_path, gse, said, tissue, raw):
    row = row_of(tmp_path, soft(gse, **said), "--tissue-raw")
    assert (row["tissue"], row["tissue_raw"]) == (tissue, raw)


@pytest.mark.parametrize(
    ("organisms", "species"),
    [
        (["Homo sapiens", "Mus musculus"], "human & mouse"),
        (["Mus musculus; Homo sapiens"], "human & mouse"),
        (["Mus"], "mouse"),
        (["Electrophorus voltai"], "fish"),
    ],
)
def test_species(tmp_path, organisms, species):
    row = row_of(tmp_path, soft("GSE1", organism=organisms, tissue=["brain"]))
    assert row["species"] == species and "tissue_raw" not in row


@pytest.mark.parametrize(
    ("title", "cancer"),
    [("A tumorigenic cell", "True"), ("Pancancer maps", "True"), ("Anti-tumor cells", "True"), ("The TME", "True"),
     ("Htme of it", "True"), ("Tumors, (cancer)", "False")],
)  # fmt: skip
def test_cancer_beside_a_space(tmp_path, title, cancer):
    (tmp_path / "slides.csv").write_text(f'slide,tech,species,tissue,title\nMine,ST,human,skin,"{title}"\n')
    done = run(SCRIPT, "--slides", tmp_path / "slides.csv", "--out", tmp_path / "meta.csv")
    assert done.returncode == 0 and rows_of(tmp_path / "meta.csv")[0]["involve_cancer"] == cancer


def test_a_file_with_tissue_raw_is_a_meta_file(files):  # noqa: F811
    assert make(files, "--tissue-raw").returncode == 0
    path = files / "root/meta/meta_all_gene.csv"
    with path.open(newline="") as file:
        assert next(csv.reader(file))[-1] == "tissue_raw"
    assert [row["tissue_raw"] for row in rows_of(path)] == ["Skin", "Whole brain", "heart"]
    assert run(SCRIPT, "--check", path).returncode == 0


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("GSE1,skin,sometimes,", "rule is 'sometimes'; write 'if none', 'organ' or nothing"),
        ("GSE1,skin,organ,", "the rule 'organ' takes no tissue, but 'skin' is given"),
        ("GSE1,,if none,", "tissue '' is none of"),
        (",skin,,why", "accession is empty"),
    ],
)
def test_rules_that_are_none(files, line, part):  # noqa: F811
    maps = files / "maps"
    maps.mkdir()
    (maps / "species.csv").write_text("written,species\nHomo sapiens,human\n")
    (maps / "tissues.csv").write_text("written,tissue\nskin,skin\n")
    (maps / "tissue_of_study.csv").write_text(f"accession,tissue,rule,why\n{line}\n")
    refused(make(files, "--maps", maps), "tissue_of_study.csv: line 2", part)


def test_two_files_that_differ_in_the_organ(files):  # noqa: F811
    (files / "more.soft").write_text(SOFT.replace("organ: heart", "organ: liver"))
    refused(make(files, **{"--geo": ["matrix.txt", "family.soft.gz", "more.soft"]}), "GSM3 differs from", "family.soft")
