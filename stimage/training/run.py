"""A training run from start to end: like the original's, with held-out slides, exact resuming, and several GPUs."""

import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate.utils import set_seed
from tqdm import tqdm

from stimage.core.errors import DataError
from stimage.genes.panels import Panel
from stimage.towers.presets import checkpoint_of
from stimage.towers.reading import tokenizer_of
from stimage.towers.tuning.layers import forget_gradients, recompute
from stimage.towers.tuning.lora import merged
from stimage.towers.two_towers import TwoTowers, gene_towers, head_towers, model_state, text_towers
from stimage.training.checkpoints import Progress, claim, has_trained, newest, save_checkpoint, write_record
from stimage.training.contrastive import backward
from stimage.training.data.contents import check_contents, contents_of
from stimage.training.data.image_vectors import ImageVectors, image_vectors_of, with_vectors
from stimage.training.data.magnification import check_magnification, without_coarse
from stimage.training.data.parts import balanced_groups, choose_parts, need_held_out
from stimage.training.data.seen import panel_saw, provenance_of
from stimage.training.launch import make_accelerator, with_precision
from stimage.training.objectives import objective_of
from stimage.training.optimizer import choose_tuned, make_optimizer, make_schedule, realign
from stimage.training.order import epoch_rows, global_batches
from stimage.training.second.beginning import begin_second, known_genes
from stimage.training.second.processor import usual_total
from stimage.training.settings.groups import Settings, flat
from stimage.training.spots import load_spots
from stimage.training.validation import epoch_line, loader, to_device, validate

MAX_LOGIT_SCALE = float(np.log(100))


class Run:
    """A training run with all that it needs; `fit` trains.

    Parameters
    ----------
    settings, out
        The settings, and the folder of the run. An earlier run in the folder continues, if it has the same settings, or
        fewer epochs.
    keep_model
        Function that saves the model. It is called in the main process with the run and the model's weights, whenever
        the held-out loss is the best so far; without held-out spots or with ``epoch_models``, after each epoch.
    """

    def __init__(self, settings: Settings, out: Path, keep_model: Callable[["Run", dict[str, torch.Tensor]], None]):
        self.settings = settings = with_precision(settings)
        self.out, self.keep_model, self.progress = out, keep_model, Progress()
        self.kept = 0  # step of the newest checkpoint
        self.began = time.monotonic()
        self.accelerator = make_accelerator(settings, out)
        say = self.accelerator.print
        with self.accelerator.main_process_first():
            self.epochs_before = claim(out, settings.record)["run.epochs"]
        set_seed(settings.run.seed)
        self.tokenizer = (
            tokenizer_of(checkpoint_of(settings.towers.image)) if settings.towers.second == "text" else None
        )
        vectors = image_vectors_of(settings, say)
        towers = make_towers(settings, vectors)
        with self.accelerator.main_process_first():  # it prepares the data, the others find it prepared
            self._load(towers, vectors)
        for line in begin_second(towers, settings, self.train.other, self.train.inputs, not newest(out)):
            say(line)
        if not need_held_out(settings, self.held_out.slides if self.held_out else ()):
            say("note: nothing is held out: name validation_slides, or say split_by= or splits=")
        self.groups = balanced_groups(settings, self.train.slides)
        self.seen = panel_saw(settings, self.parts, say)
        expression = self.train.other.provenance
        self.provenance = provenance_of(settings, self.parts, self.contents, say, vectors, expression)
        self.steps_per_epoch = len(self.batches(0))
        if not self.steps_per_epoch:
            raise self._too_few()
        optimizer = make_optimizer(towers, settings.optimiser)
        self.resting = settings.optimiser.heads_first * self.steps_per_epoch  # steps of the image tower
        steps = settings.run.epochs * self.steps_per_epoch
        self.schedule = make_schedule(optimizer, settings.optimiser, steps, self.resting)
        self.towers, self.optimizer = self.accelerator.prepare(towers, optimizer)
        self.accelerator.register_for_checkpointing(self.progress, self.schedule)

    def _load(self, towers: TwoTowers, vectors: ImageVectors | None) -> None:
        """Choose the slides, check them, and load their spots."""
        settings, is_main = self.settings, self.accelerator.is_main_process
        self.parts, self.coarse = without_coarse(settings, choose_parts(settings), self.accelerator.print)
        need_held_out(settings, self.parts.validation)
        self.contents = contents_of(settings, self.parts, towers) if is_main else {}
        if is_main:
            check_magnification(settings, self.parts)
            check_contents(self.out, self.contents, has_trained(self.out))
        genes, size = known_genes(towers), towers.image_size
        self.train, self.held_out = load_spots(settings, self.parts, size, self.tokenizer, genes)
        if vectors:
            self.train = with_vectors(self.train, vectors)
            self.held_out = self.held_out and with_vectors(self.held_out, vectors)

    @property
    def model(self) -> TwoTowers:
        """The towers, as they were before accelerate wrapped them."""
        return self.accelerator.unwrap_model(self.towers, keep_torch_compile=False)

    @cached_property
    def median_total(self) -> float | None:
        """The usual median total of the training slides, for counts that come without their slide."""
        return usual_total(self.settings, self.train.slides, self.train.other)

    def weights(self) -> dict[str, torch.Tensor]:
        """Return the model's weights in the main process. Under FSDP, all processes must call this."""
        state = self.accelerator.get_state_dict(self.towers)
        own = self.settings.towers
        scaling = own.lora_alpha / own.lora_rank if own.lora_rank else 0.0
        return merged(model_state(state), scaling) if self.accelerator.is_main_process else {}

    def fit(self) -> Progress:
        """Train to the end, or until the held-out loss is no better for ``patience`` epochs."""
        settings, progress, accelerator = self.settings, self.progress, self.accelerator
        if checkpoint := newest(self.out):
            accelerator.load_state(str(checkpoint))
            self.kept = progress.step
            accelerator.print(f"going on after step {progress.step}, from {checkpoint}")
        self._plan()
        if settings.run.trackers:
            accelerator.init_trackers("stimage", config={k: str(v) for k, v in flat(settings.record).items()})
        if not progress.history and self.held_out:
            self._validate(0)
        steps, begin = settings.run.epochs * self.steps_per_epoch, progress.step
        if (settings.run.validate_steps or 0) > steps:
            accelerator.print(f"note: run.validate_steps is {settings.run.validate_steps}, more than the {steps} steps "
                              "of the run: held-out slides are scored after each epoch alone")  # fmt: skip
        while (epoch := progress.step // self.steps_per_epoch) < settings.run.epochs and not self._is_late(epoch):
            self._epoch(epoch)
        if epoch < settings.run.epochs and progress.step == begin:
            accelerator.print(f"note: nothing is trained: {settings.run.patience} epochs had no better held-out loss; "
                              "raise run.patience to go on")  # fmt: skip
        return progress

    def _plan(self) -> None:
        """Follow the schedule of all epochs, also of those that were asked for after the run had begun."""
        epochs, planned = self.settings.run.epochs, self.progress.planned
        planned = planned or [(0, self.epochs_before)]
        if (before := planned[-1][1]) != epochs:
            planned = [*planned, (self.progress.step, epochs)]
            self.accelerator.print(f"from step {self.progress.step + 1} on, the learning rate is that of a run of "
                                   f"{epochs} epochs, no longer of {before}")  # fmt: skip
        self.progress.planned = planned
        realign(self.schedule)

    def close(self, leave: bool = True) -> None:
        """Finish the trackers and, unless another run follows, leave the process group; the model is then gone."""
        self.towers = self.optimizer = None
        self.accelerator.free_memory()  # processes that leave while DDP is there wait for ever
        if leave:
            self.accelerator.end_training()
        else:
            for tracker in self.accelerator.trackers:
                tracker.finish()

    def batches(self, epoch: int) -> list[np.ndarray]:
        """Return the rows of an epoch's global batches."""
        loss, seed = self.settings.loss, self.settings.run.seed
        rows = self._rows(epoch)
        return global_batches(self.train.slide, loss.batch_size, seed, epoch, loss.slides_per_batch, rows)

    def _rows(self, epoch: int) -> np.ndarray | None:
        settings = self.settings
        return epoch_rows(self.train.slide, self.groups, settings.run.seed, epoch, settings.loss.spots_per_slide)

    def _too_few(self) -> DataError:
        loss, rows, spots = self.settings.loss, self._rows(0), len(self.train)
        if rows is not None and len(rows) < spots:
            return DataError(f"loss.batch_size: is {loss.batch_size}, but an epoch takes {len(rows)} of the {spots} "
                             f"spots, as loss.spots_per_slide is {loss.spots_per_slide}; make the first less, or the "
                             "second more")  # fmt: skip
        return DataError(
            f"loss.batch_size: is {loss.batch_size}, but there are {spots} spots to train on; make it less"
        )

    def _epoch(self, epoch: int) -> None:
        settings, accelerator, progress = self.settings, self.accelerator, self.progress
        rank, ranks = accelerator.process_index, accelerator.num_processes
        done = progress.step % self.steps_per_epoch
        batches = [(epoch, rows[rank::ranks]) for rows in self.batches(epoch)[done:]]
        bar = tqdm(total=self.steps_per_epoch, initial=done, desc=f"epoch {epoch + 1}/{settings.run.epochs}",
                   unit="step", disable=None if accelerator.is_main_process else True)  # fmt: skip
        began, waited = time.perf_counter(), 0.0
        asked = began
        for batch in loader(self.train, batches, settings.run.workers):
            waited += time.perf_counter() - asked
            loss = self.step(to_device(batch, accelerator))
            bar.set_postfix(loss=f"{loss:.4f}")
            bar.update()
            asked = time.perf_counter()
        bar.close()
        seconds = max(time.perf_counter() - began, 1e-9)
        rate = len(batches) * settings.loss.batch_size / seconds
        self._validate(epoch + 1, spots_per_second=rate, waiting_share=waited / seconds)
        self._save()

    def step(self, batch: dict[str, torch.Tensor]) -> float:
        """Learn from this process's share of a global batch, and return the loss over the whole of it."""
        settings, accelerator = self.settings, self.accelerator
        loss = float(backward(accelerator, self.towers, batch, settings.loss.chunk, objective_of(settings)))
        self._check(loss, self.progress.step + 1)
        if settings.run.checkpoint_steps and self.progress.step % settings.run.checkpoint_steps == 0:
            self._save()  # only now is it known that the weights are good
        if self.progress.step < self.resting:
            forget_gradients(self.model.model)
        if settings.optimiser.clip_norm:
            accelerator.clip_grad_norm_(self.towers.parameters(), settings.optimiser.clip_norm)
        self.optimizer.step()
        self.schedule.step()
        self.optimizer.zero_grad()
        if settings.loss.clamp:
            with torch.no_grad():
                self.model.model.logit_scale.clamp_(0, MAX_LOGIT_SCALE)
        self.progress.step += 1
        self.progress.losses.append(loss)
        if settings.run.trackers:
            accelerator.log({"train/loss": loss, "train/lr": self.schedule.get_last_lr()[0]}, step=self.progress.step)
        every, (epoch, step) = settings.run.validate_steps, divmod(self.progress.step, self.steps_per_epoch)
        if every and step and self.progress.step % every == 0:  # after an epoch it is done anyway
            self._validate(round(epoch + step / self.steps_per_epoch, 6))
        return loss

    def _save(self) -> None:
        if self.progress.step > self.kept:
            if self.accelerator.is_main_process and self.epochs_before != self.settings.run.epochs:
                write_record(self.out, self.settings.record)
            save_checkpoint(self.accelerator, self.out, self.progress.step, self.settings.run.keep)
            self.kept = self.progress.step

    def _check(self, loss: float, step: int) -> None:
        if not np.isfinite(loss):
            kept = newest(self.out) or "the checkpoint that it began with"
            raise DataError(f"step {step}: the loss is {loss}; the last good state is {kept}; "
                            "try a lower lr, or mixed_precision=no, with another out= (--out)")  # fmt: skip

    def _validate(self, epoch: float, **measured: float) -> None:
        progress, accelerator = self.progress, self.accelerator
        recent = progress.losses[-self.steps_per_epoch :]
        scores: dict[str, Any] = {
            "epoch": epoch,
            "step": progress.step,
            "train_loss": float(np.mean(recent)) if recent else None,
        }
        if self.held_out:
            scores |= validate(accelerator, self.towers, self.train, self.held_out, self.settings)
            self._check(scores["loss"], progress.step)
        progress.history.append({**scores, **measured})
        accelerator.print(epoch_line(progress.history[-1]), flush=True)
        if self.settings.run.trackers:
            numbers = {f"validation/{k}": v for k, v in progress.history[-1].items() if v is not None}
            accelerator.log(numbers, step=progress.step)
        if better := epoch > 0 and scores.get("loss", -epoch) < progress.best:
            progress.best, progress.best_epoch = scores.get("loss", -epoch), epoch
        if better or (self.settings.run.epoch_models and epoch > 0):
            weights = self.weights()
            if accelerator.is_main_process:
                self.keep_model(self, weights)
            accelerator.wait_for_everyone()

    def _is_late(self, epoch: int) -> bool:
        patience = self.settings.run.patience
        return patience is not None and bool(self.held_out) and epoch - self.progress.best_epoch >= patience


def make_towers(settings: Settings, vectors: ImageVectors | None = None) -> TwoTowers:
    """Return the towers that the settings ask for, ready to be trained; heads alone where there are vectors."""
    own, scalars = settings.towers, objective_of(settings).scalars
    genes = Panel.read(settings.panel).genes if settings.takes_panel else None
    if own.second == "text":
        towers = text_towers(own.image, own.pretrained)
    elif vectors:
        towers = head_towers(vectors.made, vectors.width, genes, own.second, own.latent_dim, scalars, own.vector_head)
    else:
        towers = gene_towers(own.image, genes, own.second, own.latent_dim, own.pretrained, scalars,
                             own.vector_head, own.options)  # fmt: skip
    choose_tuned(towers, own)
    if settings.run.gradient_checkpointing:
        recompute(towers.model)
    return towers.train()  # from_pretrained leaves it as for inference, where nothing is recomputed
