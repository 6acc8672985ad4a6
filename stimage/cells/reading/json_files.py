"""JSON files of cells: each feature or cell is made a row of numbers as soon as it is parsed, so that lists are few."""

import gc
import json
import re
from array import array
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from stimage.cells.reading.lifted import Irregular, Lifted, lift
from stimage.cells.reading.outlines import Found, Outlines
from stimage.core.errors import DataError, one_line, unreadable

CELLS = ("cell", "detection")  # QuPath's objects of which each is a cell, of whatever parts
OUTLINED = {"Polygon": 1, "MultiPolygon": 0, "Point": 1, "MultiPoint": 0}  # 1 where coordinates are one cell's
DEPTHS = {"Point": 1, "MultiPoint": 2, "Polygon": 3, "MultiPolygon": 4}  # of their lists
KIND_OF_QUPATH = re.compile(r"Path[A-Za-z]+Object")  # which QuPath 0.2 and older write as the id of every object
MARK = b"\xef\xbb\xbf"  # of UTF-8
WANTED = (
    "cells.geojson, cell_detection.geojson or cell_detection.json of CellViT, JSON of HoVer-Net, or GeoJSON of "
    "QuPath or Space Ranger"
)


class JsonCells:
    """What of a JSON file's cells was parsed so far."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.outlines, self.xy = Outlines(), array("d")
        self.classes: list[str | None] = []
        self.ids: list[str] = []
        self.features, self.regions, self.kinds = 0, 0, set[str]()

    def hook(self, pairs: list[tuple[str, Any]]) -> Any:
        """Take an object of the file; nothing is kept of a feature or a cell itself."""
        one = dict(pairs)
        if len(one) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise DataError(f"{self.path}: an object has the key {twice!r} twice, behind {len(self.classes):,} cells; "
                            "get the file anew")  # fmt: skip
        if "geometry" in one and "properties" in one:
            self.features += 1
            with self._told(f"feature {self.features}"):
                self._feature(one["geometry"], one["properties"] or {}, one.get("id"))
            return None
        if "centroid" in one:
            with self._told(f"cell {len(self.classes) + 1}"):
                self._cell(one)
            return None
        return one

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        try:
            yield
        except DataError:
            raise
        except (TypeError, ValueError, KeyError, AttributeError, OverflowError) as error:
            raise DataError(f"{self.path}: {what} is none of {WANTED} ({one_line(error)})") from None

    def _feature(self, geometry: Mapping, properties: Mapping, name: Any) -> None:
        """Add what a feature of GeoJSON has: a cell, or, as CellViT writes them, all cells of a class."""
        kind, places = geometry["type"], geometry["coordinates"]
        if kind not in OUTLINED:
            raise ValueError(f"its geometry is a {kind}")
        object_type = str(properties.get("objectType", ""))
        if kind == "Polygon" and object_type == "annotation":
            self.regions += 1
            return
        each = [places] if OUTLINED[kind] or object_type in CELLS else places
        if kind.endswith("Point"):
            self.xy.extend(number for place in (places if kind == "MultiPoint" else each) for number in _pair(place))
        else:
            for one in each:
                self.outlines.add(one if kind == "MultiPolygon" and each[0] is places else [one])
        self.classes += [_class_name(properties.get("classification"))] * len(each)
        self._named(kind, properties, name, len(each))

    def _named(self, kind: str, properties: Mapping, name: Any, cells: int) -> None:
        """Note what a feature's cells are called, and what it is."""
        self.kinds.add("GeoJSON of centres" if kind.endswith("Point") else "GeoJSON")
        if "cell_id" in properties:
            self.ids.append(f"cellid_{int(properties['cell_id']):09d}-1")  # as Space Ranger's matrix calls them
        elif name is not None and cells == 1 and not KIND_OF_QUPATH.fullmatch(str(name)):
            self.ids.append(str(name))

    def _cell(self, one: Mapping) -> None:
        """Add a cell of CellViT's or HoVer-Net's JSON."""
        self.xy.extend(_pair(one["centroid"]))
        if "contour" in one:
            self.outlines.add([[one["contour"]]])
        kind = one.get("type")
        self.classes.append(None if kind is None else str(int(kind)))

    def found(self, top: Any) -> Found:
        """Return all cells, given what is left of the file once its cells are taken out."""
        n, drawn = len(self.classes), self.outlines.cells
        if drawn not in (0, n) or len(self.xy) not in (0, 2 * n) or len(self.kinds) > 1:
            raise DataError(f"{self.path}: has {drawn:,} outlines for {n:,} cells; export all outlines, or no outline")
        if not n:
            raise self._empty(top)
        names, kind = _type_map(top), next(iter(self.kinds), "JSON of CellViT" if _has(top, "cells") else
                                           "JSON of HoVer-Net")  # fmt: skip
        classes = [names.get(one, one) if one else None for one in self.classes]
        xy = np.asarray(self.xy).reshape(-1, 2) if len(self.xy) else None
        ids = self.ids if len(self.ids) == n else None
        return Found(kind, self.outlines if drawn else None, xy, classes if any(classes) else None, ids)

    def _empty(self, top: Any) -> DataError:
        if self.regions:
            return DataError(f"{self.path}: has {self.regions} regions (annotations), and no cells; export detections")
        if self.features or any(_has(top, key) for key in ("features", "cells", "nuc")) or top == []:
            return DataError(f"{self.path}: has no cells")
        return DataError(f"{self.path}: is none of {WANTED}")


class LiftedCells(JsonCells):
    """Cells of a file whose places are lifted out: numbers of lists stand in the lists' places."""

    def __init__(self, path: Path, lists: Mapping[str, Lifted]) -> None:
        super().__init__(path)
        self.lists: Mapping[str, Lifted] = lists
        self.taken: dict[str, list[int]] = {}
        self._parts: list[int] = []

    def _feature(self, geometry: Mapping, properties: Mapping, name: Any) -> None:
        kind, k, lists = geometry["type"], geometry["coordinates"], self.lists["coordinates"]
        object_type = str(properties.get("objectType", ""))
        if kind == "Polygon" and object_type == "annotation":
            self.regions += 1
            return
        if DEPTHS.get(kind) != lists.depth or (kind.startswith("Multi") and object_type in CELLS):
            raise Irregular
        if not self._parts:
            self._parts = lists.parts().tolist()
        self.taken.setdefault("coordinates", []).append(k)
        n = self._parts[k]
        self.classes += [_class_name(properties.get("classification"))] * n
        self._named(kind, properties, name, n)

    def _cell(self, one: Mapping) -> None:
        for key in ("centroid", "contour"):
            if key in one:
                self.taken.setdefault(key, []).append(one[key])
        kind = one.get("type")
        self.classes.append(None if kind is None else str(int(kind)))

    def found(self, top: Any) -> Found:
        own = {key: self.lists[key].take(np.asarray(taken)) for key, taken in self.taken.items()}
        places = own.get("coordinates")
        drawn = places if places and places.depth > 2 else own.get("contour")
        centres = places if places and places.depth <= 2 else own.get("centroid")
        if any(key in own and own[key].depth != depth for key, depth in (("centroid", 1), ("contour", 2))):
            raise Irregular
        self.outlines = Outlines.of_lists(drawn) if drawn else self.outlines
        self.xy = array("d", np.asarray(centres.xy, np.float64).tobytes()) if centres else self.xy
        return super().found(top)


def read_json(path: Path) -> Found:
    """Read a JSON file of cells.

    Raises
    ------
    DataError
        If it is empty, cut off, none of the forms that are known, or has no cells; with the place.
    """
    with suppress(Irregular, DataError, OSError, ValueError, RecursionError):  # what is wrong, the plain reader tells
        text, lists = lift(path.read_bytes().removeprefix(MARK))
        lifted = LiftedCells(path, lists)
        return lifted.found(_parsed(text, lifted.hook))
    return _read_plainly(path)


def _read_plainly(path: Path) -> Found:
    """Read a file list by list; all that is wrong with it is told with its place."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        cells = JsonCells(path)
        return cells.found(_parsed(text, cells.hook))
    except DataError:
        raise
    except json.JSONDecodeError as error:
        ended = error.pos >= len(error.doc.rstrip()) - 1 or error.msg.startswith("Unterminated")
        cut = "is cut off" if ended else "is no JSON"
        where = f"at character {error.pos:,} of {len(error.doc):,}: {error.msg}"
        raise DataError(f"{path}: {cut} ({where}); get the file anew") from None
    except (OSError, MemoryError, RecursionError, ValueError) as error:  # ValueError: no UTF-8, or endless digits
        raise unreadable(path, error, f"is no JSON ({one_line(error)})") from None


def _parsed(text: str | bytes, hook: Callable[[list], Any]) -> Any:
    """Parse JSON; of millions of new lists, the collector of garbage would look through all again and again."""
    waits = gc.isenabled()
    gc.disable()
    try:
        return json.loads(text, object_pairs_hook=hook)
    finally:
        if waits:
            gc.enable()


def _pair(place: Any) -> tuple[float, float]:
    x, y = place
    return float(x), float(y)


def _has(top: Any, key: str) -> bool:
    return isinstance(top, Mapping) and key in top


def _class_name(told: Any) -> str | None:
    """Return the class of a feature: QuPath has an object, or, since 0.5, several names; others a text."""
    if isinstance(told, Mapping):
        told = told.get("name") or ": ".join(map(str, told.get("names") or []))
    return str(told) if told else None


def _type_map(top: Any) -> dict[str, str]:
    """Return number, as a text → name, of CellViT's ``type_map``."""
    told = top.get("type_map") if isinstance(top, Mapping) else None
    return {str(key): str(value) for key, value in told.items()} if isinstance(told, Mapping) else {}
