"""docs/metrics.md: its table is what the recorded values give, and within what is allowed."""

import importlib.util

import pytest


@pytest.fixture(scope="module")
def parity(root, shared):
    spec = importlib.util.spec_from_file_location("parity", root / "tools" / "metrics_parity.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_table_is_what_the_script_computes(parity, root):
    text = (root / "docs" / "metrics.md").read_text("utf-8")
    written = text.split(parity.BEGIN)[1].split(parity.END)[0].splitlines()[2:]
    found = parity.rows()
    assert len(written) == len(found) > 70
    for line, row in zip(written, found):
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        assert cells[:2] == [row.metric, row.reference]
        assert row.error <= row.limit, row
        assert float(cells[4]) <= row.limit
        if row.limit == 1e-4 and "values" not in row.expected and abs(row.error) < 1e-7:
            assert cells[2] == row.expected


def test_every_metric_of_the_registry_is_described(root):
    from ganzoo.metrics.evaluate import METRICS

    text = (root / "docs" / "metrics.md").read_text("utf-8")
    assert not [name for name in METRICS if f"`{name}`" not in text]
