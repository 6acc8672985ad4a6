"""A made slide of tissue with nuclei, whose places and classes are known, and files of these as of segmenters."""

import json
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import find_objects, label

from tests.roots import write_csv, write_slide

CLASSES = ("Neoplastic", "Inflammatory", "Connective", "Dead", "Epithelial")
GLASS, PINK, BLUE = (242, 240, 243), (226, 160, 196), (92, 62, 140)
UM = 0.5  # µm per pixel


class Nuclei:
    """n round nuclei, at least the pitch apart, on the left three quarters of an image, whose rest is glass."""

    def __init__(self, width: int = 800, height: int = 600, pitch: float = 24, radius: float = 7, seed: int = 0):
        rng, self.size, self.radius = np.random.default_rng(seed), (width, height), radius
        self.xy = np.zeros((0, 2))
        for place in rng.uniform((20, 20), (0.75 * width - 20, height - 20), (3000, 2)).round(1):
            if (np.hypot(*(self.xy - place).T) > pitch).all():
                self.xy = np.concatenate([self.xy, place[None]])
        self.kinds = rng.integers(0, len(CLASSES), len(self.xy))

    def __len__(self) -> int:
        return len(self.xy)

    @property
    def classes(self) -> list[str]:
        return [CLASSES[k] for k in self.kinds]

    def pixels(self) -> np.ndarray:
        """The image, with the grain of tissue and a soft edge around each nucleus."""
        rng, (width, height) = np.random.default_rng(1), self.size
        image = np.full((height, width, 3), GLASS, float)
        image[:, : int(0.75 * width)] = PINK
        image[:, : int(0.75 * width)] += rng.normal(0, 6, (height, int(0.75 * width), 1))
        reach = int(self.radius) + 3
        for x, y in self.xy:
            rows, columns = (slice(max(int(c) - reach, 0), int(c) + reach + 1) for c in (y, x))
            v, u = np.mgrid[rows, columns][:, : height - rows.start, : width - columns.start]
            far = np.hypot(u + 0.5 - x, v + 0.5 - y)
            cover = np.clip(self.radius + 0.5 - far, 0, 1)[..., None]
            part = image[rows, columns]
            part += cover * (np.array(BLUE) + rng.normal(0, 8, (*far.shape, 1)) - part)
        return np.clip(image, 0, 255).astype(np.uint8)

    def ring(self, k: int, n: int = 16) -> list[list[float]]:
        """The outline of a nucleus, which ends where it began."""
        angle = np.linspace(0, 2 * np.pi, n, endpoint=False)
        ring = np.round(self.xy[k] + self.radius * np.stack([np.cos(angle), np.sin(angle)], 1), 2).tolist()
        return [*ring, ring[0]]

    def labels(self) -> np.ndarray:
        found = np.zeros(self.size[::-1], np.int32)
        v, u = np.mgrid[: self.size[1], : self.size[0]] + 0.5
        for k, (x, y) in enumerate(self.xy):
            found[np.hypot(u - x, v - y) <= self.radius] = k + 1
        return found


def write_root(root: Path, nuclei: Nuclei, name: str = "Slide_A") -> Path:
    """Write a root of a slide with nuclei, and a lattice of spots of 55 µm, 100 µm apart."""
    write_slide(root, name, "ST")
    Image.fromarray(nuclei.pixels()).save(root / f"ST/image/{name}.png")
    centres = [(y, x) for y in range(100, nuclei.size[1] - 60, 200) for x in range(100, nuclei.size[0] - 60, 200)]
    ids = [f"{name}_{i}x1" for i in range(len(centres))]
    write_csv(root / f"ST/coord/{name}_coord.csv", [["", "yaxis", "xaxis", "r"]] + [
        [one, float(y), float(x), 55.0] for one, (y, x) in zip(ids, centres)])  # fmt: skip
    write_csv(root / f"ST/gene_exp/{name}_count.csv", [["", "A", "B"], *([one, 1, 2] for one in ids)])
    return root


def cellvit(nuclei: Nuclei, points: bool = False) -> list[dict]:
    """A feature a class, in a bare list."""
    found = []
    for k, name in enumerate(CLASSES):
        own = np.flatnonzero(nuclei.kinds == k).tolist()
        places = [nuclei.xy[i].tolist() if points else [nuclei.ring(i)] for i in own]
        geometry = {"type": "MultiPoint" if points else "MultiPolygon", "coordinates": places}
        told = {"objectType": "annotation", "classification": {"name": name, "color": [255, 0, 0]}}
        found.append({"type": "Feature", "id": str(k), "geometry": geometry, "properties": told})
    return found


def cellvit_json(nuclei: Nuclei, contours: bool = False) -> dict:
    cells = [
        {"bbox": [[0, 0], [1, 1]], "centroid": nuclei.xy[k].tolist(), "type": int(nuclei.kinds[k]) + 1,
         "type_prob": 0.9} | ({"contour": nuclei.ring(k)[:-1]} if contours else {})
        for k in range(len(nuclei))
    ]  # fmt: skip
    names = {"0": "Background"} | {str(k + 1): name for k, name in enumerate(CLASSES)}
    return {"wsi_metadata": {"base_mpp": UM}, "type_map": names, "cells": cells}


def hovernet(nuclei: Nuclei) -> dict:
    cells = cellvit_json(nuclei, contours=True)["cells"]
    return {"mag": 20, "nuc": {str(k): one for k, one in enumerate(cells, 1)}}


def qupath(nuclei: Nuclei) -> dict:
    features = [
        {"type": "Feature", "id": f"uuid-{k}", "geometry": {"type": "Polygon", "coordinates": [nuclei.ring(k)]},
         "properties": {"objectType": "detection", "classification": {"name": name}}}
        for k, name in enumerate(nuclei.classes)
    ]  # fmt: skip
    outline = {"type": "Polygon", "coordinates": [[[0, 0], [9, 0], [9, 9], [0, 0]]]}
    region = {"type": "Feature", "geometry": outline, "properties": {"objectType": "annotation"}}
    return {"type": "FeatureCollection", "features": [region, *features]}


def space_ranger(nuclei: Nuclei) -> dict:
    features = [
        {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [nuclei.ring(k)]},
         "properties": {"cell_id": k + 1}}
        for k in range(len(nuclei))
    ]  # fmt: skip
    return {"type": "FeatureCollection", "features": features}


def write(path: Path, told: object) -> Path:
    path.write_text(json.dumps(told))
    return path


def dark_spots(image: Path) -> list[dict]:
    """Return features of the dark spots of an image, of two classes, as a segmenter might find them."""
    found, _ = label(np.asarray(Image.open(image).convert("L")) < 110)
    features = []
    for k, (rows, columns) in enumerate(find_objects(found)):
        x0, x1, y0, y1 = (float(one) for one in (columns.start, columns.stop, rows.start, rows.stop))
        ring = [[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]]
        told = {"objectType": "detection", "classification": {"name": CLASSES[k % 2]}}
        geometry = {"type": "Polygon", "coordinates": [ring]}
        features.append({"type": "Feature", "id": str(k), "geometry": geometry, "properties": told})
    return features
