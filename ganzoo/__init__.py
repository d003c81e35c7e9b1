"""Generative adversarial networks for Keras: trainable families and published weights.

Names are looked up at first use (PEP 562), so `import ganzoo` imports neither Keras nor TensorFlow;
it turns oneDNN on for TensorFlow, unless TF_ENABLE_ONEDNN_OPTS is set.
A family needs no entry here: `ganzoo.FeatureMatchingGAN` is the class in
`families/feature_matching_gan.py` whose lower-cased name equals the file's without underscores.

Example:
    >>> import ganzoo
    >>> images = ganzoo.load("dcgan-digiface-64").generate(16, seed=0)
"""

import importlib
import os

from ganzoo import moved as _moved
from ganzoo.onednn import turn_on as _turn_on

__version__ = "0.1.0.dev0"

_turn_on()
_moved.install()
_HOMES = {
    "EMA": "ema",
    "GAN": "gan",
    "Generator": "generator",
    "LatentGAN": "latent_gan",
    "Phase": "gan",
    "Recipe": "recipe",
    "list_models": "hub",
    "load": "hub",
    "load_generator": "hub",
    "manifest": "hub",
}
_MODULES = frozenset(
    "augment avatars callbacks checkpoints conditions convert data editing ema errors families gan "
    "generator growing_gan hub latent_gan layers losses measure metrics penalties pictures publish "
    "recipe recipes training translation_gan translator vocoder".split()
)


def _families():
    """Class name -> module name, read from the text of families/*.py without importing it."""
    import re  # would be most of the time of `import ganzoo`

    folder = os.path.join(os.path.dirname(__file__), "families")
    found = {}
    for file in sorted(os.listdir(folder)):
        stem, extension = os.path.splitext(file)
        if extension != ".py" or stem.startswith("_"):
            continue
        with open(os.path.join(folder, file), encoding="utf-8") as source:
            classes = re.findall(r"^class (\w+)", source.read(), flags=re.MULTILINE)
        found.update((c, f"families.{stem}") for c in classes if c.lower() == stem.replace("_", ""))
    return found


def _check_backend():
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    if backend != "tensorflow":
        raise ImportError(
            "ganzoo runs on Keras' TensorFlow backend only; set KERAS_BACKEND=tensorflow before "
            f"Keras is imported. Received: KERAS_BACKEND={backend!r}"
        )


def _unknown(name):
    import difflib

    names = {known.lower(): known for known in reversed(__dir__())}  # GAN before gan
    close = difflib.get_close_matches(name.lower(), names, n=1)
    hint = f" Did you mean {names[close[0]]!r}?" if close else " See `dir(ganzoo)`."
    return AttributeError(f"module {__name__!r} has no attribute {name!r}.{hint}")


def __getattr__(name):
    if name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name in _MODULES:
        _check_backend()
        return importlib.import_module(f"{__name__}.{name}")
    home = _HOMES.get(name) or _families().get(name)
    if home is None:
        raise _unknown(name)
    _check_backend()
    value = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__():
    return sorted({"__version__", *_HOMES, *_MODULES, *_families()})
