"""Pictures out of captions: a network that is told a caption's vector."""

import dataclasses

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from ganzoo.arguments import captured
from ganzoo.conditions import Vector
from ganzoo.data import from_arrays
from ganzoo.generator import Generator
from ganzoo.latent_gan import LatentGAN
from ganzoo.losses import NonSaturating
from ganzoo.recipe import Recipe

register = keras.saving.register_keras_serializable(package="own")
WORDS = ("red", "green", "blue", "dark", "light")


def embedded(captions):
    """float32 [N, 5]: which words a caption has."""
    words = [[word in caption.split() for word in WORDS] for caption in captions]
    return np.array(words, "float32")


@register
@captured
class CaptionedGenerator(Generator):
    def __init__(self, size=16, latent_dim=4, name="generator"):
        condition = Vector(len(WORDS))
        with keras.name_scope(name):
            z, caption = keras.Input((latent_dim,), name="z"), condition.input("caption")
            x = layers.Concatenate(name="told")([z, caption])
            x = layers.Dense(32, activation="relu", name="hidden")(x)
            x = layers.Dense(size * size * 3, activation="tanh", dtype="float32", name="image")(x)
            x = layers.Reshape((size, size, 3), dtype="float32", name="shape")(x)
        super().__init__([z, caption], x, name=name)
        self.latent_dim, self.condition = latent_dim, condition


@register
@captured
class Captioned(LatentGAN):
    """The discriminator sees the caption too (Reed et al., arXiv:1605.05396; no wrong pairs)."""

    task = "text-to-image"

    def __init__(self, size=16, latent_dim=4, **kwargs):
        image = keras.Input((size, size, 3), name="image")
        caption = keras.Input((len(WORDS),), name="caption")
        with keras.name_scope("discriminator"):
            x = layers.Concatenate(name="told")([layers.Flatten(name="flat")(image), caption])
            x = layers.Dense(32, activation="leaky_relu", name="hidden")(x)
            x = layers.Dense(1, dtype="float32", name="logits")(x)
        judge = keras.Model([image, caption], x, name="discriminator")
        generator = CaptionedGenerator(size, latent_dim)
        super().__init__(generator, judge, loss=NonSaturating(), **kwargs)

    def default_optimizers(self):
        adam = keras.optimizers.Adam
        return {"generator_optimizer": adam(1e-3, 0.5), "discriminator_optimizer": adam(1e-3, 0.5)}

    def draw(self, captions, **options):
        """uint8 [N, H, W, 3] of sentences."""
        return self.generate(len(captions), labels=embedded(captions), **options)


@dataclasses.dataclass(frozen=True)
class Colours:
    """Plain colours with their captions: a data set of one's own, see `ganzoo.data.DataSource`."""

    size: int = 16
    kind = "images"

    def arrays(self):
        captions = [f"{tone} {colour}" for colour in WORDS[:3] for tone in WORDS[3:]] * 4
        images = np.zeros((len(captions), self.size, self.size, 3), "uint8")
        for image, caption in zip(images, captions, strict=True):
            tone, colour = caption.split()
            image[..., WORDS.index(colour)] = 250 if tone == "light" else 90
        return images, embedded(captions)

    def stream(self, batch_size, *, seed=0, start=0, epochs=None, shard=(0, 1), data_dir=None):
        images, vectors = self.arrays()
        rows = from_arrays(
            images, np.arange(len(images)), batch_size=batch_size, seed=seed, start=start,
            epochs=epochs,
        )
        return rows.map(lambda batch: {**batch, "label": tf.gather(vectors, batch["label"])})

    def images(self, *, limit=None, data_dir=None, batch_size=64, labels=False):
        images, vectors = (array[:limit] for array in self.arrays())
        for start in range(0, len(images), batch_size):
            part = slice(start, start + batch_size)
            yield (images[part], vectors[part]) if labels else images[part]

    def count(self, *, data_dir=None):
        return len(self.arrays()[0])

    def describe(self):
        return f"colours size={self.size}"

    def get_config(self):
        return {"kind": "own colours", "size": self.size}


recipe = Recipe(
    paper="arXiv:1605.05396",
    dataset=Colours(),
    model=Captioned,
    batch_size=4,
    images=64,
    epoch_images=32,
    metrics=("swd",),
)
