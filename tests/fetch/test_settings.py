"""What the environment says."""

import subprocess
import sys

import pytest
from fetch.served import DATA, SHA256, entry

from ganzoo import errors, fetch
from ganzoo.fetch import settings


def test_the_home_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("GANZOO_HOME", str(tmp_path / "g"))
    assert fetch.home() == tmp_path / "g"
    monkeypatch.delenv("GANZOO_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    assert fetch.home() == tmp_path / "x" / "ganzoo"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert fetch.home() == tmp_path / ".cache" / "ganzoo"
    assert fetch.converted("k") == fetch.home() / "converted" / "k"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["GANZOO_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline_is_a_word_of_consent(monkeypatch, name):
    monkeypatch.delenv("GANZOO_OFFLINE", raising=False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    for value, expected in {"1": True, "True": True, "on": True, "0": False, "": False}.items():
        monkeypatch.setenv(name, value)
        assert fetch.offline() is expected


@pytest.mark.parametrize("environment", ["0", "1"])
def test_what_the_call_says_goes_before_the_environment(monkeypatch, environment):
    monkeypatch.setenv("GANZOO_OFFLINE", environment)
    assert fetch.offline(True) is True and fetch.offline(False) is False
    assert fetch.offline(None) is (environment == "1")


def test_importing_it_is_light():
    heavy = ["requests", "huggingface_hub", "tqdm", "filelock", "numpy", "keras"]
    code = f"import ganzoo.fetch, sys; print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).stdout == b"[]\n"


def test_company_mirrors_rewrite_prefixes(hub, monkeypatch):
    real = "https://weights.example/nets/a.pth"
    rules = f"https://weights.example/={hub.url}/wrong/;https://weights.example/nets/={hub.url}/files"
    monkeypatch.setenv("GANZOO_MIRROR", rules)
    assert fetch.fetch_url(real, sha256=SHA256).read_bytes() == DATA
    assert fetch.entries()[0]["url"] == real
    monkeypatch.setenv("GANZOO_MIRROR", "")
    assert fetch.fetch_url(real, sha256=SHA256).read_bytes() == DATA
    assert [r.path for r in hub.seen()] == ["/files/a.pth"]


def test_a_prefix_ends_at_a_slash(monkeypatch):
    monkeypatch.setenv("GANZOO_MIRROR", "https://a.example=https://m.corp/a")
    assert settings.rewritten("https://a.example/x?y=z") == "https://m.corp/a/x?y=z"
    assert settings.rewritten("https://a.example.evil/x") == "https://a.example.evil/x"


@pytest.mark.parametrize("value", ["https://a.example/", "a=b", "https://a/=file:///x", "=", "x"])
def test_a_malformed_mirror_setting(hub, url, monkeypatch, value):
    monkeypatch.setenv("GANZOO_MIRROR", f"https://ok.example/=https://b/;{value}")
    with pytest.raises(errors.GanzooError, match="GANZOO_MIRROR is") as caught:
        fetch.fetch(entry({"url": url}, {"url": url}), "m")
    assert repr(value) in str(caught.value)
