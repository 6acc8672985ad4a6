"""Sentences of a text tower: how many genes fit is told, and by default as many are taken."""

import json

import numpy as np
import pytest

from stimage.core.errors import DataError
from stimage.loading.tensors import begin_batch
from stimage.towers.reading import tokenizer_of
from stimage.training.data.parts import choose_parts
from stimage.training.settings.reading import make_settings
from stimage.training.spots import load_spots
from tests.evaluation.towers import make_tower
from tests.training.finetuning import finetune


def loaded(folder, **given):
    settings = make_settings({"source": folder / "root", "tech": "Visium", "species": "human", "augment": False,
                              "towers.second": "text", "towers.image": folder / "clip", **given})  # fmt: skip
    tokenizer = tokenizer_of(str(folder / "clip"))
    return load_spots(settings, choose_parts(settings), 32, tokenizer)[0], tokenizer


@pytest.mark.parametrize("above_mean", [True, False])
def test_as_many_genes_as_fit(folder, above_mean):
    train, tokenizer = loaded(folder, above_mean=above_mean)
    k, places = train.other.rule.k, tokenizer.model_max_length
    texts = [text for part in range(len(train)) for text in train.other.texts(batch_of(train, part))]
    lengths = np.array([len(ids) for ids in tokenizer(texts, truncation=False)["input_ids"]])
    assert np.mean(lengths <= places) >= 0.95
    assert 1 <= k < places and f"sentences of {k} genes" in train.other.notes[0]
    assert not train.other.notes[0].startswith("warning")
    more, _ = loaded(folder, above_mean=above_mean, sentence_genes=k + 1)
    texts = [text for part in range(len(more)) for text in more.other.texts(batch_of(more, part))]
    lengths = np.array([len(ids) for ids in tokenizer(texts, truncation=False)["input_ids"]])
    assert np.mean(lengths <= places) < 0.95 and more.other.notes[0].startswith("warning: sentences of")


def batch_of(spots, row):
    return begin_batch(spots.table.remove_columns("image")[[row]])[0]


def test_the_number_travels_with_the_model(folder, tmp_path):
    done = finetune(folder, tmp_path / "run", "towers.second=text", "panel=null", "epochs=1")
    assert done.returncode == 0, done.stderr
    k = json.loads((tmp_path / "run/model/config.json").read_text())["sentence_genes"]
    assert f"sentences of {k} genes" in done.stdout
    assert f"Sentences have {k} genes" in (tmp_path / "run/model/README.md").read_text()


def test_an_encoder_of_images_alone_has_no_text_tower(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "vit"}')
    with pytest.raises(DataError, match="has no text tower; a text tower needs a whole CLIP checkpoint"):
        tokenizer_of(str(tmp_path))


def test_a_tokenizer_without_words_is_refused(tmp_path):
    """A checkpoint that was saved without its tokenizer's files would give all sentences one vector."""
    with pytest.raises(DataError, match="it knows no words; save the base model's tokenizer beside it"):
        tokenizer_of(str(make_tower("clip", tmp_path / "clip")))
