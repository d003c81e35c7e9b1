"""Augmentation of what a discriminator sees, reals and fakes alike, differentiable twice.

An `Augment` is called with images and a seed, and draws for each sample on its own. A generator
does not learn to make augmented images as long as the discriminator sees enough that are not: every
transformation is applied with a probability, which `AdaptiveAugment` finds by itself.
"""

import math

import keras
import numpy as np
import tensorflow as tf

from ganzoo.arguments import captured
from ganzoo.layers.image_transforms import amplify, blit, cut_out, pick, recolour, warp

register = keras.saving.register_keras_serializable(package="ganzoo")

GROUPS = {
    "blit": ("x_flip", "quarter_turn", "integer_shift"),
    "geom": ("isotropic_scale", "rotation", "anisotropic_scale", "fractional_shift"),
    "color": ("brightness", "contrast", "luma_flip", "hue", "saturation"),
    "filter": ("band_1", "band_2", "band_3", "band_4"),
    "noise": ("noise",),
    "cutout": ("cutout",),
}
TRANSFORMS = tuple(name for names in GROUPS.values() for name in names)
SETS = {name: (name,) for name in GROUPS} | {
    name: tuple(GROUPS)[:count]
    for count, name in ((2, "bg"), (3, "bgc"), (4, "bgcf"), (5, "bgcfn"), (6, "bgcfnc"))
}
STRENGTHS = {
    "integer_shift": 0.125, "isotropic_scale": 0.2, "rotation": 1.0, "anisotropic_scale": 0.2,
    "fractional_shift": 0.125, "brightness": 0.2, "contrast": 0.5, "hue": 1.0, "saturation": 1.0,
    **dict.fromkeys(GROUPS["filter"], 1.0), "noise": 0.1, "cutout": 0.5,
}  # fmt: skip
POWERS = (10 / 13, 1 / 13, 1 / 13, 1 / 13)  # of a natural image's bands, appendix B
POLICIES = ("color", "translation", "cutout")


def get(identifier) -> "Augment | None":
    """The `Augment` of an identifier.

    Args: identifier: `Augment`; a name of `SETS` for an `AdaptiveAugment` of it; `"diffaugment"`;
        or `None`, which is returned.
    Raises: ValueError: for anything else.
    """
    if identifier is None or isinstance(identifier, Augment):
        return identifier
    if identifier == "diffaugment":
        return DiffAugment()
    if isinstance(identifier, str) and identifier in SETS:
        return AdaptiveAugment(identifier)
    raise ValueError(
        "`augment` must be an `Augment`, None, 'diffaugment' or, for an adaptive one, one of "
        f"{tuple(SETS)}. Received: augment={identifier!r}"
    )


def _number(name, value, low, high=math.inf):
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise ValueError(
            f"`{name}` must be a number in [{low}, {high}]. Received: {name}={value!r}"
        )
    return float(value)


def _when_any(on, transform, images):
    """`transform(images)` for the samples that are on, bool [N]; not computed when none is."""
    return tf.cond(
        tf.reduce_any(on),
        lambda: tf.where(on[:, tf.newaxis, tf.newaxis, tf.newaxis], transform(images), images),
        lambda: images,
    )


@captured
class Augment(keras.layers.Layer):
    """Base class: a subclass is `captured` and writes `call(images, seed)`.

    Call arguments:
        images: float32 [N, H, W, C], about [-1, 1].
        seed: int32 [2], for `tf.random.stateless_*`. The same seed gives the same augmentation.
    Returns: float32, the shape of `images`. Not clipped.
    """

    def __init__(self, *, name="augment", **kwargs):
        super().__init__(name=name, autocast=False, **{**kwargs, "dtype": "float32"})

    def get_config(self):
        return {"name": self.name}

    def observe(self, real_logits) -> None:
        """Told the logits [N, 1] of each step's augmented real images."""

    def state_logs(self) -> dict:
        """What the training's logs show of it."""
        return {}


class _Numbers:
    """Random numbers for each transformation by name; those of one do not depend on the others."""

    def __init__(self, count, seed):
        # a second rotation follows the transformations
        shape = [count, len(TRANSFORMS) + 1]
        draw = tf.random.stateless_uniform
        gates, first, second, normals, self.seed = tf.unstack(tf.random.split(seed, 5))
        self.gates = draw(shape, gates)
        self.uniforms = tf.stack([draw(shape, first), draw(shape, second)], 2)
        self.normals = tf.random.stateless_normal([*shape, 2], normals)


@register
@captured
class ImageTransforms(Augment):
    """The augmentation pipeline of the ADA paper, with a fixed probability.

    Up to 18 transformations in six groups, in this order, each applied to a sample with the
    probability p times its multiplier (n: N(0, strength^2), u: U(-strength, strength)):

    | group  | transformations                                                                   |
    | ------ | --------------------------------------------------------------------------------- |
    | blit   | x_flip (in half of the cases); quarter_turn (0 to 3); integer_shift (sides times u) |
    | geom   | isotropic_scale (2^n); rotation before and after (half turns times u), together   |
    |        | with p; anisotropic_scale (2^n, 2^-n); fractional_shift (sides times n)           |
    | color  | brightness (+ n); contrast (times 2^n); luma_flip (in half of the cases); hue     |
    |        | (rotation by half turns times u); saturation (times 2^n)                          |
    | filter | band_1 to band_4, lowest first (times 2^n, the whole to equal power)              |
    | noise  | noise of standard deviation abs(n)                                                |
    | cutout | a rectangle of sides times strength becomes 0                                     |

    blit and geom are one affine map, resampled only where geom takes part; otherwise the pixels are
    moved as they are.

    Args:
        transforms: name of `SETS`: one of the groups, or `"bg"`, `"bgc"`, `"bgcf"`, `"bgcfn"`,
            `"bgcfnc"` for the first so many; or {transformation or group: multiplier of p}.
            Defaults to `"bgc"`.
        p: float in [0, 1]. Defaults to 1. With 0 the images are returned as they are. A variable
            of this name holds it.
        strengths: {transformation: strength}, where not the paper's, `STRENGTHS`.

    Input shape: float32 [N, H, W, C]; color needs 1 (hue and saturation do nothing) or 3 channels.
    Reference: Karras et al. 2020 (arXiv:2006.06676), section 2.3 and appendix B.
    """

    def __init__(self, transforms="bgc", p=1.0, *, strengths=None, **kwargs):
        super().__init__(**kwargs)
        self.transforms = transforms
        self.multipliers = _multipliers(transforms)
        self.initial_p = _number("p", p, 0, 1)
        unknown = sorted(set(strengths or {}) - set(STRENGTHS))
        if unknown:
            raise ValueError(
                f"`strengths` has the keys {tuple(STRENGTHS)}. Received: {', '.join(unknown)}"
            )
        self.strengths = {
            **STRENGTHS, **{k: _number(k, v, 0) for k, v in (strengths or {}).items()},
        }
        changed = {k: v for k, v in self.strengths.items() if v != STRENGTHS[k]}
        self.config.update(strengths=changed or None)

    def build(self, input_shape=None):
        self.p = self._state("p", self.initial_p)

    def _state(self, name, value=0.0):
        return self.add_weight(
            (), keras.initializers.Constant(value), trainable=False, aggregation="mean", name=name
        )

    def call(self, images, seed):
        self._check(images)
        numbers = _Numbers(tf.shape(images)[0], seed)
        for group, apply in (
            ("geom", self._place), ("color", self._recolour), ("filter", self._filter),
            ("noise", self._noise), ("cutout", self._cut_out),
        ):  # fmt: skip
            groups = ("blit", "geom") if group == "geom" else (group,)
            if any(self.multipliers[name] for g in groups for name in GROUPS[g]):
                images = apply(images, numbers)
        return images

    def _check(self, images):
        if images.shape.rank != 4 or None in images.shape[1:]:
            raise ValueError(
                f"{type(self).__name__} needs images [N, H, W, C] of known size. "
                f"Received: shape {images.shape}"
            )
        if images.shape[3] not in (1, 3) and any(self.multipliers[n] for n in GROUPS["color"]):
            raise ValueError(
                "The transformations of the group 'color' need images of 1 or 3 channels; leave "
                f"the group out, as in transforms='bg'. Received: shape {images.shape}"
            )

    # --- random numbers of a transformation

    def _on(self, numbers, name):
        """bool [N]."""
        return numbers.gates[:, TRANSFORMS.index(name)] < self.multipliers[name] * self.p.value

    def _drawn(self, numbers, name, kind):
        """float32 [N] of the strength of the transformation, 0 where it is off.

        Args: kind: `"normal"` or `"uniform"`.
        """
        i = TRANSFORMS.index(name)
        if kind == "normal":
            values = numbers.normals[:, i, 0]
        else:
            values = 2 * numbers.uniforms[:, i, 0] - 1
        return tf.where(self._on(numbers, name), values * self.strengths[name], 0.0)

    def _chosen(self, numbers, name, count):
        """int32 [N] in [0, count), 0 where the transformation is off."""
        choice = tf.cast(count * numbers.uniforms[:, TRANSFORMS.index(name), 0], "int32")
        return tf.where(self._on(numbers, name), choice, 0)

    def _any(self, numbers, names):
        return tf.reduce_any([self._on(numbers, name) for name in names], 0)

    # --- blit and geom

    def _place(self, images, numbers):
        mirror = self._chosen(numbers, "x_flip", 2)
        turns = self._chosen(numbers, "quarter_turn", 4)
        shift = self._integer_shift(images, numbers)
        angles = self._angles(numbers)
        resampled = self._any(numbers, ("isotropic_scale", "anisotropic_scale", "fractional_shift"))
        resampled |= tf.reduce_any(tf.not_equal(angles, 0.0), 1)
        moved = (mirror > 0) | (turns > 0) | tf.reduce_any(tf.not_equal(shift, 0), 1)
        inverses = _product(
            _scaling(1.0 - 2.0 * tf.cast(mirror, "float32"), 1.0),
            _rotation(math.pi / 2 * tf.cast(turns, "float32")),
            _translation(-tf.cast(shift, "float32")),
            *self._geometric(images, numbers, angles),
        )
        placed = _when_any(moved & ~resampled, lambda x: blit(x, mirror, turns, shift), images)
        return tf.cond(
            tf.reduce_any(resampled),
            lambda: tf.where(
                resampled[:, tf.newaxis, tf.newaxis, tf.newaxis],
                warp(images, inverses[:, :2]),
                placed,
            ),
            lambda: placed,
        )

    def _integer_shift(self, images, numbers):
        """int32 [N, 2], pixels along x and y."""
        i, sides = TRANSFORMS.index("integer_shift"), _sides(images)
        shares = (2 * numbers.uniforms[:, i] - 1) * self.strengths["integer_shift"]
        on = self._on(numbers, "integer_shift")[:, tf.newaxis]
        return tf.where(on, tf.cast(tf.round(shares * sides), "int32"), 0)

    def _angles(self, numbers):
        """float32 [N, 2], of the rotations before and after the anisotropic scaling; 0 for none."""
        i, extent = TRANSFORMS.index("rotation"), self.strengths["rotation"] * math.pi
        probability = tf.minimum(self.multipliers["rotation"] * self.p.value, 1.0)
        on = tf.gather(numbers.gates, [i, len(TRANSFORMS)], axis=1) < 1 - tf.sqrt(1 - probability)
        return tf.where(on, (2 * numbers.uniforms[:, i] - 1) * extent, 0.0)

    def _geometric(self, images, numbers, angles):
        """Inverse matrices of the group geom."""
        scale = 2 ** -self._drawn(numbers, "isotropic_scale", "normal")
        stretch = 2 ** -self._drawn(numbers, "anisotropic_scale", "normal")
        i = TRANSFORMS.index("fractional_shift")
        shift = numbers.normals[:, i] * self.strengths["fractional_shift"] * _sides(images)
        shift = tf.where(self._on(numbers, "fractional_shift")[:, tf.newaxis], shift, 0.0)
        return (
            _scaling(scale, scale), _rotation(angles[:, 0]), _scaling(stretch, 1 / stretch),
            _rotation(angles[:, 1]), _translation(-shift),
        )  # fmt: skip

    # --- color

    def _recolour(self, images, numbers):
        on = self._any(numbers, GROUPS["color"])
        matrices = self._colours(numbers)[:, :3]
        return _when_any(on, lambda x: recolour(x, matrices), images)

    def _colours(self, numbers):
        """float32 [N, 4, 4]: maps of (r, g, b, 1)."""
        brightness = self._drawn(numbers, "brightness", "normal")
        contrast = 2 ** self._drawn(numbers, "contrast", "normal")
        flip = 2.0 * tf.cast(self._chosen(numbers, "luma_flip", 2), "float32")
        angle = self._drawn(numbers, "hue", "uniform") * math.pi
        saturation = 2 ** self._drawn(numbers, "saturation", "normal")
        return _product(
            _around_luma(saturation),
            _hue(angle),
            _along_luma(1 - flip),
            _diagonal(contrast, contrast, contrast, 1.0),
            _offset(brightness),
        )

    # --- filter, noise, cutout

    def _filter(self, images, numbers):
        names = GROUPS["filter"]
        gains = tf.ones([tf.shape(images)[0], len(names)])
        for i, name in enumerate(names):
            factor = 2 ** self._drawn(numbers, name, "normal")
            gains *= equal_power(tf.where(tf.range(len(names)) == i, factor[:, tf.newaxis], 1.0))
        return _when_any(self._any(numbers, names), lambda x: amplify(x, gains), images)

    def _noise(self, images, numbers):
        deviation = tf.abs(self._drawn(numbers, "noise", "normal"))[:, tf.newaxis, tf.newaxis]
        deviation = deviation[..., tf.newaxis]
        on = self._on(numbers, "noise")
        draw = tf.random.stateless_normal
        return _when_any(on, lambda x: x + deviation * draw(tf.shape(x), numbers.seed), images)

    def _cut_out(self, images, numbers):
        centres = numbers.uniforms[:, TRANSFORMS.index("cutout")]
        on, size = self._on(numbers, "cutout"), self.strengths["cutout"]
        return _when_any(on, lambda x: cut_out(x, centres, size), images)


def _multipliers(transforms):
    """{transformation: multiplier of p}, all of `TRANSFORMS`."""
    if isinstance(transforms, str) and transforms in SETS:
        transforms = dict.fromkeys(SETS[transforms], 1.0)
    if not isinstance(transforms, dict) or set(transforms) - {*GROUPS, *TRANSFORMS}:
        raise ValueError(
            f"`transforms` must be one of {tuple(SETS)}, or a dict with keys of {tuple(GROUPS)} "
            f"and {TRANSFORMS}. Received: transforms={transforms!r}"
        )
    found = dict.fromkeys(TRANSFORMS, 0.0)
    for name in (*GROUPS, *TRANSFORMS):  # a transformation's own multiplier is worth more
        if name in transforms:
            value = _number(name, transforms[name], 0)
            found |= dict.fromkeys(GROUPS.get(name, (name,)), value)
    return found


@register
@captured
class AdaptiveAugment(ImageTransforms):
    """ADA: `ImageTransforms` with the probability that keeps the discriminator from overfitting.

    r_t = E[sign(D(real))] over the last `interval` batches, near 0 for a discriminator that cannot
    tell, 1 for one that knows the data by heart. Then p moves by images / ramp_images, up where
    r_t > target and else down, never below 0. Logs: `ada_p` and `r_t`. It needs a loss whose
    logits are 0 where real and fake are as likely: not least squares, not Wasserstein.

    Args:
        transforms, strengths: see `ImageTransforms`.
        p: float in [0, 1]. To begin with. Defaults to 0.
        target: float in [-1, 1]. Defaults to 0.6.
        interval: int >= 1. Batches between two steps of p. Defaults to 4.
        ramp_images: int > 0. Real images until p can have moved from 0 to 1. Defaults to 500,000;
            100,000 for fine-tuning.

    Reference: Karras et al. 2020 (arXiv:2006.06676), section 3.1, figure 5.
    """

    def __init__(
        self,
        transforms="bgc",
        p=0.0,
        *,
        strengths=None,
        target=0.6,
        interval=4,
        ramp_images=500_000,
        **kwargs,
    ):
        super().__init__(transforms, p, strengths=strengths, **kwargs)
        self.target = _number("target", target, -1, 1)
        for name, value in (("interval", interval), ("ramp_images", ramp_images)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"`{name}` must be an int >= 1. Received: {name}={value!r}")
        self.interval = interval
        self.ramp_images = ramp_images

    def build(self, input_shape=None):
        super().build(input_shape)
        self.r_t = self._state("r_t")
        self.signs = self._state("signs")  # summed means of the batches since the last step of p
        self.batches = self._state("batches")
        self.images = self._state("images")

    def observe(self, real_logits) -> None:
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        count = tf.cast(tf.shape(real_logits)[0] * replicas, "float32")
        sign = tf.reduce_mean(tf.sign(tf.cast(tf.stop_gradient(real_logits), "float32")))
        self.signs.assign(self.signs.value + sign)  # the mean over the replicas
        batches, images = self.batches.value + 1, self.images.value + count
        due = batches >= self.interval
        r_t = self.signs.value / batches
        p = self.p.value + tf.sign(r_t - self.target) * images / self.ramp_images
        self.r_t.assign(tf.where(due, r_t, self.r_t.value))
        self.p.assign(tf.where(due, tf.maximum(p, 0.0), self.p.value))
        self.signs.assign(tf.where(due, 0.0, self.signs.value))
        self.batches.assign(tf.where(due, 0.0, batches))
        self.images.assign(tf.where(due, 0.0, images))

    def state_logs(self) -> dict[str, tf.Tensor]:
        return {"ada_p": self.p.value, "r_t": self.r_t.value}


@register
@captured
class DiffAugment(Augment):
    """Differentiable augmentation: every sample, each transformation of the policy.

    color: brightness (+ U(-0.5, 0.5)), saturation (times U(0, 2) around the pixel's mean over the
    channels), contrast (times U(0.5, 1.5) around the image's mean); translation: up to an eighth of
    the sides, filled with 0; cutout: a rectangle of half the sides becomes 0.

    Args: policy: names out of `POLICIES`. Defaults to all.
    Reference: Zhao et al. 2020 (arXiv:2006.10738), section 4 and appendix.
    """

    def __init__(self, policy=POLICIES, **kwargs):
        super().__init__(**kwargs)
        if isinstance(policy, str) or not set(policy) <= set(POLICIES):
            raise ValueError(f"`policy` must be names out of {POLICIES}. Received: {policy!r}")
        self.policy = tuple(policy)
        self.config.update(policy=list(policy))

    def call(self, images, seed):
        numbers = tf.random.stateless_uniform([7, tf.shape(images)[0]], seed)
        if "color" in self.policy:
            images = self._recolour(images, numbers[:3])
        if "translation" in self.policy:
            images = self._translate(images, numbers[3:5])
        if "cutout" in self.policy:
            images = cut_out(images, tf.transpose(numbers[5:]), 0.5)
        return images

    @staticmethod
    def _recolour(images, numbers):
        numbers = numbers[..., tf.newaxis, tf.newaxis, tf.newaxis]
        brightness, saturation, contrast = tf.unstack(numbers)
        images += brightness - 0.5
        mean = tf.reduce_mean(images, 3, keepdims=True)
        images = (images - mean) * (2 * saturation) + mean
        mean = tf.reduce_mean(images, [1, 2, 3], keepdims=True)
        return (images - mean) * (contrast + 0.5) + mean

    @staticmethod
    def _translate(images, numbers):
        borders = [round(side / 8) for side in images.shape[1:3]]
        wide = tf.pad(images, [[0, 0], *([b, b] for b in borders), [0, 0]])
        positions = []
        for i, border in enumerate(borders):
            first = tf.cast(tf.floor(numbers[i] * (2 * border + 1)), "int32")
            shape = [[1, -1, 1], [1, 1, -1]][i]
            positions.append(
                first[:, tf.newaxis, tf.newaxis]
                + tf.reshape(tf.range(images.shape[i + 1]), shape)
            )
        return pick(wide, *positions)


# --- matrices, [N, 3, 3] or [N, 4, 4]


def _product(*matrices):
    found = matrices[0]
    for matrix in matrices[1:]:
        found = tf.matmul(found, matrix)
    return found


def _matrix(rows):
    """Of rows of numbers and tensors [N]."""
    like = next(x for row in rows for x in row if tf.is_tensor(x))
    return tf.stack(
        [tf.stack([tf.zeros_like(like) + x for x in row], 1) for row in rows], 1
    )


def _diagonal(*values):
    columns = range(len(values))
    return _matrix([[v if i == j else 0.0 for j in columns] for i, v in enumerate(values)])


def _scaling(x, y):
    return _diagonal(x, y, 1.0)


def _rotation(angle):
    sin, cos = tf.sin(angle), tf.cos(angle)
    return _matrix([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])


def _translation(shift):
    x, y = shift[:, 0], shift[:, 1]
    return _matrix([[1.0, 0.0, x], [0.0, 1.0, y], [0.0, 0.0, 1.0]])


def _offset(value):
    return _matrix([[1.0, 0, 0, value], [0, 1.0, 0, value], [0, 0, 1.0, value], [0, 0, 0, 1.0]])


_LUMA = np.pad(np.full((3, 3), 1 / 3), (0, 1)).astype("float32")  # v v^T of v = (1, 1, 1) / sqrt 3
_CHROMA = np.diag([1.0, 1.0, 1.0, 0.0]).astype("float32") - _LUMA
_ONE = np.diag([0.0, 0.0, 0.0, 1.0]).astype("float32")


def _along_luma(factor):
    return factor[:, tf.newaxis, tf.newaxis] * _LUMA + _CHROMA + _ONE


def _around_luma(factor):
    return _LUMA + factor[:, tf.newaxis, tf.newaxis] * _CHROMA + _ONE


def _hue(angle):
    """Rotation about the luma axis."""
    across = np.zeros((4, 4), "float32")  # the cross product with v
    across[:3, :3] = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / 3**0.5
    sin, cos = (f(angle)[:, tf.newaxis, tf.newaxis] for f in (tf.sin, tf.cos))
    return _LUMA + cos * _CHROMA + sin * across + _ONE


def equal_power(gains) -> tf.Tensor:
    """Factors of bands [N, 4], scaled so that a natural image keeps its power."""
    power = tf.reduce_sum(np.float32(POWERS) * tf.square(gains), 1, keepdims=True)
    return gains * tf.math.rsqrt(power)


def _sides(images):
    """float32 [2]: width and height."""
    return np.float32([images.shape[2], images.shape[1]])
