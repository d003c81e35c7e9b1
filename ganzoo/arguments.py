"""Constructor arguments, written once: `captured` makes `get_config` out of them.

    @keras.saving.register_keras_serializable(package="mine")
    @captured
    class MyGAN(LatentGAN):
        def __init__(self, width=64, *, image_size=32, critic_width=None, **kwargs):
            critic_width = width if critic_width is None else critic_width
            self.config.update(critic_width=critic_width)
            generator, critic = MyGenerator(image_size, width), MyCritic(image_size, critic_width)
            super().__init__(generator, critic, loss="hinge", **kwargs)

The config of a `MyGAN` is what its constructor can be called with, defaults included: the arguments
of its own signature and, because it has `**kwargs`, those of the classes above it (`ema`, `seed`,
`penalties`, ...), but for what it sets itself (here `loss`). `from_config` calls the constructor
with them again. `self.config` holds the arguments of the signature before the constructor's body
runs; a body that makes something else of one, such as a number of `None`, says so there.
"""

import dataclasses
import functools
import inspect

import keras

OF_KERAS = {"trainable", "dtype"}  # of a model: said by its user, and by the global policy


def captured(cls) -> type:
    """Class decorator: the constructor's arguments become `self.config` and `get_config`.

    What a class above says of an argument that came to it as it was given wins, since that class
    may have resolved it. A class with a `get_config` of its own keeps that; it is decorated so that
    its subclasses know which of its arguments they leave open.

    Raises: TypeError: for a constructor with `*args`, which have no names.
    """
    if "__init__" not in vars(cls):
        return cls  # has no arguments of its own
    constructor, signature = cls.__init__, inspect.signature(cls.__init__)
    _, *parameters = signature.parameters.values()
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        raise TypeError(f"{cls.__name__}.__init__ must name its arguments. Received: {signature}")
    names = [p.name for p in parameters if p.kind is not p.VAR_KEYWORD]
    defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
    above = next((base for base in cls.__mro__[1:] if "get_config" in vars(base)), None)
    own = () if "get_config" in vars(cls) else names

    @functools.wraps(constructor)
    def __init__(self, *args, **kwargs):
        given = {**dict(zip(names, args)), **kwargs}  # the constructor refuses too many
        arguments, state = {**defaults, **given}, vars(self)
        outer, passed = state.get("_arguments"), state.get("config", {})  # of a subclass
        state["_arguments"] = arguments
        state["config"] = passed | {
            name: _like(arguments[name], defaults.get(name)) for name in own if name in arguments
        }
        state.setdefault("_set_by_subclass", set())
        constructor(self, *args, **kwargs)
        config = state["config"]
        if outer is None:
            state["config"] = {name: plain(value) for name, value in config.items()}
            del state["_arguments"]
            return

        def is_open(name):
            passed_on = name in given and name in outer and outer[name] is given[name]
            return passed_on or name not in given and name not in outer

        state["_set_by_subclass"] |= {name for name in arguments if not is_open(name)}
        passed |= {name: value for name, value in config.items() if is_open(name)}
        state.update(_arguments=outer, config=passed)

    def get_config(self):
        left_out = self._set_by_subclass | (OF_KERAS if isinstance(self, keras.Model) else set())
        inherited = {} if above is None else above.get_config(self)
        return self.config | {k: v for k, v in inherited.items() if k not in left_out}

    __init__.__signature__ = signature  # Keras does not look behind a wrapper
    cls.__init__ = __init__
    if "get_config" not in vars(cls):
        cls.get_config = get_config
    return cls


def _like(value, default):
    """`value`, whose lists are tuples where the default has one: JSON, which it may come from, has
    no tuples.
    """
    if isinstance(default, tuple) and isinstance(value, (list, tuple)):
        return tuple(_like(item, default) for item in value)
    return value


def plain(value) -> dict | list | tuple | str | bool | int | float | None:
    """`value` with dicts in place of Keras objects and data classes."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return (tuple if isinstance(value, tuple) else list)(map(plain, value))
    if dataclasses.is_dataclass(value):
        return dataclasses.asdict(value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return keras.saving.serialize_keras_object(value)
