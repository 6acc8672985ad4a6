"""Encoders of a benchmark: names of models, their untrained look-alikes, and embeddings that are there as files."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from stimage.core.arguments import check_one_of
from stimage.core.errors import DataError
from stimage.jobs.benchmarks.naming import folder_name, names_of
from stimage.jobs.vectors.writing import provenance_of
from stimage.loading.embeddings import KINDS, are_embeddings
from stimage.towers.image_towers import UNTRAINED, load_tower, untrained_of
from stimage.towers.joint_space import beside_images
from stimage.towers.options import TowerOptions
from stimage.towers.presets import CONFIG, find_preset, has_weights

OFFICIAL = "official"  # precision: that in which an encoder's authors run it
DTYPES = (OFFICIAL, "float32", "bfloat16", "float16")
FILES = (".parquet", ".csv")


@dataclass(frozen=True)
class BenchEncoder:
    """An encoder of a benchmark.

    Attributes
    ----------
    name
        As it was asked for: what `embed` takes as ``model``, or the path of embeddings.
    files
        Whether it is embeddings that are there.
    dtype
        The precision in which it runs; "" of files.
    """

    name: str
    files: bool
    dtype: str

    @property
    def folder(self) -> str:
        """Its name as a folder can be called."""
        return folder_name(self.name)

    @property
    def beside(self) -> str | None:
        """What it has beside images in a joint space, "genes" or "text"; None if it has no joint space."""
        if self.files:
            kinds = [kind for kind in KINDS if are_embeddings(str(Path(self.name, kind)))]
            return kinds[1] if len(kinds) == 2 and kinds[0] == "images" else None
        return None if self.name.startswith(UNTRAINED) else beside_images(self.name)


def list_encoders(
    names: str | Path | Iterable[str | Path],
    untrained: bool = True,
    dtype: str = OFFICIAL,
    options: TowerOptions | None = None,
) -> list[BenchEncoder]:
    """Return the encoders of these names, each once, and after them their untrained look-alikes, alike ones once.

    Raises
    ------
    DataError
        If two names would get the same folder, or an encoder cannot be loaded.
    ValueError
        If there is no such precision.
    """
    check_one_of(dtype, "dtype", DTYPES)
    asked = names_of(names)
    towers = [name for name in asked if not is_files(name)]
    if bare := [name for name in towers if Path(name, CONFIG).is_file() and not has_weights(Path(name))]:
        raise DataError(f"{bare[0]}: has {CONFIG}, but no whole weights; get all files of the model, or pass "
                        f"{UNTRAINED}{bare[0]} for random weights")  # fmt: skip
    found = [*asked, *(name for name in (_look_alikes(towers, options) if untrained else ()) if name not in asked)]
    for name in found:
        if other := [one for one in found if one != name and folder_name(one) == folder_name(name)]:
            raise DataError(f"encoders {name!r} and {other[0]!r} would be written into one folder; call one of them "
                            "otherwise, by a link or another path")  # fmt: skip
    return [BenchEncoder(name, is_files(name), "" if is_files(name) else dtype_of(name, dtype)) for name in found]


def is_files(name: str) -> bool:
    """Tell whether an encoder is embeddings as files: one file, a folder of them, or a folder of such folders."""
    path = Path(name)
    return path.suffix.lower() in FILES or (path.is_dir() and any(next(path.glob(f"{depth}*.parquet"), None)
                                                                  for depth in ("", "*/")))  # fmt: skip


def dtype_of(name: str, asked: str) -> str:
    """Return the precision in which an encoder runs: that asked for, or a preset's official one, or float32."""
    preset = find_preset(name.removeprefix(UNTRAINED))
    return asked if asked != OFFICIAL else preset.precision if preset else "float32"


def _look_alikes(names: Sequence[str], options: TowerOptions | None) -> Iterable[str]:
    """Return the untrained look-alikes of towers; of several with the same weights, images and patches the first."""
    found = {}
    for name in filter(None, map(untrained_of, names)):
        tower, seen = load_tower(name, options=options), provenance_of(name)
        images = (tower.pooling, tower.size, *tower.mean.tolist(), *tower.std.tolist())
        found.setdefault((tower.digest, images, repr(seen and seen.patch)), name)
    return found.values()
