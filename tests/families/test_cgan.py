import keras
import numpy as np
import pytest
import tensorflow as tf
from harness import PLACES, check_family, check_family_in, images

from ganzoo.ema import EMA
from ganzoo.families.cgan import CGAN, WithLabel
from ganzoo.families.dcgan import DCGANGenerator

LABELS = np.arange(8, dtype="int32") % 3
ATTRIBUTES = np.random.RandomState(1).randint(0, 2, (8, 4)).astype("float32")


def make_conv():
    return CGAN(
        12, 6, 4, channels=3, num_classes=3, networks="conv", kernel_size=4, loss="hinge",
        mlp_widths=((1, 2, 3), (4, 5, 6)), dropout=0.1, critic_steps=2,
        ema=EMA(half_life_images=20), seed=5,
    )


def make_attributes():
    return CGAN(
        8, 6, 4, channels=2, num_classes=0, num_attributes=4, networks="conv", loss="minimax",
        seed=4,
    )


def make_mlp():
    return CGAN(
        9, 6, 7, channels=2, num_classes=3, kernel_size=4, mlp_widths=((5, 6, 7), (4, 3, 5)),
        dropout=0.3, loss="minimax", seed=3,
    )


def make_dcgan():
    return CGAN(
        16, 6, 4, channels=2, num_classes=3, networks="dcgan", kernel_size=4, dropout=0.2,
        use_bias=True, seed=6,
    )


def test_dcgan_family(golden):
    check_family(make_dcgan, (images(8, 16, 2), LABELS), golden("cgan.dcgan"))


def test_dcgan_pair_sees_the_label_beside_the_latents_and_the_image():
    gan = CGAN(16, 6, 4, channels=2, num_classes=3, networks="dcgan", kernel_size=4)
    assert gan.generator.prior == "normal"
    assert gan.generator.get_layer("up0").kernel.shape == (4, 4, 8, 6 + 3)
    assert gan.discriminator.get_layer("down0").kernel.shape == (4, 4, 2 + 3, 4)
    assert "drop0" not in [layer.name for layer in gan.generator.layers]
    z = np.random.RandomState(0).randn(3, 6).astype("float32")
    x = gan.generator([z, np.array([0, 2, 2])]).numpy()
    one_hot = np.eye(3, dtype="float32")[[0, 2, 2]]
    bare = DCGANGenerator(16, 9, 4, channels=2)
    bare.set_weights(gan.generator.get_weights())
    np.testing.assert_allclose(x, bare(np.concatenate([z, one_hot], 1)), atol=1e-6)


def test_conv_family(golden):
    check_family(make_conv, (images(8, 12), LABELS), golden("cgan.conv"))


def test_attributes():
    check_family(make_attributes, {"image": images(8, 8, 2), "label": ATTRIBUTES})


def test_mlp_family(golden):
    check_family(make_mlp, (images(8, 9, 2), LABELS), golden("cgan.mlp"))


@pytest.mark.slow
@pytest.mark.parametrize("where", PLACES)
def test_conv_elsewhere(where):
    check_family_in(where, make_conv, (images(8, 12), LABELS))


@pytest.mark.slow
@pytest.mark.parametrize("where", PLACES)
def test_mlp_elsewhere(where):
    check_family_in(where, make_mlp, (images(8, 9, 2), LABELS))


def test_parameters_of_the_paper():
    gan = CGAN()
    g = 101 * 200 + 11 * 1000 + 1201 * 1200 + 1201 * 784
    assert gan.generator.count_params() == g
    d = 785 * 240 * 5 + 11 * 50 * 5 + 291 * 240 * 4 + 241
    assert gan.discriminator.count_params() == d
    assert gan.generator.prior == "uniform"


def test_parameters_of_dcgan_code():
    gan = CGAN(networks="conv")
    shapes = [tuple(w.shape) for w in gan.generator.trainable_variables if "kernel" in w.path]
    assert shapes == [(110, 1024), (1034, 128 * 7 * 7), (5, 5, 64, 138), (5, 5, 1, 74)]
    shapes = [tuple(w.shape) for w in gan.discriminator.trainable_variables if "kernel" in w.path]
    assert shapes == [(5, 5, 11, 64), (5, 5, 74, 128), (128 * 7 * 7 + 10, 1024), (1034, 1)]
    weights = gan.generator.weights + gan.discriminator.weights
    assert not [w.path for w in weights if "bias" in w.path]


def test_label_beside_every_pixel():
    x = np.random.RandomState(0).randn(2, 3, 4, 5).astype("float32")
    y = np.array([[1, 2], [3, 4]], "float32")
    out = WithLabel(name="w")(x, y).numpy()
    np.testing.assert_array_equal(out[..., :5], x)
    np.testing.assert_array_equal(out[1, :, :, 5], 3)
    np.testing.assert_array_equal(out[0, :, :, 6], 2)
    np.testing.assert_array_equal(WithLabel(name="w")(x[:, 0, 0], y)[:, 5:], y)


@pytest.mark.parametrize("make", [make_conv, make_mlp, make_attributes])
def test_both_networks_read_the_label(make):
    gan = make()
    z = tf.constant(gan.generator.latents(1).repeat(2, 0))
    labels = tf.constant([0, 2]) if gan.generator.num_classes else tf.eye(2, 4)
    x = gan.generator([z, labels])
    assert np.abs(x[0] - x[1]).max() > 1e-6
    logits = gan.discriminator([tf.stack([x[0], x[0]]), labels])
    assert abs(float(logits[0, 0] - logits[1, 0])) > 1e-9


@pytest.mark.parametrize("classes, attributes", [(0, 0), (3, 3)])
def test_classes_or_attributes(classes, attributes):
    with pytest.raises(ValueError, match=f"num_classes={classes}, num_attributes={attributes}"):
        CGAN(num_classes=classes, num_attributes=attributes)


def test_wrong_arguments():
    with pytest.raises(ValueError, match="'mlp', 'conv'.*networks='resnet'"):
        CGAN(networks="resnet")
    gan = make_conv()
    gan.compile()
    with pytest.raises(ValueError, match=r"\[0, 3\).*Received: 3"):
        gan.fit(images(4, 12), np.array([0, 1, 2, 3]), batch_size=4, verbose=0)
    with pytest.raises(ValueError, match="needs labels"):
        gan.fit(images(4, 12), batch_size=4, verbose=0)


def test_optimizers():
    o = CGAN(networks="conv", width=2).default_optimizers()["generator_optimizer"]
    assert isinstance(o, keras.optimizers.Adam) and abs(float(o.learning_rate) - 2e-4) < 1e-9
    assert (o.beta_1, o.epsilon) == (0.5, 1e-8)
    o = make_mlp().default_optimizers()["discriminator_optimizer"]
    assert isinstance(o, keras.optimizers.SGD) and o.momentum == 0.5
    np.testing.assert_allclose(float(o._learning_rate(1000)), 0.1 * 1.00004**-1000, rtol=1e-5)
