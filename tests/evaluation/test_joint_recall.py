"""A small model, from choosing genes to retrieval and search on a slide that it has not seen, by commands alone."""

import json

import pandas as pd
import pytest

from stimage.sample import make_sample
from tests.test_scripts import run

TEST = "Human_Breast_Sample3_Visium_D1"
SLIDES = ("--tech", "Visium", "--species", "human")


def done(script: str, *words) -> str:
    ended = run(script, *words)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.mark.slow
def test_a_tuned_model_finds_what_it_has_not_seen(tmp_path):
    root, joint = tmp_path / "root", tmp_path / "joint"
    make_sample(root, genes=300, slides_per_study=4, st_side=4, visium_side=16, hd_side=4)
    panel = tmp_path / "panel.json"
    done("data_process/select_genes.py", root, *SLIDES, "--method", "hvg-consensus", "--n", 60, "--held-out", TEST,
         "--out", panel)  # fmt: skip
    done("finetune/finetune_clip.py", root, "--config", "tiny", "--out", tmp_path / "run", "--override",
         f"panel={panel}", f"exclude=[{TEST}]", "validation_slides=null", "epochs=10", "workers=0")  # fmt: skip
    model = tmp_path / "run/model"
    done("evaluation/embed_spots.py", root, *SLIDES, "--model", model, "--space", "joint", "--of", "images", "genes",
         "--out", joint)  # fmt: skip
    done("evaluation/retrieval.py", "--root", root, "--slides", TEST, "--embeddings", joint, "--out", tmp_path / "r")
    scores = json.loads((tmp_path / "r/results.json").read_text())["overall"]["within"]
    for way in ("a_to_b", "b_to_a"):  # of 190 spots, chance is 0.05, and twice of it three standard deviations above
        assert scores[way]["recall@10"] > 2 * scores["chance"]["recall@10"], scores
    spot = pd.read_parquet(joint / "images" / f"{TEST}.parquet").spot_id[0]
    given = ("--embeddings", joint, "--per-slide", 3, "--out", tmp_path / "found")
    printed = done("evaluation/search.py", model, root, *SLIDES, "--spot", spot, *given)
    assert printed.count(TEST) == 3 and len(pd.read_csv(tmp_path / "found/found.csv")) == 12
    labels = pd.concat([pd.read_csv(file, index_col=0) for file in (root / "annotation").glob("*Visium*")]).iloc[:, 0]
    epithelial = [gene for gene in json.loads(panel.read_text())["genes"] if gene.startswith("KRT")]
    done("evaluation/search.py", model, root, " ".join(f"{gene}=30" for gene in epithelial), *SLIDES, "--embeddings",
         joint, "--out", tmp_path / "found")  # fmt: skip
    found = labels[pd.read_csv(tmp_path / "found/found.csv").spot_id]
    assert (found == "tumor").sum() >= 8 and (labels == "tumor").mean() < 0.3, found
    given = ("--embeddings", joint / "images", "--keys", joint / "genes", "--n", 10, "--maps", 0)
    done("evaluation/predict_expression.py", "--protocol", "neighbours", "--root", root, *SLIDES, "--test", TEST,
         *given, "--out", tmp_path / "p")  # fmt: skip
    overall = json.loads((tmp_path / "p/results.json").read_text())["overall"]["per_slide"]
    assert overall["pearson"]["mean"] > overall["baselines"]["gene_mean"]["pearson"]["mean"] + 0.1
