"""What a network is told beside its latents: nothing, a class, attributes, or a vector.

A network has one `condition`. It checks what users give, makes up what they do not, and draws what
training needs; nobody else asks which kind it is.
"""

import keras
import numpy as np


class Unconditional:
    """Nothing is told."""

    dtype: str | None = None
    size = 0

    def __bool__(self):
        return self.dtype is not None

    def __eq__(self, other):
        return type(self) is type(other) and vars(self) == vars(other)

    def __hash__(self):
        return hash((type(self), repr(self)))

    def __repr__(self):
        settings = ", ".join(f"{key}={value!r}" for key, value in vars(self).items())
        return f"{type(self).__name__}({settings})"

    def check(self, values, count: int) -> np.ndarray | None:
        """What the network takes, as an array [count, ...].

        Args: values: what a user gave; one for all, or one each; `None` takes `in_turn`.
        Raises: ValueError: naming what does not fit.
        """
        if values is not None:
            raise ValueError(
                "An unconditional network takes no labels: leave `labels` out. "
                f"Received: labels={values!r}"
            )
        return None

    def in_turn(self, count: int, places=None) -> np.ndarray | None:
        """What samples are made of unless somebody says it; an array [count, ...] or `None`.

        Args: places: int [count]. Which of the possibilities each is. Defaults to 0, 1, 2, ...
        """
        return None

    def draw(self, count: int, seed: int) -> np.ndarray | None:
        """Random values of training's kind, the same for the same seed; NumPy, or `None`."""
        return None

    def input(self, name="label") -> keras.KerasTensor:
        """The `keras.Input` of a functional network."""
        raise ValueError("An unconditional network has no input for labels.")

    @property
    def words(self) -> str:
        """" of 10 classes", for a sentence that ends so."""
        return ""


class Classes(Unconditional):
    """One of `count` classes, int32 [B]."""

    dtype = "int32"

    def __init__(self, count: int):
        self.count = count

    @property
    def size(self) -> int:
        return self.count

    def check(self, values, count) -> np.ndarray:
        if values is None:
            return self.in_turn(count)
        labels = np.asarray(values)
        if labels.ndim == 0:
            labels = np.full(count, labels)
        if labels.shape != (count,) or not np.issubdtype(labels.dtype, np.integer):
            raise ValueError(
                f"`labels` must be an int or ints of shape [count] = {(count,)}. "
                f"Received: {labels.dtype} of shape {labels.shape}"
            )
        check_label_range(labels, self.count)
        return labels.astype("int32")

    def in_turn(self, count, places=None) -> np.ndarray:
        return (np.arange(count) if places is None else np.asarray(places)) % self.count

    def draw(self, count, seed) -> np.ndarray:
        return np.random.RandomState(seed).randint(0, self.count, count).astype("int32")

    def input(self, name="label") -> keras.KerasTensor:
        return keras.Input((), dtype="int32", name=name)

    @property
    def words(self) -> str:
        return f" of {self.count} classes"


class Attributes(Unconditional):
    """Several yes or no at once, float32 [B, size].

    Args: names: int, how many; or tuple of str, what each is called.
    """

    dtype = "float32"

    def __init__(self, names):
        self.names = names

    @property
    def size(self) -> int:
        return self.names if isinstance(self.names, int) else len(self.names)

    def check(self, values, count) -> np.ndarray:
        shape = (count, self.size)
        if values is None or np.shape(values) not in (shape, shape[1:]):
            received = None if values is None else f"shape {np.shape(values)}"
            raise ValueError(
                "This network needs `labels`, float of shape [count, num_attributes] = "
                f"{shape} or {shape[1:]}. Received: labels={received}"
            )
        return np.broadcast_to(np.asarray(values, "float32"), shape).copy()

    def in_turn(self, count, places=None) -> np.ndarray:
        places = np.arange(count) if places is None else np.asarray(places)
        return np.eye(self.size, dtype="float32")[places % self.size]

    def draw(self, count, seed) -> np.ndarray:
        return np.random.RandomState(seed).randint(0, 2, (count, self.size)).astype("float32")

    def input(self, name="label") -> keras.KerasTensor:
        return keras.Input((self.size,), name=name)

    @property
    def words(self) -> str:
        return f" with {self.size} attributes"


class Vector(Unconditional):
    """A vector, such as an embedded caption, float32 [B, dim]."""

    dtype = "float32"

    def __init__(self, dim: int):
        self.dim = dim

    @property
    def size(self) -> int:
        return self.dim

    def check(self, values, count) -> np.ndarray:
        shape = (count, self.dim)
        if values is None:
            return self.in_turn(count)
        vectors = np.asarray(values)
        if vectors.shape not in (shape, shape[1:]) or not np.issubdtype(vectors.dtype, np.number):
            raise ValueError(
                f"`labels` of this network are vectors, float of shape [count, dim] = {shape} or "
                f"{shape[1:]}. Received: {vectors.dtype} of shape {vectors.shape}"
            )
        if not np.isfinite(vectors).all():
            raise ValueError("`labels` must be finite. Received: NaN or infinity among them")
        return np.broadcast_to(vectors.astype("float32"), shape).copy()

    def in_turn(self, count, places=None) -> np.ndarray:
        places = np.arange(count) if places is None else np.asarray(places)
        kinds = np.unique(places)
        vectors = np.stack([self.draw(1, int(place))[0] for place in kinds])
        return vectors[np.searchsorted(kinds, places)]

    def draw(self, count, seed) -> np.ndarray:
        return np.random.RandomState(seed).randn(count, self.dim).astype("float32")

    def input(self, name="label") -> keras.KerasTensor:
        return keras.Input((self.dim,), name=name)

    @property
    def words(self) -> str:
        return f" told by vectors of {self.dim} numbers"


def of(num_classes=0, num_attributes=0) -> Unconditional:
    """`Classes`, `Attributes` or `Unconditional`, by the numbers that are families' arguments."""
    if num_classes:
        return Classes(num_classes)
    return Attributes(num_attributes) if num_attributes else Unconditional()


def check_label_range(labels, num_classes) -> None:
    """Raises `ValueError` that names the first label outside [0, num_classes)."""
    wrong = labels[(labels < 0) | (labels >= num_classes)]
    if wrong.size:
        raise ValueError(
            f"`labels` must be in [0, {num_classes}), one of this model's {num_classes} classes. "
            f"Received: {wrong.flat[0]}"
        )
