"""A Dask cluster fills a store: in real worker processes, of which one dies."""

import os
import signal
from pathlib import Path

import pytest
import xarray as xr
from distributed import Client, LocalCluster

import mllm_probe.sweeps as sweeps
from mllm_probe.activations.unit_store import UnitStore
from mllm_probe.cli import main
from mllm_probe.sweeps.stored import store_inputs
from tests.sweeps.helpers import JOINABLE as SETTINGS
from tests.sweeps.helpers import random_vectors

pytestmark = pytest.mark.usefixtures("short_units")


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """Of two workers with a thread each, whose files no other run on this machine shares."""
    own = {"dashboard_address": None, "scheduler_port": 0, "local_directory": tmp_path_factory.mktemp("dask")}
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, **own) as cluster,
        Client(cluster) as connected,
    ):
        yield connected


def test_a_cluster_one_of_whose_workers_dies_gives_the_store_of_one_process(given, client, tmp_path):
    whole = sweeps.sweep(*given, **SETTINGS, store=tmp_path / "whole.zarr")
    grids = sweeps.sweep_iter(*given, **SETTINGS, store=tmp_path / "shared.zarr", client=client)
    shares = [next(grids).attrs["progress"] for _ in range(3)]
    victim = next(iter(client.run(os.getpid).values()))
    os.kill(victim, signal.SIGKILL)
    last = grids.finish()
    assert shares == sorted(shares) and last.attrs["progress"] == 1
    xr.testing.assert_identical(last.drop_attrs(), whole.drop_attrs())
    stores = [xr.open_zarr(tmp_path / name).load().drop_attrs() for name in ("shared.zarr", "whole.zarr")]
    xr.testing.assert_identical(*stores)
    status = sweeps.store_status(tmp_path / "shared.zarr", check=True)
    assert status.progress.finished and not status.damaged


def test_closing_the_iterator_takes_back_what_was_not_begun(given, client, tmp_path):
    store = tmp_path / "grid.zarr"
    grids = sweeps.sweep_iter(*given, **SETTINGS, store=store, client=client)
    next(grids)
    grids.close()
    told = sweeps.read_progress(store)
    assert 0 < told.units_done < told.units
    assert main(["work", str(store), "--scheduler", client.scheduler.address]) == 0
    assert sweeps.read_progress(store).finished


def test_an_error_of_a_worker_is_told_here(given, client, tmp_path):
    store = tmp_path / "grid.zarr"
    sweeps.sweep(*given, **SETTINGS, store=store, shard="1/50")
    (store / "inputs" / "vectors.safetensors").unlink()
    with pytest.raises(ValueError, match="lacks inputs/vectors.safetensors"):
        sweeps.sweep(*given, **SETTINGS, store=store, client=client)


def temporary_stores(client):
    """What lies in the folder of the workers' own folders that is a store's."""
    (folder,) = {Path(one).parent for one in client.run(lambda dask_worker: dask_worker.local_directory).values()}
    return sorted(folder.glob("mllm-probe-*"))


def test_without_a_store_a_temporary_one_is_shared_and_removed(given, client, tmp_path):
    whole = sweeps.sweep(*given, **SETTINGS, store=tmp_path / "whole.zarr")
    grids = sweeps.sweep_iter(*given, **SETTINGS, client=client)
    first = next(grids)
    (folder,) = temporary_stores(client)
    assert 0 < first.attrs["progress"] < 1 and UnitStore.open(folder / "grid.zarr").finished()
    grids.close()
    assert temporary_stores(client) == []
    grid = sweeps.sweep(*given, **SETTINGS, client=client)
    assert temporary_stores(client) == []
    xr.testing.assert_identical(grid.drop_attrs(), whole.drop_attrs())
    assert grid.attrs["progress"] == 1


def test_where_workers_share_no_folder_it_is_said(given, client, monkeypatch):
    monkeypatch.setattr(store_inputs, "_answer", blind)
    with pytest.raises(ValueError, match="no folder for a temporary one is seen by this process and by all workers"):
        sweeps.sweep(*given, **SETTINGS, client=client)
    assert temporary_stores(client) == []


def blind(folder, token):
    """Answer as a worker on another machine does, whose folder of this name is another one."""
    return "elsewhere"


def test_what_a_cluster_needs_is_said(given, tiny, pictures, client, tmp_path):
    with pytest.raises(TypeError, match=r"expected a dask.distributed.Client, .*got str. Install"):
        sweeps.sweep(*given, **SETTINGS, store=tmp_path / "a", client="tcp://scheduler")
    with pytest.raises(ValueError, match="which was not loaded by its name"):
        sweeps.sweep(tiny, random_vectors(tiny), pictures[:1], **SETTINGS, store=tmp_path / "b", client=client)
