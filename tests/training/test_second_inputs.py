"""What the second tower takes of spots: sets of genes joined by name, vectors out of a file, sentences that fit."""

import re
import shutil

import numpy as np
import pandas as pd
import pytest
import torch

from stimage.core.errors import DataError
from stimage.loading.embeddings import write_embeddings
from stimage.training.data.parts import choose_parts
from stimage.training.settings.reading import make_settings
from stimage.training.spots import load_spots
from tests.roots import write_genes
from tests.test_scripts import run

IDS = {"G1": "ENSG00000000001", "G2": "ENSG00000000002", "OWN": "ENSG00000000003"}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Slides of four spots: A by symbols, B by versioned ids, other genes; C of genes that no other has."""
    root = tmp_path_factory.mktemp("second") / "root"
    path = write_genes(root, "A", ["G2", "G1", "ZERO"])
    path.write_text(re.sub(r",3$", ",0", path.read_text(), flags=re.M))
    write_genes(root, "B", [f"{IDS['G1']}.3", f"{IDS['OWN']}.1", IDS["G1"]])
    write_genes(root, "C", ["Mm1", "Mm2"])
    (root.parent / "table.csv").write_text("id,symbol\n" + "".join(f"{i},{s}\n" for s, i in IDS.items()))
    return root


def loaded(source, **given):
    settings = make_settings(
        {"source": source, "augment": False, "slides": ["A", "B"], "towers.second": "set", **given}
    )
    return load_spots(settings, choose_parts(settings), 8)


def told(spots) -> dict[str, dict[str, dict]]:
    """Return slide → counts by gene of its first spot, and the genes that it measured."""
    found = {}
    for row, slide in enumerate(spots.slide):
        part = spots.told(np.array([row]))
        genes = spots.other.genes
        counts = {genes[i]: c for i, c in zip(part["gene_ids"][0].tolist(), part["counts"][0].tolist()) if i >= 0}
        measured = {genes[i] for i in part["measured"][0].nonzero()[:, 0].tolist()}
        found.setdefault(spots.slides[slide], (counts, measured))
    return found


@pytest.fixture(scope="module")
def published(root):
    out = root.parent / "published"
    done = run("data_process/build_shards.py", root, out)
    assert done.returncode == 0, done.stderr
    return out


@pytest.mark.parametrize("kind", ["root", "published"])
def test_genes_that_slides_name_otherwise_are_joined(kind, request, root):
    train, _ = loaded(request.getfixturevalue(kind), gene_table=root.parent / "table.csv")
    assert train.other.genes == ("G1", "G2", "OWN") and not train.other.notes  # ZERO has no count anywhere
    assert told(train) == {"A": ({"G2": 1, "G1": 2}, {"G1", "G2"}), "B": ({"G1": 1 + 3, "OWN": 2}, {"G1", "OWN"})}


def test_without_a_table_versions_of_ids_are_joined_and_symbols_are_not(root):
    train, _ = loaded(root)
    (note,) = train.other.notes
    assert "1 slides, such as B, name genes by Ensembl ids, and 1, such as A, do not" in note and "gene_table" in note
    assert not loaded(root, slides=["A"])[0].other.notes
    one, own = IDS["G1"], IDS["OWN"]
    assert told(train) == {"A": ({"G2": 1, "G1": 2}, {"G1", "G2"}), "B": ({one: 1 + 3, own: 2}, {one, own})}


def test_an_older_folder_has_the_genes_that_spots_have_as_measured(published, root, tmp_path):
    shutil.copytree(published, tmp_path / "older")
    (tmp_path / "older/measured.parquet").unlink()
    train, _ = loaded(tmp_path / "older", gene_table=root.parent / "table.csv")
    assert "does not say which genes its slides measured" in train.other.notes[0]
    assert told(train)["A"][1] == {"G1", "G2"}


@pytest.mark.parametrize("kind", ["root", "published"])
def test_a_slide_of_other_genes_is_refused(kind, request):
    with pytest.raises(DataError, match=r"slide C: the model knows 0 of its 2 genes, such as 'Mm1' \(0%\).*exclude="):
        loaded(request.getfixturevalue(kind), slides=["A", "B"], validation_slides=["C"])


def test_a_tower_that_was_trained_before_keeps_its_genes(root):
    settings = make_settings({"source": root, "slides": ["A"], "towers.second": "set"})
    train, _ = load_spots(settings, choose_parts(settings), genes=["OWN", "G1", "G9"])
    assert train.other.genes == ("OWN", "G1", "G9") and told(train)["A"] == ({"G1": 2}, {"G1"})


def test_counts_that_seem_to_be_normalised(root, tmp_path):
    shutil.copytree(root, tmp_path / "root")
    path = tmp_path / "root/ST/gene_exp/A_count.csv"
    path.write_text(path.read_text().replace(",2,", ",2.5,"))
    train, _ = loaded(tmp_path / "root", slides=["A"])
    with pytest.raises(DataError, match="no whole numbers: they seem to be normalised"):
        train.told(np.array([0]))


def write_vectors(folder, spots) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    ids = spots.table[:]["spot_id"].to_pylist()
    for slide in spots.slides:
        own = [one for one in ids if one.startswith(slide)]
        write_embeddings(folder / f"{slide}.parquet", own, slide, rng.normal(size=(len(own), 3)), "another model")
    return pd.concat([pd.read_parquet(file) for file in sorted(folder.glob("*.parquet"))]).set_index("spot_id")


def test_vectors_of_another_model_by_spot(root, tmp_path):
    every, _ = loaded(root)
    table = write_vectors(tmp_path / "vectors", every)
    asked = {"vectors": tmp_path / "vectors", "towers.second": "vectors"}
    train, held_out = loaded(root, slides=["A"], validation_slides=["B"], **asked)
    for spots in (train, held_out):
        rows = np.arange(len(spots))[::-1]
        ids = spots.table[:]["spot_id"].to_pylist()[::-1]
        assert torch.equal(spots.told(rows)["vectors"], torch.tensor(np.stack(table.loc[ids, "embedding"])))
    assert train.other.width == 3 and len(train.other.embeddings) == 4
    csv = table.join(pd.DataFrame(table.pop("embedding").tolist(), table.index)).drop(columns="slide")
    csv.to_csv(tmp_path / "vectors.csv")
    same, _ = loaded(root, vectors=tmp_path / "vectors.csv", **{"towers.second": "vectors"})
    assert torch.allclose(same.told(np.array([2]))["vectors"], train.told(np.array([2]))["vectors"])


def test_spots_without_a_vector_are_named(root, tmp_path):
    every, _ = loaded(root)
    write_vectors(tmp_path, every)
    table = pd.read_parquet(tmp_path / "B.parquet").iloc[1:]
    (tmp_path / "B.parquet").unlink()
    asked = {"vectors": tmp_path, "towers.second": "vectors"}
    with pytest.raises(
        DataError, match=r"lacks the vectors of 4 of 8 spots, such as 'B_.*' \(4 of slide B\).*exclude="
    ):
        loaded(root, **asked)
    write_embeddings(tmp_path / "B.parquet", table["spot_id"], "B", np.stack(table["embedding"]), "another model")
    with pytest.raises(DataError, match=r"lacks the vectors of 1 of 8 spots"):
        loaded(root, **asked)
    loaded(root, slides=["A"], **asked)
    with pytest.raises(DataError, match="there is no such file or folder"):
        loaded(root, vectors=tmp_path / "none", **{"towers.second": "vectors"})
