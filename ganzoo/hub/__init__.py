"""The hub: names to models, and models to names.

| room | |
| --- | --- |
| `rows` | the manifest: names, aliases, what is listed |
| `licences` | who has to agree to what |
| `loading` | where weights are, and what opens them |
| `store` | a model on disk, both ways |
| `keras_files`, `conversions` | files of `gan.save`; other people's |
| `publish`, `cards` | to a folder, to the Hugging Face Hub and into this package; cards |
| `audit` | whether local files are what they should be |
"""

from ganzoo.families import family_class
from ganzoo.hub.loading import Place, download, load, load_generator, locate, verify
from ganzoo.hub.rows import full_name, list_models, manifest, row_of
from ganzoo.hub.store import CONFIG, WEIGHTS, Arrays, fill, read_safetensors
from ganzoo.origin import INITIAL

__all__ = [
    "CONFIG",
    "INITIAL",
    "WEIGHTS",
    "Arrays",
    "Place",
    "download",
    "family_class",
    "fill",
    "full_name",
    "list_models",
    "load",
    "load_generator",
    "locate",
    "manifest",
    "read_safetensors",
    "row_of",
    "verify",
]
