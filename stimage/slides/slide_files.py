"""Find the files of slides by the names of a root's folders and files."""

from collections.abc import Collection

from stimage.core.access import OPEN, Access
from stimage.core.errors import DataError
from stimage.core.storage import list_folder
from stimage.slides.counts.count_file import SUFFIXES
from stimage.slides.names import check_name, fold_name

REQUIRED_FILES = {  # part of a slide: folder and how its file's name ends
    "coord": ("coord", ("_coord.csv", "_coord.csv.gz")),
    "counts": ("gene_exp", SUFFIXES),
    "image": ("image", (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".btf", ".svs", ".ndpi", ".scn", ".bif")),
}


def slide_files(root: str, tech: str, access: Access = OPEN, but: Collection[str] = ()) -> dict[str, dict[str, dict]]:
    """Return folded slide name → part → file; the part "name" is the slide's name as its files spell it.

    ``but`` are files below the root to ignore.
    """
    found = {}
    for part, (folder, suffixes) in REQUIRED_FILES.items():
        for filename, file in list_folder(root, f"{tech}/{folder}", access).items():
            if f"{tech}/{folder}/{filename}" in but:
                continue
            if suffix := next((s for s in suffixes if filename.lower().endswith(s)), None):
                name = filename[: -len(suffix)]
                check_name(name, file["url"])
                files = found.setdefault(fold_name(name), {"name": name})
                if part in files:
                    raise DataError(f"{file['url']}: slide {name!r} already has {files[part]['url']}; remove one")
                files[part] = file
    return found
