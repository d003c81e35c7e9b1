"""Layer normalisation that a gradient penalty can differentiate twice."""

import keras
import tensorflow as tf

from ganzoo.arguments import captured


@keras.saving.register_keras_serializable(package="ganzoo")
@captured
class LayerNormalization(keras.layers.Layer):
    """Normalisation over all axes of a sample, gain and bias per map.

    y = gamma (x - mean(x)) / sqrt(mean((x - mean(x))^2) + epsilon) + beta

    `keras.layers.GroupNormalization(groups=1)` has the same values and first derivative, but a
    wrong second one: it calls `tf.nn.moments`, whose variance holds the mean constant. Statistics
    are float32 or wider.

    Args:
        epsilon: float > 0. Defaults to 1e-5.
    Input shape: float [B, ..., C].
    Output shape: the input's.
    Reference: Ba et al. 2016 (arXiv:1607.06450), eq. 3; as improved_wgan_training's `layernorm.py`
    has it for maps.
    """

    def __init__(self, *, epsilon=1e-5, **kwargs):
        super().__init__(**kwargs)
        if not epsilon > 0:
            raise ValueError(
                f"`epsilon` must be > 0, or equal inputs divide by 0. Received: epsilon={epsilon}"
            )
        self.epsilon = epsilon

    def build(self, input_shape):
        maps = (input_shape[-1],)
        self.gamma = self.add_weight(shape=maps, initializer="ones", name="gamma")
        self.beta = self.add_weight(shape=maps, initializer="zeros", name="beta")

    def call(self, inputs):
        x = inputs if inputs.dtype.size >= 4 else tf.cast(inputs, "float32")
        axes = list(range(1, x.shape.rank))
        x = x - tf.reduce_mean(x, axes, keepdims=True)
        x = x * tf.math.rsqrt(tf.reduce_mean(tf.square(x), axes, keepdims=True) + self.epsilon)
        return self.gamma * tf.cast(x, inputs.dtype) + self.beta

    def compute_output_shape(self, input_shape):
        return input_shape
