"""What a source tells of its slide, and what a root has of it, by readers that share nothing with the project's."""

import csv
import gzip
import io
import json
import warnings
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anndata
import geopandas
import h5py
import numpy as np
import polars
import zarr
from PIL import Image

from stimage.slides.counts.wide_csv import make_unique
from tests.reliability import slow
from tests.reliability.sources import HEADER, Source


@dataclass(frozen=True)
class Told:
    """Spots by barcode: x and y in pixels of the image, counts that are not 0 by gene, and labels."""

    places: dict[str, tuple[float, float]]
    r: float
    counts: dict[str, dict[str, float]]
    labels: dict[str, str]
    pixels: np.ndarray
    um_per_px: float | None
    tech: str

    def __eq__(self, other: object) -> bool:
        assert isinstance(other, Told)
        numbers = [[one.r, one.um_per_px or 0, *sum(map(tuple, one.places.values()), ())] for one in (self, other)]
        return (
            list(self.places) == list(other.places)
            and np.allclose(*numbers, rtol=1e-6)
            and (self.counts, self.labels, self.tech) == (other.counts, other.labels, other.tech)
            and np.array_equal(self.pixels, other.pixels)
        )


def in_root(root: Path, tech: str, slide: str) -> Told:
    """Read a slide's files in a root."""
    places = slow.coordinates(root / tech / "coord" / f"{slide}_coord.csv")
    of = {spot: spot.removeprefix(f"{slide}_") for spot in places}
    (path,) = (root / tech / "gene_exp").glob(f"{slide}_count.*")
    counts = in_counts(path)
    notes = root / "annotation" / f"{slide}_anno.csv"
    labels = {of[row[""]]: row["V2"] for row in slow.table(notes)} if notes.is_file() else {}
    (row,) = (row for row in slow.table(root / "meta/meta_all_gene.csv") if row["slide"] == slide)
    assert counts.keys() == places.keys() and len({r for _, _, r in places.values()}) == 1
    return Told(
        dict(sorted((of[spot], (x, y)) for spot, (x, y, _) in places.items())), next(iter(places.values()))[2],
        {of[spot]: some for spot, some in counts.items()}, labels,
        image_of((root / tech / "image" / f"{slide}.png").read_bytes()),
        float(row["um_per_px"]) if row["um_per_px"] else None, row["tech"],
    )  # fmt: skip


def in_counts(path: Path) -> dict[str, dict[str, float]]:
    """Return the counts of a root's file by spot and gene."""
    if path.suffix == ".csv":
        return slow.counts(path)[1]
    if path.suffix == ".h5":
        spots, genes, counts = in_h5(path)
        return named(spots, genes, counts)
    data = anndata.read_h5ad(path)
    genes = data.var["feature_name"].astype(str) if "feature_name" in data.var else data.var_names
    return named(data.obs_names, list(genes), by_spot(data.obs_names, data.X))


def by_spot(spots: Iterable[str], matrix: Any) -> dict[str, dict[int, float]]:
    dense = np.asarray(matrix.todense() if hasattr(matrix, "todense") else matrix).tolist()
    return {spot: {k: n for k, n in enumerate(row) if n} for spot, row in zip(spots, dense)}


def image_of(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(plain(data))).convert("RGB"))


def plain(data: bytes) -> bytes:
    return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data


def in_source(source: Source, folder: Path) -> Told:
    """Read a source's files, damaged as they may be, in the most literal way."""
    readers = {"outs": in_outs, "A1_stdata.tsv": in_tables, "slide.zarr": in_store}
    return readers.get(source.path, in_anndata)(source, folder)


def in_outs(source: Source, folder: Path) -> Told:
    def file(*ends: str) -> Path | None:
        return next((folder / one for one in source.files if one.removesuffix(".gz").endswith(ends)), None)

    matrix = file(".h5")
    barcodes, genes, counts = in_h5(matrix) if matrix else in_folder(file)
    rows = table(file("tissue_positions.csv", "tissue_positions_list.csv", "tissue_positions.parquet"))
    factors = json.loads(plain(file("scalefactors_json.json").read_bytes()))
    image, scale = source.options.get("image"), 1.0
    if not image:
        image, scale = file("tissue_hires_image.png"), float(factors["tissue_hires_scalef"])
    on = {row["barcode"]: row for row in rows if float(row["in_tissue"]) == 1}
    assert len({row["barcode"] for row in rows}) == len(rows)
    kept = [spot for spot in barcodes if spot in on]
    x, y = ({spot: float(on[spot][name]) * scale for spot in kept} for name in (HEADER[5], HEADER[4]))
    um = factors.get("microns_per_pixel")
    if um is None and "bin_size_um" in factors:
        um = factors["bin_size_um"] / factors["spot_diameter_fullres"]
    return Told(
        {spot: (x[spot], y[spot]) for spot in sorted(kept)}, float(factors["spot_diameter_fullres"]) / 2 * scale,
        named(kept, genes, counts), in_labels(source, folder, kept), image_of((folder / image).read_bytes()),
        float(um) / scale if um is not None else None, "VisiumHD" if "bin_size_um" in factors else "Visium",
    )  # fmt: skip


def named(spots: Iterable[str], genes: list[str], counts: Mapping[str, Mapping[int, float]]) -> dict[str, dict]:
    names = make_unique(genes)
    return {spot: {names[k]: float(n) for k, n in counts[spot].items() if n and names[k]} for spot in spots}


def only_genes(genes: list[str], kinds: list[str], counts: Mapping[str, Mapping[int, float]]) -> tuple[list, dict]:
    keep = [k for k, kind in enumerate(kinds) if kind.lower() in ("gene expression", "")]
    at = {k: new for new, k in enumerate(keep)}
    return [genes[k] for k in keep], {
        spot: {at[k]: n for k, n in some.items() if k in at} for spot, some in counts.items()
    }


def in_h5(path: Path) -> tuple[list[str], list[str], dict]:
    with h5py.File(path) as file:
        (group,) = (group for group in file.values() if "barcodes" in group)
        features = group.get("features", group)
        texts = [[one.decode() for one in part[:]] for part in (
            group["barcodes"], features["id" if "id" in features else "genes"],
            features["name" if "name" in features else "gene_names"])]  # fmt: skip
        kinds = [one.decode() for one in features["feature_type"][:]] if "feature_type" in features else [""] * len(
            texts[1])  # fmt: skip
        data, indices, indptr = (group[name][:].tolist() for name in ("data", "indices", "indptr"))
        assert group["shape"][:].tolist() == [len(texts[1]), len(texts[0])] and len(set(map(len, texts[1:]))) == 1
    barcodes, ids, names = texts
    assert len(set(barcodes)) == len(barcodes) and indptr[-1] == len(data) == len(indices) and indptr[0] == 0
    counts = {spot: defaultdict(float) for spot in barcodes}
    for j, spot in enumerate(barcodes):
        assert indptr[j] <= indptr[j + 1]
        for k in range(indptr[j], indptr[j + 1]):
            assert 0 <= indices[k] < len(names)
            counts[spot][indices[k]] += data[k]
    return barcodes, *only_genes([n if n.strip() else i for n, i in zip(names, ids)], kinds, counts)


def in_folder(file) -> tuple[list[str], list[str], dict]:
    barcodes, features, matrix = (
        plain(file(*ends).read_bytes()).decode("utf-8-sig").splitlines()
        for ends in (["barcodes.tsv"], ["features.tsv", "genes.tsv"], ["matrix.mtx"])
    )
    barcodes, rows = ([one for one in lines if one.strip()] for lines in (barcodes, features))
    rows = list(csv.reader(rows, delimiter="\t"))
    sizes, *entries = ([float(n) for n in line.split()] for line in matrix if line.strip() and line[0] != "%")
    assert sizes == [len(rows), len(barcodes), len(entries)] and len(set(barcodes)) == len(barcodes)
    counts = {spot: defaultdict(float) for spot in barcodes}
    for row, column, n in entries:
        assert 1 <= row <= len(rows) and 1 <= column <= len(barcodes)
        counts[barcodes[int(column) - 1]][int(row) - 1] += n
    kinds = [row[2] if len(row) > 2 else "" for row in rows]
    return barcodes, *only_genes([row[1] if row[1].strip() else row[0] for row in rows], kinds, counts)


def table(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        return polars.read_parquet(path).to_dicts()
    rows = list(csv.reader(io.StringIO(plain(path.read_bytes()).decode("utf-8-sig"), newline="")))
    header, rows = (rows[0], rows[1:]) if "in_tissue" in rows[0] else (HEADER, rows)
    return [dict(zip(header, row, strict=True)) for row in rows if row]


def by_hand(line: bytes) -> str:
    """Return a line that a curator may have written on Windows."""
    try:
        return line.decode("utf-8-sig")
    except UnicodeDecodeError:
        return line.decode("cp1252")


def in_labels(source: Source, folder: Path, spots: list[str]) -> dict[str, str]:
    if "labels" not in source.options:
        return {}
    path = folder / source.options["labels"]
    separator = "," if path.suffix == ".csv" else ";"
    text = "".join(map(by_hand, path.read_bytes().splitlines(keepends=True)))
    rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator))
    labels = {row[0].strip(): row[1].strip() for row in rows[1:] if row}
    return {spot: labels[spot] for spot in spots if labels.get(spot, "") not in ("", "NA")}


def in_tables(source: Source, folder: Path) -> Told:
    (_, *genes), *counts = filter(any, csv.reader((folder / source.path).read_text().splitlines(), delimiter="\t"))
    header, *rows = (line.split("\t") for line in (folder / "A1_spot_data-all.tsv").read_text().splitlines() if line)
    at = [dict(zip(header, map(float, row), strict=True)) for row in rows]
    on = {f"{one['x']:g}x{one['y']:g}": (one["pixel_x"], one["pixel_y"]) for one in at if one.get("selected", 1) == 1}
    told = {spot: {k: n for k, n in enumerate(map(float, row)) if n and genes[k][:2] != "__"} for spot, *row in counts}
    assert len(told) == len(counts) and all(len(row) == len(genes) + 1 for row in counts) and len(rows) == len(
        {(one["x"], one["y"]) for one in at})  # fmt: skip
    spots = [spot for spot in told if spot in on]
    pixels = image_of((folder / "HE.png").read_bytes())
    return Told(
        dict(sorted((spot, on[spot]) for spot in spots)), 9.0, named(spots, genes, told), {}, pixels, None, "ST"
    )


def in_store(source: Source, folder: Path) -> Told:
    """Read the arrays of a store of Visium; spots are called by numbers, which the table repeats."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = anndata.read_zarr(folder / source.path / "tables/table")
    circles = geopandas.read_parquet(folder / source.path / "shapes/lib/shapes.parquet")
    assert circles.index.is_unique and circles["radius"].nunique() == 1 and set(data.obs["region"]) == {"lib"}
    at = {k: (one.x, one.y) for k, one in zip(circles.index.tolist(), circles.geometry)}
    on = np.array([float(one) == 1 for one in data.obs["in_tissue"]])
    spots = data.obs_names[on].tolist()
    assert len(set(spots)) == len(spots)
    places = dict(zip(spots, (at[k] for k in data.obs["spot_id"][on].tolist())))
    pixels = zarr.open_array(folder / source.path / "images/lib_full_image/s0", mode="r")[:]
    counts = named(spots, list(data.var_names), by_spot(spots, data.X[on]))
    return Told(dict(sorted(places.items())), float(circles["radius"].iloc[0]), counts, {}, np.moveaxis(pixels, 0, 2),
                None, "Visium")  # fmt: skip


def in_anndata(source: Source, folder: Path) -> Told:
    data = anndata.read_h5ad(folder / source.path)
    matrix = {"raw": lambda: data.raw.X, "counts": lambda: data.layers["counts"]}.get(
        source.options.get("layer"), lambda: data.X
    )()
    var = data.raw.var if source.options.get("layer") == "raw" else data.var
    genes = var["feature_name"].astype(str).tolist() if "feature_name" in var else var.index.tolist()
    mine = np.array([float(one) == 1 for one in data.obs["in_tissue"]])
    if "library" in source.options:
        mine &= (data.obs["sample"] == source.options["library"]).to_numpy()
    (entry,) = (data.uns["spatial"][name] for name in data.uns["spatial"]
                if name in (source.options.get("library"), "lib", "ST"))  # fmt: skip
    factors = {name: float(np.ravel(value)[0]) for name, value in entry["scalefactors"].items()}
    xy, um, scale = data.obsm["spatial"], None, 1.0
    if hasattr(xy, "columns"):
        xy = xy[["pxl_col_in_fullres", "pxl_row_in_fullres"]].to_numpy()
    if "image" in source.options:
        pixels = image_of((folder / source.options["image"]).read_bytes())
    else:
        scaled = ["fullres", *(name for name in ("hires", "lowres") if f"tissue_{name}_scalef" in factors)]
        name = next(name for name in scaled if name in entry["images"])
        pixels, scale = entry["images"][name], 1.0 if name == "fullres" else factors[f"tissue_{name}_scalef"]
        pixels = pixels if pixels.dtype == np.uint8 else (pixels * 255).round().clip(0, 255).astype(np.uint8)
    if (beside := folder / "metadata/TENX1.json").exists():
        um = json.loads(beside.read_text()).get("pixel_size_um_estimated")
    spots = data.obs_names[mine].tolist()
    counts = by_spot(spots, matrix[mine])
    column = source.options.get("labels")
    labels = data.obs[column].astype(object)[mine].dropna().to_dict() if column else {}
    return Told(
        dict(sorted(zip(spots, map(tuple, (np.asarray(xy, float)[mine] * scale).tolist())))),
        factors["spot_diameter_fullres"] / 2 * scale, named(spots, genes, counts), labels, pixels[..., :3],
        um / scale if um else None, "Visium",
    )  # fmt: skip
