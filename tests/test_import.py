"""`import ganzoo` is instant, names come at first use, and mistakes are told in one line."""

import json
import os
import statistics
import subprocess
import sys

import pytest

import ganzoo

HEAVY = {"keras", "tensorflow", "numpy", "h5py", "click", "huggingface_hub", "safetensors"}
SECONDS = 0.2  # measured: 0.003; wide, since machines are shared


def python(root, code, **environment):
    """Runs `code` in a fresh interpreter that sees the checkout; returns what it printed."""
    variables = {**os.environ, "PYTHONPATH": str(root), "CUDA_VISIBLE_DEVICES": "", **environment}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, env=variables, check=True).stdout


def imported(root, code):
    """Names of the top-level packages loaded after `code`."""
    shown = python(root, f"{code}\nimport sys, json\nprint(json.dumps(sorted(sys.modules)))")
    return {name.partition(".")[0] for name in json.loads(shown)}


def test_import_is_fast(root, record_property):
    code = "import time\nt = time.perf_counter()\nimport ganzoo\nprint(time.perf_counter() - t)"
    seconds = statistics.median(float(python(root, code)) for _ in range(5))
    record_property("import_seconds", seconds)
    assert seconds < SECONDS


@pytest.mark.parametrize(
    "code", ["import ganzoo", "import ganzoo; dir(ganzoo)", "import ganzoo; ganzoo.__version__"]
)
def test_nothing_heavy_is_imported(root, code):
    loaded = imported(root, code)
    assert "ganzoo" in loaded
    assert not loaded & (HEAVY | {"tensorflow_datasets", "importlib_metadata"})


def test_importing_changes_no_other_environment_variable(root):
    code = (
        "import os\nbefore = dict(os.environ)\nimport ganzoo\n"
        "print(dict(os.environ) == {'TF_ENABLE_ONEDNN_OPTS': '1', **before})"
    )
    assert python(root, code).strip() == "True"


def test_dir_lists_every_public_name():
    names = set(dir(ganzoo))
    assert {"GAN", "LatentGAN", "Generator", "Phase", "EMA", "Recipe"} <= names
    assert {"load", "load_generator", "list_models", "manifest", "__version__"} <= names
    assert {
        "losses",
        "penalties",
        "data",
        "callbacks",
        "pictures",
        "recipe",
        "layers",
        "hub",
        "convert",
    } <= names
    assert "DCGAN" in names


@pytest.mark.parametrize("name", sorted(set(dir(ganzoo)) - {"__version__", "recipes"}))
def test_every_listed_name_exists(name):
    assert getattr(ganzoo, name).__name__.rpartition(".")[2] == name
    assert getattr(ganzoo, name) is getattr(ganzoo, name)


def test_a_family_is_found_by_its_name():
    assert ganzoo.DCGAN.__name__ == "DCGAN"
    assert ganzoo.DCGAN.__module__ == "ganzoo.families.dcgan"


@pytest.mark.parametrize(
    ("typo", "meant"), [("Dcgan", "DCGAN"), ("load_genrator", "load_generator"), ("Gan", "GAN")]
)
def test_a_typo_names_the_nearest(typo, meant):
    with pytest.raises(AttributeError, match=f"no attribute '{typo}'.*Did you mean '{meant}'"):
        getattr(ganzoo, typo)


def test_a_strange_name_points_at_dir():
    with pytest.raises(AttributeError, match=r"no attribute 'xyzzy'.*dir\(ganzoo\)"):
        ganzoo.xyzzy  # noqa: B018


def test_another_backend_is_refused_before_keras_is_imported(root):
    code = (
        "import sys, ganzoo\n"
        "try:\n    ganzoo.GAN\n"
        "except ImportError as error:\n    print(error)\n"
        "print('keras' in sys.modules)"
    )
    message, loaded = python(root, code, KERAS_BACKEND="jax").strip().splitlines()
    assert "KERAS_BACKEND=tensorflow" in message and "Received: KERAS_BACKEND='jax'" in message
    assert loaded == "False"


def test_without_a_backend_variable_the_names_are_there(root, monkeypatch):
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    assert python(root, "import ganzoo; print(ganzoo.losses.__name__)").strip() == "ganzoo.losses"
