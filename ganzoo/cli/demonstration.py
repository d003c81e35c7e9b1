"""The README's first command: faces from a shipped checkpoint, then a fine-tuning of another on
real photographs.
"""

import pathlib
import time

import keras
import numpy as np

from ganzoo import data, hub, pictures, resources

SAMPLE = resources.SAMPLES / "fashion_mnist_2000.npz"
FOOTWEAR = (5, 7, 9)  # sandal, sneaker, ankle boot


class StopAfter(keras.callbacks.Callback):
    """Ends training after so many seconds."""

    def __init__(self, seconds):
        super().__init__()
        self.seconds = seconds

    def on_train_begin(self, logs=None):
        self.deadline = time.monotonic() + self.seconds

    def on_train_batch_end(self, batch, logs=None):
        if time.monotonic() > self.deadline:
            self.model.stop_training = True


def footwear() -> np.ndarray:
    """uint8 [600, 28, 28, 1]: the shoes of the Fashion-MNIST sample that the package carries
    (MIT).
    """
    with np.load(SAMPLE, allow_pickle=False) as sample:
        return sample["image"][np.isin(sample["label"], FOOTWEAR)]


def run(folder, seconds: int = 60) -> list[pathlib.Path]:
    """Writes `faces.png`, 64 faces; and `before.png`, `after.png`: 64 samples of a Fashion-MNIST
    model before and after `fit` on photographs of shoes only, for `seconds` seconds. Returns the
    paths.
    """
    folder = pathlib.Path(folder)
    faces = hub.load_generator("dcgan-digiface-64").generate(64, seed=0)
    written = [pictures.write_grid(folder / "faces.png", faces)]
    gan = hub.load("dcgan-fashion-mnist")
    written.append(pictures.write_grid(folder / "before.png", gan.generate(64, seed=0)))
    gan.compile()
    images = data.from_arrays(footwear(), batch_size=64)
    gan.fit(images, steps_per_epoch=100, epochs=10_000, callbacks=[StopAfter(seconds)])
    written.append(pictures.write_grid(folder / "after.png", gan.generate(64, seed=0)))
    return written
