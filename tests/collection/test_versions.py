"""Slides that have a gene under several versions of its Ensembl id: both are named, and the remedy joins them."""

import stimage
import stimage_1k4m
from tests.roots import write_genes

IDS = ["ENSG00000119888", "ENSG00000141736"]


def test_both_slides_are_named_and_the_remedy_joins_them(tmp_path):
    root = tmp_path / "root"
    for slide, end in (("Slide_A", ".1"), ("Slide_B", ".5"), ("Slide_C", "")):
        write_genes(root, slide, [one + end for one in IDS])
    write_genes(root, "Slide_D", ["EPCAM", "ERBB2"])
    found = stimage.check(root).query("check == 'genes'").set_index("slide")
    assert "'ENSG00000119888.1' is 'ENSG00000119888.5' in Slide_B" in found.message["Slide_A"]
    assert "'ENSG00000119888' is 'ENSG00000119888.1' in Slide_A, and so are 2 of 2" in found.message["Slide_C"]
    assert found.status.to_dict() == dict.fromkeys(("Slide_A", "Slide_B", "Slide_C"), "warn") | {"Slide_D": "pass"}
    assert all("pass panel= (--panel) and gene_table= (--gene-table)" in found.remedy[f"Slide_{one}"] for one in "ABC")
    table = tmp_path / "genes.csv"
    table.write_text(f"Ensembl ID,Symbol\n{IDS[0]},EPCAM\n{IDS[1]},ERBB2\n")
    (tmp_path / "panel.txt").write_text("EPCAM\nERBB2\n")
    options = {"panel": str(tmp_path / "panel.txt"), "gene_table": str(table)}
    spots = [*stimage_1k4m.load("ST", root, **options)]
    assert {spot["slide"] for spot in spots} == {f"Slide_{one}" for one in "ABCD"}
    assert all(list(spot["expression"]) == [1, 2] for spot in spots if spot["spot_id"].endswith("0x0"))
    assert all(sum(spot["expression"]) > 0 for spot in spots)


def test_ids_that_are_alike_are_no_fault(tmp_path):
    for slide in ("Slide_A", "Slide_B"):
        write_genes(tmp_path, slide, IDS)
    assert set(stimage.check(tmp_path).query("check == 'genes'").status) == {"pass"}
