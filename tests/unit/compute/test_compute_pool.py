"""Work in other processes: results and errors come back, a death is survived, nothing goes unprotected."""

import math
import os
import signal
from concurrent.futures.process import BrokenProcessPool

import pytest

from pulsed import compute
from pulsed.compute.pool import ONE_THREAD
from pulsed.model.errors import ConfigError, NotFoundError


@pytest.fixture(scope="module")
def workers():
    pool = compute.Workers(compute.PoolSettings(workers=2))
    yield pool
    pool.close()


def test_results_come_back_from_another_process(workers):
    futures = [workers.submit(math.factorial, n) for n in range(20)]
    assert [future.result() for future in futures] == [math.factorial(n) for n in range(20)]
    assert workers.submit(os.getpid).result() != os.getpid()


def test_errors_come_back(workers):
    future = workers.submit(math.sqrt, -1)
    with pytest.raises(ValueError, match="domain"):
        future.result()
    raised = workers.submit(os.stat, "/no/such/file")
    assert isinstance(raised.exception(), FileNotFoundError)


def test_an_error_of_ours_keeps_its_parts():
    import pickle

    error = pickle.loads(pickle.dumps(NotFoundError("no such value", subject="Q0", value="f99")))
    assert (error.subject, error.value) == ("Q0", "f99")


def test_linear_algebra_has_one_thread_there_and_the_environment_here_is_left_alone(workers, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    pool = compute.Workers(compute.PoolSettings(workers=1))
    for name, value in ONE_THREAD.items():
        assert pool.submit(os.getenv, name).result() == value
    pool.close()
    assert os.environ["OMP_NUM_THREADS"] == "7"


def test_a_death_breaks_what_is_under_way_and_nothing_after():
    pool = compute.Workers(compute.PoolSettings(workers=1))
    with pytest.raises(BrokenProcessPool):
        pool.submit(signal.raise_signal, signal.SIGKILL).result()
    assert pool.submit(math.factorial, 5).result() == 120
    pool.close()
    assert pool.submit(math.factorial, 4).result() == 24, "a closed pool starts again"
    pool.close()


def test_the_pool_of_the_process(monkeypatch):
    monkeypatch.setenv("PULSED_WORKERS", "1")
    assert compute.submit(math.factorial, 3).result() == 6
    compute.close()


def test_settings_of_the_environment(tmp_path):
    environment = {"PULSED_SCHEDULER": "tls://a:1", "PULSED_TLS_CA": "x", "PULSED_WORKERS": "3"}
    assert compute.PoolSettings.from_environment(environment) == compute.PoolSettings("tls://a:1", "x", workers=3)
    with pytest.raises(ConfigError, match="PULSED_WORKERS"):
        compute.PoolSettings.from_environment({"PULSED_WORKERS": "many"})
    with pytest.raises(ConfigError, match="TLS only"):
        compute.Workers(compute.PoolSettings("tcp://a:1")).submit(math.factorial, 3)
    with pytest.raises(ConfigError, match="scheduler ca: no such file"):
        compute.Workers(compute.PoolSettings("tls://a:1", str(tmp_path / "none"))).submit(math.factorial, 3)


def test_a_map_keeps_the_order_and_goes_out_in_a_few_chunks(workers):
    tasks = []

    class Counting(compute.Workers):
        def submit(self, *args, **kwargs):
            tasks.append(args)
            return workers.submit(*args, **kwargs)

    counting = Counting(compute.PoolSettings(workers=2))
    assert counting.map(math.factorial, range(100)) == [math.factorial(n) for n in range(100)]
    sizes = [len(items) for _, _, items in tasks]
    assert sizes[0] == 25, "a quarter at once for each of two"
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] == 1
    assert len(sizes) < 20
    assert counting.map(math.factorial, (n for n in (3, 1))) == [6, 1]
    assert counting.map(math.factorial, []) == []


def test_a_map_raises_the_error_of_the_first_item_that_has_one(workers):
    with pytest.raises(ValueError, match="domain"):
        workers.map(math.sqrt, [1.0] * 20 + [-1.0] + [1.0] * 20)


def test_a_map_by_the_pool_of_the_process(monkeypatch):
    monkeypatch.setenv("PULSED_WORKERS", "1")
    assert compute.map(math.factorial, [3, 4]) == [6, 24]
    compute.close()
