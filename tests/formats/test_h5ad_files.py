"""Files of .h5ad as other versions and programs write them, and damaged ones: read right, or refused."""

import gzip
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from stimage.core.errors import DataError
from stimage.formats.h5ad import read_h5ad
from stimage.formats.imported import ImportOptions
from tests.formats.annotated import GENES, HEIGHT, WIDTH, is_right, picture, refusal, slide

pytestmark = pytest.mark.usefixtures("old_strings")


def old_file(path: Path, categories: str) -> None:
    """Write a slide as anndata did: 0.6 (records, codes beside them) or 0.7 (`__categories`)."""
    data, texts = slide(), h5py.string_dtype()
    regions = (np.arange(54) % 2).astype(np.int8)
    with h5py.File(path, "w") as file:
        matrix = file.create_group("X")
        matrix["data"], matrix["indices"], matrix["indptr"] = data.X.data, data.X.indices, data.X.indptr
        if categories == "records":
            matrix.attrs.update({"h5sparse_format": "csr", "h5sparse_shape": data.shape})
            of = [("index", "S18"), ("in_tissue", "i8"), ("region", "i1")]
            file["obs"] = np.array(
                list(zip([name.encode() for name in data.obs_names], data.obs["in_tissue"], regions)), of
            )
            file["var"] = np.array([(name.encode(),) for name in GENES], [("index", "S10")])
            file["obsm"] = np.array([(xy,) for xy in data.obsm["spatial"]], [("spatial", "f8", 2)])
            file.create_dataset("uns/region_categories", data=["left", "right"], dtype=texts)
        else:
            matrix.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0", "shape": data.shape})
            obs = file.create_group("obs")
            obs.create_dataset("_index", data=list(data.obs_names), dtype=texts)
            obs["in_tissue"], obs["region"] = data.obs["in_tissue"].to_numpy(), regions
            obs.create_dataset("__categories/region", data=["left", "right"], dtype=texts)
            if categories == "references":
                obs.attrs.update({"encoding-type": "dataframe", "encoding-version": "0.1.0", "_index": "_index"})
                obs.attrs["column-order"] = np.array(["in_tissue", "region"], object)
                obs["region"].attrs["categories"] = obs["__categories/region"].ref
            file.create_group("var").create_dataset("_index", data=GENES, dtype=texts)
            file["obsm/spatial"] = data.obsm["spatial"]
        factors = file.create_group("uns/spatial/lib/scalefactors")
        for name, value in data.uns["spatial"]["lib"]["scalefactors"].items():
            factors[name] = value
        file["uns/spatial/lib/images/hires"] = picture()[::2, ::2]


@pytest.mark.parametrize("categories", ["records", "references", "bare"])
def test_files_of_older_anndata(tmp_path, tissue, categories):
    """Of 0.6, of 0.7, and of programs that leave the attributes out."""
    old_file(tmp_path / "old.h5ad", categories)
    found = read_h5ad(tmp_path / "old.h5ad", ImportOptions(tissue, labels="region"))
    assert is_right(found) and found.frame[:2] == (WIDTH, HEIGHT)
    assert [found.labels[name] for name in found.barcodes[:3]] == ["right", "left", "right"]


def test_counts_of_older_raw(tmp_path, tissue):
    old_file(tmp_path / "old.h5ad", "records")
    with h5py.File(tmp_path / "old.h5ad", "a") as file:
        file.move("X", "raw.X")
        file.copy("var", "raw.var")
        file["X"] = np.full((54, 4), 0.5, np.float32)
    assert "pass layer='raw' (--layer raw)" in refusal(read_h5ad, tmp_path / "old.h5ad", ImportOptions(tissue))
    assert is_right(read_h5ad(tmp_path / "old.h5ad", ImportOptions(tissue, layer="raw")))


def test_what_a_slide_does_not_need_is_not_read(tmp_path, tissue):
    slide().write_h5ad(tmp_path / "slide.h5ad")
    with h5py.File(tmp_path / "slide.h5ad", "a") as file:
        for name in ("uns/odd", "obsm/odd", "obsp/odd", "layers/odd"):
            file.create_group(name).attrs["encoding-type"] = "of tomorrow"
    assert is_right(read_h5ad(tmp_path / "slide.h5ad", ImportOptions(tissue)))


def test_files_that_are_something_else(tmp_path):
    path, none = tmp_path / "slide.h5ad", ImportOptions()
    slide().write_h5ad(path)
    whole = path.read_bytes()
    path.write_bytes(gzip.compress(whole))
    assert refusal(read_h5ad, path, none) == f"{path}: is compressed by gzip; unpack it first (gunzip)"
    path.write_bytes(b"")
    assert "is no .h5ad: it does not begin as HDF5 files do" in refusal(read_h5ad, path, none)
    path.write_bytes(whole[: len(whole) // 2])
    assert refusal(read_h5ad, path, none).startswith(f"{path}: cannot be read as .h5ad")
    for group, told in (
        ("mod/rna", "is a MuData file of rna"),
        ("matrix", "which has obs and var, but HDF5 of matrix"),
    ):
        with h5py.File(path, "w") as file:
            file.create_group(group)
        assert told in refusal(read_h5ad, path, none)
    assert "cannot be read (No such file" in refusal(read_h5ad, tmp_path / "lost.h5ad", none)


def _groups(path: Path) -> list[str]:
    names = []
    with h5py.File(path) as file:
        file.visit(names.append)
    return names


@pytest.mark.parametrize("fault", ["gone", "text", "short", "nested", "attributes"])
def test_a_fault_anywhere_is_refused_or_harmless(tmp_path, tissue, fault):
    """Each part of the file in turn: the slide is right all the same, or an error of ours names the file."""
    source, path, refused = tmp_path / "whole.h5ad", tmp_path / "faulty.h5ad", 0
    data = slide()
    data.obs["region"] = pd.Categorical(["left", "right"] * 27)
    data.write_h5ad(source)
    for name in _groups(source):
        path.write_bytes(source.read_bytes())
        with h5py.File(path, "a") as file:
            part = file[name]
            if fault == "attributes":
                part.attrs.clear()
            elif fault == "short" and isinstance(part, h5py.Dataset) and part.shape and part.shape[0] > 1:
                values = part[: part.shape[0] // 2]
                kept = dict(part.attrs)
                del file[name]
                file.create_dataset(name, data=values).attrs.update(kept)
            else:
                del file[name]
                if fault == "text":
                    file[name] = "text"
                elif fault == "nested":
                    file.create_group(f"{name}/a/b")
        try:
            found = read_h5ad(path, ImportOptions(tissue, labels="region"))
        except DataError as error:
            assert str(error).startswith(str(path)), (name, error)
            refused += 1
        else:
            assert is_right(found), name
    assert refused > 0


def test_flipped_bytes_are_refused_or_harmless(tmp_path, tissue):
    """HDF5 itself says nothing of numbers that changed: of indices that changed, ours must."""
    slide().write_h5ad(tmp_path / "slide.h5ad")
    for name, value in (("X/indices", 400), ("X/indices", -3), ("X/indptr", 10**6), ("X/data", -7), ("X/data", 0.5)):
        path = tmp_path / "faulty.h5ad"
        path.write_bytes((tmp_path / "slide.h5ad").read_bytes())
        with h5py.File(path, "a") as file:
            file[name][40] = value
        assert f"{path}: X" in refusal(read_h5ad, path, ImportOptions(tissue)), (name, value)
