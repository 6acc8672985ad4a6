"""The code on the card of a model without image encoder runs as it stands."""

import pytest

from stimage.towers.saving import save_towers
from stimage.towers.two_towers import head_towers, model_state
from stimage.training.results import _loading

SAID = {
    "linear": {"normalise": "median-log1p", "median_total": 9.0, "mean": [1.0, 2.0, 3.0]},
    "vectors": {"vector_width": 1},
}


@pytest.mark.parametrize("tower", SAID)
def test_of_heads_over_vectors(tower, tmp_path):
    towers = head_towers({"model": "x@1"}, 5, ["A", "B", "C"] if tower == "linear" else None, tower, 8)
    inputs = {"tower": tower, "genes": list(towers.model.config.genes), **SAID[tower]}
    save_towers(towers, model_state(towers.state_dict()), tmp_path / "model", inputs)
    exec(_loading(towers.model.config, str(tmp_path / "model")), shown := {})
    assert type(shown["processor"]).__name__ == "SpotGenesProcessor"
    assert shown["found"].image_embeds.shape == shown["found"].gene_embeds.shape == (1, 8)
