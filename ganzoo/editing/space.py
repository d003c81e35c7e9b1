"""Points of a latent space, from seeds to images."""

import keras
import numpy as np
import tensorflow as tf

from ganzoo.errors import EditingError
from ganzoo.generator import Generator, StyleGenerator

SPACES = ("w", "z")


def check_generator(generator) -> None:
    """Raises `EditingError` unless it is a `Generator`."""
    if not isinstance(generator, Generator):
        raise EditingError(
            "`generator` must be a generator, such as `ganzoo.load_generator(name)` or a model's "
            f"`generator_ema`. Received: {type(generator).__name__}"
        )


class Space:
    """A generator's z or w: reads points of it and makes their images.

    Args:
        generator: `Generator` of images.
        name: `"w"`, in which a point is [num_ws, style_dim], or `"z"`: [latent_dim]. Defaults to
            "w" where the generator has one.
        labels: int, or the label that `generator.generate` takes, of every point. In "w" also one
            for each point that is read. Defaults to class 0.
        truncation, truncation_cutoff: see `StyleGenerator.mapping`. Default to none.
        noise: see `StyleGenerator.synthesis`.
        batch_size: int > 0. Images computed at once.
    Raises: EditingError: for a generator of points, another space, or "w" where there is none.
    """

    def __init__(
        self,
        generator,
        name=None,
        *,
        labels=None,
        truncation=1.0,
        truncation_cutoff=None,
        noise="const",
        batch_size=8,
    ):
        check_generator(generator)
        self.styled = isinstance(generator, StyleGenerator)
        if len(generator.output_shape) != 4:
            raise EditingError(
                f"{type(generator).__name__} makes points of a mixture; editing needs a generator "
                f"of images. Received: output shape {generator.output_shape}"
            )
        self.name = name or ("w" if self.styled else "z")
        self._check(generator, truncation, batch_size)
        if labels is None and generator.num_classes:
            labels = 0
        self.generator, self.labels, self.noise = generator, labels, noise
        self.truncation, self.truncation_cutoff = truncation, truncation_cutoff
        self.batch_size = batch_size

    def _check(self, generator, truncation, batch_size):
        kind = type(generator).__name__
        if self.name not in SPACES:
            raise EditingError(f"`space` must be one of {SPACES}. Received: space={self.name!r}")
        if self.name == "w" and not self.styled:
            raise EditingError(f"{kind} has no w; take space='z'. Received: space='w'")
        if not self.styled and truncation != 1.0:
            raise EditingError(
                f"{kind} has no w that could be truncated; leave `truncation` at 1. "
                f"Received: truncation={truncation!r}"
            )
        if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
            raise EditingError(f"`batch_size` must be an int > 0. Received: {batch_size!r}")

    @property
    def shape(self) -> tuple[int, ...]:
        """Of a point."""
        if self.name == "z":
            return (self.generator.latent_dim,)
        return (self.generator.num_ws, self.generator.style_dim)

    def points(self, sources) -> np.ndarray:
        """float32 [N, *shape] of seeds, latents or points.

        Args:
            sources: ints [N], seeds: point n is that of `generator.latents(1, sources[n])`, as in
                NVIDIA's scripts; or float [N, latent_dim], latents; or in w float [N, num_ws,
                style_dim], as it is.
        Raises: EditingError: for anything else.
        """
        array = np.asarray(sources)
        if array.ndim == 1 and array.size and array.dtype.kind in "iu":
            array = self._seeded(array)
        elif array.dtype.kind != "f" or not np.isfinite(array).all():
            self._refuse(array)
        if array.ndim == 3 and self.name == "w" and array.shape[1:] == self.shape and len(array):
            return array.astype("float32")
        if array.ndim != 2 or array.shape[1] != self.generator.latent_dim or not len(array):
            self._refuse(array)
        array = array.astype("float32")
        return array if self.name == "z" else self.styles(array)

    def _refuse(self, array):
        latents = ("N", self.generator.latent_dim)
        forms = f"seeds (ints [N], N > 0), latents (finite floats {latents})"
        if self.name == "w":
            forms += f", or ws {('N', *self.shape)}"
        raise EditingError(
            f"Points come as {forms}. Received: {array.dtype} of shape {array.shape}"
        )

    def _seeded(self, seeds):
        if ((seeds < 0) | (seeds >= 2**32)).any():
            raise EditingError(f"Seeds are ints in [0, 2**32). Received: {seeds.tolist()}")
        return np.concatenate([self.generator.latents(1, int(seed)) for seed in seeds])

    def styles(self, latents, truncation=None) -> np.ndarray:
        """float32 [N, num_ws, style_dim] of latents; `truncation`: instead of the space's own."""
        truncation = self.truncation if truncation is None else truncation
        labels = self._labels(len(latents))
        found = []
        for start in range(0, len(latents), 1000):
            part = slice(start, start + 1000)
            ws = self.generator.mapping(
                tf.constant(latents[part]), None if labels is None else labels[part],
                truncation=truncation, truncation_cutoff=self.truncation_cutoff,
            )
            found.append(ws.numpy())
        return np.concatenate(found)

    def _labels(self, count):
        """One for each of `count` points."""
        if self.labels is None or not self.generator.conditional:
            return self._unconditional()
        labels = np.asarray(self.labels)
        width = 1 if self.generator.num_attributes else 0  # dimensions of one label
        if labels.ndim == width:
            return np.repeat(labels[np.newaxis], count, 0)
        if len(labels) != count:
            raise EditingError(
                f"One label, or one for each of the {count} points. "
                f"Received: labels of shape {labels.shape}"
            )
        return labels

    def _unconditional(self):
        if self.labels is not None:
            raise EditingError(
                f"{type(self.generator).__name__} is unconditional: leave `labels` out. "
                f"Received: labels={self.labels!r}"
            )

    def images(self, points, replaced=()) -> np.ndarray:
        """uint8 [..., H, W, C] of points [..., *shape].

        Args: replaced: pairs of a `keras.Variable` of the synthesis and what it shall be.
        """
        points = np.asarray(points, "float32")
        axes = points.shape[: points.ndim - len(self.shape)]
        flat = points.reshape(-1, *self.shape)
        if not self.styled:
            images = self.generator.generate(
                latents=flat, labels=self._labels(len(flat)), batch_size=self.batch_size
            )
        else:
            images = self._synthesis(self.styles(flat) if self.name == "z" else flat, replaced)
        return images.reshape(*axes, *images.shape[1:])

    def _synthesis(self, ws, replaced):
        def run(ws):
            with keras.StatelessScope(state_mapping=list(replaced)):
                return self.generator.synthesis(ws, noise=self.noise)

        size = min(self.batch_size, len(ws))
        if len(ws) > 2 * size:
            run = tf.function(run)
        images = []
        for start in range(0, len(ws), size):
            part = ws[start : start + size]
            whole = np.concatenate([part, np.repeat(part[-1:], size - len(part), 0)])
            images.append(self.generator.finish(run(tf.constant(whole)))[: len(part)])
        return np.concatenate(images)
