"""Data sets out of the JSON values that `get_config` gave."""

from ganzoo.data.dataset import Dataset
from ganzoo.data.mixtures import MIXTURES, Mixture
from ganzoo.data.pairs import Pairs, Unpaired


def from_config(config) -> Dataset | Mixture | Pairs | Unpaired:
    """The data set of a `get_config()`, such as the `dataset` of a `recipe.json`.

    Args: config: dict. Without a `kind`, the fields of a `Dataset`.
    Raises: ValueError: another `kind` (a data set of your own), or fields that do not fit.
    Example:
        >>> from ganzoo.data import ring
        >>> from_config(ring().get_config()) == ring()
        True
    """
    fields = dict(config)
    kind = fields.pop("kind", None)
    builders = {
        None: Dataset,
        **{layout: lambda **rest: Mixture(layout=kind, **rest) for layout in MIXTURES},
        "pairs": Pairs,
        "unpaired": lambda a, b: Unpaired(from_config(a), from_config(b)),
    }
    if kind not in builders:
        legal = sorted(filter(None, builders))
        raise ValueError(
            f"Only data sets of `ganzoo.data` are rebuilt from a config, of the kinds {legal} or "
            f"without one; give the data set itself. Received: kind={kind!r}"
        )
    try:
        return builders[kind](**fields)
    except TypeError as error:
        raise ValueError(
            f"The config of a data set does not fit ({error}). Received: {config!r}"
        ) from error
