"""`LatentGAN`: latents, and labels where there are any, to samples; loss, penalties and
augmentation composed.
"""

from collections.abc import Callable, Iterator, Sequence

import keras
import numpy as np
import tensorflow as tf

from ganzoo import augment as augment_module
from ganzoo import losses as losses_module
from ganzoo import pictures
from ganzoo.arguments import captured
from ganzoo.augment import Augment
from ganzoo.conditions import Classes, check_label_range
from ganzoo.ema import EMA
from ganzoo.gan import GAN, Batch, Phase
from ganzoo.generator import Generator, to_float, window_slices
from ganzoo.losses import AdversarialLoss
from ganzoo.penalties import Penalty

FAKES = ("fresh", "shared")
POINTS = 1000  # in a preview, which is one picture of them all


@captured
class LatentGAN(GAN):
    """A generator against one discriminator.

    Phases of a step, in order: `discriminator` (terms `adversarial` and every penalty with interval
    1); a phase of its own for each lazy penalty (term `penalty`, its value times its interval);
    `generator` (term `adversarial`) on the last of every `critic_steps` steps.

    Args:
        generator: `Generator`.
        discriminator: `keras.Model`; images, or [images, labels], to logits [B, 1].
        loss: `AdversarialLoss` or its name, see `ganzoo.losses`.
        penalties: sequence of `Penalty`. Defaults to none.
        augment: `Augment`, its name (see `ganzoo.augment.get`) or `None`. Sits in front of the
            discriminator, for reals, fakes and penalties.
        critic_steps: int >= 1. Discriminator steps, each on fresh data, per generator step.
            Defaults to 1.
        fakes: `"fresh"` (each player's step draws its own latents) or `"shared"` (both look at the
            same fakes of a step, as pytorch/examples does; the generator then runs forward once).
            Defaults to `"fresh"`.
        ema: `EMA` or `None`. Keeps `generator_ema`, from which `generate` then draws.
        seed: int.

    Images of the generator's `window`'s size get black around them.

    Batch keys: `real` float32 [B, H, W, C] in [-1, 1] (or [B, D]); `label` int32 [B] or float32 [B,
        attributes].
    """

    def __init__(
        self,
        generator: Generator,
        discriminator: keras.Model,
        *,
        loss: AdversarialLoss | str,
        penalties: Sequence[Penalty] = (),
        augment: Augment | str | None = None,
        critic_steps: int = 1,
        fakes: str = "fresh",
        ema: EMA | None = None,
        **kwargs,
    ):
        super().__init__(ema=ema, **kwargs)
        if isinstance(critic_steps, bool) or not isinstance(critic_steps, int) or critic_steps < 1:
            raise ValueError(
                f"`critic_steps` must be an int >= 1. Received: critic_steps={critic_steps!r}"
            )
        if fakes not in FAKES:
            raise ValueError(f"`fakes` must be one of {FAKES}. Received: fakes={fakes!r}")
        self.generator = generator
        self.discriminator = discriminator
        self.adversarial = losses_module.get(loss)
        self.penalties = list(penalties)
        self.augment = augment_module.get(augment)
        self.critic_steps = critic_steps
        self.fakes_from = fakes
        self.generator_ema = None if ema is None else self._average_of(generator)
        self.ready()

    @staticmethod
    def _average_of(generator):
        average = type(generator).from_config(
            {**generator.get_config(), "name": f"{generator.name}_ema"}
        )
        average.set_weights(generator.get_weights())
        average.trainable = False
        return average

    def get_config(self):
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "loss": serialize(self.adversarial),
            "penalties": [serialize(penalty) for penalty in self.penalties],
            "augment": None if self.augment is None else serialize(self.augment),
            "critic_steps": self.critic_steps,
            "fakes": self.fakes_from,
        }

    def networks(self) -> dict[str, keras.Model]:
        networks = {"generator": self.generator, "discriminator": self.discriminator}
        average = self.generator_ema
        return networks if average is None else {**networks, "generator_ema": average}

    def parts(self) -> list:
        return [*self.penalties, self.augment]

    def players(self) -> dict[str, list[keras.Model]]:
        return {"generator": [self.generator], "discriminator": [self.discriminator]}

    def averaged(self) -> list[tuple[keras.Model, keras.Model]]:
        return [] if self.generator_ema is None else [(self.generator_ema, self.generator)]

    @property
    def published(self) -> Generator:
        """The network that `generate` draws from: the average where one is kept."""
        return self.generator if self.generator_ema is None else self.generator_ema

    # --- the step

    def phases(self) -> list[Phase]:
        joined = [penalty.name for penalty in self.penalties if penalty.interval == 1]
        lazy = [penalty for penalty in self.penalties if penalty.interval > 1]
        return [
            Phase(
                name="discriminator",
                player="discriminator",
                losses=self.discriminator_losses,
                terms=("adversarial", *joined),
            ),
            *(self._penalty_phase(penalty) for penalty in lazy),
            self.generator_phase(
                name="generator",
                player="generator",
                losses=self.generator_losses,
                terms=("adversarial",),
                shared=self._share if self.fakes_from == "shared" else None,
            ),
        ]

    def generator_phase(self, **arguments) -> Phase:
        """When the generator moves: on the last of every `critic_steps` steps."""
        return Phase(interval=self.critic_steps, offsets=(self.critic_steps - 1,), **arguments)

    def _penalty_phase(self, penalty):
        def losses(batch):
            fake = self.fakes(batch, penalty.name)[0] if penalty.needs_fake else None
            value = self.penalty_value(penalty, batch, batch["real"], fake)
            return {"penalty": value * penalty.interval}

        return Phase(
            name=penalty.name,
            player=penalty.player,
            losses=losses,
            terms=("penalty",),
            interval=penalty.interval,
            strict=False,  # a gradient penalty does not reach the last bias
        )

    def prepare(self, data) -> Batch:
        image, label = split(data)
        image = to_float(image)
        wanted = self.discriminator.inputs[0].shape[1:]
        image = framed(image, self.generator.window, wanted)
        if len(image.shape) != len(wanted) + 1 or not image.shape[1:].is_compatible_with(wanted):
            raise ValueError(
                f"{type(self).__name__} trains on batches of shape {(None, *wanted)}. "
                f"Received: shape {tuple(image.shape)}"
            )
        batch = {"real": tf.cast(image, "float32")}
        if self.generator.conditional:
            if label is None:
                raise ValueError(
                    f"{type(self).__name__} is conditional and needs labels: yield (image, label) "
                    "or a dict with the key `label`. Received: images only"
                )
            batch["label"] = tf.cast(label, self.generator.condition.dtype)
        return batch

    def latents(self, batch, tag: str) -> tf.Tensor:
        """float32 [B, latent_dim]."""
        return self.generator.draw(tf.shape(batch["real"])[0], self.seed_for(tag))

    def fakes(self, batch, tag: str) -> tuple[tf.Tensor, tf.Tensor | None]:
        """float32 [B, H, W, C] in [-1, 1], in training mode, and the labels that they were told:
        those of the batch, unless a family draws others.
        """
        latents, label = self.latents(batch, tag), batch.get("label")
        return self.generator(self._with_label(latents, label), training=True), label

    def critic(self, batch, label=None, *, tag: str = "critic") -> Callable[[tf.Tensor], tf.Tensor]:
        """images -> float32 logits [B, 1], augmented and conditioned.

        Args:
            label: what the images were told. Defaults to `None`, the batch's.
            tag: str. What this use is called; its random numbers follow from it.
        """
        label = batch.get("label") if label is None else label

        def logits(images):
            images = self._with_label(self.augmented(images, tag), label)
            return tf.cast(self.discriminator(images, training=True), "float32")

        return logits

    def augmented(self, images, tag: str) -> tf.Tensor:
        """Images as the discriminator sees them; the random numbers follow from `tag`."""
        if self.augment is None:
            return images
        return self.augment(images, self.seed_for(f"augment/{self._place_of(tag)}"))

    def tags_of(self, phase: Phase) -> tuple[str, ...]:
        """Tags of the uses of the discriminator in one of `phases`, in order."""
        if phase.name == "discriminator":
            joined = (penalty.name for penalty in self.penalties if penalty.interval == 1)
            return ("real", "fake", *joined)
        if phase.name == "generator":
            return ("generator/real", "generator")[not self.adversarial.needs_real :]
        lazy = (penalty.name for penalty in self.penalties if penalty.interval > 1)
        return (phase.name,) if phase.name in lazy else ()

    def _place_of(self, tag):
        """The number of a tag among those of the step's phases; any other tag is its own.

        Runs from before there were tags counted the calls of a step, and resume to the last bit.
        """
        tags = [tag for phase in self._due for tag in self.tags_of(phase)]
        return tags.index(tag) + 1 if tag in tags else tag

    def observe(self, real_logits) -> None:
        """Shows the augmentation the logits of a step's real images."""
        if self.augment is not None:
            self.augment.observe(real_logits)

    @staticmethod
    def _with_label(x, label):
        return x if label is None else [x, label]

    def _share(self, batch):
        fake, label = self.fakes(batch, "shared")
        return {"fake": fake} if label is None else {"fake": fake, "fake_label": label}

    def fakes_for(self, batch, tag: str) -> tuple[tf.Tensor, tf.Tensor | None]:
        """The fakes that both players look at, if there are such; else fresh ones. See `fakes`."""
        if "fake" in batch:
            return batch["fake"], batch.get("fake_label")
        return self.fakes(batch, tag)

    def discriminator_losses(self, batch) -> dict[str, tf.Tensor]:
        """`adversarial` and every penalty that runs on each step."""
        real = batch["real"]
        fake, told = self.fakes_for(batch, "discriminator")
        fake = tf.stop_gradient(fake)
        real_logits = self.critic(batch, tag="real")(real)
        fake_logits = self.critic(batch, told, tag="fake")(fake)
        self.observe(real_logits)
        adversarial = self.adversarial.discriminator(real_logits, fake_logits)
        return {"adversarial": adversarial, **self.penalty_values(batch, real, fake)}

    def penalty_values(self, batch, real, fake) -> dict[str, tf.Tensor]:
        """{name: value} of the penalties that run on each step."""
        joined = [penalty for penalty in self.penalties if penalty.interval == 1]
        return {p.name: self.penalty_value(p, batch, real, fake) for p in joined}

    def penalty_value(self, penalty, batch, real, fake) -> tf.Tensor:
        """float32 scalar, before it is multiplied by the interval."""
        critic = self.critic(batch, tag=penalty.name)
        return penalty.value(critic, real, fake, self.seed_for(penalty.name))

    def generator_losses(self, batch) -> dict[str, tf.Tensor]:
        """`adversarial`."""
        fake, told = self.fakes_for(batch, "generator")
        real_logits = None
        if self.adversarial.needs_real:
            real_logits = self.critic(batch, tag="generator/real")(batch["real"])
        fake_logits = self.critic(batch, told, tag="generator")(fake)
        return {"adversarial": self.adversarial.generator(fake_logits, real_logits)}

    def state_logs(self) -> dict[str, tf.Tensor]:
        return {} if self.augment is None else self.augment.state_logs()

    # --- use

    def check_batch(self, data) -> None:
        if data is None:
            return
        image, label = split(data)
        shape, window = self.discriminator.inputs[0].shape[1:], self.generator.window
        if window is not None and np.shape(image)[1:3] != tuple(shape[:2]):
            shape = (*window, shape[-1])
        check_images(image, shape)
        if isinstance(self.generator.condition, Classes) and label is not None:
            check_label_range(np.asarray(label), self.generator.num_classes)

    @property
    def kinds(self) -> tuple[str, ...]:
        return ("images",) if len(self.published.sample_shape) == 3 else ("points",)

    @property
    def task(self) -> str:
        whole = len(self.published.sample_shape) == 3 and not self.published.conditional
        return "unconditional-image-generation" if whole else "other"

    @property
    def example(self) -> str:
        return "images = model.generate(16, seed=0)"

    @property
    def sample_labels(self) -> str | None:
        return "in turn" if self.published.conditional else None

    @property
    def purpose(self) -> str:
        shape, words = self.published.sample_shape, self.published.condition.words
        if len(shape) == 1:
            return f"draws points of {shape[0]} coordinates{words}"
        if len(shape) != 3:
            return f"draws samples of {' x '.join(map(str, shape))} numbers{words}"
        plural = "s" if shape[-1] > 1 else ""
        sides = " x ".join(map(str, shape[:2]))
        return f"draws images of {sides} pixels with {shape[-1]} channel{plural}{words}"

    @property
    def resolution(self) -> int | list[int] | None:
        shape = self.published.sample_shape
        if len(shape) != 3:
            return None
        return shape[0] if shape[0] == shape[1] else list(shape[:2])

    def example_batch(self, count) -> dict[str, np.ndarray]:
        state = np.random.RandomState(0)
        shape = [count, *(n or 64 for n in self.discriminator.inputs[0].shape[1:])]
        image = state.randint(0, 256, shape, "uint8")
        if len(shape) == 2:  # points
            image = state.randn(*shape).astype("float32")
        label = self.generator.condition.draw(count, 0)
        return {"image": image} if label is None else {"image": image, "label": label}

    def preview(self, count, columns, seed) -> np.ndarray:
        """uint8 [N, H, W, C]: samples; row c of the grid holds class (or attribute) c, in turn.
        Points are one picture of a thousand; other shapes see `ganzoo.pictures.pictures`.
        """
        count = max(count, POINTS) if self.published.sample_shape == (2,) else count
        labels = self.published.condition.in_turn(count, np.arange(count) // columns)
        return pictures.pictures(self.generate(count, labels=labels, seed=seed))

    def samples(self, count, *, seed=0, batch_size=64, given=None, **options) -> Iterator:
        """See `GAN.samples`; the options are those of `generate`, such as `truncation`."""
        return self.published.batches(
            count, seed=seed, batch_size=batch_size, labels=given, **options
        )

    def generate(
        self, count=None, *, latents=None, labels=None, seed=0, batch_size=32, **options
    ) -> np.ndarray:
        """uint8 [count, H, W, C] of the averaged network, if there is one; see
        `Generator.generate`.
        """
        return self.published.generate(
            count, latents=latents, labels=labels, seed=seed, batch_size=batch_size, **options
        )


def framed(images, window, shape) -> tf.Tensor:
    """float [B, *shape]: images of the window's size in the middle of black; others as they are."""
    if window is None or tuple(images.shape[1:3]) != tuple(window):
        return images
    borders = [[s.start, n - s.stop] for s, n in zip(window_slices(shape[0], window), shape)]
    return tf.pad(images, [[0, 0], *borders, [0, 0]], constant_values=-1.0)


def split(data) -> tuple[np.ndarray | tf.Tensor, np.ndarray | tf.Tensor | None]:
    """(image, label or None) of a batch: an array, a tuple or a dict with the keys `image` and
    `label`.
    """
    if isinstance(data, dict):
        if "image" not in data:
            raise ValueError(f"A batch dict needs the key `image`. Received: keys {sorted(data)}")
        return data["image"], data["label"] if "label" in data else None
    if isinstance(data, (tuple, list)):
        return data[0], data[1] if len(data) > 1 else None
    return data, None


def check_images(images, shape) -> None:
    """Raises `ValueError` unless `images` is a batch of `shape` as uint8 or as floats in [-1, 1].

    Floats that never go below 0 are taken for [0, 1] data and refused as well. Points and series
    (ranks 2 and 3) may have any range.
    """
    images = np.asarray(images)
    if images.ndim != len(shape) + 1 or any(
        n not in (None, m) for n, m in zip(shape, images.shape[1:])
    ):
        raise ValueError(
            f"Training needs batches of shape {(None, *shape)}; see `ganzoo.data.Dataset` for "
            f"crop, resize and channels. Received: shape {images.shape}"
        )
    if images.dtype == np.uint8 or images.ndim < 4:  # points, series
        return
    low, high = float(images.min()), float(images.max())
    if not (-1.001 <= low and high <= 1.001) or (low >= 0 and high > 0 and len(images) > 1):
        raise ValueError(
            "Float images must be in [-1, 1]: pass uint8 [0, 255] as it is, or scale with "
            "`x * 2 - 1` (from [0, 1]) or `x / 127.5 - 1` (from [0, 255]). "
            f"Received: values in [{low:.4g}, {high:.4g}]"
        )
