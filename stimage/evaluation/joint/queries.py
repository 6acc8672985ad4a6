"""What is searched for in a joint space: expression, an image, or a spot; each becomes a vector."""

import difflib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from stimage.core.errors import DataError, one_line
from stimage.genes.names import is_ensembl
from stimage.loading.embeddings import Embeddings
from stimage.loading.pixels import resize
from stimage.towers.joint_space import JointSpace
from stimage.towers.reading import tokenizer_of

WRITE = "write genes with counts, such as 'ERBB2=5 KRT8=3'"


def parse_genes(query: str | Mapping[str, float]) -> dict[str, float]:
    """Return gene → count of a query such as "ERBB2=5 KRT8=3", or of a dict.

    Raises
    ------
    ValueError
        If it names no gene, or one twice, or a count is missing, negative or no number.
    """
    if isinstance(query, str):
        pairs = [word.partition("=")[::2] for word in query.replace(",", " ").split()]
    elif isinstance(query, Mapping):
        pairs = [(str(gene), count) for gene, count in query.items()]
    else:
        raise ValueError(f"query={query!r}: {WRITE}")
    found: dict[str, float] = {}
    for gene, text in pairs:
        try:
            count = float(text)
        except (TypeError, ValueError):
            raise ValueError(f"query: {gene or text!r} has no count ({text!r}); {WRITE}") from None
        if not gene or gene in found:
            raise ValueError(f"query: {f'names {gene} twice' if gene else f'{text!r} is of no gene'}; {WRITE}")
        if not math.isfinite(count) or count < 0:
            raise ValueError(f"query: {gene}={text}: a count is a number of 0 or more")
        found[gene] = count
    if not found:
        raise ValueError(f"query: is empty; {WRITE}")
    if not any(found.values()):
        raise ValueError("query: all counts are 0; name a gene that is expressed")
    return found


def genes_vector(space: JointSpace, query: Mapping[str, float], normalise: str) -> np.ndarray:
    """Return where expression is in a joint space (d).

    A gene tower over a panel takes log(1 + count) of a named gene, as of a spot of the slide's median total, and for
    genes that are not named the mean of the training spots, which its standardised inputs make neutral. A tower of sets
    is told that only the named genes were measured; it knows them by their shares of the spot's total, so it takes two
    or more. A text tower reads the genes' names, the highest count first.

    Parameters
    ----------
    query
        Gene → count, at least one above 0.
    normalise
        How counts became expression in training.

    Raises
    ------
    DataError
        If the model does not know a gene, naming similar ones, or has no mean of the training spots.
    """
    if space.other == "text":
        sentence = " ".join(sorted((gene for gene in query if query[gene]), key=lambda gene: -query[gene]))
        tokens = tokenizer_of(space.checkpoint)(sentence, padding="max_length", truncation=True, return_tensors="pt")
        return space.encode_other(**{name: tokens[name] for name in ("input_ids", "attention_mask")}).numpy()[0]
    tower, config = space.model.gene_tower, space.model.config
    at = _places(space.name, list(config.genes), query)
    counts = torch.tensor([query[gene] for gene in query], dtype=torch.float32)
    if "gene_ids" in tower.inputs:
        return space.encode_other(**_as_set(space.name, at, counts, len(config.genes))).numpy()[0]
    if "expression" not in tower.inputs:
        raise DataError(f"{space.name}: has a tower of another model's vectors, which genes alone do not make; search "
                        "by image= (--image) or spot= (--spot)")  # fmt: skip
    mean = getattr(tower, "mean", None)
    if mean is None or not mean.any():
        raise DataError(f"{space.name}: was trained on inputs that are not standardised, so what is usual of the genes "
                        "that are not named is not known; train it with towers.standardise")  # fmt: skip
    expression = mean.detach().float().cpu().clone()
    expression[at] = counts if normalise == "counts" else counts.log1p()
    return space.encode_other(expression=expression[None]).numpy()[0]


def _as_set(name: str, at: list[int], counts: torch.Tensor, genes: int) -> dict[str, torch.Tensor]:
    if len(at) < 2:
        raise DataError(f"{name}: has a tower of sets, which compares the counts of genes with one another; name two "
                        "genes or more")  # fmt: skip
    measured = torch.zeros((1, genes), dtype=torch.bool)
    measured[0, at] = True
    return {"gene_ids": torch.tensor([at]), "counts": counts[None], "measured": measured}


def _places(name: str, genes: list[str], query: Mapping[str, float]) -> list[int]:
    """Return where the genes of a query are among a model's; versions of Ensembl ids are overlooked."""
    known = {_bare(gene): k for k, gene in enumerate(genes)}
    folded = {gene.casefold(): gene for gene in genes}
    for gene in query:
        if _bare(gene) not in known:
            near = [folded[one] for one in difflib.get_close_matches(gene.casefold(), folded, 3, 0.5)]
            hint = f"did you mean {', '.join(near)}?" if near else f"it knows such as {', '.join(genes[:5])}"
            raise DataError(f"{name}: does not know gene {gene!r}, of its {len(genes):,}; {hint}")
    return [known[_bare(gene)] for gene in query]


def _bare(gene: str) -> str:
    return gene.partition(".")[0] if is_ensembl(gene) else gene


def read_image(path: Path) -> np.ndarray:
    """Read an image file as RGB pixels (uint8, height x width x 3); what is transparent becomes white.

    Raises
    ------
    DataError
        If there is no such file, or it is no image.
    """
    try:
        with Image.open(path) as image:
            clear = image.convert("RGBA") if image.has_transparency_data else image.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:  # the third of a broken PNG
        raise DataError(f"image= (--image): {path} is no image of a patch that can be read ({one_line(error)}); pass a "
                        "PNG, JPEG or TIFF file of a square of tissue") from None  # fmt: skip
    if clear.mode == "RGBA":
        clear = Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear).convert("RGB")
    return np.asarray(clear)


def image_vector(space: JointSpace, pixels: np.ndarray) -> np.ndarray:
    """Return where an image (uint8, height x width x 3) is in a joint space (d); it is resized whole."""
    return space.encode_images(resize([pixels], space.image_size)).numpy()[0]


def place_of_spot(embeddings: Embeddings, spot: str) -> int:
    """Return the row of a spot's embedding; `DataError` if there is none, with similar names."""
    ids: Any = embeddings.spot_ids
    k = int(np.searchsorted(ids, spot))
    if k < len(ids) and ids[k] == spot:
        return k
    near = difflib.get_close_matches(spot, ids[max(0, k - 500) : k + 500].tolist(), 3, 0.5)
    hint = f"did you mean {', '.join(near)}?" if near else f"there are such as {ids[0]}"
    raise DataError(f"spot= (--spot): no spot that is searched is called {spot!r}; {hint}")
