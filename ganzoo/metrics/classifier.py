"""Small classifiers of our own data sets, shipped in the package: metrics without a network.

| name | trained on | gives |
| --- | --- | --- |
| `fashion` | Fashion-MNIST, 28 x 28 grey, training split | `fid-fashion`, modes, classes |
| `avatars` | `avatars/pixel_art_64`, training split | `fid-avatars`, attributes, separability |
| `avatars-32` | `avatars/pixel_art_32`, training split | the same of 32 pixels |

Their features are those of one data set, so that distances in them compare generators of that data
set, and say nothing of other images. `docs/classifiers` has how they were trained and measured.
"""

import dataclasses
import functools
import pathlib
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from ganzoo import fetch, hub, resources
from ganzoo.errors import HashError
from ganzoo.metrics.arrays import MetricError, check_choice, checked_images
from ganzoo.metrics.features import Outputs

WEIGHTS = resources.WEIGHTS
RATE, SMOOTHING = 2e-3, 0.05
BATCH = 128


@keras.saving.register_keras_serializable("ganzoo")
class Classifier(keras.Model):
    """Convolutional classifier: two 3 x 3 convolutions and a 2 x 2 maximum for each width.

    Input shape: float [B, H, W, channels] in [0, 255]; H and W `image_size`.
    Output shape: (features float32 [B, widths[-1]], the mean over the last map; logits float32 [B,
        classes]).

    Args:
        image_size: int, at least 2 ** (number of widths - 1).
        channels: int > 0.
        classes: int > 0. Logits; of exclusive classes or of independent attributes.
        widths: ints > 0. Maps of each level.
    """

    def __init__(self, image_size, channels, classes, widths=(24, 48, 96), name="classifier"):
        layers = keras.layers
        images = keras.Input((image_size, image_size, channels), name="images")
        x = layers.Rescaling(1 / 127.5, -1.0)(images)
        for level, width in enumerate(widths):
            if level:
                x = layers.MaxPooling2D(name=f"pool{level}")(x)
            for part in "ab":
                label = f"{level}{part}"
                conv = layers.Conv2D(width, 3, padding="same", use_bias=False, name=f"conv{label}")
                x = layers.BatchNormalization(name=f"norm{label}")(conv(x))
                x = layers.ReLU(name=f"relu{label}")(x)
        features = layers.GlobalAveragePooling2D(name="features")(x)
        logits = layers.Dense(classes, name="logits")(features)
        super().__init__(images, [features, logits], name=name)
        self.sizes = {
            "image_size": image_size,
            "channels": channels,
            "classes": classes,
            "widths": tuple(widths),
        }

    def logits_only(self) -> keras.Model:
        """The same network without its features, for training and for classifying."""
        return keras.Model(self.inputs, self.outputs[1])

    def get_config(self):
        return {**self.sizes, "name": self.name}

    @classmethod
    def from_config(cls, config):
        return cls(**config)


class ClassifierExtractor:
    """A classifier as an `Extractor` of `ganzoo.metrics.features`.

    Args:
        network: `Classifier`, filled.
        sha256: str. 64 hex digits of its file.
        name: str. What records call it.
        attributes: names of the logits where they are independent attributes. Defaults to none:
            they are exclusive classes.
    """

    resizer = "none"

    def __init__(self, network, sha256, name, attributes=()):
        self.network, self.sha256, self.name = network, sha256, name
        self.attributes = tuple(attributes)
        self.dim = network.sizes["widths"][-1]
        self.classes = 0 if attributes else network.sizes["classes"]
        sizes = network.sizes
        shape = (None, sizes["image_size"], sizes["image_size"], sizes["channels"])
        self._run = tf.function(self.forward, input_signature=[tf.TensorSpec(shape, tf.uint8)])

    def forward(self, images) -> tuple[tf.Tensor, tf.Tensor]:
        """(features, logits) as tensors, for use in a graph or in `strategy.run`."""
        return self.network(tf.cast(images, "float32"), training=False)

    def __call__(self, images):
        images = checked_images(images)
        size, channels = self.network.sizes["image_size"], self.network.sizes["channels"]
        if images.shape[1:] != (size, size, channels):
            raise MetricError(
                f"The classifier {self.name!r} sees images of {(size, size, channels)} as they are "
                "in its data set; for others take features='inception'. "
                f"Received: images of {images.shape[1:]}"
            )
        return Outputs(*(part.numpy() for part in self._run(tf.constant(images))))

    def probabilities(self, images, batch_size=256) -> np.ndarray | dict[str, np.ndarray]:
        """Probabilities of classes, float64 [N, K]; with attributes a dict of name to [N, 2], the
        second of which is that of having it, as `linear_separability` takes them.
        """
        logits = np.concatenate(
            [self(images[i : i + batch_size]).logits for i in range(0, len(images), batch_size)]
        ).astype(np.float64)
        if not self.attributes:
            return tf.nn.softmax(logits).numpy()
        has = 1.0 / (1.0 + np.exp(-logits))
        return {
            name: np.stack([1.0 - has[:, k], has[:, k]], axis=1)
            for k, name in enumerate(self.attributes)
        }


class ClassifierSimilarity:
    """Perceptual distance by a classifier: squared, between its features of length 1.

    Args:
        extractor: `ClassifierExtractor`.
        resizer: what the reference of a path length calls its resizing: `"stylegan-256"`, which
            leaves images of up to 256 pixels as they are.
    Raises: MetricError: another resizer, or a classifier of larger images.
    """

    def __init__(self, extractor, resizer="stylegan-256"):
        if resizer != "stylegan-256" or extractor.network.sizes["image_size"] > 256:
            raise MetricError(
                "Classifiers see images of their own size, which 'stylegan-256' leaves as they are "
                "up to 256 pixels; take the path lengths 'stylegan' or 'stylegan2-ada'. "
                f"Received: resizer={resizer!r}"
            )
        self.sha256, self.resizer = extractor.sha256, resizer
        self._run = tf.function(extractor.network, reduce_retracing=True)

    def __call__(self, first, second):
        """float64 [B] of two float [B, H, W, C] in [0, 255]."""
        sides = [
            self._run(tf.constant(x, "float32"))[0].numpy().astype(np.float64)
            for x in (first, second)
        ]
        a, b = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in sides)
        return np.square(a - b).sum(axis=1)


# What is shipped


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shipped:
    """A classifier in the package: the sizes of its network and the sha256 of its file."""

    sha256: str
    sizes: dict
    attributes: tuple[str, ...] = ()


SHIPPED = {
    "fashion": Shipped(
        sha256="3ff1ef6f125bffcf14a497cd2f7523a158ff13cfe76f51bac031a58566a3c6a7",
        sizes={"image_size": 28, "channels": 1, "classes": 10},
    ),
    "avatars": Shipped(
        sha256="f547c10baf9feb74f8e7c0abf52ae2e89d35d06412b180753e8be7062155f45b",
        sizes={"image_size": 64, "channels": 3, "classes": 5, "widths": (12, 24, 48, 96)},
        attributes=("glasses", "smiling", "facial_hair", "hat", "long_hair"),
    ),
    "avatars-32": Shipped(
        sha256="4fbad319f3d2125c87cfec6a03ef341a7a80444df2c8ba23ccbde82fa7681f19",
        sizes={"image_size": 32, "channels": 3, "classes": 5, "widths": (16, 32, 96)},
        attributes=("glasses", "smiling", "facial_hair", "hat", "long_hair"),
    ),
}


@functools.cache
def load_classifier(name) -> ClassifierExtractor:
    """A shipped classifier.

    Args: name: out of `SHIPPED`.
    Raises: MetricError: another name. HashError: the file in the package is not the shipped one.
    """
    check_choice(name, "name", SHIPPED)
    shipped = SHIPPED[name]
    path = WEIGHTS / f"{name}-classifier.safetensors"
    found = fetch.sha256_of(path)
    if found != shipped.sha256:
        raise HashError(
            f"{path} is not the file that was shipped; install the package again. "
            f"Expected: sha256 {shipped.sha256}. Received: {found}"
        )
    network = Classifier(**shipped.sizes)
    hub.fill({network.name: network}, hub.read_safetensors(path), str(path))
    return ClassifierExtractor(network, found, name, shipped.attributes)


def save_classifier(network, path) -> str:
    """Writes a classifier with kernels in half precision; returns the file's sha256."""
    from safetensors.numpy import save_file

    from ganzoo.addresses import addresses

    arrays = {}
    for address, variable in addresses(network).items():
        dtype = np.float16 if address.endswith("/kernel") else np.float32
        arrays[f"{network.name}/{address}"] = variable.numpy().astype(dtype)
    save_file(arrays, path)
    return fetch.sha256_of(pathlib.Path(path))


# Training


def train_classifier(
    images, labels, *, epochs=12, seed=0, widths=(24, 48, 96), flip=True, shift=2, callbacks=()
) -> Classifier:
    """Trains a new classifier: Adam, rate falling to 0 as a cosine, smoothed labels.

    Args:
        images: uint8 [N, S, S, C], N >= 128.
        labels: int [N] of exclusive classes, or bool [N, attributes].
        epochs: int > 0.
        seed: int. Of weights, order and augmentation.
        widths: as in `Classifier`.
        flip: bool. Mirror at random.
        shift: int >= 0. Move at random by up to so many pixels, zeros come in.
        callbacks: of Keras, for `fit`.
    Returns: `Classifier`.
    Raises: MetricError: images or labels of another form.
    """
    images, labels = checked_images(images, channels=(1, 2, 3, 4)), np.asarray(labels)
    exclusive = labels.ndim == 1
    if len(labels) != len(images) or images.shape[1] != images.shape[2] or len(images) < BATCH:
        raise MetricError(
            f"A classifier is trained on at least {BATCH} square images and a label of each. "
            f"Received: images {images.shape}, labels {labels.shape}"
        )
    classes = int(labels.max()) + 1 if exclusive else labels.shape[1]
    keras.utils.set_random_seed(seed)
    network = Classifier(images.shape[1], images.shape[3], classes, widths)
    steps = len(images) // BATCH
    schedule = keras.optimizers.schedules.CosineDecay(RATE, epochs * steps)
    targets = np.eye(classes, dtype="float32")[labels] if exclusive else labels.astype("float32")
    loss, accuracy = _judges(exclusive)
    learner = network.logits_only()
    learner.compile(keras.optimizers.Adam(schedule), loss, metrics=[accuracy])
    data = _batches(images, targets, seed, flip, shift)
    plan = {"epochs": epochs, "steps_per_epoch": steps, "shuffle": False}
    learner.fit(data, **plan, callbacks=list(callbacks), verbose=0)
    return network


def _judges(exclusive):
    if exclusive:
        loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=SMOOTHING)
        return loss, keras.metrics.CategoricalAccuracy(name="accuracy")
    loss = keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=SMOOTHING)
    return loss, keras.metrics.BinaryAccuracy(name="accuracy", threshold=0.0)


def _batches(images, targets, seed, flip, shift):
    """Endless shuffled batches, moved and mirrored by stateless numbers."""
    height, width = images.shape[1:3]
    padded = np.pad(images, [(0, 0), (shift, shift), (shift, shift), (0, 0)])

    def one(index, number):
        draw = tf.random.stateless_uniform([3], [seed, number])
        row, column = tf.unstack(tf.cast(draw[:2] * (2 * shift + 1), "int32"))
        image = tf.gather(padded_images, index)[row : row + height, column : column + width]
        image = tf.cond(draw[2] < 0.5, lambda: image[:, ::-1], lambda: image) if flip else image
        return tf.cast(image, "float32"), tf.gather(all_targets, index)

    padded_images, all_targets = tf.constant(padded), tf.constant(targets)
    order = tf.data.Dataset.range(len(images)).shuffle(len(images), seed=seed).repeat()
    numbers = tf.data.Dataset.counter(dtype=tf.int32)
    pairs = tf.data.Dataset.zip((order, numbers))
    return pairs.map(one, num_parallel_calls=2).batch(BATCH).prefetch(2)


def accuracy_trainer(
    **options,
) -> Callable[[np.ndarray, np.ndarray], Callable[[np.ndarray], np.ndarray]]:
    """`train` for `classification_accuracy_score`: a new classifier of the same seed each time.

    Args: **options: of `train_classifier`.
    Returns: function of (images, labels) to a function of images to logits [B, K].
    """

    def train(images, labels):
        network = train_classifier(images, labels, **options)
        learner = network.logits_only()
        return lambda given: learner.predict(
            np.asarray(given, "float32"), batch_size=256, verbose=0
        )

    return train
