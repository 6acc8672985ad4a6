"""The made root: its layout, its irregularities, and that its structure can be learnt."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.spatial import cKDTree

from stimage.sample import make_sample

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


def test_the_same_seed_makes_the_same_bytes(root, tmp_path):
    make_sample(tmp_path / "again", **SMALL)
    make_sample(tmp_path / "other", seed=1, **SMALL)
    files = {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()}
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
        ensembl |= {row.slide} if header[0].startswith("ENS") else set()
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


@pytest.mark.parametrize("study", ["Human_Breast_Sample1_ST", "Human_Breast_Sample3_Visium"])
def test_regions_can_be_learnt_from_genes_and_from_pixels(root, study):
    truth = json.loads((root / "sample.json").read_text())
    regions, markers = truth["slides"], truth["markers"]["human breast"]
    expression, pixels, labels = [], [], []
    for row, coord, counts in tables(root):
        if row.slide.startswith(study):
            image = Image.open(root / row.tech / "image" / f"{row.slide}.png")
            crops = [np.asarray(image.crop((x - r, y - r, x + r, y + r)), float) for y, x, r in coord.to_numpy()]
            pixels.append(np.array([[*c.mean((0, 1)), *c.std((0, 1))] for c in crops]))
            genes = np.log1p(counts.loc[coord.index])
            expression.append(np.stack([genes[[m for m in ms if m in genes]].sum(1) for ms in markers.values()], 1))
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


def test_a_folder_with_something_in_it_is_refused(root):
    with pytest.raises(FileExistsError, match="is not empty"):
        make_sample(root)
    with pytest.raises(ValueError, match="at least 54"):
        make_sample(root / "new", genes=10)
