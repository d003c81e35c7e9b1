"""What the tests of foreign layouts share: small checkpoints, and the outputs recorded for them.

The recorded outputs (tests/golden/convert/*.npz, every third row and column of images) were made by
PyTorch networks with the publishers' names, written from the publishers' descriptions, in
evaluation mode.
"""

import pathlib
import pickle
import zlib

import numpy as np

GOLDEN = pathlib.Path(__file__).resolve().parents[1] / "golden" / "convert"
NORM = ("weight", "bias", "running_mean", "running_var")


def fill(shapes):
    """{name: float32 array}: random, of a size that keeps outputs lively, whatever the order."""
    return {name: _array(name, shape) for name, shape in shapes.items()}


def _array(name, shape):
    x = np.random.RandomState(zlib.crc32(name.encode())).normal(size=shape)
    if name.endswith("running_var"):
        x = 0.5 + x**2
    elif len(shape) > 1:
        x *= 1.5 / np.sqrt(np.prod(shape) / shape[0])
    else:
        x = 0.3 * x + float(name.endswith("weight"))
    return x.astype("float32")


def norm(name, width):
    """Shapes of one BatchNorm."""
    return {f"{name}.{part}": (width,) for part in NORM}


def pickled(path, tree):
    """`path`, after writing the tree there."""
    path.write_bytes(pickle.dumps(tree, protocol=2))
    return path


def inputs(latent_dim, size, channels=3):
    """(latents [3, latent_dim], images [3, size, size, channels]) of the recorded outputs."""
    state = np.random.RandomState(1)
    z = state.randn(3, latent_dim).astype("float32")
    return z, state.uniform(-1, 1, (3, size, size, channels)).astype("float32")


def recorded(name):
    """{output: array} of `tests/golden/convert/<name>.npz`."""
    return dict(np.load(GOLDEN / f"{name}.npz"))


def assert_images(images, expected, atol=3e-6):
    """Images [B, H, W, C] agree with recorded ones."""
    np.testing.assert_allclose(np.asarray(images)[:, ::3, ::3], expected, rtol=0, atol=atol)
