"""Style mixing, paths, arithmetic, truncation and noise: points of a latent space as tables."""

import dataclasses
import pathlib

import numpy as np

from ganzoo.editing import figures
from ganzoo.editing.layers import groups, layers_of, style_layers
from ganzoo.editing.space import EditingError, Space
from ganzoo.metrics.perceptual_path_length import lerp, slerp

PATHS = ("open", "loop")
NOISE_KINDS = ("all", "none", "fine", "coarse")


@dataclasses.dataclass(frozen=True)
class Table:
    """Images of points in rows and columns.

    Attributes:
        images: uint8 [R, K, H, W, C].
        points: float32 [R, K, num_ws, style_dim], or [R, K, latent_dim] in z.
        left, top: uint8 [R, H, W, C] and [K, H, W, C], or `None`: the sources.
    """

    images: np.ndarray
    points: np.ndarray
    left: np.ndarray | None = None
    top: np.ndarray | None = None

    def picture(self, gap=None) -> np.ndarray:
        """uint8 [height, width, C]; see `figures.table`."""
        return figures.table(self.images, left=self.left, top=self.top, gap=gap)


def style_mix(generator, rows, columns, layers="coarse", **options) -> Table:
    """Each row's styles, but those of some layers from each column.

    Args:
        generator: `StyleGenerator`.
        rows, columns: sources A and B: seeds, latents or ws, see `Space.points`.
        layers: those that come from B: see `layers_of`. Or a list with one such name, range or
            slice for each row, which gives the paper's figure in one table.
        **options: of `Space`.
    Returns: `Table` in w, with A on the left and B on top.
    Raises: EditingError: for a generator without w, or faulty sources or layers.
    Reference: Karras et al. 2019 (arXiv:1812.04948), section 3.1 and figure 3.
    """
    space = Space(generator, "w", **options)
    a, b = space.points(rows), space.points(columns)
    each = layers if _one_each(layers) else [layers] * len(a)
    if len(each) != len(a):
        raise EditingError(
            f"`layers` must be one choice, or one for each of the {len(a)} rows. "
            f"Received: layers={layers!r}"
        )
    mixed = np.repeat(a[:, np.newaxis], len(b), axis=1)
    for row, choice in zip(mixed, each):
        chosen = layers_of(generator, choice)
        row[:, chosen] = b[:, chosen]
    return Table(space.images(mixed), mixed, left=space.images(a), top=space.images(b))


def _one_each(layers):
    kinds = (str, slice, list, tuple)
    return isinstance(layers, list | tuple) and all(isinstance(x, kinds) for x in layers)


@dataclasses.dataclass(frozen=True)
class Path:
    """Images along a path.

    Attributes:
        images: uint8 [N, H, W, C].
        points: float32 [N, num_ws, style_dim], or [N, latent_dim] in z.
    """

    images: np.ndarray
    points: np.ndarray

    def save(self, file, *, fps=30, columns=None) -> pathlib.Path:
        """See `figures.save`."""
        return figures.save(file, self.images, fps=fps, columns=columns)


def interpolate(generator, sources, steps, *, space=None, path="open", **options) -> Path:
    """Images from one point to the next: along lines in w, along arcs in z.

    Arcs keep the lengths between those of both ends (sines of the angle weight the ends), as the
    latents of a normal distribution have nearly one length.

    Args:
        generator: `Generator` of images.
        sources: at least two, see `Space.points`.
        steps: int > 0. Images from one source to the next, without the latter.
        space: "w" or "z". Defaults to "w" where the generator has one.
        path: "open", from the first source to the last one, or "loop", back to the first.
        **options: of `Space`.
    Returns: `Path` of (sources - 1) * steps + 1 images, or sources * steps for a loop.
    Raises: EditingError: for faulty sources or options.
    """
    space = Space(generator, space, **options)
    keys = space.points(sources)
    if path not in PATHS:
        raise EditingError(f"`path` must be one of {PATHS}. Received: path={path!r}")
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise EditingError(f"`steps` must be an int > 0. Received: steps={steps!r}")
    if len(keys) < 2:
        raise EditingError(f"A path needs two sources or more. Received: {len(keys)}")
    points = points_between(keys, steps, space.name, path)
    return Path(space.images(points), points)


def points_between(keys, steps, space, path) -> np.ndarray:
    """float32 [N, ...] of keys [K, ...]; see `interpolate`."""
    flat = keys.reshape(len(keys), -1)
    ends = np.roll(flat, -1, axis=0)
    if path == "open":
        flat, ends = flat[:-1], ends[:-1]
    t = np.arange(steps, dtype="float32") / steps
    parts = []
    for start, end in zip(flat, ends):
        pair = np.repeat(start[np.newaxis], steps, 0), np.repeat(end[np.newaxis], steps, 0)
        if space == "w":
            parts.append(lerp(*pair, t[:, np.newaxis]))
        else:
            parts.append(slerp(*pair, t[:, np.newaxis], reference="torch-fidelity-any"))
    if path == "open":
        parts.append(ends[-1:])
    return np.concatenate(parts).astype("float32").reshape(-1, *keys.shape[1:])


def arithmetic(generator, terms, *, space=None, **options) -> Table:
    """A weighted sum of means of points, such as "with glasses" - "without" + "another person".

    Args:
        generator: `Generator` of images.
        terms: pairs (weight, sources), such as [(1, [3, 8, 9]), (-1, [1, 4]), (1, [7])].
        space: "w" or "z". Defaults to "w" where the generator has one.
        **options: of `Space`.
    Returns: `Table` of one row: the mean of each term, and the result last.
    Raises: EditingError: for no term, or faulty sources.
    Reference: Radford et al. 2016 (arXiv:1511.06434), section 6.3.2 and figure 7, where three of
        each give stable results.
    """
    space = Space(generator, space, **options)
    try:
        pairs = [(float(weight), sources) for weight, sources in terms]
    except (TypeError, ValueError):
        pairs = []
    if not pairs:
        raise EditingError(
            f"`terms` must be pairs of a weight and sources, at least one. Received: {terms!r}"
        )
    means = [space.points(sources).mean(axis=0) for _, sources in pairs]
    result = sum(weight * mean for (weight, _), mean in zip(pairs, means))
    points = np.stack([*means, result])[np.newaxis].astype("float32")
    return Table(space.images(points), points)


def truncation_sweep(generator, sources, values, **options) -> Table:
    """Each source under several truncations: w = mean + psi (w - mean).

    Args:
        generator: `StyleGenerator`.
        sources: seeds or latents.
        values: floats. psi; 0 is the mean image, negative ones the "opposite" of each source.
        **options: of `Space`, without `truncation`.
    Returns: `Table` in w: a row for each source, a column for each value.
    Raises: EditingError: for a generator without w, or faulty sources or values.
    Reference: Karras et al. 2019 (arXiv:1812.04948), appendix B and figure 8.
    """
    space = Space(generator, "w", **options)
    values = np.asarray(values, "float32")
    if values.ndim != 1 or not values.size or not np.isfinite(values).all():
        raise EditingError(f"`values` must be finite floats [K]. Received: values={values!r}")
    latents = Space(generator, "z").points(sources)
    points = [space.styles(latents, truncation=float(value)) for value in values]
    points = np.stack(points, axis=1)
    return Table(space.images(points), points)


def noise_ablation(generator, sources, kinds=NOISE_KINDS, **options) -> Table:
    """Each source with noise at all layers, at none, at the fine ones only, at the others only.

    The fine layers are those of `groups`; "coarse" is all others, as in the paper's figure. The
    generator is not changed.

    Args:
        generator: `StyleGenerator` with noise.
        sources: see `Space.points`.
        kinds: out of "all", "none", "fine", "coarse".
        **options: of `Space`.
    Returns: `Table` in w: a row for each source, a column for each kind.
    Raises: EditingError: for a generator without noise, or another kind.
    Reference: Karras et al. 2019 (arXiv:1812.04948), section 3.2 and figure 5.
    """
    space = Space(generator, "w", **options)
    noisy = [layer for layer in style_layers(generator) if layer.noise is not None]
    if not noisy:
        raise EditingError(
            f"This {type(generator).__name__} has no noise; a StyleGAN or StyleGAN2 has."
        )
    if isinstance(kinds, str) or not kinds or not set(kinds) <= set(NOISE_KINDS):
        raise EditingError(f"`kinds` must be out of {NOISE_KINDS}. Received: kinds={kinds!r}")
    fine = set(groups(generator)["fine"])
    every = {layer.index for layer in noisy}
    silent = {"all": set(), "none": every, "fine": every - fine, "coarse": every & fine}
    points = space.points(sources)
    images = []
    for kind in kinds:
        strengths = [x.noise.noise_strength for x in noisy if x.index in silent[kind]]
        zeros = [(strength, np.zeros(strength.shape, "float32")) for strength in strengths]
        images.append(space.images(points, replaced=zeros))
    points = np.repeat(points[:, np.newaxis], len(kinds), axis=1)
    return Table(np.stack(images, axis=1), points)
