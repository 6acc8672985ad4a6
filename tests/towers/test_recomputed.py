"""Activations that are computed again in the backward pass, by what each family's own library offers."""

import pytest
import torch
from torch import nn

from stimage.core.errors import DataError
from stimage.towers.tuning.layers import image_encoder_of, layers_of, recompute
from stimage.towers.two_towers import TwoTowers, gene_towers
from tests.towers.checkpoints import batch
from tests.towers.families import GENES, write_encoder

TIMM = {"img_size": 32, "patch_size": 8, "embed_dim": 24, "depth": 2, "num_heads": 2}


def times_run(towers: TwoTowers) -> tuple[int, dict[str, torch.Tensor]]:
    """Return how often a step begins to run the first layer of the image tower, and the gradients."""
    runs: list[int] = []
    encoder = image_encoder_of(towers.model)
    layer = encoder.get_submodule(layers_of(encoder)[0])
    norm = next(part for part in layer.modules() if isinstance(part, nn.LayerNorm))
    norm.register_forward_pre_hook(lambda *_: runs.append(1))
    told = batch(2, 3, towers.image_size)
    towers.train()(told["images"], expression=told["expression"])[0][:, 0].sum().backward()
    return len(runs), {name: weight.grad for name, weight in towers.named_parameters() if weight.grad is not None}


def check(name: str) -> None:
    plain, saving = (gene_towers(name, GENES, "linear", 8) for _ in range(2))
    saving.load_state_dict(plain.state_dict())
    recompute(saving.model)
    (once, want), (twice, found) = times_run(plain), times_run(saving)
    assert (once, twice) == (1, 2) and found.keys() == want.keys()
    for key, gradient in want.items():
        torch.testing.assert_close(found[key], gradient, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("kind", ["clip", "siglip", "dinov2", "vit"])
def test_layers_of_transformers_are_run_twice(kind, tmp_path):
    check(str(write_encoder(kind, tmp_path / kind)))


def test_layers_of_timm_are_run_twice(tmp_path):
    timm = pytest.importorskip("timm", reason="make test-timm has timm")
    model = timm.create_model("vit_tiny_patch16_224", **TIMM, num_classes=0)
    timm.models.save_for_hf(model, tmp_path / "vit", model_args=TIMM)
    check(f"local-dir:{tmp_path / 'vit'}")


def test_code_that_can_not_do_so_is_told(tmp_path):
    towers = gene_towers(str(write_encoder("convnext", tmp_path / "convnext")), GENES, "linear", 8)
    with pytest.raises(DataError, match=r"run.gradient_checkpointing: is true, but .* can't do so; leave it out"):
        recompute(towers.model)
