"""Probe embeddings: how well a linear classifier tells the pathologists' labels apart, with baselines.

The protocol original is the one of the data set's authors (scikit-learn's SGD, 5 seeds). The protocol converged
minimises the same objective to convergence, on centred vectors of unit norm. The split random trains and tests on
neighbours within a slide, so position alone scores high. The splits slide, study and patient hold out whole groups, and
block holds out parts of slides.

Rows are slides, studies, and all spots (pooled). With random and block, each row has its own probes, trained and tested
within that row. With slide, study and patient, each probe is trained on the spots of all groups but one, which is held
out. The row of a slide or study then has its spots while they are held out, and no ±. The number behind ± is the
standard deviation over folds. Slides with different sets of labels, such as those of two species, lower the pooled
score: restrict the slides by --tech, --species or --tissue.

Spots without a label, or with the label "undetermined" or "Exclude", are left out. The results are results.json,
results.csv and the prediction for each test spot, from which verify.py computes both again.
"""

from __future__ import annotations

import argparse

import numpy as np

import stimage
from stimage.cli.evaluation import ELSEWHERE, add_labelled
from stimage.cli.options import NO_COLOUR, root_of, run
from stimage.scores.folds import PROBE_SPLITS, PROTOCOLS


def main() -> None:
    args = parse_arguments()
    root = root_of(args, ["on_mismatch", *ELSEWHERE.get(args.split, [])])
    probed = stimage.probe(
        root, args.embeddings, args.protocol, args.split, colour=not args.no_colour, patients=args.patients,
        no_study=args.no_study, test=args.test, on_mismatch=args.on_mismatch, seen=args.seen,
        out=args.out, progress=None,
    )  # fmt: skip
    for note in probed.notes:
        print(f"note: {note}")
    print(table(probed))
    print(f"results: {probed.path}, and results.csv beside it")


def table(probed: stimage.Scores) -> str:
    """Return the macro-F1 of all scopes as lines of text."""
    pooled = probed.overall["pooled"]
    entries = {**probed.slides, **{f"study {name}": entry for name, entry in probed.overall["studies"].items()}}
    shown = [name for name in stimage.evaluation.CLASSIFIERS if name in pooled]
    width = max(map(len, [*entries, "macro-F1"]))
    lines = [f"{'macro-F1':{width}}  spots  " + "  ".join(f"{name:>13}" for name in shown)]
    for name, entry in [*entries.items(), ("pooled", pooled)]:
        cells = entry.get("left_out") or "  ".join(_cell(entry[one]["macro_f1"]) for one in shown)
        lines.append(f"{name:{width}}  {entry['spots']:>5}  {cells}")
    lines += ["", "macro-F1 of all test spots together, and its 95 % interval over groups:"]
    for name in shown:
        interval = pooled[name]["intervals"]["macro_f1_together"]
        lines.append(f"{name:{width}}  {interval['value']:.3f}: {stimage.scores.told(interval)}")
    for name, interval in pooled["above"]["intervals"].items():
        lines.append(f"embedding above {name}  {interval['value']:+.3f}: {stimage.scores.told(interval)}")
    return "\n".join(lines)


def _cell(figure: dict) -> str:
    mean, std = (np.nan if figure[key] is None else figure[key] for key in ("mean", "std"))
    return f"{mean:13.3f}" if np.isnan(std) else f"{mean:5.3f} ± {std:5.3f}"


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_labelled(parser, "out/linear_probe")
    parser.add_argument("--protocol", choices=PROTOCOLS, default="converged", help="protocol of the probe (default: "
                        "%(default)s)")  # fmt: skip
    parser.add_argument("--split", choices=PROBE_SPLITS, default="slide", help="groups that are held out (default: "
                        "%(default)s)")  # fmt: skip
    parser.add_argument("--test", nargs="+", metavar="SLIDE", help="slides to test on; the probe is trained once, on "
                        "all slides that share no group with these (default: each group is held out in "
                        "turn)")  # fmt: skip
    parser.add_argument("--no-colour", action="store_true", help=NO_COLOUR)
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
