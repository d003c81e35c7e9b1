"""`GrowingGAN`: a `LatentGAN` whose networks begin small and grow inside `fit`."""

import math
from collections.abc import Hashable

import keras
import tensorflow as tf

from ganzoo.arguments import captured
from ganzoo.latent_gan import LatentGAN
from ganzoo.layers.growing import fade
from ganzoo.layers.resized_convolution import downscale, upscale
from ganzoo.layers.style_mapping import one_hot


@keras.saving.register_keras_serializable(package="ganzoo")
@captured
class Growth:
    """When networks grow: a pure function of the images that they have seen.

    Each size is trained for `stable_images`; then the next one is faded in over `fade_images`.

    Args:
        initial_size: int, a power of two >= 4. Side of the first images. Defaults to 4.
        stable_images, fade_images: int >= 0, not both 0. Default to 800,000.
    Raises: ValueError: if one is out of range.
    Reference: Karras et al. 2018 (arXiv:1710.10196), appendix A.1.
    """

    def __init__(self, initial_size=4, stable_images=800_000, fade_images=800_000):
        if not _power_of_two(initial_size, 4):
            raise ValueError(
                "`initial_size` must be a power of two >= 4. "
                f"Received: initial_size={initial_size!r}"
            )
        whole = isinstance(stable_images, int) and isinstance(fade_images, int)
        if not whole or min(stable_images, fade_images) < 0 or not stable_images + fade_images:
            raise ValueError(
                "`stable_images` and `fade_images` must be ints >= 0 and not both 0. Received: "
                f"stable_images={stable_images!r}, fade_images={fade_images!r}"
            )
        self.initial_size = initial_size
        self.stable_images = stable_images
        self.fade_images = fade_images

    def lod(self, images_seen: int, image_size: int) -> float:
        """The level of detail, from log2(image_size / initial_size) down to 0.

        Its whole part is the level (0: the full size), its fraction how much of the level above it
        is still mixed in.
        """
        phase, images = divmod(images_seen, self.stable_images + self.fade_images)
        lod = math.log2(image_size / self.initial_size) - phase
        if images > self.stable_images:
            lod -= (images - self.stable_images) / self.fade_images
        return max(lod, 0.0)

    def size(self, images_seen: int, image_size: int) -> int:
        """Side of the images that are trained on."""
        return image_size >> int(self.lod(images_seen, image_size))

    @classmethod
    def from_config(cls, config):
        return cls(**config)


def _power_of_two(value, least):
    whole = isinstance(value, int) and not isinstance(value, bool)
    return whole and value >= least and not value & (value - 1)


def _check_growth(growth, size):
    if growth is not None and not isinstance(growth, Growth):
        raise ValueError(f"`growth` must be a `Growth` or `None`. Received: growth={growth!r}")
    if growth is not None and growth.initial_size > size:
        raise ValueError(
            f"Networks cannot grow from {growth.initial_size} to {size} pixels. "
            f"Received: growth.initial_size={growth.initial_size}, image_size={size}"
        )


def _checked_rates(multipliers):
    rates = {int(side): float(factor) for side, factor in (multipliers or {}).items()}
    if not all(_power_of_two(side, 4) and factor > 0 for side, factor in rates.items()):
        raise ValueError(
            "`rate_multipliers` must map sides of images, powers of two >= 4, to factors > 0. "
            f"Received: rate_multipliers={multipliers!r}"
        )
    return rates


@captured
class GrowingGAN(LatentGAN):
    """A `LatentGAN` whose two networks grow together.

    Before each step the host sets `lod`, which is stored in every network, by the images seen;
    networks never shrink, so that trained ones can be trained on. A step is compiled once for each
    level with, and once without a fade: nothing of a larger size is computed. A batch is of the
    full size; its images are averaged down, and mixed with the next smaller level as the fakes are.
    Where a new level begins to fade in, and where it has, the optimizers' state is set to 0 (their
    count of steps, too), as in the official code.

    Penalties see images as if they were of the full size, each pixel 2^level times 2^level pixels:
    the official networks always exchange full images, so that their gradient's norm is 2^level
    times smaller than that of the small image.

    A family's networks have `trunk`, a `layers.growing.Growing`, and take `level` and `fading`: see
    `fakes` and `critic`. It makes loss and penalties.

    Published optimizers: Adam 0.001 (0, 0.99), epsilon 1e-8.

    Args:
        generator, discriminator, **kwargs: see `LatentGAN`; penalties have interval 1.
        growth: `Growth`, or `None`: the networks stay at their stored `lod`.
        rate_multipliers: {side of the images: factor} of both optimizers' rates while images have
            that side. Other sides have 1.
    Raises: ValueError: if one does not fit, or a penalty is lazy.

    Not done here: a batch size for each level. Let the data set give the batches of a level, and
    call `fit` once for each.
    """

    def __init__(self, generator, discriminator, *, growth=None, rate_multipliers=None, **kwargs):
        super().__init__(generator, discriminator, **kwargs)
        size = generator.image_size
        _check_growth(growth, size)
        lazy = {penalty.name: penalty.interval for penalty in self.penalties}
        if any(interval > 1 for interval in lazy.values()):
            raise ValueError(f"Penalties must run on every step. Received: intervals {lazy}")
        self.growth = growth
        self.rate_multipliers = _checked_rates(rate_multipliers)
        self.config.update(rate_multipliers={str(k): v for k, v in self.rate_multipliers.items()})
        self.rate_multiplier = self.add_weight(
            (), "ones", trainable=False, aggregation="mean", name="rate_multiplier"
        )  # of the optimizers' present rates
        self._stage = None
        if growth is not None:
            self.set_lod(growth.lod(0, size))

    @property
    def lod(self) -> float:
        """Level of detail of the generator."""
        return float(self.generator.trunk.lod.numpy())

    def set_lod(self, lod: float) -> None:
        """Puts every network at a level of detail: 0 is the full size, k 2^k times smaller.

        One above the highest level counts as that.

        Raises: ValueError: if it is below 0.
        """
        if not lod >= 0:
            raise ValueError(f"`lod` must be >= 0. Received: lod={lod!r}")
        for network in self.networks().values():
            network.trunk.lod.assign(lod)

    # --- between the steps

    def compile(self, *args, **kwargs):
        self._stage = None
        self.rate_multiplier.assign(1.0)
        super().compile(*args, **kwargs)
        if self.rate_multipliers and not all(
            isinstance(o.learning_rate, keras.Variable) for o in self._optimizers()
        ):
            raise ValueError(
                "`rate_multipliers` cannot change the rate of an optimizer with a schedule of its "
                f"own: give a number, or rate_multipliers={{}}. Received: {self.rate_multipliers}"
            )

    def _optimizers(self):
        for optimizer in (self.generator_optimizer, self.discriminator_optimizer):
            scaled = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
            yield optimizer.inner_optimizer if scaled else optimizer

    def variant(self) -> Hashable:
        return (*super().variant(), self._stage)

    def before_step(self) -> None:
        """Sets `lod` by the images seen, and what depends on it."""
        before, size = self.lod, self.generator.image_size
        if self.growth is not None:
            self.set_lod(min(before, self.growth.lod(int(self.images_seen.numpy()), size)))
        now = self.lod
        if (math.floor(now), math.ceil(now)) != (math.floor(before), math.ceil(before)):
            self._reset_optimizers()
        self._stage = self.generator.trunk.stage()
        self._set_rates(self.rate_multipliers.get(size >> self._stage[0], 1.0))

    def _reset_optimizers(self):
        for optimizer in self._optimizers():
            for variable in optimizer.variables:
                if variable is not optimizer.learning_rate:
                    variable.assign(tf.zeros_like(variable.value))

    def _set_rates(self, multiplier):
        before = float(self.rate_multiplier.numpy())
        if multiplier != before:
            for optimizer in self._optimizers():
                optimizer.learning_rate.assign(optimizer.learning_rate * (multiplier / before))
            self.rate_multiplier.assign(multiplier)

    # --- the step

    @property
    def stage(self) -> tuple[int, bool]:
        """(level, whether the next smaller one is mixed in) of the step that is traced."""
        return self.generator.trunk.stage() if self._stage is None else self._stage

    def trainable_of(self, player) -> list:
        """Variables that the player's optimizer moves; inside a step, those of its stage."""
        variables = super().trainable_of(player)
        if self._stage is None:
            return variables
        idle = {
            variable.path
            for network in self.players()[player]
            for layer in network.trunk.idle(*self._stage)
            for variable in layer.trainable_variables
        }
        return [variable for variable in variables if variable.path not in idle]

    def prepare(self, data) -> dict[str, tf.Tensor]:
        batch = super().prepare(data)
        level, fading = self.stage
        real = downscale(batch["real"], 2**level)
        if fading:
            real = fade(real, upscale(downscale(real)), self.generator.trunk.share())
        return {**batch, "real": real}

    def penalty_value(self, penalty, batch, real, fake) -> tf.Tensor:
        """float32 scalar, of images as if they were of the full size."""
        side = 2.0 ** self.stage[0]
        critic = self.critic(batch, tag=penalty.name)
        seed = self.seed_for(penalty.name)
        return penalty.value(lambda x: critic(x / side), real * side, fake * side, seed)

    def one_hot(self, batch) -> tf.Tensor | None:
        """The batch's labels, float32 [B, num_classes]; `None` without classes."""
        classes = self.generator.num_classes
        return one_hot(batch["label"], classes) if classes else None

    def default_optimizers(self) -> dict[str, keras.optimizers.Optimizer]:
        return {
            f"{player}_optimizer": keras.optimizers.Adam(
                0.001, beta_1=0.0, beta_2=0.99, epsilon=1e-8
            )
            for player in ("generator", "discriminator")
        }
