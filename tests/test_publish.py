"""ganzoo.publish and ganzoo.cards: what is published is what was trained, to the last bit, and
says where it came from.
"""

import json
import os
import re
import time

import huggingface_hub
import numpy as np
import pytest
from hub_server import TOKEN, Fault, HubServer

import ganzoo
from ganzoo import errors, hub, recipe, resources
from ganzoo.ema import EMA
from ganzoo.families.cgan import CGAN
from ganzoo.families.dcgan import DCGAN
from ganzoo.families.vanilla_gan import VanillaGAN
from ganzoo.hub import cards, publish
from ganzoo.latent_gan import LatentGAN

FACES = "dcgan-digiface-64"
RING = "gan-ring8-hinge"
FILES = {"config.json", "model.safetensors", "README.md", "samples.png"}
DRAWN = "images = model.generate(16, seed=0)"
MEASURED = {"fid": {"value": 12.5, "command": "python fid.py model"}}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GANZOO_HOME", str(tmp_path / "ganzoo-home"))


@pytest.fixture
def server(monkeypatch, tmp_path):
    with HubServer() as server:
        server.use(monkeypatch, tmp_path, token=TOKEN)
        yield server


def small(seed=3, width=4):
    """A DCGAN with all weights from `seed`, the average's other than the generator's."""
    gan, random = DCGAN(16, 6, width, ema=EMA(half_life_images=100)), np.random.RandomState(seed)
    for network in gan.networks().values():
        shapes = [weight.shape for weight in network.get_weights()]
        drawn = [random.uniform(0.1, 0.3, shape) - 0.2 * (len(shape) > 1) for shape in shapes]
        network.set_weights(drawn)
    return gan


def points():
    return VanillaGAN((2,), 4, (8,), output="linear", discriminator_widths=(8,))


def metadata(text) -> huggingface_hub.ModelCardData:
    """What the Hub's own client reads, which writes it again in the same way."""
    data = huggingface_hub.ModelCard(text).data
    assert text.startswith(f"---\n{data.to_yaml()}\n---\n")
    for identifier in data.datasets or ():
        huggingface_hub.utils.validate_repo_id(identifier)
        assert identifier.count("/") == 1
    for result in data.eval_results or ():
        assert type(result.metric_value) in (int, float)
    return data


def check_measured(text, row):
    """Numbers to four digits, each command once; in the metadata the numbers as they are."""
    for metric, entry in row["measured"].items():
        (shown,) = re.findall(rf"^\| {re.escape(metric)} \| (\S+) \|$", text, re.MULTILINE)
        assert float(shown) == float(f"{entry['value']:.4g}"), metric
        assert len(shown.partition("e")[0].replace(".", "").lstrip("-0")) <= 4, shown
        assert text.count(f"`{entry['command']}`") == 1
        assert text.count(entry["command"]) == 1, "nor in the metadata"
    results = metadata(text).eval_results or ()
    values = {metric: entry["value"] for metric, entry in row["measured"].items()}
    assert {result.metric_type: result.metric_value for result in results} == values


def assert_same_model(a, b):
    np.testing.assert_array_equal(a.generate(5, seed=1), b.generate(5, seed=1))
    assert list(a.networks()) == list(b.networks())
    for name, network in a.networks().items():
        for x, y in zip(network.get_weights(), b.networks()[name].get_weights(), strict=True):
            np.testing.assert_array_equal(x, y)


# A folder


@pytest.mark.parametrize(
    "make",
    [small, points, lambda: CGAN(8, 4, 4, num_classes=3, networks="conv")],
    ids=["average", "points", "classes"],
)
def test_a_saved_model_is_the_same_to_the_last_bit(make, tmp_path):
    gan = make()
    folder = gan.save_pretrained(tmp_path / "new" / "model")
    assert {path.name for path in folder.iterdir()} == FILES
    loaded = ganzoo.load(folder)
    assert set(loaded.provenance.values()) == {str(folder)}
    assert_same_model(gan, loaded)
    generator = ganzoo.load_generator(folder)
    np.testing.assert_array_equal(generator.generate(5, seed=1), gan.generate(5, seed=1))


def test_the_samples_are_the_models(tmp_path):
    import tensorflow as tf

    gan = small()
    picture = tf.io.decode_png((gan.save_pretrained(tmp_path / "m") / "samples.png").read_bytes())
    assert picture.shape == (160, 160, 3)
    np.testing.assert_array_equal(picture[:16, :32], np.hstack(gan.generate(100, seed=0)[:2]))


def test_half_precision_is_half_the_size(tmp_path):
    gan = small()
    sizes = []
    for dtype in ("float32", "float16"):
        folder = gan.save_pretrained(tmp_path / dtype, dtype=dtype)
        assert f"({dtype})" in (folder / "README.md").read_text()
        sizes.append((folder / hub.WEIGHTS).stat().st_size)
    assert sizes[1] < 0.7 * sizes[0]


@pytest.mark.parametrize("name", ["notes.txt", "config.json", "model.safetensors"])
def test_a_folder_of_something_else_is_refused(name, tmp_path):
    (tmp_path / name).write_text("{}")
    with pytest.raises(ValueError, match=f"holds something else.*new or an empty folder.*'{name}'"):
        small().save_pretrained(tmp_path)
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == [name]
    assert (tmp_path / name).read_text() == "{}"


def test_a_file_in_the_way_is_named(tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "model"):
        with pytest.raises((ValueError, OSError), match="file.*(something else|cannot be written)"):
            small().save_pretrained(path)


def test_a_full_disk_is_said(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    folder = small().save_pretrained(tmp_path / "m")
    before = (folder / hub.WEIGHTS).read_bytes()
    monkeypatch.setattr("safetensors.numpy.save_file", full)
    with pytest.raises(OSError, match=r"m' cannot be written \(No space.*make room") as caught:
        small(seed=4).save_pretrained(folder)
    assert caught.value.errno == 28
    assert {path.name for path in folder.iterdir()} == FILES
    assert (folder / hub.WEIGHTS).read_bytes() == before


def test_a_model_is_replaced_and_other_files_stay(tmp_path):
    folder = small(seed=3).save_pretrained(tmp_path / "m", text="The first.")
    (folder / "notes.txt").write_text("mine")
    gan = small(seed=4, width=6)
    gan.save_pretrained(folder)
    assert_same_model(gan, ganzoo.load(folder))
    assert "The first." not in (folder / "README.md").read_text()
    assert {path.name for path in folder.iterdir()} == FILES | {"notes.txt"}


class Killed(BaseException):
    """Nothing catches it, as nothing catches a kill."""


def test_a_kill_leaves_the_old_model_or_the_new_one(tmp_path, monkeypatch):
    old, new = small(seed=3), small(seed=4)
    images = [gan.generate(2, seed=1) for gan in (old, new)]
    replace, seen = os.replace, []
    for moment in range(20):
        folder = old.save_pretrained(tmp_path / f"m{moment}")
        calls = iter(range(100))

        def killed(a, b, moment=moment, calls=calls):
            if next(calls) == moment:
                raise Killed
            replace(a, b)

        monkeypatch.setattr(os, "replace", killed)
        try:
            new.save_pretrained(folder)
        except Killed:
            ended = False
        else:
            ended = True
        monkeypatch.setattr(os, "replace", replace)
        found = ganzoo.load(folder).generate(2, seed=1)
        seen.append([np.array_equal(found, image) for image in images].index(True))
        if ended:
            break
    assert ended and 0 in seen and seen == sorted(seen), "first the old one, then the new one"
    new.save_pretrained(tmp_path / "m0")
    np.testing.assert_array_equal(ganzoo.load(tmp_path / "m0").generate(2, seed=1), images[1])


def test_a_first_save_that_was_killed_can_be_repeated(tmp_path, monkeypatch):
    replace, gan = os.replace, small()
    for moment in range(2):  # without config.json, and without the weights
        calls = iter(range(100))

        def killed(a, b, moment=moment, calls=calls):
            if next(calls) == moment:
                raise Killed
            replace(a, b)

        monkeypatch.setattr(os, "replace", killed)
        with pytest.raises(Killed):
            gan.save_pretrained(tmp_path / str(moment))
        monkeypatch.setattr(os, "replace", replace)
        assert_same_model(gan, ganzoo.load(gan.save_pretrained(tmp_path / str(moment))))


def test_what_a_kill_left_is_swept_up_later(tmp_path):
    fresh, stale = tmp_path / ".ganzoo-a", tmp_path / ".ganzoo-b"
    for left in (fresh, stale):
        left.mkdir()
        (left / "model.safetensors").write_bytes(b"half")
    os.utime(stale, (time.time() - 7200,) * 2)
    small().save_pretrained(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == FILES | {".ganzoo-a"}


def test_a_class_that_load_cannot_find_is_refused(tmp_path):
    class Mine(LatentGAN):
        """Not in `ganzoo.families`."""

    parts = small()
    gan = Mine(parts.generator, parts.discriminator, loss="hinge")
    with pytest.raises(ValueError, match=r"ganzoo.families.*gan.save\('model.keras'\).*Mine"):
        gan.save_pretrained(tmp_path / "m")
    assert not (tmp_path / "m").exists()


# The card


def test_the_card_of_a_model_of_ones_own(tmp_path):
    folder = small().save_pretrained(
        tmp_path / "m",
        license="CC-BY-4.0",
        dataset="My photos: 2024",
        text="It draws *shoes*.",
        measured=MEASURED,
    )
    text = (folder / "README.md").read_text()
    data = metadata(text)
    assert (data.library_name, data.license) == ("ganzoo", "cc-by-4.0")
    assert data.pipeline_tag == "unconditional-image-generation"
    assert data.datasets is None, "the Hub knows no such data set"
    assert data.tags == ["gan", "keras", "dcgan"] and data.model_name == "m"
    (result,) = data.eval_results
    assert (result.metric_type, result.metric_value) == ("fid", 12.5)
    assert (result.dataset_name, result.dataset_type) == ("My photos: 2024", "my-photos-2024")
    assert result.task_type == data.pipeline_tag
    check_measured(text, {"measured": MEASURED})
    sha256 = json.loads((folder / "config.json").read_text())["sha256"]
    for part in (
        "# m\n\nIt draws *shoes*.\n",
        '```python\nimport ganzoo\nmodel = ganzoo.load("m")\n',
        "\nimages = model.generate(16, seed=0)\n```\n",
        "| data set | My photos: 2024 |",
        "| paper | arXiv:1511.06434 |",
        f"| sha256 | `{sha256}` |",
        "| origin | initial weights, not trained |",
        "| measured here | value |\n|---|---:|\n| fid | 12.5 |\n\n",
        "\n\nMeasured with `python fid.py model`.\n",
        "| networks in the file | discriminator, generator, generator_ema (float32) |",
    ):
        assert part in text, part


def test_a_card_states_nothing_that_is_not_known(tmp_path):
    text = (points().save_pretrained(tmp_path / "m") / "README.md").read_text()
    data = metadata(text)
    assert data.license is None and data.datasets is None and data.eval_results is None
    assert data.pipeline_tag == "other"
    assert "| licence | not stated |" in text and "| data set | not stated |" in text
    assert "No metric was measured yet." in text and "None" not in text


@pytest.mark.parametrize(
    "file, name, task, line",
    [
        ("two_way", "TwoWay", "image-to-image", "translated = model.translate(images)"),
        ("encoder", "Encoding", "unconditional-image-generation", DRAWN),
        ("captioned", "Captioned", "text-to-image", DRAWN),
        ("vocoder", "Speaking", "text-to-audio", "sound = model.generator.generate(mel)"),
    ],
)
def test_the_card_of_a_family_of_ones_own(file, name, task, line, root, tmp_path):
    gan = recipe.read(root / "tests" / "own" / f"{file}.py").model()
    folder = gan.save_pretrained(tmp_path / "m", license="MIT", measured=MEASURED)
    text = (folder / "README.md").read_text("utf-8")
    data = metadata(text)
    assert data.pipeline_tag == gan.task == task and gan.example == line
    assert data.tags == ["gan", "keras", name] and data.license == "mit"
    (result,) = data.eval_results
    assert result.task_type == task
    code = text.partition("```python\n")[2].partition("\n```\n")[0].splitlines()
    assert (code[0], code[2:]) == ("import ganzoo", ['model = ganzoo.load("m")', line])
    assert code[1].startswith("# First import the module") and name in code[1]
    assert gan.purpose in text and f"| family | `own>{name}` |" in text
    check_measured(text, {"measured": MEASURED})


def test_training_is_recorded(tmp_path):
    gan = small()
    gan.compile()
    gan.fit(np.random.RandomState(0).randint(0, 256, (8, 16, 16, 3), "uint8"), batch_size=4)
    text = (gan.save_pretrained(tmp_path / "m") / "README.md").read_text()
    assert "| origin | trained with ganzoo for 2 steps on 8 real images |" in text


def test_published_weights_keep_their_licence(tmp_path):
    gan = ganzoo.load(RING)
    text = (gan.save_pretrained(tmp_path / "a") / "README.md").read_text()
    assert "license: apache-2.0" in text and "| data set | gaussians-ring8 |" in text
    assert f"| origin | weights of {RING} |" in text
    gan.step.assign(7)
    text = (gan.save_pretrained(tmp_path / "b", dataset="Shoes") / "README.md").read_text()
    assert f"weights of {RING}; trained with ganzoo for 7 steps" in text
    assert "license: apache-2.0" in text and "| data set | Shoes |" in text
    text = (gan.save_pretrained(tmp_path / "c") / "README.md").read_text()
    assert "| data set | not stated |" in text


def test_what_was_never_trained_is_said_and_the_licence_goes_along(tmp_path):
    folder = ganzoo.load(FACES).save_pretrained(tmp_path / "a")
    text = (folder / "README.md").read_text()
    assert "| networks in the file | discriminator (initial weights), generator (float32)" in text
    licence = (resources.WEIGHTS / hub.manifest()[FACES]["license_file"]).read_bytes()
    assert (folder / "LICENSE").read_bytes() == licence


def test_everybody_who_may_read_the_folder_may_read_the_weights(tmp_path):
    folder = small().save_pretrained(tmp_path / "m")
    modes = {path.stat().st_mode for path in folder.iterdir()}
    (tmp_path / "other").touch()
    assert modes == {(tmp_path / "other").stat().st_mode}


def test_no_path_of_this_machine_is_published(tmp_path):
    folder = ganzoo.load(small().save_pretrained(tmp_path / "a")).save_pretrained(tmp_path / "b")
    for file in ("README.md", "config.json"):
        assert str(tmp_path) not in (folder / file).read_text()
    assert "| origin | weights of a |" in (folder / "README.md").read_text()


NAN = float("nan")


@pytest.mark.parametrize(
    "entry",
    [
        *(12.5, {"value": 12.5}, {"value": "12.5", "command": "x"}, {"value": 1, "command": ""}),
        {"value": NAN, "command": "x"},
    ],
)
def test_a_number_without_its_record_is_not_published(entry, tmp_path):
    with pytest.raises(ValueError, match="without its record.*'fid'"):
        small().save_pretrained(tmp_path / "m", measured={"fid": entry})
    assert not (tmp_path / "m").exists()


ROW = {
    **{"family": "dcgan", "paper": None, "dataset": None, "license": None, "origin": "x"},
    **{"holds": ["generator"], "resolution": 8, "recipe": None, "measured": {}, "config": {}},
    "generators": {"generator": {"class_name": "DCGANGenerator", "config": {}}},
    "files": [{"bytes": 1, "sha256": "0" * 64, "dtype": "float32"}],
}


WORDS = ["yes", "1e3", "null", "a: b", "- a", "#x", "a, b", "[x]", 'a "b"', "ä 😀", "it's", "a\nb"]


@pytest.mark.parametrize("word", [*WORDS, "a\n---\nb"])
def test_metadata_survives_any_word(word):
    measured = {word: {"value": 1e-05, "command": word}}
    row = {**ROW, "dataset": word, "family": word, "measured": measured}
    text = cards.card(word, row, text="It.", address=word)
    data = metadata(text)
    assert data.tags[-1] == word and data.pipeline_tag == "unconditional-image-generation"
    (result,) = data.eval_results
    assert data.model_name == word and result.metric_type == result.dataset_name == word
    assert result.metric_value == 1e-05
    assert f"\nMeasured with `{' '.join(word.split())}`.\n" in text


@pytest.mark.parametrize(
    "dataset, identifier",
    [
        ("org/my-photos_2.0", "org/my-photos_2.0"),
        ("Fashion-MNIST", "zalando-datasets/fashion_mnist"),
        ("fashion_mnist", "zalando-datasets/fashion_mnist"),
        ("MNIST", "ylecun/mnist"),
        ("CIFAR-10", "uoft-cs/cifar10"),
        *[(name, None) for name in ("CIFAR-10, 10 % of it", "Avatars, pixel art", "ä MNIST", None)],
        *[(f"org/{word}", None) for word in WORDS if not word.isalnum()],
        *[(name, None) for name in ("a/b/c", "/b", "a/", "a..b/c", "faces", "avatars (64)")],
    ],
)
def test_only_data_sets_that_the_hub_knows_are_in_the_metadata(dataset, identifier):
    row = {**ROW, "dataset": dataset, "measured": MEASURED}
    data = metadata(cards.card("m", row, text=""))
    assert data.datasets == ([identifier] if identifier else None)
    (result,) = data.eval_results
    assert result.dataset_name == (dataset or "not stated")
    assert result.dataset_type == identifier or re.fullmatch("[a-z0-9-]+", result.dataset_type)


def test_a_command_is_said_once_with_what_it_measured():
    commands = {"fid": "run --all", "kid": "run --all", "is": "other.py"}
    values = {"fid": 8.572345853896431, "kid": np.float64(0.00018466256510488816), "is": 10}
    measured = {key: {"value": values[key], "command": commands[key]} for key in values}
    row = {**ROW, "measured": measured}
    text = cards.card("m", row, text="")
    check_measured(text, row)
    table = "| fid | 8.572 |\n| kid | 0.0001847 |\n| is | 10 |\n"
    assert text.endswith(f"{table}\n- `run --all`: fid, kid\n- `other.py`: is\n")


def test_what_a_network_is_told_is_in_the_metadata(tmp_path):
    gan = CGAN(28, 6, 2, num_classes=3)
    data = metadata((gan.save_pretrained(tmp_path / "m") / "README.md").read_text())
    assert (data.pipeline_tag, data.tags[2:]) == ("other", ["class-conditional", "cgan"])
    for config, network, tag in (
        ({"num_classes": 3}, {}, "class-conditional"),
        ({}, {"num_classes": 3}, "class-conditional"),
        ({"num_attributes": 5}, {"num_classes": 0}, "attribute-conditional"),
    ):
        row = {**ROW, "config": config, "generators": {"generator": {"config": network}}}
        data = metadata(cards.card("m", row, text=""))
        assert (data.pipeline_tag, data.tags[2:]) == ("other", [tag, "dcgan"])


def test_licences_as_the_hub_names_them():
    for license, expected in (("MIT", ["license: mit"]), (None, [])):
        metadata(cards.card("m", {**ROW, "license": license}, text=""))
        lines = cards.card("m", {**ROW, "license": license}, text="").splitlines()
        assert [line for line in lines if line.startswith("license")] == expected
    row = {**ROW, "license": "Nvidia Source Code License-NC", "license_url": "https://a.example/l"}
    data = metadata(cards.card("m", row, text=""))
    assert data.license == "other" and data.license_link == "https://a.example/l"
    assert data.license_name == "nvidia-source-code-license-nc"


def test_the_shipped_cards_are_as_written_here(root):
    """Their text is by hand, everything else is from the manifest and the run's record."""
    for home in sorted((root / "docs" / "models").iterdir()):
        text = (home / "README.md").read_text("utf-8")
        prose = text.partition(f"\n# {home.name}\n\n")[2].partition("\n\n```python")[0]
        result = cards.record_of(home) if (home / "result.json").is_file() else None
        row = hub.manifest()[home.name]
        assert prose and text == cards.card(home.name, row, text=prose, result=result), home.name
        data = metadata(text)
        assert data.library_name == "ganzoo"
        told = any(row["config"].get(key) for key in ("num_classes", "num_attributes"))
        drawn = row["resolution"] and not told
        assert data.pipeline_tag == ("unconditional-image-generation" if drawn else "other")
        check_measured(text, row)
        assert not re.search(r"\d\.\d{8}", text.split("\n---\n")[1])


@pytest.mark.parametrize(
    "config, words",
    [
        ({"name": "fashion_mnist", "folder": None}, "fashion_mnist"),
        ({"name": "avatars/pixel_art_64", "folder": None}, "avatars (pixel_art_64)"),
        ({"name": "folder", "folder": "/home/me/shoes"}, "folder shoes"),
        ({"kind": "pairs", "name": "folder", "folder": "facades"}, "folder facades"),
        (
            {"kind": "unpaired", "a": {"name": "mnist"}, "b": {"name": "folder", "folder": "b"}},
            "mnist and folder b",
        ),
        ({"kind": "ring", "modes": 8}, "ring"),
        ({"kind": "own tones", "total": 256}, "own tones"),
    ],
)
def test_a_run_of_any_data_set_has_a_card(config, words, tmp_path):
    environment = {"cpu_cores": 2, "devices": ["CPU"]}
    record = {"recipe": "mine", "settings": {"dataset": config}, "environment": environment}
    (tmp_path / "recipe.json").write_text(json.dumps(record))
    (tmp_path / "result.json").write_text("{}")
    row = {**ROW, "dataset": cards.record_of(tmp_path)["dataset"]}
    assert row["dataset"] == words
    known = ["zalando-datasets/fashion_mnist"] if words == "fashion_mnist" else None
    assert metadata(cards.card("m", row, text="")).datasets == known


# Conversion


def test_convert(tmp_path, shared):
    source = shared / "checkpoints/gan_face_generate/weights.tar"
    folder = publish.convert(source, tmp_path / "faces", pick="netG_state_dict", license="MIT")
    assert json.loads((folder / "config.json").read_text())["holds"] == ["generator"]
    assert ganzoo.load(folder).provenance["discriminator"] == hub.INITIAL
    np.testing.assert_array_equal(
        ganzoo.load_generator(folder).generate(4, seed=0),
        ganzoo.load(source).generate(4, seed=0),
    )
    with pytest.raises(ValueError, match="exists already"):
        publish.convert(source, folder)


# The Hub


def test_push_and_load_back(server):
    gan = small()
    address = gan.push_to_hub("org/small", license="MIT", commit_message="The first one")
    assert address == "hf://org/small"
    assert FILES <= set(server.repos["org/small"])
    assert server.commits == [("org/small", "main", "The first one")]
    assert_same_model(gan, ganzoo.load(address))
    text = server.repos["org/small"]["README.md"].decode()
    assert 'ganzoo.load("hf://org/small")' in text and "# small\n" in text
    other = small(seed=8, width=6)
    other.push_to_hub("org/small")
    assert_same_model(other, ganzoo.load(address))
    assert len(server.commits) == 2 and "org/small" not in server.private


def test_push_to_a_branch_and_in_private(server):
    gan = small()
    address = gan.push_to_hub("org/small", private=True, branch="v2")
    assert address == "hf://org/small@v2" and "org/small" in server.private
    assert FILES <= set(server.branches["org/small"]["v2"])
    assert not FILES & set(server.repos["org/small"])
    assert_same_model(gan, ganzoo.load(address))


def test_private_weights_do_not_go_to_a_public_repository(server):
    server.add("org/open", "a.txt", b"a")
    with pytest.raises(ValueError, match="'org/open' exists and is public.*private=True"):
        small().push_to_hub("org/open", private=True)
    assert set(server.repos["org/open"]) == {"a.txt"} and not server.commits


def test_a_token_is_needed(server, monkeypatch, tmp_path):
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(errors.AccessError, match="'org/small' may not be.*`hf auth login`"):
        small().push_to_hub("org/small")
    assert not server.repos
    small().push_to_hub("org/small", token=TOKEN)
    assert FILES <= set(server.repos["org/small"])
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", server.url)  # read at its import
    with pytest.raises(errors.AccessError, match="401"):
        small().push_to_hub("org/small", token="hf_wrong")


def test_a_token_that_may_not_write_there(server):
    server.forbidden.add("theirs")
    with pytest.raises(errors.AccessError, match="'theirs/small' may not be written to.*403"):
        small().push_to_hub("theirs/small")


def test_offline(server, monkeypatch):
    monkeypatch.setenv("GANZOO_OFFLINE", "1")
    with pytest.raises(errors.OfflineError, match="'org/small'.*GANZOO_OFFLINE"):
        small().push_to_hub("org/small")
    assert not server.requests


def test_a_server_that_fails(server):
    small().push_to_hub("org/small")
    server.faults["/api/models/org/small/commit/*"] = [Fault(status=500, method="POST")] * 20
    with pytest.raises(errors.DownloadError, match="'org/small' could not be pushed to.*500"):
        small(seed=5).push_to_hub("org/small")
    server.faults.clear()
    assert_same_model(small(), ganzoo.load("hf://org/small"))


def test_a_server_that_is_not_there(server, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(errors.DownloadError, match="'org/small' could not be pushed to"):
        small().push_to_hub("org/small")


@pytest.mark.parametrize("repo", ["small", "a/b/c", "org/", "/x", "org/a b", "org/a..b", "-/x"])
def test_a_malformed_repository_is_named(repo, server):
    with pytest.raises(ValueError, match="`org/repo`.*Received: repo_id=") as caught:
        small().push_to_hub(repo)
    assert repr(repo) in str(caught.value) and not server.requests


def test_push_a_saved_folder_as_it_is(server, tmp_path):
    folder = small().save_pretrained(tmp_path / "m")
    (folder / "README.md").write_text("# Edited by hand\n")
    (folder / "secret.txt").write_text("not a model's file")
    assert publish.push(folder, "org/m") == "hf://org/m"
    assert server.repos["org/m"]["README.md"] == b"# Edited by hand\n"
    assert "secret.txt" not in server.repos["org/m"]
    assert_same_model(small(), ganzoo.load("hf://org/m"))
    with pytest.raises(ValueError, match="are in its card; edit.*license='MIT'"):
        publish.push(folder, "org/m", license="MIT")


def test_push_a_damaged_folder(server, tmp_path):
    folder = small().save_pretrained(tmp_path / "m")
    (folder / hub.WEIGHTS).write_bytes((folder / hub.WEIGHTS).read_bytes()[:-9])
    with pytest.raises(errors.WeightsError):
        publish.push(folder, "org/m")
    assert not server.repos


def test_push_a_published_model(server):
    publish.push(RING, "org/ring")
    files = server.repos["org/ring"]
    data = metadata(files["README.md"].decode())
    row = hub.manifest()[RING]
    assert {r.metric_type: r.metric_value for r in data.eval_results} == {
        key: entry["value"] for key, entry in row["measured"].items()
    }
    assert data.license == "apache-2.0" and data.datasets is None
    assert "| data set | gaussians-ring8 |" in files["README.md"].decode()
    check_measured(files["README.md"].decode(), row)
    assert json.loads(files["config.json"])["holds"] == row["holds"]
    np.testing.assert_array_equal(
        ganzoo.load("hf://org/ring").generate(4, seed=0), ganzoo.load(RING).generate(4, seed=0)
    )
    publish.push(FACES, "org/faces")
    row = hub.manifest()[FACES]
    licence = (resources.WEIGHTS / row["license_file"]).read_bytes()
    assert server.repos["org/faces"]["LICENSE"] == licence


def test_push_a_run_with_its_record(server, root, tmp_path):
    run = tmp_path / "run"
    publish.save(ganzoo.load(RING), run)
    for file in publish.RUN:
        (run / file).write_bytes((root / "docs/models" / RING / file).read_bytes())
    (run / "backup").mkdir()
    (run / "backup" / "latest.weights.h5").write_bytes(b"large")
    publish.push(run, "org/run", license="MIT")
    files = server.repos["org/run"]
    assert set(files) - {".gitattributes"} == FILES | set(publish.RUN)
    text = files["README.md"].decode()
    assert "| trained with | `ganzoo train gaussians_ring8:hinge`" in text
    assert "5,000 steps" in text and "license: mit" in text and "| data set | ring |" in text
    assert "No metric was measured yet." in text
