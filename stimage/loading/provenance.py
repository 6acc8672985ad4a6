"""A model's provenance: the slides that it learned from, and how their patches were cut; a file beside its weights."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from stimage.core.errors import DataError, one_line
from stimage.core.files import content_of
from stimage.slides.names import fold_name

PROVENANCE, VERSION = "provenance.json", 1
SETTINGS, SLIDES = "settings.json", "slides.json"  # of models that were made before there was such a file


@dataclass(frozen=True)
class Provenance:
    """The slides that a model has seen.

    Attributes
    ----------
    trained, validation
        Slide → digest of its image ("" where it is unknown): slides that the model, or the one that it began from,
        learned from, and slides that only chose its epoch.
    panel
        Slides whose counts chose the genes.
    patch
        The patches: ``um`` and ``px`` (both None for the original's square of 2r), ``upsample``, ``pyramid``; None
        where they are unknown.
    """

    trained: Mapping[str, str] = field(default_factory=dict)
    validation: Mapping[str, str] = field(default_factory=dict)
    panel: tuple[str, ...] = ()
    patch: Mapping[str, Any] | None = None

    @property
    def record(self) -> dict[str, Any]:
        """The values as JSON has them."""
        return {"version": VERSION, **asdict(self), "panel": list(self.panel)}

    @property
    def names(self) -> dict[str, list[str]]:
        """The slides alone, by how they were seen."""
        return {part: sorted(getattr(self, part)) for part in ("trained", "validation", "panel")}

    @classmethod
    def parse(cls, record: Any, where: object) -> "Provenance":
        """Read a record; `DataError` if it is not one, or belongs to a newer version."""
        try:
            if record["version"] > VERSION:
                raise DataError(
                    f"{where}: was written by a newer version of this project, in format {record['version']}; this "
                    f"version reads format {VERSION}, so update the project"
                )
            trained, validation = (
                {str(n): str(d) for n, d in record[key].items()} for key in ("trained", "validation")
            )
            patch = record["patch"]
            return cls(trained, validation, tuple(map(str, record["panel"])), None if patch is None else dict(patch))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            if isinstance(error, DataError):
                raise
            raise DataError(f"{where}: is damaged: it does not say which slides a model was trained on; get the model "
                            "again") from None  # fmt: skip

    def joined(self, other: "Provenance") -> "Provenance":
        """Return the slides that both have seen; the patch and the known digests are this one's."""
        trained, validation = (
            {**before, **{name: digest or before.get(name, "") for name, digest in now.items()}}
            for before, now in ((other.trained, self.trained), (other.validation, self.validation))
        )
        return Provenance(trained, validation, tuple(sorted({*other.panel, *self.panel})), self.patch)

    def has(self, part: str, slide: str, image: str = "") -> bool:
        """Return whether a slide is among "trained", "validation" or "panel", by its name or its image's digest."""
        known = getattr(self, part)
        by_image = bool(image) and isinstance(known, Mapping) and image in known.values()
        return by_image or fold_name(slide) in {fold_name(name) for name in known}


def read_provenance(name: str) -> Provenance | None:
    """Read the provenance of a model, a folder or a name on the Hub; None if the model has none.

    Raises
    ------
    DataError
        If its file is damaged, or belongs to a newer version.
    """
    if (path := _file(name, PROVENANCE)) is not None:
        return Provenance.parse(_json(path), path)
    settings, slides = (_file(name, file) for file in (SETTINGS, SLIDES))
    if settings is None:
        return None
    said = _json(settings)
    if not isinstance(said, dict) or not isinstance(said.get("data"), dict | str):
        return None  # another program's settings
    data = said["data"] if isinstance(said["data"], dict) else said  # settings had no groups once
    patch = {"um": data.get("patch_um"), "px": data.get("patch_px"),
             "upsample": bool(data.get("upsample")), "pyramid": bool(data.get("pyramid"))}  # fmt: skip
    if slides is None:
        return Provenance(patch=patch)
    try:
        parts = _json(slides)
        trained, validation = (dict.fromkeys(map(str, parts[split]), "") for split in ("train", "validation"))
    except (KeyError, TypeError):
        raise DataError(f"{slides}: is damaged: it does not name slides by split; get the model again") from None
    return Provenance(trained, validation, patch=patch)


def _json(path: Path) -> Any:
    try:
        return json.loads(content_of(path))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: can't be read ({one_line(error)}), so what the model has seen is not known; get the "
                        "model again") from None  # fmt: skip


def _file(name: str, file: str) -> Path | None:
    """Return a file beside a model's weights, fetched from the Hub if need be; None if there is none."""
    folder = Path(name.removeprefix("local-dir:"))
    if folder.is_dir():
        return folder / file if (folder / file).exists() else None
    repository = name.removeprefix("hf-hub:").removeprefix("hf_hub:")
    if repository.count("/") != 1 or ":" in repository:
        return None
    from transformers.utils.hub import cached_file  # here, since it takes seconds to import

    raised = {f"_raise_exceptions_for_{case}": False for case in ("missing_entries", "gated_repo", "connection_errors")}
    try:
        found = cached_file(repository, file, **raised)
    except OSError:  # no such repository: loading it says so
        return None
    return Path(found) if found else None
