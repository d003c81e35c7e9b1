"""The Hub, through the real huggingface_hub client."""

import os

import pytest
from fetch.served import DATA, POINTER, SHA256
from hub_server import TOKEN, Fault

from ganzoo import errors, fetch
from ganzoo.fetch import huggingface


@pytest.mark.parametrize("path", ["config.json", "model.safetensors", "deep/er/x.bin"])
@pytest.mark.parametrize("revision", [None, "main", "commit", "short"])
def test_hub_files(hub, path, revision):
    hub.add("o/r", path, DATA)
    commit = hub.commit_of("o/r")
    revision = {"commit": commit, "short": commit[:9]}.get(revision, revision)
    found = fetch.fetch_hf("o/r", path, revision, sha256=SHA256, size=len(DATA), name="m")
    assert found.read_bytes() == DATA and found.is_relative_to(fetch.home() / "hf")
    count = len(hub.requests)
    assert fetch.fetch_hf("o/r", path, revision, sha256=SHA256) == found
    assert len(hub.requests) == count


def test_a_pinned_commit_stays(hub):
    hub.add("o/r", "x.bin", DATA)
    commit = hub.commit_of("o/r")
    hub.add("o/r", "x.bin", DATA[::-1])
    assert fetch.fetch_hf("o/r", "x.bin", commit).read_bytes() == DATA
    assert fetch.fetch_hf("o/r", "x.bin").read_bytes() == DATA[::-1]


def test_the_hubs_address_may_be_mirrored(hub, monkeypatch):
    hub.add("o/r", "x.bin", DATA)
    monkeypatch.delenv("HF_ENDPOINT")
    monkeypatch.setenv("GANZOO_MIRROR", f"https://huggingface.co/={hub.url}/")
    assert fetch.fetch_hf("o/r", "x.bin", sha256=SHA256).read_bytes() == DATA


def test_private_and_gated_repositories(hub, monkeypatch):
    hub.add("o/r", "x.bin", DATA)
    hub.private.add("o/r")
    for call in (lambda: fetch.fetch_hf("o/r", "x.bin"), lambda: fetch.fetch_repo("o/r")):
        with pytest.raises(errors.AccessError, match="hf auth login"):
            call()
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert fetch.fetch_hf("o/r", "x.bin", sha256=SHA256).read_bytes() == DATA
    hub.gated.add("o/r")
    with pytest.raises(errors.AccessError, match="gated"):
        fetch.fetch_hf("o/r", "y.bin")
    storage = hub.seen("/lfs/*")
    assert storage and not any("Authorization" in request.headers for request in storage)


@pytest.mark.parametrize(
    "repo, path, revision",
    [("o/none", "x.bin", None), ("o/r", "none.bin", None), ("o/r", "x.bin", "0123456789")],
)
def test_what_is_not_on_the_hub(hub, monkeypatch, repo, path, revision):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    hub.add("o/r", "x.bin", DATA)
    with pytest.raises(errors.MissingFileError, match=f"hf://{repo}"):
        fetch.fetch_hf(repo, path, revision)


@pytest.mark.parametrize("repo", ["none", "a/b/c", "a b/c", "", "../x"])
def test_a_name_that_is_no_repository(hub, repo):
    with pytest.raises(errors.DownloadError):
        fetch.fetch_repo(repo)
    with pytest.raises(errors.DownloadError):
        fetch.fetch_hf(repo, "x.bin")


def test_a_busy_hub_is_asked_again(hub):
    hub.add("o/r", "x.bin", DATA)
    hub.faults["/lfs/*"] = [Fault(status=503), Fault(cut=1000)]
    hub.faults["/o/r/resolve/*"] = [Fault(status=429, headers={"Retry-After": "0"}, method="HEAD")]
    assert fetch.fetch_hf("o/r", "x.bin", sha256=SHA256).read_bytes() == DATA


@pytest.mark.parametrize("body, kind", [(POINTER, "WrongBodyError"), (DATA[::-1], "HashError")])
def test_a_wrong_hub_file_is_taken_out_of_the_cache(hub, body, kind):
    hub.add("o/r", "x.bin", body)
    with pytest.raises(getattr(errors, kind)):
        fetch.fetch_hf("o/r", "x.bin", sha256=SHA256)
    assert not [p for p in fetch.home().rglob("blobs/*") if p.stat().st_size]
    assert not list(fetch.home().rglob("x.bin")) and not list(fetch.home().rglob("record.json"))
    hub.add("o/r", "x.bin", DATA)
    assert fetch.fetch_hf("o/r", "x.bin", sha256=SHA256).read_bytes() == DATA


def test_a_hub_file_that_changed_after_the_first_download(hub):
    hub.add("o/r", "x.bin", DATA)
    path = fetch.fetch_hf("o/r", "x.bin")
    hub.add("o/r", "x.bin", DATA[::-1])
    assert fetch.fetch_hf("o/r", "x.bin").read_bytes() == DATA  # nobody was asked
    path.resolve().unlink()
    with pytest.raises(errors.HashError, match="`ganzoo cache rm o/r`"):
        fetch.fetch_hf("o/r", "x.bin")
    fetch.remove("o/r")
    assert fetch.fetch_hf("o/r", "x.bin").read_bytes() == DATA[::-1]


def test_a_damaged_hub_file_is_fetched_again(hub, capsys):
    hub.add("o/r", "x.bin", DATA)
    path = fetch.fetch_hf("o/r", "x.bin", hub.commit_of("o/r"))
    assert SHA256 in capsys.readouterr().err
    path.resolve().write_bytes(b"damage")
    path = fetch.fetch_hf("o/r", "x.bin", hub.commit_of("o/r"))
    assert path.read_bytes() == DATA and "fetched again" in capsys.readouterr().err


def test_what_a_killed_hub_client_left_is_swept(hub):
    hub.add("o/r", "x.bin", DATA)
    path = fetch.fetch_hf("o/r", "x.bin")
    old, new = (path.resolve().with_name(f"{name}.incomplete") for name in ("old", "new"))
    old.touch(), new.touch()
    os.utime(old, (1, 1))
    hub.add("o/r", "y.bin", DATA[::-1])
    fetch.fetch_hf("o/r", "y.bin")
    assert new.exists() and not old.exists() and path.read_bytes() == DATA


# --- repositories


def test_a_repository_as_a_folder(hub, capsys, monkeypatch):
    for name in ("config.json", "README.md", "model.safetensors", "samples.png", "run/x.bin"):
        hub.add("o/r", name, name.encode() * 9)
    folder = fetch.fetch_repo("o/r")
    assert {p.name for p in folder.rglob("*") if p.is_file()} == {
        *("config.json", "README.md", "model.safetensors")
    }
    assert (folder / "config.json").read_bytes() == b"config.json" * 9
    assert not capsys.readouterr().err
    hub.requests.clear()
    assert fetch.fetch_repo("o/r") == folder and len(hub.requests) == 1
    monkeypatch.setenv("GANZOO_OFFLINE", "1")
    assert fetch.fetch_repo("o/r") == folder and len(hub.requests) == 1


def test_a_repository_that_moves_on(hub, capsys, monkeypatch):
    hub.add("o/r", "pytorch_model.bin", DATA)
    first = fetch.fetch_repo("o/r")
    hub.add("o/r", "pytorch_model.bin", DATA[::-1])
    second = fetch.fetch_repo("o/r")
    assert (first / "pytorch_model.bin").read_bytes() == DATA
    assert (second / "pytorch_model.bin").read_bytes() == DATA[::-1]
    monkeypatch.setattr(huggingface, "TRIES", 1)
    hub.faults["/api/*"] = [Fault(status=500)]
    assert fetch.fetch_repo("o/r") == second
    assert "The copy in the cache is used" in capsys.readouterr().err


def test_a_branch_of_a_repository(hub):
    hub.add("o/r", "a.bin", DATA)
    hub.branches["o/r"] = {"dev": {"a.bin": DATA[::-1]}}
    assert (fetch.fetch_repo("o/r", "dev") / "a.bin").read_bytes() == DATA[::-1]


def test_a_repository_without_or_with_many_models(hub):
    hub.add("o/r", "README.md", b"#")
    hub.add("o/r", "run/x.bin", DATA)
    with pytest.raises(errors.MissingFileError, match="run/x.bin"):
        fetch.fetch_repo("o/r")
    for number in range(9):
        hub.add("o/r", f"{number}.pkl", b"\x80")
    with pytest.raises(errors.DownloadError, match="9 checkpoints.*`hf://o/r/0.pkl`"):
        fetch.fetch_repo("o/r")
