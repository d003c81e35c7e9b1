"""The training step: each test fails when the one line it is about is wrong."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from harness import assert_same_state, assert_same_weights, batches, dtype_policy, two_replicas

from ganzoo.families.dcgan import DCGAN
from ganzoo.families.vanilla_gan import VanillaGAN
from ganzoo.gan import Phase
from ganzoo.penalties import R1

POINTS = np.random.RandomState(0).randn(64, 2).astype("float32")


class Tiny(VanillaGAN):
    """4-unit networks on points; `Tiny.change(...)` makes one whose arguments differ."""

    def __init__(self, **kwargs):
        super().__init__(
            (2,), 3, (4,), activation="tanh", output="linear", discriminator="tanh",
            discriminator_widths=(4,), dropout=(0.0, 0.0), initializer="glorot_normal", **kwargs,
        )


def tiny(cls=Tiny, *, optimizer=None, jit_compile=False, **kwargs):
    """A compiled model; the same initial weights each time."""
    keras.utils.set_random_seed(0)
    gan = cls(**kwargs)
    make = optimizer or (lambda: keras.optimizers.SGD(0.1))
    gan.compile(make(), make(), jit_compile=jit_compile)
    return gan


def train(gan, steps, batch_size=4, **kwargs):
    return gan.fit(batches(POINTS, steps, batch_size), epochs=1, verbose=0, **kwargs).history


def iterations(gan):
    optimizers = gan.generator_optimizer, gan.discriminator_optimizer
    return tuple(int(o.iterations.numpy()) for o in optimizers)


class Record(keras.callbacks.Callback):
    """(generator updates, discriminator updates) of every step."""

    def __init__(self):
        super().__init__()
        self.updates = []

    def on_train_batch_begin(self, batch, logs=None):
        self.before = iterations(self.model)

    def on_train_batch_end(self, batch, logs=None):
        self.updates.append(tuple(np.subtract(iterations(self.model), self.before)))


# --- Phase


def test_due():
    phase = Phase(
        name="p", player="generator", losses=dict, terms=(), interval=3, offsets=(1, 2)
    )
    assert [phase.due(s) for s in range(6)] == [False, True, True] * 2
    assert phase.lazy and not Phase(name="p", player="generator", losses=dict, terms=()).lazy


@pytest.mark.parametrize(
    "wrong, message",
    [
        (dict(player="critic"), "player='critic'"),
        (dict(interval=0), "interval=0"),
        (dict(interval=2, offsets=(2,)), r"offsets=\(2,\)"),
    ],
)
def test_wrong_phase(wrong, message):
    with pytest.raises(ValueError, match=message):
        Phase(**{**dict(name="p", player="generator", losses=dict, terms=()), **wrong})


# --- random numbers


def test_seeds_differ_by_step_tag_and_gan():
    a, b = Tiny(seed=1), Tiny(seed=2)
    seeds = {tuple(g.seed_for(tag).numpy()) for g in (a, b) for tag in ("x", "y")}
    a.step.assign(1)
    seeds |= {tuple(a.seed_for(tag).numpy()) for tag in ("x", "y")}
    assert len(seeds) == 6
    a.step.assign(0)
    assert tuple(a.seed_for("x").numpy()) in seeds and a.seed_for("x").dtype == tf.int32


def test_replicas_draw_their_own_noise():
    strategy = two_replicas()
    with strategy.scope():
        gan = Tiny()
    run = tf.function(lambda: strategy.run(lambda: gan.latents({"real": tf.zeros((5, 2))}, "x")))
    a, b = (x.numpy() for x in strategy.experimental_local_results(run()))
    assert a.shape == b.shape == (5, 3)
    assert np.abs(a - b).min() > 0 and abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 0.9


# --- replicas


class Fixed(Tiny):
    """Latents are a function of the batch, so that cutting it in two changes nothing."""

    def latents(self, batch, tag):
        real = batch["real"]
        return tf.concat([real, real[:, :1] * 0.5], 1)


def replica_run():
    return tiny(Fixed, penalties=[R1(3.0, interval=2)], loss="hinge")


def test_two_replicas_equal_one():
    strategy = two_replicas()
    runs = []
    for scope in (strategy.scope, tf.distribute.get_strategy().scope):
        with scope():
            gan = replica_run()
        initial = gan.get_weights()
        logs = train(gan, 3, 8)
        runs.append((gan.get_weights(), logs))
    assert any(np.abs(a - b).max() > 0.01 for a, b in zip(initial, runs[0][0]))
    assert_same_weights(runs[0][0], runs[1][0], atol=2e-6)
    for key, values in runs[0][1].items():
        np.testing.assert_allclose(values, runs[1][1][key], rtol=1e-4, err_msg=key)
    assert int(gan.images_seen.numpy()) == 24


# --- precision


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_moves_the_weights_like_float32(policy):
    plain = tiny()
    start = plain.get_weights()
    with dtype_policy(policy):
        mixed = tiny()
        assert_same_weights(start, mixed.get_weights())
        for optimizer in (mixed.generator_optimizer, mixed.discriminator_optimizer):
            scaled = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
            assert scaled == (policy == "mixed_float16")
        logs = train(mixed, 4)
    train(plain, 4)
    assert all(np.isfinite(v).all() for v in logs.values())
    assert all(w.dtype == "float32" for w in mixed.generator.weights + mixed.discriminator.weights)
    for a, b, c in zip(start, plain.get_weights(), mixed.get_weights()):
        if a.dtype == np.float32:  # the counters are not
            np.testing.assert_allclose(c - a, b - a, atol=0.02)
    assert np.abs(np.subtract(start[2], plain.get_weights()[2])).max() > 0.02


# --- checks


class NoGradient(Tiny):
    def generator_losses(self, batch):
        return {"adversarial": tf.reduce_mean(tf.stop_gradient(self.fakes(batch, "generator")[0]))}


class OneWithout(Tiny):
    def discriminator_losses(self, batch):
        hidden = self.discriminator.get_layer("hidden0")(batch["real"])
        return {"adversarial": tf.reduce_mean(hidden)}


class WrongTerms(Tiny):
    def generator_losses(self, batch):
        return {"surprise": tf.reduce_mean(self.fakes(batch, "generator")[0])}


class NotStrict(OneWithout):
    def phases(self):
        import dataclasses

        return [dataclasses.replace(phase, strict=False) for phase in super().phases()]


def test_no_gradient_is_an_error():
    message = "`generator` gives no gradient to 4 of 4.*generator/hidden0"
    with pytest.raises(ValueError, match=message):
        train(tiny(NoGradient), 1)


def test_one_variable_without_gradient_is_named():
    with pytest.raises(ValueError, match="gives no gradient to 2 of 4.*discriminator/logit/kernel"):
        train(tiny(OneWithout), 1)


def test_a_phase_that_is_not_strict_leaves_it_out():
    gan = tiny(NotStrict)
    before = [w.numpy() for w in gan.discriminator.weights]
    train(gan, 1)
    moved = [not np.array_equal(a, b.numpy()) for a, b in zip(before, gan.discriminator.weights)]
    assert moved == [True, True, False, False]


def test_terms_are_as_declared():
    message = r"Declared: \('adversarial',\). Received: \('surprise',\)"
    with pytest.raises(ValueError, match=message):
        train(tiny(WrongTerms), 1)


# --- which phases run when


def test_lazy_penalty_runs_on_steps_0_4_8():
    record = Record()
    train(tiny(penalties=[R1(3.0, interval=4)]), 9, callbacks=[record])
    assert record.updates == [(1, 2) if step % 4 == 0 else (1, 1) for step in range(9)]


def test_lazy_penalty_is_multiplied_by_its_interval():
    gan = tiny(penalties=[R1(3.0, interval=4)], optimizer=lambda: keras.optimizers.SGD(0.0))
    logs = train(gan, 1, 8)
    x = tf.constant(POINTS[:8])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = gan.discriminator(x)
    gradient = tape.gradient(y, x).numpy()
    expected = 4 * 3.0 / 2 * (gradient**2).sum(1).mean()
    np.testing.assert_allclose(logs["r1/penalty"], expected, rtol=1e-5)
    joined = train(
        tiny(penalties=[R1(3.0)], optimizer=lambda: keras.optimizers.SGD(0.0)), 1, 8
    )
    np.testing.assert_allclose(joined["discriminator/r1"], expected / 4, rtol=1e-5)
    np.testing.assert_allclose(
        joined["d_loss"][0], joined["discriminator/r1"][0] + joined["discriminator/adversarial"][0],
        rtol=1e-6,
    )


def test_five_critic_steps():
    record, gan = Record(), tiny(critic_steps=5)
    train(gan, 16, callbacks=[record])
    assert iterations(gan) == (3, 16)
    assert [s for s, (g, _) in enumerate(record.updates) if g] == [4, 9, 14]
    assert int(gan.step.numpy()) == 16 and int(gan.images_seen.numpy()) == 64


def test_several_steps_per_execution():
    gan = tiny(critic_steps=2)
    with pytest.raises(ValueError, match=r"\['generator'\].*steps_per_execution=2"):
        gan.compile(steps_per_execution=2)
    one, two = tiny(), tiny()
    two.compile(keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.1), steps_per_execution=2)
    for gan in (one, two):
        train(gan, 4)
        assert int(gan.step.numpy()) == 4
    assert_same_weights(one.get_weights(), two.get_weights(), atol=1e-7)


def test_two_fits_are_one():
    a, b = tiny(critic_steps=3), tiny(critic_steps=3)
    a.fit(batches(POINTS, 8), epochs=1, verbose=0)
    b.fit(batches(POINTS, 4), epochs=2, verbose=0)  # 4 steps twice over the same first 16 points
    c = tiny(critic_steps=3)
    for _ in range(2):
        c.fit(batches(POINTS, 4), epochs=1, verbose=0)
    assert_same_weights(b.get_weights(), c.get_weights())
    assert int(a.step.numpy()) == int(c.step.numpy()) == 8
    assert iterations(a) == iterations(c) == (2, 8)


@pytest.mark.parametrize("asked", [None, True])
def test_data_sets_are_not_tuned_unless_asked(monkeypatch, asked):
    given = []
    monkeypatch.setattr(keras.Model, "fit", lambda gan, x, *args, **kwargs: given.append(x))
    data, options = batches(POINTS, 2, 4), tf.data.Options()
    if asked:
        options.autotune.enabled = True
    tiny().fit(data.with_options(options))
    assert given[0].options().autotune.enabled is bool(asked)


def test_loaded_weights_bring_their_step(tmp_path):
    gan, other = tiny(critic_steps=3), tiny(critic_steps=3)
    train(gan, 1)
    train(other, 2)
    other.save_weights(tmp_path / "g.weights.h5")
    gan.load_weights(tmp_path / "g.weights.h5")
    record = Record()
    train(gan, 2, callbacks=[record])
    assert record.updates == [(1, 1), (0, 1)]  # steps 2 and 3


def test_compiling_again_starts_anew():
    gan = tiny()
    train(gan, 2)
    gan.compile("adam", "rmsprop")
    assert iterations(gan) == (0, 0) and int(gan.step.numpy()) == 2
    train(gan, 1)
    assert iterations(gan) == (1, 1)


def test_eagerly():
    gan, eager = tiny(), tiny()
    eager.compile(keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.1), run_eagerly=True)
    for g in (gan, eager):
        train(g, 2)
    assert_same_weights(gan.get_weights(), eager.get_weights(), atol=1e-6)


# --- resuming


def adam():
    return keras.optimizers.Adam(0.01)


def lazy():
    return tiny(critic_steps=3, penalties=[R1(1.0, interval=2)], optimizer=adam, seed=7)


class Interrupt(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        raise KeyboardInterrupt


def test_backup_and_restore_resumes_at_the_right_phase(tmp_path):
    data = batches(POINTS, 4)  # the second epoch begins in the middle of three critic steps
    unbroken = lazy()
    unbroken.fit(data, epochs=3, verbose=0)
    backup = keras.callbacks.BackupAndRestore(tmp_path, delete_checkpoint=False)
    with pytest.raises(KeyboardInterrupt):
        lazy().fit(data, epochs=3, verbose=0, callbacks=[backup, Interrupt()])
    resumed, record = lazy(), Record()
    resumed.fit(data, epochs=3, verbose=0, callbacks=[
        keras.callbacks.BackupAndRestore(tmp_path), record,
    ])
    # steps 4 to 11; R1 on the even ones, the generator on 5, 8, 11
    expected = [(int(s % 3 == 2), 1 + (s % 2 == 0)) for s in range(4, 12)]
    assert record.updates == expected
    assert_same_state(unbroken, resumed)


def test_keras_file_restores_optimizers_and_step(tmp_path):
    plain = VanillaGAN.from_config(lazy().get_config())  # `Tiny` is not registered
    plain.compile(keras.optimizers.Adam(0.01, beta_1=0.3), keras.optimizers.RMSprop(0.02))
    train(plain, 5)
    plain.save(tmp_path / "g.keras")
    loaded = keras.saving.load_model(tmp_path / "g.keras")
    assert isinstance(loaded.generator_optimizer, keras.optimizers.Adam)
    assert loaded.generator_optimizer.beta_1 == 0.3
    assert isinstance(loaded.discriminator_optimizer, keras.optimizers.RMSprop)
    assert iterations(loaded) == (1, 5 + 3)
    assert (int(loaded.step.numpy()), int(loaded.images_seen.numpy())) == (5, 20)
    for name in ("generator_optimizer", "discriminator_optimizer"):
        a, b = (getattr(g, name).variables for g in (plain, loaded))
        assert len(a) > 2
        assert_same_weights([v.numpy() for v in a], [v.numpy() for v in b])


# --- a step by hand


def cross_entropy(logits, label):
    return tf.reduce_mean(
        tf.nn.sigmoid_cross_entropy_with_logits(tf.fill(tf.shape(logits), label), logits)
    )


def by_hand(gan, images, optimizers, fakes):
    """One step in the order of pytorch/examples dcgan/main.py; `fakes`: "shared" or "fresh"."""
    generator, discriminator = gan.generator, gan.discriminator
    tags = ("shared", "shared") if fakes == "shared" else ("discriminator", "generator")
    z, z_generator = (gan.generator.draw(len(images), gan.seed_for(tag)) for tag in tags)
    with tf.GradientTape() as generator_tape:
        fake = generator(z, training=True)
        with tf.GradientTape() as tape:
            real_loss = cross_entropy(discriminator(images, training=True), 1.0)
            fake_loss = cross_entropy(discriminator(tf.stop_gradient(fake), training=True), 0.0)
            loss = real_loss + fake_loss
        variables = [v.value for v in discriminator.trainable_variables]
        optimizers[0].apply(tape.gradient(loss, variables), discriminator.trainable_variables)
        if fakes == "fresh":
            fake = generator(z_generator, training=True)
        generator_loss = cross_entropy(discriminator(fake, training=True), 1.0)
    variables = [v.value for v in generator.trainable_variables]
    gradients = generator_tape.gradient(generator_loss, variables)
    optimizers[1].apply(gradients, generator.trainable_variables)
    gan.step.assign_add(1)
    return float(loss), float(generator_loss)


@pytest.mark.parametrize("variant, fakes", [("pytorch", "shared"), ("paper", "fresh")])
def test_training_equals_the_step_by_hand(variant, fakes):
    def make():
        keras.utils.set_random_seed(1)
        return DCGAN(16, 5, 4, channels=1, variant=variant, seed=9)

    images = np.random.RandomState(2).uniform(-1, 1, (24, 16, 16, 1)).astype("float32")
    gan, hand = make(), make()
    start = gan.get_weights()
    sgd = lambda: keras.optimizers.SGD(0.05, momentum=0.5)  # noqa: E731
    gan.compile(sgd(), sgd())
    optimizers = sgd(), sgd()
    losses = [by_hand(hand, images[i : i + 8], optimizers, fakes) for i in (0, 8, 16)]
    logs = gan.fit(batches(images, 3, 8), epochs=1, verbose=0).history
    for network in ("generator", "discriminator"):  # batch norm's statistics among them
        a, b = (getattr(g, network).get_weights() for g in (gan, hand))
        assert_same_weights(a, b, atol=2e-6)
    assert max(np.abs(a - b).max() for a, b in zip(start, gan.get_weights())) > 0.01
    np.testing.assert_allclose(logs["d_loss"][0], np.mean([d for d, _ in losses]), rtol=1e-5)
    np.testing.assert_allclose(logs["g_loss"][0], np.mean([g for _, g in losses]), rtol=1e-5)
