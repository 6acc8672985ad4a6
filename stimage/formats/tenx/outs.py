"""Which files of a folder are Space Ranger's, gzipped or not, also with a sample's name before their own."""

from collections.abc import Iterable
from pathlib import Path

from stimage.core.errors import DataError, shown

MATRIX, RAW = "filtered_feature_bc_matrix", "raw_feature_bc_matrix"
H5 = (f"{MATRIX}.h5", "filtered_gene_bc_matrices_h5.h5")
RAW_H5 = (f"{RAW}.h5", "raw_gene_bc_matrices_h5.h5")
CELLBENDER = ("cellbender_filtered.h5", "cellbender_output_filtered.h5", "cellbender.h5", "output_filtered.h5")
POSITIONS = ("tissue_positions.parquet", "tissue_positions.csv", "tissue_positions_list.csv", "tissue_positions.txt")
PARTS = {
    "positions": POSITIONS,
    "factors": ("scalefactors_json.json",),
    "hires": ("tissue_hires_image.png", "tissue_hires_image.jpg"),
    "lowres": ("tissue_lowres_image.png", "tissue_lowres_image.jpg"),
}
TRIPLET = {"matrix": ("matrix.mtx",), "barcodes": ("barcodes.tsv",), "features": ("features.tsv", "genes.tsv")}
CELLS = ("filtered_feature_cell_matrix.h5", "filtered_feature_cell_matrix", "cell_segmentations.geojson")


def find_files(outs: Path) -> dict[str, Path]:
    """Return the files: "h5", or "matrix", "barcodes" and "features"; "positions", "factors", "hires" and "lowres".

    Raises
    ------
    DataError
        If one that is needed is missing, saying what there is instead, or if files are of several samples.
    """
    spatial = [path for path in _inside(outs) if path.is_dir() and _begins(path, "spatial") is not None]
    if not (found := _matrix(outs)):
        raise DataError(_no_matrix(outs))
    found |= {name: path for name, names in PARTS.items() if (path := _one([*spatial, outs], names))}
    if not {"positions", "factors"} <= found.keys():
        where = spatial[0] if spatial else outs
        raise DataError(f"{where}: has no scalefactors_json.json, or none of {', '.join(POSITIONS)}; get them again")
    samples = {begin: path for path in found.values() if (begin := _sample(path, outs))}
    if len(samples) > 1:
        names = " and ".join(path.name for path in samples.values())
        raise DataError(f"{outs}: {names} are of {len(samples)} samples by their names; keep a folder a sample")
    return found


def _matrix(outs: Path) -> dict[str, Path]:
    """Return the matrix of spots on tissue, in HDF5 rather than in a folder; else the raw one."""
    if bender := _one([outs], CELLBENDER):
        if other := _one([outs], H5):
            raise DataError(
                f"{outs}: has two matrices, {bender.name} and {other.name}; leave there the one to be added"
            )
        return {"h5": bender}
    for names, folder in ((H5, MATRIX), (RAW_H5, RAW)):
        if path := _one([outs], names):
            return {"h5": path}
        folders = [path for path in _inside(outs) if path.is_dir() and _begins(path, folder) is not None]
        if found := _triplet([*folders, *([outs] if folder == MATRIX else [])]):
            return found
    return {}


def _triplet(folders: list[Path]) -> dict[str, Path]:
    found = {name: path for name, names in TRIPLET.items() if (path := _one(folders, names))}
    if "matrix" in found and len(found) < len(TRIPLET):
        lost = next(name for name in TRIPLET if name not in found)
        raise DataError(f"{found['matrix'].parent}: has no {' or '.join(TRIPLET[lost])} beside {found['matrix'].name}")
    return found if "matrix" in found else {}


def _one(folders: Iterable[Path], names: Iterable[str]) -> Path | None:
    """Return the first of these files, called so or with a sample's name before it; there must be one of each."""
    for folder in folders:
        for name in names:
            paths = {begin: path for path in _inside(folder) if (begin := _begins(path, name)) is not None}
            if "" in paths or len(paths) == 1:
                return _checked(paths.get("") or next(iter(paths.values())))
            if paths:
                raise DataError(
                    f"{folder}: has {shown(sorted(p.name for p in paths.values()))}; keep a folder a sample"
                )
    return None


def _checked(path: Path) -> Path:
    if path.is_file():
        return path
    what = "a folder" if path.is_dir() else "a link to nothing" if path.is_symlink() else "no file"
    raise DataError(f"{path}: is {what}; put the file itself there")


def _inside(folder: Path) -> list[Path]:
    """Return what a folder has; hidden files, such as those of macOS, are none."""
    return sorted((path for path in folder.iterdir() if not path.name.startswith(".")), reverse=True)  # .gz comes last


def _begins(path: Path, name: str) -> str | None:
    """Return what a file's name has before this one: "", or a sample's name and its separator; else None."""
    text = path.name.removesuffix(".gz")
    begin = text.removesuffix(name)
    return begin if text.endswith(name) and (not begin or begin[-1] in "_-.") else None


def _sample(path: Path, outs: Path) -> str:
    """Return the sample's name that a file's name, or its folder's, begins with; "" if there is none."""
    known = [name for names in (*PARTS.values(), *TRIPLET.values(), H5, RAW_H5, CELLBENDER) for name in names]
    parts = [(path, known)] + ([(path.parent, [MATRIX, RAW, "spatial"])] if path.parent != outs else [])
    for one, names in parts:
        for begin in (_begins(one, name) for name in names):
            if begin:
                return begin.removesuffix("spatial_").removesuffix(f"{MATRIX}_").rstrip("_-.")
    return ""


def _no_matrix(outs: Path) -> str:
    """Return what is to be named instead of a folder without a matrix."""
    here = _inside(outs)
    if any(_begins(path, name) is not None for path in here for name in CELLS):
        bins = _bins(outs.parent / "binned_outputs")
        return f"{outs}: has segmented cells of Visium HD, which are polygons of many sizes, no spots; name bins" + (
            f": {_named(bins)}" if bins else ", a folder square_…um of binned_outputs"
        )
    if bins := _bins(outs) or _bins(outs / "binned_outputs"):
        cells = "; its segmented_outputs are cells, no spots" if (outs / "segmented_outputs").is_dir() else ""
        return f"{outs}: has bins of Visium HD: name one of {_named(bins)}{cells}"
    remedy = f"name {outs / 'outs'}" if (outs / "outs").is_dir() else "name Space Ranger's folder outs"
    if archives := [path.name for path in here if path.name.endswith((".tar.gz", ".tgz", ".tar", ".zip"))]:
        remedy = f"unpack {shown(archives)} first"
    for name in (MATRIX, RAW):
        if folder := next((path for path in here if path.is_dir() and _begins(path, name) is not None), None):
            return f"{folder}: has no matrix.mtx; get it again"
    there = shown([path.name for path in reversed(here)], 8) or "nothing"
    return f"{outs}: has no {MATRIX}.h5 and no folder {MATRIX}, but {there}; {remedy}"


def _bins(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("square_*um") if path.is_dir())


def _named(bins: list[Path]) -> str:
    return ", ".join(map(str, bins))
