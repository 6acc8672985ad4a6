"""The meta file, made by the script from files as GEO and PubMed give them."""

import csv
import gzip
from pathlib import Path

import pytest

from tests.roots import META, write_slide
from tests.test_scripts import run

SCRIPT = "data_collection/make_meta.py"
MATRIX = """!Series_title\t"Skin in space"
!Series_geo_accession\t"GSE100"
!Series_pubmed_id\t"11111"
!Series_pubmed_id\t"22222"

!Sample_title\t"one"\t"two"
!Sample_geo_accession\t"GSM1"\t"GSM2"
!Sample_organism_ch1\t"Homo sapiens"\t"Mus musculus"
!Sample_characteristics_ch1\t"age: 3"\t"age: 4"
!Sample_characteristics_ch1\t"tissue: Skin"\t"tissue: Whole brain"
!series_matrix_table_begin
"ID_REF"\t"GSM1"\t"GSM2"
!series_matrix_table_end
"""
SOFT = """^DATABASE = GeoMiame
!Database_name = Gene Expression Omnibus
^SERIES = GSE200
!Series_title = Hearts
!Series_geo_accession = GSE200
^PLATFORM = GPL1
!Platform_title = a sequencer
^SAMPLE = GSM3
!Sample_geo_accession = GSM3
!Sample_organism_ch1 = Homo sapiens
!Sample_characteristics_ch1 = organ: heart
!Sample_series_id = GSE200
"""
BIB = """@article{a1,
  title = {Skin, mapped.},
  abstract = {Of the skin.
    In two lines, 5% of it},
  keywords = {skin; map},
  pmid = {11111}
}
@article{pmid22222,
  title = "A {Tumor} atlas",
  abstract = {Of {\\"u}ber-cells}
}
"""


@pytest.fixture
def files(tmp_path) -> Path:
    """A root of three slides, GEO files of two series, and publications."""
    write_slide(tmp_path / "root", "GSE100_GSM1", "ST")
    write_slide(tmp_path / "root", "GSE100_GSM2", "Visium", side=4, seed=1)
    write_slide(tmp_path / "root", "Heart", "Visium", seed=2)
    (tmp_path / "root/meta/meta_all_gene.csv").unlink()
    (tmp_path / "matrix.txt").write_text(MATRIX)
    (tmp_path / "family.soft.gz").write_bytes(gzip.compress(SOFT.encode()))
    (tmp_path / "bib.txt").write_text(BIB)
    (tmp_path / "slides.tsv").write_text("slide\tgse\tgsm\nHeart\tGSE200\tGSM3\n")
    return tmp_path


def make(folder: Path, *more, **replaced):
    names = {"--geo": ["matrix.txt", "family.soft.gz"], "--bib": ["bib.txt"], "--slides": ["slides.tsv"]} | replaced
    options = [part for option, paths in names.items() if paths for part in (option, *(folder / p for p in paths))]
    return run(SCRIPT, folder / "root", *options, *more)


def rows_of(path: Path) -> list[dict]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def refused(done, *parts) -> None:
    assert done.returncode == 1 and "Traceback" not in done.stderr
    for part in parts:
        assert part in done.stderr, done.stderr


def test_the_meta_file(files):
    done = make(files)
    assert done.returncode == 0, done.stderr
    path = files / "root/meta/meta_all_gene.csv"
    assert path.read_text().startswith(
        '"' + '","'.join(META) + '"\n"GSE100_GSM1","human","skin","11111,22222","Title 1: '
    )
    skin, brain, heart = rows_of(path)
    assert skin["title"] == "Title 1: Skin, mapped. Title 2: A Tumor atlas."
    assert skin["abstract"] == "Abstract 1: Of the skin. In two lines, 5% of it Abstract 2: Of über-cells"
    assert (skin["involve_cancer"], skin["tech"], skin["spot_num"], skin["gene_num"]) == ("True", "ST", "9", "4")
    assert (brain["species"], brain["tissue"], brain["tech"], brain["spot_num"]) == ("mouse", "brain", "Visium", "16")
    assert (heart["species"], heart["tissue"], heart["pmid"], heart["title"]) == ("human", "heart", "", "Hearts")
    assert heart["involve_cancer"] == "False"
    assert run(SCRIPT, "--check", path).returncode == 0
    assert make(files).returncode == 2  # it is there already


def test_the_builder_reads_it(files):
    from datasets import load_dataset

    import stimage_1k4m  # noqa: F401

    assert make(files).returncode == 0
    data = load_dataset("stimage_1k4m", "all", data_dir=str(files / "root"), split="train", streaming=True)
    assert {(e["slide"], e["tissue"], e["pmid"]) for e in data} == {
        ("GSE100_GSM1", "skin", "11111,22222"),
        ("GSE100_GSM2", "brain", "11111,22222"),
        ("Heart", "heart", None),
    }


def test_flat_tables_do_as_well(files):
    (files / "samples.csv").write_text(
        "Accession,Taxonomy,Series,Characteristics\n"
        'GSM1,Homo sapiens,GSE100,"age: 3, tissue: skin, left"\nGSM2,Mus musculus,GSE100,tissue: brain\n'
        "GSM3,Homo sapiens,GSE200,organ: heart\n"
    )
    (files / "tissues.csv").write_text("written,tissue\n")
    (files / "series.csv").write_text("Accession,Title,PubMed ID\nGSE100,Skin in space,11111;22222\nGSE200,Hearts,\n")
    (files / "texts.csv").write_text("pmid,title,abstract,keywords\n11111,Skin.,,\n22222,Other,no,\n")
    done = make(files, "--publications", files / "texts.csv", "--allow-unknown",
                **{"--geo": ["samples.csv", "series.csv"], "--bib": []})  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "'skin, left' is not in" in done.stderr and "tissues.csv; add it" in done.stderr
    skin, brain, _ = rows_of(files / "root/meta/meta_all_gene.csv")
    assert (skin["tissue"], skin["title"], brain["tissue"]) == ("", "Title 1: Skin. Title 2: Other.", "brain")


def test_what_is_not_known_is_listed_and_nothing_written(files):
    (files / "matrix.txt").write_text(MATRIX.replace("Homo sapiens", "Homo novus").replace("Whole brain", "Antenna"))
    refused(
        make(files),
        "GSE100_GSM1: species is not known: 'homo novus' is not in",
        "GSE100_GSM2: tissue is not known: 'Antenna' is not in",
        "is not written",
    )
    assert not (files / "root/meta/meta_all_gene.csv").exists()


def test_a_slide_without_a_sample_is_told(files):
    refused(make(files, **{"--slides": []}), "Heart: species is not known: no GEO sample is named; give species")


def test_maps_of_ones_own(files):
    maps = files / "maps"
    maps.mkdir()
    (maps / "species.csv").write_text("written,species\nHomo sapiens,person\nMus musculus,mouse\n")
    (maps / "tissues.csv").write_text("written,tissue\nskin,hide\nwhole brain,brain\nheart,heart\n")
    (maps / "tissue_of_study.csv").write_text("accession,tissue,why\nGSE200,hide,asked\n")
    done = make(files, "--maps", maps, "--out", files / "meta.csv")
    assert done.returncode == 0, done.stderr
    assert [(r["species"], r["tissue"]) for r in rows_of(files / "meta.csv")] == [
        ("person", "hide"), ("mouse", "brain"), ("person", "hide")]  # fmt: skip
    (maps / "species.csv").write_text("written,species\nHomo sapiens,person\nhomo  sapiens,human\n")
    refused(make(files, "--maps", maps), "species.csv: line 3", "'homo sapiens' is also in", "line 2")


@pytest.mark.parametrize(
    ("name", "content", "parts"),
    [
        ("matrix.txt", "^PLATFORM = GPL1\n!Platform_title = x\n", ["matrix.txt: has no sample and no series"]),
        ("matrix.txt", "<html><body>Error</body></html>\n", ["matrix.txt: line 1", "is a web page"]),
        ("matrix.txt", "", ["matrix.txt: is empty"]),
        ("matrix.txt", MATRIX.replace('\t"Mus musculus"', ""), ["matrix.txt: line 8", "1 cells for 2 samples"]),
        ("matrix.txt", "!Series_geo_accession\t\"GSE100\"\n", ["line 1", "ends without !Sample_geo_accession"]),
        ("matrix.txt", "#platform\nx\n", ["matrix.txt: line 1 begins with '#platform'; expected a series matrix"]),
        ("matrix.txt", "a,b\n1,2\n", ["matrix.txt: line 2: '' is no accession"]),
        ("family.soft.gz", gzip.compress(SOFT.encode(), mtime=0)[:90], ["family.soft.gz: line", "cut off?"]),
        ("bib.txt", BIB.replace("pmid = {11111}\n}", "pmid = {11111\n"), ["bib.txt: line 1", "brace"]),
        ("bib.txt", BIB.replace("@article{a1", "article{a1"), ["bib.txt: line 1 has no @ before"]),
        ("bib.txt", BIB.replace("map},", "map}"), ["line 1: no comma before 'pmid' in entry 'a1'"]),
        ("bib.txt", BIB.replace("{11111}", "{22222}"), ["bib.txt: line 8: pmid 22222 is also in", "line 1"]),
        ("bib.txt", BIB.replace("{11111}", "{11x}"), ["bib.txt: line 1: '11x' is no pmid"]),
        ("bib.txt", "nothing here\n", ["bib.txt: has no BibTeX entry"]),
        ("slides.tsv", "slide\tgsm\nHeart\tGSM3\nheart\tGSM1\n", ["slides.tsv: line 3", "also in", "line 2"]),
        ("slides.tsv", "slide\ttech\nHeart\tST\n", ["line 2: tech is ST, but its files are in", "/Visium"]),
        ("slides.tsv", "slide\torgan\nHeart\theart\n", ["slides.tsv: line 1: unknown column 'organ'"]),
        ("slides.tsv", "slide\tgsm\nHeart\n", ["slides.tsv: line 2 has 1 cells for 2 columns"]),
        ("root/Visium/gene_exp/Heart_count.csv", ",A,B\n", ["Heart_count.csv: has no spot"]),
    ],
)  # fmt: skip
def test_bad_input_is_named_with_its_line(files, name, content, parts):
    (files / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    refused(make(files), *parts)
    assert not list((files / "root/meta").iterdir())


def test_two_files_that_disagree(files):
    (files / "more.txt").write_text(MATRIX.replace("tissue: Skin", "tissue: heart"))
    refused(make(files, **{"--geo": ["matrix.txt", "family.soft.gz", "more.txt"]}), "GSM1 differs from", "matrix.txt")


def test_latin_1_and_byte_order_marks(files):
    (files / "bib.txt").write_bytes(b"\xef\xbb\xbf" + BIB.replace('{\\"u}', "ü").encode())
    (files / "matrix.txt").write_bytes(MATRIX.replace("one", "süß").encode("latin-1"))
    done = make(files)
    assert done.returncode == 0 and "matrix.txt: line 6 is not UTF-8" in done.stderr
    assert "über" in rows_of(files / "root/meta/meta_all_gene.csv")[0]["abstract"]


def test_check_lists_each_difference(files):
    path = files / "meta.csv"
    assert make(files, "--out", path).returncode == 0
    rows = rows_of(path)
    rows[0] |= {"tissue": "Skin", "involve_cancer": "False", "spot_num": "0"}
    rows[2]["slide"] = rows[1]["slide"]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, META)
        writer.writeheader()
        writer.writerows(rows)
    done = run(SCRIPT, "--check", path)
    assert done.returncode == 1 and "3 rows, 4 differences" in done.stdout
    for part in ("line 2: slide GSE100_GSM1: tissue 'Skin' is no word of", "involve_cancer is 'False', but",
                 "spot_num '0' is no number above 0", "line 4: slide GSE100_GSM2: slide is also in"):  # fmt: skip
        assert part in done.stdout


def test_the_real_meta_file_agrees_in_all_rows(shared):
    done = run(SCRIPT, "--check", shared / "real/meta/meta_all_gene.csv")
    assert done.returncode == 0 and "1149 rows, 0 differences" in done.stdout
