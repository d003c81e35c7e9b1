"""Penalties: recorded values and gradients, drawing of points, stability, configuration."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from ganzoo import losses, penalties
from ganzoo.penalties import DRAGAN, R1, R2, GradientPenalty, MaxGradientPenalty, WeightClip

SEED = tf.constant([3, 7], tf.int32)
OWN_ARRAYS = (
    "wgan_gp/", "maxgp", "dragan", "r1_", "r2_", "r3gan_", "cyclegan_gradient_penalty", "tfgan_gp",
    "tfgan/wasserstein_gradient_penalty",
)  # fmt: skip


class Critic:
    """The recorded critic: its parameters in PyTorch's layout, its input NHWC."""

    def __init__(self, golden):
        names = ("w1", "b1", "w2", "b2", "w3", "b3")
        self.parameters = {name: tf.Variable(golden[f"in/net/{name}"]) for name in names}

    def __call__(self, x):
        p = {name: tf.convert_to_tensor(value) for name, value in self.parameters.items()}
        padding = [[0, 0], [1, 1], [1, 1], [0, 0]]
        for name, stride, activation in (("1", 1, tf.nn.softplus), ("2", 2, self.leaky)):
            kernel = tf.transpose(p["w" + name], [2, 3, 1, 0])  # OIHW -> HWIO
            x = tf.nn.conv2d(tf.pad(x, padding), kernel, stride, "VALID") + p["b" + name]
            x = activation(x)
        x = tf.reshape(tf.transpose(x, [0, 3, 1, 2]), [x.shape[0], -1])  # flattened as NCHW
        return tf.matmul(x, p["w3"], transpose_b=True) + p["b3"]

    @staticmethod
    def leaky(x):
        return tf.maximum(x, 0.2 * x)  # `tf.nn.leaky_relu` rounds its slope to float32


class Recorded:
    """The recorded inputs, in our layout."""

    def __init__(self, golden):
        self.golden = golden
        self.critic = Critic(golden)
        self.real = np.transpose(golden["in/x_real"], [0, 2, 3, 1])
        self.fake = np.transpose(golden["in/x_fake"], [0, 2, 3, 1])
        self.noise = np.transpose(golden["in/dragan_rand"], [0, 2, 3, 1])
        self.alpha = golden["in/alpha"]

    def between(self, penalty):
        points = penalty.interpolate(self.real, self.fake, self.alpha)
        return penalty.at(self.critic, points)

    def dragan(self):
        penalty = DRAGAN(weight=1.0)
        return penalty.at(self.critic, penalty.perturb(self.real, self.alpha, self.noise))

    def r3gan(self):
        pairing = losses.RelativisticPairing()
        adversarial = pairing.discriminator(self.critic(self.real), self.critic(self.fake))
        r1 = R1(2.0).value(self.critic, self.real, self.fake, SEED)
        return adversarial + r1 + R2(2.0).value(self.critic, self.real, self.fake, SEED)

    def squares(self, points):
        return penalties.squared_norm(penalties.input_gradient(self.critic, points))

    def norms(self):
        penalty = GradientPenalty()
        points = penalty.interpolate(self.real, self.fake, self.alpha)
        return penalty.norms(self.critic, points)


def _gp(**arguments):
    return lambda c: c.between(GradientPenalty(**{"weight": 1.0, **arguments}))


TFGAN = {"alpha_weighs": "fake", "epsilon": 1e-10}
CYCLEGAN = {"weight": 10.0, "epsilon": 1e-16, "epsilon_in": "gradient"}

# Golden key -> value. Keys that end in _dw1 and _dw3 are derivatives of the key before.
VALUES = {
    "wgan_gp/grad_norms": lambda c: c.norms(),
    "wgan_gp/two_sided": _gp(),
    "wgan_gp/one_sided": _gp(sides="one"),
    "maxgp": lambda c: c.between(MaxGradientPenalty()),
    "dragan": lambda c: c.dragan(),
    "r1_sum_sq_mean": lambda c: R1(2.0).value(c.critic, c.real, None, SEED),
    "r2_sum_sq_mean": lambda c: R2(2.0).value(c.critic, c.real, c.fake, SEED),
    "r3gan_r1_per_sample": lambda c: c.squares(c.real),
    "r3gan_r2_per_sample": lambda c: c.squares(c.fake),
    "r3gan_total_gamma2": lambda c: c.r3gan(),
    "cyclegan_gradient_penalty": _gp(**CYCLEGAN),
    "tfgan_gp_f64": _gp(**TFGAN),
    "tfgan/wasserstein_gradient_penalty": _gp(**TFGAN),
    "tfgan/wasserstein_gradient_penalty_one_sided": _gp(**TFGAN, sides="one"),
    "tfgan/wasserstein_gradient_penalty_target2": _gp(**TFGAN, target=2.0),
}
DERIVATIVES = [
    f"{key}_d{weight}"
    for key in (
        "wgan_gp/two_sided",
        "wgan_gp/one_sided",
        "maxgp",
        "dragan",
        "r1_sum_sq_mean",
        "r2_sum_sq_mean",
    )  # fmt: skip
    for weight in ("w1", "w3")
] + ["r3gan_total_gamma2_dw1"]


@pytest.fixture(scope="module")
def golden(shared):
    with np.load(shared / "parity" / "classics" / "11_losses" / "golden.npz") as file:
        return {name: file[name] for name in file.files}


@pytest.fixture(scope="module")
def recorded(golden):
    return Recorded(golden)


def test_the_critic_is_the_recorded_one(golden, recorded):
    for x, key in ((recorded.real, "net_out/x_real"), (recorded.fake, "net_out/x_fake")):
        np.testing.assert_allclose(recorded.critic(x).numpy(), golden[key], rtol=1e-12)


@pytest.mark.parametrize("key", VALUES)
def test_golden(golden, recorded, key):
    value = VALUES[key](recorded).numpy()
    assert value.dtype == np.float64
    assert value.shape == golden[key].shape
    # TF-GAN's own numbers are float32.
    tolerance = 1e-5 if golden[key].dtype == np.float32 else 1e-8
    np.testing.assert_allclose(value, golden[key], rtol=tolerance, atol=0)


@pytest.mark.parametrize("key", DERIVATIVES)
def test_golden_parameter_gradient(golden, recorded, key):
    """Through double backpropagation, to the first and the last layer."""
    base, weight = key.rsplit("_d", 1)
    variable = recorded.critic.parameters[weight]
    with tf.GradientTape() as tape:
        value = VALUES[base](recorded)
    gradient = tape.gradient(value, variable).numpy()
    scale = np.abs(golden[key]).max()
    np.testing.assert_allclose(gradient, golden[key], rtol=1e-7, atol=1e-9 * scale)


def test_every_recorded_penalty_is_covered(golden):
    own = {key for key in golden if key.startswith(OWN_ARRAYS)}
    assert own == set(VALUES) | set(DERIVATIVES)


def test_float32_agrees_with_the_recorded_values(golden):
    single = Recorded({k: v.astype("float32") for k, v in golden.items() if k.startswith("in/")})
    for key in ("wgan_gp/two_sided", "wgan_gp/one_sided", "maxgp", "dragan", "r1_sum_sq_mean"):
        value = VALUES[key](single)
        assert value.dtype == tf.float32
        np.testing.assert_allclose(value.numpy(), golden[key], rtol=1e-4)


# Closed forms: D(x) = a . x + q |x|^2 / 2 has the gradient a + q x.
def _quadratic(a, q):
    return lambda x: tf.reduce_sum(tf.cast(a, x.dtype) * x + 0.5 * q * x * x, 1, keepdims=True)


POINTS = tf.constant([[0.0, 0.0], [2.0, 1.0]])
LINEAR = _quadratic([3.0, 4.0], 0.0)  # slope 5
STEEPER = _quadratic([3.0, 4.0], 4.0)  # slopes 5 and |(11, 8)|
STEEP = math.hypot(11, 8)


@pytest.mark.parametrize(
    "penalty, linear, steeper",
    [
        (GradientPenalty(), 160.0, 5 * (4**2 + (STEEP - 1) ** 2)),
        (GradientPenalty(3.0, target=10.0), 0.75, 1.5 * (0.5**2 + (STEEP / 10 - 1) ** 2)),
        (GradientPenalty(3.0, target=10.0, sides="one"), 0.0, 1.5 * (STEEP / 10 - 1) ** 2),
        (MaxGradientPenalty(0.5), 12.5, 0.5 * 185),
        (R1(), 125.0, 5 * (25 + 185) / 2),
        (R2(0.1), 1.25, 0.05 * (25 + 185) / 2),
        (DRAGAN(2.0), 32.0, 4**2 + (STEEP - 1) ** 2),
    ],
    ids=lambda value: value.name if isinstance(value, penalties.Penalty) else "",
)
def test_closed_form(penalty, linear, steeper):
    assert float(penalty.at(LINEAR, POINTS)) == pytest.approx(linear, rel=1e-6, abs=1e-9)
    assert float(penalty.at(STEEPER, POINTS)) == pytest.approx(steeper, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(
    "penalty, slope, sign",
    [
        (GradientPenalty(), 2.0, 1),
        (GradientPenalty(), 0.5, -1),
        (GradientPenalty(sides="one"), 2.0, 1),
        (GradientPenalty(sides="one"), 0.5, 0),
        (GradientPenalty(target=750.0), 2.0, -1),
        (MaxGradientPenalty(), 0.5, 1),
        (R1(), 0.5, 1),
        (R2(), 0.5, 1),
        (DRAGAN(), 0.5, -1),
        (DRAGAN(), 2.0, 1),
    ],
)
def test_gradient_sign(penalty, slope, sign):
    """d penalty / d slope: which way the critic's slope is pushed."""
    variable = tf.Variable(slope)
    with tf.GradientTape() as tape:
        value = penalty.value(lambda x: variable * x[:, :1], POINTS, POINTS + 1.0, SEED)
    gradient = tape.gradient(value, variable)
    assert np.sign(float(gradient)) == sign


SEGMENT = (tf.zeros([64, 3, 3, 2]), tf.ones([64, 3, 3, 2]))
ALL = [GradientPenalty(), MaxGradientPenalty(), R1(), R2(), DRAGAN()]
ALL += [DRAGAN(variant=variant) for variant in DRAGAN.VARIANTS[1:]]


def _seen(penalty, real, fake, seed=SEED):
    """The points at which `value` differentiates."""
    seen = []

    def critic(x):
        seen.append(x)
        return tf.reduce_sum(x * x, axis=[1, 2, 3])  # [B]

    penalty.value(critic, real, fake, seed)
    (points,) = seen
    return points.numpy()


@pytest.mark.parametrize("kind", [GradientPenalty, MaxGradientPenalty])
def test_interpolates_are_on_the_segments(kind):
    points = _seen(kind(), *SEGMENT).reshape(64, -1)
    assert (points == points[:, :1]).all()  # one alpha per sample
    assert len(set(points[:, 0])) > 60
    assert 0 <= points.min() < 0.1 and 0.9 < points.max() < 1
    assert points.mean() == pytest.approx(0.5, abs=0.12)
    other = _seen(kind(alpha_weighs="fake"), *SEGMENT).reshape(64, -1)
    np.testing.assert_allclose(other, 1.0 - points, atol=1e-6)


def test_r1_sees_reals_and_r2_fakes():
    real, fake = SEGMENT
    np.testing.assert_array_equal(_seen(R1(), real, fake), real)
    np.testing.assert_array_equal(_seen(R2(), real, fake), fake)
    assert [p.needs_fake for p in ALL[:5]] == [True, True, False, True, False]
    assert {p.player for p in ALL} == {"discriminator"}


def test_dragan_noise():
    real = tf.constant(np.random.default_rng(2).normal(size=[64, 4, 4, 3]), tf.float32)
    added = _seen(DRAGAN(noise_scale=0.8), real, None) - real
    assert added.numpy().min() >= -1e-6  # one-sided
    # alpha u 0.8 s has the mean 0.8 s / 4, and differs from sample to sample and inside one.
    assert added.numpy().mean() == pytest.approx(0.2 * np.std(real), rel=0.15)
    assert added.numpy().max() <= 0.8 * np.std(real) * 1.001
    share = added.numpy().reshape(64, -1).max(1) / (0.8 * np.std(real))
    assert share.min() < 0.2 and share.max() > 0.8
    assert added.numpy().reshape(64, -1).std(1).min() > 0

    normal = _seen(DRAGAN(noise_scale=0.8, variant="paper"), real, None) - real
    assert np.std(normal) == pytest.approx(0.8, rel=0.05)
    assert np.mean(normal) == pytest.approx(0.0, abs=0.05)


def test_dragan_draws_alpha_and_noise_independently(monkeypatch):
    seeds = []
    draw = tf.random.stateless_uniform

    def recorder(shape, seed, dtype):
        seeds.append(tuple(np.asarray(seed).tolist()))
        return draw(shape, seed, dtype=dtype)

    monkeypatch.setattr(tf.random, "stateless_uniform", recorder)
    DRAGAN().value(STEEPER, POINTS, None, tf.constant([3, 7]))
    DRAGAN().value(STEEPER, POINTS, None, tf.constant([3, 8]))
    assert len(set(seeds)) == 4


def test_dragan_standard_deviations():
    """Four elements, 1 to 4: variance 5/3 unbiased, 5/4 of the batch."""
    real = np.array([[1.0, 2.0], [3.0, 4.0]])
    alpha, noise = np.array([1.0, 0.5]), np.array([[1.0, 0.0], [1.0, 2.0]])
    wanted = np.array([[1.0, 0.0], [0.5, 1.0]])
    for variant, variance in (("studiogan", 5 / 3), ("author_code", 5 / 4)):
        added = DRAGAN(variant=variant).perturb(real, alpha, noise) - real
        np.testing.assert_allclose(added, 0.5 * math.sqrt(variance) * wanted, rtol=1e-12)
    added = DRAGAN(variant="paper").perturb(real, alpha, noise) - real
    np.testing.assert_allclose(added, 0.5 * noise, rtol=1e-12)


@pytest.mark.parametrize("penalty", [GradientPenalty(), DRAGAN()], ids=lambda p: p.name)
def test_the_seed_decides(penalty):
    real = tf.constant(np.random.default_rng(2).normal(size=[4, 3, 3, 2]), tf.float32)
    first = _seen(penalty, real, real + 1.0)
    np.testing.assert_array_equal(_seen(penalty, real, real + 1.0), first)
    assert not np.allclose(_seen(penalty, real, real + 1.0, SEED + 1), first)


@pytest.mark.parametrize("penalty", ALL, ids=lambda p: p.name)
def test_a_flat_critic_has_finite_derivatives(penalty):
    """Zero gradient everywhere; the penalty's own first and second derivative stay finite."""
    weight = tf.Variable([[0.0], [0.0]])
    with tf.GradientTape() as outer, tf.GradientTape() as tape:
        value = penalty.value(lambda x: tf.matmul(x, weight), POINTS, POINTS + 1.0, SEED)
        first = tape.gradient(value, weight)
    second = outer.gradient(first, weight)
    wanted = {"gradient_penalty": 10.0, "dragan": 10.0}
    assert float(value) == pytest.approx(wanted.get(penalty.name, 0.0), rel=1e-4)
    assert np.isfinite(first).all()
    assert np.isfinite(second).all()


def test_no_gradient_reaches_the_points():
    real = tf.Variable(POINTS)
    with tf.GradientTape() as tape:
        value = GradientPenalty().value(STEEPER, real, real + 1.0, SEED)
    assert tape.gradient(value, real) is None


@pytest.mark.parametrize("penalty", ALL, ids=lambda p: p.name)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_gives_float32(penalty, dtype):
    """Points and logits of half precision; the points handed to the critic are float32."""
    real = tf.cast(POINTS, dtype)
    seen = []

    def critic(x):
        seen.append(x.dtype)
        return tf.cast(STEEPER(x), dtype)

    value = penalty.value(critic, real, real + 1, SEED)
    assert value.dtype == tf.float32
    assert seen == [tf.float32]
    wide = penalty.value(STEEPER, POINTS, POINTS + 1.0, SEED)
    assert float(value) == pytest.approx(float(wide), rel=0.02)


def _network(dtype):
    keras.utils.set_random_seed(4)
    return keras.Sequential(
        [
            keras.Input([4, 4, 1]),
            keras.layers.Conv2D(4, 3, strides=2, activation="softplus", dtype=dtype, name="a"),
            keras.layers.Flatten(dtype=dtype, name="b"),
            keras.layers.Dense(1, dtype=dtype, name="c"),
        ]
    )


def _value_and_gradient(penalty, network, real, fake):
    with tf.GradientTape() as tape:
        value = penalty.value(network, real, fake, SEED)
    return value, tape.gradient(value, network.trainable_variables[0])


REAL, FAKE = np.random.default_rng(1).normal(size=[2, 5, 4, 4, 1]).astype("float32")


@pytest.mark.parametrize("penalty", ALL, ids=lambda p: p.name)
def test_xla_with_unknown_batch_size(penalty, monkeypatch):
    network = _network("float32")

    def ramp(shape, seed, dtype):
        """In place of random numbers: XLA draws others than TensorFlow's own kernels."""
        count = tf.reduce_prod(shape)
        return tf.reshape(tf.cast(tf.range(count) / count, dtype), shape)

    monkeypatch.setattr(tf.random, "stateless_uniform", ramp)
    monkeypatch.setattr(tf.random, "stateless_normal", ramp)
    spec = tf.TensorSpec([None, 4, 4, 1], tf.float32)

    @tf.function(jit_compile=True, input_signature=[spec, spec])
    def step(real, fake):
        return _value_and_gradient(penalty, network, real, fake)

    value, gradient = step(REAL, FAKE)
    wanted, wanted_gradient = _value_and_gradient(penalty, network, REAL, FAKE)
    assert float(value) == pytest.approx(float(wanted), rel=1e-4)
    np.testing.assert_allclose(gradient, wanted_gradient, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("penalty", ALL, ids=lambda p: p.name)
def test_critic_in_mixed_precision(penalty):
    """bfloat16 has 8 bits: the value is near that of the float32 critic, and is float32."""
    value, gradient = _value_and_gradient(penalty, _network("mixed_bfloat16"), REAL, FAKE)
    wanted, wanted_gradient = _value_and_gradient(penalty, _network("float32"), REAL, FAKE)
    assert value.dtype == gradient.dtype == tf.float32
    assert float(value) == pytest.approx(float(wanted), rel=0.1)
    scale = float(tf.reduce_max(tf.abs(wanted_gradient)))
    np.testing.assert_allclose(gradient, wanted_gradient, atol=0.15 * scale)


NON_DEFAULT = [
    GradientPenalty(
        3.0, target=2.0, sides="one", alpha_weighs="fake", epsilon=1e-8, epsilon_in="gradient",
        interval=4, name="gp",
    ),
    MaxGradientPenalty(3.0, alpha_weighs="fake", interval=2, name="max"),
    R1(0.3, interval=16, name="lazy_r1"),
    R2(0.3, interval=8, name="lazy_r2"),
    DRAGAN(3.0, noise_scale=0.2, variant="paper", epsilon=1e-8, interval=3, name="kodali"),
]  # fmt: skip


@pytest.mark.parametrize("penalty", NON_DEFAULT, ids=lambda p: type(p).__name__)
def test_config_round_trip(penalty):
    document = keras.saving.serialize_keras_object(penalty)
    assert document["registered_name"] == f"ganzoo>{type(penalty).__name__}"
    copy = keras.saving.deserialize_keras_object(document)
    assert type(copy) is type(penalty)
    assert copy.get_config() == penalty.get_config()
    assert (copy.name, copy.interval) == (penalty.name, penalty.interval)
    default = type(penalty)().get_config()
    same = [name for name, value in penalty.get_config().items() if default[name] == value]
    assert set(same) <= {"trainable", "dtype"}
    arguments = (STEEPER, POINTS, POINTS + 1.0, SEED)
    assert float(copy.value(*arguments)) == float(penalty.value(*arguments))


def test_the_interval_is_left_to_the_caller():
    arguments = (STEEPER, POINTS, POINTS, SEED)
    assert float(R1(interval=16).value(*arguments)) == float(R1().value(*arguments))


def test_a_mixed_precision_policy_does_not_touch_a_penalty():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        assert float(R1().value(STEEPER, POINTS, None, SEED)) == pytest.approx(525.0, rel=1e-6)
        assert R1().dtype_policy.name == "float32"
    finally:
        keras.config.set_dtype_policy(before)


def test_weight_clip():
    weight = tf.constant([-1.0, -0.02, 0.0, 0.02, 1.0])
    np.testing.assert_allclose(WeightClip()(weight), [-0.01, -0.01, 0.0, 0.01, 0.01], rtol=1e-6)
    clip = WeightClip(0.03)
    np.testing.assert_allclose(clip(weight), [-0.03, -0.02, 0.0, 0.02, 0.03], rtol=1e-6)
    document = keras.saving.serialize_keras_object(clip)
    assert document["registered_name"] == "ganzoo>WeightClip"
    assert keras.saving.deserialize_keras_object(document).limit == 0.03


def test_weight_clip_acts_after_an_update():
    layer = keras.layers.Dense(2, kernel_constraint=WeightClip(0.05), bias_constraint=WeightClip())
    layer.build([None, 3])
    optimizer = keras.optimizers.SGD(1.0)
    optimizer.apply([tf.ones([3, 2]), -tf.ones([2])], layer.trainable_variables)
    np.testing.assert_allclose(layer.kernel.numpy(), -0.05, rtol=1e-6)
    np.testing.assert_allclose(layer.bias.numpy(), 0.01, rtol=1e-6)


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: GradientPenalty(-1.0), ["`weight` must be >= 0", "Received: weight=-1.0"]),
        (lambda: GradientPenalty(target=0.0), ["`target` must be > 0", "target=0.0"]),
        (lambda: GradientPenalty(sides="both"), ["'two', 'one'", "Received: sides='both'"]),
        (lambda: GradientPenalty(alpha_weighs="fakes"), ["Did you mean 'fake'?"]),
        (lambda: GradientPenalty(epsilon=0.0), ["`epsilon` must be > 0", "no derivative"]),
        (lambda: GradientPenalty(epsilon_in="norm"), ["'square_root', 'gradient'"]),
        (lambda: MaxGradientPenalty(float("nan")), ["weight=nan"]),
        (lambda: MaxGradientPenalty(alpha_weighs="x"), ["'real', 'fake'"]),
        (lambda: R1(-0.1), ["`gamma` must be >= 0", "Received: gamma=-0.1"]),
        (lambda: R2(interval=0), ["`interval` must be an int >= 1", "interval=0"]),
        (lambda: R1(interval=2.0), ["interval=2.0"]),
        (lambda: DRAGAN(variant="studio"), ["Did you mean 'studiogan'?", "'author_code'"]),
        (lambda: DRAGAN(noise_scale=-1.0), ["noise_scale=-1.0"]),
        (lambda: DRAGAN(epsilon=-1e-9), ["`epsilon` must be > 0"]),
        (lambda: WeightClip(0.0), ["`limit` must be > 0", "Received: limit=0.0"]),
        (
            lambda: R1().at(lambda x: tf.zeros([2, 1]), POINTS),
            ["do not depend on its input", "Received: critic="],
        ),
        (lambda: R1().at(LINEAR, tf.zeros([3])), ["rank >= 2", "(3,)"]),
        (lambda: R1().at(LINEAR, tf.zeros([3, 2], tf.uint8)), ["float type", "dtype=uint8"]),
        (
            lambda: GradientPenalty().value(LINEAR, POINTS, tf.zeros([3, 2]), SEED),
            ["one shape", "(2, 2)", "(3, 2)"],
        ),
    ],
)
def test_bad_arguments(call, words):
    with pytest.raises(ValueError) as caught:
        call()
    for word in words:
        assert word in str(caught.value)


def test_base_class_names_the_missing_method():
    with pytest.raises(NotImplementedError, match="Penalty has no `value`"):
        penalties.Penalty(name="own").value(LINEAR, POINTS, POINTS, SEED)
