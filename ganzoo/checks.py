"""Checks of arguments that many rooms make: one of these names, a whole number."""

import difflib
from typing import TypeVar

import numpy as np

Value = TypeVar("Value")


def is_whole(value) -> bool:
    """Whether `value` is an int (also NumPy's), and no bool."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def check_choice(name, value: Value, legal, error=ValueError) -> Value:
    """`value`, if it is one of `legal`.

    Args: name: of the argument, for the message. error: type that is raised.
    Raises: `error`: with the legal values, and those that look like `value`.
    """
    if value in legal:
        return value
    near = difflib.get_close_matches(str(value), [str(name) for name in legal], n=3)
    hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
    raise error(f"`{name}` must be one of {tuple(legal)}. Received: {name}={value!r}.{hint}")


def check_count(name, value, least=1, error=ValueError) -> int:
    """`value`, if it is an int >= `least`.

    Args: name: of the argument, for the message. error: type that is raised.
    Raises: `error`: naming the value.
    """
    if is_whole(value) and value >= least:
        return value
    bound = "> 0" if least == 1 else f">= {least}"
    raise error(f"`{name}` must be an int {bound}. Received: {name}={value!r}")
