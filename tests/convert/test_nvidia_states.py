"""State dicts of NVIDIA's generators: the official networks' goldens, without their options."""

import re

import numpy as np
import pytest
from layouts import pickled
from stylegan_parity import arrays, error

import ganzoo
from ganzoo import families
from ganzoo.checkpoints import reader
from ganzoo.convert import foreign, nvidia_states, table
from ganzoo.errors import WeightsError

CASES = ("sg2ada_32_cifar_snapshot", "sg2ada_64_cond", "sg2ada_64_uncond", "sg3repo_stylegan2_32",
         "sg3_t_64", "sg3_r_32")
CONV = "synthesis.b16.conv0"


def state_dict(case):
    return reader.flatten(reader.load(case / "network.pkl")["G_ema"])


def written(path, arrays):
    """As PyTorch-StudioGAN saves it."""
    return pickled(path, {"state_dict": arrays, "seed": 3, "run_name": "x", "step": 4, "ada_p": 0})


@pytest.mark.parametrize("name", CASES)
def test_styles_and_images_are_the_official_ones(shared, name, tmp_path):
    case = shared / "parity/stylegan" / name
    golden = arrays(case)
    gan = ganzoo.load(written(tmp_path / "x.pth", state_dict(case)))
    ours, theirs = gan.generator, ganzoo.load(case / "network.pkl").generator_ema
    z, labels, ws = golden["z"], golden["c"], golden["ws_rand"]
    assert error(ours.mapping(z, labels), golden["ws_psi1"]) < 1e-5
    cut = ours.mapping(z, labels, truncation=0.7, truncation_cutoff=3)
    assert error(cut, golden["ws_psi07_cut3"]) < 1e-5
    assert error(ours.synthesis(ws), golden["img_const_wsrand"]) < 1e-5
    assert error(ours.synthesis(ws, noise="none"), theirs.synthesis(ws, noise="none")) < 1e-6


@pytest.mark.parametrize("architecture", ["resnet", "orig"])
def test_arrays_tell_the_architecture(shared, architecture):
    arrays = state_dict(shared / "parity/stylegan/sg2ada_64_uncond")
    arrays = {k: v for k, v in arrays.items() if ".torgb." not in k or ".b64." in k}
    if architecture == "resnet":
        for side in (8, 16, 32, 64):
            kernel = arrays[f"synthesis.b{side}.conv0.weight"]
            arrays[f"synthesis.b{side}.skip.weight"] = kernel[:, :, :1, :1]
    (_, part, _), = nvidia_states.recognise_networks(arrays)
    assert part.config["architecture"] == architecture
    gan = families.construct("stylegan2", part.config)
    table.assign(gan.generator, arrays, part.table)


def test_a_network_without_noise(shared):
    arrays = state_dict(shared / "parity/stylegan/sg2ada_64_uncond")
    arrays = {k: v for k, v in arrays.items() if not re.search("noise", k)}
    (_, part, _), = nvidia_states.recognise_networks(arrays)
    assert part.config["noise"] == "none"
    table.assign(families.construct("stylegan2", part.config).generator, arrays, part.table)


@pytest.mark.parametrize(
    ("case", "change", "message"),
    [
        ("sg2ada_64_uncond", {"mapping.fc0.weight": None}, "lacks 'mapping.fc0.weight'"),
        ("sg2ada_64_uncond", {f"{CONV}.weight": None}, "synthesis/b16/conv0/kernel"),
        ("sg2ada_64_uncond", {"synthesis.b16.conv1.weight": None}, r"sides \[4, 8, 32, 64\]"),
        ("sg2ada_64_uncond", {"synthesis.b8.resample_filter": np.ones((4, 4), "float32")},
         "one and the same `resample_filter`"),
        ("sg2ada_64_uncond", {"mapping.fc99.scale": np.ones(3, "float32")}, "mapping.fc99.scale"),
        ("sg3_t_64", {"mapping.fc0.weight": None}, "lacks 'mapping.fc0.weight'"),
        ("sg3_t_64", {"synthesis.input.phases": None}, "synthesis/input/phases"),
        ("sg3_t_64", {"synthesis.noise": np.ones(3, "float32")}, "synthesis.noise"),
    ],
)
def test_extra_and_missing_arrays_are_named(shared, tmp_path, case, change, message):
    arrays = {**state_dict(shared / "parity/stylegan" / case), **change}
    arrays = {name: array for name, array in arrays.items() if array is not None}
    with pytest.raises(WeightsError, match=message):
        ganzoo.load(written(tmp_path / "x.pth", arrays))


def test_rows_name_the_network(shared, tmp_path):
    file = written(tmp_path / "x.pth", state_dict(shared / "parity/stylegan/sg3_t_64"))
    found = [{"path": file, "converter": "nvidia_states", "network": "generator_ema"}]
    _, held = foreign.load(found, where="x")
    assert held == {"generator_ema"}


def test_another_family_is_refused_though_the_discriminator_is_the_same(shared):
    with pytest.raises(WeightsError, match=r"family \['stylegan3'\]. .* family='stylegan2'"):
        ganzoo.load(shared / "parity/stylegan/sg3_t_64/network.pkl", family="stylegan2")


def test_other_layouts_are_left_alone(shared):
    tree = reader.load(shared / "parity/stylegan/sg3_t_64/network.pkl")["G_ema"]
    for other in (tree, {"mapping.w_avg": np.zeros(3)}, {CONV: np.zeros(1)}, []):
        assert nvidia_states.recognise_networks(other) == []
