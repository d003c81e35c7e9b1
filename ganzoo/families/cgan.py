"""CGAN: conditional GAN, both networks told the class or the attributes.

Paper: Mirza and Osindero 2014, "Conditional Generative Adversarial Nets" (arXiv:1411.1784), section
4.1: `networks="mlp"`; its code was not published.
Convolutional: Newmu/dcgan_code, mnist/train_cond_dcgan.py: `networks="conv"`, the label
concatenated at every layer. What most ports do, DCGAN's pair with the label concatenated to the
latents and to the image alone, is `networks="dcgan"`.
Differs: images in [-1, 1] instead of [0, 1], for which the sigmoid is stretched ("mlp") or replaced
by tanh ("conv"); latents of the "mlp" are U(-1, 1), the paper's U(0, 1).
"""

import math

import keras
import tensorflow as tf
from keras import ops

from ganzoo import conditions
from ganzoo.arguments import captured
from ganzoo.generator import Generator
from ganzoo.latent_gan import LatentGAN
from ganzoo.layers.convolution import blocks_of, down_conv, down_stack, up_conv, up_stack
from ganzoo.layers.dropout import Dropout
from ganzoo.layers.maxout import Maxout
from ganzoo.layers.normalization import BatchNormalization

register = keras.saving.register_keras_serializable(package="ganzoo")
NORMAL = keras.initializers.RandomNormal
NETWORKS = ("mlp", "conv", "dcgan")
DENSE_UNITS = 16  # per map of `width`: 1024 for 64; train_cond_dcgan.py, ngfc


@register
class WithLabel(keras.layers.Layer):
    """Appends a label to each sample's features, or to the features of each of its pixels.

    Input shape: features float [B, C] or [B, H, W, C]; label float [B, K].
    Output shape: the features', with C + K channels.
    """

    def call(self, x, label):
        label = tf.cast(label, x.dtype)
        if len(x.shape) == 4:
            shape = tf.concat([tf.shape(x)[:3], tf.shape(label)[1:]], 0)
            label = tf.broadcast_to(label[:, tf.newaxis, tf.newaxis, :], shape)
        return tf.concat([x, label], -1)

    def compute_output_shape(self, x_shape, label_shape):
        return (*x_shape[:-1], x_shape[-1] + label_shape[-1])


def label_input(num_classes, num_attributes) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """(input of a functional network, the label as a vector float [B, K]).

    Raises: ValueError: unless exactly one of the two counts is positive.
    """
    if (num_classes > 0) == (num_attributes > 0):
        raise ValueError(
            "A conditional network has either classes or attributes: set one of the two above 0. "
            f"Received: num_classes={num_classes}, num_attributes={num_attributes}"
        )
    if num_attributes:
        label = keras.Input((num_attributes,), name="label")
        return label, label
    label = keras.Input((), dtype="int32", name="label")
    return label, ops.one_hot(label, num_classes)


@register
@captured
class CGANDenseGenerator(Generator):
    """Latents and labels to images by dense layers.

    Args:
        image_size: int > 0. Defaults to 28.
        latent_dim: int > 0. Defaults to 100.
        widths: units behind the latents, behind the label and behind both. Defaults to
            `(200, 1000, 1200)`.
        channels: int > 0. Defaults to 1.
        num_classes, num_attributes: int >= 0, one of them above 0. Default to 10 and 0.
        dropout: float in [0, 1), of every hidden layer. Defaults to 0.5.
    Input shape: float32 [B, latent_dim]; int32 [B], or float32 [B, num_attributes].
    Output shape: float32 [B, image_size, image_size, channels] in [-1, 1].
    Reference: arXiv:1411.1784, section 4.1.
    """

    prior = "uniform"

    def __init__(
        self, image_size=28, latent_dim=100, widths=(200, 1000, 1200), *, channels=1,
        num_classes=10, num_attributes=0, dropout=0.5, name="generator", **kwargs,
    ):
        shape = (image_size, image_size, channels)
        # Graph
        with keras.name_scope(name):
            latents = keras.Input((latent_dim,), name="latents")
            label, y = label_input(num_classes, num_attributes)
            z = keras.layers.Dense(widths[0], "relu", name="from_latents")(latents)
            z = Dropout(dropout, name="drop_latents")(z)
            y = keras.layers.Dense(widths[1], "relu", name="from_label")(y)
            y = Dropout(dropout, name="drop_label")(y)
            x = keras.layers.Concatenate(name="both")([z, y])
            x = keras.layers.Dense(widths[2], "relu", name="joint")(x)
            x = Dropout(dropout, name="drop_joint")(x)
            x = keras.layers.Dense(math.prod(shape), "sigmoid", dtype="float32", name="output")(x)
            x = keras.layers.Rescaling(2.0, -1.0, dtype="float32", name="stretch")(x)
            images = keras.layers.Reshape(shape, dtype="float32", name="image")(x)
        super().__init__([latents, label], images, name=name, **kwargs)
        # Attributes
        self.latent_dim = latent_dim
        self.condition = conditions.of(num_classes, num_attributes)


@register
@captured
class CGANDenseDiscriminator(keras.Model):
    """Images and labels to logits by maxout layers.

    Args: see `CGANDenseGenerator`.
        widths: units behind the image, behind the label (five pieces each) and behind both (four).
            Defaults to `(240, 50, 240)`.
    Input shape: float [B, image_size, image_size, channels]; int32 [B], or float32
        [B, num_attributes].
    Output shape: float32 [B, 1].
    """

    def __init__(
        self, image_size=28, widths=(240, 50, 240), *, channels=1, num_classes=10, num_attributes=0,
        dropout=0.5, name="discriminator", **kwargs,
    ):
        # Graph
        with keras.name_scope(name):
            images = keras.Input((image_size, image_size, channels), name="images")
            label, y = label_input(num_classes, num_attributes)
            x = keras.layers.Flatten(name="flat")(images)
            x = Dropout(dropout, name="drop_image")(Maxout(widths[0], 5, name="from_image")(x))
            y = Dropout(dropout, name="drop_label")(Maxout(widths[1], 5, name="from_label")(y))
            x = keras.layers.Concatenate(name="both")([x, y])
            x = Dropout(dropout, name="drop_joint")(Maxout(widths[2], 4, name="joint")(x))
            logits = keras.layers.Dense(1, dtype="float32", name="logit")(x)
        super().__init__([images, label], logits, name=name, **kwargs)


@register
@captured
class CGANConvGenerator(Generator):
    """Latents and labels to images by two dense layers and strided transposed convolutions.

    Args:
        image_size: int, 4 to 7 times a power of two. Defaults to 28.
        latent_dim: int > 0. Defaults to 100.
        width: int > 0. Maps before the last layer; doubled for each halving of the side; the first
            layer has `16 * width` units. Defaults to 64.
        channels: int > 0. Defaults to 1.
        num_classes, num_attributes: int >= 0, one of them above 0. Default to 10 and 0.
        kernel_size: 4 or 5. Defaults to 5.
    Input shape: float32 [B, latent_dim]; int32 [B], or float32 [B, num_attributes].
    Output shape: float32 [B, image_size, image_size, channels] in [-1, 1].
    Reference: dcgan_code mnist/train_cond_dcgan.py, `gen`.
    """

    prior = "uniform"

    def __init__(
        self, image_size=28, latent_dim=100, width=64, *, channels=1, num_classes=10,
        num_attributes=0, kernel_size=5, name="generator", **kwargs,
    ):
        blocks, base = blocks_of(image_size)
        maps = width * 2 ** (blocks - 1)
        # Graph
        with keras.name_scope(name):
            latents = keras.Input((latent_dim,), name="latents")
            label, y = label_input(num_classes, num_attributes)
            x = WithLabel(name="label_dense0")(latents, y)
            x = _norm_relu(_dense(x, DENSE_UNITS * width, "dense0"), "dense0")
            x = WithLabel(name="label_dense1")(x, y)
            x = _norm_relu(_dense(x, base * base * maps, "dense1"), "dense1")
            x = keras.layers.Reshape((base, base, maps), name="seed")(x)
            for i in range(blocks):
                x = WithLabel(name=f"label_up{i}")(x, y)
                if i < blocks - 1:
                    x = up_conv(x, width * 2 ** (blocks - 2 - i), kernel_size, name=f"up{i}")
                    x = _norm_relu(x, f"up{i}")
                else:
                    x = up_conv(x, channels, kernel_size, name=f"up{i}")
            images = keras.layers.Activation("tanh", dtype="float32", name="image")(x)
        super().__init__([latents, label], images, name=name, **kwargs)
        # Attributes
        self.latent_dim = latent_dim
        self.condition = conditions.of(num_classes, num_attributes)


@register
@captured
class CGANConvDiscriminator(keras.Model):
    """Images and labels to logits by strided convolutions and a dense layer.

    Args: see `CGANConvGenerator`; `width` counts the maps after the first layer.
    Input shape: float [B, image_size, image_size, channels]; int32 [B], or float32
        [B, num_attributes].
    Output shape: float32 [B, 1].
    Reference: dcgan_code mnist/train_cond_dcgan.py, `discrim`.
    """

    def __init__(
        self, image_size=28, width=64, *, channels=1, num_classes=10, num_attributes=0,
        kernel_size=5, name="discriminator", **kwargs,
    ):
        blocks, _ = blocks_of(image_size)
        # Graph
        with keras.name_scope(name):
            images = keras.Input((image_size, image_size, channels), name="images")
            label, y = label_input(num_classes, num_attributes)
            x = images
            for i in range(blocks):
                x = WithLabel(name=f"label_down{i}")(x, y)
                x = down_conv(x, width * 2**i, kernel_size, name=f"down{i}")
                if i > 0:
                    x = BatchNormalization(name=f"norm_down{i}")(x)
                x = keras.layers.LeakyReLU(0.2, name=f"leaky_down{i}")(x)
            x = WithLabel(name="label_dense")(keras.layers.Flatten(name="flat")(x), y)
            x = BatchNormalization(name="norm_dense")(_dense(x, DENSE_UNITS * width, "dense"))
            x = keras.layers.LeakyReLU(0.2, name="leaky_dense")(x)
            x = WithLabel(name="label_logit")(x, y)
            logits = _dense(x, 1, "logit", dtype="float32")
        super().__init__([images, label], logits, name=name, **kwargs)


@register
@captured
class CGANStackGenerator(Generator):
    """DCGAN's generator of the latents and the label, appended to each other.

    Args:
        image_size: int, 4 to 7 times a power of two. Defaults to 28.
        latent_dim: int > 0. Defaults to 100.
        width: int > 0. Maps before the last layer; doubled for each halving of the side. Defaults
            to 64.
        channels: int > 0. Defaults to 1.
        num_classes, num_attributes: int >= 0, one of them above 0. Default to 10 and 0.
        kernel_size: 4 or 5. Defaults to 4.
        dropout: float in [0, 1), of the smallest maps. Defaults to 0.
        use_bias: bool. Of the last layer. Defaults to `False`.
    Input shape: float32 [B, latent_dim]; int32 [B], or float32 [B, num_attributes].
    Output shape: float32 [B, image_size, image_size, channels] in [-1, 1].
    """

    prior = "normal"

    def __init__(
        self, image_size=28, latent_dim=100, width=64, *, channels=1, num_classes=10,
        num_attributes=0, kernel_size=4, dropout=0.0, use_bias=False, name="generator", **kwargs,
    ):
        # Graph
        with keras.name_scope(name):
            latents = keras.Input((latent_dim,), name="latents")
            label, y = label_input(num_classes, num_attributes)
            x = up_stack(
                WithLabel(name="label_latents")(latents, y), image_size, width, channels=channels,
                kernel_size=kernel_size, norm=_norm_drop(dropout), use_bias=use_bias,
            )
            images = keras.layers.Activation("tanh", dtype="float32", name="image")(x)
        super().__init__([latents, label], images, name=name, **kwargs)
        # Attributes
        self.latent_dim = latent_dim
        self.condition = conditions.of(num_classes, num_attributes)


@register
@captured
class CGANStackDiscriminator(keras.Model):
    """DCGAN's discriminator of the image and the label, appended to each of its pixels.

    Args: see `CGANStackGenerator`; `width` counts the maps after the first layer.
        use_bias: bool. Of the first and the last layer. Defaults to `False`.
    Input shape: float [B, image_size, image_size, channels]; int32 [B], or float32
        [B, num_attributes].
    Output shape: float32 [B, 1].
    """

    def __init__(
        self, image_size=28, width=64, *, channels=1, num_classes=10, num_attributes=0,
        kernel_size=4, use_bias=False, name="discriminator", **kwargs,
    ):
        # Graph
        with keras.name_scope(name):
            images = keras.Input((image_size, image_size, channels), name="images")
            label, y = label_input(num_classes, num_attributes)
            logits = down_stack(
                WithLabel(name="label_images")(images, y), width, kernel_size=kernel_size,
                norm=_norm_drop(0.0), use_bias=use_bias,
            )
        super().__init__([images, label], logits, name=name, **kwargs)


def _norm_drop(dropout):
    """name -> batch normalisation, followed by dropout where it is the first of the generator."""

    def norm(name):
        layer = BatchNormalization(gamma_initializer=NORMAL(1.0, 0.02), name=name)
        if name != "norm0" or not dropout:
            return layer
        # In front of the ReLU: the same as behind it.
        return lambda x: Dropout(dropout, name="drop0")(layer(x))

    return norm


def _dense(x, units, name, **kwargs):
    initializer = NORMAL(0.0, 0.02)  # train_cond_dcgan.py, gifn and difn
    return keras.layers.Dense(
        units, use_bias=False, kernel_initializer=initializer, name=name, **kwargs
    )(x)


def _norm_relu(x, name):
    return keras.layers.ReLU(name=f"relu_{name}")(BatchNormalization(name=f"norm_{name}")(x))


@register
@captured
class CGAN(LatentGAN):
    """Conditional GAN.

    Phases: `discriminator` (`adversarial`), `generator` (`adversarial`), each on every step. Batch
    keys: `real`; `label`, int32 [B] or float32 [B, num_attributes].
    Published optimizers: "mlp": SGD 0.1, momentum 0.5, the rate divided by 1.00004 after each step
    (section 4.1); "conv", "dcgan": Adam 2e-4, beta_1 0.5 (train_cond_dcgan.py).

    Args:
        image_size, latent_dim, channels, num_classes, num_attributes: see `CGANConvGenerator`; the
            image size of "mlp" is free.
        width, kernel_size: of the "conv" and "dcgan" networks, see `CGANConvGenerator`.
        networks: `"mlp"` (the paper's), `"conv"` or `"dcgan"`.
        mlp_widths: `widths` of the "mlp" networks, generator's and discriminator's.
        dropout: float in [0, 1), of the "mlp" networks and of the "dcgan" generator's smallest
            maps; or `None`: 0.5 for "mlp", none for "dcgan". Defaults to `None`.
        use_bias: bool. Biases of "dcgan" where no normalisation follows: in the generator's last,
            the discriminator's first and last layer. Defaults to `False`.
        loss: `AdversarialLoss` or its name. Defaults to `"non_saturating"`.
        **kwargs: `penalties`, `augment`, `critic_steps`, `ema`, `seed` of `LatentGAN`.

    Left out: the momentum that grows to 0.7 and the smallest rate 1e-6 ("mlp"); L2 2.5e-5 on all
    kernels and the linear decay of the second hundred epochs ("conv").
    Reference: arXiv:1411.1784, eq. 2 and section 4.1.
    """

    def __init__(
        self, image_size=28, latent_dim=100, width=64, *, channels=1, num_classes=10,
        num_attributes=0, networks="mlp", kernel_size=5,
        mlp_widths=((200, 1000, 1200), (240, 50, 240)), dropout=None, use_bias=False,
        loss="non_saturating", **kwargs,
    ):
        if networks not in NETWORKS:
            raise ValueError(
                f"`networks` must be one of {NETWORKS}. Received: networks={networks!r}"
            )
        shared = dict(channels=channels, num_classes=num_classes, num_attributes=num_attributes)
        if networks == "mlp":
            sizes = dict(dropout=0.5 if dropout is None else dropout, **shared)
            generator = CGANDenseGenerator(image_size, latent_dim, mlp_widths[0], **sizes)
            discriminator = CGANDenseDiscriminator(image_size, mlp_widths[1], **sizes)
        elif networks == "dcgan":
            sizes = dict(kernel_size=kernel_size, use_bias=use_bias, **shared)
            generator = CGANStackGenerator(
                image_size, latent_dim, width, dropout=dropout or 0.0, **sizes
            )
            discriminator = CGANStackDiscriminator(image_size, width, **sizes)
        else:
            sizes = dict(kernel_size=kernel_size, **shared)
            generator = CGANConvGenerator(image_size, latent_dim, width, **sizes)
            discriminator = CGANConvDiscriminator(image_size, width, **sizes)
        super().__init__(generator, discriminator, loss=loss, **kwargs)

    def default_optimizers(self) -> dict[str, keras.optimizers.Optimizer]:
        def sgd():
            steps = 25_000  # 1.00004 ** 25_000 = e
            rate = keras.optimizers.schedules.ExponentialDecay(0.1, steps, 1.00004**-steps)
            return keras.optimizers.SGD(rate, momentum=0.5)

        def adam():
            return keras.optimizers.Adam(2e-4, beta_1=0.5, epsilon=1e-8)

        make = sgd if self.config["networks"] == "mlp" else adam
        return {"generator_optimizer": make(), "discriminator_optimizer": make()}
