"""DCGAN: deep convolutional GAN.

Paper: Radford, Metz and Chintala 2016, "Unsupervised Representation Learning with Deep
Convolutional Generative Adversarial Networks" (arXiv:1511.06434), section 3.
Official code: Newmu/dcgan_code (Theano, 5 x 5 kernels, 128 maps, uniform latents); its best-known
port: pytorch/examples dcgan (4 x 4 kernels, 64 maps, normal latents). Both are these networks with
other arguments.
Matches: pytorch/examples' weights give its outputs, in evaluation and in training mode (tests); the
official weights for house numbers give house numbers.
Differs: the paper's dense first and last layers are written as the equivalent full-size
convolutions; `variant="paper"` normalises the first one per map, the official code per unit
(`variant="dcgan_code"`).
"""

from collections.abc import Callable

import keras

from ganzoo.arguments import captured
from ganzoo.generator import Generator
from ganzoo.latent_gan import LatentGAN
from ganzoo.layers.convolution import down_stack, up_stack
from ganzoo.layers.normalization import BatchNormalization

register = keras.saving.register_keras_serializable(package="ganzoo")
NORMAL = keras.initializers.RandomNormal
VARIANTS = {  # kernel_size, prior, fakes, first_norm, epsilon
    "pytorch": (4, "normal", "shared", "maps", 1e-5),
    "paper": (5, "uniform", "fresh", "maps", 1e-5),
    "dcgan_code": (5, "uniform", "fresh", "units", 1e-8),
}
FIRST_NORMS = ("maps", "units")


def norm_with(epsilon, first_norm="maps") -> Callable[[str], BatchNormalization]:
    """name -> batch normalisation whose gain starts at N(1, 0.02), as in both official codes."""

    def norm(name):
        layer = BatchNormalization(
            epsilon=epsilon, gamma_initializer=NORMAL(1.0, 0.02), name=name
        )
        return _per_unit(layer) if first_norm == "units" and name == "norm0" else layer

    return norm


def _per_unit(layer):
    """The layer, applied to every pixel's every map on its own."""

    def call(x):
        units = keras.layers.Flatten(name=f"{layer.name}_units")(x)
        return keras.layers.Reshape(x.shape[1:], name=f"{layer.name}_maps")(layer(units))

    return call


@register
@captured
class DCGANGenerator(Generator):
    """Latents to images by strided transposed convolutions.

    Args:
        image_size: int, 4 to 7 times a power of two. Defaults to 64.
        latent_dim: int > 0. Defaults to 100.
        width: int > 0. Maps before the last layer; doubled for each halving of the side. Defaults
            to 64.
        channels: int > 0. Defaults to 3.
        kernel_size: 4 or 5. Defaults to 4.
        prior: `"normal"` or `"uniform"`.
        first_norm: `"maps"`, or `"units"`: the first normalisation has statistics, gain and bias
            for each pixel of each map, as behind a dense layer. Defaults to `"maps"`.
        epsilon: float > 0, of the normalisations. Defaults to 1e-5.
        use_bias: bool. Of the last layer. Defaults to `False`.
    Input shape: float32 [B, latent_dim].
    Output shape: float32 [B, image_size, image_size, channels] in [-1, 1].
    Reference: arXiv:1511.06434, figure 1.
    """

    def __init__(
        self,
        image_size=64,
        latent_dim=100,
        width=64,
        *,
        channels=3,
        kernel_size=4,
        prior="normal",
        first_norm="maps",
        epsilon=1e-5,
        use_bias=False,
        name="generator",
        **kwargs,
    ):
        if first_norm not in FIRST_NORMS:
            raise ValueError(
                f"`first_norm` must be one of {FIRST_NORMS}. Received: first_norm={first_norm!r}"
            )
        # Graph
        with keras.name_scope(name):
            latents = keras.Input((latent_dim,), name="latents")
            x = up_stack(
                latents,
                image_size,
                width,
                channels=channels,
                kernel_size=kernel_size,
                norm=norm_with(epsilon, first_norm),
                use_bias=use_bias,
            )
            images = keras.layers.Activation("tanh", dtype="float32", name="image")(x)
        super().__init__(latents, images, name=name, **kwargs)
        # Attributes
        self.latent_dim, self.prior = latent_dim, prior


@register
@captured
class DCGANDiscriminator(keras.Model):
    """Images to logits by strided convolutions.

    Args: see `DCGANGenerator`; `width` counts the maps after the first layer.
        use_bias: bool. Of the first and the last layer. Defaults to `False`.
        leak: float >= 0. Slope of the LeakyReLUs. Defaults to 0.2.
    Input shape: float [B, image_size, image_size, channels] in [-1, 1].
    Output shape: float32 [B, 1].
    """

    def __init__(
        self,
        image_size=64,
        width=64,
        *,
        channels=3,
        kernel_size=4,
        epsilon=1e-5,
        use_bias=False,
        leak=0.2,
        name="discriminator",
        **kwargs,
    ):
        # Graph
        with keras.name_scope(name):
            images = keras.Input((image_size, image_size, channels), name="images")
            logits = down_stack(
                images,
                width,
                kernel_size=kernel_size,
                norm=norm_with(epsilon),
                use_bias=use_bias,
                leak=leak,
            )
        super().__init__(images, logits, name=name, **kwargs)


@register
@captured
class DCGAN(LatentGAN):
    """Deep convolutional GAN.

    Phases: `discriminator` (`adversarial`), `generator` (`adversarial`), each on every step.
    Published optimizers: Adam 2e-4, beta_1 0.5 (section 4).

    Args:
        image_size, latent_dim, width, channels: see `DCGANGenerator`.
        discriminator_width: int > 0 or `None`, the same as `width`. See `DCGANDiscriminator`.
            Defaults to `None`.
        variant: `"pytorch"` (pytorch/examples: kernel 4, normal latents, both players see the same
            fakes), `"paper"` (kernel 5, uniform latents, fresh fakes for each player) or
            `"dcgan_code"` (the same, and as in the official code: the first normalisation per unit,
            epsilon 1e-8).
        prior: `"normal"`, `"uniform"` or `None`, the variant's. Defaults to `None`.
        use_bias: bool. Of the layers that no normalisation follows: the generator's last, the
            discriminator's first and last. Defaults to `False`.
        leak: float >= 0. Slope of the discriminator's LeakyReLUs. Defaults to 0.2.
        loss: `AdversarialLoss` or its name. Defaults to `"non_saturating"`.
        **kwargs: `penalties`, `critic_steps`, `ema`, `seed` of `LatentGAN`.

    Left out: the official code's weight decay (L2 1e-5 on all weights): give an optimizer with
        `weight_decay`.
    Reference: arXiv:1511.06434.
    """

    def __init__(
        self,
        image_size=64,
        latent_dim=100,
        width=64,
        *,
        channels=3,
        discriminator_width=None,
        variant="pytorch",
        prior=None,
        use_bias=False,
        leak=0.2,
        loss="non_saturating",
        **kwargs,
    ):
        if variant not in VARIANTS:
            raise ValueError(
                f"`variant` must be one of {tuple(VARIANTS)}. Received: variant={variant!r}"
            )
        kernel_size, usual_prior, fakes, first_norm, epsilon = VARIANTS[variant]
        shared = dict(
            channels=channels, kernel_size=kernel_size, epsilon=epsilon, use_bias=use_bias
        )
        super().__init__(
            DCGANGenerator(
                image_size,
                latent_dim,
                width,
                prior=usual_prior if prior is None else prior,
                first_norm=first_norm,
                **shared,
            ),
            DCGANDiscriminator(
                image_size,
                width if discriminator_width is None else discriminator_width,
                leak=leak,
                **shared,
            ),
            loss=loss,
            fakes=fakes,
            **kwargs,
        )

    def default_optimizers(self) -> dict[str, keras.optimizers.Optimizer]:
        return {
            f"{player}_optimizer": keras.optimizers.Adam(2e-4, beta_1=0.5, epsilon=1e-8)
            for player in ("generator", "discriminator")
        }
