"""Every number of parity/classics/10_metrics: an array without an entry in `CASES` fails."""

import importlib.util
import json
import os
import pathlib
import re

import numpy as np
import pytest

from ganzoo.metrics.fid import frechet_distance
from ganzoo.metrics.inception_score import inception_score, inception_score_of_probabilities
from ganzoo.metrics.kid import GaussianKernel, kernel_distance, squared_mmd
from ganzoo.metrics.perceptual_path_length import latent_pairs, lerp, path_length, slerp
from ganzoo.metrics.precision_recall import precision_recall
from ganzoo.metrics.statistics import Statistics, import_statistics, statistics_of

# Which of our forms stands for which reference; "exact" equals all of them.
FID_FORMS = {
    "pytorchfid": ("exact", "pytorch-fid"),
    "cleanfid": ("exact", "pytorch-fid"),
    "torchfidelity": ("exact", "torch-fidelity"),
    "torchfidelity_f32feat": ("exact",),
    "exact_psd": ("exact",),
}
INPUTS = r"(full|deficient|wide)/feat[12]|is/logits|ppl/(z[01]|t|distances)"


@pytest.fixture(scope="module")
def case(shared):
    return shared / "parity" / "classics" / "10_metrics"


@pytest.fixture(scope="module")
def arrays(case):
    with np.load(case / "golden.npz", allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def features(arrays, group):
    if group == "same":
        return arrays["full/feat1"], arrays["full/feat1"]
    if group == "dead":
        first, second = arrays["full/feat1"].copy(), arrays["full/feat2"].copy()
        first[:, 3] = second[:, 3] = 0.0
        return first, second
    return arrays[f"{group}/feat1"], arrays[f"{group}/feat2"]


def fid(arrays, group, reference):
    first, second = map(statistics_of, features(arrays, group))
    found = []
    for form in FID_FORMS[reference]:
        if form == "pytorch-fid" and importlib.util.find_spec("scipy") is None:
            continue  # test_fid.py says that it was skipped
        found.append(frechet_distance(first, second, reference=form, too_few="accept"))
    return found, 1e-7  # without full rank the references' own noise is up to 6e-8


def kid(arrays, group, name):
    first, second = features(arrays, group)
    half = min(len(first), len(second)) // 2
    third = {"full": 63, "wide": 16}[group]  # min / 3 of the two sets
    if name == "mmd2_unbiased_all":
        rows = min(len(first), len(second))
        return [squared_mmd(second[:rows], first[:rows])], 1e-9
    if name == "kid_cleanfid":
        # Its feats1 are the reals.
        options = dict(reference="clean-fid", subsets=15, subset_size=half, seed=123)
        return [kernel_distance(first, second, **options).mean], 1e-9
    if name == "kid_mimicry_subsets":
        options = dict(reference="mimicry", subsets=6, seed=321)
        options["subset_size"] = {"full": 27, "wide": 6}[group]
        return [kernel_distance(second, first, **options).values], 1e-9
    if name == "kid_rbf":
        options = dict(subsets=5, subset_size=third, kernel=GaussianKernel(sigma=2.0))
    elif name == "kid_torchfidelity_f32feat":
        options = dict(subsets=20, subset_size=third)
    else:
        size, subsets = map(int, re.fullmatch(r"kid_torchfidelity_(\d+)x(\d+)", name).groups())
        options = dict(subsets=subsets, subset_size=size)
    result = kernel_distance(second, first, **options)
    return [[result.mean, result.std]], 1e-5 if name.endswith("f32feat") else 1e-9


def score(arrays, _, name):
    logits = arrays["is/logits"]
    reference, splits, shuffle = re.fullmatch(r"([a-z]+)_s(\d+)_?(\w*)", name).groups()
    if reference == "torchfidelity":
        reference = {"shuf": "torch-fidelity", "noshuf": "improved-gan"}[shuffle]
    exponentials = np.exp(logits.astype(np.float64))
    probabilities = exponentials / exponentials.sum(axis=1, keepdims=True)
    options = dict(splits=int(splits), reference=reference)
    results = [
        inception_score(logits, **options),
        inception_score_of_probabilities(probabilities, **options),
    ]
    return [[r.mean, r.std] for r in results], 1e-9


def shares(arrays, group, name):
    real, fake = features(arrays, group)
    if group == "full":
        real, fake = real[:150], fake[:170]
    kind, neighbours = re.fullmatch(r"(prc_torchfidelity|prdc)_k(\d)", name).groups()
    reference = {"prc_torchfidelity": "torch-fidelity", "prdc": "prdc"}[kind]
    found = precision_recall(real, fake, neighbours=int(neighbours), reference=reference)
    if kind == "prdc":
        return [[found.precision, found.recall, found.density, found.coverage]], 1e-12
    return [[found.precision, found.recall, found.f_score]], 1e-7  # float32 means there


def path(arrays, _, name):
    start, end, t = arrays["ppl/z0"], arrays["ppl/z1"], arrays["ppl/t"]
    rows = [0, 1, 2, 3, 5]
    if name == "kept_lo_hi_mean_std":
        found = path_length(arrays["ppl/distances"], epsilon=1.0)
        return [[found.kept, found.lower, found.upper, found.mean, found.std]], 1e-12
    if name.startswith("rng"):
        first, second = latent_pairs(3, 5)
        return [{"rng_lat_e0": first, "rng_lat_e1_raw": second}[name]], 0.0
    if name == "slerp_stylegan2ada":
        return [slerp(start[rows], end[rows], t[rows])], 1e-9
    forms = {
        "lerp": lambda: lerp(start, end, t),
        "slerp_any": lambda: slerp(start, end, t, reference="torch-fidelity-any"),
        "slerp_unit": lambda: slerp(start, end, t, reference="torch-fidelity-unit"),
    }
    return [forms[name]()], 1e-9


CASES = [
    (r"(full|deficient|wide|same|dead)/fid_(\w+)", fid),
    (r"(full|wide)/((?:kid|mmd2)_\w+)", kid),
    (r"(is)/((?:torchfidelity|studiogan)_\w+)", score),
    (r"(full|deficient)/((?:prc|prdc)_\w+)", shares),
    (r"(ppl)/(lerp|slerp_\w+|kept_\w+|rng_\w+)", path),
]


def pytest_generate_tests(metafunc):
    """One test per array of the file; without the file one that skips or fails through `shared`."""
    if "array" in metafunc.fixturenames:
        metafunc.parametrize("array", names())


def names():
    root = pathlib.Path(__file__).resolve().parents[2]
    folder = pathlib.Path(os.environ.get("GANZOO_SHARED", root.parent / "shared"))
    file = folder / "parity" / "classics" / "10_metrics" / "case.json"
    if not file.is_file():
        return ["absent"]
    found = json.loads(file.read_text(encoding="utf-8"))["arrays"]
    return [name for name in found if not re.fullmatch(INPUTS, name)]


def errors(arrays, name):
    """Largest relative error of each of our forms, and what is allowed."""
    matches = [(re.fullmatch(pattern, name), compute) for pattern, compute in CASES]
    ((match, compute),) = [(match, compute) for match, compute in matches if match]
    found, tolerance = compute(arrays, *match.groups())
    expected = np.asarray(arrays[name], np.float64)
    # Relative to the largest entry, and to 1e-3 where the reference itself is rounding noise.
    scale = max(np.abs(expected).max(), 1e-3)
    if name.endswith("kid_rbf"):
        scale = np.abs(expected).max()
    differences = [np.abs(np.asarray(values, np.float64) - expected).max() for values in found]
    return [difference / scale for difference in differences], tolerance


def test_equals_the_reference(arrays, array):
    found, tolerance = errors(arrays, array)
    assert max(found) <= tolerance


def test_every_array_of_the_file_has_an_entry(case, arrays):
    listed = json.loads((case / "case.json").read_text(encoding="utf-8"))["arrays"]
    assert set(listed) == set(arrays)
    matches = {name: sum(bool(re.fullmatch(p, name)) for p, _ in CASES) for name in arrays}
    assert not [n for n, k in matches.items() if k != (0 if re.fullmatch(INPUTS, n) else 1)]


def test_statistics_file_of_pytorch_fid(case, arrays):
    sha256 = json.loads((case / "case.json").read_text())["files"]["fid_stats_full1.npz"]["sha256"]
    found = import_statistics(case / "fid_stats_full1.npz", sha256=sha256)
    ours = statistics_of(arrays["full/feat1"])
    assert isinstance(found, Statistics) and found.count is None
    np.testing.assert_allclose(found.mean, ours.mean, rtol=1e-12)
    np.testing.assert_allclose(found.covariance, ours.covariance, rtol=1e-9, atol=1e-12)
    assert abs(frechet_distance(found, ours)) < 1e-9
