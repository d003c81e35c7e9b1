"""Wheel, sdist and editable install carry manifest, recipes and weights, and work anywhere."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile

import pytest

pytestmark = pytest.mark.slow

PACKAGED_MODEL = "dcgan-digiface-64"  # small, and licensed for everybody


def run(*command, cwd):
    """Runs a command without the checkout on its path; returns its output, shows it on failure."""
    environment = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    environment.update(CUDA_VISIBLE_DEVICES="", PYTHONDONTWRITEBYTECODE="1")
    command = [str(part) for part in command]
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def pip_install(python, *what, cwd):
    pip = [sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check"]
    offline = ["--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
    run(*pip, "install", *offline, *what, cwd=cwd)


def new_environment(folder):
    """An empty environment that sees this one's packages *after* its own; returns its Python."""
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder.parent)
    python = folder / "bin" / "python"
    own = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder)
    # Paths in a .pth file are appended, and .pth files found there are not read: an editable
    # ganzoo of this environment stays invisible.
    ours = dict.fromkeys([sysconfig.get_path("purelib"), sysconfig.get_path("platlib")])
    pathlib.Path(own.strip(), "parent_packages.pth").write_text("\n".join(ours), encoding="utf-8")
    return python


@pytest.fixture(scope="module")
def files(root):
    """Paths of the files a fresh clone would have, relative to the root."""
    if not (root / ".git").exists():
        pytest.skip("Not a git checkout, so nothing says which files belong to the project.")
    listing = run(
        "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=root
    ).split("\0")
    return [name for name in listing if name and os.path.lexists(root / name)]


@pytest.fixture(scope="module")
def clone(root, files, tmp_path_factory):
    """A copy of the checkout without anything that git ignores; links stay links."""
    folder = tmp_path_factory.mktemp("clone")
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(root / name, folder / name, follow_symlinks=False)
    return folder


@pytest.fixture(scope="module")
def built(clone, tmp_path_factory):
    """Folder with the sdist and the wheel that was built from that sdist."""
    source = tmp_path_factory.mktemp("source") / "ganzoo"
    shutil.copytree(clone, source, symlinks=True)
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, ".", cwd=source)
    return out


@pytest.fixture(scope="module")
def wheel(built):
    (found,) = built.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def sdist(built):
    (found,) = built.glob("*.tar.gz")
    return found


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """Python of an environment that holds the wheel."""
    python = new_environment(tmp_path_factory.mktemp("wheel") / "env")
    pip_install(python, wheel, cwd=wheel.parent)
    return python


def shipped(files):
    """Checkout path -> path in the wheel, of each file a wheel must hold."""
    names = {name: name for name in files if name.startswith("ganzoo/")}
    names.update({name: f"ganzoo/{name}" for name in files if name.startswith("recipes/")})
    return names


def test_the_wheel_holds_every_file_of_the_package(root, files, wheel):
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
        assert held == set(shipped(files).values())
        for name, inside in shipped(files).items():
            assert archive.read(inside) == (root / name).read_bytes(), name


def test_the_sdist_holds_every_file_of_the_package(root, files, sdist):
    with tarfile.open(sdist) as archive:
        members = {m.name.partition("/")[2]: m for m in archive.getmembers() if not m.isdir()}
        for name in [*shipped(files), "setup.cfg", "pyproject.toml", "README.md", "LICENSE"]:
            assert name in members and members[name].isfile(), f"{name} is no regular file"
            if name != "setup.cfg":  # setuptools appends [egg_info]
                held = archive.extractfile(members[name]).read()
                assert held == (root / name).read_bytes(), name


def test_manifest_recipes_and_weights_are_shipped(files):
    names = set(shipped(files))
    assert {"ganzoo/weights_manifest.json", "recipes/__init__.py"} <= names
    assert [n for n in names if n.startswith("recipes/") and n != "recipes/__init__.py"]
    assert [n for n in names if n.startswith("ganzoo/weights/") and n.endswith(".safetensors")]


def test_every_packaged_row_has_its_file(root, files):
    rows = json.loads((root / "weights_manifest.json").read_text(encoding="utf-8"))
    packaged = {
        name: mirror["package"]
        for name, row in rows.items()
        for file in row["files"]
        for mirror in file["mirrors"]
        if "package" in mirror
    }
    assert PACKAGED_MODEL in packaged
    assert {f"ganzoo/weights/{file}" for file in packaged.values()} <= set(files)


def test_the_metadata_says_what_it_is(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [n for n in archive.namelist() if n.endswith(".dist-info/METADATA")]
        metadata = archive.read(name).decode()
    for line in ["Name: keras-ganzoo", "Version: 0.1.0.dev0", "License-File: LICENSE"]:
        assert f"\n{line}\n" in metadata
    assert "Apache-2.0" in metadata
    required = re.findall(r"^Requires-Dist: ([\w.-]+)(?!.*extra ==)", metadata, flags=re.MULTILINE)
    required = {name.replace("_", "-") for name in required}
    assert {"keras", "tensorflow", "numpy", "safetensors", "importlib-resources"} <= required
    assert not required & {"pytest", "torch", "dicebear-core"}


def test_the_installed_wheel_works(installed, tmp_path):
    code = f"""
import json, sys, ganzoo, ganzoo.recipes
assert "keras" not in sys.modules
images = ganzoo.load({PACKAGED_MODEL!r}).generate(1, seed=0)
print(json.dumps([ganzoo.__file__, ganzoo.recipes.__file__, images.shape, str(images.dtype),
                  int(images.min()), int(images.max())]))
"""
    shown = run(installed, "-c", code, cwd=tmp_path).strip().splitlines()[-1]
    package, recipes, shape, dtype, low, high = json.loads(shown)
    environment = installed.parent.parent
    assert environment in pathlib.Path(package).parents
    assert pathlib.Path(recipes) == pathlib.Path(package).parent / "recipes" / "__init__.py"
    assert (shape, dtype) == ([1, 64, 64, 3], "uint8")
    assert high - low > 50


def test_the_installed_command_lists_models(installed, tmp_path):
    assert PACKAGED_MODEL in run(installed.parent / "ganzoo", "list", cwd=tmp_path)


def test_every_installed_recipe_is_importable(installed, files, tmp_path):
    paths = [pathlib.PurePath(name) for name in files if name.startswith("recipes/")]
    names = [p.stem for p in paths if p.suffix == ".py" and not p.stem.startswith("_")]
    code = f"""
import importlib
for name in {names!r}:
    print(type(importlib.import_module("ganzoo.recipes." + name).recipe).__name__)
"""
    assert run(installed, "-c", code, cwd=tmp_path).split() == ["Recipe"] * len(names)
    assert names


def test_an_editable_install_finds_recipes_manifest_and_weights(clone, tmp_path):
    source = tmp_path / "source"
    shutil.copytree(clone, source, symlinks=True)
    python = new_environment(tmp_path / "env")
    pip_install(python, "--editable", source, cwd=tmp_path)
    code = """
import importlib.resources, ganzoo.recipes
package = importlib.resources.files("ganzoo")
assert package.joinpath("weights_manifest.json").is_file() and package.joinpath("weights").is_dir()
print(ganzoo.__file__, ganzoo.recipes.__file__, sep="\\n")
"""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    package, recipes = run(python, "-c", code, cwd=elsewhere).split()
    assert pathlib.Path(package) == source / "ganzoo" / "__init__.py"
    assert pathlib.Path(recipes) == source / "recipes" / "__init__.py"
