"""ganzoo.pictures: grids, pairs, points and spectrograms are laid out as said."""

import numpy as np
import pytest
import tensorflow as tf

from ganzoo import callbacks, pictures
from ganzoo.families.cgan import CGAN


def tiles(count, height=2, width=3, channels=1):
    """Image i has the value i + 1 everywhere."""
    values = np.arange(1, count + 1, dtype="uint8").reshape(-1, 1, 1, 1)
    return np.broadcast_to(values, (count, height, width, channels))


@pytest.mark.parametrize(
    ("count", "columns", "expected"),
    [
        (1, None, [[1]]),
        (4, None, [[1, 2], [3, 4]]),
        (5, None, [[1, 2, 3], [4, 5, 0]]),
        (5, 2, [[1, 2], [3, 4], [5, 0]]),
        (2, 10, [[1, 2]]),
    ],
)
def test_grid(count, columns, expected):
    sheet = pictures.grid(tiles(count), columns)
    assert sheet.dtype == np.uint8
    np.testing.assert_array_equal(sheet[:, :, 0], np.kron(expected, np.ones((2, 3))))


def test_grid_keeps_pixels_in_place():
    images = np.random.RandomState(0).randint(0, 256, (6, 4, 5, 3), "uint8")
    sheet = pictures.grid(images, 3)
    assert sheet.shape == (8, 15, 3)
    np.testing.assert_array_equal(sheet[4:, 5:10], images[4])


@pytest.mark.parametrize("shape", [(0, 2, 2, 1), (2, 2, 1), (4,)])
def test_grid_refuses_other_ranks(shape):
    with pytest.raises(ValueError, match=r"\[N, H, W, C\] with N > 0. Received: shape"):
        pictures.grid(np.zeros(shape, "uint8"))


def test_write_grid(tmp_path):
    path = pictures.write_grid(tmp_path / "a" / "b.png", tiles(4, channels=3))
    decoded = tf.io.decode_png(path.read_bytes()).numpy()
    np.testing.assert_array_equal(decoded, pictures.grid(tiles(4, channels=3)))


@pytest.mark.parametrize("below", ["file/x.png", "file/deeper/x.png"])
def test_write_grid_below_a_file(tmp_path, below):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=f"{below}' cannot be written .*another folder"):
        pictures.write_grid(tmp_path / below, tiles(1))


def test_write_grid_to_a_folder(tmp_path):
    with pytest.raises(OSError, match="is a folder; name a file in it"):
        pictures.write_grid(tmp_path, tiles(1))


def test_scatter():
    picture = pictures.scatter(np.array([[0.9, 0.9], [-0.9, -0.9]]), size=10, limit=1.0)
    assert picture.shape == (1, 10, 10, 1) and picture.dtype == np.uint8
    rows, columns = np.nonzero(picture[0, :, :, 0])
    assert list(zip(rows, columns)) == [(0, 9), (9, 0)]  # up and to the right is positive
    far = np.array([[5.0, 0.0], [np.nan, 0.0], [np.inf, 1.0], [0.0, 0.0]])
    assert pictures.scatter(far, limit=1.0).astype(bool).sum() == 1
    assert pictures.scatter(far).astype(bool).sum() == 2
    assert pictures.scatter(np.zeros((3, 2))).astype(bool).sum() == 1
    assert pictures.scatter(np.full((3, 2), np.nan)).sum() == 0


@pytest.mark.parametrize("kind", ["num_classes", "num_attributes"])
def test_rows_of_a_conditional_grid(kind):
    sizes = {"num_classes": 3} if kind == "num_classes" else {"num_classes": 0, "num_attributes": 3}
    gan = CGAN(8, 4, 4, networks="conv", **sizes)
    samples = pictures.samples_for_grid(gan, 10, 2, seed=1)
    rows = np.array([0, 0, 1, 1, 2, 2, 0, 0, 1, 1])
    labels = rows if kind == "num_classes" else np.eye(3, dtype="float32")[rows]
    np.testing.assert_array_equal(samples, gan.generate(10, labels=labels, seed=1))


def test_points_become_a_picture_and_images_stay():
    images = tiles(2)
    assert pictures.pictures(images) is images
    assert pictures.pictures(np.zeros((5, 2))).shape == (1, 256, 256, 1)


@pytest.mark.parametrize(
    "name", ["grid", "make_room", "pictures", "samples_for_grid", "scatter", "write_grid"]
)
def test_callbacks_has_the_same(name):
    assert getattr(callbacks, name) is getattr(pictures, name)


# Pairs


def test_pairs_lie_in_rows():
    first, second = tiles(3), tiles(3) + 100
    sheet = pictures.grid(pictures.beside(first, second), columns=2)
    expected = np.kron([[1, 101], [2, 102], [3, 103]], np.ones((2, 3)))
    np.testing.assert_array_equal(sheet[:, :, 0], expected)


def test_gray_images_lie_beside_coloured_ones():
    coloured = np.random.RandomState(0).randint(0, 256, (2, 2, 3, 3), "uint8")
    found = pictures.beside(tiles(2), coloured, coloured)
    assert found.shape == (6, 2, 3, 3) and found.dtype == np.uint8
    np.testing.assert_array_equal(found[3], np.full((2, 3, 3), 2))
    np.testing.assert_array_equal(found[4:], coloured[[1, 1]])


@pytest.mark.parametrize("other", [tiles(2), tiles(3, height=4), np.zeros((3, 4))])
def test_sides_of_other_sizes_are_refused(other):
    with pytest.raises(ValueError, match="resize the images. Received: shapes"):
        pictures.beside(tiles(3), other)


# Sound


def tone(rows, count=4096, loudness=0.5):
    """Sound whose frequency is that of a row of 256, counted from below."""
    return loudness * np.sin(np.pi * np.multiply.outer(rows, np.arange(count)) / 256)


def test_a_tone_is_a_line_at_its_height():
    picture = pictures.spectrogram(tone([40, 200]))
    assert picture.shape == (2, 256, 15, 1) and picture.dtype == np.uint8
    assert (picture[0, :, :, 0].argmax(axis=0) == 255 - 40).all()
    assert (picture[1, :, :, 0].argmax(axis=0) == 255 - 200).all()
    assert picture[0, 100, :, 0].max() < 40


def test_white_is_the_loudest_of_all_and_black_far_below():
    quiet = np.concatenate([tone([40]), tone([40], loudness=0.005)])  # 40 decibels
    loud, soft = pictures.spectrogram(quiet, decibels=80.0).max(axis=(1, 2, 3))
    assert loud == 255 and abs(int(soft) - 127) <= 1
    assert pictures.spectrogram(quiet, decibels=40.0)[1].max() == 0


def test_a_long_sound_is_no_wider_than_columns():
    sound = np.zeros((1, 100_000))
    sound[0, 50_000] = 1.0
    picture = pictures.spectrogram(sound, columns=50)[0, :, :, 0]
    assert picture.shape == (256, 50)
    assert set(np.nonzero(picture.max(axis=0))[0]) <= {24, 25} and picture.max() == 255


def test_magnitudes_are_taken_as_they_are():
    magnitudes = np.zeros((1, 3, 4), "float32")
    magnitudes[0, 2, 0], magnitudes[0, 0, 3] = 1.0, 0.1
    picture = pictures.spectrogram(magnitudes, decibels=40.0)[0, :, :, 0]
    np.testing.assert_array_equal(picture, [[128, 0, 0], [0, 0, 0], [0, 0, 0], [0, 0, 255]])


@pytest.mark.parametrize("sounds", [np.zeros((1, 20)), np.full((2, 700), np.nan)])
def test_silence_and_nan_are_black(sounds):
    assert not pictures.spectrogram(sounds).any()


@pytest.mark.parametrize("shape", [(20,), (0, 20), (1, 2, 3, 4)])
def test_other_ranks_are_no_sound(shape):
    with pytest.raises(ValueError, match="Received: shape"):
        pictures.spectrogram(np.zeros(shape))


def test_samples_of_any_shape_have_pictures():
    images = np.arange(2 * 3 * 4 * 1, dtype="uint8").reshape(2, 3, 4, 1)
    assert pictures.pictures(images) is images
    film = pictures.pictures(np.stack([images, images + 50], axis=1))  # [N, T, H, W, C]
    np.testing.assert_array_equal(film, np.concatenate([images, images + 50], axis=2))
    assert pictures.pictures(np.zeros((5, 2), "float32")).shape == (1, 256, 256, 1)
    rising = pictures.pictures(np.linspace(0, 1, 128, dtype="float32")[np.newaxis])
    assert rising.shape == (1, 64, 128, 1) and (rising.sum((1, 2, 3)) == 255 * 128).all()
    assert rising[0, 63, 0, 0] == rising[0, 0, -1, 0] == 255
    assert pictures.pictures(np.full((3, 7, 2), np.nan)).shape == (3, 64, 128, 1)
