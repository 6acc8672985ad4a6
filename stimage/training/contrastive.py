"""The contrastive loss over a global batch, and its gradients, by rank and by chunk.

The loss is a function of embeddings alone, which are small: every rank computes it over the embeddings of all ranks,
and takes the gradient of its own. The towers then get that gradient chunk by chunk, so the memory is a chunk's, and
nothing is differentiated through a collective (gradient caching: Gao et al., RepL4NLP 2021, arXiv 2101.06983). It is
of float32 at least: what processes and chunks differ by is the rounding of the towers' own products.
"""

from collections.abc import Mapping
from contextlib import nullcontext

import torch
from accelerate import Accelerator
from torch import nn

from stimage.training.objectives import PLACES, Objective

CLIP = Objective()


def backward(
    accelerator: Accelerator,
    towers: nn.Module,
    batch: Mapping[str, torch.Tensor],
    chunk: int | None = None,
    objective: Objective = CLIP,
) -> torch.Tensor:
    """Add to the towers' gradients those of the loss over the global batch, and return that loss.

    Parameters
    ----------
    towers
        A `TwoTowers`, as `accelerator.prepare` returned it; it must be deterministic (without dropout) if chunked.
    batch
        This rank's share of the global batch, as many spots on every rank; `PLACES` of it are the objective's alone.
    chunk
        Spots that go through the towers at once; None for all. With several chunks each goes through twice.
    objective
        The loss over the global batch.
    """
    chunks = _cut({name: part for name, part in batch.items() if name not in PLACES}, chunk)
    with nullcontext() if len(chunks) == 1 else torch.no_grad():
        outputs = [towers(**part) for part in chunks]
    images, others = (torch.cat([_exact(output[i].detach()) for output in outputs]) for i in (0, 1))
    scalars, told = [_exact(scalar.detach()) for scalar in outputs[0][2:]], objective.needs(batch)
    loss, gradients, to_scalars = _embedding_gradients(accelerator, images, others, scalars, told, objective)
    size, last = len(outputs[0][0]), len(chunks) - 1
    for k, part in enumerate(chunks):
        with nullcontext() if k == last else accelerator.no_sync(towers):
            output = outputs[0] if last == 0 else towers(**part)
            pieces = [gradient[k * size : (k + 1) * size] for gradient in gradients]
            inner = sum((_exact(value) * piece).sum() for value, piece in zip(output, pieces))
            inner += sum((value * part / len(chunks)).sum() for value, part in zip(output[2:], to_scalars))
            accelerator.backward(inner)
    return loss


def _embedding_gradients(
    accelerator: Accelerator,
    images: torch.Tensor,
    others: torch.Tensor,
    scalars: list[torch.Tensor],
    told: Mapping[str, torch.Tensor],
    objective: Objective,
) -> tuple[torch.Tensor, list[torch.Tensor], list[torch.Tensor]]:
    """Return the global loss, and its gradients by this rank's images and others, and by the scalars.

    The former are times the number of ranks, since gradients of parameters are averaged over ranks afterwards.
    """
    every_image, every_other = (accelerator.gather(part).requires_grad_() for part in (images, others))
    free = [scalar.clone().requires_grad_() for scalar in scalars]
    every_told = {name: accelerator.gather(part) for name, part in told.items()}
    loss = objective(every_image, every_other, free, every_told)
    found = torch.autograd.grad(loss, [every_image, every_other, *free])
    ranks, begin = accelerator.num_processes, accelerator.process_index * len(images)
    return loss.detach(), [part[begin : begin + len(images)] * ranks for part in found[:2]], list(found[2:])


def _exact(value: torch.Tensor) -> torch.Tensor:
    return value.to(torch.promote_types(value.dtype, torch.float32))


def _cut(batch: Mapping[str, torch.Tensor], chunk: int | None) -> list[dict[str, torch.Tensor]]:
    n = len(next(iter(batch.values())))
    chunk = min(chunk or n, n)
    return [{name: part[i : i + chunk] for name, part in batch.items()} for i in range(0, n, chunk)]
