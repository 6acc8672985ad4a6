"""Add a slide of another format to a root: its files, its row of the meta file, its genes."""

import csv
import logging
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from PIL import Image

from stimage.core.access import OPEN
from stimage.core.errors import DataError
from stimage.core.files import locked, replacing, write_text
from stimage.core.storage import normal_root
from stimage.core.tables import Row, csv_text, read_table
from stimage.core.together import finish_placing, place, staged
from stimage.formats.frame import check_frame
from stimage.formats.imported import ImportedSlide
from stimage.formats.large.file_counts import count_blocks
from stimage.formats.source_scale import USER
from stimage.formats.stored.image import StoredImage
from stimage.genes.odd_names import names_of_other_species
from stimage.genes.vocabulary import GENES_FILE, add_genes
from stimage.slides.catalog import PUBLISHED, TECHS
from stimage.slides.counts.by_rows import are_by_rows
from stimage.slides.counts.converting import WRITERS
from stimage.slides.counts.count_file import SPARSE, SUFFIXES, index_rows, read_names
from stimage.slides.counts.rows import CountRows
from stimage.slides.counts.wide_csv import make_unique
from stimage.slides.hest.folder import read_samples
from stimage.slides.images.reader import open_image
from stimage.slides.images.readers.pixel_size import contradiction
from stimage.slides.images.readers.remedies import by_us, not_supported
from stimage.slides.meta_file import META_COLUMNS, META_FILE, MetaRow, find_meta
from stimage.slides.names import check_name, fold_name
from stimage.slides.slide_files import REQUIRED_FILES, slide_files

SAME_SCALE = 0.05  # by which scales may differ: Space Ranger's is measured on spots
log = logging.getLogger(__name__)


def write_slide(
    found: ImportedSlide, root: Path, row: MetaRow, counts_as: str = "h5", trust_coordinates: bool = False
) -> None:
    """Add a slide to a root: its files and ``row`` of the meta file, all of them, or none if something fails.

    An image alone gets no count file, and ``gene_num`` 0. A slide of the same name is replaced. The technology is the
    one of ``found``; ``row`` need not repeat it. Several processes may add slides at the same time. If there are
    several meta files, the one that is read is written. Genes that the root's ``genes.parquet`` lacks are added at its
    end.

    Parameters
    ----------
    counts_as
        "h5": the source's own HDF5 file of exactly these counts, or HDF5 as 10x Genomics writes it. "csv": the wide
        CSV.
    trust_coordinates
        Skip the check that the spots lie on the image's tissue.

    Raises
    ------
    DataError
        Before anything is written, if the slide can't be used as it is, the root's meta file or ``genes.parquet`` can't
        be read, or the name is taken.
    ValueError
        If ``row`` has another technology than ``found``, or there is no such technology or form of counts.
    """
    _check_asked(found, root, row, counts_as)
    copied = found.counts_file if counts_as == "h5" and _has_these_counts(found) else None
    ids = found.barcodes if copied else _ids(found, row.slide)  # a file that is copied calls its spots so
    counts = "" if found.image_alone else f"{row.slide}_count{copied.suffix.lower() if copied else f'.{counts_as}'}"
    row = replace(row, tech=found.tech, spot_num=str(len(ids)), gene_num=str(len(found.genes)))
    found = _with_image_scale(found)
    if found.um_per_px:
        row = replace(row, um_per_px=f"{found.um_per_px:.8g}", um_per_px_source=found.um_per_px_source)
    check_frame(found, trust_coordinates)
    finish_placing(root)
    _check_name_is_free(root, row)
    _meta_of(root, row)
    with staged(root) as stage:
        _write_files(found, stage, row, ids)
        if counts:
            target = stage / row.tech / "gene_exp" / counts
            target.parent.mkdir(parents=True)
            if copied:
                shutil.copyfile(copied, target)
            else:
                WRITERS[counts_as](target, found.genes, _named(count_blocks(found.counts), ids))
        with locked(root):  # now that other slides may have come
            finish_placing(root)
            there = _check_name_is_free(root, row)
            _stage_genes(found, stage, root)
            meta, columns, others = _meta_of(root, row)
            cells = ([one.get(column, "") for column in columns] for one in [*others, asdict(row)])
            write_text(stage / meta, csv_text([columns, *cells], csv.QUOTE_ALL))
            gone = [f"{row.tech}/gene_exp/{name}" for name in there - {counts}]
            place(stage, root, gone + _labels_of_before(found, root, row, bool(there)))
    kinds = (names_of_other_species(names, row.species) for names in (found.gene_ids, found.genes))
    if other := next(filter(None, kinds), None):
        log.warning("%s: %s; %s", row.slide, other, other.remedy)
    if found.left_out:
        log.warning("%s: left out: %s", row.slide, ", ".join(f"{n:,} {what}" for what, n in found.left_out.items()))


def _with_image_scale(found: ImportedSlide) -> ImportedSlide:
    """Take the scale that the image's file says, where the source says none; tell where two that say one disagree."""
    if not isinstance(found.image, Path):
        return found
    image = open_image(str(found.image))
    if not image.alone:
        raise not_supported(
            str(found.image), "an image of several files, where a root has one", by_us(str(found.image))
        )
    if (what := contradiction(image.pixel_sizes)) and found.um_per_px_source != USER:
        log.warning("%s: %s; pass um_per_px= (--um-per-px) if the first is wrong", found.image, what)
    if not image.um_per_px:
        return found
    said = image.pixel_sizes[0].source
    if not found.um_per_px:
        return replace(found, um_per_px=image.um_per_px, um_per_px_source=f"image file ({said})")
    if abs(image.um_per_px / found.um_per_px - 1) > SAME_SCALE:
        log.warning(
            "%s: %s says %.4g µm per pixel, but %s %.4g, which is taken; pass um_per_px= (--um-per-px) if it is wrong",
            found.image, said, image.um_per_px, found.um_per_px_source, found.um_per_px,
        )  # fmt: skip
    return found


def _check_asked(found: ImportedSlide, root: Path, row: MetaRow, counts_as: str) -> None:
    """Refuse what can't be asked for."""
    if counts_as not in WRITERS:
        raise ValueError(f"counts_as={counts_as!r}: pass one of {', '.join(WRITERS)}")
    check_name(row.slide, "slide= (--slide)")
    if found.tech not in TECHS:
        raise ValueError(f"tech={found.tech!r}: pass one of {', '.join(TECHS)}")
    if row.tech not in ("", found.tech):
        raise ValueError(f"tech={row.tech!r}: the slide is of {found.tech}; leave tech out of its row")
    if (root / PUBLISHED).exists():
        raise DataError(
            f"{root}: is a published folder; add the slide to the root that it was made from, or to another root"
        )
    if read_samples(normal_root(root), OPEN):
        raise DataError(f"{root}: is a folder of HEST's; add the slide to another root")


def _ids(found: ImportedSlide, slide: str) -> list[str]:
    """Return the spots' ids: barcodes with the slide's name in front, unless they have it."""
    named = all(spot.startswith(f"{slide}_") for spot in found.barcodes)
    return found.barcodes if named else [f"{slide}_{spot}" for spot in found.barcodes]


def _write_files(found: ImportedSlide, root: Path, row: MetaRow, ids: list[str]) -> None:
    """Write coordinates, image and labels, but not counts."""
    folder, slide = root / row.tech, row.slide
    if found.labels:
        labels = ((spot, found.labels[code]) for spot, code in zip(ids, found.barcodes) if code in found.labels)
        write_text(root / f"annotation/{slide}_anno.csv", csv_text([("", "V2"), *labels]))
    places = zip(ids, found.y.tolist(), found.x.tolist(), [found.r] * len(ids))
    write_text(folder / f"coord/{slide}_coord.csv", csv_text([("", "yaxis", "xaxis", "r"), *places]))
    with replacing(folder / f"image/{slide}.png") as unfinished:
        if isinstance(found.image, np.ndarray):
            Image.fromarray(found.image).save(unfinished)
        elif isinstance(found.image, StoredImage):
            found.image.save(unfinished)
        else:
            shutil.copyfile(found.image, unfinished)


def _stage_genes(found: ImportedSlide, stage: Path, root: Path) -> None:
    """Stage a ``genes.parquet`` that has this slide's genes, too, if the root has one that lacks some."""
    if (root / GENES_FILE).exists():
        shutil.copyfile(root / GENES_FILE, stage / GENES_FILE)
        _, added = add_genes(stage / GENES_FILE, make_unique(found.genes))
        if not added:
            (stage / GENES_FILE).unlink()


def _named(blocks: Iterable[CountRows], ids: list[str]) -> Iterator[CountRows]:
    """Yield blocks of rows with their ids."""
    at = 0
    for rows in blocks:
        yield replace(rows, ids=ids[at : at + len(rows)])
        at += len(rows)


def _has_these_counts(found: ImportedSlide) -> bool:
    """Return if the source has a file that is read as a root's counts, and has these spots and genes, and no others."""
    path = str(found.counts_file or "")
    try:
        return (
            path.lower().endswith(SPARSE)
            and are_by_rows(path)
            and read_names(path) == found.genes
            and index_rows(path).ids.to_pylist() == found.barcodes
        )
    except DataError:  # it is of an older form, which the importer alone reads
        return False


def _labels_of_before(found: ImportedSlide, root: Path, row: MetaRow, had_counts: bool) -> list[str]:
    """Return the file of labels, if it is of other spots, as an image alone gets counts or loses them."""
    labels, coord = f"annotation/{row.slide}_anno.csv", root / row.tech / f"coord/{row.slide}_coord.csv"
    if found.labels or had_counts != found.image_alone or not (coord.exists() and (root / labels).exists()):
        return []
    log.warning("%s: the labels of the slide that was there are removed, since it had other spots", row.slide)
    return [labels]


def _check_name_is_free(root: Path, row: MetaRow) -> set[str]:
    """Return the names of the slide's count files that are there, in whatever form.

    Refuse the name of a slide of another technology, spelling or type of image: with both, no root can be read.
    """
    forms = {f"{row.slide}{end}" for end in SUFFIXES}
    ours, there = forms | {f"{row.slide}_coord.csv", f"{row.slide}.png"}, set()
    for tech in TECHS:
        files = slide_files(normal_root(root), tech).get(fold_name(row.slide), {})
        for path in (Path(files[part]["url"]) for part in REQUIRED_FILES if part in files):
            if tech != row.tech or path.name not in ours:
                raise DataError(f"{path}: is of a slide of this name already; remove its files, or choose another name")
            there |= forms & {path.name}
    return there


def _meta_of(root: Path, row: MetaRow) -> tuple[str, list[str], list[Row]]:
    """Return the meta file that is read, below the root, the columns it is to have, and its rows of other slides."""
    if not (newest := find_meta(normal_root(root))):
        there = {name for tech in TECHS for name in slide_files(normal_root(root), tech)}
        if there - {fold_name(row.slide)}:
            raise DataError(
                f"{root}/meta/{META_FILE}: is missing, though there are slides; make it with stimage make-meta first"
            )
        return f"meta/{META_FILE}", list(META_COLUMNS), []
    columns, rows = read_table(root / newest[0], ["slide"])
    others = [one for one in rows if fold_name(one["slide"]) != fold_name(row.slide)]
    return newest[0], list(dict.fromkeys([*columns, *META_COLUMNS])), others
