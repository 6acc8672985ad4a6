"""The configuration of a joint model of images and genes, as its config.json has it."""

from typing import Any

from transformers import CLIPVisionConfig, PreTrainedConfig

from .gene_towers import GENE_TOWERS

CLIP = "clip"
LOGIT_SCALE = 2.6592  # ln(1 / 0.07), as CLIP begins


class SpotClipConfig(PreTrainedConfig):
    """The parts of a `SpotClipModel`.

    Parameters
    ----------
    vision_config
        The configuration of CLIP's vision tower, as in any CLIP checkpoint; None for another image encoder.
    projection_dim
        Width of CLIP's own projection, as in the checkpoint.
    image_encoder
        The image encoder: its ``library`` ("clip", "transformers" or "timm"), ``pooling`` and ``size`` of the images in
        pixels. For "transformers" and "timm" also ``config``, the content of the library's own config.json, and
        ``model_args``; "clip" is described by ``vision_config``. "clip" alone is CLIP's vision tower with its
        projection, as in older models. None is a model without encoder, on vectors of images (``image_vectors``).
    image_width
        Length of the encoder's vectors; None for CLIP's projection.
    image_vectors
        For a model without encoder, the maker of its vectors: ``model``, the encoder's name with a digest of its
        weights, and as far as known ``pooling``, ``size``, ``patch`` and more.
    genes
        Names of the genes that the gene tower knows, in the order of its inputs.
    gene_tower
        One of `GENE_TOWERS`. "linear", the original's one layer, and "mlp", with a hidden layer of ``hidden_dim``, take
        a panel's expression. "set" takes all genes of a spot, "vectors" the vectors of another model.
    gene_width, gene_heads
        For "set": the width of a gene's embedding, and the number of heads that share it.
    vector_width, vector_head
        For "vectors": their length, and "linear" or "mlp".
    latent_dim
        Width of the joint space of images and genes; the original's is 32.
    logit_bias_init_value
        First value of the bias of the logits, which SigLIP's loss needs; None makes no bias.
    """

    model_type = "spot_clip"
    sub_configs = {"vision_config": CLIPVisionConfig}  # noqa: RUF012

    vision_config: dict | CLIPVisionConfig | None = None
    projection_dim: int = 512
    image_encoder: dict | str | None = CLIP
    image_width: int | None = None
    image_vectors: dict | None = None
    genes: list[str] | tuple[str, ...] = ()
    gene_tower: str = "linear"
    hidden_dim: int = 512
    gene_width: int = 128
    gene_heads: int = 8
    vector_width: int = 0
    vector_head: str = "linear"
    latent_dim: int = 32
    logit_scale_init_value: float = LOGIT_SCALE
    logit_bias_init_value: float | None = None
    initializer_range: float = 0.02

    def __post_init__(self, **kwargs: Any) -> None:
        if self.image_encoder == CLIP:
            self.image_encoder = {"library": CLIP, "pooling": "projection"}
        if self.library == CLIP:
            self._describe_clip()
        else:
            self.vision_config = None
        if not self.image_width:
            raise ValueError("image_width: is not given; pass the length of the image encoder's vectors")
        if self.gene_tower not in GENE_TOWERS:
            raise ValueError(f"gene_tower={self.gene_tower!r}: pass one of {', '.join(GENE_TOWERS)}")
        super().__post_init__(**kwargs)

    @property
    def library(self) -> str | None:
        """The library of the image encoder: "clip", "transformers" or "timm"; None without encoder."""
        return self.image_encoder["library"] if isinstance(self.image_encoder, dict) else None

    @property
    def image_size(self) -> int | None:
        """Pixels along a side of the images; None without encoder."""
        return self.image_encoder["size"] if isinstance(self.image_encoder, dict) else None

    def _describe_clip(self) -> None:
        vision = self.vision_config
        if not isinstance(vision, CLIPVisionConfig):
            vision = CLIPVisionConfig(**(vision or {}))
        vision.projection_dim = self.projection_dim  # where CLIPVisionModelWithProjection looks for it
        self.vision_config = vision
        said: Any = self.image_encoder
        self.image_encoder = {"size": vision.image_size, **said}
        projected = said["pooling"] == "projection"
        self.image_width = self.image_width or (self.projection_dim if projected else vision.hidden_size)
