"""Bias, activation, gain and clamp: what follows every linear operation of the StyleGANs."""

import keras
import tensorflow as tf


def leaky_relu(x, slope=0.2) -> tf.Tensor:
    """max(x, slope x), whose gradient looks at the result, so that `x` need not be kept: TensorFlow
    then joins convolution, bias and activation.

    Args: slope: float in [0, 1).
    """

    @tf.custom_gradient
    def apply(x):
        y = tf.nn.leaky_relu(x, slope)

        def gradient(upstream):
            return tf.raw_ops.LeakyReluGrad(gradients=upstream, features=y, alpha=slope)

        return y, gradient

    return apply(x)


# name: (function, gain that keeps the second moment of N(0, 1)); arXiv:1912.04958, appendix B
ACTIVATIONS = {
    "linear": (tf.identity, 1.0),
    "relu": (tf.nn.relu, 2.0**0.5),
    "lrelu": (leaky_relu, 2.0**0.5),
    "tanh": (tf.tanh, 1.0),
    "sigmoid": (tf.sigmoid, 1.0),
    "elu": (tf.nn.elu, 1.0),
    "selu": (tf.nn.selu, 1.0),
    "softplus": (tf.nn.softplus, 1.0),
    "swish": (tf.nn.silu, 2.0**0.5),
}
HOMOGENEOUS = ("linear", "relu", "lrelu")  # f(g x) = g f(x) for g > 0


def check_activation(name) -> str:
    """The name, if it is one of `ACTIVATIONS`.

    Raises: ValueError: otherwise.
    """
    if name not in ACTIVATIONS:
        raise ValueError(
            f"`activation` must be one of {tuple(ACTIVATIONS)}. Received: activation={name!r}"
        )
    return name


def activation_gain(name) -> float:
    """The factor that comes after an activation by default."""
    return ACTIVATIONS[check_activation(name)][1]


def bias_act(
    x, bias=None, activation="linear", *, slope=0.2, gain=None, clamp=None, noise=None
) -> tf.Tensor:
    """clip(gain * activation(x + bias + noise), -clamp, clamp).

    The bias comes first: TensorFlow joins it to a convolution before it.

    Args:
        x: float [..., C].
        bias: float [C] or `None`.
        activation: one of `ACTIVATIONS`.
        slope: float >= 0. Of "lrelu", where x < 0. Defaults to 0.2.
        gain: float. Defaults to the activation's own.
        clamp: float > 0 or `None`.
        noise: float, broadcast to `x`, or `None`.

    Returns: float [..., C], dtype of `x`.
    """
    function, own = ACTIVATIONS[check_activation(activation)]
    x = x if bias is None else tf.nn.bias_add(x, tf.cast(bias, x.dtype))
    x = x if noise is None else x + noise
    x = function(x, slope) if activation == "lrelu" else function(x)
    gain = own if gain is None else gain
    x = x if gain == 1.0 else x * tf.cast(gain, x.dtype)
    return x if clamp is None else tf.clip_by_value(x, -clamp, clamp)


def scaled_bias_act(x, bias, activation, *, gain, clamp, noise=None) -> tf.Tensor:
    """`bias_act` of an `x` into which `linear_gain` has gone already.

    Args: gain: the whole gain, as in `bias_act`; `noise` has had its part of it.
    """
    early = linear_gain(activation, gain)
    bias = None if bias is None else bias * early
    return bias_act(x, bias, activation, gain=gain / early, clamp=clamp, noise=noise)


def linear_gain(activation, gain) -> float:
    """The part of the gain that may come before the activation, into a kernel: all or nothing."""
    return gain if activation in HOMOGENEOUS else 1.0


def check_clamp(clamp) -> float | None:
    """The clamp, if it is `None` or > 0.

    Raises: ValueError: otherwise.
    """
    if clamp is not None and not clamp > 0:
        raise ValueError(f"`conv_clamp` must be > 0 or `None`. Received: conv_clamp={clamp!r}")
    return clamp


def standard_normal() -> keras.initializers.Initializer:
    """A fresh initializer N(0, 1)."""
    return keras.initializers.RandomNormal(0.0, 1.0)
