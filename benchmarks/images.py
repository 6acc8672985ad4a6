"""Measure reading patches from each format of image beside its own decoder: images.json and images.md."""

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyvips
import tifffile

from benchmarks import report
from benchmarks.case import Case, Side, equal
from benchmarks.files import write_image
from benchmarks.jobs.images import UM_PER_PX
from benchmarks.machine import describe

PX, TILE, UM = 224, 256, 224  # of a patch; of a tile; of a physical patch, at four times the image's pixels
HEAD = ["image", "read by", "patches/s", "beside", "its patches/s", "ratio", "memory", "its memory"]
APERIO = f"Aperio Image Library v12\n{{0}}x{{0}} [0,0 {{0}}x{{0}}] ({TILE}x{TILE}) |AppMag = 40|MPP = {UM_PER_PX}"
TILED = {"photometric": "rgb", "tile": (TILE, TILE), "metadata": None}
VIPS, CODECS, OPENSLIDE = "libvips", "imagecodecs", "OpenSlide"
Write = Callable[[Path, np.ndarray], None]


def tiff(**options: Any) -> Write:
    return lambda path, pixels: tifffile.imwrite(path, pixels, **(TILED | options))


def planes(**options: Any) -> Write:
    return lambda path, pixels: tifffile.imwrite(path, np.moveaxis(pixels, 2, 0), **(TILED | options))


def vips(**options: Any) -> Write:
    return lambda path, pixels: pyvips.Image.new_from_array(pixels).write_to_file(str(path), **options)


def svs(compression: str) -> Write:
    return lambda path, pixels: tifffile.imwrite(
        path, pixels, **TILED, compression=compression, description=APERIO.format(len(pixels))
    )


FORMATS: dict[str, tuple[str, str, str, Write]] = {  # image → file's ending, what reads it, job beside, how it is made
    "PNG": (".png", VIPS, "pillow", vips()),
    "JPEG": (".jpg", VIPS, "pillow", vips(Q=85)),
    "TIFF, uncompressed": (".tif", VIPS, "tifffile", tiff()),
    "TIFF, LZW": (".tif", VIPS, "tifffile", tiff(compression="lzw", predictor=True)),
    "TIFF, deflate": (".tif", VIPS, "tifffile", tiff(compression="zlib", predictor=True)),
    "BigTIFF, JPEG": (".btf", VIPS, "tifffile", tiff(compression="jpeg", bigtiff=True)),
    "TIFF, ZSTD": (".tif", CODECS, "tifffile", tiff(compression="zstd", predictor=True)),
    "TIFF, JPEG 2000": (".tif", CODECS, "tifffile", tiff(compression="jpeg2000")),
    "TIFF, JPEG XL": (".tif", CODECS, "tifffile", tiff(compression="jpegxl")),
    "TIFF, WebP": (".tif", CODECS, "tifffile", tiff(compression="webp")),
    "TIFF, planes, deflate": (".tif", CODECS, "tifffile", planes(planarconfig="separate", compression="zlib")),
    "OME-TIFF, page a colour": (
        ".ome.tif", CODECS, "tifffile",
        planes(photometric="minisblack", compression="zlib", ome=True, metadata={"axes": "CYX"}),
    ),
    "SVS, JPEG": (".svs", VIPS, "openslide", svs("jpeg")),
    "SVS, JPEG 2000": (".svs", CODECS, "openslide", svs("aperio_jp2000_rgb")),
}  # fmt: skip
LIBRARIES = {"pillow": "Pillow, whole", "tifffile": "tifffile", "openslide": OPENSLIDE}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.images", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("out/bench"), help="folder for the results (%(default)s)")
    parser.add_argument("--side", type=int, default=6000, help="side of each image in pixels (%(default)s)")
    parser.add_argument("--huge", type=int, default=40_000, help="side of a JPEG-tiled TIFF in pixels (%(default)s)")
    parser.add_argument("--patches", type=int, default=1500, help="patches of each image (%(default)s)")
    parser.add_argument("--image", type=Path, help="image of a real slide, to measure its pyramid, too")
    page = Path("docs/how-to/images.md")
    readme = "measure nothing; put the table of images.json between the marks of FILE (%(const)s)"
    parser.add_argument("--readme", type=Path, metavar="FILE", nargs="?", const=page, help=readme)
    args = parser.parse_args(arguments)
    if args.readme:
        return report.fill(args.readme, args.out / "images.json", table, "images")
    args.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-images-", dir=args.out) as made:
        results = run(Path(made), args.side, args.huge, args.patches, args.image)
    report.write_json(results, args.out / "images.json")
    (args.out / "images.md").write_text(text := table(results))
    print(f"done: {args.out}/images.json, images.md\n\n{text}")
    return 0


def run(made: Path, side: int, huge: int, patches: int, image: Path | None) -> dict:
    """Make each image in a folder, measure it, remove it, and return the results: ``machine``, ``rows``, ``pyramids``.

    Raises
    ------
    RuntimeError
        If what another decoder gives is not what ours does, bit for bit.
    """
    results: dict = {"machine": describe(), "rows": [], "pyramids": [], "patches": patches, "side": side}
    write_image(made / "picture.jpg", side, side)
    pixels = pyvips.Image.new_from_file(str(made / "picture.jpg")).numpy()
    _write_boxes(made, side, side, patches)
    for name, (suffix, by, beside, write) in FORMATS.items():
        write(path := made / f"image{suffix}", pixels)
        results["rows"].append(_measured(name, by, path, beside))
        path.unlink()
    _write_boxes(made, huge, huge, patches)
    write_image(made / "huge.jpg", huge, huge)
    _tiled(made / "huge.jpg", path := made / "huge.tif")
    results["rows"].append(_measured(f"TIFF, JPEG, {huge:,} x {huge:,} pixels", VIPS, path, "tifffile"))
    results["pyramids"].append(_pyramid("made", path))
    if image:
        size = _tiled(image, path := made / "real.tif")
        _write_boxes(made, *size, patches)
        results["pyramids"].append(_pyramid("real", path))
    return results


def _write_boxes(made: Path, width: int, height: int, patches: int) -> None:
    """Write a lattice of boxes over an image, from top to bottom, which reaches to its edges."""
    across = max(round((patches * width / height) ** 0.5), 1)
    down = -(-patches // across)
    y, x = np.meshgrid(np.linspace(0, height - PX, down), np.linspace(0, width - PX, across), indexing="ij")
    corner = np.stack([x.ravel(), y.ravel()], 1).astype(np.int64)[:patches]
    np.save(made / "boxes.npy", np.concatenate([corner, corner + PX], 1))


def _tiled(source: Path, path: Path) -> tuple[int, int]:
    """Write an image as a pyramid of JPEG tiles, in little memory; return its width and height."""
    image = pyvips.Image.new_from_file(str(source), access="sequential")
    options = {"tile": True, "tile_width": TILE, "tile_height": TILE, "pyramid": True, "subifd": True}
    image.tiffsave(str(path), compression="jpeg", Q=90, bigtiff=True, **options)
    return image.width, image.height


def _measured(name: str, by: str, path: Path, beside: str) -> dict:
    print(name, flush=True)
    other = Side(LIBRARIES[beside], f"images.by_{beside}")
    row = Case(name, name, 1, lambda: (path,), Side("ours", "images.ours"), (other,), agree=equal).run()
    return row | {"by": by}


def _pyramid(name: str, path: Path) -> dict:
    """Measure physical patches from the fitting level and from level 0, and how far their grey values are apart."""
    print(f"pyramid: {name}", flush=True)
    sides = {True: "the fitting level", False: "level 0"}
    level, full = (Side(what, "images.physical", (UM, PX, "yes" if at else "")) for at, what in sides.items())
    row = Case(name, name, 1, lambda: (path,), level, (full,), agree=equal).run()
    one, other = (np.load(path.with_suffix(f".{kind}.npy")).astype(float) for kind in ("level", "full"))
    apart = np.abs(one - other)
    return row | {"difference": float(apart.mean()), "largest": float(np.quantile(apart, 0.999))}


def table(results: dict) -> str:
    """Return the rows as a Markdown table, and a line for each pyramid."""
    lines, patches = [HEAD, ["---"] * len(HEAD)], results["patches"]
    for row in results["rows"]:
        ours, (other,) = row["ours"], row["beside"]
        speeds = (f"{patches / side['seconds']:,.0f}" for side in (ours, other))
        ratio = report.times(other["seconds"] / ours["seconds"])
        memory = (report.megabytes(side["mb"]) for side in (ours, other))
        lines.append([row["job"], row["by"], next(speeds), other["name"], next(speeds), ratio, *memory])
    said = "".join(f"\n\n{_pyramid_line(one)}" for one in results["pyramids"])
    size = f"{patches:,} patches of {PX} px; images of {results['side']:,} x {results['side']:,} pixels but the last."
    return f"{report.markdown(lines)}\n\n{size}{said}\n\n{report.machine_line(results['machine'])}\n"


def _pyramid_line(one: dict) -> str:
    ratio = report.times(one["beside"][0]["seconds"] / one["ours"]["seconds"])
    what = "a synthetic image" if one["case"] == "made" else "a real slide's image"
    return (
        f"`pyramid=True` on {what}, {UM} µm in {PX} px at {UM_PER_PX} µm/px: {ratio} as fast as level 0; grey values "
        f"differ by {one['difference']:.2f} of 255 on average, and 999 of 1,000 by at most {one['largest']:.0f}."
    )


if __name__ == "__main__":
    sys.exit(main())
