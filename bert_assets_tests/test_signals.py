"""Dagster runs that are stopped: the process group signalled twice, at once or apart; a re-execution ends with the same bits."""

import os
import signal
import time

import pytest

from bert_assets_tests.project import GRID, RUN, Project, wait_for_checkpoint
from bert_assets_tests.world import make_world

LONG = GRID.replace("epochs: 2", "epochs: 40")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("undisturbed"), yaml=LONG).train(RUN)


@pytest.mark.parametrize(("number", "apart"), [(signal.SIGINT, 0.15), (signal.SIGTERM, 0.0)])
def test_a_group_that_is_signalled_twice_resumes_exactly(undisturbed, tmp_path, number, apart):
    project = Project(tmp_path, LONG)
    project.succeed("dataset_snapshot", "small")
    running = project.start("fine_tuned_model", RUN)
    work = project.store.path(f"work/{undisturbed.model_id}")
    trainer = wait_for_checkpoint(work, running)
    os.killpg(running.pid, number)
    time.sleep(apart)
    os.killpg(running.pid, number)
    output, _ = running.communicate(timeout=60)
    assert running.returncode != 0, output
    deadline = time.monotonic() + 30
    while os.path.exists(f"/proc/{trainer}") and time.monotonic() < deadline:  # noqa: PTH110
        time.sleep(0.1)
    assert not project.store.exists("models")
    project.succeed("fine_tuned_model", RUN)
    pointer = project.store.read_pointer(f"runs/{RUN}.json")
    assert pointer is not None
    assert pointer["weights_sha256"] == undisturbed.weights_sha256
    manifest = project.store.manifest(f"models/{pointer['model_id']}/{pointer['weights_sha256']}")
    assert [entry["from_step"] > 0 for entry in manifest["checkpoint_chain"]] == [True]
    assert manifest["checkpoint_chain"][0]["rejected"] == []
