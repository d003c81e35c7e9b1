"""Where the files that come with the package lie."""

import pathlib

PACKAGE = pathlib.Path(__file__).parent
MANIFEST = PACKAGE / "weights_manifest.json"
WEIGHTS = PACKAGE / "weights"
RECORDS = PACKAGE / "records"
SAMPLES = PACKAGE / "data_samples"
FAMILIES = PACKAGE / "families"
CONVERT = PACKAGE / "convert"
CHECKPOINTS = PACKAGE / "checkpoints"
RECIPES = PACKAGE.parent / "recipes"  # of a checkout; an installed wheel has `ganzoo.recipes`
