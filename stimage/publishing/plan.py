"""Plan a published folder: its slides, their splits and shards; the folder notes the options that it is made with."""

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from stimage.core.arguments import loadable_folder
from stimage.core.errors import DataError, shown
from stimage.core.files import listed, writable, write_text
from stimage.core.storage import list_folder
from stimage.genes.numbering import extend_root, root_vocabulary
from stimage.genes.vocabulary import GENES_FILE, add_genes, load_vocabulary, write_vocabulary
from stimage.publishing.shards import FORMAT, WORK, Shard, ShardOptions, ShardRecord, find_done
from stimage.slides.catalog import Catalog, Slide
from stimage.slides.freshness import with_stamps
from stimage.slides.names import fold_name, slide_names
from stimage.slides.selection import Selection
from stimage.slides.splits.splitting import SlideSplit, Splitting, split_report, split_slides
from stimage.slides.splits.table import SPLITS_FILE, read_splits

CARD, OPTIONS_FILE = "README.md", "options.json"


@dataclass(frozen=True)
class Plan:
    """The contents of a published folder: slides with their splits, and shards in order.

    ``excluded`` has folded names (see `fold_name`), which need not be in the root.
    """

    out: Path
    catalog: Catalog
    excluded: frozenset[str]
    placed: dict[str, SlideSplit]
    shards: list[Shard]
    splitting: Splitting
    options: ShardOptions

    def report(self, done: Mapping[str, ShardRecord]) -> str:
        """Return a Markdown table of groups, slides and spots by split."""
        spots, left_out = Counter(), self.left_out(done)
        for shard in self.shards:
            spots[shard.slide.name] += done[shard.name].spots
        return split_report([placed for name, placed in self.placed.items() if name not in left_out], spots)

    def left_out(self, done: Mapping[str, ShardRecord]) -> dict[str, str]:
        """Return slide name → the reason why it has no shards."""
        reasons = {shard.slide.name: done[shard.name].left_out for shard in self.shards}
        return {name: reason for name, reason in reasons.items() if reason}

    def done(self) -> dict[str, ShardRecord]:
        """Return the shards that exist already, by name."""
        found = {shard.name: find_done(shard) for shard in self.shards}
        return {name: done for name, done in found.items() if done}


def make_plan(
    catalog: Catalog, selection: Selection, out: str | os.PathLike, options: ShardOptions, splitting: Splitting
) -> Plan:
    """Choose and split the slides, number the genes, and note the options in the folder ``out``.

    Slides and genes that ``out`` already has keep their splits and ids.

    Raises
    ------
    DataError
        If no slide is chosen, slides can't be split so, or ``out`` was made with other options or has a slide in
        another split.
    OutputError
        If ``out`` can't be written.
    ValueError
        If ``out`` has a name that `datasets.load_dataset` could not load.
    """
    out = loadable_folder(out, "out")
    placed = split_slides(catalog, selection, splitting)
    with writable(out):
        (out / WORK).mkdir(parents=True, exist_ok=True)
        settings = _agree(out, options, splitting)
        _continue_splits(out, placed)
        vocabulary = _number_genes(out, catalog, [one.slide for one in placed.values()])
        write_text(out / WORK / OPTIONS_FILE, settings)
    shards = [
        Shard(slide, part, parts, placed[slide.name].split, str(out), str(vocabulary), options)
        for slide in with_stamps(one.slide for one in placed.values())
        for parts in [slide.parts(options.spots_per_shard)]
        for part in range(parts)
    ]
    exclude = selection.filters.exclude
    excluded = frozenset(map(fold_name, slide_names(exclude))) if exclude is not None else frozenset()
    return Plan(out, catalog, excluded, placed, shards, splitting, options)


def drop_stale(plan: Plan) -> None:
    """Remove shards that the plan replaces: those of slides with another split or number of parts, or left out.

    The card goes first, so that a folder with a card is complete.

    Raises
    ------
    DataError
        If there are shards of slides that are neither in the plan nor left out by it.
    """
    wanted = {shard.path for shard in plan.shards}
    stale = [path for path in listed(plan.out, "data/*/*/*.parquet") if str(path.relative_to(plan.out)) not in wanted]
    slides = {path: path.name[: -len("-00000-of-00001.parquet")] for path in stale}
    known = plan.excluded.union(fold_name(name) for name in plan.placed)
    if others := sorted({name for name in slides.values() if fold_name(name) not in known}):
        raise DataError(
            f"{plan.out}: has shards of {len(others)} slides that are not selected now: {shown(others, 5)}; "
            f"select them too, or name them in a file for exclude= (--exclude)"
        )
    with writable(plan.out):
        for path in [plan.out / CARD, *stale] if stale else []:
            path.unlink(missing_ok=True)


def _agree(out: Path, options: ShardOptions, splitting: Splitting) -> str:
    """Return the options as they are noted in the folder, or refuse a folder made with others."""
    path = out / WORK / OPTIONS_FILE
    split = {f"split_{name}": getattr(splitting, name) for name in ("by", "seed", "fractions", "no_study")}
    now = json.loads(json.dumps({"format": FORMAT, **asdict(options), **split}))
    if not path.exists():
        if stray := listed(out, "*"):
            raise DataError(
                f"{out}: is not empty (it has {stray[0].name!r}), and this command did not make it; pass another folder"
            )
        return json.dumps(now, indent=1)
    try:
        then = json.loads(path.read_text())
        other = [f"{key}={then.get(key)!r}, not {value!r}" for key, value in now.items() if then.get(key) != value]
    except (ValueError, AttributeError, RecursionError):
        raise DataError(f"{path}: is damaged, so what {out} was made with is not known; pass another folder") from None
    if other:
        raise DataError(f"{out}: was made with {'; '.join(other)}; pass another folder, or the same options")
    return path.read_text()


def _number_genes(out: Path, catalog: Catalog, slides: Sequence[Slide]) -> Path:
    """Keep the root's vocabulary in the folder; one that is there already is only added to, so ids never change."""
    path = out / WORK / GENES_FILE
    if not path.exists() and listed(out / WORK, "done/*"):
        raise DataError(f"{path}: is missing, and the shards that are there use its gene ids; pass another folder")
    rules = GENES_FILE in list_folder(catalog.root, "", catalog.access)
    names = load_vocabulary(extend_root(catalog, slides) if rules else root_vocabulary(catalog)).names
    known = load_vocabulary(str(path)).names if path.exists() else ()
    if rules and names[: len(known)] != known:
        raise DataError(f"{out}: was made with another {GENES_FILE} than {catalog.root} has now; pass another folder")
    if not path.exists():
        write_vocabulary(path, names)
    elif not set(names) <= set(known):
        add_genes(path, names)
    return path


def _continue_splits(out: Path, placed: Mapping[str, SlideSplit]) -> None:
    """Refuse splits that are not those which the folder has already."""
    if not (out / SPLITS_FILE).exists():
        return
    there = read_splits(out / SPLITS_FILE).splits
    if moved := [one for name, one in placed.items() if there.get(fold_name(name), one.split) != one.split]:
        one = moved[0]
        raise DataError(
            f"{out / SPLITS_FILE}: has {len(moved)} slides in another split, such as {one.slide.name} in "
            f"{there[fold_name(one.slide.name)]}, not {one.split}; split as before, by splits= (--splits) "
            f"{out / SPLITS_FILE} if the way is not known any more, or pass another folder"
        )


def job_shards(shards: Sequence[Shard], k: int, n: int) -> list[Shard]:
    """Return the shards of job k of n: consecutive shards, with about the same number of spots in each job."""
    sizes = np.array([shard.slide.about_spots / shard.parts for shard in shards])
    run = (n * (sizes.cumsum() - sizes / 2) / sizes.sum()).astype(int)
    return [shard for shard, of_run in zip(shards, run) if of_run == k]
