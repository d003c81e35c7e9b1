"""Dictionaries and sets whose keys a file chooses: only those that cost little."""

from ganzoo.checkpoints.limits import MAX_KEY, MAX_ODD_KEYS, MAX_RANK
from ganzoo.errors import CorruptCheckpointError

SCALARS = (str, int, float, bool, bytes, type(None))
CONTAINER_BYTES = 256  # that an empty one takes, with its place in the tables of the reader


def _key(key, others):
    """A key for a dict or set with `others`: text, numbers and short, flat tuples of these.

    What costs little to compare and to hash, and does not collide more often than by chance.
    """
    flat = key if isinstance(key, tuple) else (key,)
    if len(flat) > MAX_RANK or not all(isinstance(k, SCALARS) for k in flat):
        raise CorruptCheckpointError("A dictionary key or set item is neither text nor number.")
    if any(isinstance(k, (str, bytes)) and len(k) > MAX_KEY for k in flat):
        raise CorruptCheckpointError(f"A dictionary key has more than {MAX_KEY} characters.")
    odd = isinstance(key, (tuple, float)) or (isinstance(key, int) and abs(key) >= 2**60)
    if odd and len(others) >= MAX_ODD_KEYS:
        raise CorruptCheckpointError("A dictionary has very many keys that are no text.")
    return key


def fill(target, items) -> dict:
    """The dictionary with further items: keys and values in turn."""
    if not isinstance(target, dict) or len(items) % 2:
        raise CorruptCheckpointError("A pickle sets items of something that is no dictionary.")
    for key, value in zip(items[::2], items[1::2]):
        target[_key(key, target)] = value
    return target


def add(target, items) -> set:
    """The set with further items."""
    if not isinstance(target, set):
        raise CorruptCheckpointError("A pickle adds to something that is no set.")
    for item in items:
        target.add(_key(item, target))
    return target


def cost(value) -> int:
    """Bytes that a copy of `value` takes, roughly; a short file may ask for many copies of one."""
    if isinstance(value, (str, bytes)):
        return len(value)
    return 100 * len(value) if isinstance(value, (list, tuple, dict, set)) else 0
