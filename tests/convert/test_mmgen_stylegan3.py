"""MMGeneration's StyleGAN3 files: the official networks' goldens under that library's names."""

import numpy as np
import pytest
from layouts import pickled
from rosinality_networks import discriminator, logits_of, mmgen_discriminator
from stylegan_parity import arrays, error

import ganzoo
from ganzoo.checkpoints import reader
from ganzoo.convert import foreign, mmgen_stylegan3, nvidia_states
from ganzoo.errors import WeightsError
from ganzoo.hub import publish
from ganzoo.hub.loading import ForeignPlace
from ganzoo.layers.bands import layer_bands, layer_widths

CASES = ("sg3_t_64", "sg3_r_32")
X = np.random.RandomState(2).uniform(-1, 1, (3, 32, 32, 3)).astype("float32")
LAYER = "synthesis.L3_36_40"
PARTS = {"G": "generator", "G_ema": "generator_ema"}


@pytest.fixture(params=CASES)
def case(request, shared):
    return shared / "parity/stylegan" / request.param


def state_dict(case):
    """What MMGeneration makes of a case's official generators."""
    tree, found = reader.load(case / "network.pkl"), {}
    for key, network in PARTS.items():
        for name, array in reader.flatten(tree[key]).items():
            found[f"{network}.{'style_' * name.startswith('mapping.')}{name}"] = array
    return found


def written(path, arrays):
    return pickled(path, {"meta": {"iter": 1}, "state_dict": arrays})


@pytest.mark.parametrize("order", foreign.ORDERS)
def test_styles_and_images_are_the_official_ones(case, order, tmp_path):
    golden, step = arrays(case), 1 if order == "rgb" else -1
    gan = ganzoo.load(written(tmp_path / "x.pth", state_dict(case)), channel_order=order)
    ema, z = gan.generator_ema, golden["z"]
    assert error(ema.mapping(z), golden["ws_psi1"]) < 1e-5
    cut = ema.mapping(z, truncation=0.7, truncation_cutoff=3)
    assert error(cut, golden["ws_psi07_cut3"]) < 1e-5
    assert error(ema.synthesis(golden["ws_rand"])[..., ::step], golden["img_const_wsrand"]) < 1e-5
    ours = gan.generator.synthesis(gan.generator.mapping(z[:1]))
    assert error(ours[..., ::step], golden["img_G_const_psi1"]) < 1e-5
    assert gan.provenance["discriminator"] == "initial weights"


def test_the_order_of_the_channels_must_be_said(case, tmp_path):
    file = written(tmp_path / "x.pth", state_dict(case))
    with pytest.raises(WeightsError, match=r"x\.pth' does not tell .* RGB or BGR.*channel_order="):
        ganzoo.load(file)
    with pytest.raises(ValueError, match=r"must be \('rgb', 'bgr'\). .* channel_order='gbr'"):
        ganzoo.load(file, channel_order="gbr")
    with pytest.raises(ValueError, match=r"layout has one order. Received: channel_order='rgb'"):
        ganzoo.load(case / "network.pkl", channel_order="rgb")
    with pytest.raises(ValueError, match=r"`channel_order` is for foreign files"):
        ganzoo.load("dcgan-digiface-64", channel_order="rgb")


@pytest.mark.parametrize("order", foreign.ORDERS)
def test_its_discriminator_is_that_of_stylegan2(shared, order, tmp_path):
    networks = state_dict(shared / "parity/stylegan/sg3_r_32")
    networks |= {f"discriminator.{k}": v for k, v in mmgen_discriminator().items()}
    networks["discriminator.ada_aug.aug_pipeline.p"] = np.zeros((), "float32")
    networks["disc_auxiliary_losses.0.x"] = np.zeros((), "float32")
    gan = ganzoo.load(written(tmp_path / "x.pth", networks), channel_order=order)
    x = X.transpose(0, 3, 1, 2)[:, :: 1 if order == "rgb" else -1]
    assert error(gan.discriminator(X), logits_of(x, discriminator())) < 1e-5
    assert "initial" not in "".join(gan.provenance.values())


def test_rows_say_the_order(shared, tmp_path, monkeypatch):
    file = written(tmp_path / "x.pth", state_dict(shared / "parity/stylegan/sg3_r_32"))
    row = {"family": "stylegan3", "config": {}, "channel_order": "bgr"}
    place = ForeignPlace("a row", [{"path": file, "converter": "mmgen_stylegan3"}], row)
    monkeypatch.setattr("ganzoo.hub.loading.locate", lambda name, **options: place)
    found = ganzoo.load("x").generate(1)
    place = ForeignPlace("a row", place.files, {**row, "channel_order": "rgb"})
    np.testing.assert_array_equal(ganzoo.load("x").generate(1)[..., ::-1], found)


def test_converted_files_need_no_order(shared, tmp_path):
    file = written(tmp_path / "x.pth", state_dict(shared / "parity/stylegan/sg3_t_64"))
    folder = publish.convert(file, tmp_path / "mine", channel_order="bgr", license="Apache-2.0")
    expected = ganzoo.load(file, channel_order="bgr").generate(1)
    np.testing.assert_array_equal(ganzoo.load(folder).generate(1), expected)


@pytest.mark.parametrize("sizes", [(1024, 65536, 1024), (256, 16384, 512), (512, 32768, 512),
                                   (64, 512, 512), (128, 5000, 77)])
def test_maps_tell_base_and_maximum(sizes):
    size, base, most = sizes
    bands = layer_bands(size)
    wanted = layer_widths(bands, base, most, 3)
    found = nvidia_states.maps_of(bands, wanted, "")
    assert layer_widths(bands, found["channel_base"], found["channel_max"], 3) == wanted
    if base in (65536, 32768, 16384):
        assert found == {"channel_base": base, "channel_max": most}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({f"generator.{LAYER}.weight": None}, r"lacks the weights of layers \[3\]"),
        ({f"generator.{LAYER}.affine.weight": None}, "synthesis/layer3/affine/kernel"),
        ({"generator.style_mapping.fc1.weight": None}, "fc1"),
        ({"generator.synthesis.input.freqs": None}, "synthesis/input/frequencies"),
        ({"generator.synthesis.noise": np.zeros(3, "float32")}, "synthesis.noise"),
        ({"critic.x": np.zeros(3, "float32")}, r"1 other arrays, such as \['critic.x'\]"),
        ({"discriminator.x": np.zeros(3, "float32")}, "no StyleGAN2 discriminator"),
    ],
)
def test_extra_and_missing_arrays_are_named(shared, tmp_path, change, message):
    arrays = {**state_dict(shared / "parity/stylegan/sg3_r_32"), **change}
    arrays = {name: array for name, array in arrays.items() if array is not None}
    with pytest.raises(WeightsError, match=message):
        ganzoo.load(written(tmp_path / "x.pth", arrays), channel_order="rgb")


def test_other_sides_and_maps_are_refused(shared, tmp_path):
    arrays = state_dict(shared / "parity/stylegan/sg3_r_32")
    margins = {name.replace("_36_", "_32_"): array for name, array in arrays.items()}
    with pytest.raises(WeightsError, match="layers of other sides than a StyleGAN3 of 32 x 32"):
        ganzoo.load(written(tmp_path / "x.pth", margins), channel_order="rgb")
    with pytest.raises(WeightsError, match="maps that are not those of a StyleGAN3"):
        nvidia_states.maps_of(layer_bands(32), [8, 4, *[8] * 12, 3], "")


def test_other_layouts_are_left_alone():
    assert mmgen_stylegan3.recognise_networks({"generator.synthesis.x": np.zeros(1)}) == []
    assert mmgen_stylegan3.recognise_networks([]) == []
