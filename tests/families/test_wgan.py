import keras
import numpy as np
import pytest
from harness import PLACES, check_config, check_family, check_family_in, images

from ganzoo.ema import EMA
from ganzoo.families.wgan import WGAN, WarmUpPhase, WGANDiscriminator, WGANGenerator
from ganzoo.losses import Wasserstein

IMAGES = images(8, 16, 1)


def make():
    return WGAN(
        16,
        6,
        4,
        channels=1,
        clip=0.02,
        critic_steps=3,
        warmup_steps=2,
        warmup_iterations=1,
        warmup_every=4,
        ema=EMA(half_life_images=20, rampup=0.5),
        seed=5,
    )


def phase(**schedule):
    return WarmUpPhase(name="generator", player="generator", losses=dict, terms=(), **schedule)


def test_family(golden):
    check_family(make, IMAGES, golden("wgan"))


@pytest.mark.slow
@pytest.mark.parametrize("where", PLACES)
def test_elsewhere(where):
    check_family_in(where, make, IMAGES)


def test_biases_are_clipped_too():
    gan = WGAN(16, 6, 4, discriminator_width=3, use_bias=True, clip=0.02)
    check_config(gan)
    weights = gan.generator.weights + gan.discriminator.weights
    assert [w.path for w in weights if "bias" in w.path] == [
        "generator/up2/bias", "discriminator/down0/bias", "discriminator/logit/bias"
    ]
    for name in ("down0", "logit"):
        layer = gan.discriminator.get_layer(name)
        assert layer.bias_constraint.get_config() == layer.kernel_constraint.get_config()
        clipped = layer.bias.constraint(np.float32([-1, 0.01, 1]))
        np.testing.assert_allclose(clipped, [-0.02, 0.01, 0.02], rtol=1e-6)
    assert gan.discriminator.get_layer("down0").filters == 3


# --- the schedule


def simulated(steps, critic_steps, warmup_steps, warmup_iterations, warmup_every):
    """Steps at which the generator moves in the two nested loops of the official code."""
    moves, step, iteration = set(), 0, 0
    while step < steps:
        warm = iteration < warmup_iterations or iteration % warmup_every == 0
        for _ in range(warmup_steps if warm else critic_steps):
            step += 1
        moves.add(step - 1)
        iteration += 1
    return moves


@pytest.mark.parametrize(
    "schedule",
    [
        (5, 100, 25, 500),
        (5, 100, 0, 500),
        (5, 100, 1, 7),
        (1, 3, 30, 10),
        (4, 1, 3, 5),
        (2, 2, 25, 500),
        (3, 7, 10, 10),
    ],
)
def test_due_is_the_official_loop(schedule):
    steps = 20_000
    names = ("critic_steps", "warmup_steps", "warmup_iterations", "warmup_every")
    due = phase(**dict(zip(names, schedule))).due
    assert {s for s in range(steps) if due(s)} == {
        s for s in simulated(steps, *schedule) if s < steps
    }


def test_published_schedule():
    found = phase()
    moves = [s for s in range(6000) if found.due(s)]
    assert moves[:26] == [100 * (i + 1) - 1 for i in range(25)] + [2504]
    assert moves[499:502] == [2500 + 5 * 475 - 1, 2500 + 5 * 475 + 99, 2500 + 5 * 475 + 104]
    assert found.lazy
    with pytest.raises(ValueError, match="steps_per_execution"):
        WGAN(32, 6, 4).compile(steps_per_execution=2)


@pytest.mark.parametrize(
    "wrong",
    [{"critic_steps": 0}, {"warmup_steps": 0}, {"warmup_every": 0}, {"warmup_iterations": -1}],
)
def test_schedule_refuses(wrong):
    with pytest.raises(ValueError, match=f"`{next(iter(wrong))}`.*Received"):
        phase(**wrong)


def test_generator_moves_when_due():
    gan = WGAN(
        16, 6, 2, channels=1, critic_steps=2, warmup_steps=3, warmup_iterations=1, warmup_every=2
    )
    gan.compile()
    moves = []

    class Watch(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            self.before = gan.generator.get_weights()[0]

        def on_train_batch_end(self, batch, logs=None):
            moves.append(not np.array_equal(self.before, gan.generator.get_weights()[0]))

    gan.fit(
        np.tile(IMAGES[:2], (9, 1, 1, 1)), batch_size=2, epochs=1, verbose=0, callbacks=[Watch()]
    )
    assert [i for i, moved in enumerate(moves) if moved] == [2, 4, 7]


# --- the critic


def test_every_critic_weight_is_clipped():
    gan = make()
    weights = gan.discriminator.trainable_variables
    assert all(weight.constraint is not None for weight in weights)
    for steps in (0, 4):
        gan.compile(discriminator_optimizer=keras.optimizers.SGD(1e6))
        if steps:
            gan.fit(IMAGES, batch_size=2, epochs=1, verbose=0)
        largest = {w.path: float(np.abs(w.numpy()).max()) for w in weights}
        assert max(largest.values()) == pytest.approx(0.02, abs=1e-9)
        assert largest["discriminator/norm1/gamma"] == pytest.approx(0.02, abs=1e-9)
    # a step of this size sends the weights to the walls
    assert np.mean(np.abs(gan.discriminator.get_layer("down1").kernel.numpy()) > 0.0199) > 0.5
    assert all(weight.constraint is None for weight in gan.generator.trainable_variables)


def test_parameter_counts_at_64_pixels():
    # DCGAN_G and DCGAN_D of the official code; the same as pytorch/examples' dcgan
    assert sum(int(np.prod(w.shape)) for w in WGANGenerator().trainable_variables) == 3_576_704
    assert sum(int(np.prod(w.shape)) for w in WGANDiscriminator().trainable_variables) == 2_765_568


def test_optimizer_is_pytorchs_rmsprop():
    optimizer = make().default_optimizers()["discriminator_optimizer"]
    w = keras.Variable(np.array([1.0, -2.0, 0.5], "float32"))
    optimizer.build([w])
    x, average = w.numpy().astype("float64"), np.zeros(3)
    random = np.random.RandomState(0)
    for _ in range(5):
        g = random.randn(3) * np.array([1.0, 1e-4, 1e-5])
        optimizer.apply([keras.ops.convert_to_tensor(g.astype("float32"))])
        average = 0.99 * average + 0.01 * g**2
        x -= 5e-5 * g / (np.sqrt(average) + 1e-8)
    np.testing.assert_allclose(
        w.numpy() - [1.0, -2.0, 0.5], x - [1.0, -2.0, 0.5], rtol=2e-2, atol=1e-7
    )


def test_loss_is_fixed():
    gan = make()
    assert isinstance(gan.adversarial, Wasserstein)
    assert "loss" not in gan.get_config()
