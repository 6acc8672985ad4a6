"""Files that a user hands to a script, one of them damaged: embeddings, panels, gene tables, settings, results."""

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import yaml
from hypothesis import example, given

from stimage.cells.cells import SCHEMA, Cells, cells_of, write_cells
from stimage.evaluation.results import read_scores, write_scores
from stimage.genes.names import read_gene_table
from stimage.genes.panels import Panel, write_panel
from stimage.loading.embeddings import read_embeddings, write_embeddings
from stimage.slides.catalog import Slide
from stimage.slides.splits.table import read_splits
from stimage.training.settings.groups import flat
from stimage.training.settings.reading import make_settings, read_settings
from tests.reliability import slow
from tests.reliability.faults import WEIGHED, Fault, damage
from tests.reliability.oracle import judge
from tests.reliability.world import faults, some

FILES = {
    "embeddings": "S0.parquet", "embeddings, CSV": "all.csv", "panel, JSON": "panel.json", "panel, YAML": "panel.yaml",
    "gene table": "features.tsv", "settings": "settings.yaml", "results": "results.json",
    "split file": "splits.csv", "cells": "S0_cells.parquet",
}  # fmt: skip
READABLE = tuple(action for action in WEIGHED if action != "pipe")  # a shell's <(…) is a pipe, and may be read
GENES = ["ERBB2", "ÉG", "MT-CO1", "1.0"]
SPLITS = "slide,split,group\nS0,train,a\nS1,test,b\nÉ2,validation,\n"
REMOTE = Slide("S0", "ST", "", "", "https://nowhere/S0.png")  # an image that no error of its cells' file is of
TABLE = "".join(f"ENSG{k:011}\tGENE{k}\tGene Expression\n" for k in range(20))
CELLS = pa.table([[str(k) for k in range(40)], np.arange(40.0), np.arange(40.0) * 3, ["A", None] * 20,
                  np.full(40, 25.0), [b"polygon"] * 40], schema=SCHEMA)  # fmt: skip


@pytest.fixture
def write(tmp_path):
    """Write a kind's file as it should be."""
    vectors = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)
    spots = [f"S0_{k}x{k}" for k in range(30)]

    def write(kind: str):
        path = tmp_path / FILES[kind]
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        path.unlink(missing_ok=True)
        if kind == "embeddings":
            write_embeddings(path, spots, "S0", vectors, "model")
        elif kind == "embeddings, CSV":
            lines = [",".join([spot, "S0", *map(str, row)]) for spot, row in zip(spots, vectors.tolist())]
            path.write_text("\n".join(["spot_id,slide,0,1,2,3", *lines]) + "\n")
        elif kind.startswith("panel"):
            write_panel(path, GENES, {"method": "by hand", "n": 3})
        elif kind == "gene table":
            path.write_text(TABLE)
        elif kind == "split file":
            path.write_text(SPLITS)
        elif kind == "cells":
            write_cells(Cells(CELLS, "S0", (900, 900), (0.0, 0.0, 900.0, 900.0), 0.5, "made"), path)
        elif kind == "settings":
            path.write_text(
                yaml.safe_dump(make_settings({"source": "root", "panel": "panel.json", "slides": ["A", "B"]}).record)
            )
        else:
            write_scores(tmp_path, "x", 1, {"a": 1}, {"spots": 3}, [0], ["numpy"], 1.0, {"S0": {"f1": 0.5}}, {})
        return path

    return write


def read(kind: str, path):
    """Read a file as the scripts do."""
    if kind.startswith("embeddings"):
        found = read_embeddings(path, ["S0"])
        return dict(zip(found.spot_ids.tolist(), zip(found.slides.tolist(), found.vectors.tolist())))
    if kind.startswith("panel"):
        return list(Panel.read(path).genes)
    if kind == "gene table":
        return read_gene_table(path).symbols
    if kind == "split file":
        return {
            name: (split, table.groups[name]) for table in [read_splits(path)] for name, split in table.splits.items()
        }
    if kind == "cells":
        return cells_of(replace(REMOTE, cells=str(path))).table.to_pylist()
    if kind == "settings":
        return read_settings(path)
    return read_scores(path)


def read_slowly(kind: str, path):
    """Read it with other libraries: polars, csv, libyaml."""
    if kind == "embeddings":
        return {row["spot_id"]: (row["slide"], row["embedding"]) for row in slow.parquet(path).to_dicts()}
    if kind == "embeddings, CSV":
        return {
            row[0]: (row[1], np.array(list(map(float, row[2:])), np.float32).tolist()) for row in slow.rows(path)[1:]
        }
    if kind == "cells":
        return slow.parquet(path).to_dicts()
    text = path.read_bytes()
    if kind == "panel, JSON":
        return json.loads(text)["genes"]
    if kind == "panel, YAML":
        return yaml.load(text, yaml.CSafeLoader)["genes"]
    if kind == "gene table":
        try:
            lines = text.decode().split("\n")
        except UnicodeDecodeError:
            lines = text.decode("cp1252").split("\n")
        rows = [line.removesuffix("\r").split("\t") for line in lines if line.strip() and not line.startswith("#")]
        return {
            row[0].strip(): row[1].strip() or row[0].strip() for row in rows if row[2:3] in ([], ["Gene Expression"])
        }
    if kind == "split file":
        rows = [{key: cell.strip() for key, cell in row.items()} for row in slow.table(path)]
        return {row["slide"].casefold(): (row["split"], row.get("group") or row["slide"]) for row in rows}
    if kind == "settings":
        return make_settings(flat(yaml.load(text, yaml.CSafeLoader)))
    return json.loads(text)


@example(Fault("embeddings", "flip", 963855283))  # a column's name that is no text
@given(fault=faults(FILES, actions=READABLE))
@some(150)
def test_small_files(write, fault):
    path = write(fault.kind)
    whole = read(fault.kind, path)
    damage(path, fault, b"a,b\nc,d\n")

    def check(found):
        assert found == whole or found == read_slowly(fault.kind, path), fault

    judge("reading", fault, [path.name], lambda: read(fault.kind, path), check)
