"""Every recipe in recipes/ builds, trains a step of each phase, and its data fit its model."""

import ast
import json

import numpy as np
import pytest

from ganzoo import data
from ganzoo import recipe as recipes

NAMES = recipes.names()
LARGE = {"dcgan_lsun_bedroom_64", "lsgan_lsun", "wgan_lsun", "wgangp_cifar10"}  # wide networks
FILES = [name for name in NAMES if ":" not in name]


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


@pytest.mark.parametrize("name", FILES)
def test_settings(name):
    recipe = recipes.read(name)
    assert any(word in recipe.paper for word in ("arXiv:", "doi:")), "a recipe names its paper"
    assert all(isinstance(text, str) and text for text in recipe.deviations)
    epochs, steps = recipes.plan(recipe, recipes.build(recipe))
    shown = epochs * steps * recipe.batch_size
    assert recipe.images <= shown <= 1.05 * recipe.images + 64 * recipe.batch_size
    assert epochs <= 1000


@pytest.mark.parametrize("name", FILES)
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
