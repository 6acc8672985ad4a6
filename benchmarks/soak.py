"""Stream a Visium HD slide, epoch after epoch, through workers, and watch the memory of all processes: soak.json."""

import argparse
import shutil
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from benchmarks import report
from benchmarks.hd import write_slide
from benchmarks.machine import describe

NAME, OUT, FOLDER = "soak", Path("out/soak"), "inputs"
GENES, BATCH, WORKERS = 2000, 500, 2
SHARE, MEGABYTES = 0.05, 20  # by which the last quarter's most may be above the second quarter's median


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--out", type=Path, default=OUT, help="folder for the slide and the results (%(default)s)")
    parser.add_argument("--bins", type=int, default=600_000, help="bins of the slide (%(default)s)")
    parser.add_argument("--genes", type=int, default=GENES, help="genes of the slide (%(default)s)")
    parser.add_argument("--minutes", type=float, default=60, help="begin no further epoch after so many minutes "
                        "(%(default)g)")  # fmt: skip
    parser.add_argument("--workers", type=int, default=WORKERS, help="number of processes that read (%(default)s)")
    args = parser.parse_args(arguments)
    found = run(args.out, args.bins, args.genes, args.minutes, args.workers)
    print(line(found))
    return int(not found["flat"])


def run(out: Path, bins: int, genes: int = GENES, minutes: float = 60, workers: int = WORKERS) -> dict:
    """Write the slide, stream it for so many minutes, remove it, and write and return what was seen.

    Returns
    -------
    dict
        ``machine``; ``bins``, ``genes``, ``workers``; ``epochs`` and ``spots`` that came; ``seconds``; ``mb``, the
        memory that all processes hold at even steps; ``mapped_mb``, the pages of files beside it, which the system
        takes back when it needs memory; ``peaks_mb``, the most of ``mb`` in each epoch; ``flat``, whether these did
        not grow.
    """
    folder = out / FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    write_slide(folder, bins, genes, "h5")
    samples, peaks, spots, epochs, began = list[tuple[float, float]](), list[float](), 0, 0, time.monotonic()
    while not epochs or time.monotonic() - began < 60 * minutes:
        seen, before = 0, len(samples)
        for n in _epoch(folder, workers):
            seen += n
            if not samples or time.monotonic() - began > len(samples) * minutes * 60 / 200 or seen == n:
                samples.append(memory_mb())
        if seen != bins:
            raise RuntimeError(f"epoch {epochs + 1} had {seen:,} spots of {bins:,}")
        spots, epochs = spots + seen, epochs + 1
        peaks.append(max(held for held, _ in samples[before:]))
    samples.append(memory_mb())
    held, mapped = ([round(one, 1) for one in kind] for kind in zip(*samples))
    shutil.rmtree(folder)
    found = {"machine": describe(), "bins": bins, "genes": genes, "workers": workers, "epochs": epochs, "spots": spots,
             "seconds": time.monotonic() - began, "mb": held, "mapped_mb": mapped, "peaks_mb": peaks,
             "flat": is_flat(peaks)}  # fmt: skip
    report.write_json(found, out / f"{NAME}.json")
    return found


def _epoch(root: Path, workers: int) -> Iterator[int]:
    """Read all spots once, as training does; give the number of spots of each batch."""
    import stimage_1k4m
    from stimage.loading.batches import spot_loader

    spots = stimage_1k4m.load("VisiumHD", root)
    for batch in spot_loader(spots, BATCH, workers=workers, image_size=16):
        yield len(batch.spot_ids)


def memory_mb() -> tuple[float, float]:
    """Return the MB that this process and its children hold, and those of files' pages; shared ones count once."""
    held, mapped, me = 0, 0, psutil.Process()
    for process in (me, *me.children(recursive=True)):
        try:
            lines = Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines()[1:]
        except (FileNotFoundError, ProcessLookupError):  # it has just ended
            continue
        kb = {line.split(":")[0]: int(line.split()[1]) for line in lines}
        held, mapped = held + kb.get("Pss_Anon", 0) + kb.get("Pss_Shmem", 0), mapped + kb.get("Pss_File", 0)
    return held * 1024 / 1e6, mapped * 1024 / 1e6


def is_flat(peaks: list[float]) -> bool:
    """Tell whether the last quarter's most is no more than the second quarter's median, but for some noise."""
    quarter = max(1, len(peaks) // 4)
    second, last = peaks[quarter : 2 * quarter] or peaks, peaks[-quarter:]
    return max(last) <= (1 + SHARE) * statistics.median(second) + MEGABYTES


def line(found: dict) -> str:
    """Say what was seen in a line."""
    mb, mapped, peaks = found["mb"], found["mapped_mb"], found["peaks_mb"]
    told = "flat" if found["flat"] else "IT GROWS"
    return (f"{found['epochs']} epochs of {found['bins']:,} bins in {found['seconds'] / 60:.1f} min through "
            f"{found['workers']} workers: peaks of {min(peaks):,.0f} to {max(peaks):,.0f} MB, "
            f"{mb[-1]:,.0f} MB at the end, and up to {max(mapped):,.0f} MB of files' pages: {told}")  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
