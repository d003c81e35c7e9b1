"""Growing inside `fit`: the schedule, what a step computes, and what changes with the level."""

import functools

import harness
import keras
import numpy as np
import pytest
import tensorflow as tf

import ganzoo
from ganzoo.families.progan import ProGAN
from ganzoo.families.stylegan import StyleGAN
from ganzoo.growing_gan import GrowingGAN, Growth
from ganzoo.hub import publish
from ganzoo.penalties import R1, GradientPenalty


def make(family=ProGAN, **options):
    """16 pixels, at first 4: one step of 4 images, and two for a fade to the next size."""
    keras.utils.set_random_seed(0)
    arguments = dict(latent_dim=6, channel_base=64, channel_max=6, growth=Growth(4, 4, 8), seed=2)
    if family is StyleGAN:
        arguments |= dict(style_dim=6, mapping={"num_layers": 1, "lr_multiplier": 1.0})
    return family(16, **{**arguments, **options})


def compiled(*args, **options):
    """`make`, without graphs, each of which takes longer to trace than a step to run."""
    gan = make(*args, **options)
    gan.compile(run_eagerly=True)
    return gan


def steps(gan, count):
    """`count` steps of `fit`; the levels of detail after each."""
    lods = []
    for i in range(count):
        gan.fit(harness.batches(harness.images(4, 16, seed=i), 1), epochs=1, verbose=0)
        lods.append(gan.lod)
    return lods


# --- the schedule


@pytest.mark.parametrize(
    "images, lod",
    [
        (0, 8.0), (599_999, 8.0), (600_000, 8.0), (900_000, 7.5), (1_200_000, 7.0),
        (1_800_000, 7.0), (2_100_000, 6.5), (8 * 1_200_000 - 300_000, 0.5), (9_600_000, 0.0),
        (25_000_000, 0.0),
    ],
)
def test_schedule(images, lod):
    """Of the official code: 600,000 images each, from 4 to 1024 pixels."""
    growth = Growth(4, 600_000, 600_000)
    assert growth.lod(images, 1024) == pytest.approx(lod, abs=1e-12)
    assert growth.size(images, 1024) == 1024 >> int(lod)


def test_schedules_of_other_shapes():
    assert Growth(8, 100, 0).lod(99, 32) == 2.0 and Growth(8, 100, 0).lod(100, 32) == 1.0
    assert Growth(8, 0, 100).lod(50, 32) == 1.5
    assert Growth(32, 5, 5).lod(0, 32) == 0.0
    growth = Growth(8, 100, 50)
    assert Growth.from_config(growth.get_config()).get_config() == growth.get_config()


@pytest.mark.parametrize(
    "arguments, words",
    [((2, 1, 1), "power of two >= 4"), ((12, 1, 1), "power of two"), ((4, 0, 0), "not both 0"),
     ((4, -1, 2), ">= 0"), ((4.0, 1, 1), "power of two"), ((4, 6e5, 6e5), "ints >= 0")],
)
def test_bad_schedules(arguments, words):
    with pytest.raises(ValueError, match=words):
        Growth(*arguments)


# --- in `fit`


@pytest.mark.parametrize("family", [ProGAN, StyleGAN])
def test_networks_grow_in_fit(family):
    gan = compiled(family)
    assert gan.lod == 2.0
    assert steps(gan, 8) == [2.0, 2.0, 1.5, 1.0, 1.0, 0.5, 0.0, 0.0]
    for network in gan.networks().values():
        assert float(network.trunk.lod.numpy()) == 0.0


def test_only_the_stage_is_trained():
    """What a level does not use does not move; what it uses does."""
    gan = compiled()

    def moved(count):
        before = {w.path: w.numpy() for n in gan.networks().values() for w in n.trainable_weights}
        steps(gan, count)
        return {
            path.replace("_ema", "")
            for n in gan.networks().values()
            for w in n.trainable_weights
            if not np.array_equal(w.numpy(), before[path := w.path])
        }

    small = moved(1)
    assert "generator/synthesis/b4/torgb/kernel" in small
    assert not [path for path in small if "/b8/" in path or "/b16/" in path]
    moved(1)
    fading = moved(1)  # 8 pixels, and still the image of 4
    assert {f"generator/synthesis/b{side}/torgb/kernel" for side in (4, 8)} <= fading
    assert not [path for path in fading if "/b16/" in path]
    stable = moved(1)
    assert "generator/synthesis/b4/torgb/kernel" not in stable
    assert "discriminator/trunk/b4/fromrgb/kernel" not in stable
    assert "discriminator/trunk/b8/fromrgb/kernel" in stable


def test_small_networks_cost_little():
    """No tensor of a step is larger than its level asks for, but for the batch itself."""
    gan = make(growth=Growth(4, 1000, 1000))
    gan.compile()
    gan.before_step()
    gan._due = gan._phases
    graph = tf.function(gan.train_step).get_concrete_function(tf.zeros([4, 16, 16, 3])).graph
    sides = [o.shape[1] for op in graph.get_operations() if "Conv2D" in op.type
             for o in op.outputs if o.shape.rank == 4 and o.shape[1] == o.shape[2]]
    assert max(s for s in sides if s is not None) == 4


def test_reals_are_faded_as_in_the_official_code():
    gan = make(growth=None)
    images = tf.constant(harness.images(2, 16))
    x = images.numpy()
    means = lambda x: x.reshape(2, x.shape[1] // 2, 2, -1, 2, 3).mean((2, 4))  # noqa: E731
    for lod, level in ((0.0, 0), (0.25, 0), (1.0, 1), (1.75, 1), (2.0, 2)):
        gan.set_lod(lod)
        wanted = functools.reduce(lambda x, _: means(x), range(level), x)
        if lod % 1:
            blurred = means(wanted).repeat(2, 1).repeat(2, 2)
            wanted = wanted + (blurred - wanted) * (lod % 1)
        np.testing.assert_allclose(gan.prepare(images)["real"], wanted, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("penalty", [R1(3.0), GradientPenalty(2.0, target=0.01)])
@pytest.mark.parametrize("lod", [1.0, 1.5])
def test_penalties_see_full_images(penalty, lod):
    """As if every small image were blown up to the full size, as the official networks do."""
    gan = make(growth=None)
    gan.penalties = [penalty]
    gan.set_lod(lod)
    real, fake = (tf.constant(harness.images(4, 8, seed=i)) for i in (0, 1))
    full = [tf.repeat(tf.repeat(x, 2, 1), 2, 2) for x in (real, fake)]
    found = gan.penalty_values({}, real, fake)[penalty.name]
    seed = gan.seed_for(penalty.name)
    wanted = penalty.value(gan.discriminator, *full, seed)
    np.testing.assert_allclose(found, wanted, rtol=1e-4)


def test_optimizers_forget_at_each_level():
    gan = compiled(growth=Growth(4, 8, 8))
    counts = []
    for _ in range(7):
        steps(gan, 1)
        counts.append(int(gan.generator_optimizer.iterations.numpy()))
    assert counts == [1, 2, 3, 1, 1, 2, 3]  # reset where a fade begins, and where it ends


def test_rates_follow_the_size():
    gan = compiled(growth=Growth(4, 4, 0), rate_multipliers={8: 3.0, 16: 0.5})
    rates = []
    for _ in range(4):
        steps(gan, 1)
        rates.append(float(gan.discriminator_optimizer.learning_rate.numpy()))
    np.testing.assert_allclose(rates, [1e-3, 3e-3, 5e-4, 5e-4], rtol=1e-6)
    gan.compile(run_eagerly=True)
    assert float(gan.discriminator_optimizer.learning_rate.numpy()) == pytest.approx(1e-3)
    steps(gan, 1)
    assert float(gan.discriminator_optimizer.learning_rate.numpy()) == pytest.approx(5e-4)


def test_rates_of_a_schedule_cannot_follow():
    gan = make(rate_multipliers={8: 2.0})
    scheduled = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.1, 10))
    with pytest.raises(ValueError, match="schedule of its own"):
        gan.compile(scheduled, "adam")


@pytest.mark.parametrize("family, done", [(ProGAN, 1), (StyleGAN, 3)])
def test_resumes_at_the_level(tmp_path, family, done):
    """A run that is broken off, while stable and within a fade, ends as one that is not."""
    runs = []
    for parts in ((6,), (done, 6 - done)):
        gan = compiled(family, rate_multipliers={8: 2.0})
        for i, count in enumerate(parts):
            if i:
                gan.save(tmp_path / "gan.keras")
                gan = keras.saving.load_model(tmp_path / "gan.keras")
                gan.run_eagerly = True
            x = [harness.images(4, 16, seed=int(gan.step.numpy()) + k) for k in range(count)]
            gan.fit(harness.batches(np.concatenate(x), count), epochs=1, verbose=0)
        runs.append(gan)
    harness.assert_same_state(*runs)


def test_a_saved_model_keeps_its_level(tmp_path):
    gan = make()
    gan.set_lod(1.25)
    publish.save(gan, tmp_path / "run")
    again = ganzoo.load(tmp_path / "run")
    assert again.lod == 1.25
    np.testing.assert_array_equal(again.generate(2), gan.generate(2))


def test_trained_networks_do_not_shrink():
    gan = compiled()
    gan.set_lod(0.5)
    assert steps(gan, 2) == [0.5, 0.5]


def test_without_a_schedule_the_level_stays():
    gan = compiled(growth=None)
    gan.set_lod(1.5)
    assert steps(gan, 2) == [1.5, 1.5]
    assert gan.generate(2).shape == (2, 16, 16, 3)


@pytest.mark.parametrize("family", [ProGAN, StyleGAN])
def test_any_level_inside_a_graph(family):
    """One graph follows `lod`; images, scores and second derivatives are those of the level."""
    gan = make(family, growth=None)
    z, x = tf.constant(gan.generator.latents(2)), tf.constant(harness.images(4, 16))
    images = tf.function(gan.generator)
    penalty = tf.function(lambda x: R1(2.0).at(gan.discriminator, x))
    variables = [v.value for v in gan.discriminator.trainable_variables]

    def gradient(function):
        with tf.GradientTape() as tape:
            value = function(x)
        return tape.gradient(value, variables, unconnected_gradients="zero")

    for lod in (0.9, 5.0):
        gan.set_lod(lod)
        stage = dict(zip(("level", "fading"), gan.generator.trunk.stage()))
        np.testing.assert_allclose(
            images(z), gan.generator.forward([z]), rtol=1e-4, atol=1e-5
        )
        side = 16 >> stage["level"]
        small = tf.image.resize(x, [side, side], "area")
        found = gan.discriminator.trunk(small, **stage)
        np.testing.assert_allclose(gan.discriminator(x), found, rtol=1e-4, atol=1e-5)
        eager = gradient(lambda x: R1(2.0).at(gan.discriminator, x))
        for a, b in zip(gradient(penalty), eager):
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(
    "arguments, words",
    [
        (dict(growth=Growth(32, 1, 1)), "cannot grow from 32 to 16 pixels"),
        (dict(growth=4), "`growth` must be a `Growth` or `None`"),
        (dict(rate_multipliers={24: 1.0}), "powers of two"),
        (dict(rate_multipliers={16: 0.0}), "factors > 0"),
    ],
)
def test_bad_arguments(arguments, words):
    with pytest.raises(ValueError, match=words):
        make(**arguments)


def test_lazy_penalties_do_not_fit():
    gan = make()
    with pytest.raises(ValueError, match="run on every step. Received: intervals {'r1': 16}"):
        GrowingGAN(gan.generator, gan.discriminator, loss="wasserstein",
                   penalties=[R1(1.0, interval=16)])


@pytest.mark.parametrize("lod", [-0.1, float("nan")])
def test_bad_levels(lod):
    with pytest.raises(ValueError, match="`lod` must be >= 0"):
        make().set_lod(lod)
