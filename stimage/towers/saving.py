"""Save two towers: a model that transformers loads without this project, and its image tower for its own library."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from stimage.core.results import as_json
from stimage.towers.joint.configuration_spot_clip import SpotClipConfig
from stimage.towers.joint.image_encoders import BY_PATCHES
from stimage.towers.joint.modeling_spot_clip import SpotClipModel
from stimage.towers.joint.processing_spot_clip import SpotClipProcessor, SpotGenesProcessor
from stimage.towers.two_towers import TwoTowers

IMAGE_TOWER = "image_tower"
INSIDE = "image_encoder."
NO_JSON = ("_layer",)  # ends of arguments that are classes, which a configuration of timm can't have

SpotClipConfig.register_for_auto_class()  # a saved model has its code beside it
SpotClipModel.register_for_auto_class("AutoModel")
SpotClipProcessor.register_for_auto_class()
SpotGenesProcessor.register_for_auto_class()


def save_towers(
    towers: TwoTowers, weights: Mapping[str, torch.Tensor], folder: Path, gene_inputs: dict[str, Any] | None = None
) -> None:
    """Save towers into a folder.

    `transformers.AutoModel` loads the model, and one of genes if ``trust_remote_code`` is allowed. An image encoder
    that is not CLIP's is also in the folder ``image_tower``, in the form of its own library; transformers finds CLIP's
    weights in the model itself. Encoders of timm with ``features_only`` are not, since timm loads only whole networks.

    Parameters
    ----------
    weights
        Weights of the model, as from `model_state`.
    gene_inputs
        Arguments of `SpotGenes`, the way from counts to the gene tower's inputs: `transformers.AutoProcessor` then
        loads the maker of the model's inputs. None for a model without gene tower.
    """
    model: Any = towers.model
    model.save_pretrained(folder, state_dict=dict(weights))
    if not (size := towers.image_size):
        if gene_inputs:
            SpotGenesProcessor(gene_inputs, model.config.image_width).save_pretrained(folder)
        return
    mean, std = (towers.mean / 255).tolist(), (towers.std / 255).tolist()
    square = {"height": size, "width": size}
    processor = CLIPImageProcessorPil(
        size={"shortest_edge": size}, crop_size=square, image_mean=mean, image_std=std)  # fmt: skip
    processor.save_pretrained(folder)
    if gene_inputs:
        SpotClipProcessor(processor, gene_inputs, model.config.image_width).save_pretrained(folder)
    library = getattr(model.config, "library", None)
    own = {name.removeprefix(INSIDE): value for name, value in weights.items() if name.startswith(INSIDE)}
    if library == "transformers":
        model.image_encoder.save_pretrained(folder / IMAGE_TOWER, state_dict=own)
        if (said := model.image_encoder.config).model_type == BY_PATCHES:
            processor = _of_patches(said.patch_size, size, mean, std)
        processor.save_pretrained(folder / IMAGE_TOWER)
    elif library == "timm" and not model.config.image_encoder["config"]["model_args"].get("features_only"):
        _save_timm(model.config.image_encoder, own, mean, std, folder / IMAGE_TOWER)


def _of_patches(side: int, size: int, mean: list[float], std: list[float]) -> Any:
    """Return the image processor that SigLIP 2's own library has for it, of images of this size."""
    from transformers.models.siglip2.image_processing_pil_siglip2 import Siglip2ImageProcessorPil

    most = (size // side) ** 2
    return Siglip2ImageProcessorPil(patch_size=side, max_num_patches=most, image_mean=mean, image_std=std, resample=3)


def _save_timm(
    said: Mapping[str, Any], weights: Mapping[str, torch.Tensor], mean: list[float], std: list[float], folder: Path
) -> None:
    """Save a model as timm's repositories on the Hub have it: ``timm.create_model("local-dir:FOLDER")`` loads it.

    Classes of layers can't stand there, and are passed as arguments; ``image_encoder`` of the model's config.json has
    their names.
    """
    folder.mkdir()
    save_file({name: value.contiguous() for name, value in weights.items()}, folder / "model.safetensors",
              metadata={"format": "pt"})  # fmt: skip
    config = dict(said["config"])
    config["pretrained_cfg"] = {**config["pretrained_cfg"], "mean": mean, "std": std}
    given = config["model_args"]
    config["model_args"] = {key: value for key, value in given.items() if not key.endswith(NO_JSON)}
    (folder / "config.json").write_text(as_json(config), encoding="utf-8")
