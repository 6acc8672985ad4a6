"""Pathologists' labels: the annotation file of a slide."""

from stimage.core.access import OPEN, Access
from stimage.core.errors import DataError
from stimage.core.tables import other_form, read_table

# no label, in lower case: as the data set's authors leave them out, and what pandas takes for a missing value
UNLABELLED = frozenset(("", "undetermined", "exclude", "na", "n/a", "nan", "null", "none"))
NONE = ("", "NA")  # no label; the second is how R writes a missing one


def is_label(annotation: str | None) -> bool:
    """Return whether an annotation is a label: not missing, empty, undetermined or Exclude, in any case."""
    return (annotation or "").strip().casefold() not in UNLABELLED


def read_labels(path: str, access: Access = OPEN) -> dict[str, str | None]:
    """Read an annotation file: spot id, as in the file, → label, or None where there is none.

    A label is the value of the column ``V2``, without blanks around it.

    Raises
    ------
    DataError
        If there is no column ``V2``, or a spot has two labels.
    """
    columns, table = read_table(path, access=access)
    if len(columns) < 2 or "V2" not in columns[1:]:
        if told := other_form(path, ",".join(columns).encode()):
            raise DataError(f"{path}: {told}")
        raise DataError(f"{path}: has no column 'V2' with the labels; its columns are {', '.join(map(repr, columns))}")
    labels: dict[str, str | None] = {}
    for number, row in enumerate(table, 2):
        spot, label = row[columns[0]], row["V2"].strip()
        label = None if label in NONE else label
        if labels.setdefault(spot, label) != label:
            raise DataError(
                f"{path}: row {number}: spot {spot!r} has two labels, {labels[spot]!r} and {label!r}; keep one row"
            )
    return labels
