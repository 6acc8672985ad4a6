"""The made root: its layout, its irregularities, and that its structure can be learnt."""

import csv
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.spatial import cKDTree

from stimage.sample import make_sample

JOB = Path(__file__).parents[2] / "scripts/data_process/make_sample.py"
SMALL = {"genes": 300, "slides_per_study": 2, "st_side": 9, "visium_side": 12, "hd_side": 16}


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("made") / "root"
    make_sample(root, **SMALL)
    return root


def tables(root: Path):
    """Yield each slide's meta row, coordinates and counts, as pandas reads them."""
    for row in pd.read_csv(root / "meta/meta_all_gene.csv", keep_default_na=False).itertuples():
        coord = pd.read_csv(root / row.tech / "coord" / f"{row.slide}_coord.csv", index_col=0)
        yield row, coord, pd.read_csv(root / row.tech / "gene_exp" / f"{row.slide}_count.csv", index_col=0)


def test_layout_agrees_with_the_meta_file(root):
    techs = Counter()
    for row, coord, counts in tables(root):
        techs[row.tech] += 1
        assert len(coord) == len(counts) == row.spot_num and set(coord.index) == set(counts.index)
        assert counts.shape[1] == row.gene_num < SMALL["genes"]
        assert (coord.index.str.startswith(row.slide)).all() and coord.index.is_unique
        assert (counts.to_numpy() >= 0).all() and (counts.to_numpy() % 1 == 0).all()
    assert techs == {"ST": 4, "Visium": 4, "VisiumHD": 1}


def test_meta_is_quoted_and_its_studies_are_in_the_bibliography(root):
    text = (root / "meta/meta_all_gene.csv").read_text()
    header, *rows = csv.reader(text.splitlines())
    columns = "slide species tissue pmid title abstract keywords involve_cancer tech spot_num gene_num"
    assert header == columns.split() and all(line[0] == line[-1] == '"' for line in text.splitlines())
    assert {(row[1], row[2], row[7]) for row in rows} == {("human", "breast", "True"), ("mouse", "brain", "False")}
    pmids = {row[3] for row in rows}
    assert len(pmids) == 5 and "" in pmids and any("," in pmid for pmid in pmids)
    bibliography = (root / "meta/bib.txt").read_text()
    assert all(f"pmid = {{{one}}}" in bibliography for pmid in pmids for one in pmid.split(",") if one)


def run(*arguments, **environment) -> subprocess.CompletedProcess:
    paths = {"PYTHONPATH": str(JOB.parents[2])}
    command = [sys.executable, JOB, *map(str, arguments)]
    return subprocess.run(command, env=os.environ | paths | environment, capture_output=True, text=True)


@pytest.mark.slow
def test_the_same_seed_makes_the_same_bytes_in_another_process(root, tmp_path):
    options = [part for name, value in SMALL.items() for part in (f"--{name.replace('_', '-')}", value)]
    done = run("--out", tmp_path / "again", *options, PYTHONHASHSEED="7")
    assert done.returncode == 0 and str(tmp_path / "again") in done.stdout, done.stderr
    make_sample(tmp_path / "other", seed=1, **SMALL)
    files = {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()}
    assert len(files) == len([path for path in (tmp_path / "again").rglob("*") if path.is_file()])
    for path, content in files.items():
        assert (tmp_path / "again" / path).read_bytes() == content
    name = Path("ST/gene_exp/Human_Breast_Sample1_ST_A1_count.csv")
    assert (tmp_path / "other" / name).read_bytes() != files[name]


def test_images_are_of_three_types_all_named_png(root):
    images = [Image.open(path) for path in root.glob("*/image/*.png")]
    assert {image.format for image in images} == {"PNG", "JPEG", "TIFF"}
    assert any(324 in image.tag_v2 for image in images if image.format == "TIFF")  # one is tiled
    assert any(324 not in image.tag_v2 for image in images if image.format == "TIFF")


def test_irregularities(root):
    ensembl, twice, decimals, reordered = set(), set(), set(), set()
    for row, coord, counts in tables(root):
        text = (root / row.tech / "gene_exp" / f"{row.slide}_count.csv").read_text()
        header = text.split("\n", 1)[0].split(",")[1:]
        ensembl |= {row.slide} if all(gene.startswith("ENSG") for gene in header) else set()
        twice |= {row.slide} if len(set(header)) < len(header) else set()
        decimals |= {row.slide} if "1.0," in text else set()
        reordered |= {row.slide} if list(coord.index) != list(counts.index) else set()
    assert len(ensembl) == len(twice) == len(decimals) == 1 and len(reordered) >= 5
    labels = pd.concat([pd.read_csv(path, index_col=0) for path in (root / "annotation").iterdir()])
    assert "undetermined" in set(labels["V2"]) and len(list((root / "annotation").iterdir())) == 8


def test_lattices_and_borders(root):
    truth = json.loads((root / "sample.json").read_text())["slides"]
    for row, coord, _ in tables(root):
        xy, r = coord[["xaxis", "yaxis"]].to_numpy(), coord["r"].to_numpy()[:, None]
        nearest = np.median(cKDTree(xy).query(xy, k=3)[0][:, 1:])
        assert nearest == pytest.approx(truth[row.slide]["pitch_px"], rel=0.04)
        size = np.array(Image.open(root / row.tech / "image" / f"{row.slide}.png").size)
        over = ((xy + r > size) | (xy - r < 0)).any(1)
        assert over.any() and not ((xy - r >= size) | (xy + r <= 0)).any()


def learn(features: list[np.ndarray], labels: list[np.ndarray]) -> float:
    """Nearest class mean: learn on the first slide, return the accuracy on the second."""
    mean, std = features[0].mean(0), features[0].std(0) + 1e-6
    train, test = ((f - mean) / std for f in features)
    names = np.unique(labels[0])
    centres = np.stack([train[labels[0] == name].mean(0) for name in names])
    return float((names[((test[:, None] - centres) ** 2).sum(2).argmin(1)] == labels[1]).mean())


@pytest.mark.parametrize("tech", ["ST", "Visium"])
@pytest.mark.parametrize("species", ["human", "mouse"])
def test_regions_of_a_held_out_slide_can_be_learnt_from_genes_and_from_pixels(root, species, tech):
    truth = json.loads((root / "sample.json").read_text())
    regions, markers = truth["slides"], truth["markers"]["human breast" if species == "human" else "mouse brain"]
    expression, pixels, labels = [], [], []
    for row, coord, counts in tables(root):
        if (row.species, row.tech) == (species, tech):
            image = Image.open(root / row.tech / "image" / f"{row.slide}.png")
            crops = [np.asarray(image.crop((x - r, y - r, x + r, y + r)), float) for y, x, r in coord.to_numpy()]
            pixels.append(np.array([[*c.mean((0, 1)), *c.std((0, 1))] for c in crops]))
            genes = np.log1p(counts.loc[coord.index])
            expression.append(np.stack([genes[ms].sum(axis=1) for ms in markers.values()], 1))
            labels.append(np.array([regions[row.slide]["regions"][spot] for spot in coord.index]))
    commonest = max(Counter(labels[1]).values()) / len(labels[1])
    assert learn(expression, labels) > max(0.6, commonest + 0.15)
    assert learn(pixels, labels) > max(0.6, commonest + 0.15)


def test_markers_are_raised_in_their_region(root):
    truth = json.loads((root / "sample.json").read_text())
    for row, _, counts in tables(root):
        if row.slide in truth["ensembl"]:
            counts = counts.rename(columns={v: k for k, v in truth["ensembl"][row.slide].items()})
        labels = pd.Series(truth["slides"][row.slide]["regions"]).loc[counts.index]
        for region, genes in truth["markers"][f"{row.species} {row.tissue}"].items():
            inside = counts.loc[labels == region, genes]
            if len(inside) >= 5:
                assert inside.to_numpy().mean() > 2.5 * counts.loc[labels != region, genes].to_numpy().mean()


def test_most_counts_are_zero(root):
    zeros = {}
    for row, _, counts in tables(root):
        zeros.setdefault(row.tech, []).append((counts.to_numpy() == 0).mean())
    assert 0.8 < min(zeros["Visium"]) <= max(zeros["Visium"]) < 0.95 < min(zeros["VisiumHD"])


def test_studies_of_a_tissue_differ_by_a_mild_batch_effect(root):
    """Genes have like means in both studies; each slide has a stain of its own."""
    slides = [
        (row, counts.mean()) for row, _, counts in tables(root) if row.species == "human" and row.tech != "VisiumHD"
    ]
    names = [gene for gene in slides[0][1].index if all(gene in mean.index for _, mean in slides)]
    logs = np.stack([np.log(mean[names] / mean[names].sum() + 1e-4) for _, mean in slides])
    assert np.corrcoef(logs)[:2, 2:].min() > 0.8
    images = [Image.open(root / row.tech / "image" / f"{row.slide}.png").convert("RGB") for row, _ in slides]
    density = np.log([np.asarray(image).reshape(-1, 3).mean(0) / 255 for image in images])
    strength = density / density.mean(1, keepdims=True)
    assert all(np.abs(a - b).max() > 0.02 for i, a in enumerate(strength) for b in strength[:i])


def test_a_folder_with_something_in_it_is_refused(root, tmp_path):
    with pytest.raises(FileExistsError, match="is not empty"):
        make_sample(root)
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError, match="is a file"):
        make_sample(tmp_path / "file")
    done = run("--out", root)
    assert done.returncode != 0 and done.stderr.count("\n") == 1 and "is not empty" in done.stderr


@pytest.mark.parametrize("asked", [{"genes": 10}, {"st_side": 3}, {"slides_per_study": 0}])
def test_a_sample_too_small_is_refused(tmp_path, asked):
    with pytest.raises(ValueError, match="at least"):
        make_sample(tmp_path / "new", **asked)
    assert not (tmp_path / "new").exists()
