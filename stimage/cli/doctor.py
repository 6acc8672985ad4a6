"""Checks of this machine for all that the project can use: each has a status, a message and a remedy.

No check uses a network, and torch is imported only where there is a GPU.
"""

import importlib.util
import os
import platform
import shutil
import sys
from collections.abc import Callable, Mapping
from glob import glob
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

import stimage
from stimage.collection.checks.findings import Result
from stimage.core.errors import one_line
from stimage.core.extras import PROJECT, how_to_install, this_project

NATIVE = (
    "numpy",
    "pyarrow",
    "h5py",
    "pyvips",
    "isal",
)  # have code of their own: may be there, yet broken
ROOM_GB, SHARED_GB = 10, 1  # below these, a disk and the memory that processes share are scarce


def examine() -> dict[str, Result]:
    """Return the result of each check, by its name.

    The status is pass, warn, fail, or skipped, for a thing that is neither there nor needed.
    """
    checks: dict[str, Callable[[], Result]] = {
        "python": check_python, "stimage": check_stimage, "packages": lambda: check_packages(None),
        "native code": check_native, **{f"extra {name}": _extra(name) for name in extras()},
        "cache": check_cache, "shared memory": check_shared, "hub login": check_login, "gpu": check_gpu,
    }  # fmt: skip
    return {name: _told(check) for name, check in checks.items()}


def _told(check: Callable[[], Result]) -> Result:
    try:
        return check()
    except Exception as error:  # of a package that is broken: the other checks go on
        return Result("fail", f"can't be looked at ({type(error).__name__}: {one_line(error, 120)})",
                      "make a new environment, and install the project there")  # fmt: skip


def check_python() -> Result:
    """Say which Python it is, and check that it keeps what it compiles; the script refuses one that is too old."""
    told = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    if sys.dont_write_bytecode and (slow := [name for name in ("stimage", *NATIVE, "torch") if not _compiled(name)]):
        told += f"; PYTHONDONTWRITEBYTECODE is set: each start compiles {', '.join(slow)} anew"
        return Result("warn", told, "unset PYTHONDONTWRITEBYTECODE: a start then takes half the time")
    return Result("pass", told)


def _compiled(name: str) -> bool:
    """Say whether a package's bytecode is kept; yes, where there is no such package, or nothing to compile."""
    cached = getattr(importlib.util.find_spec(name), "cached", None)
    return cached is None or os.path.exists(cached)


def check_stimage() -> Result:
    """Say which version of the project is used, and from where."""
    told = f"{stimage.__version__} in {_short(Path(stimage.__file__).parent)}"
    installed = _version(PROJECT)
    if installed is None:
        return Result("warn", f"{told}, which is not installed", "pip install -e . in the clone")
    if installed != stimage.__version__:
        return Result("warn", f"{told}, but {installed} is installed", "pip install -e . in the clone, or leave it")
    return Result("pass", told)


def requirements(extra: str | None) -> list[Requirement]:
    """Return what the project, or an extra of it, requires; nothing where the project is not installed."""
    try:
        every = [Requirement(line) for line in metadata.requires(PROJECT) or []]
    except metadata.PackageNotFoundError:
        return []
    return [one for one in every if one.name != PROJECT and _asked(one, extra)]


def _asked(one: Requirement, extra: str | None) -> bool:
    without = one.marker is None or one.marker.evaluate({"extra": ""})
    if extra is None or one.marker is None:
        return without and extra is None
    return not without and one.marker.evaluate({"extra": extra})


def extras() -> list[str]:
    """Return the project's extras, without those that are made of others and those for its developers."""
    try:
        every = metadata.metadata(PROJECT).get_all("Provides-Extra") or []
    except metadata.PackageNotFoundError:
        return []
    return [name for name in every if name not in ("all", "dev")]


def check_packages(extra: str | None) -> Result:
    """Check that what is required is installed, and not too old."""
    wanted = requirements(extra)
    found = {one.name: _version(one.name) for one in wanted}
    missing = [name for name, version in found.items() if version is None]
    old = [f"{one.name} {found[one.name]} is not {one.specifier}" for one in wanted
           if (version := found[one.name]) and not one.specifier.contains(version, prereleases=True)]  # fmt: skip
    install = f"pip install --upgrade {this_project(extra or '')}"
    if old or (missing and extra is None):
        return Result("fail", "; ".join([*old, *(f"{name} is missing" for name in missing)]), install)
    if missing:
        of = f", of {len(wanted)}" if len(missing) < len(wanted) else ""
        return Result("skipped", f"not installed: {', '.join(missing)}{of}", f"{install}, if you need it")
    if not wanted:
        return Result("skipped", "not known: the project is not installed", "pip install -e . in the clone")
    return Result("pass", ", ".join(f"{name} {version}" for name, version in found.items()))


def _extra(name: str) -> Callable[[], Result]:
    return lambda: check_packages(name)


def check_native() -> Result:
    """Import the packages that have code of their own."""
    broken = {}
    for name in NATIVE:
        try:
            importlib.import_module(name)
        except (ImportError, OSError, AttributeError) as error:  # such as a library that is of another version
            broken[name] = one_line(error, 120)
    if broken:
        told = "; ".join(f"{name} can't be imported ({why})" for name, why in broken.items())
        return Result("fail", told, f"pip install --force-reinstall {' '.join(broken)}")
    return Result("pass", f"{', '.join(NATIVE)} can be imported")


def check_cache(environment: Mapping[str, str] = os.environ) -> Result:
    """Check that the caches of the Hub and of datasets can be written, and have room."""
    from huggingface_hub import constants  # here, since it takes long to import

    datasets = environment.get("HF_DATASETS_CACHE") or f"{constants.HF_HOME}/datasets"
    places = {"HF_HUB_CACHE": Path(constants.HF_HUB_CACHE), "HF_DATASETS_CACHE": Path(datasets)}
    told, closed, scarce = [], [], []
    for name, folder in places.items():
        there = next(one for one in (folder, *folder.parents) if os.path.lexists(one))  # a link may lead nowhere
        if not (there.is_dir() and os.access(there, os.W_OK | os.X_OK)):
            why = "which can't be written" if there.is_dir() else f"but {_short(there)} is no folder"
            told.append(f"{_short(folder)}, {why}")
            closed.append(name)
            continue
        free = shutil.disk_usage(there).free / 1e9
        told.append(f"{_short(folder)}, {free:,.0f} GB free")
        scarce += [name] if free < ROOM_GB else []
    for status, names, where in (("fail", closed, "that you can write"), ("warn", scarce, "on a larger disk")):
        if names:
            within = all(folder.is_relative_to(constants.HF_HOME) for folder in places.values())
            variable = "HF_HOME" if names == list(places) and within else " and ".join(names)
            return Result(status, "; ".join(told), f"set {variable} to a folder {where}")
    return Result("pass", "; ".join(told))


def check_shared(folder: Path = Path("/dev/shm")) -> Result:
    """Check the memory through which processes pass batches on; containers often have 64 MB."""
    if not folder.is_dir():
        return Result("skipped", f"there is no {folder}")
    size = shutil.disk_usage(folder).total / 1e9
    if size < SHARED_GB:
        return Result("warn", f"{size * 1000:,.0f} MB: too little for workers of a loader",
                      "docker run --ipc=host or --shm-size=8g; or workers=0")  # fmt: skip
    return Result("pass", f"{size:,.0f} GB")


def check_login() -> Result:
    """Say whether there is a login of the Hub; what it is, is never told, nor is the Hub asked."""
    from huggingface_hub import constants, get_token  # as above

    offline = ", and HF_HUB_OFFLINE is set: nothing is fetched" if constants.HF_HUB_OFFLINE else ""
    try:
        token = get_token()
    except (OSError, ValueError) as error:  # the file of the token is a folder, or no text
        path = _short(Path(constants.HF_TOKEN_PATH))
        return Result("fail", f"{path} can't be read ({one_line(error, 120)})",
                      f"move {path} away, or set HF_HOME to a folder; then: hf auth login")  # fmt: skip
    if token is None:
        return Result("skipped", f"none: public repositories need no login{offline}",
                      "hf auth login, to push or to read private ones")  # fmt: skip
    by_variable = any(os.environ.get(name) for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"))
    return Result("pass", f"there is a token, by {'HF_TOKEN' if by_variable else 'hf auth login'}{offline}")


def check_gpu(devices: str = "/dev/nvidia[0-9]*") -> Result:
    """Check that torch sees the GPUs that there are."""
    apple = platform.system() == "Darwin" and platform.machine() == "arm64"
    if not (apple or glob(devices) or shutil.which("nvidia-smi")):
        return Result("skipped", "no GPU is seen: models run on the CPU")
    if _version("torch") is None:
        return Result("warn", "there is a GPU, but torch is not installed", how_to_install("torch"))
    torch = importlib.import_module("torch")
    if apple:
        seen = torch.backends.mps.is_available()
        return Result("pass" if seen else "warn", f"torch {torch.__version__} {'sees' if seen else 'does not see'} MPS")
    if torch.cuda.is_available():
        many = [torch.cuda.get_device_properties(k) for k in range(torch.cuda.device_count())]
        told = ", ".join(f"{one.name} ({one.total_memory / 1e9:,.0f} GB)" for one in many)
        return Result("pass", f"torch {torch.__version__} sees {told}")
    if torch.version.cuda is None:
        return Result("warn", f"there is a GPU, but torch {torch.__version__} is built without CUDA",
                      "install torch by the command of pytorch.org for your CUDA")  # fmt: skip
    of = f"{torch.__version__} for CUDA {torch.version.cuda}"
    return Result("warn", f"there is a GPU, but torch {of} does not see it",
                  "look at nvidia-smi (the driver may be too old), and at CUDA_VISIBLE_DEVICES")  # fmt: skip


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _short(path: Path) -> str:
    """Return a path without the user's name: what is printed goes into issues."""
    home = Path.home()
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)
