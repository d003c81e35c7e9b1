"""The lowest version of every requirement in setup.cfg, as constraints for pip.

    python tools/floors.py > floors.txt

`>=` becomes `==`; what names one version already, or none, is left to pip.
"""

import configparser
import pathlib

SETUP = pathlib.Path(__file__).resolve().parent.parent / "setup.cfg"


def floors(path=SETUP) -> list[str]:
    """`name==version`, sorted, of the package's own requirements and its extras'.

    Raises: ValueError: for a requirement with two floors.
    """
    settings = configparser.ConfigParser()
    settings.read(path, encoding="utf-8")
    lists = [settings["options"]["install_requires"], *settings["options.extras_require"].values()]
    pins = {}
    for line in "\n".join(lists).splitlines():
        name, sign, version = (part.strip() for part in line.partition("#")[0].partition(">="))
        if sign and pins.setdefault(name, version) != version:
            raise ValueError(f"`{name}` has two floors. Received: {pins[name]}, {version}")
    return sorted(f"{name}=={version}" for name, version in pins.items())


if __name__ == "__main__":
    print("\n".join(floors()))
