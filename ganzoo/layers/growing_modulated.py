"""Networks that grow and have StyleGAN2's layers: its paper's "revised" StyleGAN.

Both are StyleGAN2's of architecture "orig", but that an image of every size can leave the one and
enter the other, see `growing`.

Reference: Karras et al. 2020 (arXiv:1912.04958), figure 2 (d) and table 1, configurations B to D.
"""

import keras
import tensorflow as tf

from ganzoo.arguments import captured
from ganzoo.layers.bias_act import standard_normal
from ganzoo.layers.growing import StyledSynthesis, Trunk
from ganzoo.layers.modulated_convolution import ResampledConv2D, StyledConv2D, ToImage
from ganzoo.layers.noise import layer_seed
from ganzoo.layers.stylegan2_discriminator import DiscriminatorEpilogue, maps_at

register = keras.saving.register_keras_serializable(package="ganzoo")


class ModulatedBlock(keras.layers.Layer):
    """Two styled convolutions, of which the first doubles the side; at 4 x 4 one, of a constant.

    Args:
        filters, side: int > 0.
        channels: int > 0, of the image; 0 for none.
        activation, taps: see `StyledConv2D`.

    Call arguments: x: float [N, side / 2, side / 2, C], at 4 x 4 `None`; ws: float32 [N, number of
        convolutions, style_dim]; noise, seeds: see `StyledConv2D`, a seed for each.
    """

    def __init__(self, filters, side, *, channels, activation, taps, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.filters = filters
        self.side = side
        common = dict(activation=activation, taps=taps, noise_side=side, dtype=self.dtype_policy)
        self.styled = [StyledConv2D(filters, 3, name="conv1", **common)]
        if side > 4:
            self.styled.insert(0, StyledConv2D(filters, 3, up=2, name="conv0", **common))
        self.rgb = ToImage(channels, dtype=self.dtype_policy, name="torgb") if channels else None

    def build(self, shape, ws_shape):
        style, maps = (None, ws_shape[-1]), (None, self.side, self.side, self.filters)
        if self.side == 4:
            self.const = self.add_weight((4, 4, self.filters), standard_normal(), name="const")
        else:
            self.styled[0].build(shape, style)
        self.styled[-1].build(maps, style)
        if self.rgb is not None:
            self.rgb.build(maps, style)

    def call(self, x, ws, noise="const", seeds=(None, None)):
        if self.side == 4:
            x = tf.repeat(self.const.value[tf.newaxis], tf.shape(ws)[0], 0)
            x = tf.ensure_shape(x, [ws.shape[0], *self.const.shape])
        for i, layer in enumerate(self.styled):
            x = layer(x, ws[:, i], noise=noise, seed=seeds[i])
        return x


@register
class ModulatedSynthesis(StyledSynthesis):
    """Styles to images. The image of a block has the style of the next block's first layer.

    Args:
        image_size, structure: see `Growing`.
        channels: int > 0.
        channel_base, channel_max: int > 0. A block has channel_base / side maps, at most
            channel_max.
        activation, taps: see `StyledConv2D`.

    Call arguments:
        ws: float32 [N, num_ws, style_dim].
        noise, seed: see `StyledConv2D`.
        level, fading: see `GrowingSynthesis.image`.
    """

    def __init__(
        self, image_size, *, channels, channel_base, channel_max, activation, taps, structure,
        **kwargs,
    ):
        super().__init__(image_size, channels=channels, structure=structure, **kwargs)
        self.blocks = [
            ModulatedBlock(
                maps_at(side, channel_base, channel_max), side,
                channels=channels if self.has_image(side) else 0, activation=activation, taps=taps,
                dtype=keras.config.dtype_policy(), name=f"b{side}",
            )
            for side in self.sides
        ]

    def call(self, ws, noise="const", seed=None, level=None, fading=True):
        def step(i, x):
            first = max(2 * i - 1, 0)
            own = ws[:, first : 2 * i + 1]
            seeds = [layer_seed(seed, first), layer_seed(seed, first + 1)]
            return self.blocks[i](x, own, noise=noise, seeds=seeds)

        return self.image(
            level, fading, step, lambda i, x: self.blocks[i].rgb(x, ws[:, 2 * i + 1])
        )


class ResampledBlock(keras.layers.Layer):
    """Halves the side in the second of two convolutions.

    Args:
        inner, filters: int > 0. Maps between the convolutions, and behind them.
        rgb: bool. Whether an image can enter here.
        options: dict. `activation` and `taps` of `ResampledConv2D`.
    """

    def __init__(self, inner, filters, *, rgb, options, **kwargs):
        super().__init__(autocast=False, **kwargs)
        options = dict(dtype=self.dtype_policy, **options)
        self.rgb = ResampledConv2D(inner, 1, name="fromrgb", **options) if rgb else None
        self.conv0 = ResampledConv2D(inner, 3, name="conv0", **options)
        self.conv1 = ResampledConv2D(filters, 3, down=2, name="conv1", **options)

    def build(self, shape, channels):
        if self.rgb is not None:
            self.rgb.build((None, None, None, channels))
        self.conv0.build(shape)
        self.conv1.build((*shape[:3], self.conv0.filters))

    def enter(self, image) -> tf.Tensor:
        """Maps of an image."""
        return self.rgb(image)

    def call(self, x):
        return self.conv1(self.conv0(x))


class ResampledEnd(DiscriminatorEpilogue):
    """Maps of 4 x 4 to numbers, see `DiscriminatorEpilogue`.

    Args:
        filters: int > 0. Maps.
        rgb: bool. Whether an image can enter here.
    """

    def __init__(self, filters, units, *, rgb, options, **kwargs):
        super().__init__(units, architecture="orig", options=options, **kwargs)
        self.rgb = None
        if rgb:
            self.rgb = ResampledConv2D(
                filters, 1, name="fromrgb", dtype="float32", **options
            )

    def build(self, shape, channels):
        super().build(shape)
        if self.rgb is not None:
            self.rgb.build((None, None, None, channels))

    def enter(self, image) -> tf.Tensor:
        """Maps of an image."""
        return self.rgb(image)


@register
@captured
class ResampledTrunk(Trunk):
    """StyleGAN2's discriminator of architecture "orig", growing, but for what labels do.

    Args:
        image_size, units, channel_base, channel_max, structure: see `Trunk`.
        group_size, std_channels: of `MinibatchStd`; 0 channels for none. Default to 4 and 1.
        activation, taps: see `ResampledConv2D`.
    """

    def __init__(
        self,
        image_size,
        units,
        *,
        channel_base,
        channel_max,
        activation,
        taps,
        group_size=4,
        std_channels=1,
        structure="growing",
        **kwargs,
    ):
        options = dict(activation=activation, taps=taps)
        std = dict(group_size=group_size, std_channels=std_channels)
        super().__init__(
            image_size, units, channel_base=channel_base, channel_max=channel_max,
            structure=structure, **kwargs,
        )
        maps = self.maps
        end = ResampledEnd(
            maps[4], units, rgb=self.has_image(4), options=options, hidden=maps[2], name="b4", **std
        )
        self.blocks = [end] + [
            ResampledBlock(
                maps[side], maps[side // 2], rgb=self.has_image(side), options=options,
                dtype=keras.config.dtype_policy(), name=f"b{side}",
            )
            for side in self.sides[1:]
        ]
