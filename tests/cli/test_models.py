"""list, info, download, verify, cache."""

import io
import json
import os
import pathlib
import sys

from command_line import FACES, HINGE, RING, names, process

import ganzoo
from ganzoo import hub


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


def test_unknown_model_names(fails):
    for words in (["info"], ["generate", "-n", 1]):
        line = fails(words[0], "dcgan-digiface-46", *words[1:])
        assert "no model named 'dcgan-digiface-46'. The nearest names are" in line and FACES in line
    assert "`ganzoo list` shows" in fails("list", "zzz*")
    assert "no file or folder 'netG.pth'" in fails("generate", "netG.pth")


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
