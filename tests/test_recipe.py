"""ganzoo.recipe: reading, running, and going on exactly where a run was stopped."""

import csv
import itertools
import json
import math
import signal

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from harness import assert_same_weights

import ganzoo
from ganzoo import recipe as recipes
from ganzoo import training
from ganzoo.data import Dataset
from ganzoo.recipe import Recipe, RecipeError

STEPS = 6  # of an epoch
EPOCHS = 3


def model(**kwargs):
    from ganzoo.families.vanilla_gan import VanillaGAN

    return VanillaGAN(
        kwargs.pop("shape", (2,)), 4, (8,), output="tanh", discriminator="leaky_relu",
        discriminator_widths=(8,), dropout=(0.2, 0.3), initializer="glorot_uniform", **kwargs,
    )


def optimizers(rate=1e-3):
    names = ("generator_optimizer", "discriminator_optimizer")
    return {name: keras.optimizers.Adam(rate) for name in names}


def ring(**changes):
    fields = {
        "paper": "arXiv:1406.2661", "dataset": Dataset(name="ring"), "model": model,
        "optimizers": optimizers, "batch_size": 4, "images": 4 * STEPS * EPOCHS,
        "epoch_images": 4 * STEPS, "seed": 3,
    }
    return Recipe(**fields | changes)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A recipe on a folder of 30 pictures in shuffled order, mirrored at random."""
    folder = tmp_path_factory.mktemp("pictures")
    for i in range(30):
        pixels = np.random.RandomState(i).randint(0, 256, (6, 6, 1), "uint8")
        (folder / f"{i:02}.png").write_bytes(tf.io.encode_png(pixels).numpy())
    dataset = Dataset(folder=str(folder), flip=True)
    return ring(dataset=dataset, model=lambda: model(shape=(6, 6, 1), critic_steps=2))


# The dataclass


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"btch_size": 4}, r"no field 'btch_size'; did you mean 'batch_size'\? .*btch_size=4"),
        ({"zzz": 4}, r"no field 'zzz'; the fields are \['paper', .*Received: zzz=4"),
        ({"batch_size": 0}, "`batch_size` must be an int > 0. Received: batch_size=0"),
        ({"images": 1e6}, "`images` must be an int > 0. Received: images=1000000.0"),
        ({"epoch_images": True}, "Received: epoch_images=True"),
        ({"dtype": "float16"}, "`dtype` must be one of .*Received: dtype='float16'"),
        ({"model": 3}, "`model` must be a callable.*Received: model=3"),
        ({"optimizers": {}}, "`optimizers` must be a callable.*Received: optimizers={}"),
        ({"dataset": "mnist"}, "must be a `ganzoo.data.Dataset`. Received: dataset='mnist'"),
    ],
)
def test_wrong_fields(changes, message):
    with pytest.raises(RecipeError, match=message):
        ring(**changes)


def test_override():
    recipe = recipes.override(ring(), images=8, batch_size=None, seed=5)
    assert (recipe.images, recipe.batch_size, recipe.seed) == (8, 4, 5)
    with pytest.raises(RecipeError, match="Received: images=-1"):
        recipes.override(ring(), images=-1)


# Files

FILE = """
from ganzoo import training
from ganzoo.data import Dataset
from ganzoo.recipe import Recipe
def make(seed):
    return Recipe(
        paper="p", dataset=Dataset(name="ring"), model=dict, batch_size=4, images=8, seed=seed
    )
recipe = make(0)
variants = {"one": make(1), "two": make(2)}
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(FILE)
    return path


def test_read_a_file_and_its_variants(file):
    assert recipes.read(file).seed == recipes.read(str(file)).seed == 0
    assert recipes.read(f"{file}:one").seed == 1
    assert recipes.read(f"{file}:two").seed == 2
    with pytest.raises(RecipeError, match=r"variants \['one', 'two'\]. Received: variant='three'"):
        recipes.read(f"{file}:three")


def test_titles_are_fit_for_folders(file):
    assert recipes.title(file) == "mine"
    assert recipes.title(f"{file}:one") == "mine-one"
    assert recipes.title("gaussians_ring8") == "gaussians_ring8"
    assert recipes.title("gaussians_ring8:hinge") == "gaussians_ring8-hinge"


def test_names_are_readable_and_complete(root):
    names = recipes.names()
    files = sorted(path.stem for path in (root / "recipes").glob("[!_]*.py"))
    assert sorted({name.partition(":")[0] for name in names}) == files
    assert len(names) == len(set(names))
    assert names[names.index("gaussians_ring8") + 1].startswith("gaussians_ring8:")
    assert "gaussians_ring8:wasserstein" in names
    for name in names:
        assert isinstance(recipes.read(name), Recipe)
    with pytest.raises(RecipeError, match="Received: variant='hing'"):
        recipes.read("gaussians_ring8:hing")


@pytest.mark.parametrize("name", ["dcgan_fashion_mnits", "no/such/dcgan_fashion_mnits.py"])
def test_unknown_names_tell_the_nearest(name):
    with pytest.raises(RecipeError, match="nearest .*'dcgan_fashion_mnist'.*`ganzoo recipes`"):
        recipes.read(name)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("recipe = 3", "mine.py' must define `recipe = Recipe"),
        ("x = (", r"mine.py', line 1, fails: SyntaxError: "),
        ("\nx = y", r"mine.py', line 2, fails: NameError: name 'y'"),
        ("import no_such", r"mine.py', line 1, fails: ModuleNotFoundError: .*'no_such'"),
        ("from ganzoo import Recipe\nRecipe(papre='x')", "no field 'papre'; did you mean 'paper'"),
        ("from ganzoo import Recipe\nRecipe()", r"line 2, fails: TypeError: .*'paper'"),
        (FILE + "variants = {'a': 3}", "`variants` of .*mine.py' must be recipes by name"),
    ],
)
def test_files_that_fail(file, text, message):
    file.write_text(text)
    with pytest.raises(RecipeError, match=message):
        recipes.read(file)


# Building


def test_the_seed_makes_the_weights():
    a, b, c = (recipes.build(ring(seed=seed)) for seed in (0, 0, 1))
    assert_same_weights(a.get_weights(), b.get_weights())
    assert np.any(a.generator.get_weights()[0] != c.generator.get_weights()[0])


def test_the_policy_is_the_recipes_and_is_put_back():
    before = keras.config.dtype_policy().name
    gan = recipes.build(ring(dtype="mixed_bfloat16"))
    assert gan.generator.get_layer("hidden0").compute_dtype == "bfloat16"
    assert keras.config.dtype_policy().name == before


@pytest.mark.parametrize(
    ("images", "epoch_images", "critic_steps", "expected"),
    [(400, 100, 1, (4, 25)), (401, 100, 1, (4, 26)), (400, 100, 2, (4, 26)), (4, 100, 5, (1, 5))],
)
def test_plan(images, epoch_images, critic_steps, expected):
    recipe = ring(
        images=images, epoch_images=epoch_images, model=lambda: model(critic_steps=critic_steps)
    )
    epochs, steps = recipes.plan(recipe, recipes.build(recipe))
    assert (epochs, steps) == expected
    assert epochs * steps * recipe.batch_size >= images
    assert math.gcd(steps, critic_steps) == critic_steps


def test_settings_are_json_and_tell_recipes_apart(tmp_path):
    def of(recipe):
        settings = recipes.settings(recipe, recipes.build(recipe))
        assert json.loads(json.dumps(settings)) == settings
        return settings

    def compare(a, b):
        training._refuse_change(tmp_path, json.dumps({"settings": of(a)}), of(b))

    compare(ring(), ring())
    for change in (
        {"seed": 4}, {"images": 8}, {"dataset": Dataset(name="grid")}, {"dtype": "mixed_bfloat16"},
        {"model": lambda: model(loss="hinge")}, {"optimizers": lambda: optimizers(2e-3)},
    ):
        with pytest.raises(RecipeError, match="other settings"):
            compare(ring(), ring(**change))


def test_check_finds_losses_that_are_not_finite():
    assert int(recipes.check(ring(model=lambda: model(critic_steps=3))).step.numpy()) == 3
    unsound = ring(model=lambda: model(critic_steps=2), optimizers=lambda: optimizers(math.nan))
    with pytest.raises(RecipeError, match="not finite"):
        recipes.check(unsound)


# Running


def state(gan):
    """Every number that training changes."""
    optimizers_ = (gan.generator_optimizer, gan.discriminator_optimizer)
    return [v.numpy() for v in itertools.chain(gan.variables, *(o.variables for o in optimizers_))]


def rows(folder):
    with open(folder / "log.csv", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "a" / "b"
    return folder, recipes.run(ring(), folder, name="ring", verbose=0)


def test_what_a_run_leaves(finished):
    folder, gan = finished
    found = {path.name for path in folder.iterdir()}
    assert found == {
        "recipe.json", "log.csv", "samples", "backup", "config.json", "model.safetensors",
        "samples.png", "result.json", "seconds.json",
    }
    assert [p.name for p in (folder / "backup").iterdir()] == ["latest.weights.h5"]
    grids = [f"step_{STEPS * (i + 1):08}.png" for i in range(EPOCHS)]
    assert sorted(path.name for path in (folder / "samples").iterdir()) == grids
    result = json.loads((folder / "result.json").read_text())
    assert (result["steps"], result["images_seen"]) == (STEPS * EPOCHS, 4 * STEPS * EPOCHS)
    assert result["wall_seconds"] >= 0 and result["images_per_second"] > 0
    record = json.loads((folder / "recipe.json").read_text())
    assert record["recipe"] == "ring" and record["settings"]["seed"] == 3
    assert record["environment"]["keras"] == keras.__version__
    log = rows(folder)
    assert [row["epoch"] for row in log] == ["0", "1", "2"]
    assert set(log[0]) >= {"epoch", "d_loss", "g_loss"}
    assert tf.io.decode_png((folder / "samples.png").read_bytes()).shape == (256, 256, 1)


def test_the_folder_of_a_run_can_be_loaded(finished):
    folder, gan = finished
    loaded = ganzoo.load(folder)
    for name, network in gan.networks().items():
        assert_same_weights(network.get_weights()[:4], loaded.networks()[name].get_weights()[:4])
    np.testing.assert_array_equal(loaded.generate(3), gan.generate(3))


def test_a_finished_run_stays(finished):
    folder, gan = finished
    files = folder / "log.csv", folder / "model.safetensors"
    before = [file.read_bytes() for file in files]
    again = recipes.run(ring(), folder, verbose=0)
    assert before == [file.read_bytes() for file in files]
    assert_same_weights(state(gan), state(again))


def test_other_settings_are_refused_with_the_difference(finished):
    folder, _ = finished
    before = {path: path.read_bytes() for path in folder.rglob("*.*")}
    other = ring(seed=8, images=999, model=lambda: model(loss="hinge"))
    with pytest.raises(RecipeError) as error:
        recipes.run(other, folder, verbose=0)
    message = str(error.value)
    assert f"{str(folder)!r} holds a run with other settings; choose another folder" in message
    assert "\n  images: 72 there, 999 now" in message and "\n  seed: 3 there, 8 now" in message
    assert "config.loss.class_name: 'NonSaturating' there, 'Hinge' now" in message
    assert before == {path: path.read_bytes() for path in folder.rglob("*.*")}


def test_long_differences_are_cut(tmp_path):
    (tmp_path / "backup").mkdir()
    (tmp_path / "backup" / "latest.weights.h5").touch()
    (tmp_path / "recipe.json").write_text(json.dumps({"settings": {str(i): i for i in range(30)}}))
    with pytest.raises(RecipeError, match=r"and \d+ more$") as error:
        recipes.run(ring(), tmp_path, verbose=0)
    assert len(str(error.value).splitlines()) == 12


def test_settings_of_a_run_that_kept_nothing_may_change(tmp_path):
    training._claim(tmp_path, {"seed": 1}, "x")
    training._claim(tmp_path, {"seed": 2}, "x")
    assert json.loads((tmp_path / "recipe.json").read_text())["settings"] == {"seed": 2}


@pytest.mark.parametrize("below", ["file", "file/deeper"])
def test_a_folder_that_cannot_be_written(tmp_path, below):
    (tmp_path / "file").touch()
    with pytest.raises(RecipeError, match="file.* cannot be written .*give another with --out"):
        recipes.run(ring(), tmp_path / below, verbose=0)


# Stopping and going on


class Stop(keras.callbacks.Callback):
    """Sends this process a SIGINT after a step, as Ctrl-C does."""

    at = None

    def on_train_batch_end(self, batch, logs=None):
        if int(self.model.step.numpy()) == self.at:
            signal.raise_signal(signal.SIGINT)


def interrupt(monkeypatch, step):
    add = training._callbacks
    stop = Stop()
    stop.at = step
    monkeypatch.setattr(training, "_callbacks", lambda *args: [stop, *add(*args)])


@pytest.fixture(scope="module")
def whole(pictures, tmp_path_factory):
    """Folder and model of a run on the pictures that nothing stopped."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, recipes.run(pictures, folder, verbose=0)


@pytest.mark.parametrize("step", [1, STEPS, STEPS + 3, STEPS * EPOCHS])
def test_going_on_after_ctrl_c_is_exact(pictures, whole, tmp_path, step):
    folder, unbroken = whole
    with pytest.MonkeyPatch.context() as context:
        interrupt(context, step)
        with pytest.raises(KeyboardInterrupt):
            recipes.run(pictures, tmp_path, verbose=0)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert kept_step(tmp_path) == step
    stopped = recipes.run(pictures, tmp_path, verbose=0)
    assert int(stopped.step.numpy()) == STEPS * EPOCHS
    assert_same_weights(state(stopped), state(unbroken))
    assert (tmp_path / "samples.png").read_bytes() == (folder / "samples.png").read_bytes()
    assert [row["epoch"] for row in rows(tmp_path)] == ["0", "1", "2"]


def kept_step(folder):
    """The step in the kept state, read without ganzoo."""
    found = []
    with h5py.File(folder / "backup" / "latest.weights.h5") as file:
        file["vars"].visititems(lambda name, item: found.append(int(item[()])))
    return min(found)  # the other is the number of images


def test_a_second_ctrl_c_does_not_wait(pictures, tmp_path, monkeypatch):
    class Twice(Stop):
        def on_train_batch_end(self, batch, logs=None):
            signal.raise_signal(signal.SIGINT)
            assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
            signal.raise_signal(signal.SIGINT)

    add = training._callbacks
    monkeypatch.setattr(training, "_callbacks", lambda *args: [Twice(), *add(*args)])
    with pytest.raises(KeyboardInterrupt):
        recipes.run(pictures, tmp_path, verbose=0)
    assert not (tmp_path / "backup").exists()


def test_a_kill_while_the_state_is_written_leaves_the_state_before(pictures, whole, tmp_path):
    class Killed(Exception):
        pass

    def die(self, path, overwrite):
        path.write_bytes(b"half a file")
        if int(self.step.numpy()) > STEPS:
            raise Killed
        return save(self, path, overwrite=overwrite)

    save = ganzoo.GAN.save_weights
    with pytest.MonkeyPatch.context() as context:
        context.setattr(ganzoo.GAN, "save_weights", die)
        with pytest.raises(Killed):
            recipes.run(pictures, tmp_path, verbose=0)
    assert kept_step(tmp_path) == STEPS
    killed = recipes.run(pictures, tmp_path, verbose=0)
    assert_same_weights(state(killed), state(whole[1]))


@pytest.mark.parametrize("damage", [b"", b"not hdf5", None])
def test_a_damaged_state_is_told(finished, tmp_path, damage):
    folder, _ = finished
    (tmp_path / "backup").mkdir()
    (tmp_path / "recipe.json").write_bytes((folder / "recipe.json").read_bytes())
    data = (folder / "backup/latest.weights.h5").read_bytes()
    (tmp_path / "backup/latest.weights.h5").write_bytes(data[:2000] if damage is None else damage)
    match = "latest.weights.h5' cannot be read .*delete it to begin anew"
    with pytest.raises(RecipeError, match=match):
        recipes.run(ring(), tmp_path, verbose=0)


def test_a_damaged_record_is_told(finished, tmp_path):
    (tmp_path / "backup").mkdir()
    (tmp_path / "backup/latest.weights.h5").touch()
    for text in ("{", "[]", "{}"):
        (tmp_path / "recipe.json").write_text(text)
        with pytest.raises(RecipeError, match="recipe.json' is damaged .*choose another folder"):
            recipes.run(ring(), tmp_path, verbose=0)


def test_an_unstable_run_stops_and_keeps_the_last_sound_state(tmp_path):
    def explode():
        rate = keras.optimizers.schedules.PiecewiseConstantDecay([STEPS + 2], [1e-3, 1e38])
        return optimizers(rate)

    with pytest.raises(RecipeError, match="unstable: .*_loss'.*not finite; see .*log.csv"):
        recipes.run(ring(optimizers=explode), tmp_path, verbose=0)
    assert kept_step(tmp_path) == STEPS
    assert not (tmp_path / "model.safetensors").exists()


def test_tensorboard(tmp_path):
    pytest.importorskip("tensorboard")
    recipes.run(ring(images=8), tmp_path, verbose=0, tensorboard=True)
    assert list((tmp_path / "tensorboard").rglob("events*"))
