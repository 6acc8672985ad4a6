"""Images of every kind that a slide's image may be, made in memory."""

import io
import struct
from functools import cache, partial

import numpy as np
import pyvips
from PIL import Image

HEIGHT, WIDTH = 150, 97


def pixels(bands: int = 3, dtype=np.uint8) -> np.ndarray:
    """Return smooth colours with some noise, so that lossy formats have something to lose."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    base = np.stack([x * 2, y, (x + y), 255 - x][:bands], 2) % 256
    noisy = np.clip(base + rng.integers(-20, 20, base.shape), 0, 255)
    return (noisy * 256 + 255 - noisy if dtype == np.uint16 else noisy).astype(dtype)


def pil(mode="RGB", kind="PNG", **options) -> bytes:
    Image.fromarray(pixels()).convert(mode).save(file := io.BytesIO(), kind, **options)
    return file.getvalue()


def vips(suffix: str, interpretation="srgb", bands: int = 3, dtype=np.uint8, **options) -> bytes:
    image = pyvips.Image.new_from_array(pixels(bands, dtype)).copy(interpretation=interpretation)
    return image.write_to_buffer(suffix, **options)


def big_endian(big_tiff: bool) -> bytes:
    """Return a raw TIFF as neither Pillow nor libvips write it: b"MM", one strip, then the directory."""
    data = pixels().tobytes()
    start, head, tag = (16, ">2sHHHQ", ">HHQQ") if big_tiff else (8, ">2sHI", ">HHII")
    values = {256: WIDTH, 257: HEIGHT, 258: 8, 259: 1, 262: 2, 273: start, 277: 3, 278: HEIGHT, 279: len(data)}
    where = start + len(data)
    head = struct.pack(head, b"MM", *((43, 8, 0, where) if big_tiff else (42, where)))
    tags = b"".join(struct.pack(tag, key, 16 if big_tiff else 4, 1, value) for key, value in values.items())
    return head + data + struct.pack(">Q" if big_tiff else ">H", len(values)) + tags + bytes(8)


TILES = {"tile": True, "tile_width": 32, "tile_height": 16}
MADE = {
    **{f"png {mode}": partial(pil, mode) for mode in ("RGB", "L", "LA", "RGBA", "P", "1")},
    "png palette with transparency": partial(pil, "P", transparency=3),
    "png colour that is transparent": partial(pil, transparency=(1, 2, 3)),
    "png grey that is transparent": partial(pil, "L", transparency=3),
    "png of 2 bits": partial(vips, ".png", "b-w", 1, bitdepth=2),
    "png of 16 bits": partial(vips, ".png", "rgb16", dtype=np.uint16),
    "png of 16 bits with alpha": partial(vips, ".png", "rgb16", 4, np.uint16),
    "png interlaced": partial(vips, ".png", interlace=True),
    "tiff lzw": partial(pil, kind="TIFF", compression="tiff_lzw"),
    "tiff strips of 3 rows": partial(pil, kind="TIFF", compression="tiff_lzw", tiffinfo={278: 3}),
    "tiff deflate": partial(vips, ".tif", compression="deflate", predictor="horizontal"),
    "tiff strips of jpeg": partial(pil, kind="TIFF", compression="jpeg"),
    **{f"tiff one strip {mode}": partial(pil, mode, "TIFF") for mode in ("RGB", "L", "LA", "RGBA", "P", "CMYK", "1")},
    "tiff fax": partial(pil, "1", "TIFF", compression="group4"),
    "tiff of which 0 is white": partial(pil, "L", "TIFF", tiffinfo={262: 0}),
    "tiff of 16 bits": partial(vips, ".tif", "rgb16", dtype=np.uint16),
    "tiff cmyk of 16 bits": partial(vips, ".tif", "cmyk", 4, np.uint16),
    "tiff of two pages": partial(pil, kind="TIFF", save_all=True, append_images=[Image.new("RGB", (2, 2))]),
    "tiff big-endian": partial(big_endian, False),
    "tiff tiled deflate": partial(vips, ".tif", compression="deflate", **TILES),
    "tiff tiled jpeg": partial(vips, ".tif", compression="jpeg", **TILES),
    "tiff tiled cmyk": partial(vips, ".tif", "cmyk", 4, **TILES),
    "tiff tiled of 1 bit": partial(vips, ".tif", "b-w", 1, bitdepth=1, **TILES),
    "tiff tiled bigtiff": partial(vips, ".tif", bigtiff=True, **TILES),
    "tiff tiled pyramid": partial(vips, ".tif", pyramid=True, **TILES),
    "jpeg": partial(pil, kind="JPEG", quality=90),
    **{f"jpeg {mode}": partial(pil, mode, "JPEG") for mode in ("L", "CMYK")},
    **{f"jpeg {name}": partial(pil, kind="JPEG", subsampling=k) for k, name in enumerate(("4:4:4", "4:2:2", "4:2:0"))},
    "jpeg stored as RGB": partial(pil, kind="JPEG", keep_rgb=True),
    "jpeg progressive": partial(pil, kind="JPEG", progressive=True),
    "jpeg with restarts": partial(pil, kind="JPEG", restart_marker_rows=1),
}

made = cache(lambda kind: MADE[kind]())
