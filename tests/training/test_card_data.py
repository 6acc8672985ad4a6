"""The head of a model's card: valid for the Hub, and silent of what it does not know."""

import pytest
import yaml
from huggingface_hub import ModelCard

from stimage import finetune
from stimage.core.errors import DataError
from stimage.training.card_data import card_data, check_licence, plain_name

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


def test_a_licence_is_told_before_a_model_is_uploaded(tmp_path):
    for encoder in ("uni", "MahmoodLab/UNI", "hf-hub:MahmoodLab/UNI"):
        said = check_licence(encoder, public=False)
        assert said and "CC-BY-NC-ND-4.0: what is tuned" in said and "https://huggingface.co/MahmoodLab/UNI" in said
        assert head(encoder)["license"] == "cc-by-nc-nd-4.0"
        with pytest.raises(DataError, match=r"may not be shared .* Leave out public= \(--public\)"):
            check_licence(encoder, public=True)
    assert "Owkin non-commercial" in str(check_licence("phikon", public=True))
    assert check_licence("clip", public=True) is None is check_licence(str(tmp_path), public=True)
    with pytest.raises(DataError, match="uni has the licence CC-BY-NC-ND"):  # before anything is trained or uploaded
        finetune(tmp_path, tmp_path / "run", push_to_hub="me/uni", public=True, image="uni", **{"towers.second": "set"})
    assert not (tmp_path / "run").exists()


def test_a_card_has_no_path_of_this_machine(tmp_path):
    assert plain_name(str(tmp_path / "gone")) == "gone" and plain_name(str(tmp_path)) == tmp_path.name
    assert plain_name("uni") == "uni" and plain_name("openai/clip-vit-base-patch32") == "openai/clip-vit-base-patch32"


def test_what_is_not_known_is_left_out(tmp_path):
    found = head(str(tmp_path), str(tmp_path), ())
    assert not {"base_model", "license", "datasets", "model-index"} & found.keys()
    assert (
        "license" not in head("someone/encoder") and head("hf-hub:someone/encoder")["base_model"] == "someone/encoder"
    )
