"""Maxout units."""

import keras
from keras import ops

from ganzoo.arguments import captured


@keras.saving.register_keras_serializable(package="ganzoo")
@captured
class Maxout(keras.layers.Layer):
    """The largest of several linear functions of the input.

    y[b, u] = max_p (x[b] . kernel[:, u * pieces + p] + bias[u * pieces + p])

    Args:
        units: int > 0. Outputs.
        pieces: int > 0. Linear functions per output.
        kernel_initializer: as for `keras.layers.Dense`.
    Input shape: float [B, D].
    Output shape: float [B, units].
    Reference: Goodfellow et al. 2013 (arXiv:1302.4389), section 3.
    """

    def __init__(self, units, pieces, *, kernel_initializer="glorot_uniform", **kwargs):
        super().__init__(**kwargs)
        if units < 1 or pieces < 1:
            raise ValueError(
                "Maxout needs at least one unit of at least one piece. "
                f"Received: units={units}, pieces={pieces}"
            )
        self.units = units
        self.pieces = pieces
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.config.update(kernel_initializer=self.kernel_initializer)

    def build(self, input_shape):
        outputs = self.units * self.pieces
        self.kernel = self.add_weight(
            shape=(input_shape[-1], outputs), initializer=self.kernel_initializer, name="kernel"
        )
        self.bias = self.add_weight(shape=(outputs,), initializer="zeros", name="bias")

    def call(self, inputs):
        x = ops.matmul(inputs, self.kernel) + self.bias
        return ops.max(ops.reshape(x, (-1, self.units, self.pieces)), axis=-1)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.units)
