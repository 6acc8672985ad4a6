"""Models that a run made, with their processors, in a process that lacks the project: from a folder and the Hub."""

import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import stimage
from stimage.loading.embeddings import write_embeddings
from tests.building import once
from tests.hub.client import upload
from tests.training.finetuning import HELD_OUT, finetune

RUNS = {
    "mlp": ("towers.second=mlp",),
    "set": ("towers.second=set", "panel=null"),
    "vectors": ("towers.second=vectors", "panel=null"),
}
STRANGER = """
import json, sys
sys.modules["stimage"] = None  # as where it is not installed
import numpy as np
import pandas as pd
import torch
from transformers import AutoModel, AutoProcessor

places, counts, vectors, out = json.loads(sys.argv[1])
table, found = pd.read_csv(counts, index_col=0), {}
given = {
    "mlp": lambda: {"genes": table.to_numpy(), "gene_names": list(table)},
    "set": lambda: {"genes": table.to_dict("records")},
    "vectors": lambda: {"vectors": np.load(vectors)},
    "linear": lambda: {"genes": annotated()},
}

def annotated():
    from anndata import AnnData
    from scipy.sparse import csr_matrix
    data = AnnData(csr_matrix(table.to_numpy(np.float32)))
    data.var["symbol"] = list(table)  # var_names are numbers
    return data

sys.modules["anndata"] = None
for kind, make in given.items():
    if kind == "linear":
        del sys.modules["anndata"]
    model = AutoModel.from_pretrained(places[kind], trust_remote_code=True).eval()
    processor = AutoProcessor.from_pretrained(places[kind], trust_remote_code=True)
    image = np.full((40, 40, 3), 200, np.uint8)
    inputs = processor(images=[image] * len(table), **make())
    with torch.inference_mode():
        both = model(**inputs)
    assert len(both.image_embeds) == len(both.gene_embeds) == len(table)
    found[kind] = both.gene_embeds.numpy()
    processor.save_pretrained(out + kind)  # and again, as whoever pushes it on does
    again = AutoProcessor.from_pretrained(out + kind, trust_remote_code=True)
    assert type(again).__name__ == "SpotClipProcessor" and again.gene_inputs == processor.gene_inputs
np.savez(out, **found)
"""
FROM_HUB = """
    import sys
    sys.modules["stimage"] = None
    import numpy as np
    from PIL import Image
    from transformers import AutoImageProcessor, AutoModel, AutoProcessor, pipeline

    name, image = "tester/tuned", Image.new("RGB", (40, 40), "pink")
    model = AutoModel.from_pretrained(name, trust_remote_code=True)
    pixels = AutoImageProcessor.from_pretrained(name)(image, return_tensors="pt")
    processor = AutoProcessor.from_pretrained(name, trust_remote_code=True)
    found = model(**processor(images=image, genes=dict.fromkeys(processor.genes, 1)))
    alone = model(**pixels).image_embeds
    piped = pipeline("image-feature-extraction", model=name, trust_remote_code=True)(image)
    print(abs(found.image_embeds - alone).max().item() < 1e-6, len(found.gene_embeds),
          np.abs(np.ravel(piped) - alone[0].detach().numpy()).max() < 1e-5)
"""


@pytest.fixture(scope="module")
def models(folder, tuned, tmp_path_factory):
    """A model of each gene tower: tower → OUT/model; and the vectors of the held-out slide's spots."""

    def make(out):
        rng = np.random.default_rng(0)
        for file in (folder / "root/Visium/gene_exp").glob("Human*_count.csv"):
            ids, name = pd.read_csv(file, index_col=0).index, file.name.removesuffix("_count.csv")
            vectors = rng.normal(size=(len(ids), 6)).astype(np.float32)
            write_embeddings(out / f"given/{name}.parquet", list(ids), name, vectors, "another")
            np.save(out / f"{name}.npy", vectors)
        for kind, asked in RUNS.items():
            more = (f"data.vectors={out / 'given'}",) if kind == "vectors" else ()
            done = finetune(folder, out / kind, "epochs=1", *asked, *more)
            assert done.returncode == 0, done.stderr

    made = once(tmp_path_factory, "of-strangers", make)
    return made, {"linear": tuned / "model", **{kind: made / kind / "model" for kind in RUNS}}


@pytest.mark.slow
def test_a_stranger_embeds_genes_as_the_project_does(folder, models, tmp_path):
    made, places = models
    counts = folder / f"root/Visium/gene_exp/{HELD_OUT[0]}_count.csv"
    told = [{kind: str(place) for kind, place in places.items()}, str(counts), str(made / f"{HELD_OUT[0]}.npy"),
            str(tmp_path / "found.npz")]  # fmt: skip
    environment = {**os.environ, "HF_MODULES_CACHE": str(tmp_path / "modules")}
    done = subprocess.run([sys.executable, "-c", STRANGER, json.dumps(told)], capture_output=True, text=True,
                          env=environment)  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert "named by var['symbol'], which has 40 of the model's 40 genes; var_names has 0" in done.stderr
    found, ids = np.load(tmp_path / "found.npz"), pd.read_csv(counts, index_col=0).index
    assert len(ids) > 100
    root = stimage.open_root(folder / "root", tech="Visium", species="human")
    for kind, place in places.items():
        table = stimage.embed(root, place, space="joint", of="genes").loc[ids].drop(columns="slide").to_numpy()
        np.testing.assert_allclose(found[kind], table, atol=1e-5, err_msg=kind)
        assert table.std(0).min() > 1e-3


def test_what_a_processor_knows_of_its_run(folder, tuned, models):
    said = json.loads((tuned / "model/processor_config.json").read_text())
    assert said["auto_map"] == {"AutoProcessor": "processing_spot_clip.SpotClipProcessor"}
    inputs = said["gene_inputs"]
    (train,) = set((folder / "root/Visium/gene_exp").glob("Human*")) - {
        folder / f"root/Visium/gene_exp/{HELD_OUT[0]}_count.csv"
    }
    counts = pd.read_csv(train, index_col=0)
    assert inputs["median_total"] == counts.sum(axis=1).median() and inputs["normalise"] == "median-log1p"
    scaled = counts[inputs["genes"]].mul(inputs["median_total"] / counts.sum(axis=1), axis=0)
    assert inputs["mean"] == pytest.approx(np.log1p(scaled).mean().tolist(), abs=1e-4)
    of_sets = json.loads((models[1]["set"] / "processor_config.json").read_text())["gene_inputs"]
    assert of_sets.keys() == {"tower", "genes"} and len(of_sets["genes"]) > 200


@pytest.mark.slow
def test_a_stranger_loads_a_pushed_model_from_the_hub(hub, tuned):
    upload(hub, tuned / "model", "tester/tuned", "model")
    said = hub.run(FROM_HUB)
    assert str(getattr(said, "stdout", said)).split()[-3:] == ["True", "1", "True"]
