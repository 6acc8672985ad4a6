"""What a run says that its model has seen, and the untrained model that is kept to compare with."""

import json

import numpy as np

from stimage.loading.embeddings import write_embeddings
from stimage.loading.provenance import PROVENANCE, Provenance
from stimage.slides.catalog import read_catalog
from stimage.slides.spots import open_spots
from tests.training.finetuning import HELD_OUT, finetune


def test_what_both_have_seen_keeps_each_digest_that_one_knows():
    own = Provenance({"a": "", "b": "2", "c": ""}, {"d": ""})
    both = own.joined(Provenance({"a": "1", "b": "0", "e": "5"}, {"d": "4"}))
    assert both.trained == {"a": "1", "b": "2", "c": "", "e": "5"} and both.validation == {"d": "4"}


def test_a_model_is_tuned_further_by_its_own_normalisation_alone(folder, tuned, tmp_path):
    further = ("epochs=1", f"towers.image={tuned / 'model'}")
    done = finetune(folder, tmp_path / "run", *further, "normalise=log1p")
    assert done.returncode == 1 and "was trained with data.normalise=median-log1p, and its mean" in done.stderr
    done = finetune(folder, tmp_path / "run", *further)
    assert done.returncode == 0, done.stderr


def test_slides_that_the_model_of_expression_saw_and_an_untrained_model_that_stays(folder, tmp_path):
    for k, slide in enumerate(read_catalog(folder / "root").slides):
        ids = open_spots(slide, with_image=False).ids.to_pylist()
        vectors = np.random.default_rng(k).normal(5, 3, (len(ids), 8))
        seen = Provenance({HELD_OUT[0]: "", "Elsewhere": "1"})
        write_embeddings(tmp_path / "of" / f"{slide.name}.parquet", ids, slide.name, vectors, "other", seen)
    asked = ("towers.second=vectors", "panel=null", f"vectors={tmp_path / 'of'}", "pretrained=false", "epochs=1")
    done = finetune(folder, tmp_path / "run", *asked)
    assert done.returncode == 0, done.stderr
    assert f"warning: {tmp_path / 'of'} was trained on 1 held-out slides, such as {HELD_OUT[0]}" in done.stdout
    found = json.loads((tmp_path / "run/model" / PROVENANCE).read_text())
    assert {HELD_OUT[0], "Elsewhere"} < set(found["trained"])
    untrained = tmp_path / "run/untrained/model.safetensors"
    before = untrained.read_bytes()
    again = finetune(folder, tmp_path / "run", *asked)  # goes on, and fits no statistics
    assert again.returncode == 0 and "going on after step" in again.stdout
    assert untrained.read_bytes() == before
