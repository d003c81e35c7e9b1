"""LSGAN: least squares instead of the logistic loss.

Paper: Mao et al. 2017, "Least Squares Generative Adversarial Networks" (arXiv:1611.04076).
Official code: xudonmao/LSGAN (TensorFlow 1): vgg.py and train_lsun.py are `networks="lsun"`,
stability_comparison/*/dcgan64.py is DCGAN's pair, `networks="dcgan"`.
Matches: shapes and strides of the paper's figure 1 and of vgg.py ("same" padding as in TensorFlow).
Differs: no biases where batch normalisation removes them. The official loss is summed over the
batch, here it is its mean: the same for Adam, batch_size times smaller for SGD.
"""

import keras

from ganzoo.arguments import captured
from ganzoo.generator import Generator
from ganzoo.latent_gan import LatentGAN
from ganzoo.layers.convolution import blocks_of, down_stack, up_stack
from ganzoo.layers.normalization import BatchNormalization
from ganzoo.losses import LeastSquares

register = keras.saving.register_keras_serializable(package="ganzoo")
NETWORKS = ("lsun", "dcgan")


def _check(networks):
    if networks not in NETWORKS:
        raise ValueError(f"`networks` must be one of {NETWORKS}. Received: networks={networks!r}")


def _norm(name):
    return BatchNormalization(name=name)


def _normal():
    return keras.initializers.RandomNormal(0.0, 0.02)  # ops.py


@register
@captured
class LSGANGenerator(Generator):
    """Latents to images by transposed convolutions.

    Args:
        image_size: int, 4 to 7 times a power of two. Defaults to 112.
        latent_dim: int > 0. Defaults to 1024.
        width: int > 0. Maps before the last layer. Defaults to 64.
        channels: int > 0. Defaults to 3.
        networks: `"lsun"` (3 x 3 kernels; of the doublings of the side, all but the last two are
            followed by another convolution; 4, 4, ..., 2 and 1 times `width` maps) or `"dcgan"`.
        kernel_size: 4 or 5, of "dcgan". Defaults to 5.
        prior: `"normal"` or `"uniform"`. Defaults to `"uniform"`.
        use_bias: bool. Of the last layer of "dcgan". Defaults to `False`.
    Input shape: float32 [B, latent_dim].
    Output shape: float32 [B, image_size, image_size, channels] in [-1, 1].
    Reference: arXiv:1611.04076, figure 1; vgg.py, `generator`.
    """

    def __init__(
        self, image_size=112, latent_dim=1024, width=64, *, channels=3, networks="lsun",
        kernel_size=5, prior="uniform", use_bias=False, name="generator", **kwargs,
    ):
        _check(networks)
        # Graph
        with keras.name_scope(name):
            latents = keras.Input((latent_dim,), name="latents")
            if networks == "lsun":
                x = _vgg_up(latents, image_size, width, channels)
            else:
                x = up_stack(
                    latents, image_size, width, channels=channels, kernel_size=kernel_size,
                    norm=_norm, use_bias=use_bias,
                )
            images = keras.layers.Activation("tanh", dtype="float32", name="image")(x)
        super().__init__(latents, images, name=name, **kwargs)
        # Attributes
        self.latent_dim, self.prior = latent_dim, prior


def _vgg_up(latents, image_size, width, channels):
    blocks, base = blocks_of(image_size)
    x = keras.layers.Dense(
        base * base * 4 * width, use_bias=False, kernel_initializer=_normal(), name="dense"
    )(latents)
    x = keras.layers.Reshape((base, base, 4 * width), name="seed")(x)
    x = _norm_relu(x, "dense")
    for i in range(blocks):
        left = blocks - i
        maps = width * (4 if left > 2 else left)
        x = _norm_relu(_transposed(x, maps, 2, f"up{i}"), f"up{i}")
        if left > 2:
            x = _norm_relu(_transposed(x, maps, 1, f"refine{i}"), f"refine{i}")
    return _transposed(x, channels, 1, "to_image", use_bias=True)


def _transposed(x, filters, strides, name, use_bias=False):
    return keras.layers.Conv2DTranspose(
        filters, 3, strides=strides, padding="same", use_bias=use_bias,
        kernel_initializer=_normal(), name=name,
    )(x)


def _norm_relu(x, name):
    return keras.layers.ReLU(name=f"relu_{name}")(_norm(f"norm_{name}")(x))


@register
@captured
class LSGANDiscriminator(keras.Model):
    """Images to outputs that the least squares pull towards the labels.

    Args: see `LSGANGenerator`; `width` counts the maps after the first layer.
        use_bias: bool. Of the first and the last layer of "dcgan". Defaults to `False`.
        leak: float >= 0. Slope of the LeakyReLUs of "dcgan". Defaults to 0.2.
    Input shape: float [B, image_size, image_size, channels] in [-1, 1].
    Output shape: float32 [B, 1].
    Reference: arXiv:1611.04076, figure 1; vgg.py, `discriminator`.
    """

    def __init__(
        self, image_size=112, width=64, *, channels=3, networks="lsun", kernel_size=5,
        use_bias=False, leak=0.2, name="discriminator", **kwargs,
    ):
        _check(networks)
        # Graph
        with keras.name_scope(name):
            images = keras.Input((image_size, image_size, channels), name="images")
            if networks == "lsun":
                logits = _vgg_down(images, width)
            else:
                logits = down_stack(
                    images, width, kernel_size=kernel_size, norm=_norm, use_bias=use_bias,
                    leak=leak,
                )
        super().__init__(images, logits, name=name, **kwargs)


def _vgg_down(images, width):
    blocks, _ = blocks_of(images.shape[1])
    x = images
    for i in range(blocks):
        x = keras.layers.Conv2D(
            width * 2**i, 5, strides=2, padding="same", use_bias=i == 0,
            kernel_initializer=keras.initializers.TruncatedNormal(0.0, 0.02), name=f"down{i}",
        )(x)
        if i > 0:
            x = _norm(f"norm{i}")(x)
        x = keras.layers.LeakyReLU(0.2, name=f"leaky{i}")(x)
    x = keras.layers.Flatten(name="flat")(x)
    return keras.layers.Dense(1, kernel_initializer=_normal(), dtype="float32", name="logit")(x)


@register
@captured
class LSGAN(LatentGAN):
    """Least squares GAN.

    Phases: `discriminator` (`adversarial`), `generator` (`adversarial`), each on every step,
    looking at the same fakes.
    Published optimizers: "lsun": Adam 1e-3, beta_1 0.5 (train_lsun.py); "dcgan": Adam 2e-4, beta_1
    0.5 (stability_comparison/BN_G_ls_adam). The paper's other stability test is RMSProp 2e-4 for
    both players.

    Args:
        image_size, latent_dim, width, channels, networks, kernel_size, prior: see
            `LSGANGenerator`.
        discriminator_width: int > 0 or `None`, the same as `width`. Defaults to `None`.
        use_bias: bool, of "dcgan": biases where no normalisation follows, in the generator's last
            and the discriminator's first and last layer. Defaults to `False`.
        leak: float >= 0. Slope of the discriminator's LeakyReLUs in "dcgan". Defaults to 0.2.
        labels: a, b, c of the paper: what the discriminator should say of fakes and of reals, and
            what the generator wants it to say of fakes. Defaults to `(0.0, 1.0, 1.0)`, eq. 9;
            `(-1.0, 1.0, 0.0)` is eq. 8, Pearson's chi-squared.
        **kwargs: `penalties`, `augment`, `critic_steps`, `ema`, `seed` of `LatentGAN`.

    Left out: the conditional network for 3740 Chinese characters (section 3.3).
    Reference: arXiv:1611.04076, eq. 2, 8 and 9.
    """

    def __init__(
        self, image_size=112, latent_dim=1024, width=64, *, channels=3, networks="lsun",
        kernel_size=5, prior="uniform", discriminator_width=None, use_bias=False, leak=0.2,
        labels=(0.0, 1.0, 1.0), **kwargs,
    ):
        sizes = dict(
            channels=channels, networks=networks, kernel_size=kernel_size, use_bias=use_bias
        )
        a, b, c = labels
        second = width if discriminator_width is None else discriminator_width
        super().__init__(
            LSGANGenerator(image_size, latent_dim, width, prior=prior, **sizes),
            LSGANDiscriminator(image_size, second, leak=leak, **sizes),
            loss=LeastSquares(fake_label=a, real_label=b, target_label=c),
            fakes="shared",
            **kwargs,
        )

    def default_optimizers(self) -> dict[str, keras.optimizers.Optimizer]:
        rate = 1e-3 if self.config["networks"] == "lsun" else 2e-4
        return {
            f"{player}_optimizer": keras.optimizers.Adam(rate, beta_1=0.5, epsilon=1e-8)
            for player in ("generator", "discriminator")
        }
