"""The layout of pytorch/examples under huggan's name, and layouts that only look like it."""

import numpy as np
import pytest
from layouts import fill, inputs, norm, pickled

import ganzoo
from ganzoo.checkpoints import reader
from ganzoo.convert import dcgan
from ganzoo.errors import WeightsError


def generator(prefix):
    maps = [(6, 16), (16, 8), (8, 4)]
    found = {f"{prefix}.{3 * i}.weight": (*pair, 4, 4) for i, pair in enumerate([*maps, (4, 3)])}
    for i, (_, width) in enumerate(maps):
        found |= norm(f"{prefix}.{3 * i + 1}", width)
    return found


def test_huggan_names_the_sequence_model(tmp_path):
    arrays = fill(generator("main"))
    renamed = {f"model{name.removeprefix('main')}": array for name, array in arrays.items()}
    z, _ = inputs(6, 32)
    images = []
    for name, tree in (("main.pth", arrays), ("model.bin", renamed)):
        gan = ganzoo.load(pickled(tmp_path / name, tree))
        assert gan.provenance["generator"] == str(tmp_path / name)
        images.append(gan.generator(z).numpy())
    np.testing.assert_array_equal(*images)
    assert images[0].shape == (3, 32, 32, 3) and images[0].std() > 0.1


@pytest.mark.parametrize("file", ["latest_net_D.pth", "latest_net_D_A.pth"])
def test_discriminators_of_patches_are_left_alone(shared, file):
    arrays = reader.flatten(reader.load(shared / "parity/classics/02_patchgan_basic" / file))
    assert "model.0.weight" in arrays and dcgan.recognise(arrays) is None


def test_a_file_of_something_else_is_not_loaded(shared):
    with pytest.raises(WeightsError, match="no network that one of the sources"):
        ganzoo.load(shared / "parity/classics/02_patchgan_basic/latest_net_D.pth")
