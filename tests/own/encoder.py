"""An encoder and a generator against one discriminator of pairs (x, z)."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from ganzoo.arguments import captured
from ganzoo.data import Dataset
from ganzoo.gan import Phase
from ganzoo.generator import Generator
from ganzoo.latent_gan import LatentGAN
from ganzoo.losses import NonSaturating
from ganzoo.recipe import Recipe

register = keras.saving.register_keras_serializable(package="own")


@register
@captured
class Drawer(Generator):
    def __init__(self, size=16, latent_dim=8, name="generator"):
        with keras.name_scope(name):
            z = keras.Input((latent_dim,), name="z")
            x = layers.Dense(64, activation="relu", name="hidden")(z)
            x = layers.Dense(size * size, activation="tanh", dtype="float32", name="image")(x)
            x = layers.Reshape((size, size, 1), dtype="float32", name="shape")(x)
        super().__init__(z, x, name=name)
        self.latent_dim = latent_dim


@register
@captured
class Encoding(LatentGAN):
    """D tells (x, E(x)) from (G(z), z); E and G play together (Donahue et al., arXiv:1605.09782).

    Everything that draws and shows images comes from `LatentGAN`.
    """

    def __init__(self, size=16, latent_dim=8, **kwargs):
        image = keras.Input((size, size, 1), name="image")
        z = keras.Input((latent_dim,), name="z")
        with keras.name_scope("discriminator"):
            x = layers.Concatenate(name="pair")([layers.Flatten(name="flat")(image), z])
            x = layers.Dense(64, activation="leaky_relu", name="hidden")(x)
            x = layers.Dense(1, dtype="float32", name="logits")(x)
        judge = keras.Model([image, z], x, name="discriminator")
        super().__init__(Drawer(size, latent_dim), judge, loss=NonSaturating(), **kwargs)
        self.encoder = keras.Sequential(
            [
                keras.Input((size, size, 1), name="image"),
                layers.Flatten(name="flat"),
                layers.Dense(64, activation="relu", name="hidden"),
                layers.Dense(latent_dim, dtype="float32", name="z"),
            ],
            name="encoder",
        )

    def networks(self):
        return {**super().networks(), "encoder": self.encoder}

    def generators(self):
        return {**super().generators(), "encoder": self.encoder}

    def players(self):
        return {
            "generator": [self.generator, self.encoder], "discriminator": [self.discriminator]
        }

    def phases(self):
        return [
            Phase(
                name=player, player=player, losses=getattr(self, f"{player}_losses"),
                terms=("adversarial",),
            )
            for player in ("discriminator", "generator")
        ]

    def pairs(self, batch, tag):
        z = self.latents(batch, tag)
        real = [batch["real"], self.encoder(batch["real"], training=True)]
        return real, [self.generator(z, training=True), z]

    def discriminator_losses(self, batch):
        real, fake = self.pairs(batch, "discriminator")
        real, fake = ([tf.stop_gradient(x) for x in pair] for pair in (real, fake))
        logits = self.discriminator(real), self.discriminator(fake)
        return {"adversarial": self.adversarial.discriminator(*logits)}

    def generator_losses(self, batch):
        real, fake = map(self.discriminator, self.pairs(batch, "generator"))
        losses = self.adversarial.generator(fake), self.adversarial.generator(-real)
        return {"adversarial": tf.add_n(losses)}

    def encode(self, images):
        """float32 [N, latent_dim] of uint8 [N, H, W, 1]."""
        return self.encoder.predict(images.astype(np.float32) / 127.5 - 1.0, verbose=0)

    def default_optimizers(self):
        adam = keras.optimizers.Adam
        return {"generator_optimizer": adam(1e-3, 0.5), "discriminator_optimizer": adam(1e-3, 0.5)}


recipe = Recipe(
    paper="arXiv:1605.09782",
    dataset=Dataset(folder="circles", size=16, channels=1),
    model=Encoding,
    batch_size=4,
    images=64,
    epoch_images=32,
    metrics=("swd",),
)
