"""StyleGAN: latents become styles, which each layer of the synthesis takes up by itself.

Paper: Karras, Laine and Aila 2019, "A Style-Based Generator Architecture for Generative Adversarial
Networks" (arXiv:1812.04948).
Official code: NVlabs/stylegan (TensorFlow 1).
Matches: its pickles give their styles, images and scores at every level of detail, and the losses
with their gradients (tests). Defaults are configuration F, for FFHQ. With `layers="stylegan2"` the
networks are those of configurations B to D of Karras et al. 2020 (arXiv:1912.04958).
Differs: images are averaged down as floats, where the official data sets hold each level rounded to
uint8; both players' steps take the labels of the real images.
Left out: the batch size of each level, see `GrowingGAN`; configurations A to D of the paper as
defaults: `epilogue` and `first` give their networks; lazy regularisation and path lengths, which
configurations C and D of StyleGAN2's paper are trained with.
"""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from ganzoo import conditions
from ganzoo.arguments import captured
from ganzoo.ema import EMA
from ganzoo.generator import MappedGenerator, canvas
from ganzoo.growing_gan import GrowingGAN, Growth
from ganzoo.layers.adaptive_normalization import StyleEpilogue, check_steps
from ganzoo.layers.equalized import EqualizedConv2D, EqualizedDense
from ganzoo.layers.growing import GAIN, GrowingTrunk, StyledSynthesis, Trunk, blur, check_sizes
from ganzoo.layers.growing_modulated import ModulatedSynthesis, ResampledTrunk
from ganzoo.layers.noise import check_noise, layer_seed, sample_seeds, seed_pair
from ganzoo.layers.resized_convolution import UpscaledConv2D, upscale
from ganzoo.layers.style_mapping import StyleMapping, with_one_hot
from ganzoo.layers.stylegan2_discriminator import maps_at
from ganzoo.losses import NonSaturating
from ganzoo.penalties import R1

register = keras.saving.register_keras_serializable(package="ganzoo")
FIRST = ("constant", "dense")
EPILOGUE = ("noise", "instance_norm", "style")
LAYERS = {"stylegan": (1, 2, 1), "stylegan2": (1, 3, 3, 1)}  # whose; their filter
PUBLISHED_EMA = EMA(half_life_images=10_000)
PUBLISHED_GROWTH = Growth(8, 600_000, 600_000)
RATES = {128: 1.5, 256: 2.0, 512: 3.0, 1024: 3.0}  # train.py, of 0.001


@register
@captured
class StyleGANMapping(StyleMapping):
    """`StyleMapping` as StyleGAN has it: an activation's gain comes before it, not on the bias.

    Labels are embedded without bias or scale, and scaled together with the latents.

    Args: see `StyleMapping`; `average_decay` defaults to 0.995.
    """

    def __init__(
        self, style_dim, num_ws, *, conditioning="concat", average_decay=0.995, **kwargs
    ):
        super().__init__(
            style_dim, num_ws, conditioning=conditioning, average_decay=average_decay, **kwargs
        )

    def build(self, latents_shape=None, label_shape=None):
        super().build(latents_shape, label_shape)
        for layer in self.dense:
            layer.bias_gain = 1 / GAIN


class SynthesisBlock(keras.layers.Layer):
    """Two layers with an epilogue each; from 8 x 8 on the first one doubles the side.

    Args:
        filters, side: int > 0.
        channels: int > 0, of the image; 0 for none.
        first, activation, epilogue, taps: see `StyleGANGenerator`.
    """

    def __init__(
        self, filters, side, *, channels, first, activation, epilogue, taps, **kwargs
    ):
        super().__init__(autocast=False, **kwargs)
        common = dict(gain=GAIN, use_bias=False, dtype=self.dtype_policy)
        self.filters = filters
        self.side = side
        self.first = first if side == 4 else "convolution"
        self.taps = taps
        if self.first == "convolution":
            self.conv0 = UpscaledConv2D(filters, 3, name="conv0", **common)
        if self.first == "dense":
            common |= dict(gain=GAIN / 4)  # as in ProGAN
            self.dense = EqualizedDense(16 * filters, name="dense", **common)
        self.conv1 = EqualizedConv2D(filters, 3, name="conv1", **{**common, "gain": GAIN})
        self.epilogues = [
            StyleEpilogue(
                side, activation=activation, steps=epilogue, dtype=self.dtype_policy,
                name=f"epilogue{i}",
            )
            for i in (0, 1)
        ]
        self.rgb = None
        if channels:
            self.rgb = EqualizedConv2D(channels, 1, dtype=self.dtype_policy, name="torgb")

    def build(self, shape, ws_shape):
        style, maps = (None, ws_shape[-1]), (None, self.side, self.side, self.filters)
        if self.first == "constant":
            self.const = self.add_weight((4, 4, self.filters), "ones", name="const")
        elif self.first == "dense":
            self.dense.build(style)
        else:
            self.conv0.build(shape)
        self.conv1.build(maps)
        for epilogue in self.epilogues:
            epilogue.build(maps, style)
        if self.rgb is not None:
            self.rgb.build(maps)

    def call(self, x, ws, noise="const", seeds=(None, None)):
        x = self.epilogues[0](self._start(x, ws), ws[:, 0], noise=noise, seed=seeds[0])
        return self.epilogues[1](self.conv1(x), ws[:, 1], noise=noise, seed=seeds[1])

    def _start(self, x, ws):
        if self.first == "convolution":
            return blur(self.conv0(x), self.taps)
        if self.first == "dense":
            return tf.reshape(self.dense(ws[:, 0]), [-1, 4, 4, self.filters])
        x = tf.repeat(self.const.value[tf.newaxis], tf.shape(ws)[0], 0)
        return tf.ensure_shape(x, [ws.shape[0], *self.const.shape])


@register
class StyleGANSynthesis(StyledSynthesis):
    """Styles to images.

    Args: see `StyleGANGenerator`.

    Call arguments:
        ws: float32 [N, num_ws, style_dim].
        noise, seed: see `StyleEpilogue`.
        level, fading: see `GrowingSynthesis.image`.
    """

    def __init__(
        self, image_size, *, channels, channel_base, channel_max, first, activation, epilogue, taps,
        structure, **kwargs,
    ):
        super().__init__(image_size, channels=channels, structure=structure, **kwargs)
        self.blocks = [
            SynthesisBlock(
                maps_at(side, channel_base, channel_max), side,
                channels=channels if self.has_image(side) else 0, first=first,
                activation=activation, epilogue=epilogue, taps=taps,
                dtype=keras.config.dtype_policy(), name=f"b{side}",
            )
            for side in self.sides
        ]

    def call(self, ws, noise="const", seed=None, level=None, fading=True):
        def step(i, x):
            seeds = [layer_seed(seed, 2 * i), layer_seed(seed, 2 * i + 1)]
            return self.blocks[i](x, ws[:, 2 * i : 2 * i + 2], noise=noise, seeds=seeds)

        return self.image(level, fading, step)


def check_layers(layers, taps, first="constant", epilogue=EPILOGUE) -> list | None:
    """The filter of the resampling, as a list or `None`.

    Raises: ValueError: for layers that do not exist, or that lack what was asked for.
    """
    if layers not in LAYERS:
        raise ValueError(f"`layers` must be one of {tuple(LAYERS)}. Received: layers={layers!r}")
    asked = {"first": first, "epilogue": tuple(epilogue), "taps": taps}
    if layers == "stylegan2" and asked != {
        "first": "constant", "epilogue": EPILOGUE, "taps": taps or ()
    }:
        raise ValueError(
            "With layers='stylegan2' the first layer is constant, there is a filter, and no "
            f"epilogue can be chosen. Received: {asked}"
        )
    return list(LAYERS[layers]) if taps == "default" else None if taps is None else list(taps)


def _synthesis_and_mapping(image_size, style_dim, mapping, layers, options):
    if layers == "stylegan2":
        plain = {k: v for k, v in options.items() if k not in ("first", "epilogue")}
        synthesis = ModulatedSynthesis(image_size, **plain, name="synthesis")
        mapping = {"conditioning": "concat", "average_decay": 0.995, **(mapping or {})}
        return synthesis, StyleMapping(style_dim, synthesis.num_ws, **mapping, name="mapping")
    synthesis = StyleGANSynthesis(image_size, **options, name="synthesis")
    mapping = StyleGANMapping(style_dim, synthesis.num_ws, **(mapping or {}), name="mapping")
    return synthesis, mapping


@register
@captured
class StyleGANGenerator(MappedGenerator):
    """Latents, by way of one style for each layer, to images.

    Args:
        image_size: int, a power of two >= 4, or (height, width), see `generator.canvas`.
            Defaults to 1024.
        latent_dim, style_dim: int > 0. Default to 512.
        channels: int > 0. Defaults to 3.
        num_classes: int. 0 = unconditional. Defaults to 0.
        channel_base, channel_max: int > 0. A block has channel_base / side maps, at most
            channel_max. Default to 16384 and 512.
        activation: `"lrelu"` (slope 0.2) or `"relu"`, of the synthesis. Defaults to `"lrelu"`.
        first: `"constant"`, or `"dense"`: the first layer is a function of the first style.
            Defaults to `"constant"`.
        epilogue: steps of `StyleEpilogue`. Defaults to `("noise", "instance_norm", "style")`.
        mapping: dict. Options of `StyleGANMapping`. Defaults to its own, 8 layers.
        layers: `"stylegan"`; or `"stylegan2"`: modulated convolutions in place of epilogues, see
            `growing_modulated`, and `StyleMapping`. Defaults to `"stylegan"`.
        taps: filter after each convolution that doubles the side, or `None`. Defaults to that of
            the layers: (1, 2, 1), or (1, 3, 3, 1).
        structure: `"growing"`, or `"fixed"`: no images but those of the full size.
    Input shape: latents float32 [B, latent_dim], N(0, 1); with classes also labels, int32 [B] or
        float [B, num_classes].
    Output shape: float32 [B, image_size, image_size, channels]: about [-1, 1], not clipped. A
        network with `lod` > 0 makes smaller images, whose pixels are repeated.
    Attributes: `latent_dim`, `style_dim`, `num_ws`, `num_classes`, `image_size`, `channels`.
    Reference: arXiv:1812.04948, section 2 and figure 1.
    """

    def __init__(
        self,
        image_size=1024,
        latent_dim=512,
        style_dim=512,
        *,
        channels=3,
        num_classes=0,
        channel_base=16384,
        channel_max=512,
        activation="lrelu",
        first="constant",
        epilogue=EPILOGUE,
        mapping=None,
        layers="stylegan",
        taps="default",
        structure="growing",
        name="generator",
        **kwargs,
    ):
        check_sizes(
            latent_dim=latent_dim, style_dim=style_dim, channels=channels,
            channel_base=channel_base, channel_max=channel_max,
        )
        check_sizes(0, num_classes=num_classes)
        side, window = canvas(image_size)
        if first not in FIRST:
            raise ValueError(f"`first` must be one of {FIRST}. Received: first={first!r}")
        steps, taps = list(check_steps(epilogue)), check_layers(layers, taps, first, epilogue)
        self.config.update(epilogue=steps, taps=taps)
        options = dict(
            channels=channels, channel_base=channel_base, channel_max=channel_max,
            activation=activation, first=first, epilogue=steps, taps=taps, structure=structure,
        )
        # Graph
        with keras.name_scope(name):
            synthesis, styles = _synthesis_and_mapping(side, style_dim, mapping, layers, options)
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

    @property
    def trunk(self) -> StyledSynthesis:
        """The layer that grows."""
        return self.get_layer("synthesis")

    def synthesis(self, ws, noise="const", seed=0) -> tf.Tensor:
        return self.trunk(self.check_ws(ws), noise=check_noise(noise), seed=seed_pair(seed))

    def images_of(self, ws, latents, *, noise, noise_seed, level, fading) -> tf.Tensor:
        seeds = sample_seeds(latents, noise_seed)
        image = self.trunk(ws, noise=noise, seed=seeds, level=level, fading=fading)
        return upscale(image, 2**level)

    def generate(self, count=None, *, seed=0, **options) -> np.ndarray:
        """See `MappedGenerator.generate`; `noise="random"` is drawn from `seed` and the sample's
        latents.
        """
        if options.get("noise") == "random":
            options["noise_seed"] = seed
        return super().generate(count, seed=seed, **options)

    def forward(self, inputs, *, noise="const", noise_seed=0, **options) -> tf.Tensor:
        level, fading = self.trunk.stage()
        return super().forward(
            inputs, noise=check_noise(noise), noise_seed=tf.constant(noise_seed, "int64"),
            level=level, fading=fading, **options,
        )


@register
@captured
class StyleGANDiscriminator(keras.Model):
    """Images, and labels where there are classes, to logits: ProGAN's with blurs.

    Args:
        image_size, channels, num_classes, channel_base, channel_max, activation, layers,
            structure: see `StyleGANGenerator`.
        group_size: int > 0, or `None` for the whole batch. Of the minibatch standard deviation.
            Defaults to 4.
        std_channels: int >= 0. Its maps; 0 for none. Defaults to 1.
        taps: filter before each convolution that halves the side, or `None`. Defaults to that of
            the layers.
    Input shape: float [B, image_size, image_size, channels] in [-1, 1]; with classes also labels,
        int32 [B] or float [B, num_classes], which choose one of as many outputs.
    Output shape: float32 [B, 1].
    """

    def __init__(
        self,
        image_size=1024,
        *,
        channels=3,
        num_classes=0,
        channel_base=16384,
        channel_max=512,
        activation="lrelu",
        group_size=4,
        std_channels=1,
        layers="stylegan",
        taps="default",
        structure="growing",
        name="discriminator",
    ):
        check_sizes(channels=channels, channel_base=channel_base, channel_max=channel_max)
        check_sizes(0, num_classes=num_classes)
        taps = check_layers(layers, taps)
        self.config.update(taps=taps)
        options = dict(
            channel_base=channel_base, channel_max=channel_max, activation=activation,
            group_size=group_size, std_channels=std_channels, taps=taps, structure=structure,
        )
        # Graph
        with keras.name_scope(name):
            images = keras.Input((image_size, image_size, channels), name="images")
            make = ResampledTrunk if layers == "stylegan2" else GrowingTrunk
            trunk = make(image_size, max(num_classes, 1), **options, name="trunk")
            inputs, logits = images, trunk(images)
            if num_classes:
                label = keras.Input((num_classes,), name="label")
                inputs, logits = [images, label], self.select(logits, label)
        super().__init__(inputs, logits, name=name)
        # Attributes
        self.num_classes = num_classes

    @property
    def trunk(self) -> Trunk:
        """The layer that grows."""
        return self.get_layer("trunk")

    @staticmethod
    def select(outputs, label) -> tf.Tensor:
        """The outputs [N, num_classes] of the labels: [N, 1]."""
        return keras.ops.sum(outputs * label, 1, keepdims=True)

    def __call__(self, inputs, *args, **kwargs):
        return super().__call__(with_one_hot(inputs, self.num_classes), *args, **kwargs)


@register
@captured
class StyleGAN(GrowingGAN):
    """StyleGAN: non-saturating loss and R1, style mixing, progressive growing.

    Phases: `discriminator` (`adversarial`, `r1`); `generator` (`adversarial`).
    Published optimizers: see `GrowingGAN` and `rate_multipliers`.

    Args:
        image_size, latent_dim, style_dim, channels, num_classes, channel_base, channel_max,
            activation, first, epilogue, mapping, layers, taps, structure: see `StyleGANGenerator`.
            The discriminator has the same channels, num_classes, channel_base, channel_max,
            activation, layers, taps and structure.
        discriminator: dict. Options of `StyleGANDiscriminator` that differ.
        r1_gamma: float >= 0. Defaults to 10.
        style_mixing: float in [0, 1]. Probability that a step's styles come from two latents.
            Defaults to 0.9.
        growth: `Growth` or `None`. Defaults to the paper's: 8 pixels, 600,000 images for each size
            and for each fade.
        rate_multipliers: see `GrowingGAN`. Defaults to the paper's {128: 1.5, 256: 2, 512: 3,
            1024: 3}.
        ema: `EMA` or `None`. Defaults to a half-life of 10,000 images.
        **kwargs: `augment`, `critic_steps`, `fakes`, `seed` of `LatentGAN`.

    Reference: arXiv:1812.04948, sections 2 and 3 and appendix C; `w_avg` moves with every fake of
        either player's step, as in the official code.
    """

    def __init__(
        self,
        image_size=1024,
        latent_dim=512,
        style_dim=512,
        *,
        channels=3,
        num_classes=0,
        channel_base=16384,
        channel_max=512,
        activation="lrelu",
        first="constant",
        epilogue=EPILOGUE,
        mapping=None,
        layers="stylegan",
        taps="default",
        structure="growing",
        discriminator=None,
        r1_gamma=10.0,
        style_mixing=0.9,
        growth=PUBLISHED_GROWTH,
        rate_multipliers=RATES,
        ema=PUBLISHED_EMA,
        **kwargs,
    ):
        if not 0 <= style_mixing <= 1:
            raise ValueError(
                f"`style_mixing` must be in [0, 1]. Received: style_mixing={style_mixing!r}"
            )
        taps, epilogue = check_layers(layers, taps, first, epilogue), list(epilogue)
        growth = growth if structure == "growing" else None
        self.config.update(taps=taps, epilogue=epilogue, growth=growth)
        shared = dict(
            channels=channels, num_classes=num_classes, channel_base=channel_base,
            channel_max=channel_max, activation=activation, layers=layers, taps=taps,
            structure=structure,
        )
        own = dict(
            latent_dim=latent_dim, style_dim=style_dim, first=first, epilogue=epilogue,
            mapping=mapping,
        )
        super().__init__(
            StyleGANGenerator(image_size, **own, **shared),
            StyleGANDiscriminator(canvas(image_size)[0], **{**shared, **(discriminator or {})}),
            loss=NonSaturating(),
            penalties=[R1(r1_gamma)],
            growth=growth,
            rate_multipliers=rate_multipliers,
            ema=ema,
            **kwargs,
        )
        self.style_mixing = style_mixing

    def fakes(self, batch, tag) -> tuple[tf.Tensor, tf.Tensor | None]:
        level, fading = self.stage
        ws = self.mixed_styles(self.latents(batch, tag), self.one_hot(batch), tag)
        noise = {"noise": "random", "seed": self.seed_for(f"{tag}/noise")}
        fake = self.generator.trunk(ws, **noise, level=level, fading=fading)
        return fake, batch.get("label")

    def mixed_styles(self, z, label, tag) -> tf.Tensor:
        """Styles [B, num_ws, style_dim] of latents and, behind a random layer, of others.

        Moves the average style. Layers that the level leaves out do not count.
        """
        ws = self.generator.styles(z, label, update_average=True)
        if not self.style_mixing:
            return ws
        seed = self.seed_for(f"{tag}/mixing")
        other = self.generator.draw(tf.shape(z)[0], self.seed_for(f"{tag}/other"))
        layers = self.generator.num_ws - 2 * self.stage[0]
        first = tf.random.stateless_uniform([], seed, 1, layers, dtype="int32")
        mixes = tf.random.stateless_uniform([], seed + 1) < self.style_mixing
        behind = mixes & (tf.range(self.generator.num_ws) >= first)
        return tf.where(behind[:, tf.newaxis], self.generator.styles(other, label), ws)

    def critic(self, batch, label=None, *, tag="critic") -> Callable[[tf.Tensor], tf.Tensor]:
        level, fading = self.stage
        label = self.one_hot(batch if label is None else {"label": label})

        def logits(images):
            images = self.augmented(images, tag)
            outputs = self.discriminator.trunk(images, level=level, fading=fading)
            return outputs if label is None else self.discriminator.select(outputs, label)

        return logits
