"""Looks at an installed wheel from outside, and lays out what .ci/check_wheel runs it on: photos and README's Python.

python .ci/wheel_contents.py WHEEL CHECKOUT FOLDER
"""

import re
import sys
import zipfile
from importlib.resources import files
from pathlib import Path

import numpy as np
from PIL import Image

wheel, checkout, folder = Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])

import dnr_jax  # noqa: E402

assert checkout not in Path(dnr_jax.__file__).parents, f"{dnr_jax.__file__} is the checkout's"

# Every file of the package is in the wheel, and nothing else of the checkout.
held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
there = {
    path.relative_to(checkout).as_posix()
    for path in (checkout / "dnr_jax").rglob("*")
    if path.is_file() and "__pycache__" not in path.parts
}
assert held == there, f"missing: {sorted(there - held)}; not the package's: {sorted(held - there)}"

from dnr_jax.evaluation.report import write_report  # noqa: E402, F401  (it imports where nothing else is installed)
from dnr_jax.weights import load_weights  # noqa: E402
from dnr_jax.weights.objects import read_u2netp  # noqa: E402
from dnr_jax.weights.registry import read_registry  # noqa: E402

assert load_weights("embedded").provenance.name == "embedded"
read_u2netp()
assert read_registry().sources
for name in ("report.html", "report.css", "report.js"):
    assert (files("dnr_jax.evaluation") / name).read_text(), name

(folder / "photos").mkdir()
rng = np.random.default_rng(0)
for name in ("a", "b", "c"):
    blocks = np.kron(rng.uniform(0, 255, (8, 12, 3)), np.ones((8, 8, 1)))
    Image.fromarray(blocks.astype(np.uint8)).save(folder / "photos" / f"{name}.png")
(snippet,) = re.findall(r"```python\n(.*?)```", (checkout / "README.md").read_text(), re.DOTALL)
(folder / "snippet.py").write_text(snippet)
