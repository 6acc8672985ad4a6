"""Genes of another species than the slide's: found by Ensembl ids and by how symbols are written, and told."""

import re

import pytest

import stimage
from stimage.collection import note_on_species
from stimage.genes.odd_names import names_of_other_species
from tests.roots import write_genes, write_slide

HUMAN = [f"ENSG{k:011d}" for k in range(30)]
MOUSE = [f"ENSMUSG{k:011d}" for k in range(30)]
CAPITALS = ["ACTB", "C1orf112", *(f"GENE{k}" for k in range(40))]
CAPITAL = ["Actb", "mt-Nd1", "Hbb-bs", "H2-K1", "2310009E13Rik", *(f"Gene{k}" for k in range(60))]
WRONG = [(MOUSE, "human", "Ensembl ids of mouse"), (HUMAN, "Mus musculus", "Ensembl ids of human"),
         (CAPITAL, "Homo sapiens", "symbols of mouse or rat"), (CAPITALS, "mouse", "symbols of human"),
         ([f"ENSDARG{k:011d}" for k in range(9)], "human", "Ensembl ids of another species")]  # fmt: skip
RIGHT = [(MOUSE, "mouse"), (HUMAN, "human"), (CAPITAL, "mouse"), (CAPITALS, "human"), (CAPITAL, "rattus norvegicus"),
         (MOUSE, "fish"), (MOUSE, None), (CAPITAL[:9], "human"), ([*HUMAN, *MOUSE], "human"), ([], "human"),
         ([*CAPITALS, *CAPITAL], "human"), ([*map(str, range(90))], "mouse"), (CAPITALS, "pig")]  # fmt: skip


@pytest.mark.parametrize(("genes", "species", "words"), WRONG)
def test_they_are_found(genes, species, words):
    assert str(names_of_other_species(genes, species)).startswith(f"{words}, on a slide whose species is ")


@pytest.mark.parametrize(("genes", "species"), RIGHT)
def test_what_may_be_the_slides_own(genes, species):
    assert names_of_other_species(genes, species) is None


def test_the_check_warns(tmp_path):
    write_genes(tmp_path, "Slide_A", MOUSE)
    (tmp_path / "meta").mkdir(exist_ok=True)
    (tmp_path / "meta/meta_all_gene.csv").write_text("slide,species,tissue,pmid,involve_cancer\nSlide_A,human,skin,,\n")
    (row,) = stimage.check(tmp_path).query("check == 'genes'").itertuples()
    assert row.status == "warn" and row.message.startswith("Ensembl ids of mouse")
    assert "correct the species" in row.remedy


@pytest.mark.parametrize(
    ("species", "words"),
    [("humna", r"'humna' is no word of species.csv; did you mean 'human'\? Otherwise the names of its genes are"),
     ("homo sapien", "did you mean 'human'"), ("human & mose", "'mose' is no word .* did you mean 'mouse'"),
     ("Homo sapiens", r"is called 'human' in the data set; pass that, or the filter species=human"),
     ("rat", "is called 'rattus norvegicus'"), ("Human", "is called 'human'"),
     ("coelacanth", "no word of species.csv; the names of its genes are not checked")],
)  # fmt: skip
def test_a_species_that_is_not_known_is_told(tmp_path, caplog, species, words):
    write_slide(tmp_path / "root", "Slide_A", "ST", side=5)
    slide = stimage.read_slide(tmp_path / "root", "Slide_A")
    assert stimage.add_slide(slide, tmp_path / "mine", "Mine", species=species).species == species
    assert re.search(f"Mine: species= .*{words}", caplog.text)


@pytest.mark.parametrize("species", ["", "human", "human & mouse", "rattus norvegicus"])
def test_a_species_that_is_known_is_not(species):
    assert note_on_species(species) == ""
