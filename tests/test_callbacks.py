"""ganzoo.callbacks: grids of the same latents, the first NaN ends a training, the best is kept."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

import ganzoo
from ganzoo import callbacks
from ganzoo.data import ring
from ganzoo.errors import GanzooError, MeasureError
from ganzoo.families.cgan import CGAN
from ganzoo.families.vanilla_gan import VanillaGAN
from ganzoo.metrics import records
from ganzoo.metrics.arrays import MetricError
from ganzoo.metrics.classifier import Classifier, ClassifierExtractor
from ganzoo.metrics.features import Outputs


def mlp(shape=(4, 4, 1)):
    return VanillaGAN(
        shape, 3, (4,), output="tanh", discriminator="leaky_relu", discriminator_widths=(4,),
        dropout=(0.0, 0.0), initializer="glorot_uniform",
    )


def decode(path):
    return tf.io.decode_png(path.read_bytes()).numpy()


def test_sample_grid_writes_the_same_latents(tmp_path):
    gan = mlp()
    gan.compile()
    images = np.random.RandomState(0).randint(0, 256, (24, 4, 4, 1), "uint8")
    grid = callbacks.SampleGrid(tmp_path, every_steps=4, count=6, columns=3, seed=5)
    gan.fit(images, batch_size=4, epochs=1, verbose=0, callbacks=[grid])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step_00000004.png", "step_00000006.png"]
    expected = callbacks.grid(gan.generate(6, seed=5), 3)
    np.testing.assert_array_equal(decode(tmp_path / "step_00000006.png"), expected)


def test_sample_grid_of_points_is_one_picture(tmp_path):
    gan = mlp((2,))
    grid = callbacks.SampleGrid(tmp_path, count=100)
    grid.set_model(gan)
    assert decode(grid.write()).shape == (256, 256, 1)


def test_sample_grid_for_tensorboard(tmp_path):
    grid = callbacks.SampleGrid(tmp_path, count=4, tensorboard=tmp_path / "board")
    grid.set_model(mlp())
    grid.write()
    assert list((tmp_path / "board").glob("events*"))


@pytest.mark.parametrize(("every_steps", "stops_at"), [(1, 3), (2, 3), (50, 6)])
def test_stop_on_nan(every_steps, stops_at, capsys):
    gan = mlp()
    rates = keras.optimizers.schedules.PiecewiseConstantDecay([1], [1e-3, 1e38])  # bad from step 2
    gan.compile(keras.optimizers.SGD(rates), keras.optimizers.SGD(rates))
    images = np.random.RandomState(0).randint(0, 256, (24, 4, 4, 1), "uint8")
    watch = callbacks.StopOnNaN(every_steps)
    gan.fit(images, batch_size=4, epochs=2, shuffle=False, verbose=0, callbacks=[watch])
    assert "g_loss" in watch.found and "generator/adversarial" in watch.found
    assert abs(int(gan.step.numpy()) - stops_at) <= 1, gan.step
    assert capsys.readouterr().out.count("not finite. Lower the learning rate") == 1


def test_stop_on_nan_leaves_sound_training_alone():
    gan = mlp()
    gan.compile()
    watch = callbacks.StopOnNaN(1)
    images = np.random.RandomState(0).randint(0, 256, (8, 4, 4, 1), "uint8")
    gan.fit(images, batch_size=4, epochs=2, verbose=0, callbacks=[watch])
    assert watch.found is None and int(gan.step.numpy()) == 4


# EvaluateEvery


class Mean:
    """An `Extractor` of the mean image in three places."""

    name, sha256, resizer, dim, classes = "mean", "3" * 64, "none", 3, 0

    def __call__(self, images):
        features = images.reshape(len(images), -1)[:, [5, 30, 60]].astype("float32")
        return Outputs(features, features[:, :0])


def conditional():
    gan = CGAN(8, 4, 4, num_classes=3, ema=ganzoo.EMA(0.5))
    gan.compile()
    return gan


REALS = np.random.RandomState(0).randint(0, 256, (60, 8, 8, 1)).astype("uint8")
LABELS = np.arange(60) % 3


def watch(folder, **options):
    names = ["fid", "coverage"]
    return callbacks.EvaluateEvery(REALS, names, folder, extractor=Mean(), count=40, **options)


def fit(gan, *watchers, epochs=2):
    return gan.fit(
        REALS, LABELS, batch_size=20, epochs=epochs, callbacks=list(watchers), verbose=0
    )


def test_metrics_join_the_logs_and_the_records(tmp_path):
    gan = conditional()
    history = fit(gan, watch(tmp_path), keras.callbacks.CSVLogger(tmp_path / "log.csv")).history
    found = records.load(tmp_path / "records.json")
    assert [r.step for r in found] == [3, 3, 6, 6]
    assert {r.model for r in found} == {tmp_path.name}
    assert history["fid-mean"] == [r.value for r in found if r.metric == "fid-mean"]
    assert "coverage-mean" in (tmp_path / "log.csv").read_text().splitlines()[0]
    assert found[0].ema and found[0].labels == "in turn" and found[0].n_fake == 40


def test_the_best_model_is_that_of_the_metric(tmp_path, monkeypatch):
    gan, watcher = conditional(), watch(tmp_path)
    values = iter([3.0, 1.0, 2.0])
    monkeypatch.setattr(
        callbacks,
        "evaluate",
        lambda *_, extractor, options, generator, **about: [
            records.Record(metric=f"{name}-mean", value=next(values), better=better, **about)
            if name == "fid"
            else records.Record(metric=f"{name}-mean", value=0.5, better=better, **about)
            for name, better in (("fid", "lower"), ("coverage", "higher"))
        ],
    )
    seen = []

    class Look(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append(gan.generate(3, seed=1))

    fit(gan, watcher, Look(), epochs=3)
    best = ganzoo.load(tmp_path / "best")
    np.testing.assert_array_equal(best.generate(3, seed=1), seen[1])
    assert not np.array_equal(seen[1], seen[2])


def test_measurements_wait_for_their_images(tmp_path):
    fit(conditional(), watch(tmp_path, every_images=120), epochs=5)
    steps = [r.step for r in records.load(tmp_path / "records.json")][::2]
    assert steps == [3, 9, 15]


def test_a_resumed_training_goes_on_with_the_best(tmp_path):
    gan = conditional()
    fit(gan, watch(tmp_path), epochs=2)
    gan.save_weights(tmp_path / "state.weights.h5")
    fit(gan, watch(tmp_path), epochs=1)  # lost
    again = conditional()
    again.load_weights(tmp_path / "state.weights.h5")
    watcher = watch(tmp_path)
    fit(again, watcher, epochs=1)
    found = records.load(tmp_path / "records.json")
    assert [r.step for r in found][::2] == [3, 6, 9]
    assert watcher._best.value == min(r.value for r in found if r.metric == "fid-mean")


def test_older_records_call_a_folder_by_its_last_name(tmp_path):
    """They are of this run, and go on being compared with its new ones."""
    gan = conditional()
    fit(gan, watch(tmp_path, data="train size=8"), epochs=1)
    older = [
        dataclasses.replace(record, model=f"step {record.step}", step=None)
        for record in records.load(tmp_path / "records.json")
    ]
    records.save(tmp_path / "records.json", older)
    fit(gan, watch(tmp_path, data="/photographs/train size=8"), epochs=1)
    measured = records.load(tmp_path / "records.json")
    assert {record.data for record in measured} == {"/photographs/train size=8"}
    assert len(measured) == 4


def test_older_records_say_their_step_in_the_name(tmp_path):
    gan = conditional()
    fit(gan, watch(tmp_path), epochs=2)
    older = [
        dataclasses.replace(record, model=f"step {record.step}", step=None)
        for record in records.load(tmp_path / "records.json")
    ]
    records.save(tmp_path / "records.json", older)
    assert '"step"' not in (tmp_path / "records.json").read_text()
    fit(gan, watch(tmp_path), epochs=1)
    measured = records.load(tmp_path / "records.json")
    assert measured[:4] == older and [r.step for r in measured[4:]] == [9, 9]
    again = conditional()  # at step 0: nothing of it counts
    fit(again, watch(tmp_path), epochs=1)
    assert [r.step for r in records.load(tmp_path / "records.json")] == [3, 3]


def of_attributes():
    gan = CGAN(8, 4, 4, networks="conv", num_classes=0, num_attributes=3)
    gan.compile()
    classifier = Classifier(8, 1, 2, widths=(4, 6))
    return gan, ClassifierExtractor(classifier, "6" * 64, "tiny", ("dark", "round"))


def test_attributes_and_latents_are_measured_in_training(tmp_path):
    gan, extractor = of_attributes()
    names = ["linear_separability_z", "fid"]
    watcher = callbacks.EvaluateEvery(REALS, names, tmp_path, extractor=extractor, count=40)
    labels = np.eye(3, dtype="float32")[LABELS]
    logs = gan.fit(
        REALS, labels, batch_size=20, epochs=2, callbacks=[watcher], verbose=0
    ).history
    measured = records.load(tmp_path / "records.json")
    assert [r.metric for r in measured[:2]] == ["linear-separability-z-tiny", "fid-tiny"]
    assert [r.n_fake for r in measured] == [40] * 4
    assert {r.labels for r in measured} == {"in turn"}
    assert watcher._best.metric == "linear-separability-z-tiny" and len(logs["fid-tiny"]) == 2
    assert (tmp_path / "best" / "model.safetensors").is_file()


def test_a_space_that_is_not_there_is_refused_before_the_first_step(tmp_path):
    gan, extractor = of_attributes()
    labels = np.eye(3, dtype="float32")[LABELS]
    for name, error in (
        ("linear-separability-w", "has no w"),
        ("ppl-stylegan-wend", "no space w"),
    ):
        watcher = callbacks.EvaluateEvery(REALS, [name], tmp_path, extractor=extractor)
        with pytest.raises(GanzooError, match=error):
            gan.fit(REALS, labels, batch_size=20, callbacks=[watcher], verbose=0)
    assert int(gan.step.numpy()) == 0
    with pytest.raises(MeasureError, match="classifier of attributes.*'mean'"):
        callbacks.EvaluateEvery(REALS, ["linear-separability-z"], tmp_path, extractor=Mean())


def test_points_are_measured_by_their_mixture(tmp_path):
    gan = VanillaGAN(
        (2,), 4, (8,), output="linear", discriminator="leaky_relu", discriminator_widths=(8,)
    )
    gan.compile()
    mixture = ring(8)
    watcher = callbacks.EvaluateEvery(mixture, ["modes", "high_quality"], tmp_path, count=50)
    gan.fit(mixture.sample(40), batch_size=20, epochs=1, callbacks=[watcher], verbose=0)
    names = [record.metric for record in records.load(tmp_path / "records.json")]
    assert names == ["modes", "high-quality"]
    assert (tmp_path / "best" / "model.safetensors").is_file()


def test_what_cannot_be_measured_is_refused_before_training(tmp_path):
    with pytest.raises(MetricError, match="fidd"):
        callbacks.EvaluateEvery(REALS, ["fidd"], tmp_path)
    with pytest.raises(MetricError, match="extractor"):
        callbacks.EvaluateEvery(REALS, ["fid"], tmp_path)
    with pytest.raises(ValueError, match="kid"):
        watch(tmp_path, best="kid")
