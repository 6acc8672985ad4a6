"""Names that are hardly a gene's: each kind is found, and names of genes that look like them are not."""

import pytest

import stimage
from stimage.genes.odd_names import odd_names
from tests.roots import write_genes

GENES = [f"GENE{k}" for k in range(200)]
KINDS = {  # names, and what they are said to be
    "dates": (["1-Mar", "Mar-01", "2-Sep", "SEP-02", "1-Mrz", "01-Okt", "1-März", "1. Dez", "2-sept.", "1-Mar-20",
               "2001/03/01", "2001-03-01 00:00:00", "3/1/2001", "01.03.2001", "43891", "44441.0", "2.31E+13"],
              "dates or numbers that a spreadsheet made of names: 17, such as '1-Mar', 'Mar-01', '2-Sep', …"),
    "empty": (["", " ", "nan", "NA", "None", "#NAME?", "Unnamed: 7"], "empty names: 7, such as '', ' ', 'nan', …"),
    "antibodies": (["CD3_TotalSeqB", "HTO1", "Hashtag-2", "ADT_CD4", "anti-CD8", "mouse_IgG2a", "CD19-protein",
                    "CMO301"], "antibodies or hashtags: 8, such as 'CD3_TotalSeqB', 'HTO1', 'Hashtag-2', …"),
    "guides": (["sgTP53_2", "TP53_sgRNA_1", "gRNA-7", "non-targeting-3"], "guides of CRISPR: 4, such as "),
    "genomes": (["GRCh38_ACTB", "mm10___Actb", "hg19_TP53"], "names that begin with a genome: 3, such as "),
    "species": (["ENSG00000141510", "ENSMUSG00000059552"], "Ensembl ids of several species: 2, such as "),
    "cases": ([one.capitalize() for one in GENES[:9]], "names that differ by upper and lower case alone: 18, such as "),
    "versions": (["ENSG00000141510.12", "ENSG00000012048.23"], "Ensembl ids with a version, which other slides "),
    "seconds": ([f"{one}.1" for one in GENES[:5]], "names of other genes with a number behind: 5, such as 'GENE0.1'"),
    "blanks": ([" TP53", "BRCA1 "], "names with blanks around: 2, such as ' TP53', 'BRCA1 '"),
}  # fmt: skip
SOUND = """MARCH1 MARCHF1 SEPT2 SEPTIN2 DEC1 OCT4 MAR1 SEP15 NKX2-1 HLA-A HLA-DRB1 MT-CO1 mt-Nd1 5S_rRNA 7SK ADTRP LMO2
SGO1-AS1 SGMS1-AS1 NAALAD2 NANOG AC012345.1 RP11-34P13.7 H2-K1 sep-1 set-10 dec-1 C1orf112 2310009E13Rik Gm12345
MATR3 MATR3.1 IGHG1 CD3E CD19 ERBB2-1 ERBB2 U2AF1 NONO Non7 GRHL2 HGF mmp-2 RNU6-1 anti TARGET""".split()


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_is_found_with_three_examples(kind):
    names, words = KINDS[kind]
    (odd,) = odd_names([*GENES, *names])
    assert str(odd).startswith(words) and odd.remedy and len(odd.names) >= len(names)


def test_genes_that_look_like_them():
    assert not odd_names([*GENES, *(f"OTHER{k}" for k in range(900)), *SOUND])
    assert not odd_names([*map(str, range(43000, 43900))])  # NCBI's ids of genes


def test_the_check_warns_and_says_what_to_do(tmp_path):
    write_genes(tmp_path, "Slide_A", ["1-Mar", "1-Mar", "", "CD3_TotalSeqB", "TP53", "ERBB2", "ESR1", "KRT8"])
    found = stimage.check(tmp_path)
    (row,) = found[found.check == "genes"].itertuples()
    assert row.status == "warn" and row.message.split("; ") == [
        "empty names: 1, such as ''",
        "dates or numbers that a spreadsheet made of names: 2, such as '1-Mar', '1-Mar-1'",
        "antibodies or hashtags: 1, such as 'CD3_TotalSeqB'",
    ]
    assert "no spreadsheet" in row.remedy and "leave them out" in row.remedy
