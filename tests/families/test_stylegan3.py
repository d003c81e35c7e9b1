import keras
import numpy as np
import pytest
import stylegan_parity
import tensorflow as tf
from harness import PLACES, check_family, check_family_in, images

from ganzoo.ema import EMA
from ganzoo.families.stylegan3 import (
    AliasFreeSynthesis,
    StyleGAN3,
    StyleGAN3Generator,
    blur,
    motion,
)
from ganzoo.layers.bands import layer_bands, layer_widths

CASES = ("sg3_t_64", "sg3_r_32")
IMAGES = images(8, 8, 2)
LABELS = np.arange(8, dtype="int32") % 3


def make(**options):
    return StyleGAN3(
        **{
            **dict(
                image_size=8,
                latent_dim=5,
                style_dim=6,
                channels=2,
                num_classes=3,
                equivariance="rotation",
                channel_base=64,
                channel_max=8,
                mapping={"num_layers": 1, "average_decay": 0.9},
                bands={"num_layers": 2, "num_critical": 1, "margin": 3},
                layers_options={"filter_size": 4, "magnitude_beta": 0.5},
                discriminator={"channel_max": 6, "group_size": 2, "mapping": {"num_layers": 1}},
                r1_gamma=0.5,
                r1_interval=2,
                blur_sigma=1.5,
                blur_fade_images=30,
                ema=EMA(half_life_images=20, rampup=0.5),
                seed=5,
            ),
            **options,
        }
    )


def test_family(golden):
    # each set of due phases is compiled apart; lazy ones are among those of `test_elsewhere`
    check_family(lambda: make(r1_interval=1), (IMAGES, LABELS), golden("stylegan3"))


@pytest.mark.slow
@pytest.mark.parametrize("where", PLACES)
def test_elsewhere(where):
    check_family_in(where, make, (IMAGES, LABELS))


# --- the official files


def parity(folder):
    """[(quantity, error)] of a case, see `stylegan_parity.error`."""
    gan, wanted = stylegan_parity.network(folder), stylegan_parity.arrays(folder)
    found = {**_styles(gan, wanted), **_images(gan, wanted), **_logits(gan, wanted)}
    found |= _training(gan, wanted)
    return [(key, stylegan_parity.error(value, wanted[key])) for key, value in found.items()]


def _styles(gan, wanted):
    z, c, mapping = wanted["z"], wanted["c"], gan.generator_ema.mapping
    return {
        "ws_psi1": mapping(z, c),
        "ws_psi05": mapping(z, c, truncation=0.5),
        "ws_psi05_cut4": mapping(z, c, truncation=0.5, truncation_cutoff=4),
        "ws_psi07_cut3": mapping(z, c, truncation=0.7, truncation_cutoff=3),
    }


def _images(gan, wanted):
    g, ws = gan.generator_ema, wanted["ws_psi1"]
    features = g.get_layer("synthesis").features(wanted["ws_rand"][:, 0])
    return {
        "img_const_psi1": g.synthesis(ws[:2]),
        "img_const_wsrand": g.synthesis(wanted["ws_rand"], noise="none"),
        "img_const_psi05_cut4": g.synthesis(g.mapping(wanted["z"][:2], None, 0.5, 4)),
        "img_transform": g.synthesis(ws[:1], transform=wanted["transform"]),
        "img_G_const_psi1": gan.generator(wanted["z"][:1]),
        "input_features": features[..., :8],
    }


def _logits(gan, wanted):
    x = wanted["d_img8"]
    logits = {f"d_logits{n}": gan.discriminator(x[:n]) for n in (8, 4, 2)}
    return {**logits, "d_logits_gen": gan.discriminator(wanted["img_const_psi1"])}


def _training(gan, wanted):
    g = gan.generator
    before = g.get_weights()
    image = g.sample(tf.constant(wanted["z"]), None, "move")
    layers = g.get_layer("synthesis").convolutions
    found = {
        "train_img": image[:1],
        "train_w_avg": g.get_layer("mapping").w_avg.numpy(),
        "train_magnitude_ema": np.array([layer.magnitude.numpy() for layer in layers]),
    }
    g.set_weights(before)
    return found


@pytest.fixture(scope="module", params=CASES)
def folder(request, shared):
    return shared / "parity" / "stylegan" / request.param


def test_official_files(folder):
    errors = dict(parity(folder))
    images = {key for key in errors if "img" in key}
    assert max(errors[key] for key in images) <= 5e-5, errors
    assert max(errors[key] for key in errors.keys() - images) <= 1e-5, errors
    assert len(errors) == 17


def test_generate_is_the_quantised_image(folder):
    wanted = stylegan_parity.arrays(folder)
    gan = stylegan_parity.network(folder)
    found = gan.generate(latents=wanted["z"][:2], truncation=0.5, truncation_cutoff=4)
    image = np.clip(np.floor(wanted["img_const_psi05_cut4"] * 127.5 + 128), 0, 255)
    assert found.dtype == np.uint8
    assert np.abs(found - image).max() <= 1 and (found != image).mean() < 1e-3


def test_filters_that_are_designed_are_those_of_the_file(folder):
    read = stylegan_parity.network(folder).generator_ema
    fresh = type(read).from_config(read.get_config())
    for a, b in zip(read.weights, fresh.weights):
        if a.path.endswith("_taps"):
            np.testing.assert_allclose(b, a, rtol=0, atol=1e-7)


def test_a_motion_is_the_official_transform(shared):
    wanted = stylegan_parity.arrays(shared / "parity" / "stylegan" / CASES[0])["transform"]
    np.testing.assert_allclose(motion((0.15, -0.1), 25.0), wanted, rtol=0, atol=1e-6)


# --- configurations


@pytest.mark.parametrize(
    "equivariance,parameters",
    [("translation", 22_313_167), ("rotation", 15_093_151)],  # figure 5: 22.3 million for T
)
def test_parameters(equivariance, parameters):
    config = StyleGAN3(8, 4, 4, equivariance=equivariance, channel_base=16).generator
    bands = layer_bands(1024)
    rotation = equivariance == "rotation"
    base, most = (65536, 1024) if rotation else (32768, 512)
    widths = layer_widths(bands, base, most, 3)
    kernel = 1 if rotation else 9
    depths = [widths[0], *widths]
    total = 2 * (512 * 512 + 512) + widths[0] ** 2 + 4 * 513
    for i, width in enumerate(widths):
        total += depths[i] * (width * (kernel if i < 14 else 1) + 513) + width
    assert total == parameters
    assert config.num_ws == 16


def test_bands_of_the_paper():
    bands = layer_bands(1024)  # figure 4
    assert len(bands) == 15
    assert (bands[0].cutoff, bands[0].rate, bands[0].size) == (2, 16, 36)
    assert [b.rate for b in bands] == sorted(b.rate for b in bands)
    assert bands[-1].cutoff == bands[-3].cutoff == 512 and bands[-4].cutoff < 512
    assert [b.size for b in bands[-2:]] == [1024, 1024] and bands[-3].size == 1044
    assert all(b.cutoff + b.half_width <= max(b.rate / 2, 512 * 2**0.3) + 1e-9 for b in bands)


def test_synthesis_is_made_again_from_its_config():
    bands = layer_bands(16, num_layers=3, num_critical=1, margin=2)
    layer = AliasFreeSynthesis(
        bands, [4, 3, 3, 2], num_critical=1, lowpass="radial", output_scale=0.5, name="synthesis"
    )
    ws = np.random.RandomState(0).randn(2, 5, 6).astype("float32")
    wanted = layer(ws)
    assert wanted.shape == (2, 16, 16, 2) and layer.num_ws == 5
    copy = AliasFreeSynthesis.from_config(layer.get_config())
    copy.build(ws.shape)
    copy.set_weights(layer.get_weights())
    np.testing.assert_array_equal(copy(ws), wanted)


# --- use


@pytest.fixture(scope="module")
def generator():
    return make().generator


def test_a_translation_moves_the_image():
    """Far from the borders: by whole pixels, up to what the filters leave of aliasing."""
    keras.utils.set_random_seed(0)
    g = make(layers_options=None, bands=None, image_size=32, num_classes=0).generator
    ws = g.mapping(g.latents(2, 1))
    before = g.synthesis(ws).numpy()
    after = g.synthesis(ws, transform=motion((4 / 32, -8 / 32))).numpy()
    error = np.sqrt(np.mean((after[:, :-8, 4:] - before[:, 8:, :-4]) ** 2))
    assert error < 0.01 * before.std()
    each = np.stack([np.eye(3), motion((4 / 32, -8 / 32))]).astype("float32")
    both = g.synthesis(ws, transform=each).numpy()
    np.testing.assert_allclose(both[0], before[0], atol=1e-5)
    np.testing.assert_allclose(both[1], after[1], atol=1e-5)


def test_generate_takes_a_transform(generator):
    plain, moved = (
        generator.generate(2, labels=1, seed=3, transform=t) for t in (None, motion(angle=90))
    )
    assert plain.shape == moved.shape == (2, 8, 8, 2) and not np.array_equal(plain, moved)


def test_labels_are_numbers_or_vectors(generator):
    z = generator.latents(3, 0)
    vectors = np.eye(3, dtype="float32")[[2, 0, 1]]
    ws = generator.mapping(z, np.array([2, 0, 1]))
    np.testing.assert_array_equal(generator.mapping(z, vectors), ws)
    np.testing.assert_array_equal(
        generator([z, vectors]), generator([z, np.array([2, 0, 1], "int32")])
    )
    np.testing.assert_array_equal(
        generator.generate(latents=z, labels=vectors),
        generator.generate(latents=z, labels=np.array([2, 0, 1])),
    )
    free = make(num_classes=0, discriminator=None).generator
    np.testing.assert_array_equal(free.mapping(z, np.zeros((3, 0), "float32")), free.mapping(z))


def test_truncation_needs_no_second_compilation(generator):
    half = generator.generate(2, seed=1, truncation=0.5)
    traces = generator._compiled.experimental_get_tracing_count()
    less = generator.generate(2, seed=1, truncation=0.25)
    assert generator._compiled.experimental_get_tracing_count() == traces
    assert not np.array_equal(half, less)


def test_images_are_differentiable_in_styles_twice(generator):
    ws = tf.Variable(generator.mapping(generator.latents(1, 0), np.array([0])))
    with tf.GradientTape() as outer:
        with tf.GradientTape() as inner:
            y = tf.reduce_sum(generator.synthesis(ws) ** 2)
        slope = inner.gradient(y, ws)
        total = tf.reduce_sum(slope**2)
    assert np.abs(outer.gradient(total, ws)).max() > 0


@pytest.mark.parametrize(
    "call,words",
    [
        (lambda g: g.mapping(np.zeros((2, 4), "f"), [0, 1]), r"latent_dim\].*, 5\).*\(2, 4\)"),
        (lambda g: g.mapping(np.zeros((2, 5), "f")), "3 classes"),
        (lambda g: g.mapping(np.zeros((2, 5), "f"), np.zeros((2, 4), "f")), r"\[N, 3\].*\(2, 4\)"),
        (lambda g: g.mapping(np.zeros((1, 5), "f"), np.array([3])), r"\[0, 3\).*3"),
        (lambda g: g.mapping(np.zeros((1, 5), "f"), [0], 0.5, 7), r"int in \[0, 4\].*7"),
        (lambda g: g.synthesis(np.zeros((2, 3, 6), "f")), r"\(None, 4, 6\).*\(2, 3, 6\)"),
        (lambda g: g.synthesis(np.zeros((2, 4, 7), "f")), r"\(None, 4, 6\).*\(2, 4, 7\)"),
        (lambda g: g.synthesis(np.zeros((1, 4, 6), "f"), noise="fresh"), "'const'.*'fresh'"),
        (lambda g: g.synthesis(np.zeros((1, 4, 6), "f"), transform=np.eye(2)), r"3\].*\(2, 2\)"),
        (lambda g: g.generate(2, truncation=0.5, truncation_cutoff=-1), "truncation_cutoff.*-1"),
        (lambda g: g.generate(2, noise="fresh"), "'const'.*'fresh'"),
        (lambda g: StyleGAN3Generator(48), "power of two.*48"),
        (lambda g: StyleGAN3Generator(16, equivariance="scale"), "'rotation'.*'scale'"),
    ],
)
def test_faults_are_named(generator, call, words):
    with pytest.raises(ValueError, match=words):
        call(generator)


# --- training


def test_only_the_discriminators_fakes_move_averages():
    gan = make()
    magnitude = gan.generator.get_layer("synthesis").convolutions[0].magnitude
    batch = gan.prepare((tf.constant(IMAGES), tf.constant(LABELS)))
    gan.fakes(batch, "generator")
    assert float(magnitude.numpy()) == 1.0
    gan.fakes(batch, "discriminator")
    assert float(magnitude.numpy()) != 1.0


def test_published_settings():
    gan = StyleGAN3(32, 4, 4, equivariance="rotation", channel_base=64, channel_max=8)
    assert gan.blur_sigma == 10 and gan.penalties[0].interval == 16
    np.testing.assert_allclose(gan.penalties[0].gamma, 32.8 / 1024)
    assert (gan.ema.half_life_images, gan.ema.rampup) == (10_000, 0.05)
    optimizers = gan.default_optimizers()
    generator = optimizers["generator_optimizer"]
    discriminator = optimizers["discriminator_optimizer"]
    np.testing.assert_allclose(generator.learning_rate, 0.0025)
    np.testing.assert_allclose(discriminator.learning_rate, 0.002 * 16 / 17)
    np.testing.assert_allclose([generator.beta_2, discriminator.beta_2], [0.99, 0.99 ** (16 / 17)])
    assert gan.discriminator.get_config()["conv_clamp"] == 256
    assert gan.discriminator.get_config()["channel_base"] == 32


def reference_blur(image, sigma):
    """As written in the paper's code: taps of [-floor(3 sigma), floor(3 sigma)], zeros around."""
    reach = int(np.floor(3 * sigma))
    t = np.arange(-reach, reach + 1) / sigma
    taps = np.exp2(-(t**2))
    taps /= taps.sum()
    for axis in (0, 1):
        image = np.apply_along_axis(lambda v: np.convolve(v, taps, "full"), axis, image)
        image = np.take(image, range(reach, image.shape[axis] - reach), axis)
    return image


@pytest.mark.parametrize("sigma", [4.0, 1.0, 0.4])
def test_blur(sigma):
    x = np.random.RandomState(0).randn(2, 9, 7, 3).astype("float32")
    found = blur(tf.constant(x), tf.constant(sigma), 5.0).numpy()
    for image, y in zip(x, found):
        np.testing.assert_allclose(y, reference_blur(image, sigma), rtol=0, atol=1e-5)


def test_blur_fades():
    x = tf.constant(IMAGES)
    np.testing.assert_array_equal(blur(x, tf.constant(0.0), 10.0), x)
    gan = make()
    batch = gan.prepare((tf.constant(IMAGES), tf.constant(LABELS)))
    early = gan.critic(batch)(batch["real"])
    gan.images_seen.assign(30)
    late = gan.critic(batch)(batch["real"])
    np.testing.assert_allclose(late, gan.discriminator([x, LABELS]), atol=1e-6)
    assert np.abs(early - late).max() > 1e-3
