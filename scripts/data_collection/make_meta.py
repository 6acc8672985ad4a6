"""Make the meta file of a root, one row per slide, from GEO's tables, publications, maps and the count files.

Values that no source gives are listed and never guessed. The exit code is then 1 and no file is written, unless
--allow-unknown leaves such cells empty. With --check, an existing meta file is checked against the maps instead.
"""

import argparse
import sys
from pathlib import Path

from tqdm import tqdm

from stimage.cli.options import counted, run
from stimage.collection.meta.checking import check_meta
from stimage.collection.meta.geo import read_geo
from stimage.collection.meta.making import Meta, Sources, make_meta, write_meta
from stimage.collection.meta.name_maps import SHIPPED, Maps, read_maps
from stimage.collection.meta.publications import read_publications
from stimage.collection.meta.slide_table import read_slide_table
from stimage.core.access import is_local
from stimage.core.storage import normal_root
from stimage.slides.meta_file import META_FILE, find_meta, newest_meta


def main() -> int:
    args = parse_arguments()
    maps = read_maps(args.maps)
    if args.check:
        return check(args.check, maps)
    entries = read_slide_table(args.slides) if args.slides else {}
    sources = Sources(maps, read_geo(args.geo), read_publications(args.bib, args.publications), entries)
    meta = make_meta(args.root, sources, lambda slides: tqdm(slides, unit="slide", disable=None))
    if not meta.rows:
        print(f"error: {args.slides}: names no slide", file=sys.stderr)
        return 1
    tell(meta)
    if meta.unknown and not args.allow_unknown:
        print(f"{args.out} is not written; say what is missing, or pass --allow-unknown", file=sys.stderr)
        return 1
    write_meta(meta.rows, args.out, args.tissue_raw)
    print(f"{counted(len(meta.rows), 'slide')}: {args.out}")
    return 0


def tell(meta: Meta) -> None:
    """List the unknown cells, and slides of the table that are not in the root."""
    for one in meta.unknown:
        print(f"{one.slide}: {one.column} is not known: {one.reason}", file=sys.stderr)
    for entry in meta.absent:
        print(f"note: {entry.source}: slide {entry.slide} has no files in the root", file=sys.stderr)


def check(path: Path, maps: Maps) -> int:
    """List the wrong cells of a meta file."""
    found = check_meta(path, maps)
    for one in found.differences:
        print(f"{one.source}: slide {one.slide}: {one.column} {one.reason}")
    print(f"{found.rows} rows, {len(found.differences)} differences")
    return 1 if found.differences else 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", nargs="?", help="root: a folder laid out as the data set; without it, --slides names "
                        "the slides")  # fmt: skip
    parser.add_argument("--geo", nargs="+", type=Path, default=[], metavar="FILE", help="GEO's files series_matrix.txt "
                        "or family.soft (also .gz), or tables")  # fmt: skip
    parser.add_argument("--bib", nargs="+", type=Path, default=[], metavar="FILE", help="publications as BibTeX files")
    parser.add_argument("--publications", nargs="+", type=Path, default=[], metavar="FILE",
                        help="publications as tables with the columns pmid, title, abstract, keywords")  # fmt: skip
    parser.add_argument("--slides", type=Path, metavar="FILE", help="table for facts that the names of slides do not "
                        "tell: the column slide, and any of gse, gsm, pmid, tech, species, tissue, title, abstract, "
                        "keywords")  # fmt: skip
    parser.add_argument("--maps", type=Path, default=SHIPPED, metavar="FOLDER", help="folder with species.csv, "
                        "tissues.csv and tissue_of_study.csv (default: %(default)s)")  # fmt: skip
    parser.add_argument("--tissue-raw", action="store_true", help="add the column tissue_raw: the tissue in the words "
                        "of the source")  # fmt: skip
    parser.add_argument("--allow-unknown", action="store_true", help="leave a cell empty where no source gives its "
                        "value")  # fmt: skip
    parser.add_argument("--out", type=Path, help="meta file to write (default: ROOT/meta/meta_all_gene.csv)")
    parser.add_argument("--check", type=Path, metavar="META", help="check this meta file against the maps, and write "
                        "nothing")  # fmt: skip
    args = parser.parse_args()
    if not args.check and not args.root and not args.slides:
        parser.error("pass ROOT, or --slides, or --check")
    if not args.check and args.out is None:
        if not args.root or not is_local(args.root):
            parser.error("pass --out: without a ROOT on this machine there is no place for the file")
        newest = find_meta(normal_root(args.root))
        args.out = Path(args.root, newest[0] if newest else f"meta/{META_FILE}")
        if newest:
            parser.error(f"{args.out} exists; pass --out to write another, or name it to replace it")
    elif args.out and (newer := newer_meta(args.out)):
        parser.error(f"--out {args.out}: would not be read, since {newer} beside it is newer; name that, or remove it")
    return args


def newer_meta(out: Path) -> str | None:
    """Return the meta file of a root that would be read instead of this one, if there is one."""
    beside = [path.name for path in out.parent.glob("*.csv")] if out.parent.name == "meta" else []
    newest = newest_meta([*beside, out.name], str(out.parent))
    return newest if newest != out.name else None


if __name__ == "__main__":
    run(main)
