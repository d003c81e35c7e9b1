"""StyleGAN: the official files' styles, images, scores, losses and gradients; the GAN."""

import growing_parity
import harness
import numpy as np
import pytest
import stylegan_parity
import tensorflow as tf

import ganzoo
from ganzoo.convert import stylegan_tf
from ganzoo.families.stylegan import StyleGAN, StyleGANDiscriminator, StyleGANGenerator
from ganzoo.growing_gan import Growth
from ganzoo.losses import Hinge, NonSaturating, Wasserstein
from ganzoo.penalties import R1, R2, GradientPenalty

CASES = {"sg1_64": 1e-5, "sg1_128_fused": 2e-5}  # instance norms amplify rounding
LOSSES = "sg1_losses_16"


def small(**options):
    """No argument at its default where that can be."""
    arguments = dict(
        image_size=8, latent_dim=6, style_dim=8, channels=2, num_classes=3, channel_base=64,
        channel_max=6, activation="relu", first="dense", epilogue=["noise", "pixel_norm", "style"],
        mapping={"num_layers": 1, "lr_multiplier": 0.5}, taps=[1, 3, 3, 1], structure="growing",
        discriminator={"group_size": 2, "std_channels": 2}, r1_gamma=2.0, style_mixing=0.5,
        growth=Growth(4, 4, 0), rate_multipliers={8: 2.0}, seed=3,
    )
    return StyleGAN(**{**arguments, **options})


def plain(**options):
    """As the official configuration, small and unconditional."""
    return StyleGAN(16, 6, 8, channel_base=64, channel_max=6, **{"growth": None, **options})


# --- goldens


@pytest.mark.parametrize("case, allowed", CASES.items())
def test_official_files(shared, case, allowed):
    found = growing_parity.parity(shared / "parity/stylegan" / case)
    assert len(found) >= 9
    assert not [(name, error) for name, error in found if not error <= allowed]
    assert max(error for name, error in found if not name.startswith("img")) < 2e-6


@pytest.fixture(scope="module")
def losses(shared):
    return growing_parity.Losses(shared / "parity/stylegan" / LOSSES, stylegan_tf)


PHASES = {  # of the discriminator
    "D_logistic_simplegp_r1_gamma10_r2_gamma0": (NonSaturating(), [R1(10.0)]),
    "D_logistic_simplegp_r1_gamma10_r2_gamma0_lod0.7": (NonSaturating(), [R1(10.0)]),
    "D_logistic_simplegp_r1_gamma2_r2_gamma4": (NonSaturating(), [R1(2.0), R2(4.0)]),
    "D_wgan_gp": (Wasserstein(), [GradientPenalty(10.0, alpha_weighs="fake")]),
    "D_hinge": (Hinge(), []),
}


@pytest.mark.parametrize("phase", PHASES)
def test_discriminator_loss(losses, phase):
    gan, held = losses.gan, losses.arrays
    adversarial, penalties = PHASES[phase]
    gan.set_lod(0.7 if "lod" in phase else 0.0)
    real = tf.constant(held["reals"])
    fake = gan.generator.synthesis(gan.generator.mapping(held[f"{phase}/latents"]))
    scores = []

    def loss():
        scores[:] = [gan.discriminator(real)]
        total = adversarial.discriminator(scores[0], gan.discriminator(fake))
        for penalty in penalties:
            points = fake if isinstance(penalty, R2) else real
            if isinstance(penalty, GradientPenalty):
                points = penalty.interpolate(real, fake, held[f"{phase}/mixing_factors"])
            total += penalty.at(gan.discriminator, points)
        if phase == "D_wgan_gp":  # with drift
            total += 0.001 * tf.reduce_mean(tf.square(scores[0]))
        return total

    value, error = losses.error(phase, "discriminator", loss)
    gan.set_lod(0.0)
    np.testing.assert_allclose(value, held[f"{phase}/loss"].mean(), rtol=1e-5)
    assert error < 1
    if "lod" not in phase:
        assert stylegan_parity.error(scores[0], held["real_scores"]) < 1e-6


def test_generator_loss(losses):
    gan, phase = losses.gan, "G_logistic_nonsaturating"

    def loss():
        ws = gan.generator.mapping(losses.arrays[f"{phase}/latents"])
        return NonSaturating().generator(gan.discriminator(gan.generator.synthesis(ws)))

    value, error = losses.error(phase, "generator", loss)
    np.testing.assert_allclose(value, losses.arrays[f"{phase}/loss"].mean(), rtol=1e-5)
    assert error < 1


def test_the_canary(shared, losses):
    """The same file with program text that must not run."""
    gan = ganzoo.load(str(shared / "parity/stylegan/format_variants/canary_sg1.pkl"))
    for name, network in gan.networks().items():
        wanted = losses.gan.networks()[name]
        harness.assert_same_weights(network.get_weights(), wanted.get_weights())


# --- the family


def data(count=12, size=8, channels=2, classes=3):
    return {
        "image": harness.images(count, size, channels),
        "label": np.arange(count, dtype="int32") % classes,
    }


def test_family(golden):
    harness.check_family(small, data(), golden("stylegan"))


def tiny():
    """The official configuration at 8 pixels, from 4.

    One layer of mapping: the harness makes kernels small, and eight of them would give one image.
    """
    mapping = {"num_layers": 1, "lr_multiplier": 1.0}
    growth = Growth(4, 4, 0)
    return StyleGAN(8, 6, 8, channel_base=32, channel_max=6, mapping=mapping, growth=growth, seed=1)


@pytest.mark.slow
def test_the_official_configuration():
    harness.check_family(tiny, harness.images(12, 8))


@pytest.mark.slow
@pytest.mark.parametrize("where", harness.PLACES)
def test_elsewhere(where):
    harness.check_family_in(where, tiny, harness.images(12, 8))


def test_parameter_counts():
    """Of table 1 and appendix C of the paper: 26.2 million, of which 2.1 map."""
    generator, discriminator = StyleGANGenerator(), StyleGANDiscriminator()
    *smaller, _ = [block.rgb for block in generator.trunk.blocks]
    idle = {w.path for layer in smaller for w in layer.weights}
    count = sum(np.prod(w.shape) for w in generator.trainable_weights if w.path not in idle)
    mapping = sum(np.prod(w.shape) for w in generator.get_layer("mapping").trainable_weights)
    assert (round(count / 1e6, 1), round(mapping / 1e6, 1)) == (26.2, 2.1)
    count = sum(np.prod(w.shape) for w in discriminator.trainable_weights)
    assert round(count / 1e6, 1) == 23.1


def test_labels_choose_the_output():
    gan = small(growth=None)
    images, labels = harness.images(4, 8, 2), np.array([2, 0, 1, 1])
    outputs = gan.discriminator.trunk(images).numpy()
    wanted = outputs[range(4), labels][:, np.newaxis]
    for given in (labels, np.eye(3, dtype="float32")[labels]):
        np.testing.assert_allclose(gan.discriminator((images, given)), wanted, rtol=1e-5)
    batch = {"label": tf.constant(labels)}
    np.testing.assert_allclose(gan.critic(batch)(tf.constant(images)), wanted, rtol=1e-5)


def test_labels_are_normalised_with_the_latents():
    mapping = small().generator.get_layer("mapping")
    z, label = harness.images(4, 1, 6)[:, 0, 0], np.eye(3, dtype="float32")[[0, 1, 2, 0]]
    joined = np.concatenate([z, label @ mapping.embed.numpy()], 1)
    joined /= np.sqrt(np.square(joined).mean(1, keepdims=True) + 1e-8)
    kernel, bias = (w.numpy() for w in mapping.dense[0].weights)
    x = joined @ (kernel * 0.5 * np.sqrt(2 / len(kernel))) + 0.5 * bias
    wanted = np.where(x > 0, x, 0.2 * x)
    np.testing.assert_allclose(mapping(z, label)[:, 0], wanted, rtol=1e-4, atol=1e-5)


def test_noise():
    network = plain().generator
    for block in network.trunk.blocks:
        for epilogue in block.epilogues:
            epilogue.noise_strength.assign(0.5 + tf.zeros(epilogue.noise_strength.shape))
    ws = network.mapping(network.latents(2))
    const, none = network.synthesis(ws), network.synthesis(ws, noise="none")
    drawn = network.synthesis(ws, noise="random", seed=1)
    assert np.abs(const - none).max() > 1e-3 and np.abs(drawn - const).max() > 1e-3
    np.testing.assert_array_equal(drawn, network.synthesis(ws, noise="random", seed=1))
    assert np.abs(drawn - network.synthesis(ws, noise="random", seed=2)).max() > 1e-3
    z = network.latents(5)
    whole = network.generate(latents=z, noise="random", seed=3, batch_size=5)
    parts = network.generate(latents=z, noise="random", seed=3, batch_size=2)
    assert np.abs(whole.astype(int) - parts).max() <= 1
    assert not np.array_equal(whole, network.generate(latents=z, noise="random", seed=4))


@pytest.mark.parametrize("lod", [0.0, 0.5, 1.0])
def test_generate_equals_the_parts(lod):
    gan = small(growth=None)
    gan.set_lod(lod)
    network = gan.generator
    z, labels = network.latents(3), np.array([2, 0, 1])
    ws = network.mapping(z, labels, 0.5, 2)
    wanted = ganzoo.generator.to_uint8(network.synthesis(ws))
    for given in (labels, np.eye(3, dtype="float32")[labels]):
        found = network.generate(latents=z, labels=given, truncation=0.5, truncation_cutoff=2)
        assert np.abs(found.astype(int) - wanted).max() <= 1


def test_truncation():
    network = plain().generator
    average = network.get_layer("mapping").w_avg
    average.assign(np.arange(8))
    ws = network.mapping(network.latents(2)).numpy()
    found = network.mapping(network.latents(2), truncation=0.25, truncation_cutoff=3).numpy()
    np.testing.assert_allclose(found[:, :3], average + 0.25 * (ws[:, :3] - average), rtol=1e-5)
    np.testing.assert_array_equal(found[:, 3:], ws[:, 3:])


@pytest.mark.parametrize("level", [0, 1])
def test_style_mixing(level):
    for probability in (0.0, 1.0):
        gan = plain(style_mixing=probability)
        gan.set_lod(level)
        z = gan.generator.latents(4)
        alone = gan.generator.mapping(z).numpy()
        for tag in "abcdefgh":
            mixed = gan.mixed_styles(tf.constant(z), None, tag).numpy()
            same = (alone == mixed).all((0, 2))[: 6 - 2 * level]
            assert same[0]
            assert same.all() == (probability == 0)  # a layer that is in use is mixed
            assert (np.diff(same.astype(int)) <= 0).all()


def test_the_average_style_moves_with_the_fakes():
    gan = plain()
    average = gan.generator.get_layer("mapping").w_avg
    batch = {"real": tf.zeros([8, 16, 16, 3])}
    mean = gan.generator.mapping(gan.latents(batch, "a"))[:, 0].numpy().mean(0)
    gan.fakes(batch, "a")
    np.testing.assert_allclose(average.numpy(), 0.005 * mean, rtol=1e-4, atol=1e-7)


def test_first_layers_and_epilogues_of_other_configurations():
    for first in ("constant", "dense"):
        for epilogue in ((), ("instance_norm",), ("pixel_norm", "style")):
            network = plain(first=first, epilogue=epilogue).generator
            image = network.synthesis(network.mapping(network.latents(2)))
            assert np.isfinite(image).all()
            moves = np.abs(image[0] - image[1]).max() > 1e-4 * np.abs(image).max()
            assert moves == (first == "dense" or "style" in epilogue)


@pytest.mark.parametrize(
    "arguments, words",
    [
        (dict(image_size=24), "`image_size` must be a power of two"),
        (dict(latent_dim=0), "`latent_dim` must be an int >= 1. Received: latent_dim=0"),
        (dict(style_dim=8.0), "`style_dim` must be an int >= 1"),
        (dict(num_classes=-1), "`num_classes` must be an int >= 0"),
        (dict(discriminator={"channel_max": 0}), "`channel_max` must be an int >= 1"),
        (dict(discriminator={"group_size": 0}), "`group_size` must be an int > 0"),
        (dict(activation="swish"), "`activation` must be one of"),
        (dict(first="zeros"), "`first` must be one of"),
        (dict(epilogue=["blur"]), "`epilogue` may hold"),
        (dict(structure="grown"), "`structure` must be one of"),
        (dict(style_mixing=2.0), "`style_mixing` must be in [0, 1]"),
        (dict(growth=Growth(16, 1, 1)), "cannot grow from 16 to 8 pixels"),
    ],
)
def test_bad_arguments(arguments, words):
    with pytest.raises(ValueError) as raised:
        small(**arguments)
    assert words in str(raised.value)


def test_unknown_options_of_the_discriminator():
    with pytest.raises(TypeError, match="unexpected keyword argument 'groups'"):
        small(discriminator={"groups": 4})


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda g: g.mapping(np.zeros((2, 5))), "[N, latent_dim] = (None, 6)"),
        (lambda g: g.mapping(np.zeros((2, 6))), "has 3 classes and needs labels"),
        (lambda g: g.mapping(np.zeros((2, 6)), np.zeros((2, 4), "float32")), "float [N, 3]"),
        (lambda g: g.mapping(np.zeros((2, 6)), [0, 3]), "in [0, 3). Received: 3"),
        (lambda g: g.mapping(np.zeros((2, 6)), [0, 1], 0.5, 99), "an int in [0, "),
        (lambda g: g.synthesis(np.zeros((2, 3, 8))), "[N, num_ws, style_dim] = "),
        (lambda g: g.synthesis(np.zeros((2, g.num_ws, 7))), "[N, num_ws, style_dim] = "),
        (lambda g: g.synthesis(np.zeros((2, g.num_ws, 8)), noise="some"), "`noise` must be one"),
        (lambda g: g.generate(1, noise="some"), "`noise` must be one of"),
        (lambda g: g.generate(1, truncation_cutoff=1.5), "`truncation_cutoff` must be"),
    ],
)
def test_bad_calls(call, words):
    with pytest.raises(ValueError) as raised:
        call(small().generator)
    assert words in str(raised.value)
