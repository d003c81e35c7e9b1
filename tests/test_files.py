"""Files and folders that appear whole or not at all, and locks between processes."""

import errno
import json
import os
import subprocess
import sys
import threading
import time

import pytest

from ganzoo import errors, files

# --- files


def test_importing_it_is_light():
    heavy = ["filelock", "numpy", "keras", "requests"]
    code = f"import ganzoo.files, sys; print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).stdout == b"[]\n"


def test_a_fresh_file_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "a.txt"
    with files.fresh_file(path) as scratch:
        scratch.write_text("1")
        assert not path.exists() and scratch.parent == path.parent
    assert path.read_text() == "1"
    with pytest.raises(KeyboardInterrupt), files.fresh_file(path) as scratch:
        scratch.write_text("2")
        raise KeyboardInterrupt
    assert path.read_text() == "1" and list(tmp_path.iterdir()) == [path]
    with pytest.raises(FileNotFoundError), files.fresh_file(path):
        pass  # nothing was written
    assert path.read_text() == "1" and list(tmp_path.iterdir()) == [path]


def test_texts_bytes_and_json_replace_what_was_there(tmp_path):
    path = tmp_path / "a"
    files.write_text(str(path), "\u00e4\n")
    assert path.read_bytes() == b"\xc3\xa4\n"
    files.write_bytes(path, b"\xff")
    assert path.read_bytes() == b"\xff"
    files.write_json(path, {"b": [1]})
    assert path.read_text() == '{"b": [1]}\n' and files.read_json(path) == {"b": [1]}
    files.write_json(path, {"b": 1}, indent=2)
    assert path.read_text() == '{\n  "b": 1\n}\n'
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_json_leaves_the_file_as_it_was(tmp_path):
    files.write_json(tmp_path / "a", {})
    with pytest.raises(TypeError):
        files.write_json(tmp_path / "a", {"b": object()})
    assert files.read_json(tmp_path / "a") == {} and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("text", [None, "", "[1]", "{", json.dumps("text"), "\udcff"])
def test_what_is_no_object_is_read_as_an_empty_one(tmp_path, text):
    if text is not None:
        (tmp_path / "a").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert files.read_json(tmp_path / "a") == {}


def test_a_file_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    steps, fsync, replace = [], os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda number: (steps.append("fsync"), fsync(number)))
    monkeypatch.setattr(os, "replace", lambda a, b: (steps.append("replace"), replace(a, b)))
    files.write_text(tmp_path / "a", "1")
    assert steps == ["fsync", "replace"]


def test_scratch_files_of_killed_processes_are_swept(tmp_path):
    old, new, other = (tmp_path / f"{name}.partial" for name in ("a.0", "a.1", "b.0"))
    for path in (old, new, other):
        path.touch()
    os.utime(old, (1, 1)), os.utime(other, (1, 1))
    files.write_text(tmp_path / "a", "1")
    assert new.exists() and other.exists() and not old.exists()


def test_writing_names_the_cache_and_what_is_wrong_with_it(tmp_path):
    words = {errno.ENOSPC: "full", errno.EROFS: "read-only", errno.EIO: "cannot be written"}
    for number, word in words.items():
        with pytest.raises(errors.CacheError, match=word) as caught, files.writing(tmp_path):
            raise OSError(number, os.strerror(number))
        assert str(tmp_path) in str(caught.value) and "GANZOO_HOME" in str(caught.value)
    with pytest.raises(errors.OfflineError), files.writing(tmp_path):
        raise errors.OfflineError("passes, though it is an OSError too")


def test_the_first_line_of_an_error():
    assert files.first_line(ValueError("\na\nb")) == "a"
    assert files.first_line(ValueError()) == "ValueError"


# --- folders


def test_a_fresh_folder_appears_whole_or_not_at_all(monkeypatch, tmp_path):
    target = tmp_path / "converted" / "key"
    with files.fresh_folder(target) as scratch:
        (scratch / "a").write_text("1")
        assert not target.exists() and scratch.parent == target.parent
    assert (target / "a").read_text() == "1"
    with pytest.raises(RuntimeError), files.fresh_folder(target) as scratch:
        (scratch / "a").write_text("2")
        raise RuntimeError
    assert (target / "a").read_text() == "1"
    with files.fresh_folder(target) as scratch:
        (scratch / "b").write_text("3")
    assert [p.name for p in target.iterdir()] == ["b"]
    assert [p.name for p in target.parent.iterdir()] == ["key"]


@pytest.mark.parametrize("kind", ["python", "safetensors"])
def test_a_fresh_folder_on_a_full_disk(tmp_path, kind):
    import safetensors

    error = OSError(errno.ENOSPC, "No space left on device")
    if kind == "safetensors":
        error = safetensors.SafetensorError("I/O error: No space left on device (os error 28)")
    with pytest.raises(errors.CacheError, match="full"), files.fresh_folder(tmp_path / "k"):
        raise error
    assert not list(tmp_path.iterdir())


def test_what_a_killed_process_left_is_swept(tmp_path):
    old, new = tmp_path / ".k.aaaa.partial", tmp_path / ".k.bbbb.partial"
    old.mkdir(), new.mkdir()
    os.utime(old, (1, 1))
    with files.fresh_folder(tmp_path / "k"):
        assert new.exists() and not old.exists()


# --- locks


def test_a_lock_that_is_waited_for_is_told(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(files, "PATIENCE", 0.1)
    target, order = tmp_path / "x", []

    def second():
        with files.locked(target):
            order.append("second")

    thread = threading.Thread(target=second)
    with files.locked(target):
        thread.start()
        time.sleep(0.5)
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]
    assert f"busy with {target}" in capsys.readouterr().err
