"""Processors of the joint model: images, and counts as people have them, become what `SpotClipModel` takes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from transformers import AutoProcessor, BatchFeature
from transformers.processing_utils import ProcessorMixin

from .configuration_spot_clip import SpotClipConfig
from .spot_genes import SpotGenes


class SpotGenesProcessor(ProcessorMixin):
    """Makes a model's inputs of counts; of a model without image encoder, which takes vectors of images.

    Parameters
    ----------
    gene_inputs
        What `SpotGenes` is made of: the tower, its genes, and how counts become its inputs.
    image_width
        Length of the vectors of images.
    """

    def __init__(self, gene_inputs: dict[str, Any], image_width: int, **parts: Any):
        super().__init__(**parts)
        self.gene_inputs, self.image_width = gene_inputs, image_width

    @property
    def genes(self) -> list[str]:
        """Names of the genes that the model knows."""
        return list(self.gene_inputs["genes"])

    def __call__(
        self,
        images: Any = None,
        genes: Any = None,
        *,
        gene_names: Sequence[str] | None = None,
        layer: str | None = None,
        median_total: float | None = None,
        vectors: Any = None,
        image_vectors: Any = None,
        return_tensors: str = "pt",
        **options: Any,
    ) -> BatchFeature:
        """Return what ``model(**inputs)`` takes of n spots: of their images, their genes, or both.

        Parameters
        ----------
        images
            Of spots' tissue, as image processors take them; of a model with an image encoder.
        genes
            Raw counts: an AnnData; a dict of gene → count, or a list of them, a spot each; or a matrix (spots x genes)
            with ``gene_names``. Genes are named as ``self.genes`` are, by symbols or Ensembl ids, whose versions do not
            matter; of an AnnData by ``var_names``, or the column of ``var`` that has more of them, as a warning says.
            Counts of genes of one name are added. Genes of a panel that are not there are taken at their mean over the
            training spots, with a warning; at least half must be there. Give all genes that were measured, not only the
            panel's: a spot's total is of all.
        gene_names, layer
            Of a matrix's columns; of an AnnData, the layer with raw counts, if ``X`` is normalised.
        median_total
            The slide's median of spots' totals, by which a panel's counts are scaled. Without it, that of these spots,
            if they are 100 or more: so give a slide as a whole; else that of the training spots.
        vectors
            In place of ``genes``, another model's vectors (n x width), if the gene tower takes them.
        image_vectors
            In place of ``images``, the image encoder's vectors (n x width).
        return_tensors
            "pt" or "np".
        options
            Of the image processor.

        Raises
        ------
        ValueError
            If counts are negative, no numbers or normalised, too few genes are known, as of another species, or
            something does not fit this model.
        """
        made = self._images(images, return_tensors, options)
        rules = SpotGenes(**self.gene_inputs)
        if image_vectors is not None:
            made["image_vectors"] = _vectors("image_vectors", image_vectors, self.image_width)
        if vectors is not None:
            if rules.tower != "vectors":
                raise ValueError("vectors=: the model's gene tower takes counts; pass genes=")
            made["vectors"] = _vectors("vectors", vectors, rules.vector_width)
        if genes is not None:
            made |= rules(genes, gene_names, layer, median_total)
        if not made:
            raise ValueError("pass images=, genes= or both (or vectors of them)")
        if len({len(part) for part in made.values()}) > 1:
            told = ", ".join(f"{name} {len(part)}" for name, part in made.items())
            raise ValueError(f"all must be of as many spots: {told}")
        return BatchFeature(made, tensor_type=return_tensors)

    def _images(self, images: Any, return_tensors: str, options: dict[str, Any]) -> dict[str, Any]:
        if images is not None:
            raise ValueError("images=: the model has no image encoder; pass image_vectors=")
        if options:
            raise TypeError(f"{next(iter(options))}=: is no argument of this processor")
        return {}


class SpotClipProcessor(SpotGenesProcessor):
    """The same of a model with an image encoder, whose images go through ``image_processor``."""

    def __init__(self, image_processor: Any, gene_inputs: dict[str, Any], image_width: int):
        super().__init__(gene_inputs, image_width, image_processor=image_processor)

    def _images(self, images: Any, return_tensors: str, options: dict[str, Any]) -> dict[str, Any]:
        if images is None:
            return super()._images(images, return_tensors, options)
        return dict(self.image_processor(images, return_tensors=return_tensors, **options))


def _vectors(name: str, given: Any, width: int) -> np.ndarray:
    vectors = np.asarray(given, np.float32)
    if vectors.ndim != 2 or vectors.shape[1] != width:
        raise ValueError(f"{name}=: has the shape {vectors.shape}; the model takes n x {width}")
    return vectors


if __package__ == "stimage.towers.joint":  # not of the copy that comes with a model
    AutoProcessor.register(SpotClipConfig, SpotClipProcessor)
