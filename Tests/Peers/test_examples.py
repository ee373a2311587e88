"""The examples of the README."""

import pytest
from conftest import FIXTURES
from linear_in_torch import logged_losses, torch_losses


@pytest.mark.parametrize("name", ["linear-adam", "linear-adamw"])
def test_the_linear_examples_have_torchs_losses(ckpt, name, tmp_path):
    """All 400 steps, shuffled: the order is worked out in Python from what the specification says."""
    ckpt.succeed("train", FIXTURES / f"examples/{name}.yaml", "--out", tmp_path / "run", "--set", "log_every=1", "--quiet")
    ours = logged_losses(tmp_path / "run")
    theirs = torch_losses(name)
    assert len(ours) == len(theirs) == 400
    assert max(abs(ours[step] / theirs[step - 1] - 1) for step in ours) < 1e-5
