"""Shared fixtures: where the parity data is, thread limits, and the options of the run."""

import copy
import gc
import os
import pathlib
import signal
import socket

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

# A run in a shell's background ignores Ctrl-C, and so would everything that it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)

import pytest  # noqa: E402

import ganzoo  # noqa: E402, F401

# isort: split
# After ganzoo, which turns its oneDNN on.
import tensorflow as tf  # noqa: E402

# Two CPUs for the replica tests; impossible once TensorFlow has started.
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)

ROOT = pathlib.Path(__file__).resolve().parent.parent


def pytest_addoption(parser):
    parser.addoption(
        "--write-golden",
        action="store_true",
        help="Write tests/golden/*.txt anew instead of comparing with them.",
    )


@pytest.fixture
def run(capsys):
    """The command line: (arguments) -> (exit code, stdout, stderr), in this process."""

    from ganzoo import __main__ as cli

    def call(*arguments):
        try:
            cli.main([str(a) for a in arguments])
            code = 0
        except SystemExit as end:
            code = end.code or 0
        return code, *capsys.readouterr()

    return call


@pytest.fixture(autouse=True, scope="module")
def models_are_freed():
    """Models are cycles of few objects and much memory: Python would keep those of many modules."""
    yield
    gc.collect()


@pytest.fixture(scope="session")
def root():
    """The checkout's top folder."""
    return ROOT


@pytest.fixture(scope="session")
def shared():
    """Goldens and real checkpoints; absent is a failure under CI and a skip elsewhere."""
    folder = pathlib.Path(os.environ.get("GANZOO_SHARED", ROOT.parent / "shared"))
    if not (folder / "parity").is_dir():
        message = f"No parity data in {folder}; GANZOO_SHARED names the folder with `parity/`."
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return folder


class Golden:
    """Weight addresses of one network in tests/golden/<name>.txt; `part`: one of a family's."""

    def __init__(self, name, write):
        self.name, self.write = name, write

    def part(self, name):
        """The file of one of several networks."""
        return Golden(f"{self.name}.{name}", self.write)

    def __call__(self, weights):
        file = ROOT / "tests" / "golden" / f"{self.name}.txt"
        lines = [f"{address} {list(map(int, w.shape))} {w.dtype}" for address, w in weights.items()]
        text = "".join(f"{line}\n" for line in sorted(lines))
        if self.write:
            file.parent.mkdir(exist_ok=True)
            file.write_text(text, encoding="utf-8")
        assert file.is_file(), f"{file.name} is missing; `pytest --write-golden` writes it."
        assert file.read_text(encoding="utf-8") == text, (
            f"Addresses or shapes differ from {file.name}: published weights are stored under "
            "them. If that is meant, `pytest --write-golden` writes it anew; say why in the commit."
        )


@pytest.fixture
def golden(request):
    """name -> `Golden`: compares addresses with tests/golden, or writes them (the option)."""
    return lambda name: Golden(name, request.config.getoption("--write-golden"))


@pytest.fixture(scope="session")
def fashion_dir(tmp_path_factory):
    """A data_dir with the genuine Fashion-MNIST, made from Debian's package without a network."""
    from harness import DEBIAN, no_network

    from ganzoo import data

    if not DEBIAN.is_dir():
        message = f"{DEBIAN} is absent; apt-get install dataset-fashion-mnist."
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    folder = tmp_path_factory.mktemp("tfds")
    with pytest.MonkeyPatch().context() as context:
        context.setattr(socket, "getaddrinfo", no_network)
        data.stream(data.Dataset(name="fashion_mnist", limit=1), 1, data_dir=folder)
    return folder


@pytest.fixture
def load(trees, monkeypatch):
    """(file, change of its tree) -> what `ganzoo.load` makes of that; the module's fixture `trees`
    has the trees by file.
    """
    from ganzoo.checkpoints import reader
    from ganzoo.convert import foreign

    def load(name, change=lambda tree: None):
        tree = copy.deepcopy(trees[name])
        tree = change(tree) or tree
        monkeypatch.setattr(reader, "load", lambda path: tree)
        return foreign.load([{"path": name}], where=name)

    return load
