"""Two towers to be trained together: any image encoder with genes, or a whole CLIP with text."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import CLIPConfig, CLIPModel, CLIPVisionConfig, PreTrainedConfig, PreTrainedModel

from stimage.core.errors import DataError
from stimage.towers.image_towers import ImageTower, load_tower, train_what_counts
from stimage.towers.joint.configuration_spot_clip import CLIP, LOGIT_SCALE, SpotClipConfig
from stimage.towers.joint.gene_towers import make_gene_tower
from stimage.towers.joint.modeling_spot_clip import SpotClipModel
from stimage.towers.options import TowerOptions
from stimage.towers.presets import checkpoint_of, find_preset
from stimage.towers.reading import NO_TEXT, read_config, read_processor, read_weights
from stimage.towers.tuning.layers import image_encoder_of

FIXED = ("BatchNorm", "Dropout", "DropPath")  # in the names of layers of torch, timm and transformers
SCALARS = ("logit_scale", "logit_bias")
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
        """Switch to training, except for dropout and BatchNorm of the image tower, which stay as in inference.

        With them, a spot's embedding would depend on the other spots in its chunk or process, and differ each time.
        """
        super().train(mode)
        encoder = image_encoder_of(self.model)
        for part in encoder.modules() if encoder else ():
            if any(word in type(part).__name__ for word in FIXED):
                part.eval()
        return self

    @property
    def image_size(self) -> int | None:
        """Side of the image tower's images in pixels; None without an image tower."""
        config: Any = self.model.config
        return config.image_size if isinstance(config, SpotClipConfig) else config.vision_config.image_size

    def forward(
        self, images: torch.Tensor | None = None, image_vectors: torch.Tensor | None = None, **other: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        """Embed images and their partners.

        Parameters
        ----------
        images
            Patches (uint8, n x height x width x 3).
        image_vectors
            In their place, the vectors that the image encoder made of them (n x width).
        other
            Inputs of the other tower, by their names in the model's forward.

        Returns
        -------
        tuple of torch.Tensor
            Both embeddings (n x d, of unit length), the logit scale, and the logit bias if the model has one.
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
    """Return the weights of a model from those of its `TwoTowers`, as `save_pretrained` takes them."""
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
    options: TowerOptions | None = None,
) -> TwoTowers:
    """Return an image encoder beside a new gene tower.

    Parameters
    ----------
    checkpoint
        The encoder, as `load_tower` takes it. A `SpotClipModel` checkpoint keeps its gene tower; its panel must be the
        same.
    genes, kind, latent_dim
        Names of the genes, the gene tower (of `GENE_TOWERS`), and width of the joint space. For "set" and "vectors"
        without genes, a new gene tower is made anew once more is known; see `renew_gene_tower`.
    pretrained
        Whether to load the weights. If False, only the configuration is read, and the weights are random.
    scalars
        First values of a new model's logit scale and bias (None for no bias), and whether a model that is tuned further
        has a bias. Without it, they are CLIP's.
    vector_head
        For "vectors": "linear" or "mlp".
    options
        Values of the encoder that differ from those of its preset or its checkpoint.

    Raises
    ------
    DataError
        If the encoder can't be loaded, or can't be tuned; or the checkpoint has another panel or gene tower.
    """
    said = None if find_preset(checkpoint) or ":" in checkpoint else read_config(checkpoint)
    if said and said.get("model_type") == SpotClipConfig.model_type:
        if options and options != TowerOptions(trust_remote_code=options.trust_remote_code):
            raise DataError(f"{checkpoint}: is tuned further as it is; leave out towers.pooling, size, mean, std and "
                            "model_args")  # fmt: skip
        return _continued(checkpoint, SpotClipConfig.from_dict(said), genes, kind, latent_dim, pretrained, scalars)
    tower = load_tower(checkpoint, options=_known(checkpoint, said, options), trainable=True, pretrained=pretrained)
    if tower.said is None:
        raise DataError(f"{checkpoint}: can't be tuned, as its code is not of transformers or timm; embed the images "
                        "by it, and pass the embeddings as data.image_vectors")  # fmt: skip
    config = SpotClipConfig(**_described(tower), genes=list(genes or ()), gene_tower=kind, latent_dim=latent_dim,
                            vector_width=1, vector_head=vector_head)  # fmt: skip
    config.logit_scale_init_value, config.logit_bias_init_value = scalars or CLIP_SCALARS
    return TwoTowers(SpotClipModel(config, tower.model), (tower.mean / 255).tolist(), (tower.std / 255).tolist())


def _described(tower: ImageTower) -> dict[str, Any]:
    """Return what a joint model's configuration says of an image tower."""
    found: dict[str, Any] = {"image_encoder": dict(tower.said or {}), "image_width": tower.width}
    if found["image_encoder"]["library"] == CLIP:
        vision: Any = tower.model.config
        found |= {"vision_config": vision.to_diff_dict(), "projection_dim": vision.projection_dim}
    return found


def _known(checkpoint: str, said: Mapping[str, Any] | None, options: TowerOptions | None) -> TowerOptions:
    """Return the options, with CLIP's colours and the configuration's size for a CLIP without image processor."""
    options = options or TowerOptions()
    kinds = {"clip": "vision_config", "clip_vision_model": None}
    if not said or said.get("model_type") not in kinds or _has_processor(checkpoint):
        return options
    vision = said.get(kinds[said["model_type"]] or "", said)
    size = CLIPVisionConfig(**vision).image_size
    return options.over(TowerOptions(size=size, mean=CLIP_MEAN, std=CLIP_STD))


def _continued(
    checkpoint: str,
    config: SpotClipConfig,
    genes: Sequence[str] | None,
    kind: str,
    latent_dim: int,
    pretrained: bool,
    scalars: tuple[float, float | None] | None,
) -> TwoTowers:
    """Return a joint model to be trained further; its configuration alone, with random weights, if not pretrained."""
    if genes is not None and list(config.genes) != list(genes):
        raise DataError(f"{checkpoint}: was trained on another panel ({len(config.genes)} genes, not these "
                        f"{len(genes)}); pass its panel, or the checkpoint that it was tuned from")  # fmt: skip
    if (config.gene_tower, config.latent_dim) != (kind, latent_dim):
        raise DataError(f"{checkpoint}: has towers.second={config.gene_tower} and towers.latent_dim="
                        f"{config.latent_dim}, not {kind} and {latent_dim}; pass its own, or the checkpoint that "
                        "it was tuned from")  # fmt: skip
    config.logit_bias_init_value = (scalars or CLIP_SCALARS)[1]
    model, missing = read_weights(SpotClipModel, checkpoint, config=config) if pretrained else (
        SpotClipModel(config).eval(), ())  # fmt: skip
    if lost := sorted(name for name in missing if not name.startswith(SCALARS)):
        raise DataError(f"{checkpoint}: lacks {len(lost)} weights, such as {lost[0]}; they would be random")
    if (size := config.image_size) and (encoder := image_encoder_of(model)) is not None:
        pixels = torch.zeros(1, 3, size, size)
        train_what_counts(encoder, lambda: model.encode(pixels))
    return TwoTowers(model, *_pixel_mean_and_std(checkpoint), tuned=pretrained)


def renew_gene_tower(towers: TwoTowers, **known: Any) -> None:
    """Make the gene tower of a new model again, once more of its configuration is known.

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
    """Return a head on vectors of images beside a new gene tower, without image encoder.

    Parameters
    ----------
    made, width
        The maker of the vectors (`SpotClipConfig.image_vectors`), and their length.
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
    checkpoint = checkpoint_of(checkpoint)
    config = _config(checkpoint)
    if not pretrained:
        return TwoTowers(CLIPModel(config), *_pixel_mean_and_std(checkpoint))
    model, missing = read_weights(CLIPModel, checkpoint)
    if missing:
        raise DataError(f"{checkpoint}: is no whole CLIP checkpoint: it lacks {sorted(missing)[0]}")
    return TwoTowers(model, *_pixel_mean_and_std(checkpoint))


def _config(checkpoint: str) -> PreTrainedConfig:
    """Read a checkpoint's configuration; raises `DataError` if there is none, or it is no whole CLIP."""
    said = read_config(checkpoint)
    if said.get("model_type") != "clip":
        raise DataError(f"{checkpoint}: {NO_TEXT}")
    return CLIPConfig.from_dict(said)


def _has_processor(checkpoint: str) -> bool:
    return not Path(checkpoint).is_dir() or Path(checkpoint, "preprocessor_config.json").exists()


def _pixel_mean_and_std(checkpoint: str) -> tuple[Sequence[float], Sequence[float]]:
    """Return how a checkpoint's image processor normalises colours; CLIP's way where it has none."""
    if not _has_processor(checkpoint):
        return CLIP_MEAN, CLIP_STD
    processor = read_processor(checkpoint)
    return processor.image_mean, processor.image_std
