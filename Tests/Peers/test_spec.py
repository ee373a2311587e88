"""The Python that the specification shows runs as it stands, with h5py alone."""

import re
import shutil
import subprocess
import sys

import pytest
from conftest import ROOT

PAGES = sorted((ROOT / "spec").glob("**/*.md"))


def python_of(page):
    return "\n".join(re.findall(r"^```python\n(.*?)^```$", page.read_text(), flags=re.MULTILINE | re.DOTALL))


def test_the_specification_shows_python():
    assert [page.name for page in PAGES if python_of(page)]


@pytest.mark.parametrize("page", [page for page in PAGES if python_of(page)], ids=lambda page: page.name)
def test_python_runs(page, journey, tmp_path):
    """In a folder where `checkpoint.h5` is the transformer's checkpoint."""
    shutil.copy(journey("transformer_adamw.pt").h5, tmp_path / "checkpoint.h5")
    (tmp_path / "example.py").write_text(python_of(page))
    done = subprocess.run([sys.executable, "example.py"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
