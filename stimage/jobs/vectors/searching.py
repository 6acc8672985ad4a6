"""Search spots by expression, by an image or by a spot, in the joint space of a model's images and genes."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from stimage.core.arguments import check_whole, path_of
from stimage.core.errors import DataError
from stimage.core.files import temporary_folder, write_text
from stimage.evaluation.joint.counted import settings_of
from stimage.evaluation.joint.nearest import nearest_spots, patches_of
from stimage.evaluation.joint.queries import (
    genes_vector,
    image_vector,
    parse_genes,
    place_of_spot,
    read_image,
    words_of_reading,
)
from stimage.figures.sheets import Cell, search_sheet
from stimage.figures.style import save
from stimage.jobs.roots import Root, open_root
from stimage.jobs.vectors.patches import Asked, cut_as_trained
from stimage.jobs.vectors.writing import embed_root
from stimage.loading.embeddings import Embeddings, read_embeddings
from stimage.loading.provenance import read_provenance
from stimage.loading.sources import Source
from stimage.slides.images.patches import Patch
from stimage.towers.joint_space import JointSpace, load_joint

FOUND = 12
log = logging.getLogger(__name__)


def search(
    model: str | Path,
    spots: str | Path | Root,
    query: str | Mapping[str, float] | None = None,
    *,
    image: str | Path | None = None,
    spot: str | None = None,
    embeddings: str | Path | pd.DataFrame | Embeddings | None = None,
    encoder: str | Path | None = None,
    n: int = FOUND,
    per_slide: int | None = None,
    patch: Patch | Mapping | str | None = None,
    upsample: bool = False,
    pyramid: bool = False,
    batch_size: int = 64,
    workers: int = 0,
    out: str | Path | None = None,
) -> pd.DataFrame:
    """Search spots whose images are nearest to expression, to an image or to a spot, in a model's joint space.

    Genes that a query does not name have their usual values in the training spots. A count in a query means the count
    in a spot with its slide's median total; for a model with the gene tower set, in a spot with ten thousand counts. A
    text tower reads the names of the genes, the highest count first.

    Parameters
    ----------
    model
        A model from `finetune`, as a folder or a name on the Hub, or a whole CLIP.
    spots
        The spots to search: a folder laid out as the data set, a published folder, the URL of one, or a `Root` that
        `open_root` returned.
    query
        Genes with counts, such as "ERBB2=5 KRT8=3" or ``{"ERBB2": 5, "KRT8": 3}``, under the gene names of the model.
    image, spot
        In place of a query: an image file of a patch, cut as the model's patches are; or the id of one of the spots,
        which is then left out of the result.
    embeddings
        Vectors of the spots' images in the model's joint space, as `embed` makes them. None makes them now.
    n, per_slide
        Number of spots to find, and largest number of spots from one slide.
    encoder, patch, upsample, pyramid, batch_size, workers
        Encoder, patches and reading, as `embed` takes them; the drawn patches follow them, too.
    out
        A folder to write found.csv and found.png into, a contact sheet of the patches. None writes nothing.

    Returns
    -------
    pandas.DataFrame
        By spot id, the nearest first: ``slide`` and ``similarity``, the cosine. Spots whose similarities agree to six
        digits are in the order of their ids. ``attrs["read"]`` has, for each gene of a query, how the model reads its
        count: "high" or "low" beside the usual count in the training spots. A count below the usual one asks for spots
        that are low in the gene, which is logged.

    Raises
    ------
    DataError
        If the model has no joint space or does not know a gene, there is no such spot or image, or the embeddings
        belong to another model.
    ValueError
        If not exactly one of ``query``, ``image`` and ``spot`` is given, or the query has no gene.

    Examples
    --------
    >>> import stimage
    >>> root = stimage.open_root("sample", "ST")
    >>> table = stimage.embed(root, "clip", space="joint")
    >>> found = stimage.search("clip", root, spot=table.index[0], embeddings=table, n=3)
    >>> found.columns.tolist(), len(found), table.index[0] in found.index
    (['slide', 'similarity'], 3, False)
    """
    check_whole(n, "n", 1)
    if per_slide is not None:
        check_whole(per_slide, "per_slide", 1)
    asked, folder = _read_query(query, image, spot), None if out is None else path_of(out, "out")
    by, cut = None if encoder is None else str(encoder), Asked(patch, upsample, pyramid)
    root, space = open_root(spots), load_joint(str(model), encoder=by, with_images=image is not None)
    (vector, read), own = _vector_of(asked, space, root), None  # before spots are embedded: it may be refused
    every = _embedded(root, space, embeddings, cut, batch_size, workers, by)
    if vector is None:
        own = place_of_spot(every, asked.words)
        vector = every.vectors[own]
    found = nearest_spots(every, vector, n, per_slide, own)
    found.attrs["read"] = read
    if folder is not None:
        source = cut_as_trained(root.source, cut, space.name, read_provenance(space.name))
        _write(folder, source, root, asked, every, own, found)
    return found


@dataclass(frozen=True, eq=False)
class Query:
    """The query in words, with its counts by gene or its pixels; a spot has neither."""

    words: str
    genes: dict[str, float] | None = None
    pixels: np.ndarray | None = None


def _read_query(query: str | Mapping[str, float] | None, image: str | Path | None, spot: str | None) -> Query:
    wanted = {"query": query, "image= (--image)": image, "spot= (--spot)": spot}
    if len(given := [name for name, value in wanted.items() if value is not None]) != 1:
        raise ValueError(f"{' and '.join(given) or 'nothing to search for'}: pass one of {', '.join(wanted)}")
    if query is not None:
        genes = parse_genes(query)
        return Query(" ".join(f"{gene}={count:g}" for gene, count in genes.items()), genes)
    if image is not None:
        path = path_of(image, "image")
        return Query(path.name, pixels=read_image(path))
    if not isinstance(spot, str) or not spot:
        raise ValueError(f"spot= (--spot): {spot!r} is no id of a spot; pass one, as the embeddings have it")
    return Query(spot)


def _vector_of(asked: Query, space: JointSpace, root: Root) -> tuple[np.ndarray | None, dict[str, str]]:
    """Return where a query is in the joint space, None of a spot, which the embeddings have; and how it is read."""
    if asked.genes is None:
        return None if asked.pixels is None else image_vector(space, asked.pixels), {}
    normalise = settings_of(space, root.location).data.normalise
    vector = genes_vector(space, asked.genes, normalise)
    read = words_of_reading(space, asked.genes, normalise)
    for gene, words in read.items():
        if words.startswith("low") and (count := asked.genes[gene]):
            log.warning("query: %s=%g is read as %s: spots low in it are searched for", gene, count, words)
    return vector, read


def _embedded(
    root: Root,
    space: JointSpace,
    embeddings: str | Path | pd.DataFrame | Embeddings | None,
    cut: Asked,
    batch_size: int,
    workers: int,
    encoder: str | None,
) -> Embeddings:
    """Return the images of a root's spots in a joint space, as they are given, or made now."""
    names = [slide.name for slide in root.slides]
    if embeddings is None:
        with temporary_folder() as folder:
            embed_root(root, space.name, Path(folder), cut, batch_size, workers, space="joint", encoder=encoder)
            return read_embeddings(folder)
    if isinstance(embeddings, str | Path) and (both := Path(embeddings) / "images").is_dir():
        embeddings = both
    read = read_embeddings(embeddings, names)
    mine = f"@{space.digest[:8]}+joint-images"
    if read.vectors.shape[1] != space.width or not (read.model or mine).endswith(mine):
        raise DataError(f"embeddings= (--embeddings): are of {read.model or 'another model'}, {read.vectors.shape[1]} "
                        f"numbers a spot, not of images in the joint space of {space.name}; leave them out, or make "
                        "them by embed with space='joint' (--space joint)")  # fmt: skip
    if not (there := np.isin(read.slides, names)).any():
        raise DataError(f"embeddings= (--embeddings): have no spot of the {len(names)} slides of {root.location}")
    return read.take(there)


def _write(
    folder: Path, source: Source, root: Root, asked: Query, every: Embeddings, own: int | None, found: pd.DataFrame
) -> None:
    """Write the table and the contact sheet."""
    slides, like = {slide.name: slide for slide in root.slides}, None
    shown = found.reset_index()[["spot_id", "slide", "similarity"]]
    if own is not None:  # the spot that is looked for is drawn, too
        shown = pd.concat([pd.DataFrame({"spot_id": every.spot_ids[[own]], "slide": every.slides[[own]]}), shown])
    patches = patches_of(source, slides, shown.set_index("spot_id"))
    cells = []
    for rank, (row, one) in enumerate(zip(shown.itertuples(), patches), 1 if own is None else 0):
        first = f"{rank}   {row.similarity:.3f}" if rank else "searched for"
        spot = str(row.spot_id).removeprefix(f"{row.slide}_")
        cells.append(Cell(one.pixels, (first, str(row.slide), spot), one.um_per_px))
    if own is not None:
        like, *cells = cells
    elif asked.pixels is not None:
        like = Cell(asked.pixels, ("searched for", asked.words))
    title = f"Nearest to {asked.words}: {len(found):,} of {len(every):,} spots, by cosine similarity"
    ranked = found.reset_index()
    ranked.insert(0, "rank", np.arange(1, len(ranked) + 1))
    write_text(folder / "found.csv", ranked.to_csv(index=False))
    save(search_sheet(title, like, cells), folder / "found", ["png"])
