"""Queries in a joint space: expression, an image, or a spot; each becomes a vector."""

import difflib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from stimage.core.errors import DataError, one_line
from stimage.loading.embeddings import Embeddings
from stimage.loading.pixels import resize
from stimage.towers.joint.gene_inputs import bare_name
from stimage.towers.joint_space import JointSpace
from stimage.towers.reading import tokenizer_of

WRITE = "write genes with counts, such as 'ERBB2=5 KRT8=3'"


def parse_genes(query: str | Mapping[str, float]) -> dict[str, float]:
    """Return gene → count from a query such as "ERBB2=5 KRT8=3", or from a dict.

    Raises
    ------
    ValueError
        If it names no gene, or one twice, or a count is missing, negative or not a number.
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
            raise ValueError(f"query: {f'names {gene} twice' if gene else f'{text!r} names no gene'}; {WRITE}")
        if not math.isfinite(count) or count < 0:
            raise ValueError(f"query: {gene}={text}: a count is a number of 0 or more")
        found[gene] = count
    if not found:
        raise ValueError(f"query: is empty; {WRITE}")
    if not any(found.values()):
        raise ValueError("query: all counts are 0; name a gene that is expressed")
    return found


def genes_vector(space: JointSpace, query: Mapping[str, float], normalise: str) -> np.ndarray:
    """Return the vector of expression in a joint space (d).

    Genes that are not named are at the mean of the training spots, which the tower standardises to 0. A named gene is
    at log(1 + count): over a panel, in a spot with its slide's median total; for a tower of sets, in a spot with ten
    thousand counts. A text tower reads the genes' names, the highest count first.

    Parameters
    ----------
    query
        Gene → count, at least one above 0.
    normalise
        The normalisation of counts in training.

    Raises
    ------
    DataError
        If the model does not know a gene, with similar names, or has no mean of the training spots.
    """
    if space.other == "text":
        sentence = " ".join(sorted((gene for gene in query if query[gene]), key=lambda gene: -query[gene]))
        tokens = tokenizer_of(space.checkpoint)(sentence, padding="max_length", truncation=True, return_tensors="pt")
        return space.encode_other(**{name: tokens[name] for name in ("input_ids", "attention_mask")}).numpy()[0]
    tower, config = space.model.gene_tower, space.model.config
    at = _places(space.name, list(config.genes), query)
    counts = torch.tensor([query[gene] for gene in query], dtype=torch.float32)
    if not {"gene_ids", "expression"} & set(tower.inputs):
        raise DataError(
            f"{space.name}: its second tower takes the vectors of another model, which cannot be made from names of "
            "genes; search by image= (--image) or spot= (--spot)"
        )
    mean = tower.mean.detach().clone()
    if not mean.any():
        raise DataError(
            f"{space.name}: was trained with towers.standardise=false, so the usual values of the genes that you do "
            "not name are not known; train a model with towers.standardise=true"
        )
    of_set = "gene_ids" in tower.inputs
    mean[at] = (counts if normalise == "counts" and not of_set else counts.log1p()).to(mean)
    if not of_set:
        return space.encode_other(expression=mean[None]).numpy()[0]
    with torch.inference_mode():
        return torch.nn.functional.normalize(tower.of_levels(mean[None]), dim=1).float().cpu().numpy()[0]


def words_of_reading(space: JointSpace, query: Mapping[str, float], normalise: str) -> dict[str, str]:
    """Return gene → how the model reads its count: "high", "low" or "usual" beside the mean of the training spots.

    The mean is given as a count, on the scale of the query. A text tower reads no counts: there it is the place in the
    sentence. Arguments and errors are those of `genes_vector`.
    """
    if space.other == "text":
        ordered = sorted((gene for gene in query if query[gene]), key=lambda gene: -query[gene])
        places = {gene: f"name {k} of {len(ordered)}" for k, gene in enumerate(ordered, 1)}
        return {gene: places.get(gene, "left out") for gene in query}
    tower, config = space.model.gene_tower, space.model.config
    mean = tower.mean[_places(space.name, list(config.genes), query)].double().cpu().numpy()
    usual = mean if normalise == "counts" and "gene_ids" not in tower.inputs else np.expm1(mean)
    found = {}
    for (gene, count), level in zip(query.items(), usual.tolist()):
        word = "usual" if math.isclose(count, level, rel_tol=0.005) else "high" if count > level else "low"
        found[gene] = f"{word}, usual is {level:.3g}"
    return found


def _places(name: str, genes: list[str], query: Mapping[str, float]) -> list[int]:
    """Return where the genes of a query are among a model's; versions of Ensembl ids are overlooked."""
    known = {bare_name(gene): k for k, gene in enumerate(genes)}
    folded = {gene.casefold(): gene for gene in genes}
    for gene in query:
        if bare_name(gene) not in known:
            near = [folded[one] for one in difflib.get_close_matches(gene.casefold(), folded, 3, 0.5)]
            hint = f"did you mean {', '.join(near)}?" if near else f"it knows such as {', '.join(genes[:5])}"
            raise DataError(f"{name}: does not know gene {gene!r}, of its {len(genes):,}; {hint}")
    return [known[bare_name(gene)] for gene in query]


def read_image(path: Path) -> np.ndarray:
    """Read an image file as RGB pixels (uint8, height x width x 3); transparent pixels become white.

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
    """Return an image's (uint8, height x width x 3) vector in a joint space (d); the image is resized, not cropped."""
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
