"""Adversarial losses: two players' objectives as one object.

Every kind is an `AdversarialLoss` with two methods, `discriminator(real_logits, fake_logits)` and
`generator(fake_logits, real_logits=None)`. Both return a scalar that the player *minimises*.
Conventions of all kinds:

* `r` is a logit (the network's output before any sigmoid) of a real sample, `f` of a generated one.
* Reduction: the mean over all elements, that is over the batch and, for a patch discriminator, over
  its positions. Under several replicas each replica returns the mean over its own batch, and the
  trainer divides by the number of replicas.
* Precision: float32 or wider. float16 and bfloat16 logits are cast to float32, float64 is kept.
* "Perfect play" means that generated and real samples have the same distribution and that the
  discriminator is the best one against them: the values every docstring gives are the ones a
  finished training should show.
"""

import math

import keras
import tensorflow as tf
from keras import ops

from ganzoo.arguments import captured
from ganzoo.checks import check_choice


def _wide(logits):
    """The logits as a tensor of float32 or wider."""
    logits = ops.convert_to_tensor(logits)
    if keras.backend.standardize_dtype(logits.dtype) in ("float32", "float64"):
        return logits
    return ops.cast(logits, "float32")


def _mean_softplus(x):
    return ops.mean(ops.softplus(x))


def _cross_entropy(logits, label):
    """Mean of -label log sigmoid(l) - (1 - label) log(1 - sigmoid(l)), finite for finite logits."""
    return label * _mean_softplus(-logits) + (1.0 - label) * _mean_softplus(logits)


def _check_label(name, label):
    if not 0.0 < label <= 1.0:
        raise ValueError(
            f"`{name}` must be in (0, 1], because it is the probability the logistic loss aims "
            f"at. Received: {name}={label}. Use 1.0 for no smoothing, 0.9 for one-sided smoothing."
        )
    return float(label)



class AdversarialLoss:
    """Base class: what the discriminator and the generator minimise, from logits.

    A subclass writes `discriminator` and `generator` and is `captured` if its constructor has
    arguments; it sets `needs_real = True` when its generator loss reads the real logits, so that
    the trainer computes them.

    Example:
        @keras.saving.register_keras_serializable(package="mine")
        class Squared(AdversarialLoss):
            def discriminator(self, real_logits, fake_logits):
                return ops.mean((real_logits - 1.0) ** 2) + ops.mean(fake_logits**2)

            def generator(self, fake_logits, real_logits=None):
                return ops.mean((fake_logits - 1.0) ** 2)
    """

    needs_real = False

    def discriminator(self, real_logits, fake_logits) -> tf.Tensor:
        raise NotImplementedError(f"{type(self).__name__} has no `discriminator` method.")

    def generator(self, fake_logits, real_logits=None) -> tf.Tensor:
        raise NotImplementedError(f"{type(self).__name__} has no `generator` method.")

    def get_config(self):
        return {}

    @classmethod
    def from_config(cls, config):
        return cls(**config)

    def __repr__(self):
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.get_config().items())
        return f"{type(self).__name__}({arguments})"


@keras.saving.register_keras_serializable(package="ganzoo")
@captured
class Minimax(AdversarialLoss):
    """The zero-sum game: the generator minimises what the discriminator maximises.

    D = -mean log sigmoid(r) - mean log(1 - sigmoid(f)) = mean softplus(-r) + mean softplus(f)
    G = mean log(1 - sigmoid(f)) = -mean softplus(f)

    Sign: D >= 0; G <= 0. Perfect play (all logits 0): D = log 4 = 1.3863, G = -log 2 = -0.6931. G
    saturates: its gradient vanishes where the discriminator is sure of its fakes; `NonSaturating`
    is the one to train with.

    Args:
        real_label: float in (0, 1]. The probability aimed at on real samples (one-sided label
            smoothing): D's first term becomes mean [real_label softplus(-r) + (1 - real_label)
            softplus(r)]. Defaults to 1.0. TF-GAN's `label_smoothing=s` is `real_label = 1 - s / 2`.

    Reference: Goodfellow et al. 2014 (arXiv:1406.2661), eq. 1; Salimans et al. 2016
    (arXiv:1606.03498), section 3.4.
    """

    def __init__(self, *, real_label=1.0):
        self.real_label = _check_label("real_label", real_label)

    def discriminator(self, real_logits, fake_logits) -> tf.Tensor:
        real = _cross_entropy(_wide(real_logits), self.real_label)
        return real + _mean_softplus(_wide(fake_logits))

    def generator(self, fake_logits, real_logits=None) -> tf.Tensor:
        return -_mean_softplus(_wide(fake_logits))


@keras.saving.register_keras_serializable(package="ganzoo")
@captured
class NonSaturating(Minimax):
    """`Minimax` for the discriminator; the generator maximises log sigmoid(f) instead.

    D = mean softplus(-r) + mean softplus(f)
    G = -mean log sigmoid(f) = mean softplus(-f)

    Sign: both >= 0. Perfect play (all logits 0): D = log 4 = 1.3863, G = log 2 = 0.6931. Equal to
    binary cross-entropy on logits with labels 1 and 0, and to the "logistic" loss of StyleGAN.

    Args:
        real_label: float in (0, 1]. As in `Minimax`. Defaults to 1.0.
        target_label: float in (0, 1]. The probability the generator aims at:
            G = mean [target_label softplus(-f) + (1 - target_label) softplus(f)]. Defaults to 1.0.

    Reference: Goodfellow et al. 2014 (arXiv:1406.2661), section 3.
    """

    def __init__(self, *, real_label=1.0, target_label=1.0):
        super().__init__(real_label=real_label)
        self.target_label = _check_label("target_label", target_label)

    def generator(self, fake_logits, real_logits=None) -> tf.Tensor:
        return _cross_entropy(_wide(fake_logits), self.target_label)


@keras.saving.register_keras_serializable(package="ganzoo")
@captured
class LeastSquares(AdversarialLoss):
    """Squared distance to three labels: a for fake, b for real, c for what the generator wants.

    D = s_D (mean (r - b)^2 + mean (f - a)^2)
    G = s_G mean (f - c)^2

    Sign: both >= 0. Perfect play (all outputs (a + b) / 2): D = s_D (a - b)^2 / 2 and
    G = s_G ((a + b) / 2 - c)^2; with the defaults D = 1/4 and G = 1/8.

    Args:
        fake_label: float. a of the paper. Defaults to 0.0.
        real_label: float. b of the paper. Defaults to 1.0.
        target_label: float. c of the paper. Defaults to 1.0. The labels (-1, 1, 0) give Pearson's
            chi-squared.
        scale: float > 0, or a pair of them (discriminator, generator): s_D and s_G. Defaults to
            0.5, as in the paper, StudioGAN and TF-GAN. HiFi-GAN has 1.0; CycleGAN has (0.5, 1.0).

    Reference: Mao et al. 2017 (arXiv:1611.04076), eq. 2 (labels), eq. 8 and 9 (the two choices of
    labels).
    """

    def __init__(self, *, fake_label=0.0, real_label=1.0, target_label=1.0, scale=0.5):
        scales = tuple(scale) if isinstance(scale, (tuple, list)) else (scale, scale)
        if len(scales) != 2 or not all(s > 0 for s in scales):
            raise ValueError(
                "`scale` must be a number > 0 or two of them (discriminator, generator), because "
                f"it multiplies an error that is minimised. Received: scale={scale!r}. Use 0.5."
            )
        if fake_label == real_label:
            raise ValueError(
                "`fake_label` and `real_label` must differ, or the discriminator has nothing to "
                f"tell apart. Received: fake_label={fake_label}, real_label={real_label}."
            )
        self.fake_label = float(fake_label)
        self.real_label = float(real_label)
        self.target_label = float(target_label)
        self.discriminator_scale, self.generator_scale = map(float, scales)
        self.config.update(scale=[self.discriminator_scale, self.generator_scale])

    def discriminator(self, real_logits, fake_logits) -> tf.Tensor:
        real = ops.mean(ops.square(_wide(real_logits) - self.real_label))
        fake = ops.mean(ops.square(_wide(fake_logits) - self.fake_label))
        return self.discriminator_scale * (real + fake)

    def generator(self, fake_logits, real_logits=None) -> tf.Tensor:
        error = ops.mean(ops.square(_wide(fake_logits) - self.target_label))
        return self.generator_scale * error


@keras.saving.register_keras_serializable(package="ganzoo")
class Wasserstein(AdversarialLoss):
    """Difference of the mean outputs of a critic that something else keeps Lipschitz.

    D = mean f - mean r
    G = -mean f

    Sign: -D estimates the Wasserstein-1 distance (times the Lipschitz constant), so D is negative
    while the critic can tell the two apart and rises to 0. Perfect play: D = 0; G is minus the
    critic's constant, which means nothing: outputs may drift. Wants `WeightClip`, `GradientPenalty`
    or spectral normalisation.

    Reference: Arjovsky et al. 2017 (arXiv:1701.07875), eq. 3 and algorithm 1.
    """

    def discriminator(self, real_logits, fake_logits) -> tf.Tensor:
        return ops.mean(_wide(fake_logits)) - ops.mean(_wide(real_logits))

    def generator(self, fake_logits, real_logits=None) -> tf.Tensor:
        return -ops.mean(_wide(fake_logits))


@keras.saving.register_keras_serializable(package="ganzoo")
class Hinge(AdversarialLoss):
    """Margin loss for the discriminator, linear loss for the generator.

    D = mean max(0, 1 - r) + mean max(0, 1 + f)
    G = -mean f

    Sign: D >= 0, G any. Perfect play: D = 2 and G = -c, for an output that is the same c in [-1, 1]
    everywhere (0 by symmetry).

    Reference: Lim and Ye 2017 (arXiv:1705.02894), section 3; Miyato et al. 2018 (arXiv:1802.05957),
    eq. 16 and 17.
    """

    def discriminator(self, real_logits, fake_logits) -> tf.Tensor:
        real = ops.mean(ops.relu(1.0 - _wide(real_logits)))
        return real + ops.mean(ops.relu(1.0 + _wide(fake_logits)))

    def generator(self, fake_logits, real_logits=None) -> tf.Tensor:
        return -ops.mean(_wide(fake_logits))


class _Relativistic(AdversarialLoss):
    needs_real = True

    def _both(self, real_logits, fake_logits):
        if real_logits is None:
            raise ValueError(
                f"{type(self).__name__}.generator needs the real logits, because it compares fake "
                "with real. Received: real_logits=None. Call `generator(fake_logits, real_logits)`."
            )
        real, fake = _wide(real_logits), _wide(fake_logits)
        # [B, 1] against [B] would broadcast to [B, B].
        if not real.shape.is_compatible_with(fake.shape):
            raise ValueError(
                f"{type(self).__name__} needs real and fake logits of one shape, because it "
                f"subtracts them. Received: real_logits of shape {tuple(real.shape)}, "
                f"fake_logits of shape {tuple(fake.shape)}. Reshape both to [B, 1]."
            )
        return real, fake


@keras.saving.register_keras_serializable(package="ganzoo")
class RelativisticPairing(_Relativistic):
    """Is real sample i more real than fake sample i? The two batches are paired by index.

    D = mean softplus(-(r_i - f_i))
    G = mean softplus(-(f_i - r_i))

    Sign: both >= 0. Perfect play (r = f): D = G = log 2 = 0.6931. The loss is blind to a constant
    added to all logits.

    Reference: Jolicoeur-Martineau 2018 (arXiv:1807.00734), "RSGAN"; Huang et al. 2024
    (arXiv:2501.05441), "R3GAN".
    """

    def discriminator(self, real_logits, fake_logits) -> tf.Tensor:
        real, fake = self._both(real_logits, fake_logits)
        return _mean_softplus(fake - real)

    def generator(self, fake_logits, real_logits=None) -> tf.Tensor:
        real, fake = self._both(real_logits, fake_logits)
        return _mean_softplus(real - fake)


@keras.saving.register_keras_serializable(package="ganzoo")
class RelativisticAverage(_Relativistic):
    """Is this sample more real than the other kind is on average?

    D = mean softplus(-(r - mean f)) + mean softplus(f - mean r)
    G = mean softplus(r - mean f) + mean softplus(-(f - mean r))

    Sign: both >= 0. Perfect play (r = f = constant): D = G = 2 log 2 = 1.3863. TF-GAN's
    `relativistic_*_loss`. The inner means are those of the replica's batch.

    Reference: Jolicoeur-Martineau 2018 (arXiv:1807.00734), "RaSGAN".
    """

    def discriminator(self, real_logits, fake_logits) -> tf.Tensor:
        real, fake = self._both(real_logits, fake_logits)
        return _mean_softplus(ops.mean(fake) - real) + _mean_softplus(fake - ops.mean(real))

    def generator(self, fake_logits, real_logits=None) -> tf.Tensor:
        real, fake = self._both(real_logits, fake_logits)
        return _mean_softplus(real - ops.mean(fake)) + _mean_softplus(ops.mean(real) - fake)


_LOG2 = math.log(2.0)

# Per divergence: the output activation g_f(v), and f*(g_f(v)) simplified so that it neither cancels
# nor leaves the domain of the conjugate f*.
_DIVERGENCES = {
    "kl": (lambda v: v, lambda v: ops.exp(v - 1.0)),
    "reverse_kl": (lambda v: -ops.exp(-v), lambda v: v - 1.0),
    "pearson_chi2": (lambda v: v, lambda v: 0.25 * ops.square(v) + v),
    "squared_hellinger": (lambda v: -ops.expm1(-v), ops.expm1),
    "jensen_shannon": (lambda v: _LOG2 - ops.softplus(-v), lambda v: ops.softplus(v) - _LOG2),
    "gan": (lambda v: -ops.softplus(-v), ops.softplus),
    "reverse_kl_author_code_sign": (lambda v: -ops.exp(v), lambda v: -1.0 - v),
    "squared_hellinger_author_code_sign": (lambda v: -ops.expm1(v), lambda v: ops.expm1(-v)),
}


@keras.saving.register_keras_serializable(package="ganzoo")
@captured
class FDivergence(AdversarialLoss):
    """The variational bound of an f-divergence between real and generated samples.

    D = -(mean g_f(r) - mean f*(g_f(f)))
    G = -mean f*(g_f(f))        (`generator_objective="minimax"`)
    G = -mean g_f(f)            (`generator_objective="alternative"`)

    g_f is the output activation, f* the convex conjugate. -D is a lower bound of the divergence,
    tight for the best discriminator, which says g_f(v) = f'(p_real / p_generated).

    | divergence        | g_f(v)               | f*(g_f(v))          | perfect D, G, other G       |
    | ----------------- | -------------------- | ------------------- | --------------------------- |
    | kl                | v                    | exp(v - 1)          | 0, -1, -1 (v = 1)           |
    | reverse_kl        | -exp(-v)             | v - 1               | 0, 1, 1 (v = 0)             |
    | pearson_chi2      | v                    | v^2 / 4 + v         | 0, 0, 0 (v = 0)             |
    | squared_hellinger | 1 - exp(-v)          | exp(v) - 1          | 0, 0, 0 (v = 0)             |
    | jensen_shannon    | log 2 - softplus(-v) | softplus(v) - log 2 | 0, 0, 0 (v = 0)             |
    | gan               | -softplus(-v)        | softplus(v)         | log 4, -log 2, log 2 (v = 0)|

    Sign: both any; D falls below its value of perfect play while the discriminator wins. `gan` is
    `Minimax`, with the alternative objective `NonSaturating`. "jensen_shannon" is twice the usual
    one. The exponentials overflow float32 for |v| > 88.

    Args:
        divergence: str. One of the table, or `"reverse_kl_author_code_sign"` or
            `"squared_hellinger_author_code_sign"`: the author's notebook has -v for v in those two,
            so that a *larger* logit means "fake". Defaults to `"kl"`.
        generator_objective: str. `"minimax"` (eq. 6) or `"alternative"` (section 3.2). Defaults to
            `"minimax"`.

    Raises: ValueError: if either name is unknown; the message lists the legal names.

    Reference: Nowozin et al. 2016 (arXiv:1606.00709), eq. 6, table 2, section 3.2.
    """

    DIVERGENCES = tuple(_DIVERGENCES)
    GENERATOR_OBJECTIVES = ("minimax", "alternative")

    def __init__(self, divergence="kl", *, generator_objective="minimax"):
        self.divergence = check_choice("divergence", divergence, self.DIVERGENCES)
        self.generator_objective = check_choice(
            "generator_objective", generator_objective, self.GENERATOR_OBJECTIVES
        )

    def activation(self, logits) -> tf.Tensor:
        """g_f(v): the logits mapped into the domain of f*; same shape, float32 or wider."""
        return _DIVERGENCES[self.divergence][0](_wide(logits))

    def conjugate(self, logits) -> tf.Tensor:
        """f*(g_f(v)), of the logits v; same shape, float32 or wider."""
        return _DIVERGENCES[self.divergence][1](_wide(logits))

    def discriminator(self, real_logits, fake_logits) -> tf.Tensor:
        return ops.mean(self.conjugate(fake_logits)) - ops.mean(self.activation(real_logits))

    def generator(self, fake_logits, real_logits=None) -> tf.Tensor:
        if self.generator_objective == "alternative":
            return -ops.mean(self.activation(fake_logits))
        return -ops.mean(self.conjugate(fake_logits))


_BY_NAME = {
    "minimax": Minimax,
    "non_saturating": NonSaturating,
    "least_squares": LeastSquares,
    "wasserstein": Wasserstein,
    "hinge": Hinge,
    "relativistic_pairing": RelativisticPairing,
    "relativistic_average": RelativisticAverage,
    "f_kl": lambda: FDivergence("kl"),
    "f_reverse_kl": lambda: FDivergence("reverse_kl"),
    "f_pearson_chi2": lambda: FDivergence("pearson_chi2"),
    "f_squared_hellinger": lambda: FDivergence("squared_hellinger"),
    "f_jensen_shannon": lambda: FDivergence("jensen_shannon"),
    "f_gan": lambda: FDivergence("gan"),
}

NAMES = tuple(_BY_NAME)


def get(identifier) -> AdversarialLoss:
    """The adversarial loss an argument means.

    Args:
        identifier: an `AdversarialLoss`, returned as it is, or one of `NAMES` for a kind with its
            default arguments.

    Returns: an `AdversarialLoss`.
    Raises: ValueError: if it is neither; for a misspelt name, with the nearest legal ones.

    Example:
        get("hinge").generator(logits)
    """
    if isinstance(identifier, AdversarialLoss):
        return identifier
    if not isinstance(identifier, str):
        raise ValueError(
            "`identifier` must be an AdversarialLoss object or one of the names "
            f"{', '.join(map(repr, NAMES))}. Received: identifier={identifier!r}. "
            "A class has to be called first: `Hinge()`."
        )
    return _BY_NAME[check_choice("identifier", identifier, NAMES)]()
