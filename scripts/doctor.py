"""Check this machine: versions, extras, native code, caches, the Hub's login and GPUs, with a remedy for each fault.

The checks take seconds, need no network and show no token, so that you can put their output into an issue. A check
passes, warns, fails, or is skipped where it is about something that few users need. The exit code is 1 if a check
failed.
"""

import argparse
import sys

from stimage.cli.doctor import examine


def main() -> int:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    found = examine()
    for name, one in found.items():
        remedy = f"\n{'':8}→ {one.remedy}" if one.remedy else ""
        print(f"{one.status:7} {name}: {one.message}{remedy}")
    failed = [name for name, one in found.items() if one.status == "fail"]
    print(f"failed: {', '.join(failed)}" if failed else "nothing failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())  # what other scripts share needs packages that may be broken
