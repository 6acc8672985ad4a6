"""Searching a joint space: by a spot, an image or expression; the same each time; and what is no query is refused."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import stimage
from stimage.core.errors import DataError
from stimage.evaluation.joint.nearest import nearest_spots
from stimage.evaluation.joint.queries import parse_genes
from stimage.figures.sheets import Cell, search_sheet
from stimage.loading.embeddings import Embeddings, write_embeddings
from tests.evaluation.scripts import run
from tests.evaluation.towers import make_tower
from tests.roots import write_slide
from tests.test_scripts import run as run_apart

UNEVEN = "Slide with a name that is longer than a patch is wide_A1"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A root of two slides, a whole CLIP, and the root's images in its joint space."""
    folder = tmp_path_factory.mktemp("search")
    for k, name in enumerate(("S0", UNEVEN)):
        write_slide(folder / "root", name, "ST", side=5, seed=k)
    make_tower("clip", folder / "clip")
    stimage.embed(folder / "root", folder / "clip", folder / "joint", space="joint")
    return folder


@pytest.fixture
def search(capsys, made, tmp_path):
    """Run the script on it; return how it ended."""

    def search(*more, spots=None, model=None):
        start = (model or made / "clip", spots or made / "root")
        return run(capsys, "search.py", *start, *more, out=tmp_path / "out")

    return search


def test_by_a_spot_and_by_the_image_of_it(made, search, tmp_path):
    vectors = stimage.embed(made / "root", made / "clip", space="joint").drop(columns="slide")
    spot = vectors.index[3]
    done = search("--spot", spot, "--embeddings", made / "joint", "--n", 6)
    assert not done.error
    found = pd.read_csv(tmp_path / "out/found.csv")
    want = (vectors @ vectors.loc[spot]).drop(spot).sort_values(ascending=False)[:6]
    assert found.spot_id.tolist() == want.index.tolist() and found["rank"].tolist() == [1, 2, 3, 4, 5, 6]
    np.testing.assert_allclose(found.similarity, want, atol=2e-6)
    assert done.printed.splitlines()[0] == f"{found.similarity[0]:.3f}  {found.spot_id[0]}"
    example = next(one for one in stimage.load("ST", made / "root") if one["spot_id"] == spot)
    example["image"].save(tmp_path / "patch.png")
    same = stimage.search(made / "clip", made / "root", image=tmp_path / "patch.png", n=7, out=tmp_path / "image")
    assert same.index.tolist() == [spot, *want.index] and same.similarity.iloc[0] == pytest.approx(1, abs=1e-5)
    before = {path.name: path.read_bytes() for path in (tmp_path / "image").iterdir()}
    stimage.search(made / "clip", made / "root", image=tmp_path / "patch.png", n=7, out=tmp_path / "image")
    assert before == {path.name: path.read_bytes() for path in (tmp_path / "image").iterdir()} and len(before) == 2


def test_a_cap_by_slide_and_a_published_folder(made, search, tmp_path):
    published = tmp_path / "published"
    assert run_apart("data_process/build_shards.py", made / "root", published).returncode == 0
    Image.new("RGBA", (9, 12), (90, 30, 90, 0)).save(tmp_path / "clear.png")
    tables = []
    for spots in (made / "root", published):
        assert not search("--image", tmp_path / "clear.png", "--per-slide", 2, spots=spots).error
        tables.append(pd.read_csv(tmp_path / "out/found.csv"))
        sheet = np.asarray(Image.open(tmp_path / "out/found.png").convert("RGB"))
        assert sheet.shape[1] > 1000 and sheet.std() > 20
    pd.testing.assert_frame_equal(*tables, atol=1e-5)
    assert tables[0].slide.value_counts().to_dict() == {"S0": 2, UNEVEN: 2}
    assert not search("--image", tmp_path / "clear.png", "--slides", "S0").error
    assert set(pd.read_csv(tmp_path / "out/found.csv").slide) == {"S0"}


def test_ties_are_in_the_order_of_ids_and_lengths_do_not_matter():
    ids = np.array(["A_1", "A_2", "B_1", "B_2", "B_3"])
    vectors = np.array([[2, 0], [0, 0], [1, 1], [5, 0], [-1, 0]], np.float32)
    every = Embeddings(ids, np.array(list("AABBB")), vectors)
    found = nearest_spots(every, np.array([3, 0], np.float32), 4)
    assert found.index.tolist() == ["A_1", "B_2", "B_1", "A_2"]
    assert found.similarity.tolist() == pytest.approx([1, 1, 0.5**0.5, 0], abs=1e-6)
    assert nearest_spots(every, vectors[0], 9, per_slide=1, without=0).index.tolist() == ["B_2", "A_2"]


def test_a_sheet_shows_scale_where_it_is_known_and_no_name_is_cut_at_its_end():
    pixels = np.zeros((30, 31, 3), np.uint8)
    cells = [Cell(pixels, ("1   0.900", UNEVEN, "spot"), 0.5), Cell(pixels, ("2   0.800", "S0", "spot"))]
    figure = search_sheet("Nearest to ERBB2=5", Cell(pixels, ("searched for", "patch.png")), cells)
    said = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert said == ["5 px (µm per px not known)", "2 µm", "5 px (µm per px not known)"]
    title = figure.axes[1].get_title(loc="left").splitlines()[1]
    assert "…" in title and title.endswith("wide_A1") and len(title) < 32
    figure.draw_without_rendering()
    ends = [axes.title.get_window_extent().x1 for axes in figure.axes]
    assert max(ends) < figure.bbox.width


def test_what_is_no_query():
    assert parse_genes("ERBB2=5 KRT8=3.5") == parse_genes({"ERBB2": 5, "KRT8": 3.5}) == {"ERBB2": 5, "KRT8": 3.5}
    assert parse_genes("ERBB2=5,KRT8=0") == {"ERBB2": 5, "KRT8": 0}
    for query, why in {
        "": "is empty", "  ,": "is empty", "ERBB2=": "'ERBB2' has no count", "ERBB2": "'ERBB2' has no count",
        "=5": "'5' names no gene", "ERBB2=-1": "a number of 0 or more", "ERBB2=nan": "a number of 0 or more",
        "ERBB2=inf": "a number of 0 or more", "ERBB2=x": "has no count ('x')", "A=1 A=2": "names A twice",
        "A=0 B=0": "all counts are 0",
    }.items():  # fmt: skip
        with pytest.raises(ValueError, match="query") as error:
            parse_genes(query)
        assert why in str(error.value)


def test_what_can_not_be_searched_for(made, search, tmp_path):
    (tmp_path / "text.png").write_text("no image")
    write_embeddings(tmp_path / "other.parquet", ["S0_0x0"], "S0", np.ones((1, 16)), "other@12345678")
    narrow = tmp_path / "narrow.csv"
    pd.DataFrame(np.eye(25, 3), [f"S0_{i}x{j}" for i in range(5) for j in range(5)]).to_csv(narrow)
    for words, why in {
        (): "nothing to search for: pass one of query, image= (--image), spot= (--spot)",
        ("A=1", "--spot", "S0_0x0"): "query and spot= (--spot): pass one of",
        ("--image", tmp_path / "text.png"): "text.png is no image of a patch that can be read",
        ("--image", tmp_path / "none.png"): "none.png is no image of a patch that can be read (No such file",
        ("--spot", "S0_0x9"): "no spot that is searched is called 'S0_0x9'; did you mean S0_0x",
        ("--spot", "S0_0x0", "--embeddings", tmp_path / "other.parquet"): "are of other@12345678, 16 numbers a spot",
        ("--spot", "S0_0x0", "--embeddings", narrow): "are of another model, 3 numbers a spot",
        ("--spot", "S0_0x0", "--embeddings", made): "has no .parquet file",
    }.items():  # fmt: skip
        assert why in search(*words).error
    encoder = make_tower("dinov2", tmp_path / "dinov2")
    assert "is an image encoder alone (dinov2), which has no joint space" in search("A=1", model=encoder).error
    assert not (tmp_path / "out").exists()
    with pytest.raises(ValueError, match="per_slide=0"):
        stimage.search(made / "clip", made / "root", spot="S0_0x0", per_slide=0)
    with pytest.raises(DataError, match="have no spot of the 1 slides"):
        stimage.search(made / "clip", stimage.open_root(made / "root", slides="S0"), spot="S0_0x0",
                       embeddings=made / "joint" / f"{UNEVEN}.parquet")  # fmt: skip
