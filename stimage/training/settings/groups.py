"""The settings of a run: five groups, and the values that exclude each other."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, ClassVar

from stimage.core.errors import DataError
from stimage.core.shipped import find_shipped
from stimage.genes.sentences import GENE_KINDS
from stimage.slides.names import texts_of
from stimage.towers.options import POOLINGS, TowerOptions
from stimage.training.settings.data import DataSettings
from stimage.training.settings.fields import Group, Setting, setting, settings_of

TOWERS = ("linear", "mlp", "set", "vectors", "text")
PANEL_TOWERS = ("linear", "mlp")
PRECISIONS = ("no", "tf32", "bf16", "fp16")
OPTIMISERS = ("adamw", "adam")
OBJECTIVES = ("clip", "siglip", "soft")
ALL_BUT_TEXT = ("data.image_vectors", "towers.lora_rank", "optimiser.heads_first")  # which a text tower can't have
ADAMW = ("optimiser.layer_decay", "optimiser.heads_first")  # which need rates by part
BALANCES = ("slide", "study")


@dataclass(frozen=True)
class TowerSettings(Group):
    """The two towers that are trained."""

    group: ClassVar[str] = "towers"

    image: str = setting("openai/clip-vit-base-patch32", "image encoder: a preset; a transformers checkpoint, by "
                         "its name on the Hub or its folder; or timm:NAME", file=True)  # fmt: skip
    pretrained: bool = setting(True, "begin from the encoder's weights; false takes its configuration only, and "
                               "random weights")  # fmt: skip
    pooling: str | None = setting(None, "way to make one vector of an image's features; null: as the preset or "
                                  "checkpoint says", choices=POOLINGS)  # fmt: skip
    size: int | None = setting(None, "side of the encoder's input images in pixels; null: as the preset or "
                               "checkpoint says", least=1)  # fmt: skip
    mean: tuple[float, ...] | None = setting(None, "mean of red, green and blue, from 0 to 1; null: as the preset "
                                             "or checkpoint says", length=3, least=0, most=1)  # fmt: skip
    std: tuple[float, ...] | None = setting(None, "standard deviation of red, green and blue; null: as the preset "
                                            "or checkpoint says", length=3, above=0, most=1)  # fmt: skip
    model_args: Mapping[str, Any] | None = setting(None, "further arguments of the model, such as {init_values: "
                                                   "1.0} for timm")  # fmt: skip
    trust_remote_code: bool = setting(False, "run the code that comes with a checkpoint")
    freeze_layers: int = setting(0, "number of lowest layers of the image tower that are not trained; the embeddings "
                                    "below them are not trained either", least=0)  # fmt: skip
    freeze: tuple[str, ...] = setting((), "parts of the image tower that are not trained, by the beginning of their "
                                      "weights' names")  # fmt: skip
    lora_rank: int | None = setting(None, "width of LoRA's matrices, which are trained in place of the image "
                                    "tower's own weights; null: no LoRA", least=1)  # fmt: skip
    lora_alpha: float = setting(16.0, "scale of LoRA: its output is multiplied by lora_alpha / lora_rank", above=0)
    lora_targets: tuple[str, ...] = setting((), "layers that get LoRA, by the ends of their names; empty: each "
                                            "linear layer within the image tower's layers")  # fmt: skip
    second: str = setting("linear", "second tower: linear and mlp take a panel's expression, set takes all genes, "
                                    "vectors takes another model's vectors; text is the checkpoint's text tower, for "
                                    "sentences of top genes", choices=TOWERS)  # fmt: skip
    standardise: bool = setting(True, "standardise the input of a gene tower by mean and std of the training spots; "
                                "false leaves it as it is, as the original does")  # fmt: skip
    vector_head: str = setting("linear", "head on another model's vectors: one layer, or two", choices=PANEL_TOWERS)
    gene_width: int | None = setting(None, "for the tower set: width of the gene embeddings; null: 128, or the "
                                     "width of gene_embeddings", least=1, most=2**16)  # fmt: skip
    gene_embeddings: str | None = setting(None, "for the tower set: table with which gene embeddings begin, Parquet "
                                          "or CSV, the gene's name first, then numbers", file=True)  # fmt: skip
    latent_dim: int = setting(32, "width of the joint space; a text tower has its own", least=1, most=2**16)

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "image", find_shipped(self.image))  # such as the tiny one
        if self.second == "text" and self.options != TowerOptions():
            raise DataError(
                "towers.pooling, size, mean, std, model_args, trust_remote_code: work only with a gene tower; leave "
                "them out, as a text tower takes its CLIP unchanged"
            )

    @property
    def options(self) -> TowerOptions:
        """Values of the image encoder that differ from those of its preset or its checkpoint."""
        return TowerOptions(self.pooling, self.size, self.mean, self.std, self.model_args or {}, self.trust_remote_code)


@dataclass(frozen=True)
class LossSettings(Group):
    """The contrastive loss, and the batches that it compares."""

    group: ClassVar[str] = "loss"

    objective: str = setting("clip", "loss: clip (cross-entropy), siglip (each pair by itself, with a bias) or soft "
                                     "(targets by similar expression, after BLEEP)", choices=OBJECTIVES)  # fmt: skip
    neighbour_um: float | None = setting(None, "distance in µm within which spots of one slide are no negatives of "
                                         "each other; null: all spots are negatives", least=0)  # fmt: skip
    batch_size: int = setting(1024, "number of spots in a batch, over all processes; each is a negative of the "
                              "others", least=2)  # fmt: skip
    chunk: int | None = setting(None, "number of spots that go through the towers at once: less memory, a third "
                                "more work; null: the whole batch", least=1)  # fmt: skip
    slides_per_batch: int | None = setting(None, "number of slides that a batch is drawn from; null: all", least=1)
    spots_per_slide: int | None = setting(None, "largest number of spots that a slide gives to an epoch, drawn anew "
                                          "for each; null: all", least=1)  # fmt: skip
    balance: str | None = setting(None, "give equally many spots of each slide, or of each study, to an epoch; spots "
                                        "of small ones come more than once", choices=BALANCES)  # fmt: skip
    clamp: bool = setting(True, "keep the logit scale between 0 and ln 100")


@dataclass(frozen=True)
class OptimiserSettings(Group):
    """The optimiser, and the learning rate of each part."""

    group: ClassVar[str] = "optimiser"

    kind: str = setting("adamw", "optimiser: adamw, or the original's adam, with one lr and an L2 penalty on all "
                        "weights", choices=OPTIMISERS)  # fmt: skip
    lr: float = setting(5e-5, "learning rate of the checkpoint's layers", least=0)
    layer_decay: float = setting(1.0, "ratio of the learning rate of each layer of the image tower to that of the "
                                 "layer above it", above=0, most=1)  # fmt: skip
    heads_first: int = setting(0, "number of first epochs in which the image tower is not trained", least=0)
    head_lr: float = setting(1e-3, "learning rate of layers with random weights", least=0)
    logit_scale_lr: float = setting(1e-3, "learning rate of the logit scale", least=0)
    betas: tuple[float, ...] = setting((0.9, 0.98), "decay of the two moments", length=2, least=0, below=1)
    eps: float = setting(1e-6, "number added to the denominator of the update", least=0)
    weight_decay: float = setting(0.2, "weight decay; adamw spares biases, norms and the logit scale", least=0)
    warmup: float = setting(0.1, "share of all steps in which the learning rate rises", least=0, most=1)
    cosine: bool = setting(True, "let the learning rate fall to 0 after the warm-up; false keeps it")
    clip_norm: float | None = setting(1.0, "largest norm of the gradient; null clips none", above=0)


@dataclass(frozen=True)
class RunSettings(Group):
    """The length of the run, its processes and precision, and the files that it keeps."""

    group: ClassVar[str] = "run"

    epochs: int = setting(15, "number of epochs; a later run may ask for more", least=1, most=10**6)
    patience: int | None = setting(None, "number of epochs without a better held-out loss after which the run "
                                   "stops; null: it never stops early", least=1)  # fmt: skip
    mixed_precision: str | None = setting(None, "precision of the arithmetic; null: as accelerate launch says",
                                          choices=PRECISIONS)  # fmt: skip
    gradient_checkpointing: bool = setting(False, "compute activations twice: less memory, a third more work")
    compile: bool | None = setting(None, "compile the towers: faster steps after a slow first one; null: as "
                                   "accelerate is configured")  # fmt: skip
    validate_steps: int | None = setting(None, "number of steps between scores of the held-out slides, in addition "
                                         "to once an epoch", least=1)  # fmt: skip
    checkpoint_steps: int | None = setting(None, "number of steps between checkpoints, in addition to one an epoch",
                                           least=1)  # fmt: skip
    keep: int = setting(2, "number of checkpoints that are kept", least=1)
    epoch_models: bool = setting(False, "keep the model of each epoch too, in OUT/epochs")
    processes: int | None = setting(None, "number of processes that the run must have; null: any number", least=1)
    workers: int | None = setting(None, "number of processes of each rank that decode patches; null: the rank's "
                                  "share of the cores, minus one", least=0)  # fmt: skip
    seed: int = setting(0, "seed of weights, order and augmentation", least=0, most=2**32 - 1)
    seeds: tuple[int, ...] = setting((), "seeds of several runs, into OUT/seed-0 and so on; they take the place of "
                                     "seed", least=0, most=2**32 - 1)  # fmt: skip
    probe_spots: int = setting(5000, "number of spots of the training slides on which the linear probe is fitted",
                               least=0)  # fmt: skip
    trackers: tuple[str, ...] = setting((), "trackers of accelerate: tensorboard, wandb, trackio")

    def __post_init__(self) -> None:
        super().__post_init__()
        if twice := [seed for seed in self.seeds if self.seeds.count(seed) > 1]:
            raise DataError(f"run.seeds: has {twice[0]} twice; the second run would be the first again")


GROUPS: dict[str, Any] = {
    group.group: group for group in (DataSettings, TowerSettings, LossSettings, OptimiserSettings, RunSettings)
}
SETTINGS: dict[str, Setting] = {one.name: one for group in GROUPS.values() for one in settings_of(group).values()}
FILES = {name for name, one in SETTINGS.items() if one.file}

TAKEN_BY = {  # which second towers take a setting; text overlooks the first two, which its base may have
    "data.panel": (*PANEL_TOWERS, "text"), "data.normalise": (*PANEL_TOWERS, "text"), "data.vectors": ("vectors",),
    "towers.gene_width": ("set",), "towers.gene_embeddings": ("set",), "towers.vector_head": ("vectors",),
}  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """Settings of a run, in their groups; `DataError` for values that exclude each other."""

    data: DataSettings = field(default_factory=DataSettings)
    towers: TowerSettings = field(default_factory=TowerSettings)
    loss: LossSettings = field(default_factory=LossSettings)
    optimiser: OptimiserSettings = field(default_factory=OptimiserSettings)
    run: RunSettings = field(default_factory=RunSettings)

    def __post_init__(self) -> None:
        if kinds := [name for name in texts_of(self.data.exclude or ()) if name in GENE_KINDS]:
            raise DataError(f"data.exclude: leaves out slides; {kinds[0]} genes are left out by exclude_genes")
        _ = self.data.splitting, self.data.patch  # refuse what does not go together
        if not self.data.source:
            raise DataError("data.source: is not given; name a root or published spots, as argument or in the "
                            "configuration")  # fmt: skip
        self._check_tuning()
        self._check_second()

    def _check_second(self) -> None:
        """Refuse settings that the second tower does not take, and a tower without what it takes."""
        second = self.towers.second
        if self.takes_panel:
            _ = self.panel
        elif self.loss.objective == "soft" or (second == "text" and self.loss.objective != "clip"):
            able = "a text tower takes clip alone" if second == "text" else f"{second} takes clip or siglip"
            raise DataError(
                f"loss.objective: is {self.loss.objective}, which needs a gene tower that takes a panel; {able}"
            )
        if second == "vectors":
            _ = self.vectors
        if second == "set" and not self.towers.standardise:
            raise DataError(
                "towers.standardise: is false, but the tower set needs it to tell a gene without a count from a gene "
                "that was not measured; leave it true, or pass towers.second=linear"
            )
        given = flat(self.record)
        for name, towers in TAKEN_BY.items():
            if second not in towers and given[name] != SETTINGS[name].default:
                raise DataError(
                    f"{name}: is given, but the tower {second} does not use it; leave it out, or pass "
                    f"towers.second={towers[0]}"
                )

    @property
    def takes_panel(self) -> bool:
        """Whether the second tower takes a panel's expression."""
        return self.towers.second in PANEL_TOWERS

    def _check_tuning(self) -> None:
        """Refuse what can't be tuned so."""
        towers, pace = self.towers, self.optimiser
        asked = {"towers.freeze_layers": towers.freeze_layers, "towers.freeze": towers.freeze,
                 "towers.lora_rank": towers.lora_rank, "optimiser.layer_decay": pace.layer_decay != 1,
                 "optimiser.heads_first": pace.heads_first}  # fmt: skip
        looks = {f"towers.{one.name}": getattr(towers, one.name) for one in fields(TowerOptions)}
        if self.data.image_vectors and (found := [name for name, value in {**asked, **looks}.items() if value]):
            raise DataError(
                f"{found[0]}: is for an image tower, but data.image_vectors take the place of that tower; leave out "
                "one of the two"
            )
        asked = {"data.image_vectors": self.data.image_vectors, **asked}
        if towers.second == "text" and (found := [name for name in ALL_BUT_TEXT if asked[name]]):
            raise DataError(f"{found[0]}: is for a gene tower; a text tower is tuned with all its weights")
        if pace.kind == "adam" and (found := [name for name in ADAMW if asked[name]]):
            raise DataError(f"{found[0]}: needs optimiser.kind=adamw; adam has one lr for all")
        if pace.heads_first >= self.run.epochs:
            raise DataError(f"optimiser.heads_first: is {pace.heads_first} of {self.run.epochs} epochs, so the image "
                            "tower would never learn; make it less")  # fmt: skip
        if towers.lora_targets and not towers.lora_rank:
            raise DataError("towers.lora_targets: needs towers.lora_rank")

    @property
    def panel(self) -> str:
        """The panel's file; `DataError` if none is named."""
        if self.data.panel is None:
            raise DataError("data.panel: is not given; make one with stimage select-genes, or pass towers.second=set "
                            "or towers.second=text")  # fmt: skip
        return self.data.panel

    @property
    def vectors(self) -> str:
        """The file of spots' vectors; `DataError` if none is named."""
        if self.data.vectors is None:
            raise DataError("data.vectors: is not given; name a file or folder of spots' vectors, or pass another "
                            "towers.second")  # fmt: skip
        return self.data.vectors

    @property
    def record(self) -> dict[str, dict[str, Any]]:
        """All settings by group and name, as JSON has them."""
        return {group: {name: list(value) if isinstance(value, tuple) else value for name, value in own.items()}
                for group, own in asdict(self).items()}  # fmt: skip


def flat(record: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the settings of a record by their full names."""
    return {f"{group}.{name}": value for group, own in record.items() for name, value in own.items()}
