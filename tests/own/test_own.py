"""Families outside the package pass everything that a family of ours passes.

Each file beside this one is a whole family with its recipe, as a user would write it; the tutorial
`docs/own_family.md` shows them.
"""

import dataclasses
import json
import pathlib
import re
import subprocess
import sys

import harness
import keras
import numpy as np
import pytest
import tensorflow as tf
import yaml

import ganzoo
from ganzoo import measure, training
from ganzoo import recipe as recipes
from ganzoo.arguments import captured
from ganzoo.data import Dataset
from ganzoo.errors import DatasetKindError, UnknownFamilyError

HERE = pathlib.Path(__file__).parent
NAMES = ("two_way", "encoder", "captioned", "vocoder")
each_family = pytest.mark.parametrize("name", NAMES)


def file_of(name):
    return str(HERE / f"{name}.py")


def loaded_class(name):
    return recipes.read(file_of(name)).model


def drawn(gan, seed, batch_size):
    """Five outputs of a model of any of these kinds."""
    if not hasattr(gan, "translate"):
        return first_of(gan.samples(5, seed=seed, batch_size=batch_size))
    images = np.random.RandomState(seed).randint(0, 256, (5, 16, 16, 3), "uint8")
    return gan.translate(images, batch_size=batch_size)


def first_of(batches):
    return np.concatenate([b[0] if isinstance(b, tuple) else b for b in batches])


SMALL = {
    "two_way": {"width": 5, "channels": 3, "cycle_weight": 3.0, "seed": 2},
    "encoder": {"size": 8, "latent_dim": 5, "seed": 2},
    "captioned": {"size": 8, "latent_dim": 5, "seed": 2},
    "vocoder": {"width": 6, "mel_weight": 2.0, "seed": 2},
}
INPUTS = {
    "two_way": {
        network: harness.images(2, 16)
        for network in ("generator_ab", "generator_ba", "discriminator_a", "discriminator_b")
    },
    "vocoder": {
        "generator": np.random.RandomState(0).randn(2, 16, 8).astype("float32"),
        "discriminator": np.random.RandomState(0).randn(2, 256, 1).astype("float32"),
    },
}


@each_family
def test_check_family(name):
    cls = loaded_class(name)
    data = cls(**SMALL[name]).example_batch(12)
    inputs = INPUTS.get(name)
    harness.check_family(lambda: cls(**SMALL[name]), data, generate=drawn, inputs=inputs)


@each_family
def test_training_resumes_and_what_it_leaves_is_measured(name, pictures, run, monkeypatch):
    code, _, errors = run("check", file_of(name))
    assert code == 0, errors
    whole = recipes.run(recipes.read(file_of(name)), "whole", verbose=0)
    keep = training._Keeper.keep

    def stop(self):
        keep(self)
        raise KeyboardInterrupt

    with monkeypatch.context() as context:
        context.setattr(training._Keeper, "keep", stop)
        code, _, errors = run("train", file_of(name), "--out", "broken")
        assert code == 130 and "goes on with what broken holds" in errors
    code, out, errors = run("train", file_of(name), "--out", "broken")
    assert code == 0 and out.endswith("broken/samples.png\n"), errors
    lines = pathlib.Path("broken/log.csv").read_text().splitlines()
    assert len(lines) == 3 and "swd" in lines[0].split(",")
    assert len(list(pathlib.Path("broken/samples").glob("step_*.png"))) == 2
    resumed = ganzoo.load("broken")
    for network, other in whole.networks().items():
        harness.assert_same_weights(other.get_weights(), resumed.networks()[network].get_weights())
    assert {record.step for record in ganzoo.metrics.records.load("broken/records.json")} == {8, 16}
    assert type(ganzoo.load("broken/best")).__name__ == type(whole).__name__

    given = [] if name in ("two_way", "encoder") else ["--dataset", file_of(name)]
    options = ["--metrics", "swd", "-n", "8", *given]
    code, out, errors = run("--import", file_of(name), "evaluate", "broken", *options)
    assert code == 0 and re.search(r"swd\s", out), errors


@each_family
def test_publishing(name, pictures):
    gan = loaded_class(name)(**SMALL[name])
    gan.save_pretrained("mine", license="MIT")
    again = ganzoo.load("mine")
    assert type(again) is type(gan) and again.get_config() | {"name": 0} == gan.get_config() | {
        "name": 0
    }
    np.testing.assert_array_equal(drawn(again, 1, 5), drawn(gan, 1, 5))
    assert set(again.provenance) == set(gan.networks())
    for network in gan.generators():
        alone = ganzoo.load_generator("mine", network=network)
        assert type(alone).__name__ == type(gan.networks()[network]).__name__
        harness.assert_same_weights(alone.get_weights(), gan.networks()[network].get_weights())
    with pytest.raises(ValueError, match=r"`network` of 'mine' must be one of .*network='other'"):
        ganzoo.load_generator("mine", network="other")
    card = pathlib.Path("mine/README.md").read_text()
    assert gan.example in card and gan.purpose in card
    assert yaml.safe_load(card.split("---")[1])["pipeline_tag"] == gan.task
    assert tf.io.decode_png(pathlib.Path("mine/samples.png").read_bytes()).shape[0] > 8
    gan.save("mine.keras")
    assert type(ganzoo.load("mine.keras")) is type(gan)


def test_a_process_that_does_not_know_the_family_says_what_to_import(pictures):
    gan = loaded_class("encoder")(**SMALL["encoder"])
    gan.save_pretrained("mine")
    gan.save("mine.keras")
    code = (
        "import ganzoo, ganzoo.errors as e\n"
        "for load in (ganzoo.load, ganzoo.load_generator):\n"
        "    try: load('mine')\n"
        "    except e.UnknownFamilyError as error: print(error)\n"
        "try: ganzoo.load('mine.keras')\n"
        "except e.UnsafeCheckpointError as error: print(error)\n"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    first, second, third = out.stdout.splitlines()
    assert ".Encoding`" in third and "import their module first" in third
    assert "'own>Encoding'" in first and "import its module first" in first
    assert "'own>Drawer'" in second and "package='own'" in second
    code = "import ganzoo, sys; from importlib import util as u; sys.path.insert(0, sys.argv[1])\n"
    code += "import encoder; print(type(ganzoo.load('mine')).__name__)"
    out = subprocess.run([sys.executable, "-c", code, str(HERE)], capture_output=True, text=True)
    assert out.stdout == "Encoding\n", out.stderr


def test_a_class_that_nobody_registered_is_refused_before_training(pictures):
    class Nameless(loaded_class("encoder")):
        pass

    recipe = dataclasses.replace(recipes.read(file_of("encoder")), model=Nameless)
    with pytest.raises(ValueError, match=r"register_keras_serializable.*Received: .*Nameless"):
        recipes.run(recipe, "run", verbose=0)
    assert not pathlib.Path("run/log.csv").exists()


@pytest.mark.parametrize(
    "name, wanted", [("two_way", "'pairs' or 'unpaired'"), ("vocoder", "'sound'")]
)
def test_a_wrong_kind_of_data_set_is_named(name, wanted, pictures):
    data = Dataset(folder="circles", size=16)
    recipe = dataclasses.replace(recipes.read(file_of(name)), dataset=data)
    with pytest.raises(DatasetKindError, match=f"kind {wanted}.*Received: kind='images'"):
        recipes.run(recipe, "run", verbose=0)
    message = "keys `a` and `b`" if name == "two_way" else "keys .'sound'."
    with pytest.raises(ValueError, match=message):
        gan = loaded_class(name)(**SMALL[name])
        gan.compile()
        gan.fit(data.stream(4, epochs=1), verbose=0)


def test_generate_draws_what_has_latents(pictures, run):
    loaded_class("captioned")(**SMALL["captioned"]).save_pretrained("captioned")
    loaded_class("two_way")(**SMALL["two_way"]).save_pretrained("two_way")
    code, out, errors = run("generate", "captioned", "-n", "4", "-o", "drawn.png")
    assert code == 0 and out == "drawn.png\n", errors
    code, _, errors = run("generate", "two_way")
    assert code == 2 and "draws from latents, which a Painter has not" in errors


def test_data_of_ones_own_cannot_be_rebuilt_from_a_record(pictures):
    recipe = recipes.read(file_of("captioned"))
    recipes.run(dataclasses.replace(recipe, images=32, metrics=()), "run", verbose=0)
    settings = json.loads(pathlib.Path("run/recipe.json").read_text())["settings"]
    assert settings["dataset"] == {"kind": "own colours", "size": 16}
    assert settings["family"] == "own>Captioned"
    with pytest.raises(ganzoo.errors.MeasureError, match="give it as `dataset`"):
        measure.measure("run", metrics=["swd"], count=8)
    [record] = measure.measure("run", metrics=["swd"], count=8, dataset=recipe.dataset)
    assert record.data == "colours size=16" and record.n_fake == record.n_real == 8


def test_encoder_and_captions_do_what_they_are_for(pictures):
    gan = loaded_class("encoder")()
    assert gan.encode(np.zeros((3, 16, 16, 1), "uint8")).shape == (3, 8)
    captioned = loaded_class("captioned")()
    images = captioned.draw(["light red", "dark blue"], seed=1)
    assert images.shape == (2, 16, 16, 3) and images.dtype == np.uint8
    with pytest.raises(ValueError, match=r"shape \[count, dim\] = \(2, 5\).*shape \(2, 3\)"):
        captioned.generate(2, labels=np.zeros((2, 3)))
    assert keras.saving.get_registered_name(type(captioned)) == "own>Captioned"


def test_an_unknown_family_is_a_weights_error():
    assert issubclass(UnknownFamilyError, ganzoo.errors.WeightsError)


# --- shapes that nobody named


@keras.saving.register_keras_serializable(package="own")
class SeriesGenerator(ganzoo.Generator):
    def __init__(self, length=12, latent_dim=3, name="generator"):
        with keras.name_scope(name):
            z = keras.Input((latent_dim,), name="z")
            x = keras.layers.Dense(length * 2, dtype="float32", name="values")(z)
            x = keras.layers.Reshape((length, 2), dtype="float32", name="series")(x)
        super().__init__(z, x, name=name)
        self.length, self.latent_dim = length, latent_dim

    def get_config(self):
        return {"length": self.length, "latent_dim": self.latent_dim, "name": self.name}

    def finish(self, images):
        return images


@keras.saving.register_keras_serializable(package="own")
@captured
class Series(ganzoo.LatentGAN):
    """Two measured values over time, of any range."""

    kinds = ("series",)

    def __init__(self, length=12, latent_dim=3, **kwargs):
        judge = keras.Sequential(
            [
                keras.Input((length, 2), name="series"),
                keras.layers.Flatten(name="flat"),
                keras.layers.Dense(1, dtype="float32", name="logits"),
            ],
            name="discriminator",
        )
        generator = SeriesGenerator(length, latent_dim)
        super().__init__(generator, judge, loss="wasserstein", **kwargs)

    def default_optimizers(self):
        adam = keras.optimizers.Adam
        return {"generator_optimizer": adam(1e-3), "discriminator_optimizer": adam(1e-3)}


def test_a_family_of_another_shape(pictures):
    gan = Series(length=9, ema=ganzoo.EMA(0.9))
    gan.compile()
    series = 50 + 9 * np.random.RandomState(0).randn(16, 9, 2).astype("float32")
    gan.fit({"image": series}, batch_size=4, epochs=1, verbose=0)
    assert gan.purpose == "draws samples of 9 x 2 numbers"
    gan.save_pretrained("mine")
    again = ganzoo.load("mine")
    np.testing.assert_array_equal(again.generate(3, seed=2), gan.generate(3, seed=2))
    assert again.generate(3).dtype == np.float32 and again.preview(6, 3, 0).shape[0] == 6
    assert ganzoo.load_generator("mine").name == "generator_ema"
    assert ganzoo.load_generator("mine", network="generator").name.startswith("generator")
    with pytest.raises(ganzoo.errors.MetricError, match="uint8"):
        measure.measure("mine", metrics=["ms-ssim"], count=8)


def test_two_networks_of_one_name_are_refused():
    class Twins(Series):
        def networks(self):
            return ganzoo.GAN.networks(self)

        def players(self):
            twin = SeriesGenerator()
            return {"generator": [self.generator, twin], "discriminator": [self.discriminator]}

    with pytest.raises(ValueError, match="names of their own.*'generator', 'generator'"):
        Twins().networks()
