"""What can happen to a file: each fault is a kind of file, an action, and a seed that settles its details."""

import ctypes
import os
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

WRONG_TYPES = (
    b"\x89PNG\r\n\x1a\n" + bytes(range(256)),
    b"<!DOCTYPE html><html><body>503 Service Unavailable</body></html>\n",
    b"PAR1" + bytes(64) + b"PAR1",
    b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
    b"\x1f\x8b\x08\0" + bytes(40),
    b"\x80\x04\x95\x10\0\0\0\0\0\0\0}\x94.",
    "slide,yaxis,xaxis,r\nü,1,2,3\n".encode("utf-16"),
    b"\0" * 300,
    b"\n\n\n\n",
    b'"' * 99,
    b"[" * 50_000,
)


def truncate(data: bytes, rng: random.Random) -> bytes:
    """Cut at some place; each fourth time near the end, where little is missing."""
    return data[: rng.randrange(len(data)) if rng.random() < 0.75 else max(0, len(data) - rng.randint(1, 12))]


def flip(data: bytes, rng: random.Random) -> bytes:
    """Change one to eight bits, or a run of up to 64 bytes."""
    changed = bytearray(data)
    at = rng.randrange(len(data))
    if rng.random() < 0.25:
        run = rng.randbytes(rng.randint(1, 64))
        changed[at : at + len(run)] = run[: len(data) - at]
        return bytes(changed)
    for _ in range(rng.choice((1, 1, 1, 2, 8))):
        changed[at] ^= 1 << rng.randrange(8)
        at = rng.randrange(len(data))
    return bytes(changed)


def empty(data: bytes, rng: random.Random) -> bytes:
    return b""


def wrong_type(data: bytes, rng: random.Random) -> bytes:
    return rng.choice(WRONG_TYPES)


CONTENT: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "truncate": truncate, "flip": flip, "empty": empty, "wrong type": wrong_type,
}  # fmt: skip
PLACE = ("disappear", "permissions", "folder", "pipe", "dangling link", "link to itself")
MOMENTS = ("before", "listed", "reading")
ACTIONS = (*CONTENT, "swap", *PLACE)
WEIGHED = ("truncate",) * 4 + ("flip",) * 10 + ("wrong type",) * 2 + ACTIONS  # those that have many ways come often


@dataclass(frozen=True)
class Fault:
    """One thing that happens to one file of a kind: before all, after slides were listed, or while they are read."""

    kind: str
    action: str
    seed: int = 0
    when: str = "before"


def damage(path: Path, fault: Fault, other: bytes = b"") -> None:
    """Do to a file what the fault says; ``other`` is what a swap puts there."""
    if fault.action in CONTENT:
        data = path.read_bytes()
        if fault.kind.startswith("JPEG") or (fault.kind.startswith("TIFF") and fault.action == "flip"):
            # libvips maps JPEGs into memory: to cut one in place while it is read kills any process; and of a raw TIFF
            # a patch may be half of before and half of after
            path.unlink()
        path.write_bytes(CONTENT[fault.action](data, random.Random(fault.seed)))
        return
    if fault.action == "permissions":
        path.chmod(0)
        return
    path.unlink()
    if fault.action == "swap":
        path.write_bytes(other)
    elif fault.action == "folder":
        path.mkdir()
    elif fault.action == "pipe":
        os.mkfifo(path)
    elif fault.action == "dangling link":
        path.symlink_to("nowhere")
    elif fault.action == "link to itself":
        path.symlink_to(path.name)
    elif fault.action != "disappear":
        raise ValueError(fault.action)


@contextmanager
def mended(path: Path) -> Iterator[None]:
    """Put a file back as it was at the end, its time too."""
    data, stat = path.read_bytes(), path.stat()
    try:
        yield
    finally:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
        path.write_bytes(data)
        path.chmod(stat.st_mode)
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


@contextmanager
def as_a_user() -> Iterator[None]:
    """Take from root, where tests run as root, what lets it open any file (Linux: two capabilities of this thread)."""
    if os.geteuid() != 0:
        yield
        return
    libc = ctypes.CDLL(None, use_errno=True)
    head, before = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    assert libc.capget(head, before) == 0
    less = (ctypes.c_uint32 * 6)(*before)
    less[0] &= ~(1 << 1 | 1 << 2)  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
    assert libc.capset(head, less) == 0
    try:
        yield
    finally:
        assert libc.capset(head, before) == 0
