"""Vision towers of some thousand random weights, saved as checkpoints."""

from pathlib import Path

import pytest
import torch

SIZE = 32
VISION = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2,
          "image_size": SIZE, "patch_size": 8}  # fmt: skip
TEXT = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 50,
        "max_position_embeddings": 8, "bos_token_id": 0, "eos_token_id": 1}  # fmt: skip
KINDS = ("clip", "clip_vision", "siglip", "dinov2")


def make_tower(kind: str, folder: Path) -> Path:
    """Save a tower of a kind, and its image processor."""
    import transformers as hf

    torch.manual_seed(0)
    square = {"height": SIZE, "width": SIZE}
    mean_and_std = {"image_mean": [0.4, 0.5, 0.6], "image_std": [0.2, 0.3, 0.4]}
    processor = hf.CLIPImageProcessor(size={"shortest_edge": SIZE}, crop_size=square, **mean_and_std)
    if kind == "clip":
        config = hf.CLIPConfig(vision_config=VISION, text_config=TEXT, projection_dim=16)
        model = hf.CLIPModel(config)
    elif kind == "clip_vision":
        model = hf.CLIPVisionModelWithProjection(hf.CLIPVisionConfig(**VISION, projection_dim=16))
    elif kind == "siglip":
        model = hf.SiglipModel(hf.SiglipConfig(vision_config=VISION, text_config=TEXT))
        processor = hf.SiglipImageProcessor(size=square, **mean_and_std)
    elif kind == "dinov2":
        model = hf.Dinov2Model(hf.Dinov2Config(hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
                                               image_size=56, patch_size=8))  # fmt: skip
        processor = hf.BitImageProcessor(size={"shortest_edge": 40}, crop_size=square, **mean_and_std)
    else:
        small = {name: TEXT[name] for name in ("hidden_size", "intermediate_size", "num_hidden_layers", "vocab_size")}
        model = hf.BertModel(hf.BertConfig(**small, num_attention_heads=2))
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def towers(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("towers")
    return {kind: make_tower(kind, folder / kind) for kind in (*KINDS, "bert")}
