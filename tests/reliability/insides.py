"""What can be wrong inside a file that is whole: wrong types, lengths, numbers, names, rows and columns."""

import csv
import gzip
import io
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
from PIL import Image

CELLS = ("", " ", "nan", "NA", "-1", "-0.5", "0", "1", "2", "1e9", "1e308", "inf", "0x10", "1_000", "1,5", "١", "x",
         "é\u0301", "=1+1", '"', "\t", "A" * 3000, "99999999999999999999", "True", "#REF!")  # fmt: skip
VALUES = (None, True, False, "0.5", "x", "", -1, 0, -0.0, 1e-300, 1e308, float("nan"), float("inf"), [0.5], [], {},
          2**70, {"a": 1}, [[1, 2], [3]])  # fmt: skip
NUMBERS = (-1, 0, 1, 2**31 - 1, -(2**31), 2**32, 2**62, -0.5, 1e30, float("nan"), float("inf"))
KINDS = ("f8", "f4", "f2", "i1", "u1", "i8", "u8", ">i4", "?", "c16", "S3", "S0", "O")


def inside(path: Path, rng: random.Random) -> None:
    """Make one thing wrong inside a file, by its kind."""
    kind = path.name.removesuffix(".gz").rpartition(".")[2]
    DAMAGES.get(kind, of_chunk)(path, rng)


def _rewrite(path: Path, change: Callable[[bytes], bytes]) -> None:
    data = path.read_bytes()
    zipped = data[:2] == b"\x1f\x8b"
    changed = change(gzip.decompress(data) if zipped else data)
    path.write_bytes(gzip.compress(changed, 1, mtime=0) if zipped else changed)


def of_chunk(path: Path, rng: random.Random) -> None:
    """Let another part of a Zarr store take the place of a chunk, or give it another length."""
    data = path.read_bytes()
    others = [one for one in sorted(path.parents[2].rglob("*")) if one.is_file() and one != path]
    path.write_bytes(rng.choice((data + data, data[::-1], rng.choice(others).read_bytes() if others else b"0")))


def of_json(path: Path, rng: random.Random) -> None:
    def change(data: bytes) -> bytes:
        told = json.loads(data)
        key, action = rng.choice(list(told)), rng.random()
        if action < 0.2:
            del told[key]
        elif action < 0.3:
            factor = rng.choice((0.5, 0.8, 1.25, 2, -1))
            told[key] = told[key] * factor if isinstance(told[key], int | float) else told[key]
        elif action < 0.35:
            told = rng.choice(([told], None, [], {}, 1, "x", {"a": told}))
        elif action < 0.4:
            return data.replace(b":", b": " + b"[" * 20_000, 1)
        else:
            told[key] = rng.choice(VALUES)
        return json.dumps(told).encode()

    _rewrite(path, change)


def of_text(path: Path, rng: random.Random) -> None:
    """Change a table: a cell, a row, a column, its ends of lines or its encoding."""
    name = path.name.removesuffix(".gz")
    mark = {"mtx": " ", "tsv": "\t", "txt": ";"}.get(name.rpartition(".")[2], ",")

    def change(data: bytes) -> bytes:
        rows = list(csv.reader(io.StringIO(data.decode(), newline=""), delimiter=mark))
        _change_rows(rows, rng)
        text = io.StringIO(newline="")
        csv.writer(text, delimiter=mark, lineterminator=rng.choice(("\n", "\n", "\n", "\r\n", "\r"))).writerows(rows)
        encoding = rng.choice((*["utf-8"] * 8, "utf-8-sig", "utf-16", "cp1252"))
        return text.getvalue().encode(encoding, "replace")

    _rewrite(path, change)


def _change_rows(rows: list[list[str]], rng: random.Random) -> None:
    k = rng.choice((0, rng.randrange(len(rows)), rng.randrange(len(rows)), len(rows) - 1))
    row, other = rows[k], rng.choice(rows)
    at = rng.randrange(len(row)) if row else 0
    action = rng.randrange(11)
    if action < 4 and row:
        row[at] = rng.choice((*CELLS, row[at][:-1], row[at] + "-2", other[min(at, len(other) - 1)]))
    elif action == 4:
        rows.insert(rng.randrange(len(rows)), list(row))
    elif action == 5:
        del rows[k]
    elif action == 6 and row:
        del row[at]
    elif action == 7:
        row.insert(at, rng.choice(CELLS))
    elif action == 8:
        for one in rows:
            one[at : at + 1] = []
    elif action == 9:
        for one in rows:
            one.reverse()
    else:
        row[:], other[:] = list(other), list(row)


def of_parquet(path: Path, rng: random.Random) -> None:
    table = pd.read_parquet(path).astype(object)
    column, row = rng.choice(list(table)), rng.randrange(len(table))
    action = rng.randrange(8)
    if action < 3:
        table.iloc[row, list(table).index(column)] = rng.choice((*NUMBERS, None, table[column].iloc[row - 1]))
    elif action == 3:
        table = table.drop(columns=column)
    elif action == 4:
        table = table.rename(columns={column: rng.choice(("x", *table))})
    elif action == 5:
        table[column] = rng.choice(
            (table[column].astype(str), [[1]] * len(table), [None] * len(table), [b"1"] * len(table))
        )
    elif action == 6:
        table = pd.concat([table, table.iloc[[row]]])
    else:
        table = rng.choice((table.iloc[:row], table.set_index(column), table.sample(frac=1, random_state=1)))
    try:
        table.infer_objects().to_parquet(path)
    except Exception:  # it can't be written so
        path.write_bytes(b"PAR1")


def of_hdf5(path: Path, rng: random.Random) -> None:
    """Change a dataset, a group or an attribute of an HDF5 file."""
    with h5py.File(path, "a") as file:
        names: list[str] = []
        file.visit(names.append)
        name = rng.choice(names)
        part, action = file[name], rng.randrange(20)
        if action < 12 and isinstance(part, h5py.Dataset):
            _put(file, name, _changed(part[()], rng), dict(part.attrs))
        elif action < 14 and len(part.attrs):
            key = rng.choice(list(part.attrs))
            part.attrs[key] = rng.choice((0, -1, "x", "csc_matrix", "csr_matrix", "array", [3, 3], [2**40, 4], b"\xff"))
        elif action < 15:
            part.attrs.clear()
        else:
            del file[name]
            if action == 16:
                file[name] = rng.choice(("text", 5, 0.5, True, b"\xff\xfe"))
            elif action == 17:
                file.create_group(f"{name}/a/b")
            elif action == 18:
                file[name] = h5py.SoftLink(rng.choice(("/nowhere", name)))
            elif action == 19:
                file[name] = rng.choice((h5py.ExternalLink("lost.h5", "/x"), file["/"], h5py.Empty("f4")))


def _put(file: h5py.File, name: str, values: Any, attributes: dict) -> None:
    del file[name]
    try:
        file[name] = values
    except (TypeError, ValueError, OverflowError):  # HDF5 has no such type
        file[name] = "text"
    file[name].attrs.update(attributes)


def _changed(values: Any, rng: random.Random) -> Any:
    if np.ndim(values) == 0:
        return rng.choice(
            (*(one for one in VALUES if isinstance(one, int | float | str) and abs(hash(one)) < 2**60), [0.5])
        )
    values, k, n = np.array(values), rng.randrange(max(1, len(values))), len(values)
    action = rng.randrange(7)
    if action < 3 and n and values.dtype.kind in "iuf":
        with np.errstate(all="ignore"):
            values.reshape(-1)[rng.randrange(values.size)] = np.array(rng.choice(NUMBERS)).astype(values.dtype)
        return values
    if action < 3 and n:
        values[k] = values[rng.randrange(n)]
        return values
    if action == 3:
        return rng.choice((values[:k], values[:0], np.concatenate([values, values[:1]]), values[None], values[:, None]))
    if action == 4:
        return np.random.default_rng(rng.randrange(99)).permutation(values)
    if action == 5 and values.ndim > 1:
        return values.T
    kind = rng.choice(KINDS)
    try:
        with np.errstate(all="ignore"):
            changed = values.astype(kind) if kind != "O" else values.astype(str).astype(object)
        return changed + 0.5 if kind == "f8" and rng.random() < 0.3 else changed
    except (TypeError, ValueError):
        return "text"


def of_image(path: Path, rng: random.Random) -> None:
    """Save the picture otherwise: smaller, turned, cut, shifted, in other colours, or as another type of file."""

    def change(data: bytes) -> bytes:
        image, out = Image.open(io.BytesIO(data)).convert("RGB"), io.BytesIO()
        width, height = image.size
        kind = path.name.removesuffix(".gz").rpartition(".")[2]
        how = rng.choice(("size", "turn", "crop", "shift", "colours", "type"))
        if how == "size":
            scale = rng.choice((0.1, 0.5, 0.8, 1.25, 2))
            image = image.resize((max(1, int(width * scale)), max(1, int(height * scale))))
        elif how == "turn":
            image = image.transpose(rng.choice(list(Image.Transpose)))
        elif how == "crop":
            image = image.crop((0, 0, int(width * rng.choice((0.1, 0.9))), int(height * rng.choice((0.1, 0.9, 1)))))
        elif how == "shift":
            image = image.transform(image.size, Image.Transform.AFFINE, (1, 0, 60, 0, 1, 40))
        elif how == "colours":
            image = image.convert(
                rng.choice(("L", "1", "P", "CMYK" if kind in ("jpg", "tif") else "LA" if kind == "png" else "L"))
            )
        types = {"png": "PNG", "jpg": "JPEG", "tif": "TIFF"}
        image = image.convert("L") if kind == "jpg" and image.mode in ("1", "P") else image
        image.save(out, rng.choice(("BMP", "GIF", "WEBP", "PNG", "TIFF")) if how == "type" else types[kind])
        return out.getvalue()

    _rewrite(path, change)


DAMAGES: dict[str, Callable[[Path, random.Random], None]] = {
    "json": of_json, "parquet": of_parquet, "h5": of_hdf5, "h5ad": of_hdf5,
    **dict.fromkeys(("csv", "tsv", "txt", "mtx"), of_text), **dict.fromkeys(("png", "jpg", "tif"), of_image),
}  # fmt: skip
