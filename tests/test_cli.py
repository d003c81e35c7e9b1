"""The command line: what it prints and writes, and that no input of a user ends in a traceback."""

import hashlib
import io
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
import safetensors.numpy
import tensorflow as tf
from harness import assert_same_weights
from hub_server import TOKEN, HubServer

import ganzoo
from ganzoo import hub
from ganzoo.cli.options import one_line
from ganzoo.families.cgan import CGAN
from ganzoo.families.dcgan import DCGAN
from ganzoo.hub import publish

FACES, RING, HINGE = "dcgan-digiface-64", "gan-ring8-wasserstein", "gan-ring8-hinge"
FID = {"value": 4.4, "source": "the README"}
LIST_SECONDS = 0.5

RECIPE = """
from ganzoo.data import Dataset
from ganzoo.recipe import Recipe

def model():
    from ganzoo.families.vanilla_gan import VanillaGAN
    return VanillaGAN(
        (2,), 4, (8,), output="linear", discriminator="leaky_relu", discriminator_widths=(8,),
        dropout=(0.2, 0.3), initializer="glorot_uniform", critic_steps=2,
    )

def optimizers():
    import keras
    names = ("generator_optimizer", "discriminator_optimizer")
    return {name: keras.optimizers.Adam(1e-3) for name in names}

recipe = Recipe(
    paper="arXiv:1406.2661", dataset=Dataset(name="ring"), model=model, optimizers=optimizers,
    batch_size=4, images=48, epoch_images=24,
)
"""


@pytest.fixture
def fails(run):
    """(arguments) -> the one line of an error, after checking that it is one."""

    def call(*arguments):
        code, out, err = run(*arguments)
        assert code == 2 and "Traceback" not in err + out
        assert err.endswith("\n")
        line = err.splitlines()[-1]
        assert line.startswith(("ganzoo: ", "Error: ")), err
        return line

    return call


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "tiny.py"
    path.write_text(RECIPE)
    return path


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Folders of a small model without classes, and of one with three."""
    folder = tmp_path_factory.mktemp("models")
    publish.save(DCGAN(16, 6, 4), folder / "plain")
    publish.save(CGAN(8, 4, 4, num_classes=3, networks="conv"), folder / "classes")
    return folder


def command(root, *arguments):
    """The words that start the command line in a process of its own, and its environment."""
    variables = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
    variables |= {"PYTHONPATH": str(root), "CUDA_VISIBLE_DEVICES": ""}
    return [sys.executable, "-m", "ganzoo", *map(str, arguments)], variables


def process(root, *arguments):
    words, variables = command(root, *arguments)
    return subprocess.run(words, capture_output=True, text=True, env=variables, timeout=300)


def png(path):
    return tf.io.decode_png(path.read_bytes()).numpy()


# list, info, help


def test_list(run):
    code, out, err = run("list")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == ganzoo.list_models()
    planned = len(ganzoo.list_models(status="planned"))
    said = f"{planned} more are planned; --planned shows them, --all both\n" if planned else ""
    assert err == said
    (line,) = run("list", "*digiface*")[1].splitlines()
    assert line.split() == [FACES, "64", "px", "DigiFace-1M", "MIT", "available", "7.2", "MB"]
    assert run("list", "*digiface*")[2] == ""


@pytest.fixture
def rows(monkeypatch):
    """A manifest of three: one to be had, a planned one, one that is not for commercial use."""
    found = json.loads(json.dumps({n: hub.manifest()[n] for n in (FACES, RING, HINGE)}))
    planned = {"status": "planned", "why": "the family is not built yet", "aliases": ["rings"]}
    found[RING].update(planned, resolution=[256, 512], published={"fid": FID})
    found[RING]["files"][0].update(bytes=None, sha256=None, mirrors=[{"url": "https://a.example/r"}])
    found[HINGE].update(non_commercial=True, license="CC-BY-NC-4.0")
    monkeypatch.setattr("ganzoo.hub.rows._rows", lambda: found)
    return found


def names(out):
    return [line.split()[0] for line in out.splitlines()]


def test_list_filters(run, rows):
    assert names(run("list")[1]) == [FACES, HINGE]
    assert names(run("list", "--planned")[1]) == [RING]
    code, out, err = run("list", "--all")
    assert code == 0 and names(out) == sorted(rows) and not err
    assert names(run("list", "--commercial")[1]) == [FACES]
    assert names(run("list", "--non-commercial")[1]) == [HINGE]
    assert names(run("list", "--family", "dcgan")[1]) == [FACES]
    line = run("list", "rings", "--all")[1].splitlines()[0]
    assert line.split() == [RING, "256x512", "px", *line.split()[3:5], "planned", "?", "MB"]


def test_list_says_why_nothing_is_shown(fails, rows):
    assert "`family` must be one of ['dcgan', 'vanilla_gan']" in fails("list", "--family", "gan")
    assert "'rings'; 1 planned ones do, see --planned" in fails("list", "rings")
    assert "No model matches 'zzz'; `ganzoo list` shows all 2" in fails("list", "zzz")


def test_list_is_fast_and_loads_no_tensorflow(root):
    words, variables = command(root, "list")
    seconds = []
    for _ in range(5):
        begun = time.perf_counter()
        subprocess.run(words, check=True, capture_output=True, env=variables)
        seconds.append(time.perf_counter() - begun)
    assert min(seconds) < LIST_SECONDS, seconds
    code = (
        "import sys; from ganzoo import __main__ as m; m.main(['list']); "
        "assert not {'tensorflow', 'keras', 'numpy'} & set(sys.modules), 'heavy'"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, env=variables)


def test_info(run):
    code, out, err = run("info", FACES)
    assert code == 0 and not err
    shown = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert shown["license"] == "MIT" and shown["family"] == "dcgan"
    assert set(shown) == {"name", *hub.manifest()[FACES]} and shown["name"] == FACES
    assert shown["files"].startswith("7.2 MB, sha256 0906a603") and "in the package" in out
    assert "loss=NonSaturating(real_label=1.0" in shown["config"] and "{" not in out


def test_info_of_a_planned_model_by_its_alias(run, rows):
    code, out, _ = run("info", "rings")
    shown = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert code == 0 and shown["name"] == RING and shown["why"] == "the family is not built yet"
    assert shown["files"] == "? MB, sha256 not published, https://a.example/r"
    assert shown["published"] == "fid=4.4 (the README)"


def test_info_as_json(run):
    code, out, _ = run("info", "--json", FACES)
    assert code == 0 and json.loads(out) == hub.manifest()[FACES]


def test_recipes(run):
    code, out, _ = run("recipes")
    assert code == 0
    assert {"dcgan_fashion_mnist", "gaussians_ring8:wasserstein"} <= set(out.split())


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["train", "-h"]])
def test_help(run, words):
    code, out, _ = run(*words)
    assert code == 0 and out.startswith("Usage: ganzoo")


# generate


def test_generate(run, models, tmp_path):
    output = tmp_path / "deep" / "faces.png"
    code, out, err = run("generate", models / "plain", "-n", 5, "-o", output, "--seed", 3)
    assert code == 0 and out == f"{output}\n" and "5 images" in err
    from ganzoo import callbacks

    expected = callbacks.grid(ganzoo.load(models / "plain").generate(5, seed=3))
    np.testing.assert_array_equal(png(output), expected)
    run("generate", models / "plain", "-n", 5, "-o", output, "--seed", 3, "--batch-size", 2)
    assert np.abs(png(output).astype(int) - expected).max() <= 1
    run("generate", models / "plain", "-n", 5, "-o", output, "--seed", 4)
    assert np.any(png(output) != expected)


def test_generate_a_published_model(run, tmp_path):
    code, _, _ = run("generate", FACES, "-n", 4, "-o", tmp_path / "faces.png")
    picture = png(tmp_path / "faces.png")
    assert code == 0 and picture.shape == (128, 128, 3) and picture.std() > 20


def test_generate_seeds_truncated(run, tmp_path):
    name, output = "stylegan2-avatars-64-ada", tmp_path / "x.png"
    assert run("generate", name, "--seeds", "3,7-9", "--truncation", 0.5, "-o", output)[0] == 0
    generator = ganzoo.load_generator(name)
    latents = np.concatenate([generator.latents(1, seed) for seed in (3, 7, 8, 9)])
    images = generator.generate(latents=latents, truncation=0.5)
    np.testing.assert_array_equal(png(output)[:64, :64], images[0])
    np.testing.assert_array_equal(png(output)[64:, 64:], images[3])
    assert np.abs(images.astype(int) - generator.generate(latents=latents)).max() > 50


def test_generate_with_random_noise(run, tmp_path, monkeypatch):
    given = []
    monkeypatch.setattr(
        "ganzoo.families.stylegan2.StyleGAN2Generator.generate",
        lambda self, **options: given.append(options) or np.zeros([1, 4, 4, 3], "uint8"),
    )
    words = ["generate", "stylegan2-avatars-64-ada", "-n", 1, "-o", tmp_path / "x.png"]
    assert run(*words, "--noise", "random", "--seed", 5)[0] == 0
    assert (given[0]["noise"], given[0]["noise_seed"]) == ("random", 5)
    assert run(*words, "--noise", "none")[0] == 0
    assert given[1]["noise"] == "none" and "noise_seed" not in given[1]


def test_generate_refuses_options_that_do_not_fit(fails, models, tmp_path):
    words = ["generate", models / "plain", "-o", tmp_path / "x.png"]
    assert "truncation" in fails(*words, "--truncation", 0.5)
    assert "--seeds names 2 images. Received: --count 3" in fails(*words, "--seeds", "1,2", "-n", 3)
    assert "Seeds are such as 0,3,7-9. Received: '1;2'" in fails(*words, "--seeds", "1;2")
    assert not (tmp_path / "x.png").exists()


def test_generate_classes(run, models, tmp_path):
    gan = ganzoo.load(models / "classes")
    for words, labels in ([], [0, 1, 2, 0]), (["--label", 2], [2, 2, 2, 2]):
        code, _, _ = run("generate", models / "classes", "-n", 4, "-o", tmp_path / "x.png", *words)
        images = gan.generate(4, labels=np.array(labels), seed=0)
        assert code == 0
        np.testing.assert_array_equal(png(tmp_path / "x.png")[:8, :8], images[0])
        np.testing.assert_array_equal(png(tmp_path / "x.png")[8:, :8], images[2])


def test_generate_from_a_foreign_file(run, shared, tmp_path):
    file = shared / "parity/classics/01_dcgan64/netG_epoch_24.pth"
    code, _, _ = run("generate", file, "-n", 1, "-o", tmp_path / "x.png")
    assert code == 0 and png(tmp_path / "x.png").shape == (64, 64, 3)


# check, train


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


# Files: download, convert, push, verify, cache


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty cache."""
    monkeypatch.setenv("GANZOO_HOME", str(tmp_path / "ganzoo-home"))
    return tmp_path / "ganzoo-home"


@pytest.fixture
def server(home, monkeypatch, tmp_path):
    with HubServer() as server:
        server.use(monkeypatch, tmp_path, token=TOKEN)
        yield server


@pytest.fixture
def remote(rows, server, shared):
    """The faces' row as if they were not shipped: the original file on a web server."""
    data = (shared / "checkpoints/gan_face_generate/weights.tar").read_bytes()
    server.files["weights.tar"] = data
    file = {
        "mirrors": [{"url": f"{server.url}/files/weights.tar"}],
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "converter": "dcgan",
        "pick": "netG_state_dict",
    }
    rows[FACES].update(files=[file], config={}, generator=None)
    return rows[FACES]


def test_download_list_and_remove(run, fails, remote, server, monkeypatch):
    code, out, _ = run("download", FACES)
    (path,) = out.splitlines()
    assert code == 0 and os.path.getsize(path) == remote["files"][0]["bytes"]
    assert run("download", FACES, HINGE, "--accept-license")[0] == 0
    assert len(server.seen("/files/*")) == 1
    code, out, err = run("cache", "ls")
    assert code == 0 and out.split()[:4] == ["14.3", "MB", "download", FACES]
    assert "1 entries, 14.3 MB" in err
    assert run("cache", "ls", "other")[1] == ""
    assert "matches 'other'; `ganzoo cache ls` shows" in fails("cache", "rm", "other", "--yes")
    monkeypatch.setattr(sys, "stdin", io.StringIO("n\n"))
    code, out, err = run("cache", "rm", FACES)
    assert code == 130 and "Remove these 1?" in err and os.path.exists(path)
    code, _, err = run("cache", "rm", FACES, "--yes")
    assert code == 0 and "1 entries removed, 14.3 MB" in err and not os.path.exists(path)


def test_a_licence_is_accepted_on_the_command_line(run, fails, home, rows, tmp_path):
    output = tmp_path / "x.png"
    for words in (["generate", HINGE, "-o", output], ["download", HINGE]):
        assert "CC-BY-NC-4.0" in (line := fails(*words)) and "--accept-license" in line
    assert run("generate", HINGE, "-o", output, "--accept-license")[0] == 0
    assert run("download", HINGE)[0] == 0, "it is asked for once"
    assert "'gan-ring8-wasserstein' is listed but cannot" in fails("generate", RING)


def test_generate_from_the_hub_and_the_web(run, server, models, tmp_path):
    for path in (models / "classes").iterdir():
        server.add("org/name", path.name, path.read_bytes())
    words = ["-n", 4, "--label", 2, "--seed", 5]
    assert run("generate", models / "classes", *words, "-o", tmp_path / "a.png")[0] == 0
    assert run("generate", "hf://org/name", *words, "-o", tmp_path / "b.png")[0] == 0
    np.testing.assert_array_equal(png(tmp_path / "a.png"), png(tmp_path / "b.png"))
    gan = DCGAN(16, 6, 4)
    gan.compile()
    gan.save(tmp_path / "run.keras")
    server.files["run.keras"] = (tmp_path / "run.keras").read_bytes()
    url = f"{server.url}/files/run.keras"
    assert run("generate", url, "-n", 4, "-o", tmp_path / "c.png")[0] == 0


def test_convert(run, fails, shared, home, tmp_path):
    file, out = shared / "parity/classics/01_dcgan64/netG_epoch_24.pth", tmp_path / "out"
    code, said, _ = run("convert", file, out, "--family", "dcgan", "--license", "BSD-3-Clause")
    assert code == 0 and said == f"{out}\n"
    np.testing.assert_array_equal(
        ganzoo.load_generator(out).generate(2, seed=0), ganzoo.load(file).generate(2, seed=0)
    )
    assert "license: bsd-3-clause" in (out / "README.md").read_text()
    assert f"'{out}' exists already" in fails("convert", file, out)
    assert "lacks the key" in fails("convert", file, tmp_path / "x", "--pick", "netG_ema")
    assert "lsgan" in fails("convert", file, tmp_path / "x", "--family", "lsgna")
    assert not (tmp_path / "x").exists()


def test_push(run, fails, server, models, monkeypatch):
    code, out, _ = run("push", models / "plain", "org/plain", "--license", "MIT", "--private")
    assert code == 0 and out == "hf://org/plain\n" and "org/plain" in server.private
    assert b"license: mit" in server.repos["org/plain"]["README.md"]
    assert "Received: repo_id='plain'" in fails("push", models / "plain", "plain")
    monkeypatch.delenv("HF_TOKEN")
    assert "`hf auth login`" in fails("push", models / "plain", "org/other")


def test_verify(run, remote, rows, home, server):
    del rows[RING]
    code, out, err = run("verify", "--all-local")
    assert code == 0 and names(out) == ["ok"] and HINGE in out and "1 of 1 files are good" in err
    code, out, _ = run("verify", FACES)
    assert code == 1 and out.startswith(f"BAD {FACES}") and "GANZOO_OFFLINE" in out
    assert not server.requests, "nothing is fetched"
    (path,) = run("download", FACES)[1].split()
    assert run("generate", FACES, "-n", 1, "-o", home / "x.png")[0] == 0
    code, out, err = run("verify")
    assert code == 0 and "3 of 3 files are good" in err, out
    (kept,) = (home / "converted").glob("*/model.safetensors")
    for damaged in (path, kept):
        stat, data = os.stat(damaged), bytearray(pathlib.Path(damaged).read_bytes())
        data[-40] ^= 1
        pathlib.Path(damaged).write_bytes(data)
        os.utime(damaged, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        code, out, err = run("verify")
        bad = [line for line in out.splitlines() if line.startswith("BAD")]
        assert code == 1 and bad and all(str(damaged) in line for line in bad), out
        assert f"{len(names(out)) - len(bad)} of {len(names(out))} files are good" in err
        data[-40] ^= 1
        pathlib.Path(damaged).write_bytes(data)
    assert not (home / "accepted_licenses.json").exists(), "looking accepts nothing"


def test_the_first_load_of_a_process(root):
    """Nothing but the command has imported the classes that the configuration names."""
    done = process(root, "verify", HINGE)
    assert done.returncode == 0 and done.stdout.startswith(f"ok  {HINGE}"), done.stderr


def test_verify_what_came_from_the_hub(run, home, server, models, rows):
    del rows[FACES], rows[RING]
    for path in (models / "plain").iterdir():
        server.add("org/name", path.name, path.read_bytes())
    assert run("download", "hf://org/name")[0] == 0
    code, out, err = run("verify")
    assert code == 0 and names(out) == ["ok"] * 3 and out.count("org/name") == 2, out + err
    for blob in (home / "hf").glob("*/blobs/*"):
        blob.write_bytes(blob.read_bytes()[:-1] + b"!")
    code, out, _ = run("verify")
    assert code == 1 and names(out) == ["ok", "BAD", "BAD"] and out.count("damaged") == 2


# Input that cannot be meant: one line, exit code 2


def test_unknown_model_names(fails):
    for words in (["info"], ["generate", "-n", 1]):
        line = fails(words[0], "dcgan-digiface-46", *words[1:])
        assert "no model named 'dcgan-digiface-46'. The nearest names are" in line and FACES in line
    assert "`ganzoo list` shows" in fails("list", "zzz*")
    assert "no file or folder 'netG.pth'" in fails("generate", "netG.pth")


def test_unknown_commands_and_values(fails):
    assert "No such command 'lsit'" in fails("lsit")
    assert "Missing argument 'NAME'" in fails("info")
    for words in (["-n", "0"], ["-n", "x"], ["--seed", "-1"], ["--batch-size", "0"]):
        assert f"Invalid value for '{'-n' if words[0] == '-n' else words[0]}'" in fails(
            "generate", FACES, *words
        )


def test_a_corrupt_weights_file(fails, monkeypatch):
    row = hub.manifest()[FACES]
    file = {**row["files"][0], "sha256": "0" * 64}
    monkeypatch.setattr("ganzoo.hub.rows._rows", lambda: {FACES: {**row, "files": [file]}})
    line = fails("generate", FACES, "-n", 1)
    assert "is not the published file" in line and "sha256 0906a603" in line
    assert "Reinstall keras-ganzoo" in line


def test_a_truncated_weights_file(fails, models, tmp_path):
    for name in (hub.CONFIG, hub.WEIGHTS):
        (tmp_path / name).write_bytes((models / "plain" / name).read_bytes())
    (tmp_path / hub.WEIGHTS).write_bytes((tmp_path / hub.WEIGHTS).read_bytes()[:-7])
    line = fails("generate", tmp_path, "-n", 1)
    assert "model.safetensors' is corrupt: sha256" in line and "fetch the file again" in line


def test_a_foreign_file_that_is_none(fails, tmp_path):
    (tmp_path / "x.pth").write_text("<!DOCTYPE html>")
    assert "x.pth" in fails("generate", tmp_path / "x.pth")
    np.savez(tmp_path / "x.npz", a=np.zeros(3))
    line = fails("generate", tmp_path / "x.npz")
    assert "holds no network" in line and "'dcgan'" in line


def test_labels(fails, models):
    line = fails("generate", models / "classes", "--label", 3)
    assert "one of this model's 3 classes. Received: 3" in line
    line = fails("generate", models / "plain", "--label", 3)
    assert "has no classes; leave out --label. Received: --label 3" in line


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


def test_paths_that_cannot_be_written(fails, models, recipe, tmp_path):
    (tmp_path / "file").touch()
    for output in (tmp_path / "file" / "x.png", "/proc/x.png", "/proc/deep/x.png", tmp_path):
        line = fails("generate", models / "plain", "-n", 1, "-o", output)
        assert str(output) in line and ("another folder" in line or "name a file in it" in line)
    for folder in (tmp_path / "file", tmp_path / "file" / "run", "/proc/run"):
        line = fails("train", recipe, "--out", folder)
        assert f"'{folder}' cannot be written" in line and "give another with --out" in line


def test_the_output_is_tried_before_the_work(fails, models, tmp_path, monkeypatch):
    monkeypatch.setattr(ganzoo.Generator, "generate", None)  # calling it would be a TypeError
    (tmp_path / "file").touch()
    assert "cannot be written" in fails("generate", models / "plain", "-o", tmp_path / "file/x.png")


def test_the_error_is_the_last_line_of_a_process(root, models):
    done = process(root, "generate", models / "plain", "--label", "3")
    assert done.returncode == 2 and not done.stdout
    assert done.stderr.splitlines()[-1].startswith("ganzoo: ")
    assert "Traceback" not in done.stderr and "cpu_feature_guard" not in done.stderr


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("one", "one"),
        ("Faults:\n  a is 1\n  b is 2\n", "Faults: a is 1; b is 2"),
        ("a\n\n b", "a; b"),
        ("", ""),
    ],
)
def test_one_line(text, line):
    assert one_line(text) == line


# The demonstration


def test_demo(run, tmp_path):
    code, out, _ = run("demo", "--out", tmp_path, "--seconds", 1)
    assert code == 0
    names = ["faces.png", "before.png", "after.png"]
    assert out.splitlines()[-3:] == [str(tmp_path / name) for name in names]
    faces, before, after = (png(tmp_path / name) for name in names)
    assert faces.shape == (512, 512, 3) and before.shape == after.shape == (224, 224, 1)
    assert np.any(before != after)


def test_the_demonstrations_photographs():
    from ganzoo.cli import demonstration

    shoes = demonstration.footwear()
    assert shoes.dtype == np.uint8 and shoes.shape == (600, 28, 28, 1)
    assert shoes.min() == 0 and shoes.max() == 255


# evaluate, compare


def test_evaluate_prints_and_writes_records(run, tmp_path):
    out = tmp_path / "new" / "record.json"
    code, text, _ = run("evaluate", RING, "-n", 500, "--out", out)
    assert code == 0 and "modes " in text and "(higher is better)" in text
    assert text.splitlines()[-1] == str(out)
    found = {r["metric"]: r for r in json.loads(out.read_text())["records"]}
    assert list(found) == ["modes", "high-quality", "mode-kl"]
    assert found["modes"]["command"] == f"ganzoo evaluate {RING} -n 500"
    assert found["modes"]["model"] == RING and found["modes"]["n_fake"] == 500


def test_compare_ranks_records_and_refuses_unlike_ones(run, fails, tmp_path):
    for name, count in ((RING, 500), (HINGE, 500), (HINGE, 600)):
        run("evaluate", name, "-n", count, "-o", tmp_path / f"{name}-{count}.json")
    first, second, third = (
        tmp_path / f"{name}.json" for name in (f"{RING}-500", f"{HINGE}-500", f"{HINGE}-600")
    )
    code, text, _ = run("compare", first, second)
    assert code == 0 and text.count("█") and "mode-kl (lower is better)" in text
    assert "n_fake: 500" in fails("compare", first, third)
    assert run("compare", first, third, "--varying", "n_fake")[0] == 0
    assert "seeds" in fails("compare", first, "--varying", "seeds")


def test_compare_knows_shipped_models_and_draws(run, tmp_path):
    pytest.importorskip("matplotlib")
    names = ("wgangp-fashion-mnist", "cgan-fashion-mnist", "real-fashion-mnist")
    code, text, err = run("compare", *names, "--varying", "ema", "-o", tmp_path / "plot.png")
    assert code == 0, err
    lines = text.splitlines()
    assert lines[0].startswith("fid-fashion") and "real-fashion-mnist" in lines[1]
    assert tf.io.decode_png((tmp_path / "plot.png").read_bytes()).shape[1] > 300


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (["evaluate", RING, "--metrics", "fid"], "modes"),
        (["evaluate", FACES, "--metrics", "fid"], "--dataset"),
        (["evaluate", FACES, "--metrics", "fidd"], "fidd"),
        (["evaluate", FACES, "--metrics", "is", "--features", "vgg"], "inception-clean"),
        (["evaluate", "nothing"], "nothing"),
        (["compare", "nothing"], "ganzoo evaluate"),
    ],
)
def test_what_cannot_be_evaluated_is_one_line(fails, arguments, match):
    assert match in fails(*arguments)


def test_neighbours_finds_copies(run, fails, tmp_path):
    run("generate", FACES, "-n", 1, "-o", tmp_path / "faces" / "a.png", "--seed", 0)
    run("generate", FACES, "-n", 1, "-o", tmp_path / "faces" / "b.png", "--seed", 1)
    arguments = ("neighbours", FACES, "--dataset", tmp_path / "faces", "--space", "pixels")
    code, text, err = run(*arguments, "-n", 2, "--nearest", 2, "-o", tmp_path / "grid.png")
    assert code == 0, err
    assert text.splitlines()[0] == str(tmp_path / "grid.png")
    assert text.splitlines()[1].startswith("sample 0: 0 (0), 1 (")
    assert tf.io.decode_png((tmp_path / "grid.png").read_bytes()).shape == (128, 192, 3)
    assert "--dataset" in fails("neighbours", FACES)
    assert "2 samples" in fails(*arguments, "--nearest", 3, "-o", tmp_path / "x.png")
