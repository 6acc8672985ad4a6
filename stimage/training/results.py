"""The results of a run: the model with its card, scores as JSON, curves as a picture."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import ModelCard

from stimage.core.errors import DataError
from stimage.core.files import replacing_folder
from stimage.core.results import as_json, record_results
from stimage.figures.curves import training_curves
from stimage.figures.style import save
from stimage.loading.provenance import PROVENANCE, Provenance
from stimage.publishing.pushing import push_folder
from stimage.towers.saving import save_towers
from stimage.training.card_data import card_data, plain_name
from stimage.training.data.contents import CONTENTS
from stimage.training.run import Run
from stimage.training.second.processor import gene_inputs
from stimage.training.settings.groups import Settings

CARD_SCORES = ("loss", "pooled_image_to_other_recall@10", "slide_image_to_other_recall@10", "slide_chance_recall@10",
         "probe_f1")  # fmt: skip
PACKAGES = ("torch", "transformers", "accelerate", "datasets", "stimage-1k4m")
LOAD = {
    "text": """\
from transformers import CLIPModel

model = CLIPModel.from_pretrained("{repo}")""",
    "spots": """\
{imports}
from transformers import AutoModel, AutoProcessor

model = AutoModel.from_pretrained("{repo}", trust_remote_code=True)
processor = AutoProcessor.from_pretrained("{repo}", trust_remote_code=True)
{given}
found = model(**processor({arguments}))
found.image_embeds, found.gene_embeds  # unit vectors in one space: their products are similarities""",
}
IMAGE = 'image = Image.new("RGB", (224, 224))  # of the tissue around a spot'
IMAGE_VECTORS = "images = np.zeros((1, {width}), np.float32)  # the image encoder's vectors of a spot"
COUNTS = """\
# raw counts of a spot, of all its genes; or an AnnData of a whole slide, whose genes are named so
counts = dict.fromkeys(processor.genes, 1)"""
VECTORS_OF_GENES = "genes = np.zeros((1, {width}), np.float32)  # the other model's vectors of a spot's expression"
TEXT = """\
# {vision}, fine-tuned on tissue spots

Images of tissue spots beside {other}, in one space; tuned from `{vision}` on {spots:,} spots of {slides} slides of
`{data}` ({tech}), by the contrastive loss over batches of {batch}.

```python
{load}
```

{images}

{panel}
Trained on: {trained}.

{held_out}

Settings: `settings.json`; the slides of each split: `slides.json`. Method and data: Chen et al., *STimage-1K4M*,
NeurIPS 2024 Datasets and Benchmarks, [arXiv 2406.06393](https://arxiv.org/abs/2406.06393).
"""
IMAGES = "Images are normalised by the image processor in this repository; patches are {patch}."
VECTORS = (
    "It has no image encoder: it takes the vectors that `{vision}` makes of images (`image_vectors` in `config.json`)."
)
HELD_OUT_TEXT = """\
## On held-out slides

{slides}

| epoch | {heads} |
| --- | {rule} |
{rows}

Recall@10 is of finding a spot's {other} by its image: pooled, among all held-out spots; slide, among the spots of its
own slide, where stain and scanner tell nothing. Epoch 0 is the model before training, and the last row is this model,
the one with the least loss on these slides: what chose it, flatters it a little. Spots of one slide are never on both
sides.{test}
"""


@dataclass(frozen=True)
class ModelFolder:
    """Writes a run's best model into OUT/model, and uploads it if a repository was opened.

    With ``epoch_models``, the model of each epoch is kept as OUT/epochs/epoch-01 and so on. A model with random weights
    is also written into OUT/untrained before training, to compare with.
    """

    repo: str | None = None
    push_each: bool = False

    def __call__(self, run: Run, weights: dict[str, torch.Tensor]) -> None:
        epoch = run.progress.history[-1]["epoch"]
        if run.settings.run.epoch_models and epoch == int(epoch):
            self._write(run, weights, run.out / f"epochs/epoch-{int(epoch):02d}")
        if epoch != run.progress.best_epoch:
            return
        self._write(run, weights, run.out / "model")
        if self.repo and self.push_each:
            try:
                push_folder(run.out / "model", self.repo, "model", f"After step {run.progress.step}")
            except DataError as error:  # no reason to lose an epoch: it is uploaded at the end anyway
                print(f"warning: not uploaded after step {run.progress.step}: {error}", flush=True)

    def write_untrained(self, run: Run) -> None:
        """Write the model as it is now; called in all processes."""
        weights = run.weights()
        if run.accelerator.is_main_process:
            self._write(run, weights, run.out / "untrained", replace(run.provenance, trained={}, validation={}))

    def _write(
        self, run: Run, weights: dict[str, torch.Tensor], place: Path, provenance: Provenance | None = None
    ) -> None:
        with replacing_folder(place) as folder:
            self._fill(run, weights, folder)
            (folder / PROVENANCE).write_text(as_json((provenance or run.provenance).record), "utf-8")

    def _fill(self, run: Run, weights: dict[str, torch.Tensor], folder: Path) -> None:
        inputs = gene_inputs(run.settings, run.model.model.config, weights, run.median_total)
        save_towers(run.model, weights, folder, inputs)
        if run.tokenizer:
            run.tokenizer.save_pretrained(folder)
        (folder / "settings.json").write_text(as_json(run.settings.record), "utf-8")
        (folder / "slides.json").write_text(as_json(run.parts.record), "utf-8")
        (folder / CONTENTS).write_text(as_json(run.contents), "utf-8")
        model_card(run, self.repo or str(run.out / "model")).save(folder / "README.md")


def model_card(run: Run, repo: str) -> ModelCard:
    """Return the card of a run's model: data, panel, split, scores, how to load it."""
    settings, vision = run.settings, run.settings.towers.image
    if made := getattr(run.model.model.config, "image_vectors", None):
        vision = made["model"] or Path(settings.data.image_vectors or "").name
    text = settings.towers.second == "text"
    other = "sentence of top genes" if text else "gene expression"
    progress = run.progress
    best = next((one for one in progress.history if one["epoch"] == progress.best_epoch), {})
    held_out = run.held_out.slides if run.held_out else ()
    data = card_data(vision, settings.data.source, text, best, CARD_SCORES, held_out)
    body = TEXT.format(
        vision=plain_name(vision), other=other, spots=len(run.train), slides=len(run.train.slides),
        data=plain_name(settings.data.source), tech=settings.data.tech, batch=settings.loss.batch_size,
        load=LOAD["text"].format(repo=repo) if text else _loading(run.model.model.config, repo),
        held_out=_held_out(run, other), trained=_some(run.train.slides),
        images=VECTORS.format(vision=plain_name(vision)) if made else IMAGES.format(patch=_patch(settings)),
        panel=_genes(settings, run.model.model.config),
    )  # fmt: skip
    return ModelCard(f"---\n{data.to_yaml()}\n---\n\n{body}")


def _loading(config: Any, repo: str) -> str:
    """Return the code that loads a model with a gene tower, and embeds a spot."""
    heads, vectors = config.image_encoder is None, config.gene_tower == "vectors"
    given = (
        IMAGE_VECTORS.format(width=config.image_width) if heads else IMAGE,
        VECTORS_OF_GENES.format(width=config.vector_width) if vectors else COUNTS,
    )
    arguments = ("image_vectors=images" if heads else "image", "vectors=genes" if vectors else "genes=counts")
    imports = ("import numpy as np",) * (heads or vectors) + ("from PIL import Image",) * (not heads)
    return LOAD["spots"].format(
        repo=repo, imports="\n".join(imports), given="\n".join(given), arguments=", ".join(arguments)
    )


def _patch(settings: Settings) -> str:
    return f"{settings.data.patch_um:g} µm" if settings.data.patch_um else "as the data has them"


def _genes(settings: Settings, config: Any) -> str:
    """Return the card's text about the genes of the gene tower."""
    second = settings.towers.second
    if second == "set":
        return (f"The gene tower takes all genes of a spot with their raw counts, and which were measured: it knows "
                f"{len(config.genes):,} by name (`genes` in `config.json`).\n")  # fmt: skip
    if second == "vectors":
        return f"The gene tower takes vectors of length {config.vector_width} that another model makes of expression.\n"
    if second == "text":
        return f"Sentences have {config.sentence_genes} genes, the most expressed first.\n"
    return f"The panel, expression by `{settings.data.normalise}`: {', '.join(config.genes)}.\n"


def _held_out(run: Run, other: str) -> str:
    """Return the card's text about the slides that were not trained on."""
    test = f"\n\nLeft alone, for testing: {_some(run.parts.test)}." if run.parts.test else ""
    if not run.held_out:
        return f"No slide was held out, so nothing says how good it is.{test}"
    history = run.progress.history
    heads = [name for name in CARD_SCORES if any(name in scores for scores in history)]
    rows = [
        " | ".join([f"| {s['epoch']}", *(f"{s[name]:.4g}" if name in s else "" for name in heads)]) for s in history
    ]
    slides = f"{len(run.held_out):,} spots of {_some(run.held_out.slides)}."
    if seen := set(run.seen) & set(run.held_out.slides):
        slides += f" The panel's genes were chosen on {len(seen)} of these slides, too."
    return HELD_OUT_TEXT.format(
        slides=slides, other=other, heads=" | ".join(heads), rule=" | ".join("---" for _ in heads),
        rows="\n".join(f"{row} |" for row in rows), test=test,
    )  # fmt: skip


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")


def write_results(out: Path, run: Run) -> None:
    """Write OUT/results.json and OUT/curves.png; the seconds are this process's, not those of one killed before."""
    progress, settings = run.progress, run.settings
    best = next((s for s in progress.history if s["epoch"] == progress.best_epoch), {})
    record_results(
        out, "settings", settings.record, [settings.run.seed], PACKAGES, time.monotonic() - run.began,
        processes=run.accelerator.num_processes,
        spots={"train": len(run.train), "held_out": len(run.held_out) if run.held_out else 0},
        slides=run.parts.record, too_coarse=run.coarse, panel_saw=run.seen, contents=run.contents,
        schedule=[{"from_step": step, "epochs": epochs} for step, epochs in progress.planned],
        overall=best, history=progress.history, losses=progress.losses,
    )  # fmt: skip
    save(training_curves(progress.losses, progress.history), out / "curves", ("png",))
