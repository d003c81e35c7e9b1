"""Which of the ten classes the shipped Fashion-MNIST models draw, judged by a small classifier.

    python benchmarks/fashion_classes.py [--count 5000] [MODEL ...]

Trains a convolutional classifier on Fashion-MNIST's training split (printing its accuracy on the
test split), then classifies samples of each model. For a conditional model it also prints how often
the asked class is recognised. A MODEL is a name or a folder that `ganzoo train` wrote; default:
every `*-fashion-mnist` model. Not an FID.
"""

import argparse

import keras
import numpy as np

import ganzoo
from ganzoo import data

CLASSES = (
    "T-shirt",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "boot",
)


def classifier():
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dropout(0.3),
            layers.Dense(128, activation="relu"),
            layers.Dense(10),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-3), loss, metrics=["accuracy"])
    return model


def split(name):
    """(images float32 [N, 28, 28, 1] in [0, 255], labels) of a split."""
    pairs = next(
        data.stream(data.Dataset(name="fashion_mnist", split=name, label="label"), 10_000, epochs=1)
        .unbatch()
        .batch(100_000)
        .as_numpy_iterator()
    )
    return (pairs["image"] + 1) * 127.5, pairs["label"]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("models", nargs="*")
    given = parser.parse_args()
    keras.utils.set_random_seed(0)
    judge = classifier()
    judge.fit(*split("train"), batch_size=128, epochs=4, verbose=2)
    print(f"classifier: {judge.evaluate(*split('test'), verbose=0)[1]:.4f} of the test split right")
    print(f"{'share of each class in %':32}" + "".join(f"{name:>9}" for name in CLASSES))
    for name in given.models or ganzoo.list_models("*-fashion-mnist"):
        generator = ganzoo.load_generator(name)
        images = generator.generate(given.count, seed=0, batch_size=100)
        found = judge.predict(images.astype("float32"), verbose=0).argmax(axis=1)
        shares = np.bincount(found, minlength=10) / len(found)
        asked = ""
        if generator.num_classes:
            asked = f"  asked class recognised: {np.mean(found == np.arange(len(found)) % 10):.4f}"
        print(
            f"{name[-31:]:32}" + "".join(f"{100 * share:9.1f}" for share in shares) + asked,
            flush=True,
        )


if __name__ == "__main__":
    main()
