"""Check this machine: versions, extras, native code, caches, the Hub's login and GPUs, with a remedy for each fault.

The checks take seconds, need no network and show no token, so that you can put their output into an issue. A check
passes, warns, fails, or is skipped where it is about something that few users need. The exit code is 1 if a check
failed.
"""

import argparse
import platform
import sys

INSTALL = "pip install . in the clone; stimage doctor then looks at all of it"


def main() -> int:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    if sys.version_info < (3, 10):  # noqa: UP036 (the library could not be imported)
        print(f"fail    python: {platform.python_version()}\n{'':8}→ use Python 3.10 or later\nfailed: python")
        return 1
    try:
        from stimage.cli.doctor import examine
    except ModuleNotFoundError as error:
        print(f"fail    packages: {str(error.name).partition('.')[0]} is missing\n{'':8}→ {INSTALL}\nfailed: packages")
        return 1
    found, lines = examine(), []
    for name, one in found.items():
        lines += [f"{one.status:7} {name}: {one.message}", *([f"{'':8}→ {one.remedy}"] if one.remedy else [])]
    failed = [name for name, one in found.items() if one.status == "fail"]
    print("\n".join([*lines, f"failed: {', '.join(failed)}" if failed else "nothing failed"]))  # at once, for head
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())  # what other scripts share needs packages that may be broken
