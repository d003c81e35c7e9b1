"""What a configuration from a file may name: classes of Keras and of ganzoo, and those that were
registered in this process. Nothing is imported for its sake.
"""

from ganzoo.errors import UnsafeCheckpointError

TRUSTED = ("keras", "ganzoo")


def refuse_other_classes(tree, origin) -> None:
    """Raises: UnsafeCheckpointError: naming the first class of a configuration that is neither."""
    pending = [tree]
    while pending:
        value = pending.pop()
        parts = value.values() if isinstance(value, dict) else value
        pending += [part for part in parts if isinstance(part, (dict, list, tuple))]
        if isinstance(value, dict) and ("class_name" in value or "module" in value):
            _check(value, origin)


def _check(value, origin):
    module, name = str(value.get("module") or "keras"), str(value.get("class_name"))
    trusted = module.split(".")[0] in TRUSTED and "Lambda" not in name
    if not trusted and not _is_registered(value):
        raise UnsafeCheckpointError(
            f"{origin!r} names the class `{module[:80]}.{name[:80]}`; only those of Keras and "
            "ganzoo are loaded, and registered ones of your own: import their module first. "
            "Nothing of it was imported"
        )


def _is_registered(value):
    import keras

    name = value.get("registered_name")
    return isinstance(name, str) and keras.saving.get_registered_object(name) is not None
