"""The model of the data set's authors: CLIP's vision tower and a gene tower that meet in one small space."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import (
    AutoConfig,
    AutoModel,
    CLIPVisionConfig,
    CLIPVisionModel,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers import initialization as init
from transformers.utils import ModelOutput

GENE_TOWERS = ("linear", "mlp")
LOGIT_SCALE = 2.6592  # ln(1 / 0.07), as CLIP begins


class SpotClipConfig(PreTrainedConfig):
    """What a `SpotClipModel` is made of.

    Parameters
    ----------
    vision_config
        Of the vision tower, as in any CLIP checkpoint.
    projection_dim
        Width of the vision tower's own projection, as in the checkpoint.
    genes
        Names of the panel's genes, in the order of ``expression``.
    gene_tower
        "linear", the original's one layer, or "mlp", with a hidden layer of ``hidden_dim``.
    latent_dim
        Width of the space in which images and genes meet; the original's 32.
    logit_bias_init_value
        Where the bias of the logits begins; None has none. SigLIP's loss needs one.
    """

    model_type = "spot_clip"
    sub_configs = {"vision_config": CLIPVisionConfig}  # noqa: RUF012

    vision_config: dict | CLIPVisionConfig | None = None
    projection_dim: int = 512
    genes: list[str] | tuple[str, ...] = ()
    gene_tower: str = "linear"
    hidden_dim: int = 512
    latent_dim: int = 32
    logit_scale_init_value: float = LOGIT_SCALE
    logit_bias_init_value: float | None = None
    initializer_range: float = 0.02

    def __post_init__(self, **kwargs: Any) -> None:
        vision = self.vision_config
        if not isinstance(vision, CLIPVisionConfig):
            vision = CLIPVisionConfig(**(vision or {}))
        vision.projection_dim = self.projection_dim  # where CLIPVisionModelWithProjection looks for it
        self.vision_config = vision
        if self.gene_tower not in GENE_TOWERS:
            raise ValueError(f"gene_tower={self.gene_tower!r}: pass one of {GENE_TOWERS}")
        super().__post_init__(**kwargs)


@dataclass
class SpotClipOutput(ModelOutput):
    """``image_embeds`` and ``gene_embeds`` (n x latent_dim, of unit length), and the learned ``logit_scale``."""

    image_embeds: torch.FloatTensor | None = None
    gene_embeds: torch.FloatTensor | None = None
    logit_scale: torch.FloatTensor | None = None


class Head(nn.Linear):
    """A linear layer that is initialised by Xavier's rule, whatever of the model a checkpoint has."""


class SpotClipModel(PreTrainedModel):
    """Images and gene expression of spots in one space (Chen et al., NeurIPS 2024 Datasets and Benchmarks).

    The vision tower's parts are called as in transformers, so `CLIPVisionModelWithProjection.from_pretrained` loads it
    from a saved model of this kind.
    """

    config_class = SpotClipConfig
    base_model_prefix = "spot_clip"
    main_input_name = "pixel_values"
    supports_gradient_checkpointing = True
    _keys_to_ignore_on_load_unexpected = (r"^text_model\.", r"^text_projection\.")

    def __init__(self, config: SpotClipConfig):
        super().__init__(config)
        vision: Any = config.vision_config
        self.vision_model = CLIPVisionModel._from_config(vision)
        self.visual_projection = nn.Linear(vision.hidden_size, config.projection_dim, bias=False)
        self.image_head = Head(config.projection_dim, config.latent_dim)
        genes, hidden, latent = len(config.genes), config.hidden_dim, config.latent_dim
        layers = [Head(genes, hidden), nn.GELU(), Head(hidden, latent)]
        self.gene_tower = nn.Sequential(*(layers if config.gene_tower == "mlp" else [Head(genes, latent)]))
        self.logit_scale = nn.Parameter(torch.tensor(config.logit_scale_init_value))
        bias = config.logit_bias_init_value
        self.logit_bias = None if bias is None else nn.Parameter(torch.tensor(bias))
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, Head):
            init.xavier_uniform_(module.weight)
            init.zeros_(module.bias)
        elif isinstance(module, SpotClipModel):
            init.constant_(module.logit_scale, self.config.logit_scale_init_value)
            if module.logit_bias is not None:
                init.constant_(module.logit_bias, self.config.logit_bias_init_value)

    def get_image_features(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """Embed images (n x 3 x height x width, normalised) in the common space: n x latent_dim."""
        return self.image_head(self.visual_projection(self.vision_model(pixel_values).pooler_output))

    def get_gene_features(self, expression: torch.Tensor) -> torch.Tensor:
        """Embed expression (n x genes) in the common space: n x latent_dim."""
        return self.gene_tower(expression)

    def forward(self, pixel_values: torch.Tensor, expression: torch.Tensor, **kwargs: object) -> SpotClipOutput:
        """Embed n spots' images and expression."""
        return SpotClipOutput(
            nn.functional.normalize(self.get_image_features(pixel_values), dim=-1),
            nn.functional.normalize(self.get_gene_features(expression), dim=-1),
            self.logit_scale,
        )


AutoConfig.register(SpotClipConfig.model_type, SpotClipConfig)
AutoModel.register(SpotClipConfig, SpotClipModel)
