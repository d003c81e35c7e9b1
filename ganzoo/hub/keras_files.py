"""`.keras` files: classes from a vetted `config.json`, arrays by our own HDF5 reader, so that a
stranger's configuration imports nothing and libhdf5 sees no stranger's file.
"""

import json
import zipfile

from ganzoo import families
from ganzoo.errors import CheckpointError, UnsafeCheckpointError, WeightsError, first_line
from ganzoo.hub import vetting

CONFIG = "config.json"
LARGEST_CONFIG = 1 << 26  # bytes


def load(path, origin):
    """The model of a `.keras` file with its optimizers, as `gan.save` wrote it.

    Raises: UnsafeCheckpointError: it names other classes than those of Keras, of ganzoo and those
        registered in this process. WeightsError: damaged, or of another form.
    """
    from ganzoo.checkpoints import hdf5

    families.import_all()
    try:
        with zipfile.ZipFile(path) as archive:
            config = _configuration(archive)
        vetting.refuse_other_classes(config, origin)
        return _filled(config, hdf5.arrays(path, hdf5.KERAS_WEIGHTS))
    except UnsafeCheckpointError:
        raise
    except CheckpointError as error:  # of the arrays, which know no name
        raise type(error)(f"{origin!r} is not a readable .keras file: {error}") from error
    except (OSError, ValueError, TypeError, KeyError, zipfile.BadZipFile) as error:
        raise WeightsError(
            f"{origin!r} is not a readable .keras file: {first_line(error)}"
        ) from error


def _configuration(archive):
    if archive.getinfo(CONFIG).file_size > LARGEST_CONFIG:
        raise ValueError(f"its {CONFIG} has more than {LARGEST_CONFIG} bytes")
    return json.loads(archive.read(CONFIG))


def _filled(config, arrays):
    import keras
    from keras.src.saving import saving_lib  # what `keras.saving.load_model` itself calls

    gan = keras.saving.deserialize_keras_object(config)
    failed, messages = set(), {}
    saving_lib._load_state(
        gan,
        weights_store=_store(saving_lib, arrays),
        assets_store=None,
        inner_path="",
        visited_saveables=set(),
        failed_saveables=failed,
        error_msgs=messages,
    )
    if failed:
        saving_lib._raise_loading_failure(messages)
    return gan


def _store(saving_lib, arrays):
    class Store(saving_lib.NpzIOStore):
        """Keras' reading side, over arrays by their path in the file."""

        def __init__(self):
            pass

        def get(self, path):
            prefix = f"{path}/vars/" if path else "vars/"
            return {k.removeprefix(prefix): a for k, a in arrays.items() if k.startswith(prefix)}

        def has_path(self, path):
            return any(key.startswith(f"{path}/") for key in arrays)

    return Store()
