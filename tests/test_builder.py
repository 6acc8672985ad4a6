"""The builder through its front door: `load_dataset`, streaming and prepared."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from datasets import load_dataset
from PIL import Image

import stimage_1k4m
from tests.roots import GENES, write_slide

FIELDS = ["spot_id", "slide", "tech", "species", "tissue", "pmid", "involve_cancer", "x", "y", "radius", "um_per_px"]
FIELDS += ["annotation", "image", "gene_ids", "counts"]


def stream(root, name="ST", **options):
    return load_dataset("stimage_1k4m", name, data_dir=str(root), split="train", streaming=True, **options)


def ids(dataset) -> list[str]:
    return [example["spot_id"] for example in dataset]


def comparable(example: dict) -> tuple:
    image = example["image"]
    return tuple(image.tobytes() if key == "image" else str(value) for key, value in example.items())


def expected_examples(root: Path, tech: str, slide: str) -> dict[str, tuple[bytes, dict[str, float]]]:
    """Read a slide with pandas and Pillow: spot → its patch's bytes and its counts by gene."""
    coord = pd.read_csv(root / tech / "coord" / f"{slide}_coord.csv", index_col=0)
    counts = pd.read_csv(root / tech / "gene_exp" / f"{slide}_count.csv", index_col=0)
    image = Image.open(root / tech / "image" / f"{slide}.png").convert("RGB")
    found = {}
    for spot, y, x, r in coord[["yaxis", "xaxis", "r"]].itertuples():
        row = counts.loc[spot]
        found[spot] = (image.crop((x - r, y - r, x + r, y + r)).tobytes(), row[row != 0].astype(float).to_dict())
    return found


@pytest.mark.parametrize("tech", ["ST", "Visium", "VisiumHD"])
def test_every_example_equals_pandas_and_pillow(sample, tech):
    names = stimage_1k4m.gene_names(sample)
    seen = {}
    for example in stream(sample, tech):
        assert list(example) == FIELDS and example["tech"] == tech
        assert (np.diff(example["gene_ids"]) > 0).all()
        counts = {names[i]: value for i, value in zip(example["gene_ids"], example["counts"])}
        seen.setdefault(example["slide"], {})[example["spot_id"]] = (example["image"].tobytes(), counts)
    assert len(seen) == len(list((sample / tech / "coord").iterdir()))
    for slide, spots in seen.items():
        assert_same_spots(spots, expected_examples(sample, tech, slide))


def assert_same_spots(got: dict, want: dict) -> None:
    assert got.keys() == want.keys()
    for spot, (pixels, counts) in want.items():
        # pandas names a repeated gene GENE.1, the project GENE-1
        assert sorted(got[spot][1].values()) == sorted(counts.values())
        assert {k: v for k, v in counts.items() if k in got[spot][1]} == {
            k: v for k, v in got[spot][1].items() if k in counts
        }
        assert got[spot][0] == pixels


def test_order_is_from_top_to_bottom_then_left_to_right(many):
    for slide in range(6):
        spots = [(e["y"], e["x"]) for e in stream(many, slides=f"S{slide}")]
        assert spots == sorted(spots)


def test_prepared_agrees_with_streamed(many, tmp_path):
    streamed = [comparable(e) for e in stream(many)]
    cache = str(tmp_path / "cache")
    for processes in (None, 2):
        prepared = load_dataset(
            "stimage_1k4m", "ST", data_dir=str(many), split="train", cache_dir=cache, num_proc=processes
        )
        assert [comparable(e) for e in prepared] == streamed
    assert (
        prepared.cast_column("image", prepared.features["image"].__class__(decode=False))[0]["image"]["bytes"][1:4]
        == b"PNG"
    )


def test_prepared_tables_have_a_thousand_rows(tmp_path):
    write_slide(tmp_path, "S", "ST", side=34)
    prepared = load_dataset("stimage_1k4m", "ST", data_dir=str(tmp_path), split="train", cache_dir=str(tmp_path / "c"))
    assert max(len(chunk) for chunk in prepared.data.column("spot_id").chunks) == 960  # fifteen of 64
    assert prepared["spot_id"][:] == ids(stream(tmp_path))


def test_prepared_is_renewed_when_the_root_changes(many, tmp_path):
    def load():
        return load_dataset("stimage_1k4m", "ST", data_dir=str(many), split="train", cache_dir=str(tmp_path / "cache"))

    before = len(load())
    write_slide(many, "S9", "ST", side=4)
    assert len(load()) == before + 16
    counts = many / "ST" / "gene_exp" / "S9_count.csv"
    counts.write_text(counts.read_text().replace("S9_0x0,", "S9_0x0,7", 1))
    last = next(e for e in load() if e["spot_id"] == "S9_0x0")
    assert last["counts"][0] >= 70


def test_prepared_is_renewed_when_the_patients_change(tmp_path):
    for i in range(6):
        write_slide(tmp_path / "root", f"S{i}", "ST", seed=i)
    sides, table = [], tmp_path / "patients.csv"
    for groups in ("aaabcd", "abcddd"):
        table.write_text("slide,patient\n" + "".join(f"S{i},{group}\n" for i, group in enumerate(groups)))
        options = {"split_by": "patient", "patients": str(table), "split_fractions": (0.5, 0.5, 0.0), "split_seed": 1}
        data = load_dataset("stimage_1k4m", "ST", data_dir=str(tmp_path / "root"), **options)
        side = {slide: name for name, split in data.items() for slide in split["slide"]}
        assert all(len({side[f"S{i}"] for i in range(6) if groups[i] == g}) == 1 for g in groups)
        sides.append(side)
    assert sides[0].keys() == sides[1].keys() and len(sides[0]) == 6


def test_filters(many):
    assert {e["slide"] for e in stream(many, species="mouse")} == {"S1", "S3", "S5"}
    assert {e["slide"] for e in stream(many, slides=["s0", "S4"])} == {"S0", "S4"}
    assert len(ids(stream(many, pmid=222, tissue=["breast"], involve_cancer=True))) == sum(n * n for n in range(3, 9))
    with pytest.raises(ValueError, match="no slide has species 'rat'; there are: human, mouse"):
        stream(many, species=["human", "rat"])
    with pytest.raises(ValueError, match="no slide is left"):
        stream(many, slides="S0", species="mouse")
    with pytest.raises(ValueError, match="has no slide 'S0x'; did you mean"):
        stream(many, slides="S0x")


def test_what_filters_exclude_is_never_opened(many):
    for part in ("coord/S1_coord.csv", "image/S1.png"):
        (many / "ST" / part).write_bytes(b"\0")
    counts = many / "ST" / "gene_exp" / "S1_count.csv"
    counts.write_bytes(counts.read_bytes().split(b"\n")[0] + b"\n\0\0")
    assert {e["slide"] for e in stream(many, slides=["S0", "S2"])} == {"S0", "S2"}


def test_gene_ids_do_not_depend_on_the_filter(many):
    write_slide(many, "Z", "Visium")
    whole = {e["spot_id"]: e["gene_ids"] for e in stream(many, "all")}
    for options in ({"slides": "S3"}, {"species": "mouse"}):
        for example in stream(many, "ST", **options):
            assert example["gene_ids"] == whole[example["spot_id"]]


def test_a_vocabulary_in_the_root_is_used(tiny):
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = [*GENES, "OTHER"][::-1]
    pq.write_table(pa.table({"id": range(5), "name": names}), tiny / "genes.parquet")
    assert stimage_1k4m.gene_names(tiny) == names
    counts = pd.read_csv(tiny / "ST/gene_exp/Slide_A_count.csv", index_col=0)
    for example in stream(tiny):
        assert example["gene_ids"] == sorted(example["gene_ids"])
        got = {names[i]: c for i, c in zip(example["gene_ids"], example["counts"])}
        row = counts.loc[example["spot_id"]]
        assert got == row[row > 0].to_dict()


def test_panel_gives_a_dense_vector(tiny, tmp_path):
    counts = pd.read_csv(tiny / "ST/gene_exp/Slide_A_count.csv", index_col=0)
    file = tmp_path / "panel.json"
    file.write_text(json.dumps({"genes": ["CD3E", "ERBB2"]}))
    for panel in (["CD3E", "ERBB2"], str(file)):
        dataset = stream(tiny, panel=panel)
        assert "counts" not in dataset.features and dataset.features["expression"].length == 2
        for example in dataset:
            assert example["expression"] == counts.loc[example["spot_id"], ["CD3E", "ERBB2"]].tolist()
    with pytest.raises(ValueError, match=r"Slide_A_count.csv: lacks 1 of the panel's 2 genes: NOPE"):
        ids(stream(tiny, panel=["CD3E", "NOPE"]))
    for bad, why in (([], "is empty"), (["A", "A"], "names gene 'A' 2 times"), ("no/such.json", "can't be read")):
        with pytest.raises(ValueError, match=why):
            stream(tiny, panel=bad)


def test_image_formats(tiny):
    want = [e["image"].tobytes() for e in stream(tiny)]
    assert [e["image"].tobytes() for e in stream(tiny, image_format="png")] == want
    jpeg = [e["image"] for e in stream(tiny, image_format="jpeg")]
    assert {image.format for image in jpeg} == {"JPEG"}
    with pytest.raises(ValueError, match="image_format='gif': pass one of"):
        stream(tiny, image_format="gif")


def test_physical_patch(sample):
    truth = json.loads((sample / "sample.json").read_text())
    dataset = stream(sample, "ST", patch={"um": 150, "px": 20})
    example = next(iter(dataset))
    assert example["image"].size == (20, 20)
    assert example["um_per_px"] == pytest.approx(truth["slides"][example["slide"]]["um_per_px"], rel=0.03)
    with pytest.raises(ValueError, match="would up-sample"):
        ids(stream(sample, "ST", patch={"um": 112, "px": 224}))


def test_formats_and_shuffle(many):
    dataset = stream(many)
    everything = ids(dataset)
    tables = list(dataset.with_format("arrow").iter(64))
    assert [i for table in tables for i in table["spot_id"].to_pylist()] == everything
    assert next(iter(dataset.with_format("numpy")))["image"].dtype == np.uint8
    shuffled = ids(dataset.shuffle(seed=1, buffer_size=50))
    assert shuffled != everything and sorted(shuffled) == sorted(everything)
    assert ids(dataset.shuffle(seed=1, buffer_size=50)) == shuffled


def test_no_root_is_refused():
    with pytest.raises(ValueError, match="pass data_dir=ROOT"):
        load_dataset("stimage_1k4m", "ST")
    with pytest.raises(ValueError, match="has no slides; expected"):
        stream("/no/such/folder")


def test_a_technology_that_is_not_there(tiny):
    with pytest.raises(ValueError, match="has no Visium slides, but 1 ST; the configuration 'Visium' asks for them"):
        stream(tiny, "Visium")


def test_real_slides(shared):
    golden = json.loads((shared / "golden" / "golden.json").read_text())["crops"]
    names, n, dense = stimage_1k4m.gene_names(shared / "real"), 0, {}
    for example in stream(shared / "real"):
        n += 1
        slide, spot = example["slide"], example["spot_id"]
        if slide in golden:
            digest = hashlib.sha256(example["image"].tobytes()).hexdigest()[:16]
            assert digest == golden[slide]["sha256_16"][spot]
        dense.setdefault(slide, {})[spot] = {names[i]: c for i, c in zip(example["gene_ids"], example["counts"])}
    assert n == 834 and len(dense) == 4
    for slide, spots in dense.items():
        want = pd.read_csv(shared / f"real/ST/gene_exp/{slide}_count.csv", index_col=0)
        got = pd.DataFrame.from_dict(spots, orient="index").reindex(index=want.index, columns=want.columns).fillna(0)
        assert np.array_equal(got.to_numpy(), want.to_numpy())


def test_real_visium(shared):
    import pyarrow.compute as pc

    root, n, nonzero, total = shared / "real_visium", 0, 0, 0
    for table in stream(root, "Visium").with_format("arrow").iter(64):
        counts = pc.list_flatten(table["counts"])
        n, nonzero, total = n + len(table), nonzero + len(counts), total + pc.sum(counts).as_py()
    assert (n, nonzero, total) == (2898, 1069459, 3085005)
    example = next(iter(stream(root, "Visium")))
    assert example["um_per_px"] == pytest.approx(7.02, abs=0.005)
    with pytest.raises(ValueError, match=r"would up-sample: at 7.02 µm/px it is 16.0 px"):
        ids(stream(root, "Visium", patch={"um": 112, "px": 224}))
