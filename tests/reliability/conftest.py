"""The table of all cases, written where STIMAGE_FAULTS_OUT says."""

import json
import os
from pathlib import Path

from tests.reliability.oracle import TALLY

OUTCOMES = ("right result", "own error")


def pytest_sessionfinish(session, exitstatus):
    out = os.environ.get("STIMAGE_FAULTS_OUT")
    if not out or not TALLY:
        return
    rows = {}
    for (door, kind, action, outcome), n in sorted(TALLY.items()):
        rows.setdefault((door, kind, action), dict.fromkeys(OUTCOMES, 0))[outcome] = n
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    record = {
        "cases": sum(TALLY.values()), "failed tests": session.testsfailed,
        "rows": [dict(zip(("door", "file", "action"), key)) | row for key, row in rows.items()],
    }  # fmt: skip
    (folder / "faults.json").write_text(json.dumps(record, indent=1) + "\n")
    (folder / "faults.md").write_text(markdown(rows, record))
    print(f"\n{record['cases']:,} cases, {session.testsfailed} failed tests: {folder}/faults.md, {folder}/faults.json")


def markdown(rows: dict, record: dict) -> str:
    """Return a line a door and file; each action's cell says how often the result was right and how often refused."""
    actions = sorted({action for _, _, action in rows})
    lines = [
        f"{record['cases']:,} cases: right results / own errors; failed tests: {record['failed tests']}", "",
        f"| door | file | {' | '.join(actions)} |", "| --- | --- |" + " --- |" * len(actions),
    ]  # fmt: skip
    for door, kind in dict.fromkeys((door, kind) for door, kind, _ in rows):
        cells = [rows.get((door, kind, action)) for action in actions]
        shown = [" / ".join(str(cell[outcome]) for outcome in OUTCOMES) if cell else "" for cell in cells]
        lines.append(f"| {door} | {kind} | {' | '.join(shown)} |")
    return "\n".join(lines) + "\n"
