"""StyleGAN2 of rosinality and MMGeneration against NumPy networks written from the paper."""

import numpy as np
import pytest
from layouts import pickled
from rosinality_networks import (
    STYLE,
    discriminator,
    generator,
    images_of,
    kernel,
    logits_of,
    mmgen_discriminator,
    mmgen_generator,
    styles_of,
)

import ganzoo
from ganzoo.convert import mmgen_stylegan2, rosinality
from ganzoo.errors import WeightsError
from ganzoo.families.stylegan2 import StyleGAN2

Z = np.random.RandomState(1).randn(3, STYLE).astype("float32")
X = np.random.RandomState(2).uniform(-1, 1, (3, 32, 32, 3)).astype("float32")
AVERAGE = np.linspace(-1, 1, STYLE).astype("float32")


def error(found, wanted):
    wanted = np.asarray(wanted)
    return np.abs(np.asarray(found) - wanted).max() / max(1, np.abs(wanted).max())


def rosinality_file(path, **more):
    tree = {"g": generator(), "d": discriminator(), "g_ema": generator(), "g_optim": {"state": {}}}
    return pickled(path / "sg2.pt", {**tree, "latent_avg": AVERAGE, "ada_aug_p": 0.1, **more})


def mmgen_file(path, **more):
    arrays = {f"generator.{k}": v for k, v in mmgen_generator().items()}
    arrays |= {f"generator_ema.{k}": v for k, v in mmgen_generator().items()}
    arrays |= {f"discriminator.{k}": v for k, v in mmgen_discriminator().items()}
    arrays["gen_auxiliary_losses.0.mean_path_lengths"] = np.zeros((), "float32")
    return pickled(path / "sg2.pth", {"meta": {"iter": 3}, "state_dict": {**arrays, **more}})


@pytest.mark.parametrize(("made", "order"), [(rosinality_file, 1), (mmgen_file, -1)])
def test_images_logits_and_styles_are_those_of_the_paper(tmp_path, made, order):
    gan = ganzoo.load(made(tmp_path))
    assert type(gan) is StyleGAN2
    w = styles_of(Z.astype("float64"), generator())
    images = images_of(w, generator()).transpose(0, 2, 3, 1)[..., ::order]
    logits = logits_of(X.transpose(0, 3, 1, 2)[:, ::order], discriminator())
    assert np.ptp(images) > 1 and np.ptp(logits) > 0.05
    for network in (gan.generator, gan.generator_ema):
        ws = network.mapping(Z)
        assert error(ws[:, 0], w) <= 1e-5
        assert error(network.synthesis(ws, noise="const"), images) <= 1e-5
    assert error(gan.discriminator(X), logits) <= 1e-5


def test_the_stored_average_is_where_truncation_leads(tmp_path):
    gan = ganzoo.load(rosinality_file(tmp_path))
    w = styles_of(Z.astype("float64"), generator())
    found = gan.generator_ema.mapping(Z, truncation=0.3)
    assert error(found[:, 4], AVERAGE + 0.3 * (w - AVERAGE)) <= 1e-5


def test_without_an_average_it_is_the_mean_of_latents(tmp_path):
    gan = ganzoo.load(mmgen_file(tmp_path))
    found = gan.generator_ema.mapping(Z, truncation=0.0)[0, 0]
    z = np.random.RandomState(7).randn(200_000, STYLE)
    assert error(found, styles_of(z, generator()).mean(0)) <= 0.06
    again = ganzoo.load(mmgen_file(tmp_path)).generator_ema.mapping(Z, truncation=0.0)[0, 0]
    np.testing.assert_array_equal(found, again)


def test_other_taps_are_read_from_the_filters(tmp_path):
    other = np.outer([1, 2, 2, 1], [1, 2, 2, 1]).astype("float32") / 36
    arrays = {k: 4 * other if k.endswith("kernel") else v for k, v in generator().items()}
    gan = ganzoo.load(pickled(tmp_path / "g.pt", {"g_ema": arrays}))
    np.testing.assert_allclose(gan.generator.config["taps"], np.array([1, 2, 2, 1]) / 6, rtol=1e-6)
    arrays["to_rgbs.0.upsample.kernel"] = kernel(4)
    with pytest.raises(WeightsError, match=r"one product of 4 taps.*to_rgbs\.0\.upsample"):
        ganzoo.load(pickled(tmp_path / "g.pt", {"g_ema": arrays}))


def test_a_lone_state_dict_is_a_generator(tmp_path):
    gan = ganzoo.load(pickled(tmp_path / "g.pt", generator()))
    assert gan.provenance["discriminator"] == "initial weights"


def test_extra_and_missing_arrays_are_named(tmp_path):
    arrays = generator() | {"to_rgbs.0.iwt.ll": kernel(1)}
    del arrays["noises.noise_3"]
    with pytest.raises(WeightsError, match=r"(?s)to_rgbs\.0\.iwt\.ll.*b16/conv0/noise"):
        ganzoo.load(pickled(tmp_path / "g.pt", {"g_ema": arrays}))
    del arrays["conv1.conv.weight"], arrays["to_rgb1.conv.weight"]
    with pytest.raises(WeightsError, match=r"lacks 'to_rgb1\.conv\.weight'"):
        ganzoo.load(pickled(tmp_path / "g.pt", {"g_ema": arrays}))
    with pytest.raises(WeightsError, match=r"nothing else.*\['ada_aug\.p'\]"):
        ganzoo.load(mmgen_file(tmp_path, **{"ada_aug.p": np.zeros(1, "float32")}))


def test_maps_of_no_stylegan2_are_refused(tmp_path):
    arrays = discriminator()
    arrays["convs.2.conv2.1.weight"] = np.zeros((5, 4, 3, 3), "float32")
    with pytest.raises(WeightsError, match=r"at most 6.*\{8: 5\}"):
        ganzoo.load(pickled(tmp_path / "d.pt", {"d": arrays}))


@pytest.mark.parametrize("change", [{}, {"style.0.weight": 0}, {"generator.conv1.conv.weight": 0}])
def test_other_layouts_are_left_alone(change):
    tree = {name: np.zeros((2, 2), "float32") for name in change}
    for known in (rosinality, mmgen_stylegan2):
        assert known.recognise_networks(tree) == []
        assert known.recognise_networks({"g_ema": tree, "state_dict": tree}) == []
    assert mmgen_stylegan2.recognise_networks(generator()) == []
    assert rosinality.recognise_networks(mmgen_generator()) == []
