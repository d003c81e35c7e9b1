"""WGAN: a critic kept Lipschitz by clipping its weights.

Paper: Arjovsky, Chintala and Bottou 2017, "Wasserstein GAN" (arXiv:1701.07875), algorithm 1.
Official code: martinarjovsky/WassersteinGAN, `main.py` with `models/dcgan.py`.
Matches: the networks, their initial weights, the clipping of every critic parameter (batch
normalisation's too), the schedule of the critic's warm-ups, RMSProp with PyTorch's conventions.
Differs: the official code clips before each critic step; here a constraint clips the initial
weights and then after each update. Every critic gradient is that of the same clipped critic; the
generator meets it clipped, too, and not one update later. The official critic is trained to be low
on real images, which is this one with its sign changed. The official warm-ups end with the epoch if
the data run out; here they are counted in steps.
"""

import bisect
import dataclasses

import keras

from ganzoo.arguments import captured
from ganzoo.gan import Phase
from ganzoo.generator import Generator
from ganzoo.latent_gan import LatentGAN
from ganzoo.layers.convolution import down_stack, up_stack
from ganzoo.layers.normalization import BatchNormalization
from ganzoo.losses import Wasserstein
from ganzoo.penalties import WeightClip

register = keras.saving.register_keras_serializable(package="ganzoo")


@dataclasses.dataclass(frozen=True, kw_only=True)
class WarmUpPhase(Phase):
    """The generator's phase between critic runs of two lengths.

    Generator iteration g, counted from 0, is the last step of a run of n(g) critic steps:
    n(g) = `warmup_steps` if g < `warmup_iterations` or g is a multiple of `warmup_every`, else
    `critic_steps`.

    Args: see `WGAN`.
    Reference: WassersteinGAN `main.py`, `Diters`.
    """

    critic_steps: int = 5
    warmup_steps: int = 100
    warmup_iterations: int = 25
    warmup_every: int = 500

    def __post_init__(self):
        super().__post_init__()
        for name, value, least in (
            ("critic_steps", self.critic_steps, 1),
            ("warmup_steps", self.warmup_steps, 1),
            ("warmup_iterations", self.warmup_iterations, 0),
            ("warmup_every", self.warmup_every, 1),
        ):
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ValueError(
                    f"`{name}` must be an int >= {least}, because it counts steps or iterations. "
                    f"Received: {name}={value!r}. `warmup_steps=critic_steps` means no warm-up."
                )

    @property
    def lazy(self) -> bool:
        return True

    def first_step(self, iteration: int) -> int:
        """The step at which generator iteration `iteration` begins its critic run."""
        early = min(iteration, self.warmup_iterations)
        # multiples of warmup_every in [early, iteration)
        regular = -(-iteration // self.warmup_every) - -(-early // self.warmup_every)
        return self.critic_steps * iteration + (self.warmup_steps - self.critic_steps) * (
            early + regular
        )

    def due(self, step) -> bool:
        run = bisect.bisect_left(range(step + 2), step + 1, key=self.first_step)
        return self.first_step(run) == step + 1


@register
@captured
class WGANGenerator(Generator):
    """Latents to images by strided transposed convolutions of 4 x 4, with batch normalisation.

    Args:
        image_size: int, 4 to 7 times a power of two. Defaults to 64.
        latent_dim: int > 0. Defaults to 100.
        width: int > 0. Maps before the last layer; doubled for each halving of the side. Defaults
            to 64.
        channels: int > 0. Defaults to 3.
        use_bias: bool. Of the last layer. Defaults to `False`.
    Input shape: float32 [B, latent_dim], N(0, 1).
    Output shape: float32 [B, image_size, image_size, channels] in [-1, 1].
    Reference: WassersteinGAN `models/dcgan.py`, `DCGAN_G`.
    """

    def __init__(
        self,
        image_size=64,
        latent_dim=100,
        width=64,
        *,
        channels=3,
        use_bias=False,
        name="generator",
        **kwargs,
    ):
        # Graph
        with keras.name_scope(name):
            latents = keras.Input((latent_dim,), name="latents")
            x = up_stack(
                latents,
                image_size,
                width,
                channels=channels,
                kernel_size=4,
                norm=_norm,
                use_bias=use_bias,
            )
            images = keras.layers.Activation("tanh", dtype="float32", name="image")(x)
        super().__init__(latents, images, name=name, **kwargs)
        # Attributes
        self.latent_dim = latent_dim


@register
@captured
class WGANDiscriminator(keras.Model):
    """Images to critic values by strided convolutions; every weight stays in [-clip, clip].

    Args:
        image_size, width, channels: see `WGANGenerator`; `width` counts the maps after the first
            layer.
        clip: float > 0. Defaults to 0.01.
        use_bias: bool. Of the first and the last layer. Defaults to `False`.
    Input shape: float [B, image_size, image_size, channels] in [-1, 1].
    Output shape: float32 [B, 1].
    Reference: WassersteinGAN `models/dcgan.py`, `DCGAN_D`.
    """

    def __init__(
        self,
        image_size=64,
        width=64,
        *,
        channels=3,
        clip=0.01,
        use_bias=False,
        name="discriminator",
        **kwargs,
    ):
        constraint = WeightClip(clip)
        # Graph
        with keras.name_scope(name):
            images = keras.Input((image_size, image_size, channels), name="images")
            logits = down_stack(
                images,
                width,
                kernel_size=4,
                constraint=constraint,
                use_bias=use_bias,
                norm=lambda name: _norm(
                    name, gamma_constraint=constraint, beta_constraint=constraint
                ),
            )
        super().__init__(images, logits, name=name, **kwargs)
        for weight in self.trainable_variables:
            weight.assign(constraint(weight.value))


def _norm(name, **constraints):
    gain = keras.initializers.RandomNormal(1.0, 0.02)  # main.py, weights_init
    return BatchNormalization(gamma_initializer=gain, name=name, **constraints)


@register
@captured
class WGAN(LatentGAN):
    """Wasserstein GAN with weight clipping.

    Phases: `discriminator` (`adversarial`) on every step; `generator` (`adversarial`) on the last
    step of each critic run, see `WarmUpPhase`. -`d_loss` estimates the Wasserstein distance up to a
    constant factor.
    Published optimizers: RMSProp 5e-5, both players.

    Args:
        image_size, latent_dim, width, channels: see `WGANGenerator`.
        discriminator_width: int > 0 or `None`, the same as `width`. Defaults to `None`.
        use_bias: bool. Biases where no normalisation follows: in the generator's last, the critic's
            first and last layer. Defaults to `False`.
        clip: float > 0. Largest size of a critic weight. Defaults to 0.01.
        critic_steps: int >= 1. Critic steps per generator step. Defaults to 5.
        warmup_steps: int >= 1. The same in a warm-up; equal to `critic_steps` means none. Defaults
            to 100.
        warmup_iterations: int >= 0. Warm-ups before each of the first generator steps. Defaults to
            25.
        warmup_every: int >= 1. A warm-up before each generator step of this number's multiples.
            Defaults to 500.
        **kwargs: `penalties`, `augment`, `ema`, `seed` of `LatentGAN`.

    Left out: the official code's MLP networks, extra layers, networks without batch normalisation
    and `--adam` (the paper advises against momentum: section 4.3; pass optimizers to `compile` for
    it).
    Reference: arXiv:1701.07875, algorithm 1 (c = 0.01, m = 64, n_critic = 5).
    """

    def __init__(
        self,
        image_size=64,
        latent_dim=100,
        width=64,
        *,
        channels=3,
        discriminator_width=None,
        use_bias=False,
        clip=0.01,
        critic_steps=5,
        warmup_steps=100,
        warmup_iterations=25,
        warmup_every=500,
        **kwargs,
    ):
        shared = dict(channels=channels, use_bias=use_bias)
        second = width if discriminator_width is None else discriminator_width
        super().__init__(
            WGANGenerator(image_size, latent_dim, width, **shared),
            WGANDiscriminator(image_size, second, clip=clip, **shared),
            loss=Wasserstein(),
            critic_steps=critic_steps,
            **kwargs,
        )

    def generator_phase(self, **arguments) -> WarmUpPhase:
        names = ("critic_steps", "warmup_steps", "warmup_iterations", "warmup_every")
        return WarmUpPhase(**{name: self.config[name] for name in names}, **arguments)

    def default_optimizers(self) -> dict[str, keras.optimizers.Optimizer]:
        # PyTorch adds 1e-8 to the square root, Keras epsilon to its square
        return {
            f"{player}_optimizer": keras.optimizers.RMSprop(5e-5, rho=0.99, epsilon=1e-16)
            for player in ("generator", "discriminator")
        }
