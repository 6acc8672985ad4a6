"""The model of the data set's authors: an image encoder and a gene tower that meet in one small space."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import AutoConfig, AutoModel, CLIPVisionModel, PreTrainedModel
from transformers import initialization as init
from transformers.utils import ModelOutput

from .configuration_spot_clip import CLIP, SpotClipConfig
from .dense_towers import Head
from .gene_towers import make_gene_tower
from .image_encoders import build_encoder, image_vectors


@dataclass
class SpotClipOutput(ModelOutput):
    """``image_embeds`` and ``gene_embeds`` (n x latent_dim, of unit length), and the learned ``logit_scale``.

    Embeddings of what was not given are None.
    """

    image_embeds: torch.FloatTensor | None = None
    gene_embeds: torch.FloatTensor | None = None
    logit_scale: torch.FloatTensor | None = None


class SpotClipModel(PreTrainedModel):
    """Images and gene expression of spots in one space (Chen et al., NeurIPS 2024 Datasets and Benchmarks).

    The parts of CLIP's vision tower have the names of transformers, so that `CLIPVisionModelWithProjection` loads it
    from a saved model of this kind. Other encoders are ``image_encoder``.

    Parameters
    ----------
    encoder
        The image encoder that ``config`` describes, which is put in as it is. None makes one with random weights.
    """

    config_class = SpotClipConfig
    base_model_prefix = "spot_clip"
    main_input_name = "pixel_values"
    supports_gradient_checkpointing = True
    _keys_to_ignore_on_load_missing = (r"^gene_tower\.(mean|std)$",)  # of before inputs were standardised
    _keys_to_ignore_on_load_unexpected = (r"^text_model\.", r"^text_projection\.")

    def __init__(self, config: SpotClipConfig, encoder: Any = None):
        super().__init__(config)
        vision: Any = config.vision_config
        said: Any = config.image_encoder
        if config.library == CLIP:
            self.vision_model = encoder.vision_model if encoder else CLIPVisionModel._from_config(vision)
            made = nn.Linear(vision.hidden_size, config.projection_dim, bias=False)
            self.visual_projection = encoder.visual_projection if encoder else made
        elif config.library:
            self.image_encoder = encoder or build_encoder(said)
        if encoder or config.library == "timm":  # they have their weights; others get them here
            for module in self.modules():
                module._is_hf_initialized = module is not self
        self.image_head = Head(int(config.image_width or 0), config.latent_dim)
        self.gene_tower: Any = make_gene_tower(config)
        self.logit_scale = nn.Parameter(torch.tensor(config.logit_scale_init_value))
        bias = config.logit_bias_init_value
        self.logit_bias = None if bias is None else nn.Parameter(torch.tensor(bias))
        self._constants = self._made_constants()
        self.post_init()

    @classmethod
    def from_pretrained(cls, *arguments: Any, **options: Any) -> Any:
        """Load a model, as transformers does."""
        loaded = super().from_pretrained(*arguments, **options)
        model = loaded[0] if isinstance(loaded, tuple) else loaded
        for name, value in model._constants.items():  # transformers leaves them empty
            model.get_buffer(name).copy_(value)
        return loaded

    def _made_constants(self) -> dict[str, torch.Tensor]:
        """Return copies of what a timm encoder computes when it is made, and no checkpoint has."""
        if self.config.library != "timm":
            return {}
        saved = self.state_dict().keys()
        return {name: buffer.clone() for name, buffer in self.named_buffers() if name not in saved}

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, Head):
            init.xavier_uniform_(module.weight)
            init.zeros_(module.bias)
        elif module is getattr(self, "gene_tower", None):
            module.begin()
        elif isinstance(module, SpotClipModel):
            init.constant_(module.logit_scale, self.config.logit_scale_init_value)
            if module.logit_bias is not None:
                init.constant_(module.logit_bias, self.config.logit_bias_init_value)

    def get_image_features(
        self, pixel_values: torch.Tensor | None = None, image_vectors: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Embed images in the common space.

        Parameters
        ----------
        pixel_values
            Normalised images (n x 3 x size x size).
        image_vectors
            Instead, the vectors (n x image_width) that the image encoder made of them.

        Returns
        -------
        torch.Tensor
            n x latent_dim, not of unit length.
        """
        return self.image_head(self.encode(pixel_values) if image_vectors is None else image_vectors)

    def encode(self, pixel_values: torch.Tensor | None) -> torch.Tensor:
        """Return the image encoder's vectors (n x image_width) of normalised images (n x 3 x size x size)."""
        said: Any = self.config.image_encoder
        if said is None or pixel_values is None:
            raise ValueError("pass pixel_values" if said else "this model has no image encoder: pass image_vectors")
        encoder = self if said["library"] == CLIP else self.image_encoder
        return image_vectors(encoder, said["library"], said["pooling"], pixel_values)

    def get_gene_features(self, expression: torch.Tensor | None = None, **inputs: torch.Tensor) -> torch.Tensor:
        """Embed genes in the joint space: n x latent_dim, not of unit length.

        Parameters
        ----------
        expression, inputs
            The inputs of the gene tower, by the names in ``gene_tower.inputs``: "linear" and "mlp" take ``expression``
            (n x genes).
        """
        return self.gene_tower(**self._gene_inputs(expression=expression, **inputs))

    def _gene_inputs(self, **inputs: torch.Tensor | None) -> dict[str, torch.Tensor]:
        given = {name: value for name, value in inputs.items() if value is not None}
        if unknown := sorted(given.keys() - set(self.gene_tower.inputs)):
            raise ValueError(f"{unknown[0]}: this model's gene tower takes {', '.join(self.gene_tower.inputs)}")
        return given

    def forward(
        self,
        pixel_values: torch.Tensor | None = None,
        expression: torch.Tensor | None = None,
        image_vectors: torch.Tensor | None = None,
        return_dict: bool | None = None,
        **inputs: torch.Tensor,
    ) -> SpotClipOutput:
        """Embed n spots' images (`get_image_features`), genes (`get_gene_features`), or both."""
        images = genes = None
        if pixel_values is not None or image_vectors is not None:
            images = nn.functional.normalize(self.get_image_features(pixel_values, image_vectors), dim=-1)
        if given := self._gene_inputs(expression=expression, **inputs):
            genes = nn.functional.normalize(self.gene_tower(**given), dim=-1)
        return SpotClipOutput(images, genes, self.logit_scale)


if __package__ == "stimage.towers.joint":  # not of the copy that comes with a model, whose config.json says it
    AutoConfig.register(SpotClipConfig.model_type, SpotClipConfig)
    AutoModel.register(SpotClipConfig, SpotClipModel)
