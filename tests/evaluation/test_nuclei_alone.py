"""Nuclei alone: a baseline that knows what nuclei tell, and is there where a root has the cells of all slides."""

import json

import h5py
import numpy as np
import pandas as pd
import pytest
from PIL import Image

import stimage
from stimage.core.errors import DataError
from stimage.evaluation.hest_bench.folder import BenchSample
from stimage.evaluation.hest_bench.vectors import by_nuclei
from tests.evaluation.towers import make_tower
from tests.nuclei import CLASSES, UM, Nuclei, cellvit, write
from tests.roots import write_csv, write_slide

NAMES = ("Slide_A", "Slide_B", "Slide_C")


def crowd(seed: int) -> Nuclei:
    """Return nuclei, of which most are taken out at one side of the slide or the other."""
    nuclei, rng = Nuclei(pitch=20, seed=seed), np.random.default_rng(seed)
    kept = rng.random(len(nuclei)) < np.abs(nuclei.xy[:, 0] / 600 - seed % 2) ** 2
    nuclei.xy, nuclei.kinds = nuclei.xy[kept], nuclei.kinds[kept]
    return nuclei


@pytest.fixture
def root(tmp_path):
    """Three slides whose gene A has as many counts as the spot has nuclei; A and B of a slide of few are the same."""
    root = tmp_path / "root"
    for k, name in enumerate(NAMES):
        nuclei = crowd(k)
        write_slide(root, name, "ST")
        Image.fromarray(nuclei.pixels()).save(root / f"ST/image/{name}.png")
        centres = [(y, x) for y in range(60, 560, 50) for x in range(60, 540, 50)]
        ids = [f"{name}_{i}x1" for i in range(len(centres))]
        write_csv(root / f"ST/coord/{name}_coord.csv", [["", "yaxis", "xaxis", "r"]] + [
            [one, float(y), float(x), 40.0] for one, (y, x) in zip(ids, centres)])  # fmt: skip
        number = [int((np.hypot(*(nuclei.xy - (x, y)).T) <= 40).sum()) for y, x in centres]
        write_csv(root / f"ST/gene_exp/{name}_count.csv", [["", "A", "B"], *(
            [one, 10 * n, 100 - 10 * n] for one, n in zip(ids, number))])  # fmt: skip
        write_csv(root / f"annotation/{name}_anno.csv", [["", "V2"], *(
            [one, "dense" if n > 2 else "loose"] for one, n in zip(ids, number))])  # fmt: skip
        write(root / f"{name}.json", cellvit(nuclei, points=True))
    return root


def noise(root) -> pd.DataFrame:
    """Return embeddings that say nothing."""
    rng, tables = np.random.default_rng(0), []
    for name in NAMES:
        ids = pd.read_csv(root / f"ST/coord/{name}_coord.csv", index_col=0).index
        tables.append(pd.DataFrame(rng.normal(size=(len(ids), 4)), ids).assign(slide=name))
    return pd.concat(tables)


def embeddings(root, path):
    table = noise(root).drop(columns="slide")
    table.to_csv(path)
    return path


def test_they_predict_what_nuclei_tell(root, tmp_path):
    opened, table = stimage.open_root(root, um_per_px=UM), embeddings(root, tmp_path / "noise.csv")
    before = stimage.predict(opened, table, panel=["A"], colour=False)
    assert sorted(before.overall["pooled"]["baselines"]) == ["coordinates", "gene_mean"] and not before.notes
    assert sorted(stimage.probe(opened, table, colour=False).overall["pooled"]["above"]) == [
        "intervals", "majority", "position"]  # fmt: skip
    stimage.detect_cells(opened)
    found = stimage.predict(opened, table, panel=["A"], colour=False, out=tmp_path / "out")
    means = {name: one["pearson"]["mean"] for name, one in found.overall["pooled"]["baselines"].items()}
    assert means["nuclei"] > 0.9 > 0.5 > means["coordinates"]
    told = json.loads((tmp_path / "out/results.json").read_text())["data"]["nuclei"]
    assert told["from"] == dict.fromkeys(NAMES, "nuclei by colour deconvolution")
    assert told["features"] == ["number", "area", "ellipticity", "haematoxylin", "density"]
    assert stimage.verify(tmp_path / "out") == []
    original = stimage.predict(opened, table, "original", gene="A", colour=False)
    assert original.overall["baselines"]["nuclei"]["pearson"]["mean"] > 0.9
    pooled = stimage.probe(opened, table, colour=False, out=tmp_path / "probe").overall["pooled"]
    assert stimage.verify(tmp_path / "probe") == []
    assert pooled["nuclei"]["macro_f1"]["mean"] > 0.9 > pooled["position"]["macro_f1"]["mean"]
    assert pooled["above"]["nuclei"] < -0.2


def test_imported_cells_are_counted_by_class(root, tmp_path):
    opened, table = stimage.open_root(root, um_per_px=UM), embeddings(root, tmp_path / "noise.csv")
    for name in NAMES[:2]:
        stimage.import_cells(opened, name, root / f"{name}.json")
    partly = stimage.predict(opened, table, panel=["A"])
    assert "nuclei" not in partly.overall["pooled"]["baselines"]
    assert partly.notes == ("no baseline of nuclei: 1 of 3 slides have no cells, such as Slide_C; find them by "
                            "detect_cells, or import them by import_cells",)  # fmt: skip
    stimage.import_cells(opened, NAMES[2], root / f"{NAMES[2]}.json")
    found = stimage.predict(opened, table, panel=["A"], colour=False, out=tmp_path / "out")
    assert found.overall["pooled"]["baselines"]["nuclei"]["pearson"]["mean"] > 0.95
    told = json.loads((tmp_path / "out/results.json").read_text())["data"]["nuclei"]
    assert told["features"] == ["number", *sorted(CLASSES), "density"]  # centres have no areas
    stimage.detect_cells(stimage.open_root(root, slides=NAMES[0], um_per_px=UM))
    stimage.predict(opened, table, panel=["A"], colour=False, out=tmp_path / "mixed")
    told = json.loads((tmp_path / "mixed/results.json").read_text())["data"]["nuclei"]
    assert told["features"] == ["number", "density"] and len(set(told["from"].values())) == 2


def test_a_row_of_tasks_on_a_root(root, tmp_path):
    task, clip = tmp_path / "task.yaml", str(tmp_path / "clip")
    make_tower("clip", tmp_path / "clip")
    task.write_text("job: predict\nselect: {tech: ST}\noptions: {panel: [A]}\nmetric: pooled.pearson\nbaselines:\n"
                    "  coordinates: pooled.baselines.coordinates.pearson\n"
                    "  nuclei: pooled.baselines.nuclei.pearson\n")  # fmt: skip
    without = stimage.benchmark_root(root, clip, tmp_path / "without", str(task), untrained=False)
    assert without.encoder.tolist() == [clip, "coordinates"]
    stimage.detect_cells(stimage.open_root(root, um_per_px=UM))
    rows = stimage.benchmark_root(root, clip, tmp_path / "with", str(task), untrained=False)
    assert rows.encoder.tolist() == [clip, "coordinates", "nuclei"] and rows.value.iloc[2] > 0.9
    with pytest.raises(
        DataError,
        match="has results of another task, other slides or embeddings, an earlier version",
    ):
        stimage.benchmark_root(root, clip, tmp_path / "without", str(task), untrained=False)


def test_patches_of_hest_benchmark(tmp_path):
    image, boxes = crowd(0).pixels(), [(x, y) for y in range(0, 376, 100) for x in range(0, 376, 100)]
    patches = np.stack([image[y : y + 224, x : x + 224] for x, y in boxes] + [np.full((224, 224, 3), 240, np.uint8)])
    with h5py.File(tmp_path / "S.h5", "w") as file:
        file["img"], file["barcode"] = patches, [[f"b{k}".encode()] for k in range(len(patches))]
    ((barcodes, found),) = by_nuclei(BenchSample("S", tmp_path / "S.h5", tmp_path / "S.h5ad"))
    xy = crowd(0).xy
    number = [((xy > box) & (xy < np.add(box, 224))).all(1).sum() for box in boxes]
    assert len(barcodes) == len(found) == len(number) + 1
    assert np.corrcoef(np.expm1(found[:-1, 0]), number)[0, 1] > 0.95
    assert not found[-1].any()  # glass has no nuclei
    with h5py.File(tmp_path / "T.h5", "w") as file:
        file["img"], file["barcode"] = np.full((2, 32, 32, 3), 255, np.uint8), [[b"a"], [b"b"]]
    ((_, found),) = by_nuclei(BenchSample("T", tmp_path / "T.h5", tmp_path / "T.h5ad"))
    assert found.tolist() == [[0, 0, 0, 0]] * 2


def test_damaged_cells_stop_it(root, tmp_path):
    opened, table = stimage.open_root(root, um_per_px=UM), embeddings(root, tmp_path / "noise.csv")
    stimage.detect_cells(opened)
    (root / "cells/Slide_B.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"Slide_B.parquet: is no file of cells, or damaged"):
        stimage.predict(opened, table, panel=["A"])
