"""The demo's recipe: its steps, from a root to figures."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from stimage.demo.choice import Choice
from stimage.demo.steps import Step

NAMES = ("--names", "untrained", "tuned")


@dataclass(frozen=True)
class Recipe:
    """Makes the steps of the demo.

    Parameters
    ----------
    out
        The folder of all results.
    scripts
        The folder of the scripts.
    config, tower
        The YAML file of the fine-tuning, and its untrained CLIP.
    """

    choice: Choice
    out: Path
    scripts: Path
    config: Path
    tower: Path

    def steps(self, overrides: list[str]) -> list[Step]:
        """Return the steps in order; ``overrides`` change settings of the fine-tuning."""
        return [*self._prepare(), *self._tune(overrides), *self._embed(), *self._score(), *self._draw()]

    @cached_property
    def slides(self) -> tuple[str, ...]:
        """The chosen slides as options of a script."""
        return ("--slides", *self.choice.names)

    @cached_property
    def split(self) -> str:
        """The split of the probe: by slide, if more than one slide has labels."""
        return "slide" if len(self.choice.labels) > 1 else "block"

    @cached_property
    def no_labels(self) -> str:
        """The reason why steps with labels are left out, "" if they are not."""
        labels = set().union(*self.choice.labels.values())
        return "" if len(labels) > 1 else "the annotation of these slides does not have two labels"

    def _step(self, name: str, script: str, *arguments: object, makes: Path, **more: Any) -> Step:
        return Step(name, (str(self.scripts / script), *map(str, arguments)), makes, **more)

    def _prepare(self) -> list[Step]:
        choice, root, shards, panel = self.choice, self.choice.root, self.out / "shards", self.out / "panel.json"
        held_out = ("--held-out", *(slide.name for slide in choice.held_out)) if choice.held_out else ()
        checked, colour = self.out / "check_spots", "annotation" if choice.labels else "counts"
        return [
            self._step("check the slides", "data_collection/check_spots.py", root, *self.slides, "--colour", colour,
                       "--out", checked, makes=checked, exits=(0, 1)),
            self._step("choose genes on the training slides", "data_process/select_genes.py", root, "--method",
                       "hvg-consensus", *self.slides, *held_out, "--out", panel, makes=panel),
            self._step("build shards", "data_process/build_shards.py", root, shards, *self.slides, makes=shards,
                       resumes=True),
        ]  # fmt: skip

    def _tune(self, overrides: list[str]) -> list[Step]:
        run, choice = self.out / "tuned", self.choice
        settings = {
            "towers.image": str(self.tower), "panel": str(self.out / "panel.json"), "tech": choice.tech,
            "species": None, "split_by": None,
            "validation_slides": [slide.name for slide in choice.held_out] or None,
            "batch_size": max(2, min(64, sum(slide.about_spots for slide in choice.train) // 4)),
        }  # fmt: skip
        values = (
            f"{name}={value if isinstance(value, str) else json.dumps(value)}" for name, value in settings.items()
        )
        return [self._step("fine-tune a tiny CLIP", "finetune/finetune_clip.py", self.out / "shards", "--config",
                           self.config, "--out", run, "--override", *values, *overrides, makes=run, resumes=True,
                           reads=(self.config, self.tower / "config.json"))]  # fmt: skip

    def _embed(self) -> list[Step]:
        return [
            self._step(f"embed, {name}", "evaluation/embed_spots.py", self.out / "shards", "--model",
                       self.out / "tuned" / model, "--out", self.out / "embeddings" / name,
                       makes=self.out / "embeddings" / name, resumes=True)
            for name, model in (("untrained", "untrained"), ("tuned", "model"))
        ]  # fmt: skip

    def _score(self) -> list[Step]:
        alone = "" if len(self.choice.slides) > 1 else "one slide can't be predicted from others"
        probe = ("--split", self.split)
        return [
            *self._each_model("linear probe", "evaluation/linear_probe.py", "probe", *probe, left_out=self.no_labels),
            *self._each_model("embedding scores", "evaluation/embedding_scores.py", "scores", left_out=self.no_labels),
            *self._each_model("predict expression", "evaluation/predict_expression.py", "prediction", "--maps",
                              len(self.choice.slides), left_out=alone),
        ]  # fmt: skip

    def _each_model(self, name: str, script: str, folder: str, *more: object, left_out: str) -> list[Step]:
        """Score the embeddings of both models, on all slides; the report has those that were held out."""
        return [
            self._step(f"{name}, {model}", script, "--embeddings", self.out / "embeddings" / model, "--root",
                       self.choice.root, *self.slides, *more, "--seen", "score", "--out", self.out / folder / model,
                       makes=self.out / folder / model, left_out=left_out)
            for model in NAMES[1:]
        ]  # fmt: skip

    def _draw(self) -> list[Step]:
        out, root, slide = self.out, self.choice.root, self.choice.shown.name
        embeddings = [out / "embeddings" / model for model in NAMES[1:]]
        coloured = ("--embeddings", embeddings[1]) if self.split == "slide" and slide in self.choice.labels else ()
        return [
            self._figure("the embeddings", "projection", "projection_umap", "--embeddings", *embeddings, *NAMES,
                         "--root", root, *self.slides, "--method", "UMAP"),
            self._figure("the probes", "f1", "macro_f1_bars", "--results", out / "probe/untrained", out / "probe/tuned",
                         *NAMES),
            self._figure("the scores", "scores", "score_boxes", "--results", out / "scores/untrained",
                         out / "scores/tuned", *NAMES),
            self._figure("the labels", "labels", f"labels_{slide}", "--root", root, "--slide", slide, *coloured),
        ]  # fmt: skip

    def _figure(self, name: str, kind: str, file: str, *arguments: object) -> Step:
        figures = self.out / "figures"
        return self._step(f"draw {name}", "evaluation/figures.py", kind, *arguments, "--out", figures,
                          makes=figures / f"{file}.png", left_out=self.no_labels)  # fmt: skip
