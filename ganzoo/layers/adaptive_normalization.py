"""Adaptive instance normalisation: statistics of each map are replaced by a style's."""

import keras
import tensorflow as tf

from ganzoo.arguments import captured
from ganzoo.layers.bias_act import standard_normal
from ganzoo.layers.equalized import EqualizedDense
from ganzoo.layers.growing import check_activation
from ganzoo.layers.noise import draw_noise
from ganzoo.layers.pixel_norm import pixel_norm

register = keras.saving.register_keras_serializable(package="ganzoo")
STEPS = ("noise", "pixel_norm", "instance_norm", "style")  # in the order in which they are done


def instance_norm(x, epsilon=1e-8) -> tf.Tensor:
    """(x - mean) / sqrt(variance + epsilon), over the pixels of each map: float [N, H, W, C]."""
    x -= tf.reduce_mean(x, [1, 2], keepdims=True)
    return x * tf.math.rsqrt(tf.reduce_mean(tf.square(x), [1, 2], keepdims=True) + epsilon)


def check_steps(steps) -> tuple[str, ...]:
    """The steps of a `StyleEpilogue` in their order.

    Raises: ValueError: if one is not of `STEPS`.
    """
    if isinstance(steps, str) or not set(steps) <= set(STEPS):
        raise ValueError(f"`epilogue` may hold {STEPS}. Received: epilogue={steps!r}")
    return tuple(step for step in STEPS if step in steps)


@register
@captured
class StyleEpilogue(keras.layers.Layer):
    """What follows a layer of StyleGAN: noise, bias, activation, normalisation, style.

    x + strength * noise + bias; the activation; instance_norm; x * (1 + scale) + shift, where scale
    and shift of each map are an affine function of the style.

    Args:
        side: int > 0. Of the maps.
        activation: `"lrelu"` or `"relu"`.
        steps: those of `STEPS` that are done, besides bias and activation.

    Call arguments:
        x: float [N, side, side, C].
        w: float32 [N, style_dim].
        noise: one of `noise.NOISE`; seed: see `noise.draw_noise`.
    Output shape: that of `x`, in the layer's compute dtype; statistics are float32.
    Reference: Karras et al. 2019 (arXiv:1812.04948), figure 1 and equation 1; Huang and Belongie
        2017 (arXiv:1703.06868).
    """

    def __init__(
        self, side, *, activation="lrelu", steps=("noise", "instance_norm", "style"), **kwargs
    ):
        super().__init__(autocast=False, **kwargs)
        self.side = side
        self.activation = activation
        self.act = check_activation(activation)
        self.steps = check_steps(steps)
        self.config.update(steps=self.steps)

    def build(self, x_shape, w_shape):
        depth = x_shape[-1]
        self.bias = self.add_weight((depth,), "zeros", autocast=False, name="bias")
        if "noise" in self.steps:
            self.noise = self.add_weight(
                (self.side, self.side), standard_normal(), trainable=False, autocast=False,
                name="noise",
            )
            self.noise_strength = self.add_weight(
                (depth,), "zeros", autocast=False, name="noise_strength"
            )
        if "style" in self.steps:
            self.affine = EqualizedDense(2 * depth, dtype="float32", name="affine")
            self.affine.build((None, w_shape[-1]))

    def call(self, x, w, noise="const", seed=None):
        x = tf.cast(x, "float32")
        if "noise" in self.steps and noise != "none":
            drawn = self.noise.value[tf.newaxis, :, :, tf.newaxis]
            if noise == "random":
                drawn = draw_noise(seed, tf.shape(x)[0], self.side)
            x += drawn * self.noise_strength.value
        x = self.act(tf.nn.bias_add(x, self.bias.value))
        if "pixel_norm" in self.steps:
            x = pixel_norm(x)
        if "instance_norm" in self.steps:
            x = instance_norm(x)
        if "style" in self.steps:
            scale, shift = tf.split(self.affine(w)[:, tf.newaxis, tf.newaxis], 2, 3)
            x = x * (scale + 1.0) + shift
        return tf.cast(x, self.compute_dtype)

    def compute_output_shape(self, x_shape, w_shape):
        return x_shape
