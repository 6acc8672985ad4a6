"""HEST-1k's folder as a root: what its own files say, what is refused, and what a partial download has."""

import logging

import numpy as np
import pandas as pd
import pytest
from datasets import load_dataset
from scipy.sparse import csc_matrix, csr_matrix

import stimage
import stimage_1k4m
from stimage.core.errors import DataError
from stimage.jobs.forms import convert_counts
from stimage.slides.spots import open_spots
from tests.faults import serving
from tests.hest import UM_PER_PX, metadata, sample, write_sample, write_table
from tests.test_scripts import run

ST, XENIUM = "Spatial Transcriptomics", "Xenium"


@pytest.fixture
def folder(tmp_path):
    write_sample(tmp_path, "TENX1")
    write_sample(tmp_path, "NCBI.2", tech=ST, seed=1, patient="", disease_state="Healthy", oncotree_code=None)
    write_sample(tmp_path, "INT3", tech=XENIUM, seed=2, patient=float("nan"), species="Mus musculus", study_link="")
    return tmp_path


def refused(folder, name="TENX1") -> str:
    with pytest.raises(DataError) as error:
        list(stimage.load("all", folder, slides=name))
    return str(error.value)


def test_its_own_files_say_all(folder):
    table = stimage.list_slides(folder)
    assert table.index.tolist() == ["NCBI.2", "TENX1", "INT3"] and not table.problem.any()
    assert table.tech.tolist() == ["ST", "Visium", "VisiumHD"]  # Xenium's squares are as bins
    assert table.species.tolist() == ["human", "human", "mouse"] and set(table.tissue) == {"breast"}
    assert table.involve_cancer.tolist() == [False, True, True] and table.um_per_px.tolist() == [5, 2.5, 2.5]
    assert [slide.pmid for slide in stimage.open_root(folder).slides] == ["123456", "123456", None]
    scales = [open_spots(slide).scale for slide in stimage.open_root(folder).slides]
    assert {scale.verdict for scale in scales} == {"pass"}
    assert {scale.source for scale in scales} == {"HEST (pixel_size_um_estimated)"}
    assert [scale.from_r for scale in scales] == pytest.approx([5, 2.5, 2.5])  # the spots' diameter agrees


def test_examples_are_those_of_the_files(folder):
    names = stimage.gene_names(folder)
    for name, tech, seed in (("TENX1", "Visium", 0), ("NCBI.2", ST, 1), ("INT3", XENIUM, 2)):
        data, spots = sample(seed, tech), list(stimage.load("all", folder, slides=name))
        place = dict(zip((f"{name}_{one}" for one in data.obs_names), range(data.n_obs)))
        assert sorted(place) == sorted(spot["spot_id"] for spot in spots)
        for spot in spots:
            k = place[spot["spot_id"]]
            counts = {names[i]: n for i, n in zip(spot["gene_ids"], spot["counts"])}
            assert counts == {g: n for g, n in zip(data.var_names, data.X[k].toarray()[0]) if n}
            assert [spot["x"], spot["y"]] == pytest.approx(data.obsm["spatial"][k].tolist())
            patch = np.asarray(spot["image"])
            assert abs(255 - patch[len(patch) // 2, len(patch) // 2].mean() - counts["DARK"]) < 4
    loaded = load_dataset("stimage_1k4m", "Visium", data_dir=str(folder), split="train", streaming=True)
    assert len(list(loaded)) == 54


def test_an_unknown_patient_is_one_of_its_study(folder):
    """So no patient is on two sides; a table of patients rules."""
    slides = {slide.name: slide.patient for slide in stimage.open_root(folder).slides}
    assert slides["NCBI.2"] == slides["INT3"] == "A study, of breast: unknown patient" != slides["TENX1"]
    write_sample(folder, "ZEN4", dataset_title="Another", patient="")
    opened = stimage.open_root(folder, split_by="patient", split_fractions=(0.5, 0, 0.5), split_seed=1)
    parts = {name: one.split for name, one in opened.placed.items()}
    assert parts["NCBI.2"] == parts["INT3"] and set(parts.values()) == {"train", "test"}
    with pytest.raises(DataError, match="groups are too few"):
        _ = stimage.open_root(folder, split_by="study").placed
    (folder / "p.csv").write_text("slide,patient\nTENX1,a\nNCBI.2,b\n")
    with pytest.raises(DataError, match="patient of 2 of 4 slides is not known: ZEN4, INT3"):
        _ = stimage.open_root(folder, split_by="patient", patients=folder / "p.csv").placed
    write_sample(folder, "ZEN4", dataset_title=None, patient=None, study_link=None)
    with pytest.raises(DataError, match=r"patient of 1 of 4 slides is not known: ZEN4; .* patients= \(--patients\)"):
        _ = stimage.open_root(folder, split_by="patient").placed


def test_a_partial_download_has_what_is_whole_and_names_the_rest(folder, caplog):
    (folder / "wsis/NCBI.2.tif").unlink()
    (folder / "metadata/INT3.json").write_text('{"species": ')
    write_sample(folder, "ZEN4")
    (folder / "st/ZEN4.h5ad").unlink()
    write_sample(folder, "ZEN5", st_technology="Stereo-seq")
    write_sample(folder, "ZEN6", pixel_size_um_estimated=-1)
    for part in ("st", "wsis"):
        (folder / f"{part}/ZEN7{'.h5ad' if part == 'st' else '.tif'}").write_bytes(b"")
    problems = stimage.list_slides(folder).problem
    assert problems.pop("TENX1") == "" and problems["NCBI.2"].endswith("wsis/NCBI.2.tif: is missing")
    assert "metadata/INT3.json: cannot be read" in problems["INT3"] and "st/ZEN4.h5ad: is missing" in problems["ZEN4"]
    assert "'stereo-seq', none of" in problems["ZEN5"] and "estimated is -1, no number" in problems["ZEN6"]
    assert "metadata/ZEN7.json: is missing" in problems["ZEN7"]
    with pytest.raises(DataError, match=r"wsis/NCBI.2.tif: is missing; pass on_mismatch='drop'"):
        _ = stimage.open_root(folder, "ST").slides
    with caplog.at_level(logging.WARNING):
        assert {spot["slide"] for spot in stimage.load("all", folder, on_mismatch="drop")} == {"TENX1"}
    assert "left out 6 of 7 slides" in caplog.text


def test_the_table_of_samples_fills_in_what_metadata_lack(folder, caplog):
    of = [metadata(name, sample(), patient="P9") for name in ("TENX1", "ZEN8", "INT3")]
    write_table(folder, *of, {"id": "OTHER"})
    write_table(folder, {"id": "TENX1", "species": "Sus scrofa"}, name="HEST_v1_0_2.csv")  # an older one
    (folder / "metadata/INT3.json").unlink()
    write_sample(folder, "TENX1", species=None, patient="P1", pixel_size_um_estimated=2.6)
    with caplog.at_level(logging.WARNING):
        slides = {slide.name: slide for slide in stimage.open_root(folder).slides}
    assert "TENX1.json: pixel_size_um_estimated is 2.6, but 2.5 in the table of samples" in caplog.text
    assert slides["TENX1"].species == "human" and slides["TENX1"].patient.endswith("P1")
    assert slides["TENX1"].um_per_px == 2.6 and slides["INT3"].patient.endswith("P9") and "NCBI.2" in slides


def test_embedded_sizes_are_not_trusted(folder):
    """Where HEST has no estimate, the lattice tells; where the estimate contradicts the lattice, that is told."""
    write_sample(folder, "TENX1", pixel_size_um_estimated=float("nan"), pixel_size_um_embedded=0.25)
    write_sample(folder, "NCBI.2", tech=ST, seed=1, pixel_size_um_estimated=0.5)
    of = {slide.name: open_spots(slide).scale for slide in stimage.open_root(folder).slides}
    assert (of["TENX1"].um_per_px, of["TENX1"].source) == (pytest.approx(UM_PER_PX), "lattice")
    assert of["NCBI.2"].verdict == "fail" and "the lattice gives 5, 10 times as much" in of["NCBI.2"].reason


def changed(folder, change) -> str:
    data = sample()
    data = change(data) or data
    write_sample(folder, "TENX1", data)
    return refused(folder)


def set_x(data, matrix):
    data.X = matrix


def placeless(data):
    del data.obsm["spatial"], data.obs["pxl_col_in_fullres"]


def set_diameter(data, value):
    data.uns["spatial"]["ST"]["scalefactors"]["spot_diameter_fullres"] = value


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda data: set_x(data, csr_matrix(np.log1p(data.X.toarray()))), "which is no raw count; get HEST's own"),
        (lambda data: set_x(data, np.log1p(data.X.toarray())), "which is no raw count; get HEST's own"),
        (lambda data: set_diameter(data, 0.0), "spot_diameter_fullres is 0.0, no number above 0"),
        (lambda data: data.uns.pop("spatial") and None, "has no spot_diameter_fullres in uns/spatial/ST"),
        (placeless, "has no coordinates"),
        (lambda data: data.obsm.update(spatial=data.obsm["spatial"] + [999, 0]), "lies wholly outside the 420 x 300"),
        (lambda data: data.obsm.update(spatial=data.obsm["spatial"] * np.nan), "(line 1): has no place in obsm"),
        (lambda data: data[[*range(54), 3]].copy(), "occurs more than once"),
    ],
)
def test_what_no_sample_can_be_is_refused(folder, change, told):
    assert "st/TENX1.h5ad" in (message := changed(folder, change)) and told in message, message


def test_other_matrices_and_names_are_read(folder):
    """64-bit places, gene names that occur twice, Ensembl ids, spots off the tissue, and no spatial but in obs."""
    data = sample()
    data.var.index = pd.Index(["DARK", "EPCAM", "EPCAM", "ENSG00000141736"], dtype=object)
    data.X.indptr = data.X.indptr.astype(np.int64)
    data.obs["in_tissue"] = [0, 0] + [1] * 52
    del data.obsm["spatial"]
    write_sample(folder, "TENX1", data)
    spots = list(stimage.load("Visium", folder))
    assert len(spots) == 52 and f"TENX1_{data.obs_names[0]}" not in {spot["spot_id"] for spot in spots}
    names = stimage.gene_names(folder)
    assert set(names) >= {"DARK", "EPCAM", "EPCAM-1", "ENSG00000141736"}
    assert sum(map(sum, (spot["counts"] for spot in spots))) == data.X[2:].sum()


@pytest.mark.parametrize("kind", [csc_matrix, lambda x: x.toarray()])
def test_counts_by_columns_or_dense_are_read(folder, kind):
    want = list(stimage.load("Visium", folder))
    data = sample()
    set_x(data, kind(data.X))
    write_sample(folder, "TENX1", data)
    assert list(stimage.load("Visium", folder)) == want


def test_files_of_another_sample_are_told(folder):
    """Another image does not fit the metadata; other counts have other numbers, which the check finds."""
    write_sample(folder, "NCBI.2", tech=ST, fullres_px_width=4200, fullres_px_height=3000)
    assert "by the metadata of NCBI.2 it is 4,200 x 3,000" in refused(folder, "NCBI.2")
    write_sample(folder, "INT3", sample(2, XENIUM)[:30].copy(), tech=XENIUM, seed=2, spots_under_tissue=54)
    findings = stimage.check(folder)
    failed = findings[findings.status == "fail"].groupby("slide").check.agg(list)
    assert failed["INT3"] == ["meta"] and failed["NCBI.2"] == ["files"] and "TENX1" not in failed


def test_nothing_is_written_into_it(folder, tmp_path_factory):
    root = tmp_path_factory.mktemp("root")
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    with pytest.raises(DataError, match=r"st/NCBI.2.h5ad: is a file of HEST's"):
        list(convert_counts(folder, to="csv"))
    with pytest.raises(DataError, match="is a folder of HEST's; add the slide to another root"):
        stimage.add_slide(folder / "st/TENX1.h5ad", folder, "Mine")
    assert before == {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    added = stimage.add_slide(folder / "st/TENX1.h5ad", root, "TENX1", image=folder / "wsis/TENX1.tif",
                              species="human", tissue="breast", pmid="123456", involve_cancer=True)  # fmt: skip
    assert added.um_per_px == 2.5
    ours, theirs = (list(stimage.load("Visium", where)) for where in (root, folder))
    vocabularies = stimage.gene_names(root), stimage.gene_names(folder)
    for spot, names in [(one, names) for some, names in zip((ours, theirs), vocabularies) for one in some]:
        spot["gene_ids"], spot["image"] = sorted(names[k] for k in spot["gene_ids"]), spot["image"].tobytes()
        spot["counts"] = sorted(spot["counts"])
    assert ours == theirs


def test_over_http(folder):
    """And as the table of samples, which is enough there, has it."""
    write_table(folder, metadata("TENX1", sample(), patient="P9"))
    with serving(folder) as server:
        ids = [spot["spot_id"] for spot in stimage_1k4m.load("Visium", server.url, columns=["spot_id"])]
        assert ids == [spot["spot_id"] for spot in stimage_1k4m.load("Visium", folder, columns=["spot_id"])]
        slides = {slide.name: slide for slide in stimage.open_root(server.url).slides}
        assert slides["TENX1"].patient.endswith("P9") and slides["NCBI.2"].um_per_px == 5
        asked = {path for _, path in server.asked}
        assert "/metadata/NCBI.2.json" in asked and "/metadata/TENX1.json" not in asked


def test_a_meta_file_is_not_made_of_it(folder):
    done = run("data_collection/make_meta.py", folder, "--allow-unknown")
    assert done.returncode == 1 and "is a folder of HEST's, whose metadata/ID.json stand for a meta file" in done.stderr
    assert not (folder / "meta").exists()
