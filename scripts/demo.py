"""Run the whole way from slides to a report in minutes: checks, genes, shards, fine-tuning, evaluation.

The demo takes a synthetic sample, or a few slides of your own root. Each step is a script of this project. The demo
prints the command of each step, and you can type the same command yourself. After an interruption, run the demo again:
finished steps are kept, and steps whose input changed are done again.
"""

import argparse
import io
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
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # and torch: a small model waits for threads
    from stimage.core.extras import needs

    for module in ("accelerate", "scanpy", "sklearn"):  # one of each extra: before anything is made
        needs(module)
    from stimage.demo.choice import choose_as_configured, choose_slides
    from stimage.demo.recipe import Recipe
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
    todo = Recipe(choice, args.out, HERE, TINY, TOWER).steps(args.override)
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


def load_libraries() -> None:
    """Import once the libraries that the steps need: steps are forks of this process."""
    import stimage.collection.checks.running
    import stimage.evaluation.predict
    import stimage.evaluation.probe_scopes
    import stimage.figures.charts.bars
    import stimage.publishing.finishing
    import stimage.training.results  # noqa: F401


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", nargs="?", help="root: a folder laid out as the data set (default: a sample, made in "
                        "OUT)")  # fmt: skip
    parser.add_argument("--slides", nargs="+", metavar="SLIDE", help="names of the slides of ROOT to take (default: at "
                        "most 6 similar slides)")  # fmt: skip
    parser.add_argument("--override", nargs="+", default=[], metavar="NAME=VALUE", help="settings of the fine-tuning "
                        "to change")  # fmt: skip
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for all files that the demo makes "
                        "(default: %(default)s)")  # fmt: skip
    args = parser.parse_args()
    if args.slides and not args.root:
        parser.error("--slides are of a ROOT: pass it too")
    return args


if __name__ == "__main__":
    from stimage.core.errors import DataError
    from stimage.core.extras import NotInstalled
    from stimage.demo.steps import StepFailed

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        main()
    except (DataError, NotInstalled) as error:
        sys.exit(f"error: {error}")
    except StepFailed as failed:
        print("\n== stopped: the step above failed; the same command goes on from there", file=sys.stderr)
        sys.exit(failed.args[0])
    except KeyboardInterrupt:
        print("\n== interrupted; the same command goes on from here", file=sys.stderr)
        sys.exit(130)
