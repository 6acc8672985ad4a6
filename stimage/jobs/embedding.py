"""Embed the images of spots by any encoder: into a table, into files, or into an AnnData."""

import os
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from stimage.core.arguments import check_whole, path_of
from stimage.core.errors import DataError
from stimage.core.files import temporary_folder
from stimage.evaluation.joint.encoders import SPACES
from stimage.jobs.roots import Root, open_root
from stimage.jobs.vectors.patches import Asked
from stimage.jobs.vectors.writing import embed_root
from stimage.loading.embeddings import KINDS, read_embeddings
from stimage.slides.images.patches import Patch
from stimage.slides.names import fold_name
from stimage.towers.options import TowerOptions
from stimage.towers.presets import missing, not_cached, presets

if TYPE_CHECKING:
    from anndata import AnnData

DTYPES = ("float32", "bfloat16", "float16")


def list_towers() -> pd.DataFrame:
    """List the image encoders that `embed` knows by a short name.

    Returns
    -------
    pandas.DataFrame
        One row per name. ``loader`` is what is loaded, ``width`` the length of the vectors, ``size`` the side of the
        images in pixels, ``pooling`` the way to one vector, and ``precision`` the type in which its authors run it.
        ``licence`` is that of the weights, and ``gated`` says whether their terms must be accepted on the Hub first.
        ``source`` is the publication. ``missing`` is what to do on this machine before the encoder can be loaded, "" if
        nothing. ``cached`` says whether its configuration and its weights are in the Hugging Face cache, and ``lacks``
        which of them are not there. The Hub is not asked.

    Examples
    --------
    >>> import stimage
    >>> towers = stimage.list_towers()
    >>> int(towers.width["virchow2"]), towers.licence["uni2-h"]
    (2560, 'CC-BY-NC-ND-4.0')
    """
    rows = {
        preset.name: {
            "loader": preset.loader,
            "width": preset.width,
            "size": preset.options.size,
            "pooling": preset.options.pooling,
            "precision": preset.precision,
            "licence": preset.licence,
            "gated": preset.gated,
            "source": preset.source,
            "cached": not not_cached(preset),
            "lacks": not_cached(preset),
            "missing": "; ".join(missing(preset)),
        }
        for preset in presets().values()
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("name")


def embed(
    root: str | Path | Root,
    model: str | Path,
    out: str | Path | None = None,
    *,
    space: str = "tower",
    of: str = "images",
    gene_table: str | Path | None = None,
    encoder: str | Path | None = None,
    patch: Patch | Mapping | str | None = None,
    upsample: bool = False,
    pyramid: bool = False,
    batch_size: int = 64,
    workers: int = 0,
    dtype: str = "float32",
    pooling: str | None = None,
    size: int | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    model_args: Mapping[str, Any] | None = None,
    trust_remote_code: bool = False,
    into: "AnnData | None" = None,
    key: str = "X_embedding",
    progress: bool = False,
) -> pd.DataFrame:
    """Embed the images of spots by an image encoder, or their images, genes or text in a tuned model's joint space.

    Each patch is resized to the encoder's input size without cropping (bicubic). On several GPUs, put the same call,
    with ``out``, into a script that ``accelerate launch`` starts.

    Parameters
    ----------
    root
        A folder laid out as the data set, a published folder, whose patches are fixed, the URL of one, or a `Root` that
        `open_root` returned.
    model
        A preset such as "uni2-h" (see `list_towers`); the path or Hub name of a transformers checkpoint (CLIP, PLIP,
        SigLIP, DINOv2, or a model from `finetune`); for timm, "timm:NAME", "hf-hub:REPO" or "local-dir:FOLDER". With
        "untrained:" before any of these, the same encoder gets random weights.
    out
        A folder to write one Parquet file per slide into (spot_id, slide, embedding). None writes nothing; several
        processes need a folder. Files that match the slide as it is now are kept, so the same call continues after an
        interruption.
    space, of
        The space of the vectors. "tower" is the image encoder's own. "joint" is the space that a model from `finetune`
        has for images and genes, or for images and text; its vectors have unit length. There, ``of`` chooses what is
        embedded: "images"; "genes", with the panel and normalisation of training; or "text", sentences as in training.
    gene_table
        A table of symbols and Ensembl ids, for slides that name genes otherwise than a joint model does. None takes the
        table that the model was trained with.
    encoder
        For a joint model that was trained on image vectors: the path or name of the image encoder that made them, or
        such vectors of the spots, a folder or a file, so that no image is read. None looks for the encoder under the
        name that the model has for it.
    patch, upsample, pyramid
        The size of patches in a root, as `load` takes them. None takes the patch that a model from `finetune` was
        trained on, and the original's square of 2r for other models. A patch that differs from the model's is logged.
    batch_size, workers, dtype
        Number of spots that are embedded at once; number of reading processes, where 0 reads in this process; and the
        model's precision, "float32", "bfloat16" or "float16".
    pooling, size, mean, std, model_args
        Values that differ from those of the preset or the checkpoint. ``pooling`` makes one vector of features: "cls",
        "mean", "cls+mean", "pooler" or "projection". ``size`` is the side of the input in pixels. ``mean`` and ``std``
        are those of red, green and blue, from 0 to 1. ``model_args`` are further arguments of the model, such as
        ``{"init_values": 1e-5}``.
    trust_remote_code
        Whether to run the code that comes with the checkpoint.
    into, key
        An AnnData with spots of the root, such as `read_slide` makes. The vectors are also put into ``into.obsm[key]``
        (float32, n x d).
    progress
        True says when each slide is done.

    Returns
    -------
    pandas.DataFrame
        By spot id: ``slide``, then the d numbers of the vector (float32). ``attrs["model"]`` names the model and a
        digest of its weights. `probe`, `predict` and `retrieve` take this table.

    Raises
    ------
    DataError
        If there is no such model, it has no joint space or lacks the tower that is needed, or ``out`` was made with
        other options. If a slide can't be read or lacks genes; all others are then done. If ``into`` has spots that the
        root lacks.
    ValueError
        If an argument has a value that it can't have.

    Examples
    --------
    >>> import stimage
    >>> root = stimage.open_root("sample", "ST")
    >>> table = stimage.embed(root, "clip")
    >>> table.shape, table.slide.nunique()
    ((58, 17), 2)
    >>> adata = stimage.read_slide(root, "Human_Breast_Sample1_ST_A1")
    >>> table = stimage.embed(root, "clip", into=adata)
    >>> adata.obsm["X_embedding"].shape
    (28, 16)
    """
    options = TowerOptions(pooling, size, mean, std, model_args or {}, trust_remote_code)
    _check_asked(model, out, batch_size, workers, dtype, into, key)
    _check_space(space, of)
    root = open_root(root)
    if into is not None:
        root = _of_slides(root, into)
    with temporary_folder() if out is None else nullcontext(str(out)) as folder:
        cut = Asked(patch, upsample, pyramid)
        table, by = (None if path is None else str(path) for path in (gene_table, encoder))
        embed_root(root, str(model), Path(folder), cut, batch_size, workers, dtype, options, progress, space, [of],
                   table, by)  # fmt: skip
        found = read_embeddings(folder)
    table = found.take(np.isin(found.slides, [slide.name for slide in root.slides])).to_frame()
    if into is not None:
        _put(table, into, key, root)
    return table


def _check_asked(
    model: object, out: object, batch_size: object, workers: object, dtype: str, into: object, key: object
) -> None:
    """Refuse arguments of `embed` that have a value which they can't have."""
    if not isinstance(model, str | os.PathLike):
        raise ValueError(f"model: a {type(model).__name__} is no encoder; pass a path or a name, such as run.model")
    check_whole(batch_size, "batch_size", 1)
    check_whole(workers, "workers")
    if dtype not in DTYPES:
        raise ValueError(f"dtype={dtype!r}: pass one of {DTYPES}")
    if out is not None:
        path_of(out, "out")
    if out is None and int(os.environ.get("WORLD_SIZE", 1)) > 1:
        raise ValueError("out= is not given: of several processes each embeds its share; pass a folder for them all")
    if not isinstance(key, str) or not key:
        raise ValueError(f"key={key!r}: pass a name, such as X_embedding")
    if into is not None and not hasattr(into, "obsm"):
        raise ValueError(f"into=: a {type(into).__name__} is no AnnData; pass what read_slide returns")


def _check_space(space: str, of: str) -> None:
    for name, value, known in (("space", space, SPACES), ("of", of, KINDS)):
        if value not in known:
            raise ValueError(f"{name}={value!r}: pass one of {', '.join(known)}")


def _put(table: pd.DataFrame, into: "AnnData", key: str, root: Root) -> None:
    """Put the vectors of an AnnData's spots into its ``obsm``."""
    if lost := into.obs_names.difference(table.index).tolist():
        raise DataError(f"{root.location}: lacks {len(lost)} of the AnnData's {into.n_obs} spots, such as "
                        f"{lost[0]!r}; pass the root that they are of")  # fmt: skip
    into.obsm[key] = table.loc[into.obs_names].drop(columns="slide").to_numpy(np.float32)


def _of_slides(root: Root, adata: "AnnData") -> Root:
    """Return the root with those slides alone that the AnnData's spots are of."""
    named = set(adata.obs["slide"]) if "slide" in adata.obs else set(adata.uns.get("spatial", {}))
    if not named:
        raise DataError("the AnnData: does not say which slides its spots are of, in obs['slide'] or uns['spatial']")
    meant = {fold_name(slide.name) for slide in root.slides}
    if lost := sorted(name for name in map(str, named) if fold_name(name) not in meant):
        raise DataError(f"{root.location}: slide {lost[0]!r}, whose spots the AnnData has, is not among those that are "
                        "meant; open the root with it")  # fmt: skip
    filters = replace(root.selection.filters, slides=sorted(map(str, named)))
    return replace(root, selection=replace(root.selection, filters=filters))
