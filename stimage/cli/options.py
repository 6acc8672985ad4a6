"""Code that scripts share: options that choose slides, the words of their help, and the end of a script by an error."""

import argparse
import inspect
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import stimage
from stimage.core.errors import DataError, one_line
from stimage.core.extras import NotInstalled
from stimage.core.tables import read_names
from stimage.genes.names import NAME_KINDS
from stimage.slides.catalog import ON_MISMATCH, TECHS, Filters
from stimage.slides.images.patches import Patch
from stimage.slides.images.reader import MAX_IMAGE_PIXELS
from stimage.slides.selection import Selection, techs_called
from stimage.slides.splits.splitting import FRACTIONS, SPLIT_BY, Splitting
from stimage.slides.splits.table import SPLITS

NEEDS = {"patients": "patient", "no_study": "study"}  # option → the only kind of split that takes it

# help of options that several scripts have
ROOT = "root: a folder laid out as the data set, or its URL"
LOCAL_ROOT = "root: a folder on this machine, laid out as the data set"
SLIDES_OF = "slides to compare: a folder laid out as the data set, or a folder of HEST-1k"
OUT = "folder to write (default: %(default)s)"
PROCESSES = "number of processes (default: %(default)s)"
COMPRESSION = "compression of the image; all but jpeg keep its pixels exactly (default: %(default)s)"
QUALITY = "quality of jpeg, from 1 to 100 (default: %(default)s)"
PUBLIC = "make a new data set public, so that everyone sees it"
RESULTS = "folder of results, or a folder of such folders"
NO_COLOUR = "leave out the baseline of colours, so that no image is read"
TRUST = "run the code that comes with a checkpoint; read that code first"
MISMATCHED = ("what to do with spots that the coord file, the count file and the image do not all have: error stops, "
              "drop leaves them out (default: %(default)s)")  # fmt: skip


def add_filters(parser: argparse.ArgumentParser) -> None:
    """Add the builder's filters to a script's options."""
    group = parser.add_argument_group("slides", "choice of slides; without these options, all slides are taken")
    group.add_argument(
        "--tech", choices=(*TECHS, "all"), default="all", help="technology of the slides (default: %(default)s)"
    )
    group.add_argument("--config", action=_Renamed, help=argparse.SUPPRESS)
    group.add_argument("--slides", nargs="+", metavar="SLIDE",
                       help="slides to take: names, or a file of names (one per line, or a CSV)")  # fmt: skip
    group.add_argument("--exclude", nargs="+", metavar="SLIDE",
                       help="slides to leave out: names, or a file of names (one per line, or a CSV)")  # fmt: skip
    group.add_argument("--species", nargs="+", metavar="SPECIES", help="species, as the meta file names them")
    group.add_argument("--tissue", nargs="+", metavar="TISSUE", help="tissues, as the meta file names them")
    group.add_argument("--pmid", nargs="+", metavar="PMID", help="studies, by their PubMed ids")
    group.add_argument("--involve-cancer", choices=("True", "False"), help="slides with cancer, or slides without")


class _Renamed(argparse.Action):
    """Refuse ``--config``, which chose the technology before; it means a YAML file of settings."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: object, value: Any, _: str | None = None) -> None:
        parser.error(f"--config {value}: a technology is chosen by --tech {value}")


def filters_of(args: argparse.Namespace) -> Filters:
    """Return the filters that were given."""
    named = (args.species, args.tissue, args.pmid, args.involve_cancer)
    return Filters(_file_or_names(args.slides), *named, _file_or_names(args.exclude))


def _file_or_names(words: list[str] | None) -> list[str] | str | None:
    if words and len(words) == 1:
        return read_names(words[0]) if Path(words[0]).is_file() else words[0]  # of .csv and .txt, the catalog reads it
    return words


def selection_of(args: argparse.Namespace, on_mismatch: str = "error") -> Selection:
    """Return the choice of slides in the arguments."""
    return Selection(str(args.root), techs_of(args), filters_of(args), on_mismatch, "--tech")


def root_of(args: argparse.Namespace, elsewhere: Sequence[str] = ()) -> "stimage.Root":
    """Open the root with a script's options, without those that the script uses for another purpose, ``elsewhere``."""
    known = inspect.signature(stimage.open_root).parameters.keys()
    given = {name: value for name, value in vars(args).items() if name in known and value is not None}
    given |= {name: _file_or_names(given[name]) for name in ("slides", "exclude") if name in given}
    for name in elsewhere:
        if name not in NEEDS or args.split_by != NEEDS[name]:
            given.pop(name, None)
    return stimage.open_root(**given)


def add_splits(parser: argparse.ArgumentParser, parts: bool = False) -> None:
    """Add the builder's options of splits, and with ``parts`` the choice among splits."""
    group = add_dealing(parser)
    group.add_argument("--splits", metavar="FILE", help="CSV with the columns slide and split, as split_slides.py "
                       "writes it; the word none ignores the root's own splits.csv")  # fmt: skip
    if parts:
        group.add_argument("--part", nargs="+", choices=SPLITS, help="splits to take (default: all)")


def add_dealing(parser: argparse.ArgumentParser, default: str | None = None) -> Any:
    """Add the options that deal groups into splits."""
    group = parser.add_argument_group("splits", "division of slides into train, validation and test; a splits.csv in "
                                      "the root takes the place of --split-by")  # fmt: skip
    group.add_argument("--split-by", choices=SPLIT_BY, default=default, help="groups that are never divided between "
                       f"two splits (default: {default or 'no division, all slides are in train'})")  # fmt: skip
    group.add_argument("--split-seed", type=int, metavar="N",
                       help="seed of the division; another seed gives another one (default: 0)")  # fmt: skip
    group.add_argument("--split-fractions", nargs=3, type=float, metavar="F",
                       help="shares of train, validation and test (default: 0.8 0.1 0.1)")  # fmt: skip
    group.add_argument("--patients", metavar="FILE", help="with --split-by patient: CSV with the columns slide and "
                       "patient")  # fmt: skip
    group.add_argument("--no-study", choices=("own",), help="with --split-by study: own makes each slide without a "
                       "known study a study of its own (default: such a slide is an error)")  # fmt: skip
    return group


def splitting_of(args: argparse.Namespace, elsewhere: Sequence[str] = ()) -> Splitting:
    """Return the division of slides; ``elsewhere`` names options that the script also uses for another purpose."""
    own = {name: getattr(args, name) for name, by in NEEDS.items() if args.split_by == by or name not in elsewhere}
    seed, fractions = args.split_seed or 0, tuple(args.split_fractions or FRACTIONS)
    return Splitting(args.split_by, seed, fractions, splits=getattr(args, "splits", None), **own)


def techs_of(args: argparse.Namespace) -> tuple[str, ...]:
    """Return the technologies that were asked for."""
    return techs_called(args.tech)


def add_reading(parser: argparse.ArgumentParser) -> None:
    """Add the options for cutting patches and joining files."""
    group = parser.add_argument_group("spots")
    group.add_argument("--patch-um", type=float,
                       help="side of a patch in µm (default: the original's square, 2r pixels wide)")  # fmt: skip
    group.add_argument("--patch-px", type=int,
                       help="with --patch-um: side in pixels that a patch is resampled to")  # fmt: skip
    group.add_argument("--upsample", action="store_true", help="with --patch-um: accept images that are more than "
                       "2 %% coarser than the patch; their patches are upsampled")  # fmt: skip
    group.add_argument("--pyramid", action="store_true", help="with --patch-um: cut patches from the coarsest level of "
                       "the image that is fine enough, instead of from level 0, which is slower")  # fmt: skip
    add_scale(group)
    group.add_argument("--on-mismatch", choices=ON_MISMATCH, default="error", help=MISMATCHED)
    add_image_limit(group)


def add_image_limit(parser: argparse._ActionsContainer) -> None:
    """Add the largest number of pixels of an image."""
    parser.add_argument("--max-image-pixels", type=positive, default=MAX_IMAGE_PIXELS,
                        help="largest number of pixels of an image; larger images are refused "
                        "(default: %(default)s)")  # fmt: skip


def add_scale(parser: argparse._ActionsContainer) -> None:
    """Add the option for a known µm per pixel; see `stimage.slides.Catalog.with_scales`."""
    parser.add_argument("--um-per-px", metavar="NUMBER|CSV",
                        help="µm per pixel: a number for all slides, or a CSV with the columns slide and um_per_px "
                        "(default: the value of the meta file, or of the lattice of spots)")  # fmt: skip


def add_naming(parser: argparse.ArgumentParser, required: bool = False) -> None:
    """Add the options that rename genes."""
    group = parser.add_argument_group("gene names", "genes keep the names of the files, unless --gene-table is given")
    group.add_argument("--gene-table", metavar="FILE", required=required, help="table of symbols and Ensembl ids: "
                       "10x's features.tsv, or an export of Ensembl's BioMart")  # fmt: skip
    group.add_argument("--names", choices=NAME_KINDS, default="symbol",
                       help="with --gene-table: kind of names that genes get (default: %(default)s)")  # fmt: skip


def positive(text: str) -> int:
    """Return a whole number of 1 or more."""
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"{number}: must be 1 or more")
    return number


def counted(number: int, what: str) -> str:
    """Return a number with a noun in its number: "1 slide", "2 slides"."""
    return f"{number:,} {what}{'s' * (number != 1)}"


def patch_of(args: argparse.Namespace) -> Patch:
    """Return the patch that was asked for."""
    return Patch(args.patch_um, args.patch_px, args.upsample, args.pyramid)


def run(main: Callable[[], int | None]) -> None:
    """Run a script; an error in the data or the arguments ends it with one line."""
    try:
        sys.exit(main())
    except (DataError, ValueError, NotInstalled) as error:
        sys.exit(f"error: {error}")
    except OSError as error:  # such as a full disk
        sys.exit(f"error: {error.filename or 'reading or writing'}: {one_line(error)}")
    except KeyboardInterrupt:
        sys.exit(130)
