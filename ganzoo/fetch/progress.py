"""Progress bars on standard error: all of this package's own are tqdm's."""

import os
import sys

from ganzoo.fetch.settings import YES


def shown() -> bool:
    """Whether bars are drawn: as `GANZOO_PROGRESS` says, else on a terminal."""
    chosen = os.environ.get("GANZOO_PROGRESS", "").strip().lower()
    return chosen in YES or (not chosen and sys.stderr is not None and sys.stderr.isatty())


def bar(title, total=None, *, unit, done=0, scaled=False):
    """A tqdm bar, silent where none is `shown`; to be closed, or used in `with`.

    Args:
        title: what stands before it.
        total: how much there is to do. Defaults to `None`, unknown.
        unit: of what, such as `"B"` or `" images"`.
        done: how much was done before. Defaults to 0.
        scaled: bool. Thousands as k, millions as M. Defaults to `False`.
    """
    from tqdm import tqdm

    return tqdm(
        total=total,
        initial=done,
        desc=title,
        unit=unit,
        unit_scale=scaled,
        disable=not shown(),
    )
