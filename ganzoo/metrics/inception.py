"""The Inception network of FID, KID and the Inception Score.

Paper: Szegedy et al. 2016, "Rethinking the Inception Architecture" (arXiv:1512.00567); the graph is
that of TensorFlow's `inception-2015-12-05`, with which Heusel et al. 2017 (arXiv:1706.08500) and
Salimans et al. 2016 (arXiv:1606.03498) measure. It is not `keras.applications.InceptionV3`:

* the average pools within the blocks leave padding out of their means,
* the pool of the last block (`Mixed_7c`) takes the maximum,
* the normalisations have epsilon 1e-3, and there are 1008 logits,
* the Inception Score is made of the logits without their bias, as in the official code.

Made for speed on a CPU: each normalisation is folded into its convolution when weights are loaded
(`ganzoo.convert.inception`), which TensorFlow then runs as one operation with bias and ReLU; and
the 1 x 1 convolution behind an average pool runs before it, with the same result from fewer maps.
Merging the 1 x 1 convolutions that share an input into one was no faster.
"""

import keras
from keras import layers

SIZE = 299
OUTPUTS = {"64": 64, "192": 192, "768": 768, "2048": 2048, "logits_unbiased": 1008, "logits": 1008}
PLAIN = {"data_format": "channels_last", "dtype": "float32"}  # whatever the user's defaults are


def inception(outputs=("2048", "logits_unbiased")) -> keras.Model:
    """FID's Inception network, without weights: fill it with `convert.inception.fill`.

    Args:
        outputs: tuple of names out of `OUTPUTS`: the mean over the map behind the first pool
            (`"64"`), behind the second pool (`"192"`), of `Mixed_6e` (`"768"`), of `Mixed_7c`
            (`"2048"`); the logits without (`"logits_unbiased"`) and with their bias (`"logits"`).
    Input shape: float32 [B, 299, 299, 3] in about [-1, 1]; how it is scaled is the reference's
        matter, see `features.py`.
    Output shape: dict from name to float32 [B, `OUTPUTS[name]`].
    Raises: ValueError: for an unknown output.
    Reference: pytorch-fid 0.3.0 and torch-fidelity 0.4.0; the same weights give the same features
        to 1e-4, relative to the largest (test).
    """
    unknown = [name for name in outputs if name not in OUTPUTS]
    if unknown or not outputs:
        raise ValueError(
            f"`outputs` are some of {list(OUTPUTS)}. Received: outputs={tuple(outputs)}"
        )
    # Graph
    images = keras.Input((SIZE, SIZE, 3), dtype="float32", name="images")
    found = {}
    x, found["64"], found["192"] = _stem(images)
    x, found["768"] = _blocks_35_and_17(x)
    x = _grid_7a(x)
    x = _block_8("Mixed_7b", x, "average")
    x = _block_8("Mixed_7c", x, "maximum")
    found["2048"] = _mean(x, "2048")
    found["logits_unbiased"], found["logits"] = Logits(1008, name="logits")(found["2048"])
    network = keras.Model(images, found, name="inception")
    return network if set(outputs) == set(OUTPUTS) else select(network, outputs)


def select(network, outputs) -> keras.Model:
    """The part of an `inception` network that some of its outputs need; weights are shared."""
    chosen = {name: network.output[name] for name in outputs}
    return keras.Model(network.input, chosen, name=network.name)


@keras.saving.register_keras_serializable(package="ganzoo")
class Logits(layers.Layer):
    """A dense layer's values without and with its bias.

    Input shape: float32 [B, D]. Output shape: two of float32 [B, units].
    """

    def __init__(self, units, **kwargs):
        super().__init__(dtype="float32", **kwargs)
        self.units = units

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], self.units), name="kernel")
        self.bias = self.add_weight(shape=(self.units,), initializer="zeros", name="bias")

    def call(self, x):
        product = keras.ops.matmul(x, self.kernel)
        return product, product + self.bias

    def get_config(self):
        return {"name": self.name, "units": self.units}


# Pieces. A layer's name is that of the torch ports, with `_` for `.`


def _conv(name, x, filters, size, *, strides=1, padding="same", activation="relu"):
    return layers.Conv2D(
        filters, size, strides=strides, padding=padding, activation=activation, name=name, **PLAIN
    )(x)


def _chain(block, branch, x, *steps):
    """Convolutions `<branch>_1`, `<branch>_2`, ... of one block; a step is (filters, size)."""
    for number, (filters, size) in enumerate(steps, 1):
        x = _conv(f"{block}_{branch}_{number}", x, filters, size)
    return x


def _shrink(name, x, filters):
    return _conv(name, x, filters, 3, strides=2, padding="valid")


def _maximum(name, x, *, strides=2, padding="valid"):
    return layers.MaxPooling2D(3, strides, padding, name=name, **PLAIN)(x)


def _pooled(block, x, filters):
    """Average pool, then convolution, normalisation and ReLU.

    Pool and convolution commute, since one acts on places and the other on maps; so do pool and
    bias, since padding does not count. `same` leaves padding out of the mean in TensorFlow.
    """
    x = _conv(f"{block}_branch_pool", x, filters, 1, activation="linear")
    x = layers.AveragePooling2D(3, 1, "same", name=f"{block}_average", **PLAIN)(x)
    return layers.ReLU(name=f"{block}_relu", dtype="float32")(x)


def _join(name, *branches):
    return layers.Concatenate(name=name, dtype="float32")(list(branches))


def _mean(x, name):
    return layers.GlobalAveragePooling2D(name=f"mean_{name}", **PLAIN)(x)


def _stem(images):
    """[B, 299, 299, 3] to [B, 35, 35, 192], with the means behind both pools."""
    x = _shrink("Conv2d_1a_3x3", images, 32)
    x = _conv("Conv2d_2a_3x3", x, 32, 3, padding="valid")
    x = _conv("Conv2d_2b_3x3", x, 64, 3)
    first = _maximum("pool_1", x)
    x = _conv("Conv2d_3b_1x1", first, 80, 1)
    x = _conv("Conv2d_4a_3x3", x, 192, 3, padding="valid")
    second = _maximum("pool_2", x)
    return second, _mean(first, "64"), _mean(second, "192")


def _blocks_35_and_17(x):
    """[B, 35, 35, 192] to [B, 17, 17, 768], with its mean."""
    for letter, pooled in (("b", 32), ("c", 64), ("d", 64)):
        x = _block_35(f"Mixed_5{letter}", x, pooled)
    x = _grid_6a(x)
    for letter, width in (("b", 128), ("c", 160), ("d", 160), ("e", 192)):
        x = _block_17(f"Mixed_6{letter}", x, width)
    return x, _mean(x, "768")


def _block_35(block, x, pooled):
    """Figure 5 of the paper, with a 5 x 5 convolution left in the second branch."""
    one = _conv(f"{block}_branch1x1", x, 64, 1)
    five = _chain(block, "branch5x5", x, (48, 1), (64, 5))
    three = _chain(block, "branch3x3dbl", x, (64, 1), (96, 3), (96, 3))
    return _join(block, one, five, three, _pooled(block, x, pooled))


def _grid_6a(x):
    """Figure 10: [B, 35, 35, 288] to [B, 17, 17, 768]."""
    one = _shrink("Mixed_6a_branch3x3", x, 384)
    two = _chain("Mixed_6a", "branch3x3dbl", x, (64, 1), (96, 3))
    two = _shrink("Mixed_6a_branch3x3dbl_3", two, 96)
    return _join("Mixed_6a", one, two, _maximum("Mixed_6a_pool", x))


def _block_17(block, x, width):
    """Figure 6 with n = 7."""
    row, column = (1, 7), (7, 1)
    one = _conv(f"{block}_branch1x1", x, 192, 1)
    two = _chain(block, "branch7x7", x, (width, 1), (width, row), (192, column))
    steps = (width, 1), (width, column), (width, row), (width, column), (192, row)
    four = _chain(block, "branch7x7dbl", x, *steps)
    return _join(block, one, two, four, _pooled(block, x, 192))


def _grid_7a(x):
    """[B, 17, 17, 768] to [B, 8, 8, 1280]."""
    one = _chain("Mixed_7a", "branch3x3", x, (192, 1))
    one = _shrink("Mixed_7a_branch3x3_2", one, 320)
    two = _chain("Mixed_7a", "branch7x7x3", x, (192, 1), (192, (1, 7)), (192, (7, 1)))
    two = _shrink("Mixed_7a_branch7x7x3_4", two, 192)
    return _join("Mixed_7a", one, two, _maximum("Mixed_7a_pool", x))


def _block_8(block, x, pool):
    """Figure 7; `pool` is `"average"` or `"maximum"`."""
    one = _conv(f"{block}_branch1x1", x, 320, 1)
    two = _chain(block, "branch3x3", x, (384, 1))
    three = _chain(block, "branch3x3dbl", x, (448, 1), (384, 3))
    ends = []
    for branch, y, number in (("branch3x3", two, 2), ("branch3x3dbl", three, 3)):
        ends.append(_conv(f"{block}_{branch}_{number}a", y, 384, (1, 3)))
        ends.append(_conv(f"{block}_{branch}_{number}b", y, 384, (3, 1)))
    if pool == "average":
        last = _pooled(block, x, 192)
    else:
        last = _maximum(f"{block}_maximum", x, strides=1, padding="same")
        last = _conv(f"{block}_branch_pool", last, 192, 1)
    return _join(block, one, *ends, last)
