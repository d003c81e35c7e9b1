"""evaluate, neighbours, compare."""

import json

import pytest
import tensorflow as tf
from command_line import FACES, HINGE, RING

from ganzoo.metrics.names import FEATURES


def test_evaluate_prints_and_writes_records(run, tmp_path):
    out = tmp_path / "new" / "record.json"
    code, text, _ = run("evaluate", RING, "-n", 500, "--out", out)
    assert code == 0 and "modes " in text and "(higher is better)" in text
    assert text.splitlines()[-1] == str(out)
    measured = {r["metric"]: r for r in json.loads(out.read_text())["records"]}
    assert list(measured) == ["modes", "high-quality", "mode-kl"]
    assert measured["modes"]["command"] == f"ganzoo evaluate {RING} -n 500"
    assert measured["modes"]["model"] == RING and measured["modes"]["n_fake"] == 500


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


def test_the_help_names_every_network_of_features(run):
    words = run("evaluate", "--help")[1].split()
    assert set(FEATURES) <= {word.strip(",.") for word in words}


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
