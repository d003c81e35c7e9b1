import keras
import numpy as np
import pytest
import tensorflow as tf
from harness import PLACES, check_family, check_family_in, images

from ganzoo.addresses import addresses
from ganzoo.checkpoints.reader import read
from ganzoo.convert.dcgan import discriminator_table, generator_table, infer
from ganzoo.convert.table import assign
from ganzoo.ema import EMA
from ganzoo.families.dcgan import DCGAN, DCGANDiscriminator, DCGANGenerator
from ganzoo.losses import NonSaturating

IMAGES = images(8, 32, 1)
# float32 of PyTorch against its float64: 1.4e-6
TOLERANCE = 3e-5


def make():
    return DCGAN(
        32, 6, 4, channels=1, variant="paper", loss="hinge", critic_steps=2,
        ema=EMA(half_life_images=20, rampup=0.5), seed=5,
    )


def make_pytorch():
    return DCGAN(24, 5, 3, channels=2, prior="uniform", use_bias=True, leak=0.01, seed=6)


def make_dcgan_code():
    return DCGAN(16, 5, 3, channels=1, variant="dcgan_code", prior="normal", seed=7)


def test_family(golden):
    check_family(make, IMAGES, golden("dcgan"))


@pytest.mark.parametrize(
    ("make_other", "data"), [(make_pytorch, (8, 24, 2)), (make_dcgan_code, (8, 16, 1))]
)
def test_family_of_the_other_variants(make_other, data):
    check_family(make_other, images(*data))


@pytest.mark.slow
@pytest.mark.parametrize("where", PLACES)
def test_elsewhere(where):
    check_family_in(where, make, IMAGES)


# --- shapes


def test_parameters_of_pytorch_examples():
    trainable = lambda n: sum(int(np.prod(w.shape)) for w in n.trainable_weights)  # noqa: E731
    gan = DCGAN()
    assert trainable(gan.generator) == 3_576_704
    assert trainable(gan.discriminator) == 2_765_568
    for optimizer in gan.default_optimizers().values():
        np.testing.assert_allclose(float(optimizer.learning_rate), 2e-4, rtol=1e-6)
        assert (optimizer.beta_1, optimizer.beta_2, optimizer.epsilon) == (0.5, 0.999, 1e-8)
    assert isinstance(gan.adversarial, NonSaturating)


def test_initial_weights():
    gan = DCGAN()
    for network in (gan.generator, gan.discriminator):
        for address, w in addresses(network).items():
            mean, spread = float(np.mean(w)), float(np.std(w))
            if address.endswith("kernel"):
                np.testing.assert_allclose([mean, spread], [0, 0.02], atol=2e-3, err_msg=address)
            elif address.endswith("gamma"):
                np.testing.assert_allclose([mean, spread], [1, 0.02], atol=8e-3, err_msg=address)
            else:
                assert spread == 0 and mean == float("variance" in address)


def test_kernels_of_the_paper():
    gan = DCGAN(64, 100, 128, variant="paper")
    assert gan.generator.prior == "uniform" and gan.fakes_from == "fresh"
    shapes = {a: tuple(w.shape) for a, w in addresses(gan.generator).items() if "kernel" in a}
    assert shapes == {
        "up0/kernel": (4, 4, 1024, 100), "up1/kernel": (5, 5, 512, 1024),
        "up2/kernel": (5, 5, 256, 512), "up3/kernel": (5, 5, 128, 256),
        "up4/kernel": (5, 5, 3, 128),
    }
    shapes = {a: tuple(w.shape) for a, w in addresses(gan.discriminator).items() if "kernel" in a}
    assert shapes == {
        "down0/kernel": (5, 5, 3, 128), "down1/kernel": (5, 5, 128, 256),
        "down2/kernel": (5, 5, 256, 512), "down3/kernel": (5, 5, 512, 1024),
        "logit/kernel": (4, 4, 1024, 1),
    }
    other = DCGAN(64, 8, 2)
    assert other.generator.prior == "normal" and other.fakes_from == "shared"


def test_first_norm_of_the_official_code_has_a_gain_for_each_unit():
    gan = DCGAN(32, 6, 4, variant="dcgan_code")
    layer = gan.generator.get_layer("norm0")
    assert layer.gamma.shape == (4 * 4 * 16,) and layer.epsilon == 1e-8
    assert gan.generator.prior == "uniform" and gan.fakes_from == "fresh"
    assert DCGAN(32, 6, 4, variant="dcgan_code", prior="normal").generator.prior == "normal"
    z = np.random.RandomState(0).randn(50, 6).astype("float32")
    before = gan.generator.get_layer("relu0").input
    y = keras.Model(gan.generator.input, before)(z, training=True).numpy()
    np.testing.assert_allclose(y.mean(0), 0, atol=1e-5)  # of each pixel, not only of each map
    np.testing.assert_allclose(y.std(0).ravel(), layer.gamma, rtol=1e-3)


def test_biases_where_no_norm_follows_and_slopes():
    gan = DCGAN(16, 6, 4, use_bias=True, leak=0.05)
    found = {a for n in (gan.generator, gan.discriminator) for a in addresses(n) if "bias" in a}
    assert found == {"up2/bias", "down0/bias", "logit/bias"}
    assert gan.discriminator.get_layer("leaky1").negative_slope == 0.05
    assert not any("bias" in a for a in addresses(DCGAN(16, 6, 4).discriminator))
    weights = [np.zeros_like(w) for w in gan.generator.get_weights()]
    weights[-1][:] = [0.1, 0.2, 0.3]
    gan.generator.set_weights(weights)
    x = gan.generator(np.ones((1, 6), "float32")).numpy()
    np.testing.assert_allclose(x[0, 3, 5], np.tanh([0.1, 0.2, 0.3]), rtol=1e-6)


@pytest.mark.parametrize("kernel_size", [4, 5])
@pytest.mark.parametrize("size, base", [(28, 7), (32, 4), (48, 6), (64, 4), (128, 4)])
def test_sizes(size, base, kernel_size):
    generator = DCGANGenerator(size, 5, 2, channels=1, kernel_size=kernel_size)
    discriminator = DCGANDiscriminator(size, 2, channels=1, kernel_size=kernel_size)
    assert generator.get_layer("up0").kernel.shape[:2] == (base, base)
    assert discriminator.get_layer("logit").kernel.shape[:2] == (base, base)
    x = generator(np.zeros((2, 5), "float32"))
    assert x.shape == (2, size, size, 1)
    assert discriminator(x).shape == (2, 1)


def test_wrong_arguments():
    with pytest.raises(ValueError, match="'pytorch', 'paper'.*variant='theano'"):
        DCGAN(variant="theano")
    with pytest.raises(ValueError, match="image_size=100"):
        DCGAN(100)
    with pytest.raises(ValueError, match="kernel_size=6"):
        DCGANGenerator(kernel_size=6)
    with pytest.raises(ValueError, match="'maps', 'units'.*first_norm='layer'"):
        DCGANGenerator(first_norm="layer")


# --- pytorch/examples


def nhwc(x):
    return np.moveaxis(x, 1, -1)


@pytest.fixture(scope="module")
def case(request):
    """(goldens, generator's arrays, discriminator's arrays)."""
    folder = request.getfixturevalue("shared") / "parity" / "classics" / "01_dcgan64"
    golden = dict(np.load(folder / "golden.npz"))
    return golden, read(folder / "netG_epoch_24.pth"), read(folder / "netD_epoch_24.pth")


@pytest.fixture
def filled(case):
    """A model with the weights of the case."""
    _, g, d = case
    config = infer(g)
    assert config.pop("kernel_size") == 4
    gan = DCGAN(**config)
    assign(gan.generator, g, generator_table(4))
    assign(gan.discriminator, d, discriminator_table(4))
    return gan


def test_generator_gives_the_golden_images(case, filled):
    z = case[0]["z"][:, :, 0, 0]
    np.testing.assert_allclose(filled.generator(z), nhwc(case[0]["g_eval"]), atol=TOLERANCE)


def test_generator_in_training(case, filled):
    golden, _, _ = case
    images = filled.generator(golden["z"][:, :, 0, 0], training=True)
    np.testing.assert_allclose(images, nhwc(golden["g_train"]), atol=TOLERANCE)
    weights = addresses(filled.generator)
    for i in range(4):
        for theirs, ours in (("running_mean", "moving_mean"), ("running_var", "moving_variance")):
            expected = golden[f"after_one_train_step/G/main.{3 * i + 1}.{theirs}"]
            np.testing.assert_allclose(weights[f"norm{i}/{ours}"], expected, atol=1e-5)


def test_discriminator_gives_the_golden_logits(case, filled):
    golden, x = case[0], nhwc(case[0]["x"])
    logits = filled.discriminator(x)
    np.testing.assert_allclose(logits[:, 0], golden["d_eval_logit"], atol=TOLERANCE)
    np.testing.assert_allclose(tf.sigmoid(logits)[:, 0], golden["d_eval"], atol=1e-5)
    trained = tf.sigmoid(filled.discriminator(x, training=True))
    np.testing.assert_allclose(trained[:, 0], golden["d_train"], atol=1e-5)


class GoldenLatents(DCGAN):
    """Draws the latents of the case."""

    z = None

    def latents(self, batch, tag):
        return tf.constant(self.z)


def test_losses_of_one_step(case, filled):
    golden, x = case[0], nhwc(case[0]["x"])
    gan = GoldenLatents(**filled.config)
    gan.z = golden["z"][:, :, 0, 0]
    gan.generator.set_weights(filled.generator.get_weights())
    gan.discriminator.set_weights(filled.discriminator.get_weights())
    still = keras.optimizers.SGD(0.0)
    gan.compile(still, keras.optimizers.SGD(0.0))
    logs = gan.fit(tf.data.Dataset.from_tensors(x), verbose=0).history
    real, fake = golden["loss_errD_real"], golden["loss_errD_fake"]
    np.testing.assert_allclose(logs["d_loss"][0], real + fake, atol=TOLERANCE)
    np.testing.assert_allclose(logs["g_loss"][0], golden["loss_errG"], atol=TOLERANCE)


def test_published_faces(shared):
    file = shared / "checkpoints" / "gan_face_generate" / "weights.tar"
    arrays = read(file, pick="netG_state_dict")
    config = infer(arrays)
    generator = DCGANGenerator(**config)
    assign(generator, arrays, generator_table(4))
    x = generator(np.random.RandomState(0).randn(4, 100).astype("float32")).numpy()
    means = [-0.207231, -0.272756, -0.309358, -0.335237]
    np.testing.assert_allclose(x.mean((1, 2, 3)), means, atol=2e-6)
    deviations = [0.266279, 0.291633, 0.382861, 0.316313]
    np.testing.assert_allclose(x.std((1, 2, 3)), deviations, atol=2e-6)
    np.testing.assert_allclose(x[0, 32, 32], [0.1099, -0.124, -0.13714], atol=1e-4)
    x = generator(np.random.RandomState(0).randn(4, 100).astype("float32"), training=True).numpy()
    means = [-0.362431, -0.534718, -0.487754, -0.536275]
    np.testing.assert_allclose(x.mean((1, 2, 3)), means, atol=2e-6)
