"""Layers with an equalised learning rate: kernels are stored as N(0, 1) and scaled at run time."""

import keras
import tensorflow as tf

from ganzoo.arguments import captured


@captured
class _Equalized(keras.layers.Layer):
    """What the layers share: the raw kernel, its scale, and the bias.

    The kernel in use is kernel * gain * lr_multiplier / sqrt(fan_in), the bias bias * bias_gain *
    lr_multiplier; the kernel begins as N(0, 1) / lr_multiplier.
    """

    def __init__(
        self,
        *,
        gain=1.0,
        lr_multiplier=1.0,
        bias_gain=1.0,
        use_bias=True,
        kernel_initializer=None,
        bias_initializer="zeros",
        **kwargs,
    ):
        super().__init__(**kwargs)
        if not (gain > 0 and lr_multiplier > 0):
            raise ValueError(
                "`gain` and `lr_multiplier` must be above 0. "
                f"Received: gain={gain!r}, lr_multiplier={lr_multiplier!r}"
            )
        self.gain, self.lr_multiplier, self.use_bias = gain, lr_multiplier, use_bias
        self.bias_gain = bias_gain
        normal = keras.initializers.RandomNormal(stddev=1.0 / lr_multiplier)
        self.kernel_initializer = keras.initializers.get(kernel_initializer or normal)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.config.update(
            kernel_initializer=self.kernel_initializer, bias_initializer=self.bias_initializer
        )
        self.bias = None

    def _add(self, kernel_shape, outputs):
        self.kernel = self.add_weight(
            shape=kernel_shape, initializer=self.kernel_initializer, name="kernel"
        )
        fan_in = 1
        for size in kernel_shape[:-1]:
            fan_in *= size
        self.scale = self.gain * self.lr_multiplier / fan_in**0.5
        if self.use_bias:
            self.bias = self.add_weight(
                shape=(outputs,), initializer=self.bias_initializer, name="bias"
            )

    def scaled_kernel(self):
        """The kernel in use, in the compute dtype."""
        return tf.cast(self.kernel * self.scale, self.compute_dtype)

    def scaled_bias(self):
        """The bias in use, in the compute dtype; `None` without one."""
        if self.bias is None:
            return None
        return tf.cast(self.bias * (self.bias_gain * self.lr_multiplier), self.compute_dtype)


@keras.saving.register_keras_serializable(package="ganzoo")
@captured
class EqualizedDense(_Equalized):
    """Fully connected layer with an equalised learning rate.

    Args:
        units: int > 0.
        gain: float > 0. Of the kernel: sqrt(2) before a leaky ReLU without a gain of its own.
        lr_multiplier: float > 0. How much slower than others the layer learns, 0.01 in StyleGAN's
            mapping networks.
        bias_gain: float. Of the bias. Defaults to 1.
        use_bias: bool.
        kernel_initializer: of the raw kernel. Defaults to N(0, 1 / lr_multiplier^2).
        bias_initializer: of the raw bias.
    Input shape: float [B, D].
    Output shape: float [B, units].
    Reference: Karras et al. 2018 (arXiv:1710.10196), section 4.1.
    """

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units

    def build(self, input_shape):
        self._add((input_shape[-1], self.units), self.units)

    def call(self, inputs):
        x = tf.matmul(inputs, self.scaled_kernel())
        return x if self.bias is None else x + self.scaled_bias()

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)


@keras.saving.register_keras_serializable(package="ganzoo")
@captured
class EqualizedConv2D(_Equalized):
    """Convolution with an equalised learning rate; borders are padded with zeros.

    Args:
        filters: int > 0.
        kernel_size: int > 0, odd for "same" padding without a shift.
        gain, lr_multiplier, bias_gain, use_bias, kernel_initializer, bias_initializer: see
            `EqualizedDense`.
    Input shape: float [B, H, W, C].
    Output shape: float [B, H, W, filters].
    Reference: Karras et al. 2018 (arXiv:1710.10196), section 4.1.
    """

    def __init__(self, filters, kernel_size, **kwargs):
        super().__init__(**kwargs)
        self.filters, self.kernel_size = filters, kernel_size

    def build(self, input_shape):
        size = self.kernel_size
        self._add((size, size, input_shape[-1], self.filters), self.filters)

    def call(self, inputs):
        x = tf.nn.conv2d(inputs, self.scaled_kernel(), 1, "SAME")
        return x if self.bias is None else tf.nn.bias_add(x, self.scaled_bias())

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.filters)
