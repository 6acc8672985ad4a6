"""Space Ranger's folders, however they come: the same spots, or our own error that names the file and the cause."""

import gzip

import h5py
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from stimage.formats.imported import ImportOptions
from stimage.formats.tenx.space_ranger import read_space_ranger
from tests.formats.space_ranger import (
    FORMS,
    H5,
    POSITIONS,
    as_folder,
    change,
    geo_in_spatial,
    put,
    read,
    refused,
    texts,
    told,
    version_2,
)


@pytest.mark.parametrize("form", FORMS)
def test_a_slide_is_the_same_in_each_form(outs, form):
    before = read(outs)
    FORMS[form](outs)
    after = read(outs)
    assert told(after) == told(before) and (after.r, after.frame[:2]) == (before.r, before.frame[:2])
    assert len(set(after.gene_ids)) == len(before.genes)
    off = (pd.read_csv(outs / POSITIONS)["in_tissue"] == 0).sum() if form == "raw" else 0
    assert after.left_out == ({"spots outside the tissue": off} if off else {}) and (off or form != "raw")


def test_the_image_is_the_same_where_it_is_gzipped(outs):
    before = read_space_ranger(outs, ImportOptions())
    geo_in_spatial(outs)
    after = read_space_ranger(outs, ImportOptions())
    with gzip.open(f"{before.image}.gz") as file:
        assert np.array_equal(np.asarray(Image.open(file)), after.image)
    assert before.frame is None and told(after) == told(before)


def test_the_frame_is_that_of_the_full_image(outs):
    width, height = Image.open(outs.parent / "tissue.tif").size
    wide, high, said = read(outs).frame
    assert abs(wide - width) <= 2 and abs(high - height) <= 2 and "tissue_hires_image.png" in said


@pytest.mark.parametrize("folder", [False, True])
def test_antibodies_are_left_out_and_counted(outs, folder):
    genes = read(outs)

    def mark(group):
        kinds = texts(group["features"], "feature_type")
        kinds[-3:] = ["Antibody Capture"] * 3
        put(group["features"], "feature_type", kinds)

    change(outs / H5, mark)
    if folder:
        as_folder(outs)
    found = read(outs)
    assert found.left_out == {"features of type Antibody Capture": 3}
    assert found.gene_ids == genes.gene_ids[:-3] and (found.counts != genes.counts[:, :-3]).nnz == 0


def two_genomes(group) -> None:
    """As 10x names them: ``GRCh38_ENSG…`` and ``mm10___ENSMUSG…``."""
    features = group["features"]
    n = len(features["id"])
    genomes = np.array(["GRCh38"] * 25 + ["mm10"] * (n - 25))
    begin = np.where(genomes == "mm10", "mm10___", "GRCh38_").astype(object)
    ids, names = (begin + np.array(texts(features, key), object) for key in ("id", "name"))
    for key, values in (("genome", genomes), ("id", ids.astype(str)), ("name", names.astype(str))):
        put(features, key, values)


@pytest.mark.parametrize("folder", [False, True])
def test_of_several_genomes_one_is_named(outs, folder):
    before = read(outs)
    change(outs / H5, two_genomes)
    if folder:
        as_folder(outs)
    assert "genes of 2 genomes: GRCh38 (25 genes), mm10 (15 genes); name one of them as genome=" in refused(outs)
    assert "has no genome 'hg19', but GRCh38" in refused(outs, genome="hg19")
    found = read(outs, genome="mm10")
    assert found.gene_ids == before.gene_ids[25:] and found.genes == before.genes[25:]
    assert (found.counts != before.counts[:, 25:]).nnz == 0 and found.left_out == {"genes of GRCh38": 25}


def test_version_2_has_a_group_a_genome(outs):
    before = read(outs)
    version_2(outs)
    with h5py.File(outs / H5, "a") as file:
        file.copy("GRCh38", "mm10")
    assert "has genes of the genomes GRCh38, mm10; name one of them as genome=" in refused(outs)
    assert told(read(outs, genome="mm10")) == told(before)


def test_no_genome_to_choose(outs):
    as_folder(outs)
    assert "names none; leave out genome= (--genome)" in refused(outs, genome="GRCh38")


def test_genes_without_a_name_go_by_their_id(outs):
    change(outs / H5, lambda group: put(group["features"], "name", ["", *texts(group["features"], "name")[1:]]))
    found = read(outs)
    assert found.genes[0] == found.gene_ids[0] != ""
