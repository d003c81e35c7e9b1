"""Two translators on unpaired pictures: circles to squares and back."""

import keras
import tensorflow as tf
from keras import layers

from ganzoo.arguments import captured
from ganzoo.data import Dataset, Unpaired
from ganzoo.gan import Phase
from ganzoo.recipe import Recipe
from ganzoo.translation_gan import TranslationGAN
from ganzoo.translator import Translator

register = keras.saving.register_keras_serializable(package="own")


@register
@captured
class Painter(Translator):
    """Three convolutions, for images of any even size."""

    multiple = 2

    def __init__(self, width=8, channels=3, name="painter"):
        with keras.name_scope(name):
            inputs = x = keras.Input((None, None, channels), name="image")
            x = layers.Conv2D(width, 4, 2, "same", activation="leaky_relu", name="down")(x)
            x = layers.Conv2D(width, 3, 1, "same", activation="leaky_relu", name="middle")(x)
            x = layers.Conv2DTranspose(
                channels, 4, 2, "same", activation="tanh", dtype="float32", name="up"
            )(x)
        super().__init__(inputs, x, name=name)


def judge(width, channels, name):
    return keras.Sequential(
        [
            keras.Input((None, None, channels), name="image"),
            layers.Conv2D(width, 4, 2, "same", activation="leaky_relu", name="down"),
            layers.Conv2D(1, 3, 1, "same", dtype="float32", name="logits"),
        ],
        name=name,
    )


@register
@captured
class TwoWay(TranslationGAN):
    """Least squares on patches, and what comes back is what went (Zhu et al., arXiv:1703.10593)."""

    def __init__(self, width=8, channels=3, cycle_weight=10.0, **kwargs):
        super().__init__(**kwargs)
        self.cycle_weight = cycle_weight
        self.generator_ab = Painter(width, channels, name="generator_ab")
        self.generator_ba = Painter(width, channels, name="generator_ba")
        self.discriminator_a = judge(width, channels, "discriminator_a")
        self.discriminator_b = judge(width, channels, "discriminator_b")
        self.ready()

    def translators(self):
        return {"b": self.generator_ab, "a": self.generator_ba}

    def players(self):
        return {
            "generator": [self.generator_ab, self.generator_ba],
            "discriminator": [self.discriminator_a, self.discriminator_b],
        }

    def default_optimizers(self):
        adam = keras.optimizers.Adam
        return {"generator_optimizer": adam(2e-3, 0.5), "discriminator_optimizer": adam(2e-3, 0.5)}

    def phases(self):
        return [
            Phase(
                name="generator", player="generator", losses=self.generator_losses,
                terms=("adversarial", "cycle"), shared=self.paint,
            ),
            Phase(
                name="discriminator", player="discriminator",
                losses=self.discriminator_losses, terms=("a", "b"),
            ),
        ]

    def paint(self, batch):
        return {
            "fake_b": self.generator_ab(batch["a"], training=True),
            "fake_a": self.generator_ba(batch["b"], training=True),
        }

    def generator_losses(self, batch):
        scores = self.discriminator_a(batch["fake_a"]), self.discriminator_b(batch["fake_b"])
        back_a, back_b = self.generator_ba(batch["fake_b"]), self.generator_ab(batch["fake_a"])
        cycle = distance(back_a, batch["a"]) + distance(back_b, batch["b"])
        adversarial = sum(tf.reduce_mean(tf.square(score - 1.0)) for score in scores)
        return {"adversarial": adversarial, "cycle": self.cycle_weight * cycle}

    def discriminator_losses(self, batch):
        sides = {"a": self.discriminator_a, "b": self.discriminator_b}
        return {
            side: tf.reduce_mean(tf.square(network(batch[side]) - 1.0))
            + tf.reduce_mean(tf.square(network(tf.stop_gradient(batch[f"fake_{side}"]))))
            for side, network in sides.items()
        }


def distance(x, y):
    return tf.reduce_mean(tf.abs(x - y))


recipe = Recipe(
    paper="arXiv:1703.10593",
    dataset=Unpaired(Dataset(folder="circles", size=16), Dataset(folder="squares", size=16)),
    model=TwoWay,
    batch_size=4,
    images=64,
    epoch_images=32,
    metrics=("swd",),
)
