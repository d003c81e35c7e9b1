"""Networks that grow: an image of every size can leave a generator and enter a discriminator.

Level 0 is the full size, the image of level k is 2^k times smaller. The stored `lod` (level of
detail) says where a network is: its whole part is the level, its fraction how much of the next
smaller level is still mixed in. 0 is a network that is grown up.

Reference: Karras et al. 2018 (arXiv:1710.10196), section 2 and figure 2.
"""

import functools
import numbers
from collections.abc import Callable

import keras
import tensorflow as tf

from ganzoo.arguments import captured
from ganzoo.layers.bias_act import leaky_relu
from ganzoo.layers.equalized import EqualizedConv2D, EqualizedDense
from ganzoo.layers.fir import setup_filter, upfirdn
from ganzoo.layers.minibatch_std import MinibatchStd
from ganzoo.layers.resized_convolution import DownscaledConv2D, downscale, upscale
from ganzoo.layers.stylegan2_discriminator import block_sizes, maps_at

register = keras.saving.register_keras_serializable(package="ganzoo")
GAIN = 2.0**0.5  # in front of a leaky ReLU
ACTIVATIONS = {
    "lrelu": leaky_relu,
    "relu": tf.nn.relu,
}
STRUCTURES = ("growing", "fixed")
POOLING = ("before", "after")


def check_activation(name) -> Callable[[tf.Tensor], tf.Tensor]:
    """The function of a name of `ACTIVATIONS`.

    Raises: ValueError: for another name.
    """
    if name not in ACTIVATIONS:
        raise ValueError(
            f"`activation` must be one of {tuple(ACTIVATIONS)}. Received: activation={name!r}"
        )
    return ACTIVATIONS[name]


def check_sizes(least=1, **sizes) -> None:
    """Raises `ValueError` for one that is no int >= `least`."""
    for name, value in sizes.items():
        if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < least:
            raise ValueError(f"`{name}` must be an int >= {least}. Received: {name}={value!r}")


def fade(x, smaller, share) -> tf.Tensor:
    """x + share * (smaller - x)."""
    return x + (smaller - x) * tf.cast(share, x.dtype)


def blur(x, taps) -> tf.Tensor:
    """A filter along both axes, of sum 1; the size stays and zeros lie around.

    Args: taps: sequence of float, or `None` for no filter. Applied as a correlation.
    """
    if taps is None:
        return x
    n = len(taps)
    return upfirdn(x, setup_filter(taps), padding=((n - 1) // 2, n // 2) * 2, flip="correlate")


class Growing(keras.layers.Layer):
    """What generators and discriminators that grow have in common.

    A subclass makes `blocks`, from the smallest side to the largest. Each has `rgb`: its way to or
    from an image, or `None`.

    Args:
        image_size: int, a power of two >= 4.
        structure: `"growing"`, or `"fixed"`: only the full size has an image.
    Attributes: `lod`, the stored float32 scalar; `top`, the highest level.
    """

    def __init__(self, image_size, *, structure="growing", **kwargs):
        super().__init__(autocast=False, **{**kwargs, "dtype": "float32"})
        if structure not in STRUCTURES:
            raise ValueError(
                f"`structure` must be one of {STRUCTURES}. Received: structure={structure!r}"
            )
        self.image_size = image_size
        self.sides = block_sizes(image_size)
        self.top = len(self.sides) - 1 if structure == "growing" else 0
        self._functions = {}

    def add_lod(self) -> None:
        """Makes `lod`."""
        self.lod = self.add_weight(
            (), "zeros", trainable=False, aggregation="mean", autocast=False, name="lod"
        )

    def has_image(self, side) -> bool:
        """Whether the block of this side has an image."""
        return side * 2**self.top >= self.image_size

    def share(self) -> tf.Tensor:
        """Fraction of `lod`: how much of the next smaller level is mixed in, in [0, 1)."""
        lod = self._legal_lod()
        return lod - tf.floor(lod)

    def _legal_lod(self):
        return tf.clip_by_value(self.lod.value, 0.0, float(self.top))

    def stage(self) -> tuple[int, bool]:
        """(level, whether the next smaller one is mixed in) of the stored `lod`, on the host."""
        lod = min(max(float(self.lod.numpy()), 0.0), float(self.top))
        return int(lod), lod > int(lod)

    def compiled(self, function) -> Callable:
        """`function`, which takes `level` and `fading`, compiled for the stored `lod`."""
        level, fading = self.stage()
        if (level, fading) not in self._functions:
            at_level = functools.partial(function, level=level, fading=fading)
            self._functions[level, fading] = tf.function(at_level, autograph=False)
        return self._functions[level, fading]

    def at_stored_level(self, run) -> tf.Tensor:
        """`run(level)`, of which only one is computed; their results have one shape."""
        if not self.top:
            return run(0)
        level = tf.cast(tf.floor(self._legal_lod()), "int32")
        return tf.switch_case(level, [functools.partial(run, k) for k in range(self.top + 1)])

    def idle(self, level, fading) -> list[keras.layers.Layer]:
        """Layers that a level leaves out."""
        last = len(self.blocks) - 1 - level
        used = {last, last - 1} if fading else {last}
        kept = [block.rgb for i, block in enumerate(self.blocks[: last + 1]) if i not in used]
        return [*self.blocks[last + 1 :], *(rgb for rgb in kept if rgb is not None)]


class GrowingSynthesis(Growing):
    """A generator's blocks; a subclass says what `step` to take through them."""

    def image(self, level, fading, step, rgb=None) -> tf.Tensor:
        """The image of a level.

        Args:
            level: int, or `None`: that of the stored `lod`, at the full size.
            fading: bool. Whether the next smaller level is mixed in, by `share`.
            step: (number of a block, maps or `None`) -> the block's maps.
            rgb: (number of a block, its maps) -> an image. Defaults to the block's `rgb`.

        Returns: float32 [N, side, side, channels], the side being image_size / 2^level.
        """
        if level is None:
            return self.at_stored_level(lambda k: upscale(self.image(k, True, step, rgb), 2**k))
        rgb = rgb or (lambda i, x: self.blocks[i].rgb(x))
        last = len(self.blocks) - 1 - level
        x, smaller = None, None
        for i in range(last + 1):
            x, smaller = step(i, x), x
        image = tf.cast(rgb(last, x), "float32")
        if fading and level < self.top:
            below = tf.cast(rgb(last - 1, smaller), "float32")
            image = fade(image, upscale(below), self.share())
        return image


class StyledSynthesis(GrowingSynthesis):
    """One of styles, two for each size; a subclass makes the blocks and says what they do.

    Attributes: `channels`, of the images; `num_ws`.
    """

    def __init__(self, image_size, *, channels, structure, **kwargs):
        super().__init__(image_size, structure=structure, **kwargs)
        self.channels = channels
        self.num_ws = 2 * len(self.sides)

    def build(self, ws_shape):
        self.add_lod()
        shape = None
        for block in self.blocks:
            block.build(shape, ws_shape)
            shape = (None, block.side, block.side, block.filters)

    def compute_output_shape(self, ws_shape):
        return (ws_shape[0], self.image_size, self.image_size, self.channels)


class DiscriminatorBlock(keras.layers.Layer):
    """Halves the side: a convolution, a blur, a convolution.

    Args:
        inner, filters: int > 0. Maps between the convolutions, and behind them.
        rgb: bool. Whether an image can enter here.
        activation: of `ACTIVATIONS`.
        pooling: `"before"` or `"after"` the last activation.
        taps: see `blur`.
    """

    def __init__(self, inner, filters, *, rgb, activation, pooling, taps, **kwargs):
        super().__init__(autocast=False, **kwargs)
        if pooling not in POOLING:
            raise ValueError(f"`pooling` must be one of {POOLING}. Received: pooling={pooling!r}")
        common = dict(gain=GAIN, dtype=self.dtype_policy)
        self.act = check_activation(activation)
        self.pooling = pooling
        self.taps = taps
        self.rgb = EqualizedConv2D(inner, 1, name="fromrgb", **common) if rgb else None
        self.conv0 = EqualizedConv2D(inner, 3, name="conv0", **common)
        convolution = DownscaledConv2D if pooling == "before" else EqualizedConv2D
        self.conv1 = convolution(filters, 3, name="conv1", **common)

    def build(self, shape, channels):
        if self.rgb is not None:
            self.rgb.build((None, None, None, channels))
        self.conv0.build(shape)
        self.conv1.build((*shape[:3], self.conv0.filters))

    def enter(self, image) -> tf.Tensor:
        """Maps of an image."""
        return self.act(self.rgb(image))

    def call(self, x):
        x = self.act(self.conv1(blur(self.act(self.conv0(x)), self.taps)))
        return x if self.pooling == "before" else downscale(x)


class DiscriminatorEnd(keras.layers.Layer):
    """Maps of 4 x 4 to numbers: minibatch standard deviation, a convolution, two dense layers.

    Args:
        filters, hidden, units: int > 0. Maps; outputs of the two dense layers.
        rgb, activation: see `DiscriminatorBlock`.
        group_size, std_channels: of `MinibatchStd`; 0 channels for none.
    Output shape: float32 [N, units].
    """

    def __init__(
        self, filters, hidden, units, *, rgb, activation, group_size, std_channels, **kwargs
    ):
        super().__init__(autocast=False, **{**kwargs, "dtype": "float32"})
        self.act = check_activation(activation)
        common = dict(gain=GAIN, dtype="float32")
        self.rgb = EqualizedConv2D(filters, 1, name="fromrgb", **common) if rgb else None
        self.std = None
        if std_channels:
            self.std = MinibatchStd(group_size, std_channels, dtype="float32", name="mbstd")
        self.std_channels = std_channels
        self.conv = EqualizedConv2D(filters, 3, name="conv", **common)
        self.fc = EqualizedDense(hidden, name="fc", **common)
        self.out = EqualizedDense(units, dtype="float32", name="out")

    def build(self, shape, channels):
        depth = self.conv.filters
        if self.rgb is not None:
            self.rgb.build((None, None, None, channels))
        if self.std is not None:
            self.std.build(shape)
        self.conv.build((*shape[:3], shape[3] + self.std_channels))
        self.fc.build((None, shape[1] * shape[2] * depth))
        self.out.build((None, self.fc.units))

    def enter(self, image) -> tf.Tensor:
        """Maps of an image."""
        return self.act(self.rgb(image))

    def call(self, x):
        x = tf.cast(x, "float32")
        x = x if self.std is None else self.std(x)
        x = self.act(self.conv(x))
        x = tf.reshape(x, [-1, x.shape[1] * x.shape[2] * x.shape[3]])
        return self.out(self.act(self.fc(x)))


class Trunk(Growing):
    """A discriminator but for what labels do; a subclass makes its blocks.

    The first block turns 4 x 4 maps into numbers; the others halve the side. All can let an image
    `enter`.

    Args:
        image_size, structure: see `Growing`.
        units: int > 0. Numbers that come out.
        channel_base, channel_max: int > 0. A block has channel_base / side maps, at most
            channel_max.
    Attributes: `maps`, of the blocks, by side, and of a side of 2.

    Call arguments:
        image: float32 [N, side, side, channels], the side being image_size / 2^level.
        level: int, or `None`: that of the stored `lod`, and images of the full size.
        fading: bool. Whether the next smaller level is mixed in, by `share`.
    Output shape: float32 [N, units].
    """

    def __init__(self, image_size, units, *, channel_base, channel_max, structure, **kwargs):
        super().__init__(image_size, structure=structure, **kwargs)
        self.units = units
        self.maps = {side: maps_at(side, channel_base, channel_max) for side in [2, *self.sides]}

    def build(self, image_shape):
        self.add_lod()
        for side, block in zip(self.sides, self.blocks, strict=True):
            block.build((None, side, side, self.maps[side]), image_shape[-1])

    def call(self, image, level=None, fading=True):
        if level is None:
            return self.at_stored_level(lambda k: self.call(downscale(image, 2**k), k))
        last = len(self.blocks) - 1 - level
        x = self.blocks[last](self.blocks[last].enter(image))
        if fading and level < self.top:
            entering = self.blocks[last - 1].enter(downscale(image))
            x = fade(tf.cast(x, entering.dtype), entering, self.share())
        for block in reversed(self.blocks[:last]):
            x = block(x)
        return x

    def compute_output_shape(self, image_shape):
        return (image_shape[0], self.units)


@register
@captured
class GrowingTrunk(Trunk):
    """ProGAN's and StyleGAN's discriminator, but for what labels do.

    Args:
        image_size, units, channel_base, channel_max, structure: see `Trunk`.
        activation: of `ACTIVATIONS`. Defaults to `"lrelu"`.
        group_size, std_channels: of `MinibatchStd`; 0 channels for none. Default to 4 and 1.
        pooling: `"before"` or `"after"` the activation: where the side is halved, by 2 x 2 means.
            Defaults to `"before"`.
        taps: see `blur`; before each convolution that halves the side.
    """

    def __init__(
        self,
        image_size,
        units,
        *,
        channel_base,
        channel_max,
        activation="lrelu",
        group_size=4,
        std_channels=1,
        pooling="before",
        taps=None,
        structure="growing",
        **kwargs,
    ):
        super().__init__(
            image_size, units, channel_base=channel_base, channel_max=channel_max,
            structure=structure, **kwargs,
        )
        maps = self.maps
        end = DiscriminatorEnd(
            maps[4], maps[2], units, rgb=self.has_image(4), activation=activation,
            group_size=group_size, std_channels=std_channels, name="b4",
        )
        policy = keras.config.dtype_policy()
        self.blocks = [end] + [
            DiscriminatorBlock(
                maps[side], maps[side // 2], rgb=self.has_image(side), activation=activation,
                pooling=pooling, taps=taps, dtype=policy, name=f"b{side}",
            )
            for side in self.sides[1:]
        ]
