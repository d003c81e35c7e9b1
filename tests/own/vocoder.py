"""A vocoder: tones out of their mel spectrograms."""

import dataclasses

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

from ganzoo import pictures
from ganzoo.arguments import captured
from ganzoo.gan import GAN, Phase
from ganzoo.recipe import Recipe
from ganzoo.vocoder import Vocoder

register = keras.saving.register_keras_serializable(package="own")
BANDS, HOP, RATE, FRAMES = 8, 16, 2000, 16


def mel_of(sound):
    """float32 [B, frames, bands], log energies, of sound [B, frames * HOP]."""
    window = np.sin(np.pi * (np.arange(HOP) + 0.5) / HOP).astype("float32")
    frames = ops.reshape(sound, (-1, FRAMES, HOP)) * window
    real, imaginary = ops.rfft(frames)
    power = ops.square(real) + ops.square(imaginary)
    return ops.log(power[..., 1 : BANDS + 1] + 1e-3)


@register
@captured
class Speaker(Vocoder):
    bands, hop_length, sample_rate_hz = BANDS, HOP, RATE

    def __init__(self, width=16, name="generator"):
        with keras.name_scope(name):
            mel = keras.Input((None, BANDS), name="mel")
            x = layers.Conv1D(width, 3, padding="same", activation="leaky_relu", name="first")(mel)
            x = layers.Conv1DTranspose(
                1, HOP, HOP, "same", activation="tanh", dtype="float32", name="up"
            )(x)
        super().__init__(mel, layers.Flatten(dtype="float32", name="sound")(x), name=name)


@register
@captured
class Speaking(GAN):
    """Least squares on sound, and the mel spectrogram must agree (cf. arXiv:2010.05646)."""

    kinds = ("sound",)
    task = "text-to-audio"
    purpose = "turns mel spectrograms into sound"
    example = "sound = model.generator.generate(mel)"

    def __init__(self, width=16, mel_weight=1.0, **kwargs):
        super().__init__(**kwargs)
        self.mel_weight = mel_weight
        self.generator = Speaker(width)
        self.discriminator = keras.Sequential(
            [
                keras.Input((None, 1), name="sound"),
                layers.Conv1D(width, 15, 4, "same", activation="leaky_relu", name="first"),
                layers.Conv1D(1, 3, padding="same", dtype="float32", name="logits"),
            ],
            name="discriminator",
        )
        self.ready()

    @property
    def published(self):
        return self.generator

    def players(self):
        return {"generator": [self.generator], "discriminator": [self.discriminator]}

    def prepare(self, data):
        return {"mel": mel_of(data["sound"]), "sound": data["sound"]}

    def phases(self):
        return [
            Phase(
                name="discriminator", player="discriminator", losses=self.discriminator_losses,
                terms=("adversarial",),
            ),
            Phase(
                name="generator", player="generator", losses=self.generator_losses,
                terms=("adversarial", "mel"),
            ),
        ]

    def judge(self, sound):
        return self.discriminator(sound[..., tf.newaxis], training=True)

    def discriminator_losses(self, batch):
        fake = tf.stop_gradient(self.generator(batch["mel"], training=True))
        real = tf.reduce_mean(tf.square(self.judge(batch["sound"]) - 1.0))
        return {"adversarial": real + tf.reduce_mean(tf.square(self.judge(fake)))}

    def generator_losses(self, batch):
        fake = self.generator(batch["mel"], training=True)
        mel = tf.reduce_mean(tf.abs(mel_of(fake) - batch["mel"]))
        adversarial = tf.reduce_mean(tf.square(self.judge(fake) - 1.0))
        return {"adversarial": adversarial, "mel": self.mel_weight * mel}

    def default_optimizers(self):
        adam = keras.optimizers.Adam
        return {"generator_optimizer": adam(1e-3, 0.5), "discriminator_optimizer": adam(1e-3, 0.5)}

    def example_batch(self, count):
        return {"sound": tones(count, 0)}

    def samples(self, count, *, seed=0, batch_size=64, given=None):
        """What metrics see: spectrograms of what is made of tones, uint8 [B, H, W, 3]."""
        sound = self.generator.generate(mel_of(tones(count, seed)).numpy(), batch_size=batch_size)
        for start in range(0, count, batch_size):
            yield seen(sound[start : start + batch_size])

    def preview(self, count, columns, seed):
        return np.concatenate(list(self.samples(count, seed=seed)))


def tones(count, seed):
    """float32 [count, FRAMES * HOP]."""
    state = np.random.RandomState(seed)
    time = np.arange(FRAMES * HOP) / RATE
    return 0.8 * np.sin(2 * np.pi * state.uniform(100, 900, (count, 1)) * time).astype("float32")


def seen(sound):
    """Spectrograms as RGB pictures, each on a scale of its own."""
    magnitudes = np.exp(0.5 * np.asarray(mel_of(sound)))
    grey = np.concatenate([pictures.spectrogram(one[np.newaxis]) for one in magnitudes])
    return np.repeat(np.repeat(np.repeat(grey, 2, 1), 2, 2)[:, :16], 3, 3)


@dataclasses.dataclass(frozen=True)
class Tones:
    """Endless tones; see `ganzoo.data.DataSource`."""

    total: int = 256
    kind = "sound"

    def stream(self, batch_size, *, seed=0, start=0, epochs=None, shard=(0, 1), data_dir=None):
        def batches():
            step = start
            while epochs is None or step < epochs * self.total // batch_size:
                yield {"sound": tones(batch_size, (seed + step) % 2**32)}
                step += 1

        signature = {"sound": tf.TensorSpec((batch_size, FRAMES * HOP), "float32")}
        return tf.data.Dataset.from_generator(batches, output_signature=signature)

    def images(self, *, limit=None, data_dir=None, batch_size=64, labels=False):
        sound = tones(min(limit or self.total, self.total), 12345)
        return (seen(sound[k : k + batch_size]) for k in range(0, len(sound), batch_size))

    def count(self, *, data_dir=None):
        return self.total

    def describe(self):
        return f"tones total={self.total}"

    def get_config(self):
        return {"kind": "own tones", "total": self.total}


recipe = Recipe(
    paper="arXiv:2010.05646",
    dataset=Tones(),
    model=Speaking,
    batch_size=4,
    images=64,
    epoch_images=32,
    metrics=("swd",),
)
