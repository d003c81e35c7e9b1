"""StyleGAN2's convolutions: modulated by a style, and those beside them that are not.

A modulated convolution scales its input's maps by the style and its output's by the demodulation
around one ordinary convolution; for a single image it scales the kernel where that is smaller.
Official code does neither for a batch: it makes one kernel per sample and convolves in groups.

Reference: Karras et al. 2020 (arXiv:1912.04958), section 2.2, equations 1 to 3.
"""

import keras
import tensorflow as tf

from ganzoo.arguments import captured
from ganzoo.layers.bias_act import (
    activation_gain,
    check_activation,
    check_clamp,
    linear_gain,
    scaled_bias_act,
    standard_normal,
)
from ganzoo.layers.equalized import EqualizedDense
from ganzoo.layers.fir import resampled_conv2d, setup_filter

EPSILON = 1e-8  # of the demodulation
TAPS = (1, 3, 3, 1)
register = keras.saving.register_keras_serializable(package="ganzoo")


def demodulation(kernel, styles) -> tf.Tensor:
    """1 / sqrt(sum over height, width and inputs of (kernel * style)^2 + 1e-8).

    Args:
        kernel: float [h, w, C, F].
        styles: float [N, C].

    Returns: float [N, F].
    """
    squares = tf.reduce_sum(tf.square(kernel), [0, 1])
    return tf.math.rsqrt(tf.matmul(tf.square(styles), squares) + EPSILON)


def modulated_conv2d(
    x, kernel, styles, *, demodulate="on", gain=1.0, up=1, padding=0, taps=None, flip="correlate"
) -> tf.Tensor:
    """Convolution with a kernel scaled per sample and input map, renormalised per output map.

    Args:
        x: float [N, H, W, C].
        kernel: float32 [h, w, C, F].
        styles: float32 [N, C].
        demodulate: `"on"` or `"off"` (no renormalisation). Defaults to `"on"`.
        gain: float. Factor of the result. Defaults to 1.
        up, padding, taps, flip: see `fir.resampled_conv2d`.

    Returns: float [N, H * up, W * up, F], dtype of `x`.
    """
    options = dict(up=up, padding=padding, taps=taps, flip=flip)
    if x.dtype == tf.float16 and demodulate == "on":  # renormalised anyway; float16 overflows
        kernel = kernel / tf.reduce_max(tf.abs(kernel), [0, 1, 2], keepdims=True)
        kernel *= tf.cast(kernel.shape[0] * kernel.shape[1] * kernel.shape[2], "float32") ** -0.5
        styles = styles / tf.reduce_max(tf.abs(styles), 1, keepdims=True)
    outer = tf.cast(gain, styles.dtype)
    if demodulate == "on":
        outer = outer * demodulation(kernel, styles)
    if x.shape[0] == 1 and _is_smaller(kernel, x, up):
        kernel = kernel * (tf.reshape(styles, [-1, 1]) * outer)
        return resampled_conv2d(x, tf.cast(kernel, x.dtype), **options)
    if demodulate == "off":
        styles, outer = styles * outer, None
    x = x * tf.cast(styles, x.dtype)[:, tf.newaxis, tf.newaxis]
    y = resampled_conv2d(x, tf.cast(kernel, x.dtype), **options)
    return y if outer is None else y * tf.cast(outer, x.dtype)[:, tf.newaxis, tf.newaxis]


def _is_smaller(kernel, x, up):
    """Whether a kernel has fewer numbers than the maps before and after it."""
    _, height, width, depth = x.shape
    filters = kernel.shape[3]
    numbers = height * width * (depth + up * up * filters)
    return kernel.shape[0] * kernel.shape[1] * depth * filters < numbers


@captured
class _Convolution(keras.layers.Layer):
    """What the layers of this module share: a raw kernel N(0, 1), a filter, an activation."""

    def __init__(
        self,
        filters,
        kernel_size,
        *,
        activation="lrelu",
        conv_clamp=None,
        taps=TAPS,
        name=None,
        **kwargs,
    ):
        super().__init__(name=name, autocast=False, **kwargs)
        self.filters = filters
        self.kernel_size = kernel_size
        self.activation = check_activation(activation)
        self.conv_clamp = check_clamp(conv_clamp)
        self.taps = list(taps)
        self.config.update(taps=self.taps)
        self.fir = setup_filter(taps)
        self.bias = None

    def _add_kernel(self, depth):
        self.fan_in = depth * self.kernel_size**2
        shape = (self.kernel_size, self.kernel_size, depth, self.filters)
        self.kernel = self.add_weight(shape, standard_normal(), name="kernel")

    def _add_bias(self):
        self.bias = self.add_weight((self.filters,), "zeros", name="bias")

    def _add_affine(self, style_dim, depth):
        self.affine = EqualizedDense(depth, bias_initializer="ones", dtype="float32", name="affine")
        self.affine.build((None, style_dim))

    def _finish(self, x, gain, noise=None):
        """Bias, noise, activation and clamp; `gain`: relative to the activation's own."""
        clamp = None if self.conv_clamp is None else self.conv_clamp * gain
        bias = None if self.bias is None else self.bias.value
        gain = gain * activation_gain(self.activation)
        return scaled_bias_act(x, bias, self.activation, gain=gain, clamp=clamp, noise=noise)

    def _early(self, gain):
        """The factor that goes into the kernel."""
        return linear_gain(self.activation, gain * activation_gain(self.activation))


@register
@captured
class ResampledConv2D(_Convolution):
    """An equalised convolution at another size: kernel / sqrt(fan-in), bias, activation, clamp.

    Args:
        filters, kernel_size: int > 0; kernels are square and odd.
        up, down: int >= 1. Factors of the size. Default to 1.
        use_bias: bool. Defaults to `True`.
        activation: see `bias_act.ACTIVATIONS`; its gain follows it. Defaults to `"lrelu"`.
        conv_clamp: float > 0 or `None`. The result is clipped to +-conv_clamp.
        taps: the filter of up and down, see `fir.setup_filter`. Defaults to (1, 3, 3, 1).

    Call arguments: x: float [N, H, W, C]; gain: float, factor of the result and of the clamp.
    Output shape: [N, H * up / down, W * up / down, filters], in the layer's compute dtype.
    """

    def __init__(self, filters, kernel_size, *, up=1, down=1, use_bias=True, **kwargs):
        super().__init__(filters, kernel_size, **kwargs)
        self.up = up
        self.down = down
        self.use_bias = use_bias

    def build(self, input_shape):
        self._add_kernel(input_shape[-1])
        if self.use_bias:
            self._add_bias()

    def call(self, x, gain=1.0):
        x = tf.cast(x, self.compute_dtype)
        kernel = self.kernel.value * (self.fan_in**-0.5 * self._early(gain))
        x = resampled_conv2d(
            x, tf.cast(kernel, x.dtype), self.fir, up=self.up, down=self.down,
            padding=self.kernel_size // 2, flip="correlate" if self.up == 1 else "convolve",
        )
        return self._finish(x, gain)


@register
@captured
class StyledConv2D(_Convolution):
    """A layer of the synthesis: modulated convolution, noise, bias, activation, clamp.

    Args:
        filters, kernel_size, activation, conv_clamp, taps: see `ResampledConv2D`.
        up: 1 or more. Factor of the size. Defaults to 1.
        noise_side: int > 0, the output's side, or 0 for a layer without noise. Defaults to 0.

    Call arguments:
        x: float [N, H, W, C].
        w: float32 [N, style_dim].
        noise: `"const"`, `"none"` or `"random"`.
        seed: for `"random"`: int32 [2], or [N, 2], one for each sample.
        gain: float, factor of the result and of the clamp.
    Output shape: [N, H * up, W * up, filters], in the layer's compute dtype.
    Reference: arXiv:1912.04958, figure 2 (d).
    """

    def __init__(self, filters, kernel_size, *, up=1, noise_side=0, **kwargs):
        super().__init__(filters, kernel_size, **kwargs)
        self.up = up
        self.noise_side = noise_side

    def build(self, x_shape, w_shape):
        self._add_affine(w_shape[-1], x_shape[-1])
        self._add_kernel(x_shape[-1])
        self._add_bias()
        if self.noise_side:
            self.noise = self.add_weight(
                (self.noise_side, self.noise_side), standard_normal(), trainable=False,
                name="noise",
            )
            self.noise_strength = self.add_weight((), "zeros", name="noise_strength")

    def call(self, x, w, noise="const", seed=None, gain=1.0):
        early = self._early(gain)
        x = modulated_conv2d(
            tf.cast(x, self.compute_dtype), self.kernel.value, self.affine(w), gain=early,
            up=self.up, padding=self.kernel_size // 2, taps=self.fir,
            flip="correlate" if self.up == 1 else "convolve",
        )
        drawn = None
        if self.noise_side and noise != "none":
            drawn = self.noise.value[tf.newaxis, :, :, tf.newaxis]
            if noise == "random":
                drawn = _draw(seed, tf.shape(x)[0], self.noise_side)
            drawn = tf.cast(drawn * (self.noise_strength.value * early), x.dtype)
        return self._finish(x, gain, drawn)


def _draw(seed, count, side):
    """float32 [N, side, side, 1] of N(0, 1)."""
    if seed.shape.rank == 1:
        return tf.random.stateless_normal([count, side, side, 1], seed)
    one = tf.TensorSpec([side, side, 1], tf.float32)
    return tf.map_fn(
        lambda s: tf.random.stateless_normal([side, side, 1], s), seed, fn_output_signature=one
    )


@register
@captured
class ToImage(_Convolution):
    """Maps to channels of the image: a modulated 1 x 1 convolution without demodulation.

    Args:
        filters: int > 0. Channels of the image.
        kernel_size: int > 0. Defaults to 1.
        conv_clamp: see `ResampledConv2D`.

    Call arguments: x: float [N, H, W, C]; w: float32 [N, style_dim].
    Output shape: [N, H, W, filters], in the layer's compute dtype.
    """

    def __init__(self, filters, kernel_size=1, *, activation="linear", **kwargs):
        super().__init__(filters, kernel_size, activation=activation, **kwargs)

    def build(self, x_shape, w_shape):
        self._add_affine(w_shape[-1], x_shape[-1])
        self._add_kernel(x_shape[-1])
        self._add_bias()

    def call(self, x, w):
        x = modulated_conv2d(
            tf.cast(x, self.compute_dtype), self.kernel.value, self.affine(w), demodulate="off",
            gain=self.fan_in**-0.5, padding=self.kernel_size // 2,
        )
        return self._finish(x, 1.0)
