"""Space Ranger's folders, however they come: the same spots, or our own error that names the file and the cause."""

import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from stimage.core.errors import DataError
from stimage.formats.imported import ImportedSlide, ImportOptions
from stimage.formats.recognise import read_source
from stimage.formats.tenx.space_ranger import read_space_ranger
from tests.outs import write_outs

H5, POSITIONS, FACTORS = (
    "filtered_feature_bc_matrix.h5",
    "spatial/tissue_positions.csv",
    "spatial/scalefactors_json.json",
)
HIRES = "spatial/tissue_hires_image.png"


@pytest.fixture
def outs(tmp_path):
    write_outs(tmp_path)
    return tmp_path / "outs"


def read(outs: Path, **options) -> ImportedSlide:
    return read_space_ranger(outs, ImportOptions(image=outs.parent / "tissue.tif", **options))


def told(found: ImportedSlide) -> dict[str, tuple]:
    """Return by barcode where a spot is and what its counts are, by gene id."""
    ids, counts = found.gene_ids, found.counts.toarray().astype(int)
    return {
        spot: (x, y, dict(zip(ids, row.tolist()))) for spot, x, y, row in zip(found.barcodes, found.x, found.y, counts)
    }


def refused(outs: Path, **options) -> str:
    with pytest.raises(DataError) as error:
        read(outs, **options)
    return str(error.value)


def change(path: Path, how: Callable[[h5py.Group], None]) -> None:
    with h5py.File(path, "a") as file:
        how(file["matrix"])


def put(group: h5py.Group, name: str, values) -> None:
    values = np.array(values)
    del group[name]
    group[name] = values.astype("S") if values.dtype.kind == "U" else values


def texts(group: h5py.Group, name: str) -> list[str]:
    return [one.decode() for one in group[name][:]]


def as_folder(outs: Path, name="filtered_feature_bc_matrix", turned=False, unzip=False, columns=3) -> Path:
    """Make MatrixMarket files of the HDF5 file."""
    (outs / name).mkdir()
    with h5py.File(outs / H5) as file:
        m = file["matrix"]
        features = zip(*(texts(m["features"], key) for key in ("id", "name", "feature_type")[:columns]))
        barcodes, shape, indptr = texts(m, "barcodes"), m["shape"][:].tolist(), m["indptr"][:].tolist()
        data, indices = m["data"][:].tolist(), m["indices"][:].tolist()
    pairs = [(indices[k] + 1, j + 1, data[k]) for j in range(len(barcodes)) for k in range(indptr[j], indptr[j + 1])]
    rows = [(b, a, n) if turned else (a, b, n) for a, b, n in pairs]
    head = [
        "%%MatrixMarket matrix coordinate integer general",
        f"{' '.join(map(str, shape[:: -1 if turned else 1]))} {len(rows)}",
    ]
    parts = {
        "matrix.mtx": [*head, *(" ".join(map(str, row)) for row in rows)],
        "barcodes.tsv": barcodes,
        "genes.tsv" if columns == 2 else "features.tsv": ["\t".join(row) for row in features],
    }
    for part, lines in parts.items():
        content = ("\n".join(lines) + "\n").encode()
        path = outs / name / (part if unzip else f"{part}.gz")
        path.write_bytes(content if unzip else gzip.compress(content))
    (outs / H5).unlink()
    return outs / name


def zipped(path: Path, name: str) -> None:
    path.with_name(name).write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()


def geo(outs: Path) -> None:
    for path in [*as_folder(outs).iterdir(), *(outs / "spatial").iterdir()]:
        path.rename(outs / f"GSM61775_A_{path.name}")
    for path in outs.glob("GSM*[!z]"):
        zipped(path, f"{path.name}.gz")
    (outs / "spatial").rmdir()
    shutil.rmtree(outs / "filtered_feature_bc_matrix")


def geo_in_spatial(outs: Path) -> None:
    for path in [*(outs / "spatial").iterdir()]:
        zipped(path, f"{path.name}.gz")


def version_2(outs: Path, name: str = "GRCh38") -> None:
    """Genes and their names lie in the group itself, which is called after the genome."""
    with h5py.File(outs / H5, "a") as file:
        file.move("matrix", name)
        group = file[name]
        group["genes"], group["gene_names"] = group["features/id"][:], group["features/name"][:]
        del group["features"]


def raw(outs: Path) -> None:
    """Have all spots in the matrix, in the order of positions."""
    table = pd.read_csv(outs / POSITIONS)

    def widen(group):
        known, indptr = texts(group, "barcodes"), group["indptr"][:]
        lost = table["barcode"][table["in_tissue"] == 0].tolist()
        put(group, "barcodes", [*known, *lost])
        put(group, "indptr", [*indptr, *[indptr[-1]] * len(lost)])
        put(group, "shape", [group["shape"][0], len(known) + len(lost)])

    change(outs / H5, widen)
    (outs / H5).rename(outs / "raw_feature_bc_matrix.h5")


def positions(outs: Path, name: str, **how) -> None:
    text = pd.read_csv(outs / POSITIONS).to_csv(index=False, **how)
    (outs / POSITIONS).unlink()
    (outs / "spatial" / name).write_text(text, encoding="utf-8")


def from_r(outs: Path) -> None:
    table = pd.read_csv(outs / POSITIONS).set_index("barcode")
    table.rename_axis("").to_csv(outs / POSITIONS, quoting=2)


def hidden_files(outs: Path) -> None:
    for folder, name in ((outs, f"._A_{H5}"), (outs, f"._{H5}"), (outs / "spatial", "._tissue_positions.parquet")):
        (folder / name).write_bytes(b"\0\5\26\7")


def parquet(outs: Path) -> None:
    pd.read_csv(outs / POSITIONS).to_parquet(outs / "spatial/tissue_positions.parquet", index=False)
    (outs / POSITIONS).unlink()


FORMS = {
    "10x": lambda outs: (outs / H5).rename(outs / f"V1_Breast_Cancer_Block_A_{H5}"),
    "geo": geo,
    "geo in spatial": geo_in_spatial,
    "header, older name": lambda outs: positions(outs, "tissue_positions_list.csv"),
    "no header, older name": lambda outs: positions(outs, "tissue_positions_list.csv", header=False),
    "no header, newer name": lambda outs: positions(outs, "tissue_positions.csv", header=False),
    "tabs": lambda outs: positions(outs, "tissue_positions.txt", sep="\t"),
    "Windows": lambda outs: (outs / POSITIONS).write_bytes(
        b"\xef\xbb\xbf" + (outs / POSITIONS).read_bytes().replace(b"\n", b"\r\n")
    ),
    "R": from_r,
    "parquet": parquet,
    "hidden files": hidden_files,
    "raw": raw,
    "version 2": version_2,
    "CellBender 1": lambda outs: version_2(outs, "background_removed"),
    "CellBender": lambda outs: (outs / H5).rename(outs / "mine_cellbender_filtered.h5"),
    "folder": as_folder,
    "folder of version 2": lambda outs: as_folder(outs, unzip=True, columns=2),
    "folder of ids alone": lambda outs: as_folder(outs, columns=1),
    "spots in rows": lambda outs: as_folder(outs, turned=True),
    "folder with a name before it": lambda outs: as_folder(outs, "A_filtered_feature_bc_matrix"),
}


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
    assert "genes of 2 genomes: GRCh38 (25 genes), mm10 (15 genes); name one of them as --genome" in refused(outs)
    assert "has no genome 'hg19', but GRCh38" in refused(outs, genome="hg19")
    found = read(outs, genome="mm10")
    assert found.gene_ids == before.gene_ids[25:] and found.genes == before.genes[25:]
    assert (found.counts != before.counts[:, 25:]).nnz == 0 and found.left_out == {"genes of GRCh38": 25}


def test_version_2_has_a_group_a_genome(outs):
    before = read(outs)
    version_2(outs)
    with h5py.File(outs / H5, "a") as file:
        file.copy("GRCh38", "mm10")
    assert "has genes of the genomes GRCh38, mm10; name one of them as --genome" in refused(outs)
    assert told(read(outs, genome="mm10")) == told(before)


def test_no_genome_to_choose(outs):
    as_folder(outs)
    assert "names none; leave out --genome" in refused(outs, genome="GRCh38")


def test_genes_without_a_name_go_by_their_id(outs):
    change(outs / H5, lambda group: put(group["features"], "name", ["", *texts(group["features"], "name")[1:]]))
    found = read(outs)
    assert found.genes[0] == found.gene_ids[0] != ""


def suffix(outs: Path, at: int) -> None:
    change(
        outs / H5, lambda g: put(g, "barcodes", [b[:-1] + "12"[k >= at] for k, b in enumerate(texts(g, "barcodes"))])
    )


def hd(outs: Path) -> None:
    for um in (2, 8, 16):
        shutil.copytree(outs / "spatial", outs / f"binned_outputs/square_{um:03d}um/spatial")
    (outs / "segmented_outputs").mkdir()
    (outs / "segmented_outputs/cell_segmentations.geojson").write_text("{}")
    (outs / H5).unlink()


def two_samples(outs: Path) -> None:
    (outs / H5).rename(outs / f"GSM1_A_{H5}")
    for path in [*(outs / "spatial").iterdir()]:
        path.rename(path.with_name(f"GSM2_B_{path.name}"))


def another_slides(outs: Path) -> None:
    """Have spots on tissue change places with those off it, as another slide's positions would."""
    table = pd.read_csv(outs / POSITIONS)
    table["in_tissue"] = table["in_tissue"].sample(frac=1, random_state=0).to_numpy()
    table.to_csv(outs / POSITIONS, index=False)


def with_cell(column: str, text: object) -> Callable[[Path], None]:
    def write(outs: Path) -> None:
        table = pd.read_csv(outs / POSITIONS, dtype=str)
        table.loc[3, column] = text
        table.to_csv(outs / POSITIONS, index=False)

    return write


REFUSED = {
    "aggr": (lambda outs: suffix(outs, 9), "is of several slides: its barcodes end in -1, -2, as spaceranger aggr"),
    "suffix": (lambda outs: suffix(outs, 0), "has no spot"),
    "hd": (hd, "square_002um, {outs}/binned_outputs/square_008um, {outs}/binned_outputs/square_016um; its segmented"),
    "two samples": (two_samples, "are of 2 samples by their names; keep a folder a sample"),
    "two matrices": (
        lambda outs: [shutil.copy(outs / H5, outs / f"{name}_{H5}") for name in "AB"] + [(outs / H5).unlink()],
        f"has A_{H5}, B_{H5}; keep a folder a sample",
    ),
    "CellBender's too": (
        lambda outs: shutil.copy(outs / H5, outs / "x_cellbender_filtered.h5"),
        f"has two matrices, x_cellbender_filtered.h5 and {H5}",
    ),
    "archive": (
        lambda outs: (outs / H5).rename(outs / f"{H5[:-3]}.tar.gz"),
        "; unpack filtered_feature",
    ),
    "other h5": (
        lambda outs: (outs / H5).rename(outs / "molecule_info.h5"),
        "but molecule_info.h5, spatial; name",
    ),
    "another slide": (another_slides, "that it lacks: is it another slide's?"),
    "text": (with_cell("pxl_row_in_fullres", "left"), "pxl_row_in_fullres of spot"),
    "no number": (with_cell("pxl_col_in_fullres", "nan"), "is 'nan', no number"),
    "on no tissue": (
        lambda outs: pd.read_csv(outs / POSITIONS).assign(in_tissue=0).to_csv(outs / POSITIONS, index=False),
        "that it is on tissue (in_tissue 1)",
    ),
    "twice": (
        lambda outs: (outs / POSITIONS).write_text((lines := (outs / POSITIONS).read_text()) + lines.splitlines()[-1]),
        "twice; is it of several slides?",
    ),
    "a list": (lambda outs: (outs / FACTORS).write_text("[1, 2]"), "is no JSON object of scale factors, but a list"),
    "no JSON": (lambda outs: (outs / FACTORS).write_text('{"tissue'), "scalefactors_json.json: cannot be read as JSON"),
    "no factor": (
        lambda outs: (outs / FACTORS).write_text("{}"),
        "has no scale factor 'spot_diameter_fullres'",
    ),
    "wrong factor": (
        lambda outs: (outs / FACTORS).write_text(json.dumps({"spot_diameter_fullres": "wide"})),
        "spot_diameter_fullres is 'wide', no number above 0; get it again, or pass --spot-diameter",
    ),
    "no counts": (
        lambda outs: change(outs / H5, lambda g: put(g, "data", g["data"][:] - 2)),
        "which is no raw count; name Space Ranger's own matrix",
    ),
    "no gene": (
        lambda outs: change(outs / H5, lambda g: put(g["features"], "feature_type", ["CRISPR"] * 40)),
        "has no feature of type Gene Expression, but CRISPR",
    ),
    "wrong group": (
        lambda outs: h5py.File(outs / H5, "w").create_group("X").file.close(),
        "has no matrix of 10x Genomics",
    ),
    "shape": (
        lambda outs: change(outs / H5, lambda g: put(g, "shape", g["shape"][:] + 1)),
        "features and barcodes, but has",
    ),
    "indices": (
        lambda outs: change(outs / H5, lambda g: put(g, "indices", g["indices"][:] + 40)),
        "cannot be read as 10x",
    ),
    "a barcode twice": (
        lambda outs: change(outs / H5, lambda g: put(g, "barcodes", [texts(g, "barcodes")[0]] * g["shape"][1])),
        "times;",
    ),
    "half a folder": (
        lambda outs: (as_folder(outs) / "barcodes.tsv.gz").unlink(),
        "has no barcodes.tsv beside matrix.mtx.gz",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_with_its_reason(outs, case):
    spoil, message = REFUSED[case]
    spoil(outs)
    said = refused(outs)
    assert message.replace("{outs}", str(outs)) in said and str(outs) in said


@pytest.mark.parametrize("name", ["layer", "library"])
def test_an_option_that_says_nothing_here_is_refused(outs, name):
    assert f"has no {name}; leave out --{name}" in refused(outs, **{name: "counts"})


def test_what_messages_advise_works(outs):
    before = read(outs)
    shutil.copytree(outs, outs.parent / "run/outs")
    assert f"name {outs.parent}/run/outs" in refused(outs.parent / "run")
    assert told(read(outs)) == told(before)
    factors = json.loads((outs / FACTORS).read_text())
    (outs / FACTORS).write_text(json.dumps({key: factors[key] for key in factors if "spot" not in key}))
    assert "or pass --spot-diameter" in refused(outs)
    assert read(outs, spot_diameter=52.0).r == before.r
    hd(outs)
    assert "name bins: " in refused(outs / "segmented_outputs")


@pytest.mark.parametrize("lie", [("40 ", "41 "), (" 40", " 40"), ("coordinate", "array"), ("integer", "complex")])
def test_matrixmarket_that_lies_is_refused(outs, lie):
    path = as_folder(outs, unzip=True) / "matrix.mtx"
    head, sizes, *rows = path.read_text().splitlines()
    if lie[0] == " 40":
        rows = rows[: len(rows) // 2]
    path.write_text("\n".join([head.replace(*lie), sizes.replace(*lie, 1), *rows]) + "\n")
    assert str(path) in refused(outs)


FILES: dict[str, Callable[[Path], object]] = {
    **dict.fromkeys((H5, POSITIONS, FACTORS, HIRES), lambda outs: None),
    "spatial/tissue_positions.parquet": parquet,
    **{f"{H5[:-3]}/{part}.gz": as_folder for part in ("matrix.mtx", "barcodes.tsv", "features.tsv")},
}


@pytest.mark.parametrize("fault", ["empty", "text", "zeros", "web page", "other"])
@pytest.mark.parametrize("file", FILES)
def test_another_file_in_its_place_is_refused(outs, file, fault):
    FILES[file](outs)
    path = outs / file
    other = outs / (POSITIONS if path.suffix in (".h5", ".json") and (outs / POSITIONS).exists() else HIRES)
    content = {"empty": b"", "text": b"no such file\n", "zeros": bytes(4096), "web page": b"<html>404</html>"}
    swapped = other.read_bytes() if other != path else b"\x93NUMPY"
    path.write_bytes(content.get(fault, swapped))
    said = refused(outs)
    assert path.name.partition(".")[0] in said or "matrix" in said


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_cut_and_flipped_files_are_read_or_refused(outs, data):
    """Nothing but our own error: what comes through is a slide whose parts fit each other."""
    made = outs.parent / "spoilt/outs"
    shutil.rmtree(made.parent, ignore_errors=True)
    shutil.copytree(outs, made)
    name = data.draw(st.sampled_from(sorted(FILES)))
    FILES[name](made)
    content = bytearray((made / name).read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        del content[at:]
    else:
        content[at] ^= 1 << data.draw(st.integers(0, 7))
    (made / name).write_bytes(content)
    try:
        found = read_space_ranger(made, ImportOptions(image=outs.parent / "tissue.tif"))
    except DataError as error:
        assert str(made) in str(error)
    else:
        n = len(found.barcodes)
        assert found.counts.shape == (n, len(found.genes)) and n == len(found.x) == len(found.y) == len(
            set(found.barcodes)
        )
        assert np.isfinite(found.x).all() and np.isfinite(found.y).all()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (H5, "is a file of counts alone, without positions; name the folder that has it"),
        (POSITIONS, "is of no format that is read here; name Space Ranger's folder outs, or a .h5ad file"),
        ("store.zarr", "is a Zarr store"),
        ("nothing", "there is no such file or folder"),
    ],
)
def test_what_no_reader_takes_is_told(outs, name, message):
    (outs / "store.zarr").mkdir()
    (outs / "store.zarr/zarr.json").write_text("{}")
    with pytest.raises(DataError) as error:
        read_source(outs / name, ImportOptions())
    assert f"{outs / name}: {message}" in str(error.value)
    assert told(read_source(outs, ImportOptions())) == told(read_space_ranger(outs, ImportOptions()))
