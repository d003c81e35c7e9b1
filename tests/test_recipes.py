"""Every recipe in recipes/ builds, trains a step of each phase, and its data fit its model."""

import ast
import gc
import json

import keras
import numpy as np
import pytest

from ganzoo import data
from ganzoo import recipe as recipes

NAMES = recipes.names()
LARGE = {"dcgan_lsun_bedroom_64", "lsgan_lsun", "wgan_lsun", "wgangp_cifar10"}  # wide networks
HUGE = {  # built, but not trained here
    "progan_celebahq_1024", "progan_cifar10", "progan_lsun_bedroom_256", "stylegan_ffhq_1024",
    "stylegan_celebahq_1024", "stylegan_lsun_bedroom_256", "stylegan2_ffhq_1024",
    "stylegan2_lsun_256", "stylegan2ada_afhq_512", "stylegan2ada_cifar10", "stylegan3_ffhq_1024",
}
ALL = [name for name in NAMES if name.partition(":")[0] in HUGE]
NAMES = [name for name in NAMES if name not in ALL]
FILES = [name for name in NAMES if ":" not in name]


@pytest.fixture(autouse=True)
def freed():
    """The largest models have gigabytes."""
    yield
    gc.collect()


def marked(names):
    def slow(name):
        return ":" in name or name in LARGE

    return [pytest.param(n, marks=pytest.mark.slow if slow(n) else ()) for n in names]


@pytest.mark.parametrize("name", marked(NAMES))
def test_check(name):
    gan = recipes.check(recipes.read(name))
    assert int(gan.step.numpy()) >= max(phase.interval for phase in gan.phases())
    for network in gan.networks().values():
        assert all(np.isfinite(w).all() for w in network.get_weights())


def shape_of(gan):
    """What the model trains on, without the batch."""
    return tuple(gan.discriminator.inputs[0].shape[1:])


def assert_fits(batch, recipe, gan):
    assert batch["image"].shape == (recipe.batch_size, *shape_of(gan))
    assert batch["image"].dtype == np.float32
    if not recipe.dataset.is_mixture:
        assert batch["image"].min() >= -1 and batch["image"].max() <= 1
        assert batch["image"].min() < -0.5, "not scaled to [-1, 1]"
    if gan.generator.num_classes:
        assert batch["label"].shape == (recipe.batch_size,)
        assert 0 <= batch["label"].min() and batch["label"].max() < gan.generator.num_classes
    if gan.generator.num_attributes:
        assert batch["label"].shape == (recipe.batch_size, gan.generator.num_attributes)


@pytest.mark.parametrize("name", marked(FILES))
def test_data_fit_the_model(name, tmp_path):
    recipe = recipes.read(name)
    gan = recipes.build(recipe)
    if recipe.dataset.is_mixture:
        (batch,) = data.stream(recipe.dataset, recipe.batch_size).take(1).as_numpy_iterator()
        assert_fits(batch, recipe, gan)
        return
    if recipe.dataset.name == "folder":
        pytest.skip("a folder of the user's")
    tfds = pytest.importorskip("tensorflow_datasets")
    with tfds.testing.mock_data(num_examples=recipe.batch_size):
        batches = data.stream(recipe.dataset, recipe.batch_size, data_dir=str(tmp_path))
        (batch,) = batches.take(1).as_numpy_iterator()
    assert_fits(batch, recipe, gan)


def assert_settings(recipe, gan):
    assert any(word in recipe.paper for word in ("arXiv:", "doi:")), "a recipe names its paper"
    assert all(isinstance(text, str) and text for text in recipe.deviations)
    epochs, steps = recipes.plan(recipe, gan)
    shown = epochs * steps * recipe.batch_size
    assert recipe.images <= shown <= 1.05 * recipe.images + 64 * recipe.batch_size
    assert epochs <= 1000


@pytest.mark.parametrize("name", FILES)
def test_settings(name):
    recipe = recipes.read(name)
    assert_settings(recipe, recipes.build(recipe))


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(HUGE))
def test_large_ones(name):
    """Settings, and the shape of what the data set gives; training them needs accelerators."""
    recipe = recipes.read(name)
    gan = recipes.build(recipe)
    assert_settings(recipe, gan)
    size, channels = gan.generator.image_size, gan.generator.channels
    assert gan.generator.output_shape[1:] == shape_of(gan) == (size, size, channels)
    assert bool(gan.generator.num_classes) == (recipe.dataset.label is not None)
    if recipe.dataset.size is not None:
        assert recipe.dataset.size == size and recipe.dataset.crop == "square"
    assert str(size) in name or size == 32
    for phase in gan.phases():
        assert phase.interval in (1, 4, 16)
    published = keras.optimizers.Adam(0.0, epsilon=1e-8).get_config()
    for optimizer in (gan.generator_optimizer, gan.discriminator_optimizer):
        config = optimizer.get_config()
        assert config["beta_1"] == 0.0 and config["epsilon"] == published["epsilon"]
        assert 0.98 < config["beta_2"] < 0.992 and 0.0009 < config["learning_rate"] < 0.0026


@pytest.mark.parametrize("base", sorted({n.partition(":")[0] for n in ALL if ":" in n}))
def test_variants_of_large_ones_differ(base):
    found = [recipes.read(name) for name in ALL if name.partition(":")[0] == base]
    assert len(found) > 1
    told = {(recipe.dataset, recipe.images, recipe.model) for recipe in found}
    assert len(told) == len(found), f"two variants of {base} are the same"


@pytest.mark.parametrize("name", [*FILES, *sorted(HUGE)])
def test_a_file_says_what_it_is(root, name):
    tree = ast.parse((root / "recipes" / f"{name}.py").read_text("utf-8"))
    assert ast.get_docstring(tree)


def test_variants_differ():
    found = [name for name in NAMES if ":" in name]
    assert found
    for name in found:
        base = name.partition(":")[0]
        assert recipes.read(name).dataset == recipes.read(base).dataset
    for base in {name.partition(":")[0] for name in found}:
        variants = [recipes.read(name) for name in found if name.startswith(f"{base}:")]
        configs = {json.dumps(recipes.settings(v, recipes.build(v))["config"]) for v in variants}
        assert len(configs) == len(variants), f"two variants of {base} are the same"
