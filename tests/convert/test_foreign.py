"""ganzoo.convert.foreign: which source knows a file, and what is said where none or several do.

What every source makes of its files is tested beside the source, and in tests/test_hub.py.
"""

import numpy as np
import pytest

from ganzoo.convert import foreign
from ganzoo.errors import WeightsError


def test_every_source_can_be_asked():
    sources = foreign.sources()
    assert {"dcgan", "stylegan2_torch", "wgangp"} <= set(sources)
    for module in sources.values():
        assert callable(vars(module).get("recognise") or vars(module)["recognise_networks"])


def test_what_nobody_knows_names_its_arrays(tmp_path):
    np.savez(tmp_path / "x.npz", **{"some/weight": np.zeros((2, 3), "float32")})
    with pytest.raises(WeightsError, match=r"holds no network that one of the sources.*1 arrays"):
        foreign.load([{"path": tmp_path / "x.npz"}], where="x.npz")


def test_a_key_that_is_not_there_names_those_that_are(tmp_path):
    np.savez(tmp_path / "x.npz", a=np.zeros(3, "float32"))
    with pytest.raises(WeightsError, match=r"lacks the key; it has \['a'\].*pick='b'"):
        foreign.load([{"path": tmp_path / "x.npz", "pick": "b"}], where="x.npz")


def test_an_unknown_family_is_named(tmp_path):
    with pytest.raises(ValueError, match="`family` must be one of.*family='dcgna'"):
        foreign.load([], family="dcgna", where="x")
