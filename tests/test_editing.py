"""Style mixing, paths, sweeps, directions and projection, on small random networks."""

import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import ganzoo
from ganzoo import callbacks, editing
from ganzoo.editing import projection
from ganzoo.families.cgan import CGAN
from ganzoo.families.dcgan import DCGAN
from ganzoo.families.progan import ProGANGenerator
from ganzoo.families.stylegan import StyleGANGenerator
from ganzoo.families.stylegan2 import StyleGAN2Generator
from ganzoo.families.stylegan3 import StyleGAN3Generator
from ganzoo.families.vanilla_gan import VanillaGANGenerator
from ganzoo.families.wgangp import WGANGPGenerator

WIDTHS = dict(latent_dim=12, style_dim=10, channel_base=128, channel_max=12)
NOISE = 0.1


def lively(generator):
    """Noise that is seen, affine maps and a mean w that are not zero."""
    for layer in editing.style_layers(generator):
        if not layer.affine.kernel.numpy().any():
            layer.affine.kernel.assign(tf.random.normal(layer.affine.kernel.shape))
        if layer.noise is not None:
            layer.noise.noise_strength.assign(tf.fill(layer.noise.noise_strength.shape, NOISE))
    mean, _ = projection.statistics(generator, 500)
    generator.get_layer("mapping").w_avg.assign(mean)
    return generator


def stylegan2(**options):
    ganzoo_options = {"image_size": 32, "mapping": {"num_layers": 2}, **WIDTHS, **options}
    return lively(StyleGAN2Generator(**ganzoo_options))


@pytest.fixture(scope="module")
def sg2():
    tf.keras.utils.set_random_seed(1)
    return stylegan2()


@pytest.fixture(scope="module")
def sg1():
    tf.keras.utils.set_random_seed(2)
    return lively(StyleGANGenerator(32, mapping={"num_layers": 2}, **WIDTHS))


@pytest.fixture(scope="module")
def sg3():
    tf.keras.utils.set_random_seed(3)
    return lively(StyleGAN3Generator(16, **WIDTHS))


@pytest.fixture(scope="module")
def dcgan():
    tf.keras.utils.set_random_seed(4)
    return DCGAN(16, 6, 4, channels=1).generator


@pytest.fixture(params=["sg1", "sg2", "sg3"])
def styled(request):
    return request.getfixturevalue(request.param)


def weights_of(generator):
    return [weight.numpy() for weight in generator.weights]


# --- layers


def test_layers_are_in_the_order_of_ws(styled):
    layers = editing.style_layers(styled)
    assert [layer.index for layer in layers] == list(range(styled.num_ws))
    assert all(layer.affine.kernel.shape[0] == styled.style_dim for layer in layers)
    assert [x.side for x in layers] == sorted(x.side for x in layers)


def slopes(generator):
    """How much the image changes with each w: float [num_ws]."""
    ws = tf.zeros([1, generator.num_ws, generator.style_dim])
    with tf.GradientTape() as tape:
        tape.watch(ws)
        total = tf.reduce_sum(tf.square(generator.synthesis(ws)))
    return np.abs(tape.gradient(total, ws)[0]).max(axis=1)


def test_a_layer_is_that_of_its_w(styled):
    """Without the affine map of layer k the image does not depend on w k."""
    reference = slopes(styled)
    assert (reference > 0).all()
    for layer in editing.style_layers(styled):
        kernel = layer.affine.kernel.numpy()
        layer.affine.kernel.assign(tf.zeros_like(kernel))
        found = slopes(styled)
        layer.affine.kernel.assign(kernel)
        shared = isinstance(styled, StyleGAN2Generator) and layer.index in (1, 3, 5)  # an image's
        assert (found[layer.index] > 0) == shared
        assert (np.delete(found, layer.index) > 0).all()


@pytest.mark.parametrize(
    "size, expected",
    [
        (64, {"coarse": (0, 1, 2), "middle": (3, 4, 5, 6), "fine": (7, 8, 9)}),
        (32, {"coarse": (0, 1, 2), "middle": (3, 4, 5), "fine": (6, 7)}),
        (8, {"coarse": (0, 1), "middle": (2,), "fine": (3,)}),
    ],
)
def test_groups_of_stylegan2(size, expected):
    generator = StyleGAN2Generator(size, 4, 4, channel_base=64, channel_max=4)
    assert editing.groups(generator) == expected


def test_groups_of_the_others(sg1, sg3):
    assert editing.groups(sg1) == {"coarse": (0, 1, 2), "middle": (3, 4, 5), "fine": (6, 7)}
    large = StyleGANGenerator(128, 4, 4, channel_base=64, channel_max=4)
    assert editing.groups(large)["coarse"] == (0, 1, 2, 3)  # 4 and 8, as in the paper
    assert editing.groups(large)["middle"] == (4, 5, 6, 7)
    assert editing.groups(large)["fine"] == (8, 9, 10, 11)
    assert sg3.num_ws == 16
    assert [len(x) for x in editing.groups(sg3).values()] == [4, 4, 8]


@pytest.mark.parametrize(
    "layers, expected",
    [
        ("all", range(8)),
        ("coarse", (0, 1, 2)),
        ("0-2,5", (0, 1, 2, 5)),
        ("3", (3,)),
        (slice(6, None), (6, 7)),
        ([4, 1], (1, 4)),
        (np.array([2]), (2,)),
    ],
)
def test_layers_of(sg2, layers, expected):
    assert editing.layers_of(sg2, layers) == list(expected)


@pytest.mark.parametrize("layers", ["rough", "0-", "8", "0-8", [9], [-1], [], slice(8, 9), "", 3.5])
def test_layers_that_there_are_not(sg2, layers):
    with pytest.raises(editing.EditingError, match="0 to 7"):
        editing.layers_of(sg2, layers)


def test_layers_need_styles(dcgan):
    with pytest.raises(editing.EditingError, match="DCGANGenerator has no layers with styles"):
        editing.layers_of(dcgan, "coarse")


# --- points and images


def test_points_of_seeds_latents_and_ws(sg2):
    space = editing.Space(sg2, batch_size=2)
    z = np.concatenate([sg2.latents(1, 3), sg2.latents(1, 8)])
    ws = space.points([3, 8])
    np.testing.assert_allclose(ws, sg2.mapping(z), atol=1e-6)
    np.testing.assert_array_equal(space.points(z), ws)
    np.testing.assert_array_equal(space.points(ws), ws)
    np.testing.assert_array_equal(editing.Space(sg2, "z").points([3, 8]), z)


def test_images_are_those_of_generate(styled):
    space = editing.Space(styled, truncation=0.7, batch_size=2)
    z = styled.latents(5, 1)
    wanted = styled.generate(latents=z, truncation=0.7).astype(int)
    assert np.abs(space.images(space.points(z)) - wanted).max() <= 1
    in_z = editing.Space(styled, "z", truncation=0.7)
    assert np.abs(in_z.images(z.reshape(5, 1, -1))[:, 0] - wanted).max() <= 1


def test_labels():
    generator = stylegan2(num_classes=3)
    z = generator.latents(2, 0)
    points = editing.Space(generator, labels=[2, 1]).points(z)
    np.testing.assert_allclose(points, generator.mapping(z, np.array([2, 1])), atol=1e-6)
    default = editing.Space(generator).points(z)
    np.testing.assert_allclose(default, generator.mapping(z, np.array([0, 0])), atol=1e-6)
    with pytest.raises(editing.EditingError, match="each of the 2 points"):
        editing.Space(generator, labels=[1, 1, 1]).points(z)
    with pytest.raises(ValueError, match="3"):
        editing.Space(generator, labels=3).points(z)


def test_labels_in_z():
    generator = CGAN(16, 6, num_classes=4, channels=1, networks="dcgan", width=4).generator
    images = editing.Space(generator, labels=2).images(generator.latents(2))
    np.testing.assert_array_equal(images, generator.generate(2, labels=2))


@pytest.mark.parametrize(
    "sources", [[], [1.5], [-1], [2**32], [[1, 2]], np.zeros((2, 5)), np.full((1, 12), np.nan), "a"]
)
def test_sources_that_are_none(sg2, sources):
    with pytest.raises(editing.EditingError, match="Received"):
        editing.Space(sg2).points(sources)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"name": "w"}, "take space='z'"),
        ({"name": "x"}, "one of"),
        ({"truncation": 0.5}, "leave `truncation`"),
        ({"labels": 1}, "unconditional"),
        ({"batch_size": 0}, "int > 0"),
    ],
)
def test_options_that_z_has_not(dcgan, options, message):
    with pytest.raises(editing.EditingError, match=message):
        space = editing.Space(dcgan, **options)
        space.images(space.points([1]))


def test_points_are_no_images():
    with pytest.raises(editing.EditingError, match="points of a mixture"):
        editing.Space(VanillaGANGenerator((2,), 4, (8,), output="linear"))


# --- mixing


def test_style_mix(styled):
    found = editing.style_mix(styled, [0, 1], [2, 3, 4], "middle")
    a, b = (editing.Space(styled).points(x) for x in ([0, 1], [2, 3, 4]))
    assert found.images.shape[:2] == (2, 3)
    middle = set(editing.groups(styled)["middle"])
    for i in range(2):
        for j in range(3):
            for layer in range(styled.num_ws):
                source = b[j] if layer in middle else a[i]
                np.testing.assert_array_equal(found.points[i, j, layer], source[layer])
    image = editing.Space(styled).images(found.points[1, 2])
    assert np.abs(image.astype(int) - found.images[1, 2]).max() <= 1


def test_mixing_everything_copies_the_column(sg2):
    found = editing.style_mix(sg2, [0, 1], [2, 3], slice(None))
    np.testing.assert_array_equal(found.points[0], found.points[1])
    assert np.abs(found.images[0].astype(int) - found.top).max() <= 1


def test_layers_for_each_row(sg2):
    found = editing.style_mix(sg2, [5, 5], [2], ["coarse", slice(6, 8)])
    ws = editing.Space(sg2).points([5, 2])
    # Batches of other sizes are summed in another order on some processors.
    expected = [[*ws[1, :3], *ws[0, 3:]], [*ws[0, :6], *ws[1, 6:]]]
    np.testing.assert_allclose(found.points[:, 0], expected, rtol=1e-5, atol=1e-6)
    with pytest.raises(editing.EditingError, match="each of the 2 rows"):
        editing.style_mix(sg2, [5, 5], [2], ["coarse", "fine", "fine"])


def test_picture(sg2):
    found = editing.style_mix(sg2, [0, 1], [2, 3, 4])
    picture = found.picture(gap=3)
    assert picture.shape == (3 * 32 + 3, 4 * 32 + 3, 3)
    np.testing.assert_array_equal(picture[:32, 35:67], found.top[0])
    np.testing.assert_array_equal(picture[67:, :32], found.left[1])
    np.testing.assert_array_equal(picture[67:, 99:], found.images[1, 2])
    assert (picture[:35, :35] == 255).all()


def test_tables_that_do_not_fit():
    cells = np.zeros((2, 3, 4, 4, 1), "uint8")
    assert editing.table(cells).shape == (8, 12, 1)
    with pytest.raises(editing.EditingError, match="`top` must be"):
        editing.table(cells, top=np.zeros((2, 4, 4, 1), "uint8"))
    with pytest.raises(editing.EditingError, match="uint8"):
        editing.table(cells.astype("float32"))


def test_enlarge():
    image = np.arange(4, dtype="uint8").reshape(2, 2, 1)
    wanted = [[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 3, 3], [2, 2, 3, 3]]
    assert editing.enlarge(image, 2)[..., 0].tolist() == wanted


def test_mixing_needs_w(dcgan):
    with pytest.raises(editing.EditingError, match="has no w"):
        editing.style_mix(dcgan, [0], [1])


# --- paths


def test_lines_in_w(sg2):
    found = editing.interpolate(sg2, [0, 1, 2], 4)
    ws = editing.Space(sg2).points([0, 1, 2])
    assert found.points.shape == (9, 8, 10) and found.images.shape == (9, 32, 32, 3)
    np.testing.assert_allclose(found.points[[0, 4, 8]], ws, atol=1e-6)
    np.testing.assert_allclose(found.points[1], 0.75 * ws[0] + 0.25 * ws[1], atol=1e-6)
    ends = editing.Space(sg2).images(ws).astype(int)
    assert np.abs(found.images[[0, 4, 8]] - ends).max() <= 1


def test_loops(sg2):
    found = editing.interpolate(sg2, [0, 1], 3, path="loop")
    assert len(found.images) == 6
    np.testing.assert_allclose(found.points[1], found.points[5], atol=1e-5)
    np.testing.assert_allclose(found.points[2], found.points[4], atol=1e-5)


def test_arcs_in_z(dcgan):
    z = np.zeros((2, 6), "float32")
    z[0, 0], z[1, 1] = 2.0, 2.0
    found = editing.interpolate(dcgan, z, 2)
    np.testing.assert_allclose(found.points[1, :2], [2**0.5, 2**0.5], atol=1e-6)
    np.testing.assert_array_equal(found.images, dcgan.generate(latents=found.points))
    assert found.images.shape == (3, 16, 16, 1)


def test_arcs_of_a_stylegan(sg2):
    found = editing.interpolate(sg2, [0, 1], 2, space="z", truncation=0.5)
    wanted = sg2.generate(latents=found.points, truncation=0.5).astype(int)
    assert np.abs(found.images - wanted).max() <= 1


@pytest.mark.parametrize(
    "words",
    [{"steps": 0}, {"steps": 2.0}, {"path": "round"}, {"space": "v"}, {"sources": [1]}],
)
def test_paths_that_are_none(sg2, words):
    with pytest.raises(editing.EditingError, match="Received"):
        editing.interpolate(sg2, **{"sources": [0, 1], "steps": 2, **words})


def frames(count=5, height=17, width=20, channels=3):
    x = np.linspace(0, 200, count * height * width).reshape(count, height, width, 1)
    return np.repeat(x, channels, axis=-1).astype("uint8")


def test_gif(tmp_path):
    image = pytest.importorskip("PIL.Image")
    path = editing.save(tmp_path / "new" / "a.GIF", frames(channels=1), fps=10)
    with image.open(path) as film:
        assert film.n_frames == 5 and film.size == (20, 17)
        assert film.info["duration"] == 100 and film.info["loop"] == 0
        film.seek(4)
        last = np.asarray(film.convert("RGB")).astype(int)
    assert np.abs(last - frames()[4]).max() <= 8


def test_mp4(tmp_path):
    ffmpeg = pytest.importorskip("imageio_ffmpeg")
    path = editing.save(tmp_path / "a.mp4", frames(), fps=12)
    reader = ffmpeg.read_frames(str(path))
    about = next(reader)
    assert about["size"] == (20, 18) and about["fps"] == 12  # even sides
    found = [np.frombuffer(x, "uint8").reshape(18, 20, 3)[:17] for x in reader]
    assert len(found) == 5
    assert np.abs(np.stack(found).astype(int) - frames()).mean() < 6


def test_png(tmp_path):
    path = editing.save(tmp_path / "a.png", frames(), columns=2)
    found = tf.io.decode_png(path.read_bytes()).numpy()
    np.testing.assert_array_equal(found, callbacks.grid(frames(), 2))


@pytest.mark.parametrize("name, package", [("a.gif", "PIL"), ("a.mp4", "imageio_ffmpeg")])
def test_a_film_names_the_extra(tmp_path, monkeypatch, name, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(editing.EditingError, match=r"keras-ganzoo\[video\]"):
        editing.save(tmp_path / name, frames())


@pytest.mark.parametrize(
    "name, images, fps",
    [("a.avi", frames(), 30), ("a.gif", frames()[0], 30), ("a.png", frames() / 255, 30)]
    + [("a.gif", frames(), 0)],
)
def test_films_that_are_none(tmp_path, name, images, fps):
    with pytest.raises(editing.EditingError, match="Received"):
        editing.save(tmp_path / name, images, fps=fps)


# --- arithmetic


@pytest.mark.parametrize("space", ["w", "z"])
def test_arithmetic(sg2, space):
    found = editing.arithmetic(sg2, [(1, [0, 1, 2]), (-1, [3, 4]), (1, [5])], space=space)
    points = editing.Space(sg2, space).points(range(6))
    result = points[:3].mean(0) - points[3:5].mean(0) + points[5]
    np.testing.assert_allclose(found.points[0, 3], result, atol=1e-5)
    np.testing.assert_allclose(found.points[0, 1], points[3:5].mean(0), atol=1e-6)
    assert found.picture().shape == (32, 4 * 32, 3)


def test_arithmetic_of_one_group_cancels(dcgan):
    found = editing.arithmetic(dcgan, [(1, [0, 1]), (-1, [0, 1]), (1, [7])])
    np.testing.assert_array_equal(found.images[0, 3], dcgan.generate(1, seed=7)[0])
    with pytest.raises(editing.EditingError, match="pairs"):
        editing.arithmetic(dcgan, [[0, 1, 2]])


# --- truncation and noise


def test_truncation_sweep(styled):
    found = editing.truncation_sweep(styled, [0, 1], [-1, 0, 1])
    ws = editing.Space(styled).points([0, 1])
    np.testing.assert_allclose(found.points[:, 2], ws, atol=1e-5)
    np.testing.assert_allclose(found.points[0, 1], found.points[1, 1], atol=1e-6)
    middle = (found.points[:, 0] + found.points[:, 2]) / 2
    np.testing.assert_allclose(middle, found.points[:, 1], atol=1e-5)
    assert found.images.shape[:2] == (2, 3)
    for values in ([], [np.inf], 0.5):
        with pytest.raises(editing.EditingError, match="finite"):
            editing.truncation_sweep(styled, [0], values)


@pytest.mark.parametrize("name", ["sg1", "sg2"])
def test_noise_ablation(name, request):
    generator = request.getfixturevalue(name)
    before = weights_of(generator)
    found = editing.noise_ablation(generator, [0, 1])
    for a, b in zip(weights_of(generator), before):
        np.testing.assert_array_equal(a, b)
    for column, noise in ((0, "const"), (1, "none")):
        wanted = editing.Space(generator, noise=noise).images(found.points[:, 0])
        assert np.abs(found.images[:, column].astype(int) - wanted).max() <= 1
    fine = set(editing.groups(generator)["fine"])
    for column, kept in ((2, fine), (3, set(range(generator.num_ws)) - fine)):
        for layer in editing.style_layers(generator):
            if layer.noise is not None and layer.index not in kept:
                strength = layer.noise.noise_strength
                strength.assign(tf.zeros_like(strength.value))
        wanted = editing.Space(generator).images(found.points[:, 0])
        lively(generator)
        assert np.abs(found.images[:, column].astype(int) - wanted).max() <= 1
    means = found.images.astype(float)
    assert all(np.abs(means[:, i] - means[:, j]).mean() > 0.05 for i in range(4) for j in range(i))


def test_noise_that_there_is_not(sg2, sg3):
    with pytest.raises(editing.EditingError, match="has no noise"):
        editing.noise_ablation(sg3, [0])
    with pytest.raises(editing.EditingError, match="out of"):
        editing.noise_ablation(sg2, [0], ["all", "some"])


# --- directions


def check_eigenvectors(found, matrix):
    vectors = found.vectors.astype("float64")
    np.testing.assert_allclose(vectors @ vectors.T, np.eye(len(vectors)), atol=1e-5)
    moved = matrix @ vectors.T
    scale = found.eigenvalues.max()
    np.testing.assert_allclose(np.square(moved).sum(0), found.eigenvalues, atol=1e-5 * scale)
    assert (np.diff(found.eigenvalues) <= 0).all()
    assert all(v[np.abs(v).argmax()] > 0 for v in vectors)


def test_sefa(styled):
    layers = editing.style_layers(styled)
    zero = np.zeros((1, styled.style_dim), "float32")
    eye = np.eye(styled.style_dim, dtype="float32")
    affine = [(x.affine(eye) - x.affine(zero)).numpy().T for x in layers]  # columns of each map
    found = editing.sefa(styled)
    assert found.space == "w" and len(found) == styled.style_dim
    check_eigenvectors(found, np.concatenate(affine))
    some = editing.sefa(styled, "1-2", count=3)
    assert some.layers == (1, 2) and some.vectors.shape == (3, styled.style_dim)
    check_eigenvectors(some, np.concatenate(affine[1:3]))


def test_sefa_of_the_official_code(sg2):
    layers = editing.style_layers(sg2)
    kernels = np.concatenate([x.affine.kernel.numpy() for x in layers], axis=1)
    kernels = kernels / np.linalg.norm(kernels, axis=0, keepdims=True)
    check_eigenvectors(editing.sefa(sg2, scaling="unit"), kernels.T)


@pytest.mark.parametrize("make", [
    lambda: DCGAN(16, 6, 4, channels=1).generator,
    lambda: WGANGPGenerator(16, 6, 4, channels=1),
    lambda: VanillaGANGenerator((4, 4, 1), 6, (8,)),
    lambda: CGAN(16, 6, num_classes=4, channels=1, networks="conv", width=4).generator,
    lambda: ProGANGenerator(8, 6, channel_base=32, channel_max=8),
    lambda: ProGANGenerator(8, 6, num_classes=2, channel_base=32, channel_max=8),
])
def test_sefa_in_z(make):
    generator = make()
    found = editing.sefa(generator)
    assert found.space == "z" and found.vectors.shape == (6, 6)
    kernel = next(w for w in generator.weights if w.path.endswith("kernel")).numpy()
    kernel = kernel.reshape(-1, 6) if kernel.ndim == 4 else kernel[:6].T
    check_eigenvectors(found, kernel)
    with pytest.raises(editing.EditingError, match="no layers with styles"):
        editing.sefa(generator, "coarse")


def test_sefa_moves_the_first_maps_most(dcgan):
    """On the first layer's output, each step is as long as its eigenvalue says."""
    first = next(x for x in dcgan.layers if x.weights)
    z = dcgan.latents(1)
    for direction, value in zip(*[(f := editing.sefa(dcgan)).vectors, f.eigenvalues]):
        a, b = (np.reshape(x, (1, 1, 1, -1)) for x in (z, z + direction))
        step = (first(b) - first(a)).numpy() if first.weights[0].shape.rank == 4 else None
        np.testing.assert_allclose(np.square(step).sum(), value, rtol=1e-3)


def test_sefa_that_is_none(sg2):
    for options in ({"count": 0}, {"count": 11}, {"scaling": "some"}, {"layers": "x"}):
        with pytest.raises(editing.EditingError, match="Received"):
            editing.sefa(sg2, **options)
    with pytest.raises(editing.EditingError, match="from 0 to 9"):
        editing.sefa(sg2)[10]
    generator = DCGAN(16, 6, 4, channels=1).generator
    generator.latent_dim = 5
    with pytest.raises(editing.EditingError, match="no linear map"):
        editing.sefa(generator)


@pytest.mark.parametrize("cut", ["svm", "logistic"])
@pytest.mark.parametrize("space", ["w", "z"])
def test_direction_of_labels(sg2, space, cut):
    truth = np.random.RandomState(0).randn(10 if space == "w" else 12)
    points = editing.Space(sg2, space).points(sg2.latents(1500, 4))
    flat = points[:, 0] if space == "w" else points
    scores = (flat - flat.mean(0)) @ truth / np.linalg.norm(truth) / flat.std()
    probabilities = 1 / (1 + np.exp(-5 * scores))
    both = np.stack([1 - probabilities, probabilities], axis=1)
    found = editing.find_direction(
        sg2, {"hat": both}["hat"], space=space, seed=4, keep=1.0, cut=cut
    )
    assert found.space == space and found.accuracy > 0.93
    np.testing.assert_allclose(np.linalg.norm(found.vector), 1, atol=1e-5)
    assert found.vector @ truth / np.linalg.norm(truth) > 0.97


def test_direction_of_a_classifier(sg2):
    def bright(images):
        assert images.dtype == np.uint8 and images.shape[1:] == (32, 32, 3)
        redness = images[..., 0].mean(axis=(1, 2)) - images[..., 1].mean(axis=(1, 2))
        return {"red": 1 / (1 + np.exp(-(redness - middle) / 10)), "other": np.zeros(len(images))}

    middle = 0.0
    sample = sg2.generate(100, seed=1).astype(float)
    middle = np.median(sample[..., 0].mean(axis=(1, 2)) - sample[..., 1].mean(axis=(1, 2)))
    found = editing.find_direction(sg2, bright, attribute="red", count=300, batch_size=32)
    assert found.accuracy > 0.8
    table = editing.edit(sg2, range(8), found, [-1.0, 1.0]).images.astype(float)
    redness = table[..., 0].mean(axis=(2, 3)) - table[..., 1].mean(axis=(2, 3))
    assert (redness[:, 1] > redness[:, 0]).mean() > 0.8
    with pytest.raises(editing.EditingError, match=r"\['other', 'red'\]"):
        editing.find_direction(sg2, bright, attribute="blue", count=10)
    with pytest.raises(editing.EditingError, match="five samples"):
        editing.find_direction(sg2, bright, attribute="other", count=10)


@pytest.mark.parametrize(
    "labels, options",
    [
        (np.full(50, 2.0), {}),
        (np.zeros((50, 3)), {}),
        (np.zeros(50), {"attribute": "hat"}),
        (np.zeros(50), {}),
        (np.arange(50) % 2, {"cut": "tree"}),
        (np.arange(50) % 2, {"keep": 0}),
        (np.arange(50) % 2, {"held_out": 1.0}),
    ],
)
def test_labels_that_are_none(dcgan, labels, options):
    with pytest.raises(editing.EditingError, match="Received"):
        editing.find_direction(dcgan, labels, **options)


def test_directions_need_scikit_learn(dcgan, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.svm", None)
    with pytest.raises(editing.EditingError, match=r"keras-ganzoo\[metrics\]"):
        editing.find_direction(dcgan, np.arange(50) % 2)


def test_mean_direction(sg2, dcgan):
    found = editing.mean_direction(sg2, [0, 1], [2])
    ws = editing.Space(sg2).points([0, 1, 2])[:, 0]
    np.testing.assert_allclose(found.vector, ws[:2].mean(0) - ws[2], atol=1e-6)
    moved = editing.edit(sg2, [2], editing.mean_direction(sg2, [0], [2]), [1.0])
    np.testing.assert_allclose(moved.points[0, 0, 0], ws[0], atol=1e-5)
    assert editing.mean_direction(dcgan, [0], [1]).space == "z"
    mixed = editing.style_mix(sg2, [0], [1]).points[0]
    with pytest.raises(editing.EditingError, match="layer to layer"):
        editing.mean_direction(sg2, mixed, [2])


def test_orthogonal():
    make = lambda *x: editing.Direction(np.array(x, "float32"), "w", accuracy=0.9)  # noqa: E731
    a, b, c = make(1, 1, 1), make(2, 0, 0), make(1, 1, 0)
    np.testing.assert_allclose(editing.orthogonal(a, b).vector, [0, 0.5**0.5, 0.5**0.5], atol=1e-6)
    np.testing.assert_allclose(editing.orthogonal(a, b, c).vector, [0, 0, 1], atol=1e-6)
    np.testing.assert_allclose(editing.orthogonal(a, b, b, c).vector, [0, 0, 1], atol=1e-6)
    assert editing.orthogonal(a, b).accuracy is None  # it was another cut's
    with pytest.raises(editing.EditingError, match="Nothing"):
        editing.orthogonal(c, b, make(0, 3, 0))
    with pytest.raises(editing.EditingError, match="one space"):
        editing.orthogonal(a, editing.Direction(np.ones(3, "float32"), "z"))


def test_edit(sg2):
    direction = editing.sefa(sg2)[1]
    found = editing.edit(sg2, [3, 4], direction, [-2, 0, 2], layers="middle")
    ws = editing.Space(sg2).points([3, 4])
    np.testing.assert_allclose(found.points[:, 1], ws, atol=1e-7)
    moved = found.points[:, 2] - ws
    np.testing.assert_allclose(moved[:, 3:6], np.tile(2 * direction.vector, (2, 3, 1)), atol=1e-6)
    assert not np.delete(moved, [3, 4, 5], axis=1).any()
    assert np.abs(found.images[:, 0].astype(float) - found.images[:, 2]).mean() > 0.5


def test_edit_in_z(dcgan):
    direction = editing.sefa(dcgan)[0]
    found = editing.edit(dcgan, [3], direction, [-2, 1])
    latents = dcgan.latents(1, 3) + direction.vector
    np.testing.assert_allclose(found.images[0, 1], dcgan.generate(latents=latents)[0], atol=1)
    with pytest.raises(editing.EditingError, match="all layers"):
        editing.edit(dcgan, [3], direction, [1.0], layers="fine")


def test_edits_that_are_none(sg2, dcgan):
    direction = editing.sefa(sg2)[0]
    for strengths in ([], [np.nan], 1.0):
        with pytest.raises(editing.EditingError, match="strengths"):
            editing.edit(sg2, [1], direction, strengths)
    with pytest.raises(editing.EditingError, match="has no w"):
        editing.edit(dcgan, [1], direction, [1.0])
    with pytest.raises(editing.EditingError, match=r"shape \(6,\)"):
        editing.edit(dcgan, [1], editing.Direction(direction.vector, "z"), [1.0])


def test_directions_are_files(tmp_path):
    wanted = editing.Direction(np.arange(3, dtype="float32"), "z", 0.75, "svm:hat")
    found = editing.load_direction(wanted.save(tmp_path / "new" / "hat.npz"))
    np.testing.assert_array_equal(found.vector, wanted.vector)
    assert (found.space, found.accuracy, found.origin) == ("z", 0.75, "svm:hat")
    assert editing.load_direction(editing.Direction(wanted.vector, "w").save(
        tmp_path / "b.npz")).accuracy is None


def test_files_that_hold_no_direction(tmp_path):
    good = editing.Direction(np.arange(3, dtype="float32"), "w").save(tmp_path / "good.npz")
    data = good.read_bytes()
    (tmp_path / "cut.npz").write_bytes(data[: len(data) // 2])
    (tmp_path / "text.npz").write_bytes(b"direction")
    (tmp_path / "empty.npz").write_bytes(b"")
    np.savez(tmp_path / "other.npz", x=1)
    np.savez(tmp_path / "objects.npz", vector=np.array([{}]), space="w", accuracy=1, origin="")
    np.savez(tmp_path / "shape.npz", vector=np.eye(2), space="w", accuracy=1, origin="")
    np.savez(tmp_path / "space.npz", vector=np.ones(2), space="x", accuracy=1, origin="")
    np.save(tmp_path / "one.npy", np.ones(2))
    for name in "cut text empty other objects shape space absent".split():
        with pytest.raises(editing.EditingError, match=name):
            editing.load_direction(tmp_path / f"{name}.npz")
    with pytest.raises(editing.EditingError, match="one.npy"):
        editing.load_direction(tmp_path / "one.npy")


# --- projection


def image_of(generator, seed):
    return editing.Space(generator).images(editing.Space(generator).points([seed]))[0]


def test_projection_finds_a_generated_image():
    tf.keras.utils.set_random_seed(5)
    generator = stylegan2(architecture="resnet")
    target = image_of(generator, 11)
    before = weights_of(generator)
    found = editing.project(
        generator, target, steps=250, samples=500, noise="const", perceptual="multi-scale"
    )
    for a, b in zip(weights_of(generator), before):
        np.testing.assert_array_equal(a, b)
    assert found.loss == "multi-scale" and found.losses.shape == (250,)
    assert found.distance < 0.01 * found.start_distance
    assert found.psnr > found.start_psnr + 15
    assert found.ws.shape == (1, 8, 10) and np.ptp(found.ws, axis=1).max() == 0
    np.testing.assert_array_equal(found.image, editing.Space(generator).images(found.ws)[0])
    assert not found.noise


def test_projection_into_w_plus_is_nearer():
    tf.keras.utils.set_random_seed(6)
    generator = StyleGANGenerator(8, structure="fixed", mapping={"num_layers": 2}, **WIDTHS)
    target = editing.style_mix(generator, [3], [4]).images[0, 0]
    options = dict(steps=60, samples=200, noise="none", perceptual="multi-scale")
    one, each = (
        editing.project(generator, target, space=space, **options) for space in ("w", "w+")
    )
    assert np.ptp(one.ws, axis=1).max() == 0 < np.ptp(each.ws, axis=1).max()
    assert each.distance < one.distance < one.start_distance
    assert each.space == "w+"


def test_projection_of_stylegan3(sg3):
    steps = []
    found = editing.project(
        sg3, image_of(sg3, 7), steps=12, samples=100, perceptual="multi-scale",
        progress=lambda step, distance: steps.append((step, distance)),
    )
    assert found.distance < found.start_distance and not found.noise
    assert [step for step, _ in steps] == list(range(12))
    np.testing.assert_array_equal([distance for _, distance in steps], found.losses)


def test_projection_with_noise(sg2, tmp_path):
    target = image_of(sg2, 7)
    before = weights_of(sg2)
    found = editing.project(sg2, target, steps=10, samples=100, seed=3)
    for a, b in zip(weights_of(sg2), before):
        np.testing.assert_array_equal(a, b)
    noisy = [x for x in editing.style_layers(sg2) if x.noise is not None]
    assert sorted(found.noise) == [x.index for x in noisy]
    for layer in noisy:
        noise = found.noise[layer.index]
        assert noise.shape == (layer.side, layer.side)
        np.testing.assert_allclose([noise.mean(), noise.std()], [0, 1], atol=1e-5)
    space = editing.Space(sg2)
    with_noise = space.images(found.ws, found.replaced(sg2))[0]
    np.testing.assert_allclose(with_noise.astype(int), found.image, atol=1)
    assert np.abs(space.images(found.ws)[0].astype(int) - found.image).max() > 1

    again = editing.project(sg2, target, steps=10, samples=100, seed=3)
    np.testing.assert_allclose(again.ws, found.ws, atol=1e-5)
    other = editing.project(sg2, target, steps=10, samples=100, seed=4)
    assert np.abs(other.ws - found.ws).max() > 1e-3

    paths = found.save(tmp_path / "new")
    assert [path.name for path in paths] == ["projected.png", "side_by_side.png", projection.FILE]
    beside = tf.io.decode_png(paths[1].read_bytes()).numpy()
    np.testing.assert_array_equal(beside, np.concatenate([target, found.start, found.image], 1))
    loaded = editing.load_projection(tmp_path / "new")
    for name, value in vars(found).items():
        np.testing.assert_equal(vars(loaded)[name], value)
    moved = editing.edit(sg2, loaded.ws, editing.sefa(sg2)[0], [0.0], noise_of=loaded)
    np.testing.assert_allclose(moved.images[0, 0].astype(int), found.image, atol=1)
    with pytest.raises(editing.EditingError, match="another one"):
        found.replaced(stylegan2(image_size=16))


def test_files_that_hold_no_projection(tmp_path):
    np.savez(tmp_path / "a.npz", ws=np.zeros((1, 8, 10)))
    with pytest.raises(editing.EditingError, match="lacks"):
        editing.load_projection(tmp_path / "a.npz")
    with pytest.raises(editing.EditingError, match="no file"):
        editing.load_projection(tmp_path)


class Distance:
    """In place of LPIPS: half the squared difference of the mean colours."""

    name = "colours"

    def forward(self, first, second):
        assert first.shape[-1] == 3
        return tf.reduce_mean(tf.square(tf.reduce_mean(first - second, [1, 2])), 1) / 2


def found_image(generator, found):
    """Before it is rounded and clipped, in [0, 255]."""
    with keras.StatelessScope(state_mapping=found.replaced(generator)):
        return (generator.synthesis(found.ws).numpy()[0].astype(float) + 1) * 127.5


def test_other_distances(sg2, monkeypatch, tmp_path):
    monkeypatch.setenv("GANZOO_HOME", str(tmp_path))
    target = image_of(sg2, 7)
    found = editing.project(sg2, target, steps=1, samples=10, perceptual=Distance())
    assert found.loss == "colours"
    image = found_image(sg2, found)
    wanted = np.square((image - target).mean((0, 1))).mean() / 2
    np.testing.assert_allclose(found.distance, wanted, rtol=1e-3)
    assert editing.project(sg2, target, steps=1, samples=10).loss == "multi-scale"
    with pytest.raises(ValueError, match="lpips-vgg"):
        monkeypatch.setenv("GANZOO_OFFLINE", "1")
        editing.project(sg2, target, steps=1, samples=10, perceptual="lpips")


def test_projection_in_gray_and_with_classes():
    generator = stylegan2(image_size=8, channels=1, num_classes=3)
    target = editing.Space(generator, labels=2).images(
        editing.Space(generator, labels=2).points([1])
    )[0]
    for labels in (None, 2):
        found = editing.project(
            generator, target, steps=2, samples=30, labels=labels, perceptual=Distance()
        )
        assert np.isfinite(found.losses).all()
    mean, deviation = projection.statistics(generator, 30, 0, 2)
    ws = generator.mapping(generator.latents(30, 0), np.full(30, 2)).numpy()[:, 0]
    np.testing.assert_allclose(mean, ws.mean(0), atol=1e-5)
    np.testing.assert_allclose(deviation**2, np.square(ws - mean).sum(1).mean(), rtol=1e-4)


def test_multi_scale():
    first = tf.constant(np.random.RandomState(0).randn(1, 8, 8, 2), "float32")
    second = tf.zeros_like(first)
    x = first.numpy()
    small = x.reshape(1, 4, 2, 4, 2, 2).mean(axis=(2, 4))
    wanted = (np.square(x).mean() + np.square(small).mean()) / 2
    np.testing.assert_allclose(projection.multi_scale(first, second), wanted, rtol=1e-5)
    assert projection.multi_scale(first, first) == 0


def test_noise_penalty():
    noise = np.random.RandomState(0).randn(16, 16).astype("float32")
    wanted = 0.0
    half = 2 * noise.reshape(8, 2, 8, 2).mean(axis=(1, 3))
    for maps in (noise, half):
        for axis in (0, 1):
            wanted += np.mean(maps * np.roll(maps, 1, axis)) ** 2
    np.testing.assert_allclose(projection.noise_penalty([noise]), wanted, rtol=1e-4)
    smooth = np.ones((16, 16), "float32")
    assert projection.noise_penalty([smooth]) > 2 > 4 * wanted


def test_schedule():
    rates = [float(projection.schedule(tf.constant(t), 0.1)) for t in (0.0, 0.025, 0.05, 0.5, 0.75)]
    np.testing.assert_allclose(rates, [0, 0.05, 0.1, 0.1, 0.1], atol=1e-6)
    np.testing.assert_allclose(projection.schedule(tf.constant(0.875), 0.1), 0.05, atol=1e-6)
    np.testing.assert_allclose(projection.schedule(tf.constant(1.0), 0.1), 0, atol=1e-6)


IMAGE = np.zeros((32, 32, 3), "uint8")


@pytest.mark.parametrize(
    "image, message",
    [
        (np.zeros((16, 16, 3), "uint8"), "resize it first"),
        (np.zeros((32, 32), "uint8"), "axes"),
        (np.zeros((1, 32, 32, 3), "uint8"), "axes"),
        (np.zeros((3, 32, 32), "uint8"), "channels come last"),
        (np.zeros((32, 32, 1), "uint8"), r"\(32, 32, 3\)"),
        (np.zeros((32, 32, 3)), r"to_uint8.*float64 in \[0, 0\]"),
        (np.zeros((32, 32, 3), "int32"), "uint8"),
    ],
)
def test_images_that_cannot_be_projected(sg2, image, message):
    with pytest.raises(editing.EditingError, match=message):
        editing.project(sg2, image)


@pytest.mark.parametrize(
    "options",
    [
        {"space": "z"},
        {"steps": 0},
        {"samples": 1},
        {"noise": "some"},
        {"perceptual": "ssim"},
        {"learning_rate": 0},
        {"labels": 1},
    ],
)
def test_options_of_projection(sg2, options):
    with pytest.raises(editing.EditingError, match="Received"):
        editing.project(sg2, IMAGE, **options)


def test_projection_needs_w(dcgan):
    with pytest.raises(editing.EditingError, match="needs a StyleGAN"):
        editing.project(dcgan, IMAGE)


def test_a_whole_model_is_no_generator():
    gan = ganzoo.load("dcgan-digiface-64")
    calls = [(editing.project, IMAGE), (editing.interpolate, [0, 1], 2), (editing.sefa,)]
    for use, *arguments in calls:
        with pytest.raises(editing.EditingError, match=r"model's `generator_ema`. .*: DCGAN"):
            use(gan, *arguments)


def test_projection_that_diverges(sg2):
    with pytest.raises(editing.EditingError, match="smaller learning_rate"):
        editing.project(sg2, IMAGE, steps=20, samples=10, learning_rate=1e38, noise="none")
