"""generate, convert, demo."""

import numpy as np
from command_line import FACES, png

import ganzoo
from ganzoo import hub
from ganzoo.families.dcgan import DCGAN


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


def test_labels(fails, models):
    line = fails("generate", models / "classes", "--label", 3)
    assert "one of this model's 3 classes. Received: 3" in line
    line = fails("generate", models / "plain", "--label", 3)
    assert "has no classes; leave out --label. Received: --label 3" in line


def test_generate_from_a_foreign_file(run, shared, tmp_path):
    file = shared / "parity/classics/01_dcgan64/netG_epoch_24.pth"
    code, _, _ = run("generate", file, "-n", 1, "-o", tmp_path / "x.png")
    assert code == 0 and png(tmp_path / "x.png").shape == (64, 64, 3)


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


def test_outputs_that_cannot_be_written(fails, models, tmp_path):
    (tmp_path / "file").touch()
    for output in (tmp_path / "file" / "x.png", "/proc/x.png", "/proc/deep/x.png", tmp_path):
        line = fails("generate", models / "plain", "-n", 1, "-o", output)
        assert str(output) in line and ("another folder" in line or "name a file in it" in line)


def test_the_output_is_tried_before_the_work(fails, models, tmp_path, monkeypatch):
    monkeypatch.setattr(ganzoo.Generator, "generate", None)  # calling it would be a TypeError
    (tmp_path / "file").touch()
    assert "cannot be written" in fails("generate", models / "plain", "-o", tmp_path / "file/x.png")


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
