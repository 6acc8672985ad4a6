"""CONCH, whose two versions come with code of their authors: a package, and TITAN's repository on the Hub."""

import torch

from stimage.core.errors import DataError
from stimage.core.extras import needs
from stimage.towers.families.encoder import Encoder
from stimage.towers.options import TowerOptions
from stimage.towers.reading import read_weights, told

CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def conch_encoder(name: str, options: TowerOptions, pretrained: bool = True) -> Encoder:
    """Make CONCH 1 (Lu et al., Nature Medicine 2024) by its package; vectors are those before the projection (512).

    Parameters
    ----------
    name
        ``conch:`` and a repository of the Hub, or a path of ``pytorch_model.bin``.
    """
    _check(name, pretrained)
    package = needs("conch.open_clip_custom")
    where = name.removeprefix("conch:")
    with told(name, "can't be loaded by conch"):
        place = f"hf_hub:{where}" if where.count("/") == 1 and not where.endswith(".bin") else where
        model, _ = package.create_model_from_pretrained("conch_ViT-B-16", place)

    def image(pixels: torch.Tensor, projected: bool) -> torch.Tensor:
        return model.encode_image(pixels, proj_contrast=projected, normalize=False)

    poolings = {"pooler": lambda pixels: image(pixels, False), "projection": lambda pixels: image(pixels, True)}
    return Encoder(model, poolings, options.size or 448, CLIP_MEAN, CLIP_STD)


def conch15_encoder(name: str, options: TowerOptions, pretrained: bool = True) -> Encoder:
    """Make CONCH 1.5 (Ding et al., Nature Medicine 2025) as TITAN's repository gives it: vectors of 768."""
    import transformers

    _check(name, pretrained)
    if not options.trust_remote_code:
        raise DataError(f"{name}: comes with code of its own; read it, then pass trust_remote_code=True "
                        "(--trust-remote-code)")  # fmt: skip
    titan, _ = read_weights(
        transformers.AutoModel, name.removeprefix("titan:"), trust_remote_code=options.trust_remote_code
    )
    with told(name, "gives no CONCH 1.5"):
        model, _ = titan.return_conch()
    return Encoder(model, {"pooler": model}, options.size or 448, IMAGENET_MEAN, IMAGENET_STD)


def _check(name: str, pretrained: bool) -> None:
    if not pretrained:
        raise DataError(f"{name}: comes with its weights alone: leave out pretrained=false")
