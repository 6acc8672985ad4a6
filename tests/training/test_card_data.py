"""The head of a model's card: valid for the Hub, and silent of what it does not know."""

import yaml
from huggingface_hub import ModelCard

from stimage.training.card_data import card_data

SCORES = {"loss": 2.5, "pooled_image_to_other_recall@10": 0.25, "probe_f1": None}


def head(encoder: str, source: str = "user/spots", slides=("S1",)) -> dict:
    data = card_data(encoder, source, False, SCORES, [*SCORES, "other"], slides)
    card = ModelCard(f"---\n{data.to_yaml()}\n---\n\ntext")
    assert ModelCard(str(card)).data.to_dict() == data.to_dict()  # as the Hub reads it
    return yaml.safe_load(data.to_yaml())


def test_what_is_known_is_said():
    found = head("uni2-h")
    assert (found["base_model"], found["license"]) == ("MahmoodLab/UNI2-h", "cc-by-nc-nd-4.0")
    assert found["datasets"] == ["user/spots"] and found["pipeline_tag"] == "image-feature-extraction"
    metrics = found["model-index"][0]["results"][0]["metrics"]
    assert [(one["type"], one["value"]) for one in metrics] == [
        ("loss", 2.5), ("pooled_image_to_other_recall@10", 0.25)]  # fmt: skip
    assert "S1" in found["model-index"][0]["results"][0]["dataset"]["name"]
    assert head("phikon")["license_name"] == "Owkin non-commercial"
    assert head("openai/clip-vit-base-patch32")["license"] == "mit"


def test_what_is_not_known_is_left_out(tmp_path):
    found = head(str(tmp_path), str(tmp_path), ())
    assert not {"base_model", "license", "datasets", "model-index"} & found.keys()
    assert (
        "license" not in head("someone/encoder") and head("hf-hub:someone/encoder")["base_model"] == "someone/encoder"
    )
