"""Residual blocks of ResNet GANs: twice normalisation, ReLU, convolution, beside a shortcut.

The shortcut's 1 x 1 convolution is applied at the smaller of the two sizes. It commutes with
resizing (interpolation weights sum to 1) and with average pooling, so the numbers are those of the
codes that do it the other way round.
"""

from collections.abc import Callable

import keras

GLOROT = "glorot_uniform"


def no_norm(name) -> Callable[[keras.KerasTensor], keras.KerasTensor]:
    """The normalisation that does nothing."""
    return lambda x: x


def he_uniform_average() -> keras.initializers.Initializer:
    """Uniform with variance 4 / (fan_in + fan_out)."""
    # improved_wgan_training conv2d.py: he_init; mimicry: xavier_uniform with gain sqrt(2)
    return keras.initializers.VarianceScaling(2.0, "fan_avg", "uniform")


def conv(x, filters, kernel_size, *, name, initializer=GLOROT, use_bias=True) -> keras.KerasTensor:
    """Convolution of stride 1 that keeps the side."""
    return keras.layers.Conv2D(
        filters,
        kernel_size,
        padding="same",
        use_bias=use_bias,
        kernel_initializer=initializer,
        name=name,
    )(x)


def up_block(
    x, filters, *, name, norm, interpolation, use_bias=True, conv=conv
) -> keras.KerasTensor:
    """Generator block that doubles the side.

    y = conv(relu(norm(conv(up(relu(norm(x))))))) + up(conv1x1(x))

    Args:
        x: float [B, H, W, C].
        filters: int > 0.
        name: str. Prefix of the layers' names, and the name of the sum.
        norm: name -> callable on a tensor. For no normalisation, `no_norm`.
        interpolation: `"nearest"` or `"bilinear"` (half-pixel centres).
        use_bias: bool. Of the convolution that a normalisation follows.
        conv: as the function of this module.

    Returns: float [B, 2 H, 2 W, filters].
    """

    def up(h, which):
        return keras.layers.UpSampling2D(2, interpolation=interpolation, name=f"{name}_up_{which}")(
            h
        )

    h = keras.layers.ReLU(name=f"{name}_relu1")(norm(f"{name}_norm1")(x))
    h = conv(
        up(h, "residual"),
        filters,
        3,
        name=f"{name}_conv1",
        initializer=he_uniform_average(),
        use_bias=use_bias,
    )
    h = keras.layers.ReLU(name=f"{name}_relu2")(norm(f"{name}_norm2")(h))
    h = conv(h, filters, 3, name=f"{name}_conv2", initializer=he_uniform_average())
    shortcut = up(conv(x, filters, 1, name=f"{name}_shortcut"), "shortcut")
    return keras.layers.Add(name=name)([h, shortcut])


def down_block(
    x, filters, *, name, norm=no_norm, pool=True, shortcut_of="input", use_bias=True, conv=conv
) -> keras.KerasTensor:
    """Critic block: pool(conv(relu(norm(conv(relu(norm(x))))))) + conv1x1(pool(s)).

    The shortcut has no convolution where neither the side nor the number of maps changes.

    Args:
        x: float [B, H, W, C]. H and W even if `pool`.
        filters: int > 0.
        name, norm, use_bias, conv: as in `up_block`.
        pool: bool. Halve the side by averaging 2 x 2.
        shortcut_of: `"input"`: s = x, or `"activated"`: s = relu(x), what an in-place ReLU in front
            of a block leaves of x. Means the first ReLU's output; not to be used with a
            normalisation.

    Returns: float [B, H / 2, W / 2, filters], or [B, H, W, filters].
    """
    channels = x.shape[-1]
    activated = keras.layers.ReLU(name=f"{name}_relu1")(norm(f"{name}_norm1")(x))
    h = conv(
        activated,
        channels,
        3,
        name=f"{name}_conv1",
        initializer=he_uniform_average(),
        use_bias=use_bias,
    )
    h = keras.layers.ReLU(name=f"{name}_relu2")(norm(f"{name}_norm2")(h))
    h = conv(h, filters, 3, name=f"{name}_conv2", initializer=he_uniform_average())
    shortcut = activated if shortcut_of == "activated" else x
    if pool:
        h = halve(h, name=f"{name}_pool_residual")
        shortcut = halve(shortcut, name=f"{name}_pool_shortcut")
    if pool or filters != channels:
        shortcut = conv(shortcut, filters, 1, name=f"{name}_shortcut")
    return keras.layers.Add(name=name)([h, shortcut])


def first_down_block(images, filters, *, name, conv=conv) -> keras.KerasTensor:
    """Critic block with no ReLU in front: pool(conv(relu(conv(x)))) + conv1x1(pool(x)).

    Args: as for `down_block`.
    Returns: float [B, H / 2, W / 2, filters].
    """
    h = conv(images, filters, 3, name=f"{name}_conv1", initializer=he_uniform_average())
    h = keras.layers.ReLU(name=f"{name}_relu")(h)
    h = conv(h, filters, 3, name=f"{name}_conv2", initializer=he_uniform_average())
    shortcut = halve(images, name=f"{name}_pool_shortcut")
    shortcut = conv(shortcut, filters, 1, name=f"{name}_shortcut")
    return keras.layers.Add(name=name)([halve(h, name=f"{name}_pool_residual"), shortcut])


def halve(x, *, name) -> keras.KerasTensor:
    """Average of 2 x 2 pixels."""
    return keras.layers.AveragePooling2D(2, name=name)(x)
