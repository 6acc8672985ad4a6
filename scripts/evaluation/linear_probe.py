"""Probe embeddings: how well a linear classifier tells the pathologists' labels apart, beside its baselines.

--protocol original is the data set authors' (scikit-learn's SGD, 5 seeds); converged minimises the same objective to
convergence, on centred vectors of unit norm. Under --split random, neighbours on a slide are trained and tested on, and
position alone scores high; slide, study and patient hold whole groups out, block parts of slides.

Rows are slides, studies and all spots (pooled). Under random and block each row has probes of its own, trained and
tested within it. Under slide, study and patient, probes are trained on all spots but a held-out group's; the row of a
slide or a study is of its spots while held out, without ±. ± is the standard deviation over folds. Slides with other
sets of labels (two species) make pooled low: restrict with --tech, --species or --tissue.

Spots without a label, or labelled "undetermined" or "Exclude", are left out. Writes results.json and results.csv.
"""

import argparse
import hashlib
import time
from pathlib import Path

import numpy as np
from tqdm import tqdm

from stimage.cli.evaluation import add_labelled, grouping_of, labelled_of
from stimage.cli.options import run
from stimage.evaluation.labelled import LabelledSpots
from stimage.evaluation.probe_scopes import CLASSIFIERS, ProbeScores, rare_classes, run_probe
from stimage.evaluation.results import data_identity, read_scores, write_results
from stimage.evaluation.spot_folds import BLOCKS_PER_SIDE, BUFFER_PITCHES, PROBE_SPLITS
from stimage.evaluation.tables import write_csv
from stimage.scores.folds import SEEDS
from stimage.scores.linear_probe import PENALTIES, PROTOCOLS
from stimage.scores.sgd_probe import SGD_PENALTIES

VERSION = 2  # 1 split spots in the order of their ids
PACKAGES = ("stimage-1k4m", "scikit-learn", "torch", "numpy", "scipy")


def main() -> None:
    args = parse_arguments()
    began = time.perf_counter()
    groups = grouping_of(args)
    spots, parts = labelled_of(args)
    for note in rare_classes(spots.labels):
        print(f"note: {note}")
    probed = run_probe(
        spots, args.protocol, args.split, groups, not args.no_colour, lambda some: tqdm(some, disable=None)
    )
    path = write(args, spots, parts, probed, time.perf_counter() - began)
    print(table(probed))
    if args.split == "random":
        score = probed.pooled["position"]["macro_f1"]["mean"]
        print(f"note: under this random split the position of a spot alone, without its image, scores {score:.3f}")
    print(f"results: {path}, and {path.with_suffix('.csv').name} beside it")


def write(
    args: argparse.Namespace, spots: LabelledSpots, parts: dict[str, list[str]], probed: ProbeScores, seconds: float
) -> Path:
    """Write the protocol card, and its figures as a table."""
    alphas = SGD_PENALTIES if args.protocol == "original" else PENALTIES
    config = {"protocol": args.protocol, "split": args.split, "alphas": alphas, "colour": not args.no_colour}
    if args.split == "block":
        config |= {"blocks": BLOCKS_PER_SIDE, "near": BUFFER_PITCHES}
    if args.patients:
        config["patients_sha256"] = hashlib.sha256(Path(args.patients).read_bytes()).hexdigest()
    data = data_identity(spots.embeddings.spot_ids, spots.labels, embeddings=spots.embeddings, left_out=spots.left_out,
                         parts=parts)  # fmt: skip
    seeds = SEEDS if args.split == "random" else (0,)
    path = write_results(args.out, f"linear_probe/{args.protocol}", VERSION, config, data, seeds, PACKAGES, seconds,
                         probed.slides, {"pooled": probed.pooled, "studies": probed.studies})  # fmt: skip
    write_csv(path.with_suffix(".csv"), read_scores(path))
    return path


def table(probed: ProbeScores) -> str:
    """Return the macro-F1 of all scopes as lines of text."""
    entries = {**probed.slides, **{f"study {name}": entry for name, entry in probed.studies.items()}}
    shown = [name for name in CLASSIFIERS if name in probed.pooled]
    width = max(map(len, [*entries, "macro-F1"]))
    lines = [f"{'macro-F1':{width}}  spots  " + "  ".join(f"{name:>13}" for name in shown)]
    for name, entry in [*entries.items(), ("pooled", probed.pooled)]:
        cells = entry.get("left_out") or "  ".join(_cell(entry[one]["macro_f1"]) for one in shown)
        lines.append(f"{name:{width}}  {entry['spots']:>5}  {cells}")
    return "\n".join(lines)


def _cell(figure: dict) -> str:
    mean, std = (np.nan if figure[key] is None else figure[key] for key in ("mean", "std"))
    return f"{mean:13.3f}" if np.isnan(std) else f"{mean:5.3f} ± {std:5.3f}"


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_labelled(parser, "out/linear_probe")
    parser.add_argument("--protocol", choices=PROTOCOLS, default="converged", help="(%(default)s)")
    parser.add_argument("--split", choices=PROBE_SPLITS, default="slide", help="what is held out (%(default)s)")
    parser.add_argument("--no-colour", action="store_true", help="no baseline of colours: images are not read")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
