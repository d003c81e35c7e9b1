"""StyleGAN2: the official files' images, logits, losses and gradients; the GAN around them."""

import re

import harness
import numpy as np
import pytest
import stylegan_parity
import tensorflow as tf

import ganzoo
from ganzoo.checkpoints import reader
from ganzoo.convert import stylegan2_torch
from ganzoo.families.stylegan2 import StyleGAN2, StyleGAN2Generator
from ganzoo.layers.stylegan2_discriminator import StyleGAN2Discriminator
from ganzoo.losses import NonSaturating
from ganzoo.penalties import R1, PathLength

CASES = (
    "sg2ada_64_uncond",
    "sg2ada_64_cond",
    "sg2ada_32_cifar_snapshot",
    "sg3repo_stylegan2_32",
    "sg2tf_64_configf",
    "sg2adatf_32_cifar_cond",
)
LOSSES = "sg2ada_losses_16"


def small(**options):
    """No argument at its default where that can be."""
    arguments = dict(
        image_size=8, latent_dim=6, style_dim=8, channels=2, num_classes=3, channel_base=64,
        channel_max=6, architecture="resnet", activation="swish", noise="none", kernel_size=1,
        conv_clamp=200.0, mapping={"num_layers": 1, "lr_multiplier": 0.5}, taps=[1, 2, 1],
        half_precision_blocks=1, discriminator={"architecture": "skip", "group_size": 2},
        r1_gamma=2.0, r1_interval=2, path_length_weight=1.0, path_length_interval=2,
        style_mixing=0.5, seed=3,
    )
    return StyleGAN2(**{**arguments, **options})


def plain(**options):
    """As the official configuration, small and unconditional."""
    return StyleGAN2(16, 6, 8, channel_base=64, channel_max=6, **options)


# --- goldens


def truncations(key):
    """(truncation, cutoff) that the name of an array of ws or images tells."""
    found = re.search(r"psi(\d+)(?:_cut(\d+))?", key)
    if found is None:
        return (0.5, None) if key.endswith("default") else (1.0, None)
    digits = found[1]
    return float(f"{digits[0]}.{digits[1:] or 0}"), int(found[2]) if found[2] else None


def images_of(gan, held, key):
    """Our images for an array `img_...`."""
    network = gan.generator if "_G_" in key else gan.generator_ema
    noise = "none" if "_none_" in key else "const"
    if key.endswith("wsrand"):
        return network.synthesis(held["ws_rand"], noise=noise)
    count = len(held[key])
    ws = network.mapping(held["z"][:count], held["c"][:count], *truncations(key))
    return network.synthesis(ws, noise=noise)


def logits_of(gan, held, key):
    """Our logits for an array `d_logits...` or `d_scores...`."""
    if key.endswith("gen"):
        images = held["img_psi1"] if "img_psi1" in held else held["img_const_psi1"]
        return gan.discriminator((images, held["c"][: len(images)]))
    count = int(key[-1])
    return gan.discriminator((held["d_img8"][:count], held["d_c8"][:count]))


def parity(folder):
    """[(quantity, max |error| / max(1, max |golden|))] of a case."""
    gan, held = stylegan_parity.network(folder), stylegan_parity.arrays(folder)
    found = []
    for key, wanted in held.items():
        if key == "dlatents" or key.startswith("ws_psi"):
            ours = gan.generator_ema.mapping(held["z"], held["c"], *truncations(key))
        elif key.startswith("img"):
            ours = images_of(gan, held, key)
        elif key.startswith(("d_logits", "d_scores")):
            ours = logits_of(gan, held, key)
        else:
            continue
        found.append((key, stylegan_parity.error(ours, wanted)))
    return found + converted(folder, gan, held)


def converted(folder, gan, held):
    """What the official converter made of a TensorFlow file, but for the group of its logits."""
    if not (folder / "converted_stylegan3.npz").is_file():
        return []
    theirs = stylegan_parity.arrays(folder, "converted_stylegan3.npz")
    images = {key: images_of(gan, held | theirs, key) for key in theirs if key.startswith("img")}
    found = [(f"converted {k}", stylegan_parity.error(v, theirs[k])) for k, v in images.items()]
    ws = gan.generator_ema.mapping(held["z"], held["c"])
    return [*found, ("converted ws", stylegan_parity.error(ws, theirs["ws_psi1"]))]


@pytest.mark.parametrize("case", CASES)
def test_official_files(shared, case):
    found = parity(shared / "parity/stylegan" / case)
    assert len(found) >= 11
    assert not [(name, error) for name, error in found if not error <= 1e-5]


@pytest.fixture(scope="module")
def losses(shared):
    """(GAN, arrays, rules of the generator, of the discriminator) of the training case."""
    folder = shared / "parity/stylegan" / LOSSES
    tree = reader.load(folder / "network.pkl")
    tables = {
        part.network: part.table for _, part, _ in stylegan2_torch.recognise_networks(tree)
    }
    with np.load(folder / "golden.npz", allow_pickle=False) as file:
        arrays = {key: file[key] for key in file.files}
    return ganzoo.load(str(folder / "network.pkl")), arrays, tables


def phase_error(losses, phase, network, gradients):
    """The worst of a phase's gradients, as a share of what is allowed."""
    gan, arrays, tables = losses
    prefix = f"{phase}/grad/"
    wanted = {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
    largest = max(np.abs(v).max() for v in wanted.values())
    ours = {w.path.partition("/")[2]: g for w, g in gradients}
    table, errors, seen = tables[network], [], set()
    for name, value in wanted.items():
        rule, match = next(
            (r, m) for r in table if (m := re.fullmatch(r.source, name)) and r.target
        )
        address = match.expand(rule.target)
        seen.add(address)
        found = np.zeros(rule.transform(value).shape) if ours[address] is None else ours[address]
        errors.append(stylegan_parity.gradient_error(found, rule.transform(value), largest))
    assert seen == set(ours)
    return max(errors)


def gradients_of(network, loss):
    """(value of `loss()`, [(variable, gradient)])."""
    with tf.GradientTape() as tape:
        value = loss()
    variables = network.trainable_variables
    return value, list(zip(variables, tape.gradient(value, [v.value for v in variables])))


def test_generator_loss(losses):
    gan, arrays, _ = losses
    before = gan.generator.get_layer("mapping").w_avg.numpy()

    def loss():
        ws = gan.generator.styles(tf.constant(arrays["gen_z"]), None, update_average=True)
        logits = gan.discriminator(gan.generator.synthesis(ws, noise="const"))
        assert stylegan_parity.error(logits, arrays["Gmain/report/Loss.scores.fake"]) < 1e-5
        return NonSaturating().generator(logits)

    value, gradients = gradients_of(gan.generator, loss)
    average = gan.generator.get_layer("mapping").w_avg
    assert stylegan_parity.error(average.value, arrays["w_avg_after_Gmain"]) < 1e-6
    average.assign(before)
    np.testing.assert_allclose(value, arrays["Gmain/report/Loss.G.loss"].mean(), rtol=1e-5)
    assert phase_error(losses, "Gmain", "generator", gradients) < 1


def test_path_length(losses):
    gan, arrays, _ = losses
    penalty = PathLength(2.0, decay=0.01, shrink=2)
    penalty.build()
    penalty.mean.assign(arrays["pl_mean_before"])
    noise = stylegan_parity.nhwc(arrays["pl_noise_raw"])

    def loss():
        ws = gan.generator.styles(penalty.share(tf.constant(arrays["gen_z"])), None)
        lengths = penalty.lengths(gan.generator.synthesis, ws, lambda shape: tf.constant(noise))
        assert stylegan_parity.error(lengths, arrays["pl_lengths"]) < 1e-5
        return penalty.at(lengths)

    value, gradients = gradients_of(gan.generator, loss)
    np.testing.assert_allclose(value, arrays["Greg/report/Loss.G.reg"].mean(), rtol=1e-4)
    np.testing.assert_allclose(penalty.mean.value, arrays["pl_mean_after"], rtol=1e-5)
    assert phase_error(losses, "Greg", "generator", gradients) < 1


def test_discriminator_loss(losses):
    gan, arrays, _ = losses
    real = stylegan_parity.nhwc(arrays["real_img"])
    fake = gan.generator.synthesis(gan.generator.mapping(arrays["gen_z"]))

    def loss():
        return NonSaturating().discriminator(gan.discriminator(real), gan.discriminator(fake))

    value, gradients = gradients_of(gan.discriminator, loss)
    np.testing.assert_allclose(value, arrays["Dmain/report/Loss.D.loss"].mean(), rtol=1e-5)
    assert phase_error(losses, "Dmain", "discriminator", gradients) < 1


def test_r1(losses):
    gan, arrays, _ = losses
    real = tf.constant(stylegan_parity.nhwc(arrays["real_img"]))
    value, gradients = gradients_of(
        gan.discriminator, lambda: R1(10.0).at(gan.discriminator, real)
    )
    np.testing.assert_allclose(value, 5 * arrays["r1_penalty"].mean(), rtol=1e-5)
    assert phase_error(losses, "Dreg", "discriminator", gradients) < 1


@pytest.mark.parametrize("file", ["resaved_sg2_torch2.13.0_numpy2.4.6.pkl", "canary_sg2ada.pkl"])
def test_other_ways_to_save(shared, losses, file):
    gan = ganzoo.load(str(shared / "parity/stylegan/format_variants" / file))
    for name, network in gan.networks().items():
        harness.assert_same_weights(
            network.get_weights(), losses[0].networks()[name].get_weights()
        )


# --- the family


def test_family(golden):
    data = {"image": harness.images(12, 8, 2), "label": np.arange(12, dtype="int32") % 3}
    harness.check_family(small, data, golden("stylegan2"))


def tiny():
    """The official configuration at 8 pixels.

    One layer of mapping: the harness makes kernels small, and eight of them would give one image.
    """
    mapping = {"num_layers": 1, "lr_multiplier": 1.0}
    return StyleGAN2(8, 6, 8, channel_base=32, channel_max=6, mapping=mapping, seed=1)


@pytest.mark.slow
def test_the_official_configuration():
    harness.check_family(tiny, harness.images(12, 8))


@pytest.mark.slow
@pytest.mark.parametrize("where", harness.PLACES)
def test_elsewhere(where):
    harness.check_family_in(where, tiny, harness.images(12, 8))


def test_parameter_counts():
    """Of configuration F at 1024 pixels, as the official `print_layers` sums them up."""
    generator, discriminator = StyleGAN2Generator(1024), StyleGAN2Discriminator(1024)
    assert sum(np.prod(w.shape) for w in generator.trainable_weights) == 30_370_060
    assert sum(np.prod(w.shape) for w in discriminator.trainable_weights) == 29_012_513


@pytest.mark.parametrize("architecture", ["skip", "resnet", "orig"])
def test_gradients_of_all_orders(architecture):
    gan = plain(architecture=architecture, activation="swish")
    ws = tf.constant(np.random.RandomState(0).randn(2, gan.generator.num_ws, 8), "float32")
    harness.check_second_order(lambda xs: gan.generator.synthesis(xs[0]), [ws], tolerance=5e-2)


def test_one_image_equals_the_batch():
    """Scaling the kernel, for one image, is scaling input and output."""
    gan = plain(conv_clamp=1.0)
    z = gan.generator.latents(3)
    ws = gan.generator.mapping(z)
    together = gan.generator.synthesis(ws)
    for i in range(3):
        np.testing.assert_allclose(
            gan.generator.synthesis(ws[i : i + 1])[0], together[i], atol=1e-5
        )


def test_noise():
    network = plain().generator
    for layer in network.get_layer("synthesis").blocks:
        layer.conv1.noise_strength.assign(1.0)
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


def test_generate_equals_the_parts():
    network = small().generator
    z, labels = network.latents(3), np.array([2, 0, 1])
    ws = network.mapping(z, labels, 0.5, 2)
    wanted = ganzoo.generator.to_uint8(network.synthesis(ws))
    for given in (labels, np.eye(3, dtype="float32")[labels]):
        found = network.generate(latents=z, labels=given, truncation=0.5, truncation_cutoff=2)
        assert np.abs(found.astype(int) - wanted).max() <= 1


def test_style_mixing():
    z = plain().generator.latents(4)
    for probability in (0.0, 1.0):
        gan = plain(style_mixing=probability)
        alone = gan.generator.mapping(z).numpy()
        mixed = gan.mixed_styles(tf.constant(z), None, "tag").numpy()
        same = (alone == mixed).all((0, 2))
        assert same[0]
        assert same.all() == (probability == 0)
        assert (np.diff(same.astype(int)) <= 0).all()


def test_fakes_of_the_phases_differ():
    gan = plain()
    batch = {"real": tf.zeros([2, 16, 16, 3])}
    assert np.abs(gan.fakes(batch, "a")[0] - gan.fakes(batch, "b")[0]).max() > 0


def test_no_path_length():
    gan = plain(path_length_weight=0.0, r1_interval=1)
    assert [phase.name for phase in gan.phases()] == ["discriminator", "generator"]
    for optimizer in gan.default_optimizers().values():
        assert float(optimizer.learning_rate) == pytest.approx(2e-3)


def test_lazy_optimizers():
    found = plain().default_optimizers()
    wanted = {"generator_optimizer": 4 / 5, "discriminator_optimizer": 16 / 17}
    for name, share in wanted.items():
        assert float(found[name].learning_rate) == pytest.approx(2e-3 * share)
        assert found[name].beta_2 == pytest.approx(0.99**share)


@pytest.mark.parametrize(
    "arguments, words",
    [
        (dict(image_size=24), "`image_size` must be a power of two"),
        (dict(image_size=2), "`image_size` must be a power of two"),
        (dict(image_size=4), "needs `image_size` >= 8"),
        (dict(architecture="stylegan"), "`architecture` must be one of"),
        (dict(activation="mish"), "`activation` must be one of"),
        (dict(noise="const"), "`noise` must be 'stored' or 'none'"),
        (dict(conv_clamp=0.0), "`conv_clamp` must be > 0"),
        (dict(mapping={"conditioning": "no"}), "`conditioning` must be one of"),
        (dict(discriminator={"conditioning": "no"}), "`conditioning` must be one of"),
        (dict(style_mixing=2.0), "`style_mixing` must be in [0, 1]"),
    ],
)
def test_bad_arguments(arguments, words):
    with pytest.raises(ValueError) as raised:
        small(**arguments)
    assert words in str(raised.value)


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda g: g.mapping(np.zeros((2, 5))), "[N, latent_dim] = (None, 6)"),
        (lambda g: g.mapping(np.zeros((2, 6))), "has 3 classes and needs labels"),
        (lambda g: g.mapping(np.zeros((2, 6)), np.zeros((2, 4), "float32")), "float [N, 3]"),
        (lambda g: g.mapping(np.zeros((2, 6)), [0, 3]), "in [0, 3). Received: 3"),
        (lambda g: g.mapping(np.zeros((2, 6)), [0, 1], 0.5, 99), "an int in [0, "),
        (lambda g: g.mapping(np.zeros((2, 6)), [0, 1], 0.5, -1), "`truncation_cutoff` must be"),
        (lambda g: g.mapping(np.zeros((2, 6)), [0, 1], "0.5"), "Received: truncation='0.5'"),
        (lambda g: g.generate(1, truncation=np.nan), "a finite number, such as 0.7"),
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


def test_unconditional_networks_take_empty_labels_only():
    gan = plain()
    z, empty = gan.generator.latents(2), np.zeros((2, 0), "float32")
    np.testing.assert_array_equal(gan.generator.mapping(z, empty), gan.generator.mapping(z))
    assert gan.generator.generate(latents=z, labels=empty).shape == (2, 16, 16, 3)
    with pytest.raises(ValueError, match="there are no classes here"):
        gan.generator.mapping(z, [0, 1])


def test_discriminators_take_lists_of_labels():
    gan, x = small(), np.zeros((2, 8, 8, 2), "float32")
    np.testing.assert_array_equal(gan.discriminator((x, [0, 2])),
                                  gan.discriminator((x, np.array([0, 2]))))
