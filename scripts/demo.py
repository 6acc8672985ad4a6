"""The whole way from slides to a report, in minutes on two cores: check, genes, shards, fine-tuning, evaluation.

On a made sample, or on a few slides of your own root. Each step is a script of this folder: its command is printed, and
does the same when you type it. Interrupted, the same command goes on; what changed is done again.
"""

import argparse
import io
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(os.path.relpath(Path(__file__).resolve().parent))
TINY = HERE.parent / "configs/finetune/tiny.yaml"
TOWER = HERE.parent / "configs/finetune/tiny_clip"


def main() -> None:
    args = parse_arguments()
    os.environ.setdefault("HF_DATASETS_CACHE", str((args.out / "cache").absolute()))  # before datasets is imported
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # for so small a model, threads wait longer than they work
    from stimage.demo.choice import choose_as_configured, choose_slides
    from stimage.demo.report import write_demo_report
    from stimage.demo.steps import Steps
    from stimage.slides.freshness import root_digest
    from stimage.training.settings.reading import read_settings

    began, steps = time.monotonic(), Steps(args.out)
    if args.root:
        steps.add(root_digest(args.root))
        choice = choose_slides(args.root, args.slides)
    else:
        steps.run(sample(args.out), "sample")
        choice = choose_as_configured(args.out / "sample", read_settings(TINY, source=str(args.out / "sample")))
    for note in choice.notes:
        print(f"note: {note}")
    load_libraries()
    todo = recipe(choice, args.out, args.override)
    for number, step in enumerate(todo, 1):
        steps.run(step, f"{number} of {len(todo)}")
    page = write_demo_report(args.out, choice, steps)
    print(f"\n== done in {time.monotonic() - began:.0f} s. The report is {page}; what it shows is beside it:")
    for step in steps.done:
        print(f"   {'left out' if step.left_out else step.makes}  ({step.name})")


def sample(out: Path) -> Any:
    """Return the step that makes slides of a known structure."""
    from stimage.demo.steps import Step

    command = (str(HERE / "data_process/make_sample.py"), "--out", str(out / "sample"))
    return Step("make a sample", command, out / "sample")


def recipe(choice: Any, out: Path, overrides: list[str]) -> list:
    """Return the steps, from a root to figures."""
    from stimage.demo.steps import Step

    root, shards, run, panel = choice.root, out / "shards", out / "tuned", out / "panel.json"
    these = ("--slides", *choice.names)
    held_out = ("--held-out", *(slide.name for slide in choice.held_out)) if choice.held_out else ()
    labels = set().union(*choice.labels.values())
    no_labels = "" if len(labels) > 1 else "the annotation of these slides does not have two labels"
    alone = "" if len(choice.slides) > 1 else "one slide can't be predicted from others"
    split = "slide" if len(choice.labels) > 1 else "block"
    settings = {
        "towers.image": str(TOWER), "panel": str(panel), "tech": choice.tech, "species": None, "split_by": None,
        "validation_slides": [slide.name for slide in choice.held_out] or None,
        "batch_size": max(2, min(64, sum(slide.about_spots for slide in choice.train) // 4)),
    }  # fmt: skip
    overrides = [f"{name}={value if isinstance(value, str) else json.dumps(value)}" for name, value in settings.items()
                 ] + overrides  # fmt: skip

    def step(name: str, script: str, *arguments: object, makes: Path, **more: Any) -> Step:
        return Step(name, (str(HERE / script), *map(str, arguments)), makes, **more)

    def before_and_after(name: str, script: str, what: str, *more_arguments: object, **more: Any) -> list[Step]:
        return [
            step(f"{name}, {model}", script, "--embeddings", out / "embeddings" / model, "--root", root, *these,
                 *more_arguments, "--out", out / what / model, makes=out / what / model, **more)
            for model in ("untrained", "tuned")
        ]  # fmt: skip

    def figure(name: str, kind: str, file: str, *arguments: object, left_out: str = "") -> Step:
        figures = out / "figures"
        return step(f"draw {name}", "evaluation/figures.py", kind, *arguments, "--out", figures,
                    makes=figures / f"{file}.png", left_out=left_out)  # fmt: skip

    embeddings = [out / "embeddings" / model for model in ("untrained", "tuned")]
    named = ("--names", "untrained", "tuned")
    slide = choice.shown.name
    return [
        step("check the slides", "data_collection/check_spots.py", root, *these, "--colour",
             "annotation" if choice.labels else "counts", "--out", out / "check_spots", makes=out / "check_spots",
             exits=(0, 1)),
        step("choose genes on the training slides", "data_process/select_genes.py", root, "--method", "hvg-consensus",
             *these, *held_out, "--out", panel, makes=panel),
        step("build shards", "data_process/build_shards.py", root, shards, *these, makes=shards, resumes=True),
        step("fine-tune a tiny CLIP", "finetune/finetune_clip.py", shards, "--config", TINY, "--out", run,
             "--override", *overrides, makes=run, resumes=True, reads=(TINY, TOWER / "config.json")),
        step("embed, untrained", "evaluation/embed_spots.py", shards, "--model", run / "untrained", "--out",
             embeddings[0], makes=embeddings[0], resumes=True),
        step("embed, tuned", "evaluation/embed_spots.py", shards, "--model", run / "model", "--out", embeddings[1],
             makes=embeddings[1], resumes=True),
        *before_and_after("linear probe", "evaluation/linear_probe.py", "probe", "--split", split, left_out=no_labels),
        *before_and_after("embedding scores", "evaluation/embedding_scores.py", "scores", left_out=no_labels),
        *before_and_after("predict expression", "evaluation/predict_expression.py", "prediction", "--maps",
                          len(choice.slides), left_out=alone),
        figure("the embeddings", "projection", "projection_umap", "--embeddings", *embeddings, *named, "--root", root,
               *these, "--method", "UMAP", left_out=no_labels),
        figure("the probes", "f1", "macro_f1_bars", "--results", out / "probe/untrained", out / "probe/tuned", *named,
               left_out=no_labels),
        figure("the scores", "scores", "score_boxes", "--results", out / "scores/untrained", out / "scores/tuned",
               *named, left_out=no_labels),
        figure("the labels", "labels", f"labels_{slide}", "--root", root, "--slide", slide,
               *(("--embeddings", embeddings[1]) if split == "slide" and slide in choice.labels else ()),
               left_out=no_labels),
    ]  # fmt: skip


def load_libraries() -> None:
    """Import once what the steps need; they are forked of this process."""
    import stimage.collection.checks.running
    import stimage.evaluation.predict
    import stimage.evaluation.probe_scopes
    import stimage.figures.charts
    import stimage.publishing.finishing
    import stimage.training.results  # noqa: F401


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", nargs="?", help="a folder laid out as the data set (default: a sample, made in OUT)")
    parser.add_argument("--slides", nargs="+", metavar="SLIDE", help="of ROOT; without it, a few are taken")
    parser.add_argument("--override", nargs="+", default=[], metavar="NAME=VALUE", help="a setting of the fine-tuning")
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for what is made (%(default)s)")
    args = parser.parse_args()
    if args.slides and not args.root:
        parser.error("--slides are of a ROOT: pass it too")
    return args


if __name__ == "__main__":
    from stimage.core.errors import DataError
    from stimage.demo.steps import StepFailed

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        main()
    except DataError as error:
        sys.exit(f"error: {error}")
    except StepFailed as failed:
        print("\n== stopped: the step above failed; the same command goes on from there", file=sys.stderr)
        sys.exit(failed.args[0])
    except KeyboardInterrupt:
        print("\n== interrupted; the same command goes on from here", file=sys.stderr)
        sys.exit(130)
