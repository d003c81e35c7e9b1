"""Networks that can `generate()`: what is published, loaded and measured."""

from collections.abc import Iterator

import keras
import numpy as np
import tensorflow as tf

from ganzoo import conditions
from ganzoo.conditions import Attributes, Classes, Unconditional, check_label_range
from ganzoo.layers.style_mapping import check_cutoff, check_truncation, one_hot, with_one_hot

__all__ = ["Generator", "MappedGenerator", "StyleGenerator", "check_label_range", "to_uint8"]
PRIORS = ("normal", "uniform")  # N(0, 1); U(-1, 1)


def to_float(images) -> tf.Tensor:
    """uint8 [..., C] to float32 in [-1, 1]; floats stay as they are."""
    images = tf.convert_to_tensor(images)
    return tf.cast(images, "float32") / 127.5 - 1.0 if images.dtype == tf.uint8 else images


def to_uint8(images) -> np.ndarray:
    """float [..., C] in [-1, 1] to uint8: round(127.5 * x + 127.5), halves up, clipped to [0,
    255].
    """
    images = np.asarray(images, "float32")
    return np.clip(np.floor(images * 127.5 + 128.0), 0, 255).astype("uint8")


def canvas(image_size) -> tuple[int, tuple[int, int] | None]:
    """The side of the square that a network computes, and the part of it that is the image.

    Args: image_size: int, a square (which the network checks); or (height, width), whose larger
        side is a power of two: the image lies in the middle of a square of that side, as LSUN Car's
        384 x 512 do in that of 512 in the official networks.
    Returns: the side; (height, width), or `None` for the whole square.
    Raises: ValueError: for anything else.
    """
    if not isinstance(image_size, (tuple, list)):
        return image_size, None
    whole = all(isinstance(n, int) and not isinstance(n, bool) and n > 0 for n in image_size)
    side = max(image_size) if whole and len(image_size) == 2 else 0
    if not side or side & (side - 1):
        raise ValueError(
            "`image_size` must be an int or (height, width), ints > 0 of which the larger is a "
            f"power of two; resize or crop the images so. Received: image_size={image_size!r}"
        )
    return side, None if image_size[0] == image_size[1] else tuple(image_size)


def window_slices(side, window) -> tuple[slice, slice]:
    """Rows and columns of the window in the middle of a square."""
    return tuple(slice((side - n) // 2, (side - n) // 2 + n) for n in window)


class Generator(keras.Model):
    """A network from latents, and labels where it has classes or attributes, to images.

    A subclass sets the attributes and maps float32 [B, latent_dim] (or a list of it and the
    label) to float32 [B, H, W, C] in [-1, 1].

    Attributes:
        latent_dim: int > 0.
        condition: of `ganzoo.conditions`: what the network is told beside latents. Follows from the
            next two unless it is set.
        num_classes: int. Labels are int32 [B] in [0, num_classes). Defaults to 0, none.
        num_attributes: int. Labels are float32 [B, num_attributes]. Defaults to 0, none.
        prior: `"normal"` (N(0, 1)) or `"uniform"` (U(-1, 1)): what training drew latents from.
        window: (height, width) or `None`. The part in the middle of the network's output that is
            the image: all that `generate` returns. Defaults to `None`, the whole. Training puts
            black around images of this size.
    """

    latent_dim: int = 0
    num_classes: int = 0
    num_attributes: int = 0
    _condition: Unconditional | None = None
    prior: str = "normal"
    window: tuple[int, int] | None = None

    @property
    def condition(self) -> Unconditional:
        """What the network is told beside latents, see `ganzoo.conditions`."""
        numbers = self.num_classes, self.num_attributes
        return conditions.of(*numbers) if self._condition is None else self._condition

    @condition.setter
    def condition(self, condition) -> None:
        self._condition = condition
        self.num_classes = condition.size if isinstance(condition, Classes) else 0
        self.num_attributes = condition.size if isinstance(condition, Attributes) else 0

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """Of a sample that `generate` returns: (H, W, C), or (D,) of a point."""
        shape = self.output_shape[1:]
        return shape if self.window is None else (*self.window, shape[-1])

    def seen(self, images) -> tf.Tensor:
        """The window of float [N, H, W, C] images of the network."""
        if self.window is None:
            return images
        rows, columns = window_slices(self.output_shape[1], self.window)
        return images[:, rows, columns]

    @property
    def conditional(self) -> bool:
        """Whether the network takes a label."""
        return bool(self.condition)

    def draw(self, count, seed) -> tf.Tensor:
        """float32 [count, latent_dim] from the prior, inside a graph; `seed`: int32 [2]."""
        shape = [count, self.latent_dim]
        if self.prior == "uniform":
            return tf.random.stateless_uniform(shape, seed, -1.0, 1.0)
        return tf.random.stateless_normal(shape, seed)

    def latents(self, count: int, seed: int = 0) -> np.ndarray:
        """float32 [count, latent_dim] of `numpy.random.RandomState(seed)`, the convention of
        NVIDIA's scripts.
        """
        state = np.random.RandomState(seed)
        if self.prior == "uniform":
            return state.uniform(-1.0, 1.0, (count, self.latent_dim)).astype("float32")
        return state.randn(count, self.latent_dim).astype("float32")

    def generate(
        self, count=None, *, latents=None, labels=None, seed=0, batch_size=32, **options
    ) -> np.ndarray:
        """Draws samples.

        Args:
            count: int > 0. Defaults to the number of `latents`, or of `labels`, or 1.
            latents: float [count, latent_dim]. Defaults to `self.latents(count, seed)`.
            labels: what `condition` says: an int, or int [count] in [0, num_classes); float [count,
                num_attributes] for a network with attributes. Defaults to 0, 1, 2, ... in turn for
                classes.
            seed: int in [0, 2**32). The same seed gives the same images for any `batch_size`.
            batch_size: int > 0. Images computed at once.
            **options: the family's own, such as `truncation`.

        Returns: uint8 [count, H, W, C] (points: float32 [count, D] where the network makes points).
        Raises: ValueError: if a shape, a label or an option does not fit.
        """
        if not isinstance(batch_size, (int, np.integer)) or batch_size < 1:
            raise ValueError(
                f"`batch_size` must be an int > 0. Received: batch_size={batch_size!r}"
            )
        if labels is not None and not self.conditional:
            raise ValueError(
                f"{type(self).__name__} is unconditional: leave `labels` out. "
                f"Received: labels={labels!r}"
            )
        count = self._count(count, latents, labels)
        latents = self._check_latents(latents, count, seed)
        inputs = [latents] if not self.conditional else [latents, self._check_labels(labels, count)]
        images = []
        for start in range(0, count, batch_size):
            part = [tf.constant(x[start : start + batch_size]) for x in inputs]
            images.append(self.finish(self.forward(part, **options).numpy()))
        return np.concatenate(images)

    def batches(self, count, *, seed=0, batch_size=64, labels=None, **options) -> Iterator:
        """What `generate` draws, batch by batch; a label each in turn where none are given.

        Yields: uint8 [B, H, W, C] (points: float32 [B, D]), or (such, labels).
        """
        latents = self.latents(count, seed)
        labels = self.condition.in_turn(count) if labels is None else labels
        for start in range(0, count, batch_size):
            part = slice(start, start + batch_size)
            given = None if labels is None else labels[part]
            images = self.generate(
                latents=latents[part], labels=given, batch_size=batch_size, **options
            )
            yield images if labels is None else (images, given)

    def finish(self, images: np.ndarray) -> np.ndarray:
        """What `generate` returns for the network's float output."""
        return to_uint8(self.seen(images))

    def forward(self, inputs, **options) -> tf.Tensor:
        """The compiled inference pass: float32 [B, ...] of `[latents]` or `[latents, labels]`."""
        if options:
            raise ValueError(
                f"{type(self).__name__}.generate has no options of its own. "
                f"Received: {sorted(options)}"
            )
        if "_compiled" not in self.__dict__:
            self._compiled = tf.function(self._infer, reduce_retracing=True)
        return self._compiled(inputs)

    def _infer(self, inputs):
        return self(inputs if self.conditional else inputs[0], training=False)

    def _count(self, count, latents, labels):
        if count is None:
            given = [x for x in (latents, labels) if x is not None and np.ndim(x)]
            count = len(given[0]) if given else 1
        if isinstance(count, bool) or not isinstance(count, (int, np.integer)) or count < 1:
            raise ValueError(f"`count` must be an int > 0. Received: count={count!r}")
        return int(count)

    def _check_latents(self, latents, count, seed):
        if latents is None:
            if (
                isinstance(seed, bool)
                or not isinstance(seed, (int, np.integer))
                or not 0 <= seed < 2**32
            ):
                raise ValueError(f"`seed` must be an int in [0, 2**32). Received: seed={seed!r}")
            return self.latents(count, int(seed))
        latents = np.asarray(latents, "float32")
        if latents.shape != (count, self.latent_dim):
            raise ValueError(
                f"`latents` must have shape [count, latent_dim] = {(count, self.latent_dim)}. "
                f"Received: latents of shape {latents.shape}"
            )
        return latents

    def _check_labels(self, labels, count):
        return self.condition.check(labels, count)


class StyleGenerator(Generator):
    """A generator with an intermediate latent space: `synthesis(mapping(z))`.

    Attributes:
        style_dim: int > 0. Numbers of one w.
        num_ws: int > 0. Layers that take a w each.
    """

    style_dim: int = 0
    num_ws: int = 0

    def mapping(self, z, labels=None, truncation=1.0, truncation_cutoff=None) -> tf.Tensor:
        """float32 [N, num_ws, style_dim] of latents [N, latent_dim].

        Args:
            labels: int [N], or float [N, num_classes]; `None` for unconditional networks.
            truncation: float. w moves towards the mean: mean + truncation (w - mean); 1 leaves it.
            truncation_cutoff: int or `None`. Only the first so many layers move. Defaults to all.
        """
        raise NotImplementedError

    def synthesis(self, ws, noise="const", seed=0) -> tf.Tensor:
        """float32 [N, H, W, C] of ws [N, num_ws, style_dim]; about [-1, 1], not clipped.

        Args:
            noise: "const" (that which is stored), "none" or "random" (drawn from `seed`).
            seed: int, or int32 [2]. The same seed draws the same noise.
        """
        raise NotImplementedError


class MappedGenerator(StyleGenerator):
    """A `StyleGenerator` whose layer `mapping`, a `StyleMapping`, makes the ws.

    A subclass writes `synthesis` and `images_of`, and in its `forward` checks their options.
    """

    def __call__(self, inputs, *args, **kwargs):
        return super().__call__(with_one_hot(inputs, self.num_classes), *args, **kwargs)

    def images_of(self, ws, latents, **options) -> tf.Tensor:
        """`synthesis` inside a graph, of ws that fit and of the latents that they come from."""
        raise NotImplementedError

    def mapping(self, z, labels=None, truncation=1.0, truncation_cutoff=None) -> tf.Tensor:
        z = tf.convert_to_tensor(z, "float32")
        if len(z.shape) != 2 or z.shape[1] != self.latent_dim:
            raise ValueError(
                f"`z` must have shape [N, latent_dim] = (None, {self.latent_dim}). "
                f"Received: shape {tuple(z.shape)}"
            )
        check_truncation(truncation)
        check_cutoff(truncation_cutoff, self.num_ws)
        return self.styles(z, labels, truncation=truncation, truncation_cutoff=truncation_cutoff)

    def styles(self, z, labels, **options) -> tf.Tensor:
        """`mapping` with all options of `StyleMapping`, without a look at `z`."""
        labels = None if labels is None else tf.convert_to_tensor(labels)
        return self.get_layer("mapping")(z, one_hot(labels, self.num_classes), **options)

    def check_ws(self, ws) -> tf.Tensor:
        """`ws` as float32. Raises `ValueError` for a shape that does not fit."""
        ws = tf.convert_to_tensor(ws, "float32")
        wanted = (self.num_ws, self.style_dim)
        if len(ws.shape) != 3 or tuple(ws.shape[1:]) != wanted:
            raise ValueError(
                f"`ws` must have shape [N, num_ws, style_dim] = {(None, *wanted)}; `mapping` gives "
                f"such. Received: shape {tuple(ws.shape)}"
            )
        return ws

    def generate(self, count=None, *, labels=None, **options) -> np.ndarray:
        """Draws samples; see `Generator.generate`.

        Args:
            labels: also float [count, num_classes].
            truncation, truncation_cutoff: see `mapping`.
            **options: see `synthesis`.

        Returns: uint8 [count, image_size, image_size, channels], or of `window`'s size.
        """
        if np.ndim(labels) == 2:
            labels = one_hot(np.asarray(labels), self.num_classes)
        return super().generate(count, labels=labels, **options)

    def forward(self, inputs, *, truncation=1.0, truncation_cutoff=None, **options) -> tf.Tensor:
        check_truncation(truncation)
        check_cutoff(truncation_cutoff, self.num_ws)
        whole = not tf.is_tensor(truncation) and truncation == 1.0
        if "_compiled" not in self.__dict__:
            self._compiled = tf.function(self._infer, autograph=False)
        return self._compiled(
            inputs, None if whole else tf.constant(truncation, "float32"), truncation_cutoff,
            **options,
        )

    def _infer(self, inputs, truncation, truncation_cutoff, **options):
        ws = self.styles(
            inputs[0], inputs[1] if self.num_classes else None,
            truncation=1.0 if truncation is None else truncation,
            truncation_cutoff=truncation_cutoff,
        )
        return self.images_of(ws, inputs[0], **options)

    def _check_labels(self, labels, count):
        if np.ndim(labels) == 2 and len(labels) == count:
            return np.asarray(labels)
        return super()._check_labels(labels, count)
