"""ProGAN's and StyleGAN's convolutions at twice and at half the size.

Nearest-neighbour upsampling before a convolution, and a 2 x 2 mean behind one, are each one
convolution whose kernel is larger by one: the sum of the kernel's four shifts. The official code
has both forms ("fused_scale"); they differ by rounding, and in that the first one's fused kernels
are stored turned round.
"""

import keras
import tensorflow as tf

from ganzoo.layers.equalized import EqualizedConv2D

register = keras.saving.register_keras_serializable(package="ganzoo")


def upscale(x, factor=2) -> tf.Tensor:
    """Nearest-neighbour upsampling: float [N, H, W, C] to [N, H * factor, W * factor, C]."""
    if factor == 1:
        return x
    return tf.repeat(tf.repeat(x, factor, 1), factor, 2)


def downscale(x, factor=2) -> tf.Tensor:
    """Means of factor x factor pixels: float [N, H, W, C] to [N, H / factor, W / factor, C]."""
    return x if factor == 1 else tf.nn.avg_pool2d(x, factor, factor, "VALID")


def spread(kernel) -> tf.Tensor:
    """The sum of a kernel's four shifts by one pixel: [k, k, C, F] to [k + 1, k + 1, C, F]."""
    padded = tf.pad(kernel, [[1, 1], [1, 1], [0, 0], [0, 0]])
    return padded[1:, 1:] + padded[:-1, 1:] + padded[1:, :-1] + padded[:-1, :-1]


@register
class UpscaledConv2D(EqualizedConv2D):
    """Nearest-neighbour upsampling by two, then an `EqualizedConv2D`.

    Args: see `EqualizedConv2D`; `kernel_size` is odd.
    Input shape: float [N, H, W, C].
    Output shape: float [N, 2 H, 2 W, filters].
    """

    def call(self, inputs):
        kernel = tf.transpose(spread(self.scaled_kernel())[::-1, ::-1], [0, 1, 3, 2])
        _, height, width, _ = inputs.shape
        shape = [tf.shape(inputs)[0], 2 * height, 2 * width, self.filters]
        x = tf.nn.conv2d_transpose(inputs, kernel, tf.stack(shape), 2, "SAME")
        x = tf.ensure_shape(x, [inputs.shape[0], *shape[1:]])
        return x if self.bias is None else tf.nn.bias_add(x, self.scaled_bias())

    def compute_output_shape(self, input_shape):
        count, height, width, _ = input_shape
        return (count, 2 * height, 2 * width, self.filters)


@register
class DownscaledConv2D(EqualizedConv2D):
    """An `EqualizedConv2D`, then the means of 2 x 2 pixels.

    Args: see `EqualizedConv2D`; `kernel_size` is odd.
    Input shape: float [N, H, W, C], H and W even.
    Output shape: float [N, H / 2, W / 2, filters].
    """

    def call(self, inputs):
        x = tf.nn.conv2d(inputs, 0.25 * spread(self.scaled_kernel()), 2, "SAME")
        return x if self.bias is None else tf.nn.bias_add(x, self.scaled_bias())

    def compute_output_shape(self, input_shape):
        count, height, width, _ = input_shape
        return (count, height // 2, width // 2, self.filters)
