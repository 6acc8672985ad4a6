"""Encoders beside CLIP, tuned through the script: LoRA merged on saving, BatchNorm that keeps its statistics."""

from pathlib import Path

import pytest
import torch
import transformers as hf
from safetensors.torch import load_file

from stimage.towers.joint.modeling_spot_clip import SpotClipModel
from stimage.training.run import make_towers
from stimage.training.settings.reading import read_settings
from tests.evaluation.towers import make_tower
from tests.training.finetuning import finetune

CONVOLUTIONS = ("lora_targets=[convolution]",)
KINDS = {"dinov2": (), "siglip": (), "resnet": CONVOLUTIONS}


def make_encoder(kind: str, folder: Path) -> Path:
    if kind != "resnet":
        return make_tower(kind, folder)
    torch.manual_seed(0)
    sizes = {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "layer_type": "basic"}
    model = hf.ResNetModel(hf.ResNetConfig(**sizes))
    for name, value in model.named_buffers():
        if "running" in name:
            value.uniform_(-0.1, 0.1).add_("var" in name)
    model.save_pretrained(folder)
    square = {"height": 32, "width": 32}
    hf.BitImageProcessor(size={"shortest_edge": 32}, crop_size=square).save_pretrained(folder)
    return folder


def pixels() -> torch.Tensor:
    return torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("kind", KINDS)
def test_lora_of_any_encoder_is_saved_merged(folder, tmp_path, kind):
    encoder = make_encoder(kind, tmp_path / kind)
    said = (f"towers.image={encoder}", "lora_rank=4", "run.epochs=1", "lr=1e-2", *KINDS[kind])
    done = finetune(folder, tmp_path / "run", *said)
    assert done.returncode == 0, done.stderr
    towers = make_towers(read_settings(folder / "settings.yaml", said, str(folder / "root"))).eval()
    begun = towers.model.encode(pixels())
    path = max((tmp_path / "run/checkpoints").glob("step-*")) / "model.safetensors"
    heads = {name: one for name, one in load_file(path).items() if ".gene_tower." not in name}
    assert not towers.load_state_dict(heads, strict=False).unexpected_keys
    adapted, saved = towers.model.encode(pixels()), SpotClipModel.from_pretrained(tmp_path / "run/model")
    assert (adapted - begun).abs().max() > 1e-3
    torch.testing.assert_close(saved.encode(pixels()), adapted, atol=1e-5, rtol=1e-5)
    assert not any("lora" in name or "base_layer" in name for name in saved.state_dict())
    own = hf.AutoModel.from_pretrained(tmp_path / "run/model/image_tower").state_dict()
    merged = saved.image_encoder.state_dict()
    assert own.keys() >= merged.keys() and all(torch.equal(own[name], one) for name, one in merged.items())


@pytest.mark.parametrize("said", [(), ("freeze_layers=1",), ("heads_first=1",)])
def test_batch_norm_keeps_the_checkpoints_statistics(folder, tmp_path, said):
    encoder = make_encoder("resnet", tmp_path / "resnet")
    done = finetune(folder, tmp_path / "run", f"towers.image={encoder}", "keep=9", *said)
    assert done.returncode == 0, done.stderr
    before = load_file(encoder / "model.safetensors")
    after = load_file(tmp_path / "run/model/model.safetensors")
    same = {name for name, one in before.items() if torch.equal(one, after[f"image_encoder.{name}"])}
    counted = {name for name in before if "running_" in name or "num_batches" in name}
    assert counted and counted <= same
    learnt = {name for name in before if name.startswith("encoder.stages.1.")} - counted
    lowest = before.keys() - learnt - counted
    assert not learnt & same
    assert lowest <= same if said == ("freeze_layers=1",) else not lowest & same
    first = load_file(min((tmp_path / "run/checkpoints").iterdir()) / "model.safetensors")
    resting = all(torch.equal(one, first[f"model.image_encoder.{name}"]) for name, one in before.items())
    assert resting == (said == ("heads_first=1",))
