"""Mixtures of Gaussians in the plane: points without end, and how well a generator covers them."""

import dataclasses
import math
from typing import NoReturn

import numpy as np
import tensorflow as tf

from ganzoo.data.examples import is_count
from ganzoo.data.streams import ENDLESS, check_stream, shard_rows

MIXTURES = {
    "ring": dict(modes=8, radius=2.0, std=0.02),
    "grid": dict(modes=25, radius=4.0, std=0.05),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mixture:
    """Equally likely isotropic Gaussians in the plane, with centres on a ring or a square grid.

    ring: c_k = radius (cos 2 pi k / modes, sin 2 pi k / modes), k = 0 .. modes - 1;
    grid: the points of sqrt(modes) evenly spaced values from -radius to radius on both axes.

    Two published ring scripts (poolio/unrolled_gan, xudonmao/LSGAN) space the angles from 0 to 2 pi
    with the end point, so that the last centre is the first one again: their 8 modes are 7 places,
    one twice as likely. Here 8 modes are 8 places; "7 of 8" is a missed mode.

    Args:
        layout: "ring" or "grid".
        modes: int > 0; for a grid a square number.
        radius: float > 0. Of the ring; for a grid half its side.
        std: float > 0. Of each Gaussian, per axis.
    Raises: ValueError: for values outside these.
    """

    layout: str
    modes: int
    radius: float
    std: float

    def __post_init__(self):
        if self.layout not in MIXTURES:
            raise ValueError(
                f"`layout` is one of {sorted(MIXTURES)}. Received: layout={self.layout!r}"
            )
        square = is_count(self.modes) and math.isqrt(self.modes) ** 2 == self.modes
        if not is_count(self.modes) or (self.layout == "grid" and not square):
            raise ValueError(
                "`modes` is an int > 0, and a square number (16, 25, ...) for a grid. "
                f"Received: layout={self.layout!r}, modes={self.modes!r}"
            )
        if not (self.radius > 0 and self.std > 0):
            raise ValueError(
                "`radius` and `std` are above 0. "
                f"Received: radius={self.radius!r}, std={self.std!r}"
            )

    @property
    def centres(self) -> np.ndarray:
        """float32 [modes, 2]."""
        if self.layout == "ring":
            angles = np.linspace(0.0, 2.0 * np.pi, self.modes, endpoint=False)
            points = self.radius * np.stack([np.cos(angles), np.sin(angles)], axis=-1)
        else:
            ticks = np.linspace(-self.radius, self.radius, math.isqrt(self.modes))
            points = np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)
        return points.astype(np.float32)

    def sample(self, count, *, seed=0) -> np.ndarray:
        """float32 [count, 2] independent points, the same for the same seed."""
        random = np.random.default_rng(seed)
        centres = self.centres[random.integers(self.modes, size=count)]
        return (centres + self.std * random.standard_normal((count, 2))).astype(np.float32)

    # What it is as a data set

    @property
    def kind(self) -> str:
        """See `ganzoo.data.DataSource`."""
        return "points"

    def mixture(self) -> "Mixture":
        """Itself, as `Dataset.mixture` gives it."""
        return self

    def stream(
        self, batch_size, *, seed=0, start=0, epochs=None, shard=(0, 1), data_dir=None
    ) -> tf.data.Dataset:
        """See `ganzoo.data.stream`; a mixture has no labels and no `epochs`."""
        return stream_points(self, batch_size, seed=seed, start=start, epochs=epochs, shard=shard)

    def images(self, *, limit=None, data_dir=None, batch_size=64, labels=False) -> NoReturn:
        """Raises: ValueError: points are no images."""
        raise ValueError(
            f"A mixture has points, not images; use `mixture.sample(count)`. Received: {self!r}"
        )

    def count(self, *, data_dir=None) -> int:
        """Raises: ValueError: points have no end."""
        raise ValueError(
            f"A mixture draws new points for ever, and has no count of them. Received: {self!r}"
        )

    def describe(self) -> str:
        """For a record: `ring modes=8 radius=2.0 std=0.02`."""
        return f"{self.layout} modes={self.modes} radius={self.radius} std={self.std}"

    def get_config(self) -> dict:
        """JSON values, as records hold them; `kind` is the layout."""
        return {"kind": self.layout, "modes": self.modes, "radius": self.radius, "std": self.std}


def ring(modes=8, *, radius=2.0, std=0.02) -> Mixture:
    """`modes` Gaussians on a circle; defaults of improved_wgan_training's gan_toy.py, unscaled."""
    return Mixture(layout="ring", modes=modes, radius=radius, std=std)


def grid(modes=25, *, radius=4.0, std=0.05) -> Mixture:
    """`modes` Gaussians on a square of side 2 radius; defaults of gan_toy.py, unscaled."""
    return Mixture(layout="grid", modes=modes, radius=radius, std=std)


def score(samples, mixture) -> dict[str, float]:
    """Mode coverage of points that a generator made.

    A sample is of high quality if it lies within 3 std of a centre (the mixture itself reaches
    1 - exp(-9/2) = 0.98889), and a mode is covered if it has at least one such sample.

    Args:
        samples: float array [N, 2]; N in the thousands.
        mixture: `Mixture` in the same scale as the samples.
    Returns: dict of
        modes: int, covered modes; higher is better, up to `mixture.modes`.
        high_quality: float in [0, 1], share of high-quality samples; higher is better.
        kl: float >= 0 in nats, sum_k p_k log(p_k modes) with p the share of mode k among the
            high-quality samples; 0 when they are spread evenly, log(modes) when all lie in one
            mode or there are none. An even N-point sample has about (modes - 1) / (2 N).
    Raises: ValueError: for another shape.
    """
    samples = np.asarray(samples, np.float64)
    if samples.ndim != 2 or samples.shape[1] != 2 or len(samples) == 0:
        raise ValueError(
            f"`samples` has the axes [N, 2] with N > 0. Received: samples.shape={samples.shape}"
        )
    distances = np.linalg.norm(samples[:, np.newaxis] - mixture.centres, axis=-1)  # [N, modes]
    close = distances.min(axis=1) < 3.0 * mixture.std
    counts = np.bincount(distances.argmin(axis=1)[close], minlength=mixture.modes)
    divergence = math.log(mixture.modes)
    if close.any():
        shares = counts[counts > 0] / counts.sum()
        divergence = float(np.sum(shares * np.log(shares * mixture.modes)))
    return {
        "modes": int(np.count_nonzero(counts)),
        "high_quality": float(close.mean()),
        "kl": max(divergence, 0.0),
    }


def stream_points(
    mixture, batch_size, *, seed, start, epochs, shard, labelled=False
) -> tf.data.Dataset:
    """The stream of a mixture; `label` is the number of the mode, if `labelled`."""
    check_stream(batch_size, seed, start, epochs, shard)
    if epochs is not None:
        raise ValueError(
            "A mixture draws new points for ever and has no epochs; leave `epochs` out. "
            f"Received: epochs={epochs}"
        )
    centres = tf.constant(mixture.centres)
    rows = shard_rows(batch_size, shard)

    def draw(step):
        mode_seed = tf.stack([tf.constant(seed, tf.int64), 2 * step])
        noise_seed = tf.stack([tf.constant(seed, tf.int64), 2 * step + 1])
        mode = tf.random.stateless_uniform(
            [batch_size], mode_seed, maxval=mixture.modes, dtype=tf.int32
        )
        noise = tf.random.stateless_normal([batch_size, 2], noise_seed)
        points = {"image": tf.gather(centres, mode[rows]) + mixture.std * noise[rows]}
        return {**points, "label": mode[rows]} if labelled else points

    steps = tf.data.Dataset.range(start, ENDLESS)
    return steps.map(draw, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)
