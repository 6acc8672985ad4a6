"""Fine-tune a CLIP-family model on spots: one run, which saves its model by itself."""

import json
import logging
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import pandas as pd
import transformers

from stimage.core.arguments import path_of
from stimage.core.errors import DataError
from stimage.core.files import alone_in, replacing
from stimage.core.shipped import find_config
from stimage.genes.panels import Panel, write_panel
from stimage.jobs.roots import Root
from stimage.publishing.pushing import open_repository, push_folder
from stimage.slides.names import fold_name, slide_names
from stimage.slides.selection import techs_called
from stimage.training.card_data import check_licence
from stimage.training.checkpoints import claim, newest
from stimage.training.results import ModelFolder, write_results
from stimage.training.run import Run
from stimage.training.seeds import folder_of, seeded, seeds_line, write_seeds
from stimage.training.settings.groups import SETTINGS, Settings
from stimage.training.settings.reading import full_name, make_settings, read_settings
from stimage.training.settings.remedies import told_as_settings

# settings of one division, which go together
DEALING = ("data.split_by", "data.split_seed", "data.split_fractions", "data.patients", "data.no_study")


@dataclass(frozen=True)
class FineTuned:
    """What `finetune` returns.

    Attributes
    ----------
    folder
        The run's folder: ``model``, ``results.json``, ``curves.png``, checkpoints.
    address
        Where the model is on the Hub, or None.
    """

    folder: Path
    address: str | None = None

    @property
    def runs(self) -> "dict[int, FineTuned]":
        """The outcome of each of several ``seeds``; {} for a single run."""
        return {int(seed): FineTuned(self.folder / name) for seed, name in self.results.get("runs", {}).items()}

    @property
    def model(self) -> Path:
        """The best model on held-out slides, of several seeds the first one's; `embed` and transformers load it."""
        return next((run.model for run in self.runs.values()), self.folder / "model")

    @property
    def results(self) -> dict[str, Any]:
        """The content of results.json: settings, versions, slides, and ``overall``, the scores of the kept model."""
        return json.loads((self.folder / "results.json").read_text(encoding="utf-8"))

    @property
    def overall(self) -> dict[str, float]:
        """The scores of the model that is kept, on held-out slides; of several seeds ``mean`` and ``std`` of each."""
        return self.results["overall"]

    @property
    def history(self) -> pd.DataFrame:
        """The scores after each epoch, and of several seeds which is whose; epoch 0 is before training."""
        return pd.DataFrame(self.results["history"]).set_index("epoch")


def finetune(
    root: str | Path | Root | None,
    out: str | Path,
    config: str | Path | None = None,
    *,
    push_to_hub: str | None = None,
    push_checkpoints: bool = False,
    public: bool = False,
    **settings: Any,
) -> FineTuned:
    """Fine-tune a CLIP-family model on spots: images with gene expression, or with sentences of top genes.

    After an interruption, the same call continues exactly. On several GPUs, put the same call into a script that
    ``accelerate launch`` starts.

    Parameters
    ----------
    root
        A folder laid out as the data set, a published folder, or a published data set's name on the Hub. Or a `Root`
        that `open_root` returned: its slides then become settings, and its technology, splits and ``um_per_px`` if it
        was opened with any. Otherwise those of the configuration hold. None takes the configuration's root.
    out
        The folder of the run: a new one, or the one of an interrupted run.
    config
        A YAML file of settings, or the name of a shipped one, such as "clip_vit_b32_hvg". None takes the default
        settings.
    push_to_hub, push_checkpoints, public
        A Hub repository to upload the model to; whether to upload it each time that it is the best so far, too; and
        whether a new repository is public. A new one is private otherwise.
    **settings
        Settings by name, such as ``epochs=5`` and ``lr=1e-5``; docs/reference/settings.md lists them. ``panel`` may
        also be a `Panel` or a list of genes, which is written beside ``out``. A name that occurs in two groups is
        written in full, by ``**{"group.name": value}``.

    Returns
    -------
    FineTuned
        The place of the model, and its scores. With several processes, the main process writes them.

    Raises
    ------
    DataError
        If there is no such setting, a setting has a wrong value, the data can't be read, or ``out`` has another run.
    ValueError
        If ``root`` was opened with options that have no setting.

    Examples
    --------
    >>> import stimage
    >>> root = stimage.open_root("sample", "Visium", species="mouse")
    >>> panel = stimage.select_genes(root, "overlap-hvg", 16)
    >>> run = stimage.finetune(root, "run", panel=panel, image="configs/finetune/tiny_clip", pretrained=False,
    ...                        epochs=1, batch_size=16, workers=0)
    note: nothing is held out: ...
    epoch   1  train loss ...
    >>> run.model.name, len(run.history)
    ('model', 1)
    """
    folder = path_of(out, "out")
    panel = settings.get("panel", settings.get("data.panel"))
    if isinstance(panel, Iterable) and not isinstance(panel, str):  # names
        panel = Panel.read([*panel])
    file = folder.with_name(f"{folder.name}.panel.json")  # beside the folder, which may not be begun
    if isinstance(panel, Panel):
        settings = {name: value for name, value in settings.items() if name != "panel"} | {"data.panel": str(file)}
    chosen = _settings(root, config, settings)
    if not isinstance(panel, Panel):
        return tune(chosen, folder, push_to_hub, push_checkpoints, public)
    with _kept_if_done(file):
        with replacing(file) as unfinished:
            write_panel(unfinished, panel.genes, panel.made)
        return tune(chosen, folder, push_to_hub, push_checkpoints, public)


@contextmanager
def _kept_if_done(file: Path) -> Iterator[None]:
    """Remove a file that was not there before, if what it is for is refused."""
    before = file.exists()
    try:
        yield
    except ValueError:
        if not before:
            with suppress(OSError):  # on a disk that is read-only by now, the error tells so
                file.unlink(missing_ok=True)
        raise


def tune(
    settings: Settings, out: Path, push_to_hub: str | None = None, push_checkpoints: bool = False, public: bool = False
) -> FineTuned:
    """Fine-tune as `finetune` does, with settings that are already read."""
    with told_as_settings():
        return _tune(settings, out, push_to_hub, push_checkpoints, public)


def _tune(settings: Settings, out: Path, push_to_hub: str | None, push_checkpoints: bool, public: bool) -> FineTuned:
    quieten()
    is_main = int(os.environ.get("RANK", 0)) == 0
    if settings.run.seeds:
        if push_to_hub:
            raise DataError("run.seeds: makes several models; leave out push_to_hub= (--push-to-hub), and upload one "
                            "yourself")  # fmt: skip
        with alone_in(out) if is_main else nullcontext():
            return _tune_seeds(settings, out, is_main)
    if push_to_hub and is_main and (note := check_licence(settings.towers.image, public)):
        print(note, flush=True)
    repo = open_repository(push_to_hub, public, "model") if push_to_hub and is_main else None
    with alone_in(out) if is_main else nullcontext():
        run = _run(settings, out, ModelFolder(repo, push_checkpoints))
        address = push_folder(out / "model", repo, "model", "Add model") if repo else None
        run.close()
    return FineTuned(out, address)


def _run(settings: Settings, out: Path, folder: ModelFolder) -> Run:
    """Train to the end, and write what comes out."""
    run = Run(settings, out, folder)
    if not settings.towers.pretrained and not newest(out):  # a run that goes on has not fitted its statistics anew
        folder.write_untrained(run)
    run.fit()
    if run.accelerator.is_main_process:
        write_results(out, run)
    return run


def _tune_seeds(settings: Settings, out: Path, is_main: bool) -> FineTuned:
    """Run once with each seed; what is done goes on from there."""
    began, seeds = time.monotonic(), settings.run.seeds
    if is_main:
        claim(out, settings.record)
    for seed in seeds:
        if is_main:
            print(f"seed {seed}: {folder_of(out, seed)}", flush=True)
        _run(seeded(settings, seed), folder_of(out, seed), ModelFolder()).close(leave=seed == seeds[-1])
    if is_main:
        print(seeds_line(write_seeds(out, settings, time.monotonic() - began), len(seeds)), flush=True)
    return FineTuned(out)


def _settings(root: str | Path | Root | None, config: str | Path | None, given: Mapping) -> Settings:
    """Return the settings of a configuration, of what was opened, and those that are given, which rule."""
    named = {full_name(name): value for name, value in given.items()}
    if not isinstance(root, Root):
        return _read(config, named if root is None else named | {"data.source": str(root)})
    unsaid = ("data.tech", "data.splits", "data.um_per_px", *(() if root.splitting.by else DEALING))
    opened = {name: value for name, value in root.settings.items()
              if name not in unsaid or value != SETTINGS[name].default}  # fmt: skip
    settings = _read(config, opened | named)
    if "data.slides" not in opened or "data.slides" in named:
        return settings
    return _read(config, opened | named | {"data.slides": _trained_on(root, settings)})


def _read(config: str | Path | None, named: Mapping[str, Any]) -> Settings:
    named = {name: str(value) if isinstance(value, os.PathLike) else value for name, value in named.items()}
    return read_settings(find_config(str(config)), given=named) if config else make_settings(named)


def _trained_on(root: Root, settings: Settings) -> tuple[str, ...]:
    """Return the slides of an opened root, of the technology that the settings have, without those to hold out."""
    held_out = {fold_name(name) for name in slide_names(settings.data.validation_slides or ())}
    ours = [slide for slide in root.slides if slide.tech in techs_called(settings.data.tech)]
    if not ours:
        raise DataError(f"{root!r}: none of its chosen slides is of the setting data.tech={settings.data.tech}; open "
                        "it with other filters, or change the setting")  # fmt: skip
    return tuple(slide.name for slide in ours if fold_name(slide.name) not in held_out)


def quieten() -> None:
    """Keep libraries from writing to the terminal. Tokenizers use one thread, since loaders fork."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    logging.getLogger("datasets").setLevel(logging.ERROR)
    if int(os.environ.get("RANK", 0)) or not sys.stderr.isatty():
        datasets.disable_progress_bars()
