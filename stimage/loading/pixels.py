"""Patches as batches of pixels: resized together as uint8, and augmented in ways that tissue allows."""

from collections.abc import Sequence

import numpy as np
import torch
from torch.nn.functional import interpolate

AT_ONCE = 8  # images: of more, the intermediate rows fall out of the processor's cache
STAIN, SHIFT = 0.15, 0.03  # how much a channel's optical density is scaled and shifted, at most


def resize(images: Sequence[np.ndarray], size: int) -> torch.Tensor:
    """Resize RGB images (uint8, height x width x 3, of any sizes) to ``size`` x ``size``: uint8, n x size x size x 3.

    Bicubic with antialiasing on whole bytes: within one or two grey levels of Pillow, which CLIP's image processor
    uses, and several times as fast, since images of one size are resized together.
    """
    by_size: dict[tuple[int, ...], list[int]] = {}
    for i, image in enumerate(images):
        by_size.setdefault(image.shape, []).append(i)
    parts = [_resize_alike([images[i] for i in places], size) for places in by_size.values()]
    if len(parts) == 1:
        return parts[0]
    order = torch.tensor([i for places in by_size.values() for i in places])
    return torch.cat(parts)[order.argsort()]


def _resize_alike(images: Sequence[np.ndarray], size: int) -> torch.Tensor:
    """Resize images of one size, a few at a time, each time into the same tensor."""
    if images[0].shape[:2] == (size, size):
        return torch.from_numpy(np.stack(images))
    out = torch.empty((len(images), size, size, 3), dtype=torch.uint8)
    for k in range(0, len(images), AT_ONCE):
        pixels = torch.from_numpy(np.stack(images[k : k + AT_ONCE])).permute(0, 3, 1, 2)
        resized = interpolate(pixels, (size, size), mode="bicubic", antialias=True)
        out[k : k + AT_ONCE] = resized.permute(0, 2, 3, 1)
    return out


def augment(images: torch.Tensor, seeds: Sequence[Sequence[int]]) -> torch.Tensor:
    """Turn, mirror and recolour patches (uint8, n x size x size x 3), each by its own seed, the same in every process.

    A patch is laid in one of the eight ways to lay a square, since tissue has no upper side. The optical density of
    each colour is scaled by up to 15 % and shifted by up to 0.03, since stains and scanners differ.
    """
    out = torch.empty_like(images)
    level = np.arange(256, dtype=np.float32)
    density = -np.log((level + 1) / 256)
    for i, seed in enumerate(seeds):
        rng = np.random.default_rng(seed)
        turns, mirrored = int(rng.integers(4)), rng.integers(2)
        scale, shift = rng.uniform(1 - STAIN, 1 + STAIN, (3, 1)), rng.uniform(-SHIFT, SHIFT, (3, 1))
        table = np.clip(256 * np.exp(-(density * scale + shift)) - 1, 0, 255).round().astype(np.uint8)
        pixels = np.rot90(images[i].numpy(), turns)
        pixels = pixels[:, ::-1] if mirrored else pixels
        out[i] = torch.from_numpy(np.stack([table[c][pixels[..., c]] for c in range(3)], -1))
    return out
