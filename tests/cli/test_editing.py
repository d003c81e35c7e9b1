"""mix, interpolate, project, edit, direction, sweep."""

import numpy as np
import pytest
import tensorflow as tf

import ganzoo
from ganzoo import callbacks, editing
from ganzoo.cli.editing import values
from ganzoo.cli.options import seeds
from ganzoo.families.stylegan2 import StyleGAN2

WIDTHS = dict(latent_dim=12, style_dim=10, channel_base=128, channel_max=12)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The folder of a StyleGAN2."""
    gan = StyleGAN2(
        32, mapping={"num_layers": 2}, **WIDTHS, discriminator={"channel_base": 64}, ema=None
    )
    folder = tmp_path_factory.mktemp("models") / "stylegan2"
    gan.save_pretrained(folder)
    return folder


def picture(path):
    return tf.io.decode_image(path.read_bytes(), expand_animations=False).numpy()


def test_mix_command(run, model, tmp_path):
    out = tmp_path / "new" / "mix.png"
    words = ["--rows", "0,1", "--columns", "5-6", "--layers", "coarse", "--truncation", 0.7]
    code, shown, _ = run("mix", model, *words, "--out", out)
    assert code == 0 and shown.strip() == str(out)
    wanted = editing.style_mix(ganzoo.load_generator(model), [0, 1], [5, 6], truncation=0.7)
    np.testing.assert_array_equal(picture(out), wanted.picture())
    each = ["--layers", "coarse", "--layers", "fine", "--scale", 2]
    assert run("mix", model, *words[:4], *each, "-o", out)[0] == 0
    assert picture(out).shape == (2 * (96 + 4), 2 * (96 + 4), 3)


def test_interpolate_command(run, model, tmp_path):
    words = ["--seeds", "0,1", "--steps", 3, "--space", "z", "--columns", 4]
    assert run("interpolate", model, *words, "-o", tmp_path / "a.png")[0] == 0
    wanted = editing.interpolate(ganzoo.load_generator(model), [0, 1], 3, space="z")
    np.testing.assert_array_equal(picture(tmp_path / "a.png"), callbacks.grid(wanted.images, 4))
    image = pytest.importorskip("PIL.Image")
    words = ["--seeds", "0-2", "--steps", 2, "--path", "loop", "--scale", 2]
    assert run("interpolate", model, *words, "-o", tmp_path / "a.gif")[0] == 0
    with image.open(tmp_path / "a.gif") as film:
        assert film.n_frames == 6 and film.size == (64, 64)
    shipped = ["interpolate", "dcgan-fashion-mnist", "--seeds", "0,1", "--steps", 2]
    assert run(*shipped, "-o", tmp_path / "b.png")[0] == 0
    assert picture(tmp_path / "b.png").shape[:2] == (56, 56)


def test_project_and_edit_commands(run, model, tmp_path):
    generator = ganzoo.load_generator(model)
    callbacks.write_grid(tmp_path / "photo.png", generator.generate(1, seed=3))
    words = ["--space", "w+", "--steps", 3, "--perceptual", "multi-scale"]
    code, shown, _ = run("project", model, tmp_path / "photo.png", *words, "--out", tmp_path / "p")
    lines = shown.splitlines()
    assert code == 0 and lines[0].startswith("multi-scale ") and lines[0].endswith(" dB")
    assert [line.rpartition("/")[2] for line in lines[1:]][2] == "projection.npz"
    words = ["--projected", tmp_path / "p", "--direction", "sefa:1", "--layers", "0-3"]
    code, _, _ = run("edit", model, *words, "--strength", "-1:1:3", "-o", tmp_path / "e.png")
    assert code == 0
    projection = editing.load_projection(tmp_path / "p")
    wanted = editing.edit(
        generator, projection.ws, editing.sefa(generator, "0-3")[1], [-1, 0, 1], layers="0-3",
        noise_of=projection,
    )
    np.testing.assert_array_equal(picture(tmp_path / "e.png"), wanted.picture())
    code, _, _ = run(
        "edit", model, "--seed", "3,4", "--direction", "mean:0-2/5", "--strength", "1",
        "-o", tmp_path / "m.png",
    )
    assert code == 0 and picture(tmp_path / "m.png").shape == (64, 32, 3)


def test_direction_command(run, tmp_path):
    out = tmp_path / "shirt.npz"
    words = ["--classifier", "fashion", "--attribute", "1", "-n", 600]
    code, shown, _ = run("direction", "wgangp-fashion-mnist", *words, "--out", out)
    assert code == 0 and shown.startswith(str(out)) and "%" in shown
    direction = editing.load_direction(out)
    assert direction.space == "z" and direction.accuracy > 0.7
    words = ["--seed", "0-2", "--direction", out, "--strength", "-4:4:5"]
    assert run("edit", "wgangp-fashion-mnist", *words, "-o", tmp_path / "e.png")[0] == 0
    assert picture(tmp_path / "e.png").shape[:2] == (3 * 28, 5 * 28)


def test_sweep_command(run, model, tmp_path):
    words = ["--seeds", "0,1", "--psi", "-1,0.5,1"]
    assert run("sweep", model, *words, "-o", tmp_path / "t.png")[0] == 0
    assert picture(tmp_path / "t.png").shape == (64, 96, 3)
    assert run("sweep", model, "--over", "noise", "--seeds", 3, "-o", tmp_path / "n.png")[0] == 0
    assert picture(tmp_path / "n.png").shape == (32, 128, 3)


@pytest.mark.parametrize(
    "words, message",
    [
        (["mix", "--layers", "rough"], "coarse"),
        (["mix", "--rows", "a"], "0,3,7-9"),
        (["mix", "--rows", "0-"], "0,3,7-9"),
        (["mix", "--label", 1], "no classes"),
        (["interpolate", "--seeds", "0"], "two sources"),
        (["interpolate", "-o", "a.avi"], ".mp4"),
        (["project", "absent.png"], "cannot be read"),
        (["project", __file__], "no image"),
        (["edit"], "--seed or --projected"),
        (["edit", "--seed", 1, "--direction", "sefa:x"], "sefa:NUMBER"),
        (["edit", "--seed", 1, "--direction", "sefa:99"], "from 0 to 9"),
        (["edit", "--seed", 1, "--direction", "absent.npz"], "no file"),
        (["edit", "--seed", 1, "--strength", "1:2"], "first:last:count"),
        (["direction", "--classifier", "x", "--attribute", "y"], "fashion"),
        (["direction", "--classifier", "fashion", "--attribute", "y"], "classes"),
        (["sweep", "--psi", "low"], "-1,0,2.5"),
    ],
)
def test_wrong_words_of_commands(run, model, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    code, shown, err = run(words[0], model, *words[1:])
    assert code == 2 and "Traceback" not in shown + err
    assert message in err.splitlines()[-1]


def test_seeds_and_values():
    assert seeds("0,3, 7-9") == [0, 3, 7, 8, 9]
    assert values("-3:3:7") == [-3, -2, -1, 0, 1, 2, 3]
    assert values("-1,2.5") == [-1, 2.5]
    for text in ("", "1,,2", "9-7", "x"):
        with pytest.raises(editing.EditingError):
            seeds(text)
