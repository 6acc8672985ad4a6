"""Two towers to be trained together, out of any CLIP-family checkpoint: images with genes, or images with text."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import CLIPConfig, CLIPModel, CLIPVisionConfig, PreTrainedConfig, PreTrainedModel

from stimage.core.errors import DataError
from stimage.towers.joint.configuration_spot_clip import LOGIT_SCALE, SpotClipConfig
from stimage.towers.joint.gene_towers import make_gene_tower
from stimage.towers.joint.modeling_spot_clip import SpotClipModel
from stimage.towers.reading import read_config, read_processor, read_weights
from stimage.towers.tuning.layers import image_encoder_of

FAMILY = {config.model_type: config for config in (CLIPConfig, CLIPVisionConfig, SpotClipConfig)}
SCALARS = ("logit_scale", "logit_bias")
BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
CLIP_SCALARS = (LOGIT_SCALE, None)  # where they begin
CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


class TwoTowers(nn.Module):
    """A model that takes uint8 patches and gives embeddings of unit length and the logit scale.

    Attributes
    ----------
    model
        `SpotClipModel`, or transformers' `CLIPModel`, which is then trained with sentences. Its logit scale, and bias,
        are vectors of one here, since FSDP shards no scalars; `model_state` has them as the model's own class does.
    tuned
        Whether the gene tower was trained before: it keeps its genes and its statistics.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, model: PreTrainedModel, mean: Sequence[float], std: Sequence[float], tuned: bool = False):
        super().__init__()
        self.model, self.tuned = model, tuned
        for name in SCALARS:
            if getattr(model, name, None) is not None:
                setattr(model, name, nn.Parameter(getattr(model, name).detach().reshape(1)))
        self.register_buffer("mean", 255 * torch.tensor(mean), persistent=False)
        self.register_buffer("std", 255 * torch.tensor(std), persistent=False)

    def train(self, mode: bool = True) -> "TwoTowers":
        """Switch to training, but for BatchNorm of the image tower, which keeps its checkpoint's means and variances.

        Else a spot's embedding would depend on which others a chunk or a process has.
        """
        super().train(mode)
        encoder = image_encoder_of(self.model)
        for part in encoder.modules() if encoder else ():
            if isinstance(part, BATCH_NORMS):
                part.eval()
        return self

    @property
    def image_size(self) -> int | None:
        """Pixels along a side that the image tower takes; None without one."""
        config: Any = self.model.config
        return config.image_size if isinstance(config, SpotClipConfig) else config.vision_config.image_size

    def forward(
        self, images: torch.Tensor | None = None, image_vectors: torch.Tensor | None = None, **other: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        """Embed images and what goes with them.

        Parameters
        ----------
        images
            Patches (uint8, n x height x width x 3).
        image_vectors
            Instead, the vectors that the image encoder made of them (n x width).
        other
            What the other tower takes, by its name in the model's forward.

        Returns
        -------
        tuple of torch.Tensor
            Both embeddings (n x d, of unit length), the logit scale, and the logit bias where the model has one.
        """
        if images is not None:
            other["pixel_values"] = ((images.float() - self.mean) / self.std).permute(0, 3, 1, 2)
        if image_vectors is not None:
            other["image_vectors"] = image_vectors
        output = self.model(**other)
        others = output.gene_embeds if isinstance(self.model, SpotClipModel) else output.text_embeds
        scalars = [getattr(self.model, name, None) for name in SCALARS]
        return output.image_embeds, others, *(scalar for scalar in scalars if scalar is not None)


def model_state(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the weights of the model out of those of its `TwoTowers`, as `save_pretrained` takes them."""
    weights = {
        name.removeprefix("_orig_mod.").removeprefix("model."): value for name, value in state.items()
    }  # compiled
    return weights | {name: weights[name].reshape(()) for name in SCALARS if name in weights}


def gene_towers(
    checkpoint: str,
    genes: Sequence[str] | None,
    kind: str,
    latent_dim: int,
    pretrained: bool = True,
    scalars: tuple[float, float | None] | None = None,
    vector_head: str = "linear",
) -> TwoTowers:
    """Return a checkpoint's vision tower beside a new gene tower, of `GENE_TOWERS`.

    Without ``genes``, of the towers "set" and "vectors", a new gene tower is to be made anew once more is known; see
    `renew_gene_tower`. A `SpotClipModel` checkpoint keeps its gene tower; its panel must be the same. Without
    ``pretrained`` only its configuration is read, and the weights are random. ``scalars`` says where the logit scale
    and bias of a new model begin (no bias: None), and whether one that is tuned further has a bias; without it, they
    are CLIP's.

    Raises
    ------
    DataError
        If the checkpoint can't be read, is not of the CLIP family, lacks a vision tower, or has another panel or gene
        tower.
    """
    config = _config(checkpoint)
    if tuned := isinstance(config, SpotClipConfig):
        if genes is not None and list(config.genes) != list(genes):
            raise DataError(f"{checkpoint}: was trained on another panel ({len(config.genes)} genes, not these "
                            f"{len(genes)}); pass its panel, or the checkpoint that it was tuned from")  # fmt: skip
        if (config.gene_tower, config.latent_dim) != (kind, latent_dim):
            raise DataError(f"{checkpoint}: has towers.second={config.gene_tower} and towers.latent_dim="
                            f"{config.latent_dim}, not {kind} and {latent_dim}; pass its own, or the checkpoint that "
                            "it was tuned from")  # fmt: skip
    else:
        vision = getattr(config, "vision_config", config)
        config = SpotClipConfig(vision_config=vision.to_dict(), projection_dim=config.projection_dim,
                                genes=list(genes or ()), gene_tower=kind, latent_dim=latent_dim, vector_width=1,
                                vector_head=vector_head)  # fmt: skip
        config.logit_scale_init_value = (scalars or CLIP_SCALARS)[0]
    config.logit_bias_init_value = (scalars or CLIP_SCALARS)[1]
    if not pretrained:
        return TwoTowers(SpotClipModel(config), *_pixel_mean_and_std(checkpoint))
    model, missing = read_weights(SpotClipModel, checkpoint, config=config)
    if lost := [name for name in missing if name.startswith(("vision_model.", "visual_projection."))]:
        raise DataError(f"{checkpoint}: has no vision tower with projection: it lacks {sorted(lost)[0]}")
    return TwoTowers(model, *_pixel_mean_and_std(checkpoint), tuned=tuned)


def renew_gene_tower(towers: TwoTowers, **known: Any) -> None:
    """Make the gene tower of a new model anew, now that more of its configuration is known.

    Parameters
    ----------
    known
        Fields of `SpotClipConfig`, such as ``genes``.
    """
    model: Any = towers.model
    for name, value in known.items():
        setattr(model.config, name, value)
    model.gene_tower = make_gene_tower(model.config)
    model.gene_tower.apply(model._init_weights)


def head_towers(
    made: Mapping[str, Any],
    width: int,
    genes: Sequence[str] | None,
    kind: str,
    latent_dim: int,
    scalars: tuple[float, float | None] | None = None,
    vector_head: str = "linear",
) -> TwoTowers:
    """Return a head over vectors of images beside a new gene tower, without image encoder.

    Parameters
    ----------
    made, width
        What made the vectors (`SpotClipConfig.image_vectors`), and their length.
    genes, kind, latent_dim, scalars, vector_head
        As in `gene_towers`.
    """
    config = SpotClipConfig(image_encoder=None, image_width=width, image_vectors=dict(made), genes=list(genes or ()),
                            gene_tower=kind, latent_dim=latent_dim, vector_width=1,
                            vector_head=vector_head)  # fmt: skip
    config.logit_scale_init_value, config.logit_bias_init_value = scalars or CLIP_SCALARS
    return TwoTowers(SpotClipModel(config), CLIP_MEAN, CLIP_STD)


def text_towers(checkpoint: str, pretrained: bool = True) -> TwoTowers:
    """Return a CLIP checkpoint with both its towers, to be trained with sentences; raises as `gene_towers`."""
    config = _config(checkpoint)
    if config.model_type != "clip":
        raise DataError(f"{checkpoint}: has no text tower; a text tower needs a whole CLIP checkpoint")
    if not pretrained:
        return TwoTowers(CLIPModel(config), *_pixel_mean_and_std(checkpoint))
    model, missing = read_weights(CLIPModel, checkpoint)
    if missing:
        raise DataError(f"{checkpoint}: is no whole CLIP checkpoint: it lacks {sorted(missing)[0]}")
    return TwoTowers(model, *_pixel_mean_and_std(checkpoint))


def _config(checkpoint: str) -> PreTrainedConfig:
    """Read a checkpoint's configuration; raises `DataError` if there is none, or it is not of the CLIP family."""
    said = read_config(checkpoint)
    if (kind := said.get("model_type")) not in FAMILY:
        raise DataError(f"{checkpoint}: is a {kind!r} model, not of the CLIP family ({', '.join(FAMILY)})")
    return FAMILY[kind].from_dict(said)


def _pixel_mean_and_std(checkpoint: str) -> tuple[Sequence[float], Sequence[float]]:
    """Return how a checkpoint's image processor normalises colours; CLIP's way where it has none."""
    if Path(checkpoint).is_dir() and not Path(checkpoint, "preprocessor_config.json").exists():
        return CLIP_MEAN, CLIP_STD
    processor = read_processor(checkpoint)
    return processor.image_mean, processor.image_std
