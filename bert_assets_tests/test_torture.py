"""The short version of `make torture`: a sample of the write boundaries, and some random instants."""

import re
import subprocess
import sys


def test_killed_anywhere_it_ends_with_the_same_bits():
    command = [
        sys.executable,
        "-m",
        "bert_assets_tests.torture",
        "--share",
        "0.05",
        "--randoms",
        "12",
        "--fresh",
        "1",
    ]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    # The seed is in the output: a failure can be replayed.
    assert run.returncode == 0, run.stdout + run.stderr
    found = re.search(r"^all +(\d+) .* (\d+)/(\d+)$", run.stdout, flags=re.MULTILINE)
    assert found is not None, run.stdout
    kills, identical, total = map(int, found.groups())
    assert identical == total >= 45
    assert kills >= total
