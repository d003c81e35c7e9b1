"""Pixelwise normalisation of feature vectors."""

import keras
import tensorflow as tf

from ganzoo.arguments import captured


def pixel_norm(x, epsilon=1e-8) -> tf.Tensor:
    """x / sqrt(mean(x^2 over the last axis) + epsilon): float [..., C] to the same.

    Reference: Karras et al. 2018 (arXiv:1710.10196), section 4.2.
    """
    return x * tf.math.rsqrt(tf.reduce_mean(tf.square(x), axis=-1, keepdims=True) + epsilon)


@keras.saving.register_keras_serializable(package="ganzoo")
@captured
class PixelNorm(keras.layers.Layer):
    """`pixel_norm` as a layer.

    Args: epsilon: float > 0. 1e-8; ProGAN takes 1e-4 in half precision.
    Input shape, Output shape: float [..., C].
    """

    def __init__(self, epsilon=1e-8, **kwargs):
        super().__init__(**kwargs)
        self.epsilon = epsilon

    def call(self, inputs):
        return pixel_norm(inputs, self.epsilon)

    def compute_output_shape(self, input_shape):
        return input_shape
