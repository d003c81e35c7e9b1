"""StyleGAN2: weight demodulation instead of instance normalisation, path length regularisation.

Papers: Karras, Laine, Aittala, Hellsten, Lehtinen and Aila 2020, "Analyzing and Improving the Image
Quality of StyleGAN" (arXiv:1912.04958); for labels, clamping and the training of small sets: Karras
et al. 2020, "Training Generative Adversarial Networks with Limited Data" (arXiv:2006.06676).
Official code: NVlabs/stylegan2, NVlabs/stylegan2-ada (TensorFlow 1), NVlabs/stylegan2-ada-pytorch,
NVlabs/stylegan3 (its `networks_stylegan2`).
Matches: the official files of all four give their images, logits, losses and gradients (tests).
Differs: the discriminator's and the generator's steps draw their own latents, with the labels of
the real images; the generator's fakes are not drawn anew for each accumulation round.
Left out: configurations A to D of the first paper: their networks are in `stylegan`.
"""

import keras
import numpy as np
import tensorflow as tf

from ganzoo import conditions
from ganzoo.arguments import captured
from ganzoo.ema import EMA
from ganzoo.gan import Phase
from ganzoo.generator import MappedGenerator, canvas
from ganzoo.latent_gan import LatentGAN
from ganzoo.layers.bias_act import standard_normal
from ganzoo.layers.fir import setup_filter, upsample2d
from ganzoo.layers.modulated_convolution import TAPS, ResampledConv2D, StyledConv2D, ToImage
from ganzoo.layers.noise import check_noise, layer_seed, sample_seeds, seed_pair
from ganzoo.layers.style_mapping import StyleMapping
from ganzoo.layers.stylegan2_discriminator import (
    StyleGAN2Discriminator,
    block_policy,
    block_sizes,
    check_architecture,
    maps_at,
)
from ganzoo.losses import NonSaturating
from ganzoo.penalties import R1, PathLength

register = keras.saving.register_keras_serializable(package="ganzoo")
PUBLISHED_EMA = EMA(half_life_images=10_000)


@register
class SynthesisBlock(keras.layers.Layer):
    """One side of the synthesis: two styled convolutions (at 4 x 4 one), perhaps an image.

    Args:
        filters: int > 0. Maps.
        side: int. 4, 8, ...
        channels: int. Of the image that the block makes; 0 for none.
        architecture: `"skip"`, `"resnet"` or `"orig"`.
        noise: `"stored"` or `"none"`.
        options: dict. `activation`, `kernel_size`, `conv_clamp` and `taps` of `StyledConv2D`.

    Call arguments:
        x: float [N, side / 2, side / 2, C]; at 4 x 4 `None`.
        image: float32 [N, side / 2, side / 2, channels] or `None`.
        ws: float32 [N, layers, style_dim], the styles from this block's first one on.
        noise, seed: see `StyledConv2D`.
    """

    def __init__(self, filters, side, *, channels, architecture, noise, options, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.filters = filters
        self.side = side
        self.channels = channels
        self.architecture = architecture
        self.noise = noise
        self.options = dict(options)
        self.convolutions = 1 if side == 4 else 2
        self.styles = self.convolutions + (channels > 0)

    def build(self, x_shape, ws_shape):
        style = (None, ws_shape[-1])
        maps = (None, self.side, self.side, self.filters)
        if self.side == 4:
            self.const = self.add_weight((4, 4, self.filters), standard_normal(), name="const")
        else:
            self.conv0 = self._styled("conv0", x_shape, style, up=2)
        self.conv1 = self._styled("conv1", maps, style)
        if self.channels:
            self.torgb = ToImage(
                self.channels, conv_clamp=self.options["conv_clamp"], dtype=self.dtype_policy,
                name="torgb",
            )
            self.torgb.build(maps, style)
        if self.architecture == "resnet" and self.side > 4:
            self.skip = ResampledConv2D(
                self.filters, 1, up=2, use_bias=False, activation="linear",
                taps=self.options["taps"], dtype=self.dtype_policy, name="skip",
            )
            self.skip.build(x_shape)

    def _styled(self, name, x_shape, style_shape, **more):
        layer = StyledConv2D(
            self.filters, noise_side=self.side if self.noise == "stored" else 0, name=name,
            dtype=self.dtype_policy, **more, **self.options,
        )
        layer.build(x_shape, style_shape)
        return layer

    def call(self, x, image, ws, noise="const", seeds=(None, None)):
        x = self._maps(x, ws, noise, seeds)
        taps = setup_filter(self.options["taps"])
        image = None if image is None else upsample2d(image, taps)
        if self.channels:
            own = tf.cast(self.torgb(x, ws[:, self.convolutions]), "float32")
            image = own if image is None else image + own
        return x, image

    def _maps(self, x, ws, noise, seeds):
        if self.side == 4:
            x = tf.repeat(self.const.value[tf.newaxis], tf.shape(ws)[0], 0)
            x = tf.ensure_shape(x, [ws.shape[0], *self.const.shape])
            return self.conv1(x, ws[:, 0], noise=noise, seed=seeds[1])
        residual = self.architecture == "resnet"
        gain = 0.5**0.5 if residual else 1.0
        y = self.conv0(x, ws[:, 0], noise=noise, seed=seeds[0])
        y = self.conv1(y, ws[:, 1], noise=noise, seed=seeds[1], gain=gain)
        return self.skip(x, gain=gain) + y if residual else y


@register
class Synthesis(keras.layers.Layer):
    """Styles to an image.

    Args: see `StyleGAN2Generator`.
    Input shape: float32 [N, num_ws, style_dim].
    Output shape: float32 [N, image_size, image_size, channels].
    """

    def __init__(
        self,
        image_size,
        *,
        channels,
        channel_base,
        channel_max,
        architecture,
        noise,
        half_precision_blocks,
        options,
        **kwargs,
    ):
        super().__init__(autocast=False, **{**kwargs, "dtype": "float32"})
        self.image_size = image_size
        self.channels = channels
        self.blocks = [
            SynthesisBlock(
                maps_at(side, channel_base, channel_max), side,
                channels=channels if architecture == "skip" or side == image_size else 0,
                architecture=architecture, noise=noise, options=options, name=f"b{side}",
                dtype=block_policy(side, image_size, half_precision_blocks),
            )
            for side in block_sizes(image_size)
        ]
        self.num_ws = sum(block.convolutions for block in self.blocks) + 1

    def build(self, ws_shape):
        maps = None
        for block in self.blocks:
            block.build(maps, ws_shape)
            maps = (None, block.side, block.side, block.filters)

    def call(self, ws, noise="const", seed=None):
        x, image, first = None, None, 0
        for block in self.blocks:
            own = ws[:, first : first + block.styles]
            seeds = [layer_seed(seed, first + i) for i in (0, 1)]
            x, image = block(x, image, own, noise=noise, seeds=seeds)
            first += block.convolutions
        return image

    def compute_output_shape(self, ws_shape):
        return (ws_shape[0], self.image_size, self.image_size, self.channels)


@register
@captured
class StyleGAN2Generator(MappedGenerator):
    """Latents, by way of one style for each layer, to images.

    Args:
        image_size: int, a power of two >= 4, or (height, width), see `generator.canvas`.
            Defaults to 256.
        latent_dim, style_dim: int > 0. Default to 512.
        channels: int > 0. Defaults to 3.
        num_classes: int. 0 = unconditional. Defaults to 0.
        channel_base, channel_max: int > 0. A block has channel_base / side maps, at most
            channel_max. Default to 32768 and 512 (configuration F; E has 16384).
        architecture: `"skip"`, `"resnet"` or `"orig"`. Defaults to `"skip"`.
        activation: see `bias_act.ACTIVATIONS`. Defaults to `"lrelu"`.
        noise: `"stored"`, an image for each layer, or `"none"`. Defaults to `"stored"`.
        kernel_size: int > 0, odd. Of the styled convolutions. Defaults to 3.
        conv_clamp: float > 0 or `None`. Every convolution's result is clipped to it.
        mapping: dict. Options of `StyleMapping`. Defaults to its own, 8 layers.
        taps: the filter of the resampling, see `fir.setup_filter`. Defaults to (1, 3, 3, 1).
        half_precision_blocks: int >= 0. The largest so many blocks compute in the global dtype
            policy, the others in float32. Defaults to 4.
    Input shape: latents float32 [B, latent_dim], N(0, 1); with classes also labels, int32 [B] or
        float [B, num_classes].
    Output shape: float32 [B, image_size, image_size, channels]: about [-1, 1], not clipped.
    Attributes: `latent_dim`, `style_dim`, `num_ws`, `num_classes`, `image_size`, `channels`.
    Reference: arXiv:1912.04958, figures 2 and 7, appendix B.
    """

    def __init__(
        self,
        image_size=256,
        latent_dim=512,
        style_dim=512,
        *,
        channels=3,
        num_classes=0,
        channel_base=32768,
        channel_max=512,
        architecture="skip",
        activation="lrelu",
        noise="stored",
        kernel_size=3,
        conv_clamp=None,
        mapping=None,
        taps=TAPS,
        half_precision_blocks=4,
        name="generator",
        **kwargs,
    ):
        if noise not in ("stored", "none"):
            raise ValueError(f"`noise` must be 'stored' or 'none'. Received: noise={noise!r}")
        side, window = canvas(image_size)
        sizes = dict(
            channels=channels, channel_base=channel_base, channel_max=channel_max,
            architecture=check_architecture(architecture), noise=noise,
            half_precision_blocks=half_precision_blocks,
        )
        taps = list(taps)
        self.config.update(taps=taps)
        options = dict(
            activation=activation, kernel_size=kernel_size, conv_clamp=conv_clamp, taps=taps
        )
        # Graph
        with keras.name_scope(name):
            synthesis = Synthesis(side, **sizes, options=options, name="synthesis")
            styles = StyleMapping(style_dim, synthesis.num_ws, **(mapping or {}), name="mapping")
            inputs = [keras.Input((latent_dim,), name="latents")]
            if num_classes:
                inputs.append(keras.Input((num_classes,), name="label"))
            images = synthesis(styles(*inputs))
        super().__init__(inputs if num_classes else inputs[0], images, name=name, **kwargs)
        # Attributes
        self.latent_dim, self.style_dim, self.num_ws = latent_dim, style_dim, synthesis.num_ws
        self.condition = conditions.of(num_classes)
        self.image_size, self.channels = side, channels
        self.window = window

    def synthesis(self, ws, noise="const", seed=0) -> tf.Tensor:
        ws = self.check_ws(ws)
        return self.get_layer("synthesis")(ws, noise=check_noise(noise), seed=seed_pair(seed))

    def images_of(self, ws, latents, *, noise, noise_seed) -> tf.Tensor:
        seeds = sample_seeds(latents, noise_seed)
        return self.get_layer("synthesis")(ws, noise=noise, seed=seeds)

    def generate(self, count=None, *, seed=0, **options) -> np.ndarray:
        """See `MappedGenerator.generate`; `noise="random"` is drawn from `seed` and the sample's
        latents.
        """
        if options.get("noise") == "random":
            options["noise_seed"] = seed
        return super().generate(count, seed=seed, **options)

    def forward(self, inputs, *, noise="const", noise_seed=0, **options) -> tf.Tensor:
        seed = tf.constant(noise_seed, "int64")
        return super().forward(inputs, noise=check_noise(noise), noise_seed=seed, **options)


@register
@captured
class StyleGAN2(LatentGAN):
    """StyleGAN2: non-saturating loss, lazy R1 and path length regularisation, style mixing.

    Phases: `discriminator` (`adversarial`); `r1` (`penalty`) on every `r1_interval`-th step;
    `path_length` (`penalty`) on every `path_length_interval`-th; `generator` (`adversarial`).
    Published optimizers: Adam 0.002 (0, 0.99), epsilon 1e-8, with rate and betas corrected for the
    intervals (arXiv:1912.04958, appendix B).

    Args:
        image_size, latent_dim, style_dim, channels, num_classes, channel_base, channel_max,
            architecture, activation, noise, kernel_size, conv_clamp, mapping, taps,
            half_precision_blocks: see `StyleGAN2Generator`. The discriminator has the same
            channels, channel_base, channel_max, activation, conv_clamp, taps and
            half_precision_blocks.
        discriminator: dict. Options of `StyleGAN2Discriminator` that differ.
        r1_gamma: float >= 0. Defaults to 10.
        r1_interval: int >= 1. Defaults to 16.
        path_length_weight: float >= 0; 0 for no such phase. Defaults to 2.
        path_length_interval: int >= 1. Defaults to 4.
        style_mixing: float in [0, 1]. Probability that a step's styles come from two latents.
            Defaults to 0.9.
        ema: `EMA` or `None`. Defaults to a half-life of 10,000 images.
        **kwargs: `augment`, `seed` of `LatentGAN`.

    Reference: arXiv:1912.04958, section 3 and appendix B; `w_avg` moves with every fake of either
        player's step, as in the official code.
    """

    def __init__(
        self,
        image_size=256,
        latent_dim=512,
        style_dim=512,
        *,
        channels=3,
        num_classes=0,
        channel_base=32768,
        channel_max=512,
        architecture="skip",
        activation="lrelu",
        noise="stored",
        kernel_size=3,
        conv_clamp=None,
        mapping=None,
        taps=TAPS,
        half_precision_blocks=4,
        discriminator=None,
        r1_gamma=10.0,
        r1_interval=16,
        path_length_weight=2.0,
        path_length_interval=4,
        style_mixing=0.9,
        ema=PUBLISHED_EMA,
        **kwargs,
    ):
        if not 0 <= style_mixing <= 1:
            raise ValueError(
                f"`style_mixing` must be in [0, 1]. Received: style_mixing={style_mixing!r}"
            )
        taps = list(taps)
        self.config.update(taps=taps)
        shared = dict(
            channels=channels, num_classes=num_classes, channel_base=channel_base,
            channel_max=channel_max, activation=activation, conv_clamp=conv_clamp, taps=taps,
            half_precision_blocks=half_precision_blocks,
        )
        own = dict(
            latent_dim=latent_dim, style_dim=style_dim, architecture=architecture, noise=noise,
            kernel_size=kernel_size, mapping=mapping,
        )
        super().__init__(
            StyleGAN2Generator(image_size, **own, **shared),
            StyleGAN2Discriminator(canvas(image_size)[0], **{**shared, **(discriminator or {})}),
            loss=NonSaturating(),
            penalties=[R1(r1_gamma, interval=r1_interval)],
            ema=ema,
            **kwargs,
        )
        self.path_length = PathLength(path_length_weight, interval=path_length_interval)
        self.path_length.build(None)
        self.style_mixing = style_mixing

    # --- the step

    def phases(self) -> list[Phase]:
        *others, generator = super().phases()
        if not self.path_length.weight:
            return [*others, generator]
        lengths = Phase(
            name=self.path_length.name,
            player="generator",
            losses=self.path_length_losses,
            terms=("penalty",),
            interval=self.path_length.interval,
            strict=False,  # the image's bias does not change its derivative
        )
        return [*others, lengths, generator]

    def fakes(self, batch, tag) -> tuple[tf.Tensor, tf.Tensor | None]:
        label = batch.get("label")
        ws = self.mixed_styles(self.latents(batch, tag), label, tag)
        return self.generator.synthesis(ws, "random", self.seed_for(f"{tag}/noise")), label

    def mixed_styles(self, z, label, tag) -> tf.Tensor:
        """Styles [B, num_ws, style_dim] of latents and, behind a random layer, of others.

        Moves the average style.
        """
        ws = self.generator.styles(z, label, update_average=True)
        if not self.style_mixing:
            return ws
        layers = self.generator.num_ws
        seed = self.seed_for(f"{tag}/mixing")
        other = self.generator.draw(tf.shape(z)[0], self.seed_for(f"{tag}/other"))
        first = tf.random.stateless_uniform([], seed, 1, layers, dtype="int32")
        mixes = tf.random.stateless_uniform([], seed + 1) < self.style_mixing
        behind = mixes & (tf.range(layers) >= first)
        return tf.where(behind[:, tf.newaxis], self.generator.styles(other, label), ws)

    def path_length_losses(self, batch) -> dict[str, tf.Tensor]:
        """`penalty`, times its interval, for a part of the batch."""
        penalty, tag = self.path_length, self.path_length.name
        z = penalty.share(self.latents(batch, tag))
        label = penalty.share(batch["label"]) if self.generator.num_classes else None
        seed = self.seed_for(f"{tag}/noise")
        value = penalty.value(
            lambda ws: self.generator.synthesis(ws, "random", seed),
            self.mixed_styles(z, label, tag),
            self.seed_for(tag),
        )
        return {"penalty": value * penalty.interval}

    def default_optimizers(self) -> dict[str, keras.optimizers.Optimizer]:
        lazy = {
            "generator": self.path_length.interval if self.path_length.weight else 1,
            "discriminator": self.penalties[0].interval,
        }
        return {f"{player}_optimizer": _adam(interval) for player, interval in lazy.items()}


def _adam(interval):
    """Adam whose steps are as large as without the additional ones of a lazy phase."""
    share = interval / (interval + 1) if interval > 1 else 1.0
    return keras.optimizers.Adam(0.002 * share, beta_1=0.0, beta_2=0.99**share, epsilon=1e-8)
