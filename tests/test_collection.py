"""The collection as it is on the Hub: its two meta files, and small made files behind every slide's name."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from datasets import load_dataset
from PIL import Image

import stimage_1k4m
from stimage.publishing.plan import make_plan
from stimage.publishing.shards import ShardOptions
from stimage.slides.catalog import TECHS, read_catalog
from stimage.slides.selection import Selection
from stimage.slides.splits.splitting import Splitting
from tests.building import once
from tests.faults import serving
from tests.hub.client import upload
from tests.roots import GENES, META, write_csv
from tests.test_scripts import run

NEWEST = "meta_all_gene02122025.csv"
ODD = {  # names as the collection has them, by technology
    "GSE144239_GSM4284316": "ST",
    "Human_Breast_Andersson_10142021_ST_A1": "ST",
    "Human_Breast+Lymph Node_10X_02212023_Visium": "Visium",
    "Mouse_Brain+Kidney_10X_02212023_Visium": "Visium",
    "Human_100%_#1_?_&_10X_Visium": "Visium",
    "Mouse_Brain_10X_03292024_VIsiumHD": "VisiumHD",
}


def write_collection(root: Path, rows: list[dict[str, str]]) -> list[str]:
    """Write 9 spots on 4 genes for each row of a meta file; every fourth slide has genes in another order."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (80, 90, 3), np.uint8)
    places = [(20 + 20 * i, 20 + 20 * j) for i in range(3) for j in range(3)]
    for k, row in enumerate(rows):
        name, folder = row["slide"], root / row["tech"]
        ids = [f"{name}_{i}x{j}" for i in range(3) for j in range(3)]
        write_csv(folder / f"coord/{name}_coord.csv",
                  [["", "yaxis", "xaxis", "r"], *([spot, y, x, 5.0] for spot, (y, x) in zip(ids, places))])  # fmt: skip
        genes = [*GENES[k % 4 :], *GENES[: k % 4]]
        counts = rng.poisson(2, (9, 4)).tolist()
        write_csv(folder / f"gene_exp/{name}_count.csv", [["", *genes], *([s, *c] for s, c in zip(ids, counts))])
        (folder / "image").mkdir(exist_ok=True)
        pixels[0, 0] = k % 256, k // 256, 0  # no two images are the same
        Image.fromarray(pixels).save(folder / f"image/{name}.png", compress_level=1)
    return [row["slide"] for row in rows]


@pytest.fixture(scope="module")
def odd(tmp_path_factory) -> Path:
    """A root of the collection's oddest names, whose older meta file has one of them under another."""
    root = tmp_path_factory.mktemp("odd") / "root"
    rows = [
        {"slide": name, "tech": tech, "species": "human", "tissue": "brain", "involve_cancer": "False", "spot_num": "9"}
        for name, tech in ODD.items()
    ]
    write_collection(root, rows)
    older = [row | {"slide": row["slide"].replace("Mouse_Brain+Kidney", "Human_Brain+Kidney")} for row in rows]
    for name, some in ((NEWEST, rows), ("meta_all_gene.csv", older)):
        write_csv(root / "meta" / name, [META, *([row.get(column, "") for column in META] for row in some)])
    return root


@pytest.fixture(scope="module")
def whole(shared, tmp_path_factory) -> Path:
    """A root of all 1,149 names, with both meta files as they are published."""

    def make(folder: Path) -> None:
        with (shared / "real/meta" / NEWEST).open(newline="", encoding="utf-8") as file:
            write_collection(folder / "root", list(csv.DictReader(file)))
        shutil.copytree(shared / "real/meta", folder / "root/meta")

    return once(tmp_path_factory, "whole", make) / "root"


def stream(config: str, root: str | Path, **options) -> list[dict]:
    return list(load_dataset("stimage_1k4m", config, root=str(root), split="train", streaming=True, **options))


def named_counts(spots: list[dict], names: list[str]) -> list[dict[str, float]]:
    return [{names[g]: n for g, n in zip(spot["gene_ids"], spot["counts"])} for spot in spots]


def test_each_odd_name_loads_by_each_configuration(odd):
    for tech in TECHS:
        assert {spot["slide"] for spot in stream(tech, odd)} == {name for name, of in ODD.items() if of == tech}
    assert {spot["slide"] for spot in stream("all", odd)} == set(ODD)
    for name in ODD:
        assert len(stream("all", odd, slides=name)) == 9


def test_odd_names_over_http(odd):
    with serving(odd) as server:
        assert stream("all", server.url) == stream("all", odd)
        assert read_catalog(server.url).meta_file == read_catalog(str(odd)).meta_file == f"meta/{NEWEST}"


def test_odd_names_from_the_hub(odd, hub):
    upload(hub, odd, "tester/collection")
    code = """
        import sys
        from datasets import load_dataset
        import stimage_1k4m
        root = "hf://datasets/tester/collection"
        spots = load_dataset("stimage_1k4m", "all", root=root, split="train", streaming=True)
        print(*sorted({spot["slide"] for spot in spots}), len(list(spots)), sep="|")
    """
    assert hub.run(code).strip() == "|".join([*sorted(ODD), str(9 * len(ODD))])


def test_odd_names_are_checked_and_published(odd, tmp_path):
    for script, *arguments in (
        ("data_collection/check_spots.py", odd, "--out", tmp_path / "checked"),
        ("data_process/build_shards.py", odd, tmp_path / "out"),
    ):
        done = run(script, *arguments)
        assert "Traceback" not in done.stderr
    assert json.loads((tmp_path / "checked/results.json").read_text())["slides"].keys() == set(ODD)
    published = load_dataset(str(tmp_path / "out"), "all", split="train", streaming=True)
    assert list(published.select_columns("spot_id")) == [{"spot_id": spot["spot_id"]} for spot in stream("all", odd)]


def test_the_whole_collection_by_each_configuration(whole):
    catalog = read_catalog(str(whole))
    assert catalog.meta_file == f"meta/{NEWEST}" and not catalog.broken and len(catalog.slides) == 1149
    of_tech = {tech: [slide for slide in catalog.slides if slide.tech == tech] for tech in TECHS}
    assert {tech: len(slides) for tech, slides in of_tech.items()} == {"ST": 151, "Visium": 994, "VisiumHD": 4}
    names = stimage_1k4m.gene_names(str(whole))
    assert sorted(names) == sorted(GENES)
    for config, slides in {**of_tech, "all": catalog.slides}.items():
        spots = stream(config, whole)
        assert [spot["slide"] for spot in spots[::9]] == [slide.name for slide in slides]
        assert len(spots) == 9 * len(slides)
    some = of_tech["ST"][3]
    with open(some.counts, newline="") as file:
        rows = list(csv.reader(file))
    want = {row[0]: {gene: float(n) for gene, n in zip(rows[0][1:], row[1:]) if n != "0"} for row in rows[1:]}
    mine = [spot for spot in spots if spot["slide"] == some.name]
    assert named_counts(mine, names) == [want[spot["spot_id"]] for spot in mine]


def test_the_whole_collection_is_planned_for_publishing(whole, tmp_path):
    plan = make_plan(read_catalog(str(whole)), Selection(str(whole)), tmp_path / "out", ShardOptions(), Splitting())
    assert len(plan.placed) == 1149 and len(plan.shards) >= 1149
    assert "Mouse_Brain+Kidney_10X_02212023_Visium" in plan.placed


def test_the_whole_collection_over_http(whole):
    local = read_catalog(str(whole))
    hd = [slide.name for slide in local.slides if slide.tech == "VisiumHD"]
    with serving(whole) as server:
        catalog = read_catalog(server.url)
        assert [(s.name, s.tech, s.pmid) for s in catalog.slides] == [(s.name, s.tech, s.pmid) for s in local.slides]
        assert stream("all", server.url, slides=hd) == stream("VisiumHD", whole)


def test_the_whole_collection_from_the_hub(whole, hub):
    upload(hub, whole, "tester/collection")
    code = """
        from itertools import islice
        from datasets import load_dataset
        import stimage_1k4m
        root = "hf://datasets/tester/collection"
        for config in ("ST", "Visium", "VisiumHD", "all"):
            spots = load_dataset("stimage_1k4m", config, root=root, split="train", streaming=True)
            print(config, spots.num_shards, next(iter(spots))["slide"])
        print(*stimage_1k4m.gene_names(root))
    """
    lines = hub.run(code).splitlines()
    first = {
        tech: next(slide.name for slide in read_catalog(str(whole)).slides if slide.tech == tech) for tech in TECHS
    }
    assert [line.split()[0::2] for line in lines[:4]] == [
        [config, first[config if config in TECHS else "ST"]] for config in ("ST", "Visium", "VisiumHD", "all")
    ]
    assert lines[4].split() == stimage_1k4m.gene_names(str(whole))


def test_the_whole_collection_is_checked(whole, tmp_path):
    done = run("data_collection/check_spots.py", whole, "--out", tmp_path, "--workers", 2)
    assert "Traceback" not in done.stderr
    results = json.loads((tmp_path / "results.json").read_text())
    assert len(results["slides"]) == 1149 and {s["checks"]["twins"][0] for s in results["slides"].values()} == {"pass"}
    assert results["configuration"]["meta_file"] == f"meta/{NEWEST}"
