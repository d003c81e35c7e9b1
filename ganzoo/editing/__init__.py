"""What a trained generator's latents are good for: mixing, paths, edits, projection."""

from ganzoo.editing.directions import (
    Direction,
    Directions,
    edit,
    find_direction,
    load_direction,
    mean_direction,
    orthogonal,
    sefa,
)
from ganzoo.editing.figures import enlarge, save, table
from ganzoo.editing.grids import (
    arithmetic,
    interpolate,
    noise_ablation,
    style_mix,
    truncation_sweep,
)
from ganzoo.editing.layers import groups, layers_of, style_layers
from ganzoo.editing.projection import Projection, load_projection, project
from ganzoo.editing.space import EditingError, Space

__all__ = [
    "Direction",
    "Directions",
    "EditingError",
    "Projection",
    "Space",
    "arithmetic",
    "edit",
    "enlarge",
    "find_direction",
    "groups",
    "interpolate",
    "layers_of",
    "load_direction",
    "load_projection",
    "mean_direction",
    "noise_ablation",
    "orthogonal",
    "project",
    "save",
    "sefa",
    "style_layers",
    "style_mix",
    "table",
    "truncation_sweep",
]
