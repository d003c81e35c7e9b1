"""WGAN-GP: a critic kept Lipschitz by a gradient penalty.

Paper: Gulrajani, Ahmed, Arjovsky, Dumoulin and Courville 2017, "Improved Training of Wasserstein
GANs" (arXiv:1704.00028), algorithm 1 and appendix.
Official code: igul222/improved_wgan_training (TensorFlow 1); best-known reproduction:
kwotsin/mimicry (PyTorch).
Matches: mimicry's weights give its outputs, penalty and gradients (tests). The networks are
    "dcgan"    `gan_mnist.py` (28 px), `gan_cifar.py` (32 px) and the DCGAN pair of `gan_64x64.py`;
    "resnet"   `gan_cifar_resnet.py` (28 and 32 px) and the "Good" pair of `gan_64x64.py` (larger);
    "mimicry"  `wgan_gp_32.py`, 48, 64 and 128.
Differs: images are in [-1, 1] with a tanh at every size (`gan_mnist.py` has a sigmoid); batch
normalisation is per map from the first layer on and keeps running statistics for `generate` (the
official code samples with those of the batch); initial kernels are `gan_cifar.py`'s for "dcgan" at
every size (the DCGAN pair of `gan_64x64.py` has 0.02), Glorot's for 1 x 1 and the last
convolutions, and biases start at 0 (mimicry leaves these two to PyTorch's defaults).
Left out: the conditional (AC-GAN) variant of `gan_cifar_resnet.py`, its dequantisation noise and
its doubled generator batch; the other networks of `gan_64x64.py`.
"""

import keras

from ganzoo.arguments import captured
from ganzoo.checks import check_choice
from ganzoo.generator import Generator
from ganzoo.latent_gan import LatentGAN
from ganzoo.layers.convolution import blocks_of
from ganzoo.layers.layer_normalization import LayerNormalization
from ganzoo.layers.normalization import BatchNormalization
from ganzoo.layers.residual import conv, down_block, first_down_block, no_norm, up_block
from ganzoo.losses import Wasserstein
from ganzoo.penalties import GradientPenalty

register = keras.saving.register_keras_serializable(package="ganzoo")
NETWORKS = ("dcgan", "resnet", "mimicry")
WIDTHS = {  # of the scripts: (generator, critic)
    ("dcgan", 32): (128, 128),
    ("resnet", 28): (128, 128),
    ("resnet", 32): (128, 128),
    ("mimicry", 32): (256, 128),
    ("mimicry", 48): (512, 1024),
    ("mimicry", 64): (1024, 1024),
    ("mimicry", 128): (1024, 1024),
}
MIMICRY_UP = {  # side of the first map; each block's maps, as shifts of the width
    32: (4, (0, 0, 0)),
    48: (6, (1, 2, 3)),
    64: (4, (1, 2, 3, 4)),
    128: (4, (0, 1, 2, 3, 4)),
}
MIMICRY_DOWN = {  # shift of the first block; (shift, pool) of the others
    32: (0, ((0, True), (0, False), (0, False))),
    48: (4, ((3, True), (2, True), (1, True), (0, False))),
    64: (4, ((3, True), (2, True), (1, True), (0, True))),
    128: (4, ((3, True), (2, True), (1, True), (0, True), (0, False))),
}


def published_widths(networks: str, image_size: int) -> tuple[int, int]:
    """(generator, critic) widths in the source's script; 64 for sizes that it does not have."""
    return WIDTHS.get((networks, image_size), (64, 64))


def _check_mimicry(image_size, width):
    if image_size not in MIMICRY_UP:
        raise ValueError(
            f'networks="mimicry" has image sizes {tuple(MIMICRY_UP)}; use networks="resnet" for '
            f"others. Received: image_size={image_size}"
        )
    if image_size > 32 and width < 16:
        raise ValueError(
            "`width` must be >= 16, because the largest maps have a sixteenth of it. "
            f"Received: width={width}"
        )


def _sides(image_size):
    """Sides of the DCGAN-like networks' maps, image first: halved, rounded up, while above 6."""
    sides = [image_size]
    while sides[-1] > 6:
        sides.append(-(-sides[-1] // 2))
    if image_size % 2 or len(sides) < 2:
        raise ValueError(f"`image_size` must be even and > 6. Received: image_size={image_size}")
    return sides


def _strided_uniform(fan_in, fan_out):
    """Uniform with variance 4 / (fan_in + fan_out)."""
    # improved_wgan_training conv2d.py, deconv2d.py: he_init; a stride divides the fan it skips
    limit = (12.0 / (fan_in + fan_out)) ** 0.5
    return keras.initializers.RandomUniform(-limit, limit)


def _layer_norm(name):
    return LayerNormalization(name=name)


def _batch_norm(name):
    return BatchNormalization(name=name)


GENERATOR_NORMS = {"batch": _batch_norm, "none": no_norm}
CRITIC_NORMS = {"none": no_norm, "layer": _layer_norm}


# --- generators: latents to images


def _stem(latents, side, filters):
    x = keras.layers.Dense(side * side * filters, name="stem")(latents)
    return keras.layers.Reshape((side, side, filters), name="stem_map")(x)


def _dcgan_generator(latents, image_size, width, channels, norm):
    base, *sides = _sides(image_size)[::-1]
    x = _stem(latents, base, width * 2 ** (len(sides) - 1))
    for i, side in enumerate([base, *sides[:-1]]):
        if i > 0:
            x = _double(x, width * 2 ** (len(sides) - 1 - i), name=f"up{i}")
        x = keras.layers.ReLU(name=f"relu{i}")(norm(f"norm{i}")(x))
        if i > 0 and side % 2:
            x = keras.layers.Cropping2D(((0, 1), (0, 1)), name=f"crop{i}")(x)
    return _double(x, channels, name="image", activation="tanh", dtype="float32")


def _double(x, filters, **options):
    return keras.layers.Conv2DTranspose(
        filters,
        5,
        strides=2,
        padding="same",
        kernel_initializer=_strided_uniform(x.shape[-1] * 25 / 4, filters * 25),
        **options,
    )(x)


def _resnet_generator(latents, image_size, width, channels, norm):
    blocks, base = blocks_of(image_size)
    widths = [width] * (blocks + 1)
    if image_size > 32:
        widths = [width * min(8, 2**i) for i in reversed(range(blocks))]
        widths = [widths[0], *widths]
    # gan_64x64.py leaves out the bias in front of a normalisation
    return _residual_generator(
        latents,
        base,
        widths,
        channels=channels,
        norm=norm,
        interpolation="nearest",
        use_bias=image_size <= 32,
    )


def _mimicry_generator(latents, image_size, width, channels, norm):
    _check_mimicry(image_size, width)
    base, shifts = MIMICRY_UP[image_size]
    widths = [width, *(width >> shift for shift in shifts)]
    return _residual_generator(
        latents, base, widths, channels=channels, norm=norm, interpolation="bilinear"
    )


def _residual_generator(latents, side, widths, *, channels, norm, **options):
    """`widths`: maps of the stem, then of each block, which doubles the side."""
    x = _stem(latents, side, widths[0])
    for k, filters in enumerate(widths[1:]):
        x = up_block(x, filters, name=f"block{k}", norm=norm, **options)
    x = keras.layers.ReLU(name="relu")(norm("norm")(x))
    return keras.layers.Conv2D(
        channels, 3, padding="same", activation="tanh", dtype="float32", name="image"
    )(x)


# --- critics: images to features [B, F]


def _dcgan_critic(images, width, norm):
    x = images
    for i in range(len(_sides(images.shape[1])) - 1):
        filters = width * 2**i
        x = keras.layers.Conv2D(
            filters,
            5,
            strides=2,
            padding="same",
            kernel_initializer=_strided_uniform(x.shape[-1] * 25, filters * 25 / 4),
            name=f"down{i}",
        )(x)
        if i > 0:
            x = norm(f"norm{i}")(x)
        x = keras.layers.LeakyReLU(0.2, name=f"leaky{i}")(x)
    return keras.layers.Flatten(name="flat")(x)


def _resnet_critic(images, width, norm):
    blocks, _ = blocks_of(images.shape[1])
    if images.shape[1] <= 32:
        x = first_down_block(images, width, name="block0")
        for k, pool in enumerate((True, False, False), start=1):
            x = down_block(x, width, name=f"block{k}", norm=norm, pool=pool)
        return _mean_of_maps(x)
    x = conv(images, width, 3, name="stem")
    for k in range(blocks):
        x = down_block(x, width * min(8, 2 ** (k + 1)), name=f"block{k}", norm=norm, use_bias=False)
    return keras.layers.Flatten(name="flat")(x)


def _mimicry_critic(images, width, norm):
    _check_mimicry(images.shape[1], width)
    if norm is not no_norm:
        raise ValueError(
            'networks="mimicry" has no normalisation in its critic. Received: norm="layer"'
        )
    first, blocks = MIMICRY_DOWN[images.shape[1]]
    x = first_down_block(images, width >> first, name="block0")
    for k, (shift, pool) in enumerate(blocks, start=1):
        x = down_block(x, width >> shift, name=f"block{k}", pool=pool, shortcut_of="activated")
    return _mean_of_maps(x)


def _mean_of_maps(x):
    x = keras.layers.ReLU(name="relu")(x)
    return keras.layers.GlobalAveragePooling2D(name="mean")(x)


GENERATORS = {"dcgan": _dcgan_generator, "resnet": _resnet_generator, "mimicry": _mimicry_generator}
CRITICS = {"dcgan": _dcgan_critic, "resnet": _resnet_critic, "mimicry": _mimicry_critic}


@register
@captured
class WGANGPGenerator(Generator):
    """Latents to images.

    Args:
        image_size: int. "dcgan": even and > 6; "resnet": 4 to 7 times a power of two; "mimicry":
            32, 48, 64 or 128. Defaults to 64.
        latent_dim: int > 0. Defaults to 128.
        width: int > 0. The scripts' `DIM` ("dcgan", "resnet": maps at the largest side) or `ngf`
            ("mimicry": maps at the smallest side). Defaults to 64.
        channels: int > 0. Defaults to 3.
        networks: `"dcgan"`, `"resnet"` or `"mimicry"`. Defaults to `"dcgan"`.
        norm: `"batch"` or `"none"` (`gan_mnist.py`). Defaults to `"batch"`.
    Input shape: float32 [B, latent_dim], N(0, 1).
    Output shape: float32 [B, image_size, image_size, channels] in [-1, 1].
    Reference: arXiv:1704.00028, appendix; see the module's docstring for the scripts.
    """

    def __init__(
        self,
        image_size=64,
        latent_dim=128,
        width=64,
        *,
        channels=3,
        networks="dcgan",
        norm="batch",
        name="generator",
        **kwargs,
    ):
        build = GENERATORS[check_choice("networks", networks, NETWORKS)]
        factory = GENERATOR_NORMS[check_choice("norm", norm, tuple(GENERATOR_NORMS))]
        # Graph
        with keras.name_scope(name):
            latents = keras.Input((latent_dim,), name="latents")
            images = build(latents, image_size, width, channels, factory)
        super().__init__(latents, images, name=name, **kwargs)
        # Attributes
        self.latent_dim = latent_dim


@register
@captured
class WGANGPDiscriminator(keras.Model):
    """Images to critic values; twice differentiable.

    Args:
        image_size, channels, networks: see `WGANGPGenerator`.
        width: int > 0. The scripts' `DIM`, or `ndf` for "mimicry". Defaults to 64.
        norm: `"none"` or `"layer"`: layer normalisation over each sample, gain and bias per map
            (`gan_64x64.py`). Not with "mimicry". Defaults to `"none"`.
    Input shape: float [B, image_size, image_size, channels] in [-1, 1].
    Output shape: float32 [B, 1].
    """

    def __init__(
        self,
        image_size=64,
        width=64,
        *,
        channels=3,
        networks="dcgan",
        norm="none",
        name="discriminator",
        **kwargs,
    ):
        build = CRITICS[check_choice("networks", networks, NETWORKS)]
        factory = CRITIC_NORMS[check_choice("norm", norm, tuple(CRITIC_NORMS))]
        # Graph
        with keras.name_scope(name):
            images = keras.Input((image_size, image_size, channels), name="images")
            features = build(images, width, factory)
            logits = keras.layers.Dense(1, dtype="float32", name="logit")(features)
        super().__init__(images, logits, name=name, **kwargs)


@register
@captured
class WGANGP(LatentGAN):
    """Wasserstein GAN with gradient penalty.

    Phases: `discriminator` (`adversarial`, `gradient_penalty`) on every step; `generator`
    (`adversarial`) on the last of every `critic_steps` steps. -`discriminator/adversarial`
    estimates the Wasserstein distance.
    Published optimizers: Adam 1e-4 (0.5, 0.9) for "dcgan" below 64 px (`gan_mnist.py`,
    `gan_cifar.py`); 1e-4 (0, 0.9) for "dcgan" from 64 px and "resnet" above 32 px (`gan_64x64.py`);
    2e-4 (0, 0.9) for "resnet" up to 32 px (`gan_cifar_resnet.py`) and "mimicry", whose sources let
    the rate fall to 0 linearly over 100,000 generator steps: give `compile` optimizers with a
    `keras.optimizers.schedules.PolynomialDecay` for that.

    Args:
        image_size, latent_dim, channels, networks: see `WGANGPGenerator`.
        width: int > 0. Width of the generator; of both networks if `critic_width` is not
            given. Defaults to the script's, see `published_widths`.
        critic_width: int > 0. Defaults to `width` if that is given, else to the script's.
        generator_norm: `"batch"` or `"none"`. Defaults to `"batch"`.
        critic_norm: `"none"` or `"layer"`. Defaults to `"none"`.
        gradient_penalty: float >= 0. lambda. Defaults to 10.0 (`gan_toy.py` has 0.1).
        critic_steps: int >= 1. Defaults to 5.
        **kwargs: `augment`, `fakes`, `ema`, `seed` of `LatentGAN`.

    Reference: arXiv:1704.00028, algorithm 1 (lambda = 10, n_critic = 5).
    """

    def __init__(
        self,
        image_size=64,
        latent_dim=128,
        width=None,
        *,
        channels=3,
        networks="dcgan",
        critic_width=None,
        generator_norm="batch",
        critic_norm="none",
        gradient_penalty=10.0,
        critic_steps=5,
        **kwargs,
    ):
        published = published_widths(check_choice("networks", networks, NETWORKS), image_size)
        if critic_width is None:
            critic_width = published[1] if width is None else width
        if width is None:
            width = published[0]
        self.config.update(width=width, critic_width=critic_width)
        shared = dict(channels=channels, networks=networks)
        super().__init__(
            WGANGPGenerator(image_size, latent_dim, width, norm=generator_norm, **shared),
            WGANGPDiscriminator(image_size, critic_width, norm=critic_norm, **shared),
            loss=Wasserstein(),
            penalties=[GradientPenalty(gradient_penalty)],
            critic_steps=critic_steps,
            **kwargs,
        )

    def default_optimizers(self) -> dict[str, keras.optimizers.Optimizer]:
        networks, image_size = self.config["networks"], self.config["image_size"]
        if networks == "dcgan":
            rate, beta_1 = 1e-4, 0.5 if image_size < 64 else 0.0
        else:
            rate, beta_1 = 1e-4 if networks == "resnet" and image_size > 32 else 2e-4, 0.0
        return {
            f"{player}_optimizer": keras.optimizers.Adam(
                rate, beta_1=beta_1, beta_2=0.9, epsilon=1e-8
            )
            for player in ("generator", "discriminator")
        }
