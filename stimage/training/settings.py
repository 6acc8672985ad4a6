"""What a run is made of: a YAML file of a few flat names, each of which the command line may override."""

import difflib
import reprlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, get_args, get_type_hints

import yaml

from stimage.core.errors import DataError, one_line
from stimage.genes.normalise import NORMALISATIONS
from stimage.genes.sentences import GENE_KINDS
from stimage.slides.names import texts_of
from stimage.slides.splits.splitting import FRACTIONS, Splitting

TOWERS = ("linear", "mlp", "text")
PRECISIONS = ("no", "tf32", "bf16", "fp16")
OPTIMIZERS = ("adamw", "adam")


@dataclass(frozen=True)
class Settings:
    """Settings of a run.

    Parameters
    ----------
    data
        A root, a published folder, or a published data set's name on the Hub.
    config, slides, exclude, species, tissue, pmid
        Which spots: technology, and the builder's filters.
    split_by, split_seed, split_fractions, patients, splits, no_study
        The builder's splits; a splits.csv of the root, or of published spots, rules. The split ``train`` is trained on,
        ``validation`` is held out, ``test`` is left alone.
    validation_slides
        Held-out slides by name, of whichever split, instead of ``split_by``.
    patch_um, patch_px, upsample, um_per_px
        Physical patch of a root's spots; null takes the original's square of 2r. See the builder for the others.
    panel, gene_table, normalise
        Panel file, the table by which a root's slides that name genes otherwise have them, and how counts become
        expression; see the builder. A slide's median total is its own, whichever side it is on.
    vision, pretrained, tower, latent_dim
        CLIP-family checkpoint by name or path, of which ``pretrained: false`` takes the configuration only; the second
        tower: "linear", "mlp", or "text", the checkpoint's own over sentences of top genes; width of the common space
        (not of "text").
    sentence_genes, above_mean, exclude_genes
        Sentences: how many genes, whether by log-fold over the slide's mean, and kinds of genes left out.
    epochs, batch_size, chunk, slides_per_batch
        The batch is global, over all processes; ``chunk`` spots of each go through the towers at once (gradient
        caching: a third more work than null, all at once);
        ``slides_per_batch`` fills a batch from so few slides, so that a slide's look does not tell its spots apart.
    lr, head_lr, logit_scale_lr, betas, eps, weight_decay, warmup, cosine, clip_norm, optimizer, clamp
        ``lr`` is the checkpoint's layers', ``head_lr`` that of the layers that begin at random. ``warmup`` is a share
        of all steps; "adam", with one ``lr`` and its L2 penalty on everything, is the original's; ``clamp`` holds the
        logit scale within 0 and ln 100.
    freeze_layers, augment, compile, mixed_precision, gradient_checkpointing
        ``freeze_layers`` lowest layers, and the embeddings below them, stay as they are.
    patience
        Epochs without a better validation loss before the run stops; null never stops.
    checkpoint_steps, keep
        Steps between checkpoints beside one an epoch, and how many are kept.
    processes
        World size that the run must have; null takes what is there.
    workers, seed, probe_spots
        Processes that decode patches, per rank (null: its share of the machine's cores but one); ``probe_spots`` of
        the training slides fit the linear probe.
    trackers
        Of accelerate: tensorboard, wandb, trackio.
    """

    data: str | None = None
    config: str = "all"
    slides: list | str | None = None
    exclude: list | str | None = None
    species: list | str | None = None
    tissue: list | str | None = None
    pmid: list | str | None = None
    validation_slides: list | str | None = None
    split_by: str | None = None
    split_seed: int = 0
    split_fractions: list | tuple = FRACTIONS
    patients: str | None = None
    splits: str | None = None
    no_study: str | None = None
    patch_um: float | None = None
    patch_px: int | None = None
    upsample: bool = False
    um_per_px: float | str | None = None
    panel: str | None = None
    gene_table: str | None = None
    normalise: str = "median-log1p"
    vision: str = "openai/clip-vit-base-patch32"
    pretrained: bool = True
    tower: str = "linear"
    latent_dim: int = 32
    sentence_genes: int = 50
    above_mean: bool = True
    exclude_genes: list | tuple = ()
    epochs: int = 15
    batch_size: int = 1024
    chunk: int | None = None
    slides_per_batch: int | None = None
    lr: float = 5e-5
    head_lr: float = 1e-3
    logit_scale_lr: float = 1e-3
    betas: list | tuple = (0.9, 0.98)
    eps: float = 1e-6
    weight_decay: float = 0.2
    warmup: float = 0.1
    cosine: bool = True
    clip_norm: float | None = 1.0
    optimizer: str = "adamw"
    clamp: bool = True
    freeze_layers: int = 0
    augment: bool = True
    compile: bool = False
    mixed_precision: str = "no"
    gradient_checkpointing: bool = False
    patience: int | None = None
    checkpoint_steps: int | None = None
    keep: int = 2
    processes: int | None = None
    workers: int | None = None
    seed: int = 0
    probe_spots: int = 5000
    trackers: list | tuple = ()

    def __post_init__(self) -> None:
        for name, allowed in (("tower", TOWERS), ("mixed_precision", PRECISIONS), ("optimizer", OPTIMIZERS),
                              ("normalise", NORMALISATIONS)):  # fmt: skip
            if getattr(self, name) not in allowed:
                raise DataError(f"{name}: is {getattr(self, name)!r}; one of {', '.join(allowed)}")
        if unknown := [kind for kind in self.exclude_genes if kind not in GENE_KINDS]:
            raise DataError(f"exclude_genes: has {unknown[0]!r}; any of {', '.join(GENE_KINDS)}")
        if kinds := [name for name in texts_of(self.exclude or ()) if name in GENE_KINDS]:
            raise DataError(f"exclude: leaves out slides; {kinds[0]} genes are left out by exclude_genes")
        _ = self.splitting  # refuses what does not go together
        for name in ("epochs", "batch_size", "latent_dim", "keep", "chunk", "checkpoint_steps", "slides_per_batch"):
            if (number := getattr(self, name)) is not None and number < 1:
                raise DataError(f"{name}: is {number}; must be 1 or more")
        for name in ("freeze_layers", "workers", "probe_spots", "patience"):
            if (number := getattr(self, name)) is not None and number < 0:
                raise DataError(f"{name}: is {number}; must be 0 or more")
        if not self.data:
            raise DataError("data: is not given; name a root or published spots, as argument or in the configuration")
        if self.tower != "text" and not self.panel:
            raise DataError(
                "panel: is not given; make one with scripts/data_process/select_genes.py, or pass tower=text"
            )

    @property
    def splitting(self) -> Splitting:
        """How slides are split, before ``validation_slides`` are taken out."""
        if self.validation_slides:
            return Splitting(splits=self.splits)
        try:
            return Splitting(self.split_by, self.split_seed, tuple(self.split_fractions), self.patients, self.splits,
                             self.no_study)  # fmt: skip
        except ValueError as error:
            raise DataError(str(error)) from None

    @property
    def record(self) -> dict[str, Any]:
        """All settings by name, as JSON has them."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}


def read_settings(path: str | Path, overrides: Sequence[str] = (), data: str | None = None) -> Settings:
    """Read a YAML file of settings and override them by ``name=value``, the value in YAML.

    Raises
    ------
    DataError
        If the file can't be read, a name is not known, or a value is of the wrong type; naming it.
    """
    try:
        values = yaml.safe_load(Path(path).read_text(encoding="utf-8")) or {}
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({one_line(error)})") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: a date that is none, bad UTF-8
        raise DataError(f"{path}: is no YAML: {one_line(error)}") from None
    if not isinstance(values, dict):
        raise DataError(f"{path}: is no YAML mapping of settings")
    for override in overrides:
        name, equals, value = override.partition("=")
        if not equals:
            raise DataError(f"--override {override}: write name=value")
        values[name] = yaml.safe_load(value)
    if data:
        values["data"] = data
    typed = {name: _typed(name, value, str(path)) for name, value in values.items()}
    try:
        return Settings(**typed)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None


def _typed(name: str, value: Any, where: str) -> Any:
    hints = get_type_hints(Settings)
    if name not in hints:
        near = difflib.get_close_matches(str(name), [field.name for field in fields(Settings)], 1)
        raise DataError(f"{where}: knows no setting {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
    kinds = get_args(hints[name]) or (hints[name],)
    if float in kinds and isinstance(value, int | str) and not isinstance(value, bool):
        with suppress(ValueError):  # what is no number is refused below
            value = float(value)  # YAML takes 1e-4 for text
    if value is False and str in kinds and bool not in kinds:
        value = "no"  # which YAML takes for false
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        names = " or ".join("null" if kind is type(None) else kind.__name__ for kind in kinds)
        raise DataError(f"{where}: {name} is {reprlib.repr(value)}; must be {names}")
    return value
