"""Digests of a run's inputs, so that it continues only with the same contents, wherever these lie."""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from stimage.core.errors import DataError, one_line
from stimage.core.files import content_of, listed, write_text
from stimage.core.results import as_json
from stimage.genes.panels import Panel
from stimage.loading.sources import Source, open_source
from stimage.slides.freshness import file_digest, slide_digests
from stimage.training.data.parts import Parts
from stimage.training.settings.groups import FILES, Settings, flat

CONTENTS, VERSION = "contents.json", 1
BEGUN = ("image_head.", "gene_tower.", "logit_", "lora_")  # what of a model begins without a checkpoint


def contents_of(settings: Settings, parts: Parts, towers: nn.Module) -> dict[str, Any]:
    """Return what decides a run beside its settings: its slides by split, and digests of slides, files and weights.

    Parameters
    ----------
    towers
        With the weights that the run begins with; where the settings ask for random ones, none is digested.

    Raises
    ------
    DataError
        If a file is not there.
    """
    names = {*parts.train, *parts.validation}
    begun = weights_digest(towers.state_dict()) if settings.towers.pretrained else None
    return {
        "version": VERSION,
        "parts": {split: list(some) for split, some in parts.record.items()},
        "files": dict(_file_digests(settings)),
        "checkpoint": begun,
        "slides": digests_of(open_source(settings.data.source), names),
    }


def digests_of(source: Source, names: Iterable[str]) -> dict[str, dict[str, str]]:
    """Return slide name → file → digest of what it holds, with what is said of the slide's scale."""
    wanted = set(names)
    slides = [slide for slide in source.catalog.slides if slide.name in wanted]
    if source.published:
        shards = {slide.name: source.shards(slide) for slide in slides}
        found = {name: {os.path.basename(url): file_digest(url, source.access) for url in urls}
                 for name, urls in shards.items()}  # fmt: skip
    else:
        found = slide_digests(slides)
    for slide in slides:
        if slide.um_per_px is not None:
            found[slide.name]["um_per_px"] = repr(slide.um_per_px)
    return dict(sorted(found.items()))


def path_digest(path: str) -> str:
    """Digest a file, or all files of a folder by their names."""
    if not os.path.isdir(path):
        return file_digest(path)
    digest = hashlib.blake2b(digest_size=16)
    for file in (file for file in listed(Path(path), "**/*") if file.is_file()):
        digest.update(f"{file.relative_to(path)} {file_digest(str(file))}\n".encode())
    return digest.hexdigest()


def weights_digest(weights: Mapping[str, torch.Tensor]) -> str:
    """Digest names and values of weights, but those that no checkpoint had."""
    digest = hashlib.blake2b(digest_size=16)
    for name, value in sorted(weights.items()):
        if not any(begun in name for begun in BEGUN):
            digest.update(name.encode())
            digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def check_contents(out: Path, now: Mapping[str, Any], goes_on: bool) -> None:
    """Note what a run is made of in OUT/contents.json, or hold it against what is noted there.

    Raises
    ------
    DataError
        If the run goes on with other contents; naming the first that differ. If the note is damaged, or of a newer
        version.
    """
    path = out / CONTENTS
    if not goes_on or not path.exists():  # a run from before there were notes goes on as it is
        write_text(path, as_json(now))
        return
    before = read_contents(path)
    if other := next(_differences(before, json.loads(as_json(now))), None):
        raise DataError(f"{out}: has a run on other contents: {other}; bring back what it was, or pass another out= "
                        "(--out)")  # fmt: skip


def read_contents(path: Path) -> dict[str, Any]:
    """Read the note of a run's contents; raises as `check_contents`."""
    try:
        found = json.loads(content_of(path))
        version = int(found["version"])
        whole = all(isinstance(found[key], dict) for key in ("parts", "files", "slides")) and "checkpoint" in found
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise DataError(f"{path}: is damaged ({one_line(error)}), so whether the contents are the same is not known; "
                        "pass another out= (--out)") from None  # fmt: skip
    if version > VERSION or not whole:
        raise DataError(f"{path}: was written by another version of this project (format {version}, {VERSION} is known "
                        "here); go on with that one, or pass another out= (--out)")  # fmt: skip
    return found


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """Return the differences in words, the most telling first."""
    for name in sorted({*before["files"], *now["files"]}):
        if before["files"].get(name) != now["files"].get(name):
            yield f"{name} holds something else than it did"
    if before["checkpoint"] != now["checkpoint"]:
        yield "the checkpoint towers.image has other weights than it had"
    was, is_now = ({name: split for split, names in one["parts"].items() for name in names} for one in (before, now))
    for name in sorted({*was, *is_now}):
        if was.get(name) != is_now.get(name) and {was.get(name), is_now.get(name)} & {"train", "validation"}:
            yield f"slide {name} was {_where(was.get(name))}, and is {_where(is_now.get(name))}"
    for name in now["slides"]:
        one, other = before["slides"].get(name, {}), now["slides"][name]
        for part in sorted({*one, *other}):
            if one.get(part) != other.get(part):
                yield f"slide {name} has other {part} than it had"


def _where(split: str | None) -> str:
    return f"in {split}" if split else "not among the slides"


def _file_digests(settings: Settings) -> Iterator[tuple[str, str]]:
    """Give the settings that name a file or a folder, by full name, and a digest of what decides the run in it."""
    for name, value in flat(settings.record).items():
        if name not in FILES or name == "data.source" or not isinstance(value, str) or not os.path.exists(value):
            continue
        if name == "data.panel":
            yield name, hashlib.blake2b("\n".join(Panel.read(value).genes).encode(), digest_size=16).hexdigest()
        elif name != "towers.image":
            yield name, path_digest(value)
        elif os.path.exists(config := os.path.join(value, "config.json")):  # weights are digested as they are loaded
            yield name, file_digest(config)
