"""Vanilla GAN: the first one, of fully connected layers.

Paper: Goodfellow et al. 2014, "Generative Adversarial Networks" (arXiv:1406.2661).
Official code: goodfeli/adversarial (Pylearn2), whose mnist.yaml gives the default arguments here.
Matches: the weights of csinva/gan-vae-pretrained-pytorch (ReLU, tanh, LeakyReLU) give its outputs.
Differs: the official code updates both players from one set of fakes at once, here they take turns
as in the paper's algorithm 1; it starts the generator's last bias at the data's log-odds.
"""

from collections.abc import Callable

import keras
import numpy as np

from ganzoo.arguments import captured
from ganzoo.generator import Generator
from ganzoo.latent_gan import LatentGAN
from ganzoo.layers.dropout import Dropout
from ganzoo.layers.maxout import Maxout

register = keras.saving.register_keras_serializable(package="ganzoo")
OUTPUTS = ("sigmoid", "tanh", "linear")
PIECES = 5  # of a maxout unit; mnist.yaml
RANGES = {"generator": 0.05, "discriminator": 0.005}  # mnist.yaml, `irange`


def kernels(initializer, player) -> Callable[[], keras.initializers.Initializer]:
    """() -> a fresh initializer: one instance gives all kernels of a shape the same values."""
    if initializer == "paper":
        return lambda: keras.initializers.RandomUniform(-RANGES[player], RANGES[player])
    one = keras.initializers.get(initializer)
    return lambda: type(one).from_config(one.get_config())


@register
@captured
class VanillaGANGenerator(Generator):
    """Latents to images or points by dense layers.

    Args:
        shape: tuple, [H, W, C] of an image or [D] of a point. Defaults to `(28, 28, 1)`.
        latent_dim: int > 0. Defaults to 100.
        widths: tuple of int. Units of the hidden layers. Defaults to `(1200, 1200)`.
        activation: name of the hidden layers' activation. Defaults to `"relu"`.
        output: `"sigmoid"` (stretched to [-1, 1]), `"tanh"` or `"linear"`.
        prior: `"normal"` or `"uniform"`.
        initializer: of the kernels: a Keras initializer, its name, or `"paper"`: U(-0.05, 0.05).
    Input shape: float32 [B, latent_dim].
    Output shape: float32 [B, *shape].
    """

    def __init__(
        self, shape=(28, 28, 1), latent_dim=100, widths=(1200, 1200), *, activation="relu",
        output="sigmoid", prior="normal", initializer="paper", name="generator", **kwargs,
    ):
        if output not in OUTPUTS:
            raise ValueError(f"`output` must be one of {OUTPUTS}. Received: output={output!r}")
        fresh = kernels(initializer, "generator")
        # Graph
        with keras.name_scope(name):
            latents = keras.Input((latent_dim,), name="latents")
            x = latents
            for i, width in enumerate(widths):
                x = keras.layers.Dense(width, kernel_initializer=fresh(), name=f"hidden{i}")(x)
                x = keras.layers.Activation(activation, name=f"{activation}{i}")(x)
            x = keras.layers.Dense(
                int(np.prod(shape)), output, kernel_initializer=fresh(), dtype="float32",
                name="output",
            )(x)
            if output == "sigmoid":
                x = keras.layers.Rescaling(2.0, -1.0, dtype="float32", name="stretch")(x)
            samples = keras.layers.Reshape(shape, dtype="float32", name="sample")(x)
        super().__init__(latents, samples, name=name, **kwargs)
        # Attributes
        self.latent_dim, self.prior = latent_dim, prior
        self.points = len(shape) == 1

    def finish(self, images) -> np.ndarray:
        return images if self.points else super().finish(images)


@register
@captured
class VanillaGANDiscriminator(keras.Model):
    """Images or points to logits by dense layers.

    Args:
        shape: see `VanillaGANGenerator`.
        widths: tuple of int. Units of the hidden layers. Defaults to `(240, 240)`.
        hidden: `"maxout"` (five pieces per unit), `"leaky_relu"` (slope 0.2) or another
            activation's name.
        dropout: pair of floats in [0, 1). Shares of the inputs and of each hidden layer's units
            that are dropped in training. Defaults to `(0.2, 0.5)`.
        initializer: as in `VanillaGANGenerator`; `"paper"`: U(-0.005, 0.005).
    Input shape: float [B, *shape].
    Output shape: float32 [B, 1].
    """

    def __init__(
        self, shape=(28, 28, 1), widths=(240, 240), *, hidden="maxout", dropout=(0.2, 0.5),
        initializer="paper", name="discriminator", **kwargs,
    ):
        fresh = kernels(initializer, "discriminator")
        # Graph
        with keras.name_scope(name):
            samples = keras.Input(shape, name="samples")
            x = keras.layers.Flatten(name="flat")(samples)
            for i, width in enumerate(widths):
                x = _drop(x, dropout[min(i, 1)], i)
                x = _hidden(x, width, hidden, fresh(), i)
            x = _drop(x, dropout[min(len(widths), 1)], len(widths))
            logits = keras.layers.Dense(
                1, kernel_initializer=fresh(), dtype="float32", name="logit"
            )(x)
        super().__init__(samples, logits, name=name, **kwargs)


def _drop(x, rate, i):
    return Dropout(rate, name=f"drop{i}")(x) if rate else x


def _hidden(x, width, hidden, initializer, i):
    if hidden == "maxout":
        return Maxout(width, PIECES, kernel_initializer=initializer, name=f"hidden{i}")(x)
    x = keras.layers.Dense(width, kernel_initializer=initializer, name=f"hidden{i}")(x)
    if hidden == "leaky_relu":
        return keras.layers.LeakyReLU(0.2, name=f"leaky{i}")(x)
    return keras.layers.Activation(hidden, name=f"{hidden}{i}")(x)


@register
@captured
class VanillaGAN(LatentGAN):
    """GAN of fully connected layers, for images and for points.

    Phases: `discriminator` (`adversarial`), `generator` (`adversarial`) on the last of every
    `critic_steps` (k of algorithm 1) steps.
    Published optimizers: SGD 0.1, momentum 0.5, the rate divided by 1.000004 after each step
    (mnist.yaml); 0.05 for the discriminator, whose loss the official code halves. They go with the
    default networks: for others give `compile` an Adam.

    Args:
        shape, latent_dim, widths, activation, output, prior: see `VanillaGANGenerator`.
        discriminator, discriminator_widths, dropout: `hidden`, `widths`, `dropout` of
            `VanillaGANDiscriminator`.
        initializer: of both networks' kernels.
        loss: `AdversarialLoss` or its name. Defaults to `"non_saturating"`; `"minimax"` is eq. 1.
        **kwargs: `penalties`, `critic_steps`, `ema`, `seed` of `LatentGAN`.

    Left out: the momentum that grows to 0.7 over 250 epochs (mnist.yaml).
    Example:
        >>> ring = VanillaGAN((2,), 256, (128, 128), activation="tanh", output="linear",
        ...     discriminator="tanh", discriminator_widths=(128, 128), dropout=(0, 0),
        ...     initializer=keras.initializers.Orthogonal(1.4))
    Reference: arXiv:1406.2661, algorithm 1 and section 5.
    """

    def __init__(
        self, shape=(28, 28, 1), latent_dim=100, widths=(1200, 1200), *, activation="relu",
        output="sigmoid", prior="normal", discriminator="maxout", discriminator_widths=(240, 240),
        dropout=(0.2, 0.5), initializer="paper", loss="non_saturating", **kwargs,
    ):
        super().__init__(
            VanillaGANGenerator(
                shape, latent_dim, widths, activation=activation, output=output, prior=prior,
                initializer=initializer,
            ),
            VanillaGANDiscriminator(
                shape, discriminator_widths, hidden=discriminator, dropout=dropout,
                initializer=initializer,
            ),
            loss=loss,
            **kwargs,
        )

    def default_optimizers(self) -> dict[str, keras.optimizers.Optimizer]:
        def sgd(rate):
            steps = 250_000  # 1.000004 ** 250_000 = e
            rate = keras.optimizers.schedules.ExponentialDecay(rate, steps, 1.000004**-steps)
            return keras.optimizers.SGD(rate, momentum=0.5)

        return {"generator_optimizer": sgd(0.1), "discriminator_optimizer": sgd(0.05)}
