"""ProGAN: both networks begin with 4 x 4 pixels, and layers for larger ones are faded in.

Paper: Karras, Aila, Laine and Lehtinen 2018, "Progressive Growing of GANs for Improved Quality,
Stability, and Variation" (arXiv:1710.10196).
Official code: tkarras/progressive_growing_of_gans (TensorFlow 1).
Matches: its pickles give their images and scores at every level of detail, and the losses with
their gradients (tests). Defaults are the paper's for CelebA-HQ.
Differs: images are averaged down as floats, where the official data sets hold each level rounded to
uint8; both players' steps take the labels of the real images; one discriminator step per generator
step on one batch, while the official code repeats both four times before it looks at `lod`.
Left out: the batch size of each level, see `GrowingGAN`; the experimental options of the Theano
code (batch and layer normalisation, other minibatch statistics).
"""

import dataclasses
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from ganzoo import conditions
from ganzoo.arguments import captured
from ganzoo.ema import EMA
from ganzoo.gan import Phase
from ganzoo.generator import Generator, canvas
from ganzoo.growing_gan import GrowingGAN, Growth
from ganzoo.layers.equalized import EqualizedConv2D, EqualizedDense
from ganzoo.layers.growing import (
    GAIN,
    GrowingSynthesis,
    GrowingTrunk,
    check_activation,
    check_sizes,
)
from ganzoo.layers.pixel_norm import pixel_norm
from ganzoo.layers.resized_convolution import UpscaledConv2D, upscale
from ganzoo.layers.style_mapping import one_hot, with_one_hot
from ganzoo.layers.stylegan2_discriminator import maps_at
from ganzoo.losses import Wasserstein
from ganzoo.penalties import GradientPenalty

register = keras.saving.register_keras_serializable(package="ganzoo")
NORMS = ("pixel", "none")
FIRST_BIAS = ("map", "pixel")
PUBLISHED_EMA = EMA(decay=0.999)
PUBLISHED_GROWTH = Growth(4, 800_000, 800_000)
EPSILON = 1e-8  # of the pixel norms


class ProGANBlock(keras.layers.Layer):
    """Two convolutions, each with an activation and a pixel norm; from 8 x 8 on twice the side.

    The first block has a dense layer in place of the first convolution.

    Args:
        filters, side: int > 0.
        channels: int > 0, of the image; 0 for none.
        activation, norm, epsilon, first_bias: see `ProGANGenerator`.
    """

    def __init__(
        self, filters, side, *, channels, activation, norm, epsilon, first_bias, **kwargs
    ):
        super().__init__(autocast=False, **kwargs)
        common = dict(gain=GAIN, dtype=self.dtype_policy)
        self.filters = filters
        self.side = side
        self.act = check_activation(activation)
        self.norm = norm
        self.epsilon = epsilon
        self.first_bias = first_bias
        if side == 4:
            # networks.py: gain sqrt(2) / 4 "to match the original Theano implementation"
            self.dense = EqualizedDense(
                16 * filters, gain=GAIN / 4, use_bias=False, dtype=self.dtype_policy, name="dense"
            )
        else:
            self.conv0 = UpscaledConv2D(filters, 3, name="conv0", **common)
        self.conv1 = EqualizedConv2D(filters, 3, name="conv1", **common)
        self.rgb = None
        if channels:
            self.rgb = EqualizedConv2D(channels, 1, dtype=self.dtype_policy, name="torgb")

    def build(self, shape):
        if self.side == 4:
            self.dense.build(shape)
            pixels = (4, 4) if self.first_bias == "pixel" else ()
            self.bias = self.add_weight((*pixels, self.filters), "zeros", name="bias")
        else:
            self.conv0.build(shape)
        maps = (None, self.side, self.side, self.filters)
        self.conv1.build(maps)
        if self.rgb is not None:
            self.rgb.build(maps)

    def call(self, x):
        if self.side == 4:
            x = tf.reshape(self.dense(x), [-1, 4, 4, self.filters])
            x = x + tf.cast(self.bias.value, x.dtype)
        else:
            x = self.conv0(x)
        return self._finish(self.conv1(self._finish(x)))

    def _finish(self, x):
        x = self.act(x)
        return x if self.norm == "none" else pixel_norm(x, self.epsilon)


@register
class ProGANSynthesis(GrowingSynthesis):
    """Latents and labels to images.

    Args: see `ProGANGenerator`.

    Call arguments:
        latents: float [N, latent_dim].
        label: float [N, num_classes] or `None`.
        level, fading: see `GrowingSynthesis.image`.
    """

    def __init__(
        self, image_size, *, channels, channel_base, channel_max, activation, norm, epsilon,
        first_bias, structure, **kwargs,
    ):
        super().__init__(image_size, structure=structure, **kwargs)
        self.channels = channels
        self.epsilon = epsilon
        self.blocks = [
            ProGANBlock(
                maps_at(side, channel_base, channel_max), side,
                channels=channels if self.has_image(side) else 0, activation=activation, norm=norm,
                epsilon=epsilon, first_bias=first_bias, dtype=keras.config.dtype_policy(),
                name=f"b{side}",
            )
            for side in self.sides
        ]

    def build(self, latents_shape, label_shape=None):
        self.add_lod()
        shape = (None, latents_shape[-1] + (0 if label_shape is None else label_shape[-1]))
        for block in self.blocks:
            block.build(shape)
            shape = (None, block.side, block.side, block.filters)

    def call(self, latents, label=None, level=None, fading=True):
        parts = [latents] if label is None else [latents, tf.cast(label, latents.dtype)]
        inputs = pixel_norm(tf.concat(parts, 1), self.epsilon)
        return self.image(
            level, fading, lambda i, x: self.blocks[i](inputs if x is None else x)
        )

    def compute_output_shape(self, latents_shape, label_shape=None):
        return (latents_shape[0], self.image_size, self.image_size, self.channels)


@register
@captured
class ProGANGenerator(Generator):
    """Latents to images.

    Args:
        image_size: int, a power of two >= 4, or (height, width), see `generator.canvas`.
            Defaults to 1024.
        latent_dim: int > 0. Defaults to 512.
        channels: int > 0. Defaults to 3.
        num_classes: int. 0 = unconditional. Defaults to 0.
        channel_base, channel_max: int > 0. A block has channel_base / side maps, at most
            channel_max. Default to 16384 and 512.
        activation: `"lrelu"` (slope 0.2) or `"relu"`. Defaults to `"lrelu"`.
        norm: `"pixel"` or `"none"`. Defaults to `"pixel"`.
        epsilon: float > 0. Of the pixel norms; 1e-4 for float16. Defaults to 1e-8.
        first_bias: `"map"`, or `"pixel"`: the dense layer's bias has one number for each map, or
            for each of its 4 x 4 pixels too. Defaults to `"map"`.
        structure: `"growing"`, or `"fixed"`: no images but those of the full size.
    Input shape: latents float32 [B, latent_dim], N(0, 1), which are normalised here; with classes
        also labels, int32 [B] or float [B, num_classes].
    Output shape: float32 [B, image_size, image_size, channels]: about [-1, 1], not clipped. A
        network with `lod` > 0 makes smaller images, whose pixels are repeated.
    Reference: arXiv:1710.10196, appendix A.1, table 2.
    """

    def __init__(
        self,
        image_size=1024,
        latent_dim=512,
        *,
        channels=3,
        num_classes=0,
        channel_base=16384,
        channel_max=512,
        activation="lrelu",
        norm="pixel",
        epsilon=EPSILON,
        first_bias="map",
        structure="growing",
        name="generator",
        **kwargs,
    ):
        check_sizes(
            latent_dim=latent_dim, channels=channels, channel_base=channel_base,
            channel_max=channel_max,
        )
        check_sizes(0, num_classes=num_classes)
        side, window = canvas(image_size)
        if norm not in NORMS:
            raise ValueError(f"`norm` must be one of {NORMS}. Received: norm={norm!r}")
        if first_bias not in FIRST_BIAS:
            raise ValueError(
                f"`first_bias` must be one of {FIRST_BIAS}. Received: first_bias={first_bias!r}"
            )
        options = dict(
            channels=channels, channel_base=channel_base, channel_max=channel_max,
            activation=activation, norm=norm, epsilon=epsilon, first_bias=first_bias,
            structure=structure,
        )
        # Graph
        with keras.name_scope(name):
            inputs = [keras.Input((latent_dim,), name="latents")]
            if num_classes:
                inputs.append(keras.Input((num_classes,), name="label"))
            images = ProGANSynthesis(side, **options, name="synthesis")(*inputs)
        super().__init__(inputs if num_classes else inputs[0], images, name=name, **kwargs)
        # Attributes
        self.latent_dim, self.condition = latent_dim, conditions.of(num_classes)
        self.image_size, self.window, self.channels = side, window, channels

    @property
    def trunk(self) -> ProGANSynthesis:
        """The layer that grows."""
        return self.get_layer("synthesis")

    def __call__(self, inputs, *args, **kwargs):
        return super().__call__(with_one_hot(inputs, self.num_classes), *args, **kwargs)

    def generate(self, count=None, *, labels=None, **options) -> np.ndarray:
        """Draws samples; see `Generator.generate`. Labels may also be float [count, num_classes].

        Returns: uint8 [count, image_size, image_size, channels].
        """
        if np.ndim(labels) == 2:
            labels = one_hot(np.asarray(labels), self.num_classes)
        return super().generate(count, labels=labels, **options)

    def _check_labels(self, labels, count):
        if np.ndim(labels) == 2 and len(labels) == count:
            return np.asarray(labels)
        return super()._check_labels(labels, count)

    def forward(self, inputs, **options) -> tf.Tensor:
        if options:
            return super().forward(inputs, **options)
        return self.trunk.compiled(self._at_stage)(inputs)

    def _at_stage(self, inputs, level, fading):
        latents, *labels = inputs
        labels = [one_hot(label, self.num_classes) for label in labels]
        image = self.trunk(latents, *labels, level=level, fading=fading)
        return upscale(image, 2**level)


@register
@captured
class ProGANDiscriminator(keras.Model):
    """Images to scores, and to logits of their classes.

    Args:
        image_size, channels, num_classes, channel_base, channel_max, activation, structure: see
            `ProGANGenerator`.
        group_size: int > 0, or `None` for the whole batch. Of the minibatch standard deviation.
            Defaults to 4 (the paper: the whole batch).
        std_channels: int >= 0. Its maps; 0 for none. Defaults to 1.
        pooling: `"before"` or `"after"` the activation (the official `fused_scale=False`; the
            paper): where the side is halved. Defaults to `"before"`.
    Input shape: float [B, image_size, image_size, channels] in [-1, 1].
    Output shape: float32 [B, 1]; with classes a list of it and float32 [B, num_classes].
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
        pooling="before",
        structure="growing",
        name="discriminator",
    ):
        check_sizes(channels=channels, channel_base=channel_base, channel_max=channel_max)
        check_sizes(0, num_classes=num_classes)
        options = dict(
            channel_base=channel_base, channel_max=channel_max, activation=activation,
            group_size=group_size, std_channels=std_channels, pooling=pooling,
            structure=structure,
        )
        # Graph
        with keras.name_scope(name):
            images = keras.Input((image_size, image_size, channels), name="images")
            trunk = GrowingTrunk(image_size, 1 + num_classes, **options, name="trunk")
            outputs = self.split(trunk(images))
        super().__init__(images, outputs, name=name)

    @property
    def trunk(self) -> GrowingTrunk:
        """The layer that grows."""
        return self.get_layer("trunk")

    @staticmethod
    def split(outputs) -> tf.Tensor | list[tf.Tensor]:
        """Scores [N, 1], or a list of them and of the classes' logits."""
        return [outputs[:, :1], outputs[:, 1:]] if outputs.shape[1] > 1 else outputs

    def __call__(self, inputs, *args, **kwargs):
        """Images, or (images, labels): the scores do not depend on labels."""
        if isinstance(inputs, (list, tuple)):
            inputs = with_one_hot(inputs, self.config["num_classes"])
            inputs = inputs[0] if isinstance(inputs, list) else inputs
        return super().__call__(inputs, *args, **kwargs)


@register
@captured
class ProGAN(GrowingGAN):
    """Progressive growing: WGAN-GP with drift, and an auxiliary classifier where there are classes.

    Phases: `discriminator` (`adversarial`, `gradient_penalty`, `drift`, with classes `classes`);
    `generator` (`adversarial`, with classes `classes`).
    Published optimizers: see `GrowingGAN`.

    Args:
        image_size, latent_dim, channels, num_classes, channel_base, channel_max, activation, norm,
            epsilon, first_bias, structure: see `ProGANGenerator`. The discriminator has the same
            channels, num_classes, channel_base, channel_max, activation and structure.
        discriminator: dict. Options of `ProGANDiscriminator` that differ.
        gradient_penalty: float >= 0. lambda. Defaults to 10.
        target: float > 0. Norm of the gradient that is aimed at; 750 for CIFAR-10. Defaults to 1.
        drift: float >= 0. Weight of the reals' squared scores. Defaults to 0.001.
        class_weight: float >= 0. Of the cross-entropy of the classes. Defaults to 1.
        growth: `Growth` or `None`. Defaults to the paper's: 4 pixels, 800,000 images for each size
            and for each fade.
        rate_multipliers: see `GrowingGAN`. The official code has {128: 1.5, 256: 2, 512: 3,
            1024: 3} for eight GPUs. Defaults to none.
        ema: `EMA` or `None`. Defaults to a decay of 0.999 for each step.
        **kwargs: `augment`, `critic_steps`, `fakes`, `seed` of `LatentGAN`.

    Reference: arXiv:1710.10196, sections 2 to 4 and appendix A.
    """

    def __init__(
        self,
        image_size=1024,
        latent_dim=512,
        *,
        channels=3,
        num_classes=0,
        channel_base=16384,
        channel_max=512,
        activation="lrelu",
        norm="pixel",
        epsilon=EPSILON,
        first_bias="map",
        structure="growing",
        discriminator=None,
        gradient_penalty=10.0,
        target=1.0,
        drift=0.001,
        class_weight=1.0,
        growth=PUBLISHED_GROWTH,
        rate_multipliers=None,
        ema=PUBLISHED_EMA,
        **kwargs,
    ):
        if not (drift >= 0 and class_weight >= 0):
            raise ValueError(
                "`drift` and `class_weight` must be >= 0. "
                f"Received: drift={drift!r}, class_weight={class_weight!r}"
            )
        growth = growth if structure == "growing" else None
        self.config.update(growth=growth)
        shared = dict(
            channels=channels, num_classes=num_classes, channel_base=channel_base,
            channel_max=channel_max, activation=activation, structure=structure,
        )
        own = dict(latent_dim=latent_dim, norm=norm, epsilon=epsilon, first_bias=first_bias)
        super().__init__(
            ProGANGenerator(image_size, **own, **shared),
            ProGANDiscriminator(canvas(image_size)[0], **{**shared, **(discriminator or {})}),
            loss=Wasserstein(),
            penalties=[GradientPenalty(gradient_penalty, target=target, alpha_weighs="fake")],
            growth=growth,
            rate_multipliers=rate_multipliers,
            ema=ema,
            **kwargs,
        )
        self.drift = drift
        self.class_weight = class_weight

    def phases(self) -> list[Phase]:
        more = ("classes",) if self.generator.num_classes else ()
        discriminator, generator = super().phases()
        return [
            dataclasses.replace(discriminator, terms=(*discriminator.terms, "drift", *more)),
            dataclasses.replace(generator, terms=(*generator.terms, *more)),
        ]

    def fakes(self, batch, tag) -> tuple[tf.Tensor, tf.Tensor | None]:
        latents, label = self.latents(batch, tag), self.one_hot(batch)
        level, fading = self.stage
        fake = self.generator.trunk(latents, label, level=level, fading=fading)
        return fake, batch.get("label")

    def judge(self, images, tag) -> list[tf.Tensor]:
        """[scores [B, 1], logits of the classes [B, num_classes]] of images of the stage's side."""
        level, fading = self.stage
        images = self.augmented(images, tag)
        outputs = self.discriminator.trunk(images, level=level, fading=fading)
        return [outputs[:, :1], outputs[:, 1:]]

    def critic(self, batch, label=None, *, tag="critic") -> Callable[[tf.Tensor], tf.Tensor]:
        return lambda images: self.judge(images, tag)[0]

    def discriminator_losses(self, batch) -> dict[str, tf.Tensor]:
        """`adversarial`, `gradient_penalty`, `drift` and `classes`."""
        real = batch["real"]
        fake = tf.stop_gradient(self.fakes_for(batch, "discriminator")[0])
        real_scores, real_classes = self.judge(real, "real")
        fake_scores, fake_classes = self.judge(fake, "fake")
        self.observe(real_scores)
        losses = {
            "adversarial": self.adversarial.discriminator(real_scores, fake_scores),
            **self.penalty_values(batch, real, fake),
            "drift": self.drift * tf.reduce_mean(tf.square(real_scores)),
        }
        if self.generator.num_classes:
            losses["classes"] = self.class_loss(batch, real_classes)
            losses["classes"] += self.class_loss(batch, fake_classes)
        return losses

    def generator_losses(self, batch) -> dict[str, tf.Tensor]:
        """`adversarial` and `classes`."""
        fake, _ = self.fakes_for(batch, "generator")
        scores, classes = self.judge(fake, "generator")
        losses = {"adversarial": self.adversarial.generator(scores)}
        if self.generator.num_classes:
            losses["classes"] = self.class_loss(batch, classes)
        return losses

    def class_loss(self, batch, logits) -> tf.Tensor:
        """Weighted mean cross-entropy of the batch's labels."""
        label = self.one_hot(batch)
        return self.class_weight * tf.reduce_mean(
            tf.nn.softmax_cross_entropy_with_logits(label, logits)
        )
