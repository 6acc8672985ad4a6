"""Checks of a slide's files, ids, counts and row of the meta file; each takes the evidence and says one thing."""

from collections import Counter
from collections.abc import Callable, Mapping

import numpy as np
import pyarrow.compute as pc

from stimage.collection.checks import geometry as geometry
from stimage.collection.checks.evidence import Counts, Evidence, Picture
from stimage.collection.checks.findings import Finding, Result
from stimage.core.tables import number_of
from stimage.genes.names import is_ensembl
from stimage.genes.odd_names import names_of_other_species, odd_names
from stimage.slides.catalog import Slide
from stimage.slides.coordinates import Coordinates

FEW_COUNTS = {"ST": 50, "Visium": 50, "VisiumHD": 5}  # median of a spot below which a slide has next to no RNA
FEW_SPOTS, ALIKE = 20, 0.01  # spots whose sums of raw counts differ by less, as share of these, are not to be met
MOST_MITOCHONDRIAL = 0.5  # median share above which cells were dying or the library failed
READING = ("files", "ids", "duplicates", "inside", "radius")  # checks whose fail is that the loader refuses the slide
MEND = "mend what the message names, or leave the slide out by exclude= (--exclude)"
FILES = {"coord": "the coord file", "counts": "the count file", "image": "the image"}
PARTS = {"coordinates": FILES["coord"], "scale": FILES["coord"], "counts": FILES["counts"], "picture": FILES["image"],
         "patches": "the coord file and the image", "meta": "a row in the meta file"}  # fmt: skip


def check_files(slide: Slide, faults: Mapping[str, str], broken: str | None) -> Result:
    needed = FILES.keys() - ({"counts"} if slide.image_alone else set())
    missing = [name for file, name in FILES.items() if file in needed and not getattr(slide, file)]
    problems = [f"{what} is missing" for what in missing] + list(dict.fromkeys(faults.values()))
    if broken and not missing:  # such as a row of the meta file that is not there
        problems.append(broken)
    if problems:
        return Result("fail", "; ".join(problems), MEND)
    what = "it is an image alone; coordinates and image" if slide.image_alone else "all"
    return Result("pass", f"{what} are there and can be read")


def check_image(picture: Picture) -> Result:
    info = picture.info
    message = f"{info.type.upper()}, {info.width:,} x {info.height:,} pixels, {info.bands} bands of {info.bits} bits"
    values = {"type": info.type, "width": info.width, "height": info.height, "bands": info.bands, "bits": info.bits}
    if info.bands < 3 or np.ptp(picture.thumbnail.astype(int), axis=2).max() < 8:
        return Result("warn", f"{message}: it has no colour, so it is no H&E image", "look for the H&E image", values)
    if picture.problem:
        return Result("fail", f"{message}: {picture.problem}", "save it as the message says", values)
    if info.bits > 8 or info.bands > 4:
        return Result(
            "warn", f"{message}: it is no ordinary RGB image", "look at a patch: are the colours right?", values
        )
    return Result("pass", message, "", values)


def check_ids(slide: Slide, coordinates: Coordinates, counts: Counts) -> Result:
    coord, rows = coordinates.ids.combine_chunks(), counts.ids
    if slide.coord == slide.counts:  # one file, which may have counts of spots off the tissue, too
        rows = rows.filter(pc.is_in(rows, coord))
    alone = [pc.sum(pc.invert(pc.is_in(one, other))).as_py() or 0 for one, other in ((coord, rows), (rows, coord))]
    values = {"only_in_coord": alone[0], "only_in_counts": alone[1]}
    if any(alone):
        message = f"{alone[0]} spots are only in the coord file, {alone[1]} only in the count file"
        return Result("fail", message, "mend the ids, or pass on_mismatch='drop' (--on-mismatch drop)", values)
    return Result("pass", f"the same {len(coord):,} spots in both", "", values)


def check_annotation(coordinates: Coordinates, labels: Mapping[str, str | None] | None) -> Result:
    if labels is None:
        return Result("pass", "there is none")
    ids = set(coordinates.ids.to_pylist())
    strange, without = len(labels.keys() - ids), sum(not labels.get(spot) for spot in ids)
    values = {"labels": len(set(labels.values()) - {None}), "unknown_spots": strange, "spots_without": without}
    if strange:
        message = f"{strange} of {len(labels)} labels are of spots that the slide does not have"
        return Result("warn", message, "are the labels of another slide?", values)
    if without:
        return Result("warn", f"{without} of {len(ids)} spots have no label", "they get a null annotation", values)
    return Result("pass", f"all spots have one of {values['labels']} labels", "", values)


def check_duplicates(coordinates: Coordinates, counts: Counts) -> Result:
    ids = len(coordinates) - pc.count_distinct(coordinates.ids).as_py()
    rows = len(counts.ids) - pc.count_distinct(counts.ids).as_py()
    places = len(coordinates) - len(np.unique(np.stack([coordinates.x, coordinates.y], 1), axis=0))
    values = {"ids": ids, "rows": rows, "places": places}
    if ids or rows:
        message = f"{ids} ids occur again in the coord file, {rows} in the count file"
        return Result("fail", message, "keep one row of each spot", values)
    if places:
        return Result("warn", f"{places} spots are at the place of another", "are two slides in one file?", values)
    return Result("pass", "no id and no place occurs twice", "", values)


def check_counts(counts: Counts) -> Result:
    values = {"fractional": counts.fractional}
    if counts.fractional:
        message = f"{counts.fractional:,} counts are no whole numbers: they seem to be normalised"
        return Result("fail", message, "get the raw counts", values)
    totals = counts.totals[counts.totals > 0]
    if len(totals) >= FEW_SPOTS and totals.std() < ALIKE * totals.mean():
        message = f"all spots have the same sum, {totals.mean():,.0f}, but for {ALIKE:.0%}: they seem to be normalised"
        return Result("warn", f"{message}, and rounded", "get the raw counts", values)
    return Result("pass", "all are whole numbers of 0 or more", "", values)


def check_empty_spots(counts: Counts) -> Result:
    empty = int((counts.totals == 0).sum())
    if empty:
        message = f"{empty} of {len(counts.totals):,} spots have no count at all"
        return Result("warn", message, "leave them out of training and scores", {"empty": empty})
    return Result("pass", "every spot has counts", "", {"empty": 0})


def check_library(slide: Slide, counts: Counts) -> Result:
    median = float(np.median(counts.totals))
    values = {"median_counts": median, "genes": len(counts.genes)}
    message = f"a spot has {median:,.0f} counts of {len(counts.genes):,} genes (median)"
    if median < FEW_COUNTS[slide.tech]:
        remedy = f"{slide.tech} slides have more than {FEW_COUNTS[slide.tech]}: is it the right file?"
        return Result("warn", message, remedy, values)
    return Result("pass", message, "", values)


def check_mitochondrial(counts: Counts) -> Result:
    filled = counts.totals > 0
    shares = counts.mitochondrial[filled] / counts.totals[filled]
    share = float(np.median(shares)) if len(shares) else 0.0
    message = f"{share:.0%} of a spot's counts are mitochondrial (median)"
    if share > MOST_MITOCHONDRIAL:
        return Result("warn", message, "dying cells or a failed library: look at the study", {"share": share})
    return Result("pass", message, "", {"share": share})


def check_genes(slide: Slide, counts: Counts) -> Result:
    ensembl = sum(map(is_ensembl, counts.genes))
    n = len(counts.genes)
    kind = "Ensembl ids" if ensembl > 0.9 * n else "symbols" if ensembl < 0.1 * n else "mixed"
    odd = {str(some): some.remedy for some in odd_names(counts.genes)}
    if other := names_of_other_species(counts.genes, slide.species):
        odd[str(other)] = other.remedy
    if kind == "mixed":
        odd[f"{ensembl:,} of {n:,} genes are Ensembl ids"] = "map them to one kind of names"
    values = {"kind": kind, "ensembl": ensembl}
    if odd:
        return Result("warn", "; ".join(odd), "; ".join(dict.fromkeys(odd.values())), values)
    return Result("pass", f"{n:,} {kind}", "", values)


def check_meta_row(slide: Slide, counts: Counts, meta: Mapping[str, str]) -> Result:
    """Hold the meta file against the files; what it does not say contradicts nothing."""
    found = {"spot_num": len(counts.ids), "gene_num": len(counts.genes), "tech": slide.tech}
    told = {key: text for key in found if (text := (meta.get(key) or "").strip())}
    wrong = [key for key, text in told.items() if text != str(found[key]) and number_of(text) != found[key]]  # or 53.0
    if wrong:
        message = "; ".join(f"{key} is {told[key]!r}, the files say {str(found[key])!r}" for key in wrong)
        return Result("fail", message, "correct the row, or get the right files")
    return Result("pass", f"{', '.join(told)} are as it says" if told else "it says nothing of spots and genes")


CHECKS: dict[str, tuple[Callable[..., Result], tuple[str, ...]]] = {  # name: the check, and the parts it is given
    "files": (check_files, ("slide", "faults", "broken")),
    "image": (check_image, ("picture",)),
    "ids": (check_ids, ("slide", "coordinates", "counts")),
    "annotation": (check_annotation, ("coordinates", "labels")),
    "duplicates": (check_duplicates, ("coordinates", "counts")),
    "inside": (geometry.check_inside, ("coordinates", "picture")),
    "radius": (geometry.check_radius, ("coordinates",)),
    "lattice": (geometry.check_lattice, ("slide", "scale")),
    "scale": (geometry.check_scale, ("scale",)),
    "resolution": (geometry.check_resolution, ("slide", "coordinates", "scale")),
    "tissue": (geometry.check_tissue, ("coordinates", "picture")),
    "sharpness": (geometry.check_sharpness, ("patches",)),
    "counts": (check_counts, ("counts",)),
    "empty spots": (check_empty_spots, ("counts",)),
    "library": (check_library, ("slide", "counts")),
    "mitochondrial": (check_mitochondrial, ("counts",)),
    "genes": (check_genes, ("slide", "counts")),
    "meta": (check_meta_row, ("slide", "counts", "meta")),
}


def check_slide(e: Evidence) -> list[Finding]:
    """Run all checks on a slide's evidence; a check whose parts are not all there is skipped.

    A slide that the loader refuses fails the check "files", unless another of `READING` says why.
    """
    findings = []
    for name, (check, needs) in CHECKS.items():
        parts = {part: getattr(e, part) for part in needs}
        if missing := dict.fromkeys(PARTS[part] for part, value in parts.items() if part in PARTS and value is None):
            alone = e.slide.image_alone and FILES["counts"] in missing
            message = "an image alone has no counts" if alone else f"needs {' and '.join(missing)}"
            result = Result("skipped", message)
        else:
            result = check(**parts)
        findings.append(Finding(e.slide.name, name, **vars(result)))
    if e.refused and not any(one.status == "fail" and one.check in READING for one in findings):
        findings[0] = Finding(e.slide.name, "files", "fail", e.refused, MEND)
    return findings


def find_twins(digests: dict[str, dict[str, str]]) -> list[Finding]:
    """Find slides that have the same image, the same picture in another file, or the same counts.

    Parameters
    ----------
    digests
        By slide, a digest by what it is of.
    """
    shared = Counter((what, value) for one in digests.values() for what, value in one.items())
    findings = []
    for slide, own in digests.items():
        same = {}
        for what, value in own.items():
            if shared[what, value] > 1:
                others = [name for name, one in digests.items() if name != slide and one.get(what) == value]
                same.setdefault(", ".join(others), []).append(what)
        if same:
            message = "; ".join(f"the same {' and '.join(what)} as {others}" for others, what in same.items())
            findings.append(Finding(slide, "twins", "warn", message, "keep one, or keep them on one side of a split"))
        else:
            findings.append(Finding(slide, "twins", "pass", "no other slide has its image or its counts"))
    return findings
