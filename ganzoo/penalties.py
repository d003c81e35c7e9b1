"""Penalties on the critic's derivative, and the weight clipping that came before them.

A `Penalty` adds a term to a player's loss. `value(critic, real, fake, seed)` draws the points and
returns the scalar; each kind also has `at(critic, points)`, the penalty at given points.

Conventions of all kinds:

* `critic` maps points [B, ...] to logits [B, 1] or [B], float32 or not; augmentation and labels are
  inside it. What is differentiated is the *sum* of the logits with respect to the points, which is
  each sample's own gradient as long as the samples do not see each other (batch normalisation and
  minibatch standard deviation break this, here as in every other implementation).
* Precision: points and the derivative are float32 or wider, whatever the policy. A critic that
  computes in float16 can still underflow inside; bfloat16 does not.
* Reduction: the norm is over all axes but the first, summed and not averaged; the scalar is the
  mean over the batch. Under several replicas each returns the mean over its own batch, and the
  trainer divides by the number of replicas.
* `value` is not multiplied by `interval`: the caller does that where it skips steps.
* The points are constants: no gradient reaches what made `fake`.
"""

import difflib

import keras
import tensorflow as tf
from keras import ops

from ganzoo.arguments import captured


def _wide(x):
    """A float tensor of float32 or wider."""
    x = tf.convert_to_tensor(x)
    if not x.dtype.is_floating:
        raise ValueError(
            "A penalty needs points of a float type, because it differentiates with respect to "
            f"them. Received: dtype={x.dtype.name}. Scale images to floats in [-1, 1] first."
        )
    return tf.cast(x, tf.float32) if x.dtype.size < 4 else x


def _per_sample(scalars, like):
    """[B, ...] of any rank with one value per sample -> [B, 1, ..., 1] to multiply `like` with."""
    return tf.reshape(tf.cast(scalars, like.dtype), [-1] + [1] * (like.shape.rank - 1))


def _at_least(name, value, limit, why):
    if not value >= limit:
        raise ValueError(f"`{name}` must be >= {limit}, because {why}. Received: {name}={value}.")
    return float(value)


def _above_zero(name, value, why):
    if not value > 0:
        raise ValueError(f"`{name}` must be > 0, because {why}. Received: {name}={value}.")
    return float(value)


def _choice(name, value, legal):
    if value not in legal:
        near = difflib.get_close_matches(str(value), legal, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(
            f"`{name}` must be one of {', '.join(map(repr, legal))}. "
            f"Received: {name}={value!r}.{hint}"
        )
    return value


def _same_shape(real, fake):
    if not real.shape.is_compatible_with(fake.shape):
        raise ValueError(
            "`real` and `fake` must have one shape, because each real sample is mixed with one "
            f"fake. Received: real of shape {tuple(real.shape)}, fake of shape {tuple(fake.shape)}."
        )


def input_gradient(critic, points) -> tf.Tensor:
    """d (sum of the critic's logits) / d points, differentiable once more.

    Args:
        critic: callable, points -> logits.
        points: float [B, ...], rank >= 2.

    Returns: float32 or wider, the shape of `points`.
    Raises: ValueError: if the rank is below 2, the type is no float type, or the critic's output
        does not depend on the points.
    """
    points = tf.stop_gradient(_wide(points))
    if points.shape.rank is None or points.shape.rank < 2:
        raise ValueError(
            "A penalty needs points [B, ...] of known rank >= 2, because its norm leaves out the "
            f"first axis. Received: shape={points.shape}."
        )
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(points)
        total = tf.reduce_sum(critic(points))
    gradient = tape.gradient(total, points)
    if gradient is None:
        raise ValueError(
            "The critic's logits do not depend on its input, so there is no derivative to "
            f"penalise. Received: critic={critic!r}. Look for a `stop_gradient`, a cast to "
            "integers or a conversion to NumPy inside it."
        )
    return gradient


def squared_norm(gradient) -> tf.Tensor:
    """Sum of squares over all axes but the first: [B, ...] -> [B]."""
    return tf.reduce_sum(tf.square(gradient), axis=list(range(1, gradient.shape.rank)))


def interpolate(real, fake, alpha, *, alpha_weighs="real") -> tf.Tensor:
    """Points on the segments between samples: alpha * real + (1 - alpha) * fake.

    Args:
        real, fake: float [B, ...].
        alpha: float, one value per sample, [B] or [B, 1, ...].
        alpha_weighs: str. `"real"` as above, or `"fake"`: real + alpha * (fake - real).

    Returns: float32 or wider, [B, ...].
    """
    real, fake = _wide(real), _wide(fake)
    _same_shape(real, fake)
    alpha = _per_sample(alpha, real)
    if _choice("alpha_weighs", alpha_weighs, ("real", "fake")) == "fake":
        real, fake = fake, real
    return alpha * real + (1.0 - alpha) * fake


@captured
class Penalty(keras.layers.Layer):
    """Base class: a term on the derivative of the critic, or on any other state of a player.

    A subclass is `captured` and writes `value`. It is a layer so that state of its own can be a
    weight.

    Args:
        interval: int >= 1. The term is computed in every interval-th step only ("lazy"). The
            caller multiplies it by the interval then; `value` does not. Defaults to 1.
        name: str. Name of the term in the logs. Defaults to the kind's own.

    Attributes:
        player: `"discriminator"` or `"generator"`: whose loss the term joins.
        needs_fake: whether `value` reads `fake`; if not, the caller may pass `None` and save them.
    """

    player = "discriminator"
    needs_fake = True

    def __init__(self, *, interval=1, name=None, **kwargs):
        # Its numbers are float32 under every policy; a policy of its own would only mislead.
        kwargs.setdefault("dtype", "float32")
        super().__init__(name=name, **kwargs)
        if isinstance(interval, bool) or not isinstance(interval, int) or interval < 1:
            raise ValueError(
                "`interval` must be an int >= 1, because it counts steps. "
                f"Received: interval={interval!r}. Use 1 for every step, 16 for lazy R1."
            )
        self.interval = interval

    def value(self, critic, real, fake, seed) -> tf.Tensor:
        """The term.

        Args:
            critic: callable, points [B, ...] -> logits [B, 1] or [B].
            real, fake: float [B, ...], rank >= 2: images NHWC or points [B, 2]. `fake` may be
                `None` where `needs_fake` is `False`.
            seed: int32 [2], for `tf.random.stateless_*`.

        Returns: float32 scalar (float64 for float64 points), mean over the batch.
        """
        raise NotImplementedError(f"{type(self).__name__} has no `value` method.")


def _norm(gradient, epsilon, epsilon_in):
    if epsilon_in == "gradient":
        return tf.sqrt(squared_norm(gradient + epsilon))
    return tf.sqrt(squared_norm(gradient) + epsilon)


_EPSILON_WHY = "the norm has no derivative at a zero gradient without it"


class _BetweenPenalty(Penalty):
    """A penalty at random points between real and fake samples; a kind says `at`."""

    def value(self, critic, real, fake, seed):
        real = _wide(real)
        alpha = tf.random.stateless_uniform(tf.shape(real)[:1], seed, dtype=real.dtype)
        return self.at(critic, self.interpolate(real, fake, alpha))

    def interpolate(self, real, fake, alpha):
        """The points for given alphas, one per sample: [B] or [B, 1, ...]."""
        return interpolate(real, fake, alpha, alpha_weighs=self.alpha_weighs)


@keras.saving.register_keras_serializable(package="ganzoo")
@captured
class GradientPenalty(_BetweenPenalty):
    """WGAN-GP: weight * mean (|grad_x D(x)| / target - 1)^2 between real and fake samples.

    x = alpha real + (1 - alpha) fake, alpha ~ U(0, 1), one per sample. The quotient is ProGAN's
    (norm - target)^2 / target^2, and TF-GAN's: the scale does not depend on the target.

    Sign: >= 0. At perfect play 0 is reached by a critic with slope `target` everywhere on the
    segments, but a critic that cannot tell the two apart tends to be flat and then pays `weight`;
    the one-sided kind pays 0.

    Args:
        weight: float >= 0. lambda of the paper. Defaults to 10.0.
        target: float > 0. The slope aimed at; ProGAN has 750 on CIFAR-10. Defaults to 1.0.
        sides: str. `"two"`, or `"one"`: mean max(0, |grad| / target - 1)^2 (WGAN-LP).
            Defaults to `"two"`.
        alpha_weighs: str. Which sample alpha multiplies, `"real"` (WGAN-GP's algorithm 1,
            StudioGAN, CycleGAN) or `"fake"` (TF-GAN, ProGAN). The same distribution: it matters
            only when alphas are compared. Defaults to `"real"`.
        epsilon: float > 0. Keeps the derivative of the norm finite at a zero gradient.
            Defaults to 1e-10 (TF-GAN), which moves a norm of 1 by 5e-11.
        epsilon_in: str. `"square_root"`: sqrt(sum g^2 + epsilon), or `"gradient"`:
            sqrt(sum (g + epsilon)^2), with which CycleGAN uses 1e-16. Defaults to `"square_root"`.
        interval, name: as in `Penalty`.

    Reference: Gulrajani et al. 2017 (arXiv:1704.00028), eq. 3, algorithm 1; Petzka et al. 2018
    (arXiv:1709.08894), eq. 8; Karras et al. 2018 (arXiv:1710.10196), appendix A.1.
    """

    def __init__(
        self,
        weight=10.0,
        *,
        target=1.0,
        sides="two",
        alpha_weighs="real",
        epsilon=1e-10,
        epsilon_in="square_root",
        name="gradient_penalty",
        **kwargs,
    ):
        super().__init__(name=name, **kwargs)
        self.weight = _at_least("weight", weight, 0, "a negative one would reward steep critics")
        self.target = _above_zero("target", target, "the norm is divided by it")
        self.sides = _choice("sides", sides, ("two", "one"))
        self.alpha_weighs = _choice("alpha_weighs", alpha_weighs, ("real", "fake"))
        self.epsilon = _above_zero("epsilon", epsilon, _EPSILON_WHY)
        self.epsilon_in = _choice("epsilon_in", epsilon_in, ("square_root", "gradient"))

    def norms(self, critic, points) -> tf.Tensor:
        """|grad_x D(x)| at every point, [B]."""
        return _norm(input_gradient(critic, points), self.epsilon, self.epsilon_in)

    def at(self, critic, points) -> tf.Tensor:
        """The penalty at given points, scalar."""
        excess = self.norms(critic, points) / self.target - 1.0
        if self.sides == "one":
            excess = tf.nn.relu(excess)
        return self.weight * tf.reduce_mean(tf.square(excess))


@keras.saving.register_keras_serializable(package="ganzoo")
@captured
class MaxGradientPenalty(_BetweenPenalty):
    """MaxGP: weight * max_i |grad_x D(x_i)|^2 between real and fake samples.

    The points are those of `GradientPenalty`. Only the steepest one of the batch (of the replica's
    batch, under several) gets a gradient. Sign: >= 0; perfect play: 0, by a flat critic.

    Args:
        weight: float >= 0. Has to be chosen for the data. Defaults to 1.0.
        alpha_weighs: str. As in `GradientPenalty`. Defaults to `"real"`.
        interval, name: as in `Penalty`.

    Reference: Zhou et al. 2019 (arXiv:1902.05687), "MaxGP"; StudioGAN's `cal_maxgrad_penalty`.
    """

    def __init__(self, weight=1.0, *, alpha_weighs="real", name="max_gradient_penalty", **kwargs):
        super().__init__(name=name, **kwargs)
        self.weight = _at_least("weight", weight, 0, "a negative one would reward steep critics")
        self.alpha_weighs = _choice("alpha_weighs", alpha_weighs, ("real", "fake"))

    def at(self, critic, points) -> tf.Tensor:
        """The penalty at given points, scalar."""
        return self.weight * tf.reduce_max(squared_norm(input_gradient(critic, points)))


@captured
class _ZeroCentred(Penalty):
    def __init__(self, gamma=10.0, *, name, **kwargs):
        super().__init__(name=name, **kwargs)
        self.gamma = _at_least("gamma", gamma, 0, "a negative one would reward steep critics")

    def at(self, critic, points):
        """The penalty at given points, scalar."""
        squares = squared_norm(input_gradient(critic, points))
        return 0.5 * self.gamma * tf.reduce_mean(squares)


@keras.saving.register_keras_serializable(package="ganzoo")
@captured
class R1(_ZeroCentred):
    """R1: gamma / 2 * mean |grad_x D(x)|^2 on real images.

    Sign: >= 0; perfect play: 0, by a flat critic. No norm, hence no square root and no epsilon.

    Args:
        gamma: float >= 0, per image, summed over pixels and channels (not averaged).
            Defaults to 10.0.
        interval, name: as in `Penalty`; StyleGAN2 has interval 16.

    Reference: Mescheder et al. 2018 (arXiv:1801.04406), eq. 9. Same scale as sg3's `r1_gamma`;
    StudioGAN's `cal_r1_reg` is gamma 1.
    """

    needs_fake = False

    def __init__(self, gamma=10.0, *, name="r1", **kwargs):
        super().__init__(gamma, name=name, **kwargs)

    def value(self, critic, real, fake, seed) -> tf.Tensor:
        return self.at(critic, real)


@keras.saving.register_keras_serializable(package="ganzoo")
@captured
class R2(_ZeroCentred):
    """R2: gamma / 2 * mean |grad_x D(x)|^2 on generated images. Otherwise as `R1`.

    Reference: Mescheder et al. 2018 (arXiv:1801.04406), section 4.1; Huang et al. 2024
    (arXiv:2501.05441), "R3GAN", which adds it to `R1` with the same gamma.
    """

    def __init__(self, gamma=10.0, *, name="r2", **kwargs):
        super().__init__(gamma, name=name, **kwargs)

    def value(self, critic, real, fake, seed) -> tf.Tensor:
        return self.at(critic, fake)


@keras.saving.register_keras_serializable(package="ganzoo")
@captured
class DRAGAN(Penalty):
    """DRAGAN: weight * mean (|grad_x D(x)| - 1)^2 around real samples.

    The points depend on `variant`, with s the standard deviation over *all* elements of the batch:

    | variant       | x                            | s divides by | random numbers     |
    | ------------- | ---------------------------- | ------------ | ------------------ |
    | "studiogan"   | real + alpha noise_scale s u | N - 1        | alpha, u ~ U(0, 1) |
    | "author_code" | real + alpha noise_scale s u | N            | alpha, u ~ U(0, 1) |
    | "paper"       | real + noise_scale u         | -            | u ~ N(0, 1)        |

    alpha is one per sample, u one per element. The noise of the first two only ever brightens.
    Sign: >= 0. Perfect play: 0 for a critic with slope 1 around the data, `weight` for a flat one.

    Args:
        weight: float >= 0. lambda of the paper. Defaults to 10.0.
        noise_scale: float >= 0. Defaults to 0.5; sqrt(c) of the paper in variant "paper".
        variant: str. See the table. Defaults to `"studiogan"`.
        epsilon: float > 0, inside the square root of the norm. Defaults to 1e-10.
        interval, name: as in `Penalty`.

    Reference: Kodali et al. 2017 (arXiv:1705.07215), section 2.4, and the authors' notebook.
    """

    needs_fake = False
    VARIANTS = ("studiogan", "author_code", "paper")

    def __init__(
        self,
        weight=10.0,
        *,
        noise_scale=0.5,
        variant="studiogan",
        epsilon=1e-10,
        name="dragan",
        **kwargs,
    ):
        super().__init__(name=name, **kwargs)
        self.weight = _at_least("weight", weight, 0, "a negative one would reward steep critics")
        self.noise_scale = _at_least("noise_scale", noise_scale, 0, "it is a standard deviation")
        self.variant = _choice("variant", variant, self.VARIANTS)
        self.epsilon = _above_zero("epsilon", epsilon, _EPSILON_WHY)

    def value(self, critic, real, fake, seed) -> tf.Tensor:
        real = _wide(real)
        alpha_seed, noise_seed = tf.unstack(tf.random.split(seed, 2))
        alpha = tf.random.stateless_uniform(tf.shape(real)[:1], alpha_seed, dtype=real.dtype)
        draw = tf.random.stateless_uniform
        if self.variant == "paper":
            draw = tf.random.stateless_normal
        noise = draw(tf.shape(real), noise_seed, dtype=real.dtype)
        return self.at(critic, self.perturb(real, alpha, noise))

    def perturb(self, real, alpha, noise) -> tf.Tensor:
        """The points for given random numbers: alpha [B] or [B, 1, ...], noise [B, ...]."""
        real = _wide(real)
        noise = tf.cast(noise, real.dtype)
        if self.variant == "paper":
            return real + self.noise_scale * noise
        variance = tf.math.reduce_variance(real)
        if self.variant == "studiogan":
            count = tf.cast(tf.size(real), real.dtype)
            variance *= count / (count - 1.0)
        return real + _per_sample(alpha, real) * self.noise_scale * tf.sqrt(variance) * noise

    def at(self, critic, points) -> tf.Tensor:
        """The penalty at given points, scalar."""
        norms = _norm(input_gradient(critic, points), self.epsilon, "square_root")
        return self.weight * tf.reduce_mean(tf.square(norms - 1.0))


@keras.saving.register_keras_serializable(package="ganzoo")
@captured
class PathLength(Penalty):
    """Path length: weight * mean (|J^T y| - a)^2, J = d image / d styles, y ~ N(0, 1) / sqrt(H W).

    |.| is over the numbers of a style, root mean square over the layers. a, the running mean of the
    lengths, moves first; the gradient goes through that step of it, as in the official code.

    Sign: >= 0; 0 where every step in style space moves the image by the same length. Its `value`
    differs from the other penalties': it is the generator's.

    Args:
        weight: float >= 0. Defaults to 2.0.
        decay: float in [0, 1]. Share by which `a` moves to the batch's mean. Defaults to 0.01.
        shrink: int >= 1. The part of a batch that pays is 1 / shrink. Defaults to 2.
        interval, name: as in `Penalty`; StyleGAN2 has interval 4.

    Reference: Karras et al. 2020 (arXiv:1912.04958), section 3.2, equation 4, and appendix B.
    """

    player = "generator"
    needs_fake = False

    def __init__(self, weight=2.0, *, decay=0.01, shrink=2, name="path_length", **kwargs):
        super().__init__(name=name, **kwargs)
        self.weight = _at_least("weight", weight, 0, "a negative one would reward uneven paths")
        self.decay = _at_least("decay", decay, 0, "it is a share")
        self.shrink = int(_at_least("shrink", shrink, 1, "a batch is divided by it"))

    def build(self, input_shape=None):
        self.mean = self.add_weight((), "zeros", trainable=False, aggregation="mean", name="mean")

    def share(self, x) -> tf.Tensor:
        """The samples of a batch [B, ...] that pay: B // shrink of them, at least one."""
        return x[: tf.maximum(tf.shape(x)[0] // self.shrink, 1)]

    def value(self, synthesis, ws, seed) -> tf.Tensor:
        """The term, which also moves the running mean.

        Args:
            synthesis: callable, styles [B, layers, D] -> images [B, H, W, C].
            ws: float [B, layers, D].
            seed: int32 [2], for `tf.random.stateless_normal`.

        Returns: float32 scalar, mean over the batch.
        """
        return self.at(self.lengths(synthesis, ws, lambda s: tf.random.stateless_normal(s, seed)))

    def lengths(self, synthesis, ws, draw) -> tf.Tensor:
        """|J^T y| of every sample, [B]; `draw`: shape -> N(0, 1)."""
        ws = _wide(ws)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(ws)
            images = _wide(synthesis(ws))
            noise = tf.cast(draw(tf.shape(images)), images.dtype)
            pixels = tf.cast(images.shape[1] * images.shape[2], images.dtype)
            total = tf.reduce_sum(images * noise) * tf.math.rsqrt(pixels)
        squares = tf.reduce_sum(tf.square(tape.gradient(total, ws)), 2)
        return tf.sqrt(tf.reduce_mean(squares, 1))

    def at(self, lengths) -> tf.Tensor:
        """The penalty of given lengths [B]; moves the running mean."""
        before = self.mean.value
        mean = before + self.decay * (tf.reduce_mean(lengths) - before)
        self.mean.assign(tf.stop_gradient(mean))
        return self.weight * tf.reduce_mean(tf.square(lengths - mean))


@keras.saving.register_keras_serializable(package="ganzoo")
@captured
class WeightClip(keras.constraints.Constraint):
    """Clips every element of a weight to [-limit, limit] after each update.

    Args:
        limit: float > 0. c of the paper. Defaults to 0.01.

    Reference: Arjovsky et al. 2017 (arXiv:1701.07875), algorithm 1, line 7.
    """

    def __init__(self, limit=0.01):
        self.limit = _above_zero("limit", limit, "it is the largest size a weight may have")

    def __call__(self, w):
        return ops.clip(w, -self.limit, self.limit)
