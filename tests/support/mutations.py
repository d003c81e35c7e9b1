"""Damaged files: seeded mutations, and what reading them may end in."""

import collections
import random
import time

import numpy as np

from ganzoo.checkpoints import reader
from ganzoo.errors import CheckpointError

SECONDS = 10  # that one file may take
PLAIN = (str, int, float, complex, type(None))
NUMBERS = (0, 1, 2, 7, 8, 255, 65_535, 1 << 31, (1 << 32) - 1, 1 << 62, (1 << 64) - 1)


def mutated(data, rng, other=None):
    """The bytes, changed in one to four places.

    Args:
        data, other: bytes; pieces of the other take the place of some.
        rng: `random.Random`.
    """
    data, other = bytearray(data), data if other is None else other
    for _ in range(rng.choice((1, 1, 2, 4))):
        at, count = rng.randrange(len(data) or 1), rng.choice((1, 2, 4, 8, 16, 100))
        how = rng.choice(("bit", "byte", "number", "number", "cut", "double", "splice", "end"))
        if how == "bit" and data:
            data[at] ^= 1 << rng.randrange(8)
        elif how == "byte" and data:
            data[at] = rng.choice((0, 1, 127, 128, 255, rng.randrange(256)))
        elif how == "number":
            size = rng.choice((1, 2, 4, 8))
            number = rng.choice((*NUMBERS, rng.randrange(len(data) + 1), rng.getrandbits(64)))
            data[at : at + size] = (number & (1 << 8 * size) - 1).to_bytes(size, "little")
        elif how == "cut":
            del data[at : at + count]
        elif how == "double":
            data[at:at] = data[at : at + count]
        elif how == "splice":
            start = rng.randrange(len(other))
            data[at : at + count] = other[start : start + count]
        elif how == "end" and rng.random() < 0.3:
            del data[at:]
    return bytes(data)


def outcomes(load, cases):
    """How reading each case ends: `Counter` of "read" and of names of errors.

    Args:
        load: function of a case, giving a tree.
        cases: iterable.
    Raises: AssertionError: if a tree is not of plain data, or a case takes too long. Errors that
        are no `CheckpointError` pass through.
    """
    ends = collections.Counter()
    for case in cases:
        started = time.perf_counter()
        try:
            tree = load(case)
            assert_plain(tree)
            reader.flatten(tree)
            ends["read"] += 1
        except CheckpointError as error:
            ends[type(error).__name__] += 1
        assert time.perf_counter() - started < SECONDS
    return ends


def assert_plain(tree):
    """Dictionaries, lists, arrays of numbers and scalars, and nothing else."""
    pending, seen = [tree], set()
    while pending:
        value = pending.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, dict):
            assert all(type(key) in PLAIN for key in value)
            pending += value.values()
        elif isinstance(value, list):
            pending += value
        elif isinstance(value, np.ndarray):
            assert not value.dtype.hasobject
        else:
            assert type(value) in (*PLAIN, bool), type(value)


def many(seeds, count, seed=0):
    """`count` mutations, of each of the seeds in turn; the same for the same `seed`."""
    rng = random.Random(seed)
    for i in range(count):
        yield mutated(seeds[i % len(seeds)], rng, rng.choice(seeds))
