"""Losses: recorded values and gradients, closed forms, signs, precision, configuration."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from ganzoo import losses

LOG2 = math.log(2.0)
F_DIVERGENCES = losses.FDivergence.DIVERGENCES

# What belongs to others: the first list is test_penalties.py's, the rest is no loss of logits.
PENALTY_ARRAYS = (
    "wgan_gp/", "maxgp", "dragan", "r1_", "r2_", "r3gan_", "cyclegan_gradient_penalty", "tfgan_gp",
    "tfgan/wasserstein_gradient_penalty",
)  # fmt: skip
NOT_LOSSES = (
    "in/", "net_out/", "lecam", "feature_matching/", "moment_matching/", "misc/",
    "tfgan/cycle_consistency_loss", "tfgan/acgan_", "stability/logits",
)  # fmt: skip


# TF-GAN's minimax generator loss holds the term of a constant real logit 1.
TFGAN_CONSTANT = -math.log1p(math.exp(-1.0))


def _pair(prefix, loss):
    """Golden key -> value for a loss with recorded D, G and their gradients."""
    cases = {
        f"{prefix}/D": lambda r, f: loss.discriminator(r, f),
        f"{prefix}/D_grad_real": lambda r, f: _gradient(loss.discriminator, r, f, 0),
        f"{prefix}/D_grad_fake": lambda r, f: _gradient(loss.discriminator, r, f, 1),
        f"{prefix}/G": lambda r, f: loss.generator(f, r),
        f"{prefix}/G_grad_fake": lambda r, f: _gradient(loss.generator, f, r, 0),
    }
    if loss.needs_real:
        cases[f"{prefix}/G_grad_real"] = lambda r, f: _gradient(loss.generator, f, r, 1)
    return cases


def _gradient(function, first, second, which):
    arguments = [tf.constant(first), tf.constant(second)]
    with tf.GradientTape() as tape:
        tape.watch(arguments)
        value = function(*arguments)
    return tape.gradient(value, arguments[which])


def _f_cases(name):
    loss = losses.FDivergence(name)
    other = losses.FDivergence(name, generator_objective="alternative")
    return {
        **_pair(f"fgan/{name}", loss),
        f"fgan/{name}/T_real": lambda r, f: loss.activation(r),
        f"fgan/{name}/fstar_T_fake": lambda r, f: loss.conjugate(f),
        f"fgan/{name}/G_alternative": lambda r, f: other.generator(f),
    }


def _covered():
    minimax, non_saturating = losses.Minimax(), losses.NonSaturating()
    least_squares, average = losses.LeastSquares(), losses.RelativisticAverage()
    wasserstein = losses.Wasserstein()
    cases = {
        **_pair("minimax", minimax),
        "nonsaturating/G": lambda r, f: non_saturating.generator(f),
        "nonsaturating/G_grad_fake": _pair("", non_saturating)["/G_grad_fake"],
        **_pair("lsgan", least_squares),
        **_pair("lsgan_mse", losses.LeastSquares(scale=1.0)),
        **_pair("wasserstein", wasserstein),
        **_pair("hinge", losses.Hinge()),
        **_pair("relativistic_pairing", losses.RelativisticPairing()),
        **_pair("relativistic_average", average),
        "mimicry/ns_loss_gen": lambda r, f: non_saturating.generator(f),
        "mimicry/minimax_loss_gen": lambda r, f: non_saturating.generator(f),
    }
    for name in F_DIVERGENCES:
        cases.update(_f_cases(name))
    tfgan = {
        "wasserstein_generator_loss": lambda r, f: wasserstein.generator(f),
        "wasserstein_discriminator_loss": wasserstein.discriminator,
        "wasserstein_hinge_discriminator_loss": losses.Hinge().discriminator,
        "minimax_discriminator_loss_default_smoothing0.25": losses.Minimax(
            real_label=0.875
        ).discriminator,
        "minimax_discriminator_loss_smoothing0": minimax.discriminator,
        "minimax_generator_loss": lambda r, f: minimax.generator(f) + TFGAN_CONSTANT,
        "modified_generator_loss": lambda r, f: non_saturating.generator(f),
        "modified_generator_loss_smoothing0.1": lambda r, f: losses.NonSaturating(
            target_label=0.95
        ).generator(f),
        "least_squares_generator_loss": lambda r, f: least_squares.generator(f),
        "least_squares_discriminator_loss": least_squares.discriminator,
        "relativistic_discriminator_loss": average.discriminator,
        "relativistic_generator_loss": lambda r, f: average.generator(f, r),
    }
    return {**cases, **{f"tfgan/{name}": case for name, case in tfgan.items()}}


COVERED = _covered()
STABILITY = {
    "stability/softplus": lambda v: -losses.Minimax().generator(v),
    "stability/log_sigmoid": lambda v: -losses.NonSaturating().generator(v),
}


@pytest.fixture(scope="module")
def golden(shared):
    with np.load(shared / "parity" / "classics" / "11_losses" / "golden.npz") as file:
        return {name: file[name] for name in file.files}


@pytest.mark.parametrize("key", COVERED)
def test_golden(golden, key):
    value = COVERED[key](golden["in/real_logits"], golden["in/fake_logits"]).numpy()
    assert value.dtype == np.float64
    assert value.shape == golden[key].shape
    np.testing.assert_allclose(value, golden[key], rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("key", STABILITY)
def test_golden_of_extreme_logits(golden, key):
    values = [STABILITY[key](np.array([[logit]])).numpy() for logit in golden["stability/logits"]]
    np.testing.assert_allclose(values, golden[key], rtol=1e-9, atol=0)


def test_every_recorded_loss_is_covered(golden):
    others = tuple(key for key in golden if key.startswith(PENALTY_ARRAYS + NOT_LOSSES))
    missing = set(golden) - set(COVERED) - set(STABILITY) - set(others)
    assert not missing
    assert (set(COVERED) | set(STABILITY)) <= set(golden)


# Two points each: (r, f) = (0, 0), and (2, -1); D and G by hand.
def _sp(x):
    return math.log1p(math.exp(x))


CLOSED_FORMS = [
    (losses.Minimax(), (2 * LOG2, -LOG2), (_sp(-2) + _sp(-1), -_sp(-1))),
    (losses.NonSaturating(), (2 * LOG2, LOG2), (_sp(-2) + _sp(-1), _sp(1))),
    (
        losses.NonSaturating(real_label=0.9, target_label=0.7),
        (2 * LOG2, LOG2),
        (0.9 * _sp(-2) + 0.1 * _sp(2) + _sp(-1), 0.7 * _sp(1) + 0.3 * _sp(-1)),
    ),
    (losses.LeastSquares(), (0.5, 0.5), (0.5 * (1 + 1), 0.5 * 4)),
    (losses.LeastSquares(scale=(0.5, 1.0)), (0.5, 1.0), (0.5 * (1 + 1), 4.0)),
    (
        losses.LeastSquares(fake_label=-1.0, real_label=1.0, target_label=0.5),
        (0.5 * 2, 0.5 * 0.25),
        (0.5 * (1 + 0), 0.5 * 2.25),
    ),
    (losses.Wasserstein(), (0.0, 0.0), (-3.0, 1.0)),
    (losses.Hinge(), (2.0, 0.0), (0.0, 1.0)),
    (losses.RelativisticPairing(), (LOG2, LOG2), (_sp(-3), _sp(3))),
    (losses.RelativisticAverage(), (2 * LOG2, 2 * LOG2), (2 * _sp(-3), 2 * _sp(3))),
    (losses.FDivergence("kl"), (math.exp(-1), -math.exp(-1)), (math.exp(-2) - 2, -math.exp(-2))),
    (losses.FDivergence("reverse_kl"), (0.0, 1.0), (math.exp(-2) - 2, 2.0)),
    (losses.FDivergence("pearson_chi2"), (0.0, 0.0), (-0.75 - 2, 0.75)),
    (
        losses.FDivergence("squared_hellinger"),
        (0.0, 0.0),
        (math.exp(-1) - 1 - (1 - math.exp(-2)), 1 - math.exp(-1)),
    ),
    (
        losses.FDivergence("jensen_shannon"),
        (0.0, 0.0),
        (_sp(-1) - LOG2 - LOG2 + _sp(-2), LOG2 - _sp(-1)),
    ),
    (losses.FDivergence("gan"), (2 * LOG2, -LOG2), (_sp(-2) + _sp(-1), -_sp(-1))),
    (losses.FDivergence("gan", generator_objective="alternative"), (2 * LOG2, LOG2),
     (_sp(-2) + _sp(-1), _sp(1))),
]  # fmt: skip


@pytest.mark.parametrize("loss, at_zero, apart", CLOSED_FORMS, ids=lambda value: repr(value)[:50])
def test_closed_form(loss, at_zero, apart):
    for (r, f), (d, g) in (((0.0, 0.0), at_zero), ((2.0, -1.0), apart)):
        real, fake = tf.fill([3, 1], r), tf.fill([3, 1], f)
        assert float(loss.discriminator(real, fake)) == pytest.approx(d, rel=2e-6, abs=1e-6)
        assert float(loss.generator(fake, real)) == pytest.approx(g, rel=2e-6, abs=1e-6)


PERFECT_PLAY = {  # divergence: best logit, D, G, alternative G
    "kl": (1.0, 0.0, -1.0, -1.0),
    "reverse_kl": (0.0, 0.0, 1.0, 1.0),
    "pearson_chi2": (0.0, 0.0, 0.0, 0.0),
    "squared_hellinger": (0.0, 0.0, 0.0, 0.0),
    "jensen_shannon": (0.0, 0.0, 0.0, 0.0),
    "gan": (0.0, 2 * LOG2, -LOG2, LOG2),
    "reverse_kl_author_code_sign": (0.0, 0.0, 1.0, 1.0),
    "squared_hellinger_author_code_sign": (0.0, 0.0, 0.0, 0.0),
}


@pytest.mark.parametrize("name", F_DIVERGENCES)
def test_perfect_play_of_f_divergence(name):
    best, d, g, alternative = PERFECT_PLAY[name]
    loss = losses.FDivergence(name)
    other = losses.FDivergence(name, generator_objective="alternative")
    logits = tf.fill([4, 1], best)
    assert float(loss.discriminator(logits, logits)) == pytest.approx(d, abs=1e-6)
    assert float(loss.generator(logits)) == pytest.approx(g, abs=1e-6)
    assert float(other.generator(logits)) == pytest.approx(alternative, abs=1e-6)
    # It is the discriminator's minimum: every other constant costs more.
    for step in (-0.3, 0.3):
        assert float(loss.discriminator(logits + step, logits + step)) > d + 1e-3


def test_f_divergence_bound_is_tight():
    """With f'(p/q) as output, -D is the divergence itself: two Bernoulli samples, 3:1 and 1:1."""
    real = np.array([1.0, 1.0, 1.0, 0.0])
    fake = np.array([1.0, 1.0, 0.0, 0.0])
    ratio = lambda x: np.where(x == 1.0, 0.75 / 0.5, 0.25 / 0.5)  # noqa: E731
    logits = lambda x: 1.0 + np.log(ratio(x))  # noqa: E731  f(u) = u log u
    kl = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    value = losses.FDivergence("kl").discriminator(logits(real), logits(fake))
    assert float(value) == pytest.approx(-kl, rel=1e-12)


ONE_OF_EACH = [losses.get(name) for name in losses.NAMES]


@pytest.mark.parametrize("loss", ONE_OF_EACH, ids=losses.NAMES)
def test_gradient_signs(loss):
    """D pushes real logits up and fake logits down; G pushes fake logits up."""
    real, fake = np.full([4, 1], 0.3), np.full([4, 1], 0.2)
    assert (_gradient(loss.discriminator, real, fake, 0).numpy() < 0).all()
    assert (_gradient(loss.discriminator, real, fake, 1).numpy() > 0).all()
    assert (_gradient(loss.generator, fake, real, 0).numpy() < 0).all()


@pytest.mark.parametrize("loss", ONE_OF_EACH, ids=losses.NAMES)
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_logits_give_float32(loss, dtype):
    rng = np.random.default_rng(3)
    real = tf.cast(rng.normal(size=[64, 1]), dtype)
    fake = tf.cast(rng.normal(size=[64, 1]), dtype)
    d, g = loss.discriminator(real, fake), loss.generator(fake, real)
    assert d.dtype == g.dtype == tf.float32
    assert d.shape == g.shape == ()
    wide = [tf.cast(logits, tf.float64) for logits in (real, fake)]
    assert float(d) == pytest.approx(float(loss.discriminator(*wide)), rel=1e-5, abs=1e-6)
    assert float(g) == pytest.approx(float(loss.generator(*wide[::-1])), rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("loss", ONE_OF_EACH, ids=losses.NAMES)
def test_patch_logits_are_averaged(loss):
    """A patch discriminator's [B, H, W, 1] has the same mean as its elements in a column."""
    rng = np.random.default_rng(5)
    real, fake = rng.normal(size=[2, 2, 3, 3, 1])
    column = [logits.reshape(-1, 1) for logits in (real, fake)]
    assert float(loss.discriminator(real, fake)) == pytest.approx(
        float(loss.discriminator(*column)), rel=1e-12
    )
    assert float(loss.generator(fake, real)) == pytest.approx(
        float(loss.generator(*column[::-1])), rel=1e-12
    )


def test_needs_real():
    wanted = {"relativistic_pairing", "relativistic_average"}
    assert {name for name in losses.NAMES if losses.get(name).needs_real} == wanted
    for name in set(losses.NAMES) - wanted:
        losses.get(name).generator(tf.zeros([2, 1]))


NON_DEFAULT = [
    losses.Minimax(real_label=0.9),
    losses.NonSaturating(real_label=0.8, target_label=0.7),
    losses.LeastSquares(fake_label=-1.0, real_label=2.0, target_label=0.5, scale=(0.25, 3.0)),
    losses.Wasserstein(),
    losses.Hinge(),
    losses.RelativisticPairing(),
    losses.RelativisticAverage(),
    losses.FDivergence("pearson_chi2", generator_objective="alternative"),
]


@pytest.mark.parametrize("loss", NON_DEFAULT, ids=repr)
def test_config_round_trip(loss):
    document = keras.saving.serialize_keras_object(loss)
    assert document["registered_name"] == f"ganzoo>{type(loss).__name__}"
    copy = keras.saving.deserialize_keras_object(document)
    assert type(copy) is type(loss)
    assert copy.get_config() == loss.get_config()
    assert repr(copy) == repr(loss)
    real, fake = np.array([[0.4], [1.5]]), np.array([[-0.7], [0.2]])
    assert float(copy.discriminator(real, fake)) == float(loss.discriminator(real, fake))
    assert float(copy.generator(fake, real)) == float(loss.generator(fake, real))


def test_get():
    hinge = losses.Hinge()
    assert losses.get(hinge) is hinge
    assert isinstance(losses.get("non_saturating"), losses.NonSaturating)
    assert not isinstance(losses.get("minimax"), losses.NonSaturating)
    for name in losses.NAMES:
        if name.startswith("f_"):
            assert losses.get(name).divergence == name[2:]


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: losses.get("wassertein"), ["Did you mean 'wasserstein'", "'hinge'", "wassertein"]),
        (lambda: losses.get(losses.Hinge), ["Received: identifier=", "`Hinge()`"]),
        (
            lambda: losses.FDivergence("reverse_lk"),
            ["Did you mean 'reverse_kl'", "'pearson_chi2'", "Received: divergence='reverse_lk'"],
        ),
        (
            lambda: losses.FDivergence("kl", generator_objective="other"),
            ["'minimax', 'alternative'", "generator_objective='other'"],
        ),
        (lambda: losses.Minimax(real_label=1.2), ["(0, 1]", "Received: real_label=1.2"]),
        (lambda: losses.NonSaturating(target_label=0.0), ["(0, 1]", "target_label=0.0"]),
        (lambda: losses.LeastSquares(scale=0.0), ["> 0", "Received: scale=0.0"]),
        (lambda: losses.LeastSquares(scale=(1.0, 2.0, 3.0)), ["two of them", "3.0"]),
        (lambda: losses.LeastSquares(fake_label=1.0), ["must differ", "fake_label=1.0"]),
        (
            lambda: losses.RelativisticPairing().generator(tf.zeros([2, 1])),
            ["needs the real logits", "Received: real_logits=None"],
        ),
        (
            lambda: losses.RelativisticPairing().discriminator(tf.zeros([2, 1]), tf.zeros([2])),
            ["one shape", "(2, 1)", "(2,)"],
        ),
    ],
)
def test_bad_arguments(call, words):
    with pytest.raises(ValueError) as caught:
        call()
    for word in words:
        assert word in str(caught.value)


def test_base_class_names_the_missing_method():
    with pytest.raises(NotImplementedError, match="AdversarialLoss has no `discriminator`"):
        losses.AdversarialLoss().discriminator(tf.zeros([2, 1]), tf.zeros([2, 1]))
