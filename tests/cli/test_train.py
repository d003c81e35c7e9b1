"""train, check, recipes."""

import json
import os
import signal
import socket
import subprocess
import time

import pytest
import safetensors.numpy
from command_line import RECIPE, command, png, process
from harness import assert_same_weights


def test_recipes(run):
    code, out, _ = run("recipes")
    assert code == 0
    assert {"dcgan_fashion_mnist", "gaussians_ring8:wasserstein"} <= set(out.split())


def test_check(run, recipe):
    code, out, _ = run("check", recipe)
    assert code == 0 and out.startswith("ok: VanillaGAN, weights: generator 58, discriminator 33")


def test_train_resumes_and_refuses(run, fails, recipe, tmp_path):
    folder = tmp_path / "run"
    code, out, err = run("train", recipe, "--out", folder)
    assert code == 0 and out.endswith(f"{folder}/samples.png\n") and "Epoch 2/2" in out
    assert json.loads((folder / "result.json").read_text())["steps"] == 12
    assert run("generate", folder, "-n", 9, "-o", tmp_path / "points.png")[0] == 0
    assert png(tmp_path / "points.png").shape == (256, 256, 1)
    code, out, _ = run("train", recipe, "--out", folder)
    assert code == 0 and "Epoch" not in out
    line = fails("train", recipe, "--out", folder, "--seed", 5, "--images", 96)
    assert f"'{folder}' holds a run with other settings; choose another folder" in line
    assert "images: 48 there, 96 now; seed: 0 there, 5 now" in line
    code, out, _ = run("train", recipe, "--out", tmp_path / "other", "--seed", 5, "--images", 24)
    result = json.loads((tmp_path / "other/result.json").read_text())
    assert code == 0 and result["images_seen"] == 24


def test_train_names_its_folder_after_the_recipe(run, recipe, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recipe.write_text(RECIPE + "variants = {'other': recipe}\n")
    code, out, _ = run("train", f"{recipe}:other", "--images", 8)
    assert code == 0 and out.endswith("runs/tiny-other/samples.png\n")
    record = json.loads((tmp_path / "runs/tiny-other/recipe.json").read_text())
    assert record["recipe"] == "tiny-other"


def test_ctrl_c_stops_and_the_same_command_goes_on(root, tmp_path, recipe):
    """A process gets SIGINT in the middle of an epoch; going on ends as an unbroken run does."""
    long = "images=4800, epoch_images=1600"
    recipe.write_text(RECIPE.replace("images=48, epoch_images=24", long))
    words, variables = command(root, "train", recipe, "--out", tmp_path / "stopped")
    stopped = subprocess.Popen(
        words, env=variables, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    first = tmp_path / "stopped" / "backup" / "latest.weights.h5"
    deadline = time.monotonic() + 120
    while not first.exists() and stopped.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    stopped.send_signal(signal.SIGINT)
    _, err = stopped.communicate(timeout=120)
    assert stopped.returncode == 130, err
    assert err.splitlines()[-1].startswith("Stopped; the same command goes on"), err
    assert "Traceback" not in err and not (tmp_path / "stopped/result.json").exists()
    again = process(root, "train", recipe, "--out", tmp_path / "stopped")
    assert again.returncode == 0, again.stderr
    whole = process(root, "train", recipe, "--out", tmp_path / "whole")
    assert whole.returncode == 0, whole.stderr
    folders = tmp_path / "stopped", tmp_path / "whole"
    results = [json.loads((folder / "result.json").read_text()) for folder in folders]
    assert [(r["steps"], r["images_seen"]) for r in results] == [(1200, 4800)] * 2
    a, b = (safetensors.numpy.load_file(folder / "model.safetensors") for folder in folders)
    assert list(a) == list(b)
    assert_same_weights(list(a.values()), list(b.values()))


def test_a_misspelt_field(fails, recipe):
    recipe.write_text(RECIPE.replace("batch_size=4", "batchsize=4"))
    for name in ("check", "train"):
        assert "no field 'batchsize'; did you mean 'batch_size'?" in fails(name, recipe)


def test_a_recipe_that_fails(fails, recipe):
    recipe.write_text(RECIPE + "x = y\n")
    end = len(recipe.read_text().splitlines())
    assert f"tiny.py', line {end}, fails: NameError: name 'y' is not" in fails("check", recipe)


def test_a_faulty_data_set_is_one_line(fails, recipe):
    recipe.write_text(RECIPE.replace('name="ring"', 'name="mnist", size=-1, flip=3'))
    line = fails("check", recipe)
    assert "Received: size=-1; " in line and "Received: flip=3" in line


@pytest.mark.parametrize("name", ["check", "train"])
def test_unknown_recipes(fails, name):
    line = fails(name, "dcgan_fashion_mnits")
    assert "no recipe 'dcgan_fashion_mnits'; nearest ['dcgan_fashion_mnist'" in line
    assert "Received: variant='hing'" in fails(name, "gaussians_ring8:hing")


def test_an_absent_data_set(fails, recipe, tmp_path, monkeypatch):
    def no_network(*args, **kwargs):
        raise socket.gaierror("no address")

    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    for key in [k for k in os.environ if k.lower().endswith("_proxy")]:
        monkeypatch.delenv(key)
    recipe.write_text(
        RECIPE.replace('name="ring"', 'name="kmnist"').replace("(2,)", "(28, 28, 1)")
    )
    line = fails("train", recipe, "--out", tmp_path / "run", "--data-dir", tmp_path / "data")
    assert "'kmnist' is not prepared in" in line and "cannot be fetched" in line
    assert "tfds.builder('kmnist', " in line and "download_and_prepare()" in line


def test_an_absent_folder_of_images(fails, recipe, tmp_path):
    recipe.write_text(
        RECIPE.replace('name="ring"', 'folder="no/such"').replace("(2,)", "(8, 8, 1)")
    )
    line = fails("train", recipe, "--out", tmp_path / "run")
    assert "no such folder" in line and "Received: folder='no/such'" in line


def test_folders_that_cannot_be_written(fails, recipe, tmp_path):
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "run", "/proc/run"):
        line = fails("train", recipe, "--out", folder)
        assert f"'{folder}' cannot be written" in line and "give another with --out" in line
