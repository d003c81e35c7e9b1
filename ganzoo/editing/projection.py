"""Projection: the w whose image is nearest to a given one.

Reference: Karras et al. 2020, "Analyzing and Improving the Image Quality of StyleGAN"
(arXiv:1912.04958), section 5 and appendix D; W+: Abdal et al. 2019 (arXiv:1904.03189).
"""

import dataclasses
import math
import pathlib

import keras
import numpy as np
import tensorflow as tf

from ganzoo import fetch
from ganzoo.editing.directions import read_npz
from ganzoo.editing.layers import style_layers
from ganzoo.editing.space import EditingError, Space, check_generator
from ganzoo.generator import StyleGenerator, to_uint8
from ganzoo.pictures import make_room, write_grid

SPACES = ("w", "w+")
NOISES = ("optimize", "const", "none")
LOSSES = ("auto", "lpips", "multi-scale")
SAMPLES = 10_000  # of w, for its mean and deviation
RATE, RAMP_UP, RAMP_DOWN = 0.1, 0.05, 0.25  # of Adam; shares of the run
W_NOISE, W_NOISE_UNTIL = 0.05, 0.75  # of w's deviation; share of the run
NOISE_WEIGHT = 1e5
SMALLEST_NOISE = 8  # pixels of the pyramid's top
SMALLEST_SCALE = 4  # pixels, of the multi-scale loss
FILE = "projection.npz"


@dataclasses.dataclass(frozen=True)
class Projection:
    """What `project` found.

    Attributes:
        ws: float32 [1, num_ws, style_dim].
        image: uint8 [H, W, C], with the found noise.
        target: uint8 [H, W, C].
        start: uint8 [H, W, C]: the image of the mean w.
        space: "w" or "w+".
        loss: "lpips-vgg" or another network's name, or "multi-scale".
        losses: float32 [steps]. The distance while noise was added to w.
        distance, start_distance: float. Of `image` before rounding, and of the mean w's image.
        noise: {layer: float32 [side, side]}, empty unless it was optimised.
    """

    ws: np.ndarray
    image: np.ndarray
    target: np.ndarray
    start: np.ndarray
    space: str
    loss: str
    losses: np.ndarray
    distance: float
    start_distance: float
    noise: dict[int, np.ndarray]

    @property
    def psnr(self) -> float:
        """Of `image`, in dB; infinite for equal images."""
        return _psnr(self.image, self.target)

    @property
    def start_psnr(self) -> float:
        """Of `start`, in dB."""
        return _psnr(self.start, self.target)

    def replaced(self, generator) -> list[tuple[keras.Variable, np.ndarray]]:
        """Pairs for `Space.images`, so that `generator` makes images with this noise.

        Raises: EditingError: if the generator has no such noise.
        """
        layers = {x.index: x.noise for x in style_layers(generator) if x.noise is not None}
        for number, noise in self.noise.items():
            if number not in layers or tuple(layers[number].noise.shape) != noise.shape:
                raise EditingError(
                    f"This generator has no noise of {noise.shape} at layer {number}: the "
                    "projection is of another one."
                )
        return [(layers[number].noise, noise) for number, noise in self.noise.items()]

    def save(self, folder) -> list[pathlib.Path]:
        """Writes `projected.png`, `side_by_side.png` (target, mean, projected) and
        `projection.npz`, for `load_projection`; returns the paths.
        """
        folder = pathlib.Path(folder)
        path = make_room(folder / FILE)
        arrays = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        arrays |= {f"noise_{k}": noise for k, noise in arrays.pop("noise").items()}
        with open(path, "wb") as file:
            np.savez_compressed(file, **arrays)
        beside = np.stack([self.target, self.start, self.image])
        return [
            write_grid(folder / "projected.png", self.image[np.newaxis]),
            write_grid(folder / "side_by_side.png", beside, columns=3),
            path,
        ]


def load_projection(path) -> Projection:
    """What `Projection.save` wrote: the folder, or the .npz file in it.

    Raises: EditingError: for a file that is none.
    """
    path = pathlib.Path(path)
    path = path / FILE if path.is_dir() else path
    fields = {f.name: f.type for f in dataclasses.fields(Projection) if f.name != "noise"}
    arrays = read_npz(path, fields, "a projection")
    prefix = "noise_"
    noise = {int(k[len(prefix) :]): v for k, v in arrays.items() if k.startswith(prefix)}
    values = {name: arrays[name] for name in fields}
    values |= {name: values[name].item() for name in fields if values[name].ndim == 0}
    if np.ndim(values["ws"]) != 3:
        raise EditingError(f"{str(path)!r} holds no ws. Received: shape {np.shape(values['ws'])}")
    return Projection(**values, noise=noise)


def project(
    generator,
    image,
    *,
    space="w",
    steps=1000,
    seed=0,
    perceptual="auto",
    noise="optimize",
    labels=None,
    samples=SAMPLES,
    learning_rate=RATE,
    progress=None,
) -> Projection:
    """Looks for the w, and the noise, whose image is nearest to `image`.

    Adam from the mean w, with a learning rate that rises during the first twentieth of the run and
    falls (as a cosine) during its last quarter; normal noise on w, which fades out; images of noise
    are kept at mean 0 and variance 1, and their autocorrelation at all scales is penalised.

    Args:
        generator: `StyleGenerator`.
        image: uint8 [H, W, C] of the generator's size.
        space: "w", one w for all layers, or "w+", one for each.
        steps: int > 0.
        seed: int. Of the samples and of all noise.
        perceptual: the distance: "lpips" (VGG; fetched once, 553 MB), "multi-scale" (mean squared
            differences at all sizes, each half of the one before), "auto" (LPIPS if it was fetched
            before, else "multi-scale"), or a `ganzoo.metrics.features.Similarity`.
        noise: "optimize", "const" (that which is stored) or "none".
        labels: int, the class that the mean w is of. Defaults to all classes in turn.
        samples: int > 1, of w, for its mean and deviation.
        learning_rate: float > 0.
        progress: function of (step, distance), called after each step; or `None`.
    Returns: `Projection`. The generator is not changed.
    Raises: EditingError: an image of another size, dtype or range, or faulty options.
    """
    check_generator(generator)
    if not isinstance(generator, StyleGenerator):
        raise EditingError(f"{type(generator).__name__} has no w; projection needs a StyleGAN.")
    _check_options(space, steps, noise, samples, learning_rate)
    target = checked_target(image, generator.sample_shape)
    distance, name = _distance(perceptual)
    mean, deviation = statistics(generator, samples, seed, labels)
    search = _Search(
        generator, target, mean, deviation, distance,
        space=space, steps=steps, seed=seed, noise=noise, rate=learning_rate,
    )
    start, start_distance = search.now()
    losses = np.zeros(steps, "float32")
    for step in range(steps):
        losses[step] = search.step(tf.constant(step, "int32"))
        if not np.isfinite(losses[step]):
            raise EditingError(
                f"The distance is not finite after step {step}; take a smaller learning_rate. "
                f"Received: learning_rate={learning_rate!r}"
            )
        if progress is not None:
            progress(step, float(losses[step]))
    found, last = search.now()
    return Projection(
        ws=search.ws().numpy(), image=found, target=np.asarray(image), start=start, space=space,
        loss=name, losses=losses, distance=last, start_distance=start_distance,
        noise={k: v.numpy() for k, v in search.noises.items()},
    )


def _check_options(space, steps, noise, samples, learning_rate):
    if space not in SPACES:
        raise EditingError(f"`space` must be one of {SPACES}. Received: space={space!r}")
    if noise not in NOISES:
        raise EditingError(f"`noise` must be one of {NOISES}. Received: noise={noise!r}")
    for name, value, least in (("steps", steps, 1), ("samples", samples, 2)):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise EditingError(f"`{name}` must be an int >= {least}. Received: {name}={value!r}")
    if not 0 < learning_rate < math.inf:
        raise EditingError(f"`learning_rate` must be > 0. Received: {learning_rate!r}")


def read_image(path, channels) -> np.ndarray:
    """uint8 [H, W, channels] of a PNG, JPEG, BMP or (its first picture) GIF file.

    Raises: EditingError: if it is none.
    """
    try:
        data = pathlib.Path(path).read_bytes()
        return tf.io.decode_image(data, channels=channels, expand_animations=False).numpy()
    except OSError as error:
        raise EditingError(f"{str(path)!r} cannot be read: {error.strerror}") from None
    except (ValueError, tf.errors.InvalidArgumentError):
        raise EditingError(
            f"{str(path)!r} is no image; expected a PNG, JPEG, BMP or GIF file"
        ) from None


def checked_target(image, shape) -> tf.Tensor:
    """float32 [1, H, W, C] in [-1, 1] of an image.

    Raises: EditingError: for another dtype or shape.
    """
    image = np.asarray(image)
    if image.dtype != np.uint8:
        span = f" in [{image.min():.3g}, {image.max():.3g}]" if image.size else ""
        raise EditingError(
            "The image must be uint8 in [0, 255]; convert floats in [-1, 1] by "
            f"`ganzoo.generator.to_uint8`. Received: {image.dtype}{span}"
        )
    if image.shape != tuple(shape):
        reasons = {
            image.ndim != 3: "one image has the axes [H, W, C]",
            image.ndim == 3 and image.shape[0] == shape[-1]: "the channels come last",
        }
        reason = reasons.get(True, "crop and resize it first")
        raise EditingError(
            f"The image must have the generator's shape [H, W, C] = {tuple(shape)}; {reason}. "
            f"Received: shape {image.shape}"
        )
    return tf.constant(image[np.newaxis], "float32") / 127.5 - 1.0


def statistics(generator, samples=SAMPLES, seed=0, labels=None) -> tuple[np.ndarray, float]:
    """Mean of w, float32 [style_dim], and the root of the mean squared distance from it."""
    if labels is None and generator.num_classes:
        labels = np.arange(samples) % generator.num_classes
    latents, parts = generator.latents(samples, seed), []
    for start in range(0, samples, 1000):
        part = slice(start, start + 1000)
        own = labels[part] if np.ndim(labels) else labels
        parts.append(Space(generator, "w", labels=own).styles(latents[part])[:, 0])
    w = np.concatenate(parts)
    mean = w.mean(axis=0)
    return mean, float(np.sqrt(np.square(w - mean).sum(axis=1).mean()))


def _psnr(found, target):
    error = np.square(found.astype("float64") - target).mean()
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)


# --- distances: functions of two float [1, H, W, C] in [-1, 1] to a scalar


def multi_scale(first, second) -> tf.Tensor:
    """Mean over sizes, each half of the one before, of the mean squared difference."""
    difference, errors = first - second, []
    while True:
        errors.append(tf.reduce_mean(tf.square(difference)))
        if min(difference.shape[1:3]) < 2 * SMALLEST_SCALE:
            return tf.add_n(errors) / len(errors)
        difference = tf.nn.avg_pool2d(difference, 2, 2, "VALID")


def _distance(perceptual):
    """The function, and its name."""
    if isinstance(perceptual, str) and perceptual not in LOSSES:
        raise EditingError(
            f"`perceptual` must be one of {LOSSES}, or a Similarity. Received: {perceptual!r}"
        )
    if perceptual == "auto":
        perceptual = "lpips" if _lpips_is_here() else "multi-scale"
    if perceptual == "multi-scale":
        return multi_scale, perceptual
    if perceptual == "lpips":
        from ganzoo.metrics.features import similarity

        perceptual = similarity("vgg", resizer="stylegan-256")

    def distance(first, second):
        pair = [(x + 1.0) * 127.5 for x in (first, second)]
        if first.shape[-1] == 1:
            pair = [tf.repeat(x, 3, 3) for x in pair]
        return tf.reduce_sum(perceptual.forward(*pair))

    return distance, perceptual.name


def _lpips_is_here():
    return any(fetch.converted("lpips-vgg").parent.glob("lpips-vgg-*/*.safetensors"))


def noise_penalty(noises) -> tf.Tensor:
    """Sum of squared mean products of neighbours, of each image of noise and of its halves.

    Args: noises: float tensors [side, side].
    Reference: arXiv:1912.04958, appendix D.
    """
    penalty = tf.zeros([])
    for noise in noises:
        maps = noise[tf.newaxis, :, :, tf.newaxis]
        while True:
            for axis in (1, 2):
                neighbours = tf.roll(maps, 1, axis)
                penalty += tf.square(tf.reduce_mean(maps * neighbours))
            if maps.shape[1] <= SMALLEST_NOISE:
                break
            maps = 2.0 * tf.nn.avg_pool2d(maps, 2, 2, "VALID")  # keeps the variance
    return penalty


def schedule(t, rate=RATE) -> tf.Tensor:
    """Learning rate at the share t of the run, in [0, 1]."""
    down = tf.minimum(1.0, (1.0 - t) / RAMP_DOWN)
    down = 0.5 - 0.5 * tf.cos(math.pi * down)
    return rate * down * tf.minimum(1.0, t / RAMP_UP)


class _Search:
    """The variables of a projection and its compiled step."""

    def __init__(
        self, generator, target, mean, deviation, distance, *, space, steps, seed, noise, rate
    ):
        self.generator, self.target, self.distance = generator, target, distance
        self.kind = "none" if noise == "none" else "const"
        self.steps, self.seed, self.rate, self.deviation = steps, seed, rate, deviation
        count = generator.num_ws if space == "w+" else 1
        start = np.repeat(np.reshape(mean, [1, 1, -1]), count, 1)
        self.w = keras.Variable(start, name="w")
        self.noises, self.layers = {}, {}
        if noise == "optimize":
            random = np.random.RandomState(seed)
            for layer in style_layers(generator):
                if layer.noise is not None:
                    drawn = random.randn(*layer.noise.noise.shape).astype("float32")
                    self.noises[layer.index] = keras.Variable(drawn, name=f"noise{layer.index}")
                    self.layers[layer.index] = layer.noise
        self.variables = [self.w, *self.noises.values()]
        self.optimizer = keras.optimizers.Adam(rate, beta_1=0.9, beta_2=0.999, epsilon=1e-8)
        self.optimizer.build(self.variables)
        self.step = tf.function(self._step)
        self.render = tf.function(lambda: self._image(self.w.value))

    def ws(self):
        """float32 [1, num_ws, style_dim]."""
        return tf.repeat(self.w.value, self.generator.num_ws // self.w.shape[1], 1)

    def now(self):
        """The image as uint8 [H, W, C] and its distance."""
        image = self.render()
        return to_uint8(image)[0], float(self.distance(image, self.target))

    def _image(self, w):
        ws = tf.repeat(w, self.generator.num_ws // self.w.shape[1], 1)
        pairs = [(self.layers[k].noise, noise.value) for k, noise in self.noises.items()]
        with keras.StatelessScope(state_mapping=pairs):
            return self.generator.seen(self.generator.synthesis(ws, noise=self.kind))

    def _step(self, step):
        t = tf.cast(step, "float32") / self.steps
        added = self.deviation * W_NOISE * tf.square(tf.maximum(0.0, 1.0 - t / W_NOISE_UNTIL))
        drawn = tf.random.stateless_normal(self.w.shape, tf.stack([self.seed, step]))
        values = [variable.value for variable in self.variables]
        with tf.GradientTape() as tape:
            distance = self.distance(self._image(self.w.value + added * drawn), self.target)
            noises = [noise.value for noise in self.noises.values()]
            loss = distance + NOISE_WEIGHT * noise_penalty(noises)
        gradients = tape.gradient(loss, values, unconnected_gradients="zero")
        self.optimizer.learning_rate.assign(schedule(t, self.rate))
        self.optimizer.apply(gradients)
        for noise in self.noises.values():
            centred = noise.value - tf.reduce_mean(noise.value)
            noise.assign(centred * tf.math.rsqrt(tf.reduce_mean(tf.square(centred))))
        return distance
