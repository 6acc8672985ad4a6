"""Ids of one form that differ in digits alone, as the barcodes of bins do: millions are compared as numbers."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

ZERO, NINE = 48, 57  # the bytes of digits
ROOM = 1 << 22  # numbers that there may always be; of more, at most SPARSE for an id
SPARSE = 8
MOST_LETTERS = 1 << 31  # of one array of texts


def extremes(*several: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the least and the greatest byte at each place of ids (uint8, as many as an id is long).

    None if the ids are not of one length, or differ at a place in other bytes than digits.
    """
    length, low, high = None, None, None
    for letters in (letters for ids in several for letters in _letters(ids)):
        if letters is None or (length is not None and letters.shape[1] != length):
            return None
        least, most = letters.min(0), letters.max(0)
        length = letters.shape[1]
        low = least if low is None else np.minimum(low, least)
        high = most if high is None else np.maximum(high, most)
        if ((low != high) & ((low < ZERO) | (high > NINE))).any():
            return None
    return None if low is None or high is None else (low, high)


def find_rows(ids: pa.ChunkedArray, among: pa.ChunkedArray) -> np.ndarray | None:
    """Return at which place of others each id is (int32, n), -1 where it is none of them.

    None if the ids are of no one form, or too few for their numbers, or if one of the others occurs twice.
    """
    if (found := extremes(ids, among)) is None:
        return None
    low, high = found
    places = np.flatnonzero(low != high)
    steps = (high - low)[places].astype(np.int64) + 1
    if np.prod(steps, dtype=float) > min(max(ROOM, SPARSE * len(among)), np.iinfo(np.int32).max):
        return None
    size = int(steps.prod())
    weights = (size // steps.cumprod()).astype(np.int32)
    row_of = np.full(size, -1, np.int32)
    for begin, numbers in _numbers(among, places, low, weights):
        row_of[numbers] = np.arange(begin, begin + len(numbers), dtype=np.int32)
    if np.count_nonzero(row_of >= 0) < len(among):
        return None
    rows = np.empty(len(ids), np.int32)
    for begin, numbers in _numbers(ids, places, low, weights):
        rows[begin : begin + len(numbers)] = row_of[numbers]
    return rows


def take_ids(ids: pa.ChunkedArray, places: np.ndarray) -> pa.ChunkedArray:
    """Return the ids at some places, each of which is named once; the ids themselves where that is all in order."""
    if len(places) == len(ids) and not places[0] and (places[1:] - places[:-1] == 1).all():
        return ids
    parts = _letters(ids)
    first = next(parts, None)
    size = first.shape[1] if first is not None else 0
    if not size or len(places) * size >= MOST_LETTERS:
        return pa.chunked_array([ids.take(pa.array(places)).combine_chunks()])
    goal = np.full(len(ids), -1, np.int32)
    goal[places] = np.arange(len(places))
    taken, begin = np.empty((len(places), size), np.uint8), 0
    for letters in _letters(ids):
        if letters is None or letters.shape[1] != size:
            return pa.chunked_array([ids.take(pa.array(places)).combine_chunks()])
        to = goal[begin : (begin := begin + len(letters))]
        taken[to[to >= 0]] = letters[to >= 0]
    return pa.chunked_array([as_texts(taken)])


def as_texts(letters: np.ndarray) -> pa.Array:
    """Return texts of one length by their bytes (uint8, n by length), which are not copied; they must be UTF-8."""
    ends = np.arange(0, letters.size + 1, letters.shape[1], dtype=np.int32)
    buffers = [None, pa.py_buffer(ends), pa.py_buffer(letters)]
    return pa.Array.from_buffers(pa.binary(), len(letters), buffers).cast(pa.string())


def _numbers(
    ids: pa.ChunkedArray, places: np.ndarray, low: np.ndarray, weights: np.ndarray
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the numbers that ids are, by the digits at some places, some ids at a time, and which is the first."""
    begin = 0
    for letters in _letters(ids):
        assert letters is not None  # all are of one form
        numbers = np.zeros(len(letters), np.int32)
        for place, weight in zip(places, weights):
            numbers += (letters[:, place] - low[place]).astype(np.int32) * weight
        yield begin, numbers
        begin += len(letters)


def _letters(ids: pa.ChunkedArray) -> Iterator[np.ndarray | None]:
    """Yield the bytes of ids (uint8, n by length), some ids at a time; None for some that are not of one length."""
    for chunk in ids.chunks:
        if not len(chunk):
            continue
        _, ends, letters = chunk.buffers()
        at = np.frombuffer(ends, np.int32)[chunk.offset : chunk.offset + len(chunk) + 1]
        length = int(at[1] - at[0])
        if chunk.null_count or chunk.type != pa.string() or not length or (np.diff(at) != length).any():
            yield None
            return
        yield np.frombuffer(letters, np.uint8)[at[0] : at[-1]].reshape(len(chunk), length)
