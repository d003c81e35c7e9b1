"""Directions of a latent space: what they are found by, and images along them."""

import dataclasses
import pathlib

import numpy as np

from ganzoo.editing.grids import Table
from ganzoo.editing.layers import layers_of, style_layers
from ganzoo.editing.space import SPACES, EditingError, Space
from ganzoo.metrics.linear_separability import surest
from ganzoo.pictures import make_room

SCALINGS = ("none", "unit")
CUTS = ("svm", "logistic")
PART = 256  # images in memory at once


@dataclasses.dataclass(frozen=True)
class Direction:
    """A direction in which something changes.

    Attributes:
        vector: float32 [style_dim] or [latent_dim]; of length 1 unless it is a `mean_direction`.
        space: "w" or "z".
        accuracy: float in [0, 1] of the cut on samples held out, or `None`.
        origin: str. How it was found.
    """

    vector: np.ndarray
    space: str
    accuracy: float | None = None
    origin: str = ""

    def save(self, path) -> pathlib.Path:
        """Writes a .npz file, for `load_direction`."""
        path = make_room(path)
        accuracy = np.nan if self.accuracy is None else self.accuracy
        arrays = dict(vector=self.vector, space=self.space, accuracy=accuracy, origin=self.origin)
        with open(path, "wb") as file:
            np.savez(file, **arrays)
        return path


def load_direction(path) -> Direction:
    """What `Direction.save` wrote.

    Raises: EditingError: for a file that is none.
    """
    arrays = read_npz(path, ("vector", "space", "accuracy", "origin"), "a direction")
    vector, space, accuracy = arrays["vector"], str(arrays["space"]), float(arrays["accuracy"])
    if vector.ndim != 1 or space not in SPACES or not np.isfinite(vector).all():
        raise EditingError(
            f"{str(path)!r} holds no direction: finite floats [D] and a space out of {SPACES}. "
            f"Received: {vector.dtype} {vector.shape}, space={space!r}"
        )
    accuracy = None if np.isnan(accuracy) else accuracy
    return Direction(vector.astype("float32"), space, accuracy, str(arrays["origin"]))


def read_npz(path, names, what) -> dict[str, np.ndarray]:
    """All arrays of a .npz file, without unpickling.

    Raises: EditingError: if the file is none, or lacks one of `names`.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except FileNotFoundError:
        raise EditingError(f"There is no file {str(path)!r}; expected {what} (.npz)") from None
    except (OSError, ValueError, EOFError, AttributeError) as error:
        raise EditingError(
            f"{str(path)!r} is no .npz file with {what}. Received: {error}"
        ) from None
    except Exception as error:  # zipfile and zlib have types of their own
        raise EditingError(f"{str(path)!r} is damaged. Received: {error}") from None
    missing = [name for name in names if name not in arrays]
    if missing:
        raise EditingError(
            f"{str(path)!r} is not {what}: it lacks {missing}. Received: {sorted(arrays)}"
        )
    return arrays


# --- of the weights alone


@dataclasses.dataclass(frozen=True)
class Directions:
    """Orthonormal directions, the strongest first.

    Attributes:
        vectors: float32 [K, D].
        eigenvalues: float64 [K], falling.
        space: "w" or "z".
        layers: numbers of the layers that they come from; empty in z.
    """

    vectors: np.ndarray
    eigenvalues: np.ndarray
    space: str
    layers: tuple[int, ...] = ()

    def __len__(self):
        return len(self.vectors)

    def __getitem__(self, number) -> Direction:
        if not 0 <= number < len(self):
            raise EditingError(
                f"There are {len(self)} directions, from 0 to {len(self) - 1}. Received: {number}"
            )
        return Direction(self.vectors[number], self.space, origin=f"sefa:{number}")


def sefa(generator, layers="all", *, count=None, scaling="none") -> Directions:
    """Directions in which a generator's first linear maps of the latents change most.

    Eigenvectors of A^T A, where A stacks the affine maps from w to the styles of some layers; of a
    generator without w, its first layer. The sign makes the largest component positive.

    Args:
        generator: `Generator` of images.
        layers: see `layers_of`; "all" for generators without w.
        count: int > 0 or `None` for as many as the space has dimensions.
        scaling: "none" (the paper's equation), or "unit": each row of A is divided by its length
            first, as in the official code.
    Returns: `Directions`.
    Raises: EditingError: for faulty options, or a generator whose first layer is not linear in z.
    Reference: Shen and Zhou 2021 (arXiv:2007.06600), equations 4 to 7; genforce/sefa.
    """
    space = Space(generator)
    if scaling not in SCALINGS:
        raise EditingError(f"`scaling` must be one of {SCALINGS}. Received: scaling={scaling!r}")
    if space.name == "w":
        layers = tuple(layers_of(generator, layers))
        matrix = _affine_maps(generator, layers)
    elif layers != "all":
        style_layers(generator)  # raises
    else:
        layers, matrix = (), _first_map(generator)
    if scaling == "unit":
        lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
        matrix = matrix / np.where(lengths > 0, lengths, 1.0)
    values, vectors = np.linalg.eigh(matrix.T @ matrix)
    values, vectors = np.maximum(values[::-1], 0.0), vectors[:, ::-1].T
    largest = np.abs(vectors).argmax(axis=1)
    vectors = vectors * np.sign(vectors[np.arange(len(vectors)), largest])[:, np.newaxis]
    count = len(vectors) if count is None else count
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= len(vectors):
        raise EditingError(f"`count` must be from 1 to {len(vectors)}. Received: count={count!r}")
    return Directions(vectors[:count].astype("float32"), values[:count], space.name, layers)


def _affine_maps(generator, layers):
    """float64 [styles of the layers, style_dim]."""
    found = [style_layers(generator)[number].affine for number in layers]
    kernels = [affine.scaled_kernel().numpy().T for affine in found if affine is not None]
    if not kernels:
        raise EditingError(f"No layer of {layers} has a style")
    return np.concatenate(kernels).astype("float64")


def _first_map(generator):
    """float64 [outputs, latent_dim] of the layer that the latents enter."""
    kernel = next((w for w in generator.weights if w.path.endswith("kernel")), None)
    wanted, label = generator.latent_dim, generator.num_classes + generator.num_attributes
    shape = () if kernel is None else tuple(kernel.shape)
    if len(shape) == 2 and shape[0] in (wanted, wanted + label):  # latents come first
        return kernel.numpy()[:wanted].T.astype("float64")
    if len(shape) == 4 and shape[3] == wanted:  # a transposed convolution [h, w, maps, latents]
        return kernel.numpy().reshape(-1, wanted).astype("float64")
    raise EditingError(
        f"The first layer of {type(generator).__name__} is no linear map of its {wanted} latents "
        f"alone. Received: kernel of shape {shape}"
    )


# --- of labels


def find_direction(
    generator,
    labels,
    *,
    attribute=None,
    space=None,
    count=10_000,
    seed=0,
    keep=0.5,
    held_out=0.2,
    cut="svm",
    **options,
) -> Direction:
    """The normal of a linear cut between samples with and without something.

    Args:
        generator: `Generator` of images.
        labels: function of uint8 [N, H, W, C] to probabilities: float [N], of having it; [N, 2],
            of not having and having it; or a dict of such by attributes, as classifiers' method
            `probabilities` gives. Or the labels themselves, such an array for the samples of
            `generator.latents(N, seed)`; bools and 0 or 1 do as well.
        attribute: str, the dict's key; `None` where `labels` gives no dict.
        space: "w" or "z". Defaults to "w" where the generator has one.
        count: int. Samples that a function labels.
        seed: int. Of the latents and of the cut.
        keep: float in (0, 1]. Share of samples to keep of those with it and of those without: the
            surest ones.
        held_out: float in (0, 1). Share of these that only the accuracy is measured on.
        cut: "svm" (`LinearSVC`) or "logistic".
        **options: of `Space`.
    Returns: `Direction` of length 1, towards having it, with its accuracy.
    Raises: EditingError: for faulty labels or options, too few samples of a kind, or a missing
        scikit-learn.
    Reference: Shen et al. 2020 (arXiv:1907.10786), section 3.1; Karras et al. 2019
        (arXiv:1812.04948), section 4.2.
    """
    _check_cut(keep, held_out, cut)
    space = Space(generator, space, **options)
    latents = generator.latents(count if callable(labels) else len(labels), seed)
    points, probabilities = [], []
    for start in range(0, len(latents), PART):
        part = space.points(latents[start : start + PART])
        if callable(labels):
            found = labels(space.images(part))
            probabilities.append(_probabilities(found, attribute, len(part)))
        points.append(part[:, 0] if space.name == "w" else part)  # one w for all layers
    if not callable(labels):
        probabilities = [_probabilities(labels, attribute, len(latents))]
    probabilities = np.concatenate(probabilities)
    chosen, classes = _surest_of_each(probabilities, keep, np.random.RandomState(seed))
    normal, accuracy = _separate(np.concatenate(points)[chosen], classes, held_out, cut, seed)
    name = attribute or "labels"
    return Direction(normal.astype("float32"), space.name, accuracy, f"{cut}:{name}")


def _check_cut(keep, held_out, cut):
    if cut not in CUTS:
        raise EditingError(f"`cut` must be one of {CUTS}. Received: cut={cut!r}")
    if not 0 < keep <= 1 or not 0 < held_out < 1:
        raise EditingError(
            "`keep` must be in (0, 1], `held_out` in (0, 1). "
            f"Received: keep={keep!r}, held_out={held_out!r}"
        )


def _probabilities(found, attribute, count):
    """float64 [N], of having it."""
    if isinstance(found, dict):
        if attribute not in found:
            raise EditingError(
                f"`attribute` must be one of {sorted(found)}. Received: attribute={attribute!r}"
            )
        found = found[attribute]
    elif attribute is not None:
        raise EditingError(f"These labels have no names. Received: attribute={attribute!r}")
    found = np.asarray(found, "float64")
    if found.shape == (count, 2):
        found = found[:, 1]
    if found.shape != (count,) or not ((found >= 0) & (found <= 1)).all():
        raise EditingError(
            f"Labels must be in [0, 1] and have shape ({count},) or ({count}, 2). "
            f"Received: shape {found.shape}"
        )
    return found


def _surest_of_each(probabilities, keep, random):
    """Rows, shuffled, as many of each kind, and their classes."""
    has = probabilities > 0.5
    kinds = [np.flatnonzero(~has), np.flatnonzero(has)]
    each = int(keep * min(map(len, kinds)))
    if each < 5:
        raise EditingError(
            "A cut needs at least five samples to keep of either kind; draw more, or keep more. "
            f"Received: {len(kinds[1])} with and {len(kinds[0])} without, keep={keep!r}"
        )
    sure = np.abs(probabilities - 0.5)[:, np.newaxis]
    rows = np.concatenate([kind[surest(sure[kind], each)] for kind in kinds])
    order = random.permutation(len(rows))
    return rows[order], np.repeat([0, 1], each)[order]


def _separate(points, classes, held_out, cut, seed):
    """Unit normal and accuracy."""
    try:
        from sklearn.linear_model import LogisticRegression
        from sklearn.svm import LinearSVC
    except ImportError:
        raise EditingError(
            "A linear cut needs scikit-learn: `pip install 'keras-ganzoo[metrics]'`."
        ) from None
    split = max(1, int(len(points) * held_out))
    mean, deviation = points[split:].mean(axis=0), points[split:].std()  # one scale keeps angles
    scaled = (points - mean) / max(deviation, 1e-12)
    model = (
        LinearSVC(random_state=seed, max_iter=5000)
        if cut == "svm"
        else LogisticRegression(max_iter=1000)
    )
    if len(set(classes[split:])) < 2:
        raise EditingError(f"Too few samples for held_out={held_out!r}. Received: {len(points)}")
    model.fit(scaled[split:], classes[split:])
    accuracy = float(np.mean(model.predict(scaled[:split]) == classes[:split]))
    return model.coef_[0] / np.linalg.norm(model.coef_[0]), accuracy


def mean_direction(generator, towards, away, *, space=None, **options) -> Direction:
    """mean(towards) - mean(away), not of length 1: a strength of 1 is the whole difference.

    Args: towards, away: sources, see `Space.points`; the others as for `find_direction`.
    """
    space = Space(generator, space, **options)
    means = [space.points(sources).mean(axis=0) for sources in (towards, away)]
    vector = means[0] - means[1]
    if space.name == "w":
        if not np.allclose(vector, vector[:1], atol=1e-6):
            raise EditingError(
                "These ws differ from layer to layer; means of seeds and latents give a direction."
            )
        vector = vector[0]
    return Direction(vector.astype("float32"), space.name, origin="mean")


def orthogonal(direction: Direction, *others: Direction) -> Direction:
    """The part of a direction that leaves others alone, of length 1.

    Raises: EditingError: other spaces or sizes, or nothing is left.
    Reference: Shen et al. 2020 (arXiv:1907.10786), section 3.2, for any number of others.
    """
    for other in others:
        if (other.space, other.vector.shape) != (direction.space, direction.vector.shape):
            raise EditingError(
                f"Directions of one space and size are needed, {direction.space!r} and "
                f"{direction.vector.shape}. Received: {other.space!r} and {other.vector.shape}"
            )
    vector = direction.vector.astype("float64")
    length = np.linalg.norm(vector)
    if others:
        spanned = np.stack([x.vector for x in others], 1).astype("float64")
        u, sizes, _ = np.linalg.svd(spanned, full_matrices=False)
        basis = u[:, sizes > 1e-6 * sizes[0]]
        vector = vector - basis @ (basis.T @ vector)
    left = np.linalg.norm(vector)
    if not left > 1e-5 * length:
        raise EditingError("Nothing of the direction is left: the others span it.")
    return dataclasses.replace(direction, vector=(vector / left).astype("float32"), accuracy=None)


# --- along a direction


def edit(
    generator, sources, direction, strengths, *, layers="all", noise_of=None, **options
) -> Table:
    """Each source, moved along a direction: point + strength * direction, at some layers.

    Args:
        generator: `Generator` of images.
        sources: see `Space.points`.
        direction: `Direction`.
        strengths: floats.
        layers: see `layers_of`; of directions in w.
        noise_of: `Projection` whose noise the images have, or `None` for the generator's.
        **options: of `Space`.
    Returns: `Table`: a row for each source, a column for each strength.
    Raises: EditingError: a direction of another space or size, or faulty strengths or layers.
    """
    space = Space(generator, direction.space, **options)
    strengths = np.asarray(strengths, "float32")
    if strengths.ndim != 1 or not strengths.size or not np.isfinite(strengths).all():
        raise EditingError(f"`strengths` must be finite floats [K]. Received: {strengths!r}")
    if direction.vector.shape != space.shape[-1:]:
        raise EditingError(
            f"A direction of this generator's {space.name} has shape {space.shape[-1:]}. "
            f"Received: shape {direction.vector.shape}"
        )
    moves = strengths[:, np.newaxis] * direction.vector
    if space.name == "w":
        mask = np.zeros((generator.num_ws, 1), "float32")
        mask[layers_of(generator, layers)] = 1
        moves = moves[:, np.newaxis] * mask
    elif layers != "all":
        raise EditingError(f"Directions of z move all layers. Received: layers={layers!r}")
    points = space.points(sources)[:, np.newaxis] + moves
    replaced = () if noise_of is None else noise_of.replaced(generator)
    return Table(space.images(points, replaced), points)
