"""Units done by the workers of a cluster, as they are finished.

A Dask cluster's workers are handed their units by joblib, Ray's by Ray itself: both do one again whose worker died.
"""

import socket
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from typing import Any, Literal, NamedTuple, TypeAlias

from reference.errors import InputError
from torch_mirror.doors.jobs.software import software
from torch_mirror.doors.jobs.unit import Answer, Died, Unit, work

PATIENCE = 10
"""Seconds that a cluster may take to answer."""

TIMES = 3
"""How often Ray begins a unit whose workers die."""

Kind: TypeAlias = Literal["dask", "ray"]


class Cluster(NamedTuple):
    """A cluster, and the address of what hands out its work: of Dask's scheduler, or of Ray's head node."""

    kind: Kind
    address: str


def by_cluster(units: Sequence[Unit], cluster: Cluster) -> Generator[tuple[int, Answer], None, None]:
    """The answers with the places of their units, as they come. A unit whose worker dies is done by another one.

    Raises InputError where nobody answers at the address, no worker is there, or other versions are asked than are
    installed there. Of a unit that ends every worker it meets, Ray's answer is ``Died``, and Dask's an InputError.
    """
    versions = {name: software()[name] for name in ("python", "torch-mirror", "numpy", "torch")}
    asked = [unit._replace(software=versions) for unit in units]
    by: Callable[..., Generator[tuple[int, Answer], None, None]] = by_dask if cluster.kind == "dask" else by_ray
    yield from by(asked, cluster.address)


def by_dask(units: Sequence[Unit], address: str) -> Generator[tuple[int, Answer], None, None]:
    """By the workers of the Dask cluster whose scheduler has this address."""
    from distributed import Client, KilledWorker  # noqa: PLC0415 - an extra of its own
    from joblib import Parallel, delayed, parallel_config  # noqa: PLC0415 - the same one

    try:
        client = Client(address, timeout=PATIENCE, set_as_default=False)  # type: ignore[no-untyped-call]  # it has no types
    except (OSError, TimeoutError, ValueError) as error:
        expected = "the address of a Dask scheduler that answers"
        raise InputError("--scheduler", expected, f"{address}: {error}") from error
    left = dict(enumerate(units))
    try:
        with client:
            if not client.scheduler_info()["workers"]:
                raise InputError("--scheduler", "a Dask scheduler that has workers", f"{address}, which has none")
            with parallel_config("dask", client=client):
                parallel = Parallel(batch_size=1, pre_dispatch="all", return_as="generator_unordered")
            with closing(parallel(delayed(_placed)(place, unit) for place, unit in enumerate(units))) as answers:
                for place, answer in answers:
                    del left[place]
                    yield place, answer
    except KilledWorker as error:
        names = ", ".join(unit.name for unit in left.values())
        came = f"a run that ended several: one of {names}; too little memory?"
        raise InputError("--scheduler", "workers that live until a run is judged", came) from error


def _placed(place: int, unit: Unit) -> tuple[int, Answer]:
    return place, work(unit)


def by_ray(units: Sequence[Unit], address: str) -> Generator[tuple[int, Answer], None, None]:
    """By the workers of the Ray cluster whose head node has this address, HOST:PORT; each has one core and one thread.

    Source: Ray (documentation, "Task Fault Tolerance"; "Configuring Ray": a task's OMP_NUM_THREADS is its num_cpus).
    """
    import ray  # noqa: PLC0415 - an extra of its own

    _check_answers(address)
    try:
        ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    except ConnectionError as error:
        expected = "a Ray cluster that lets this process in (Ray's own words: RAY_AUTH_MODE, RAY_AUTH_TOKEN)"
        raise InputError("--scheduler", expected, f"{address}: {error}") from error
    try:
        if not ray.cluster_resources().get("CPU"):
            raise InputError("--scheduler", "a Ray cluster that has cores", f"{address}, which has none")
        remote: Any = ray.remote(num_cpus=1, max_retries=TIMES - 1)(work)
        waiting = {remote.remote(unit): place for place, unit in enumerate(units)}
        while waiting:
            (finished,), _ = ray.wait([*waiting], num_returns=1)
            place = waiting.pop(finished)
            try:
                answer = ray.get(finished)
            except ray.exceptions.RayError:
                answer = Answer(error=Died("--scheduler", units[place].name))
            yield place, answer
    finally:
        ray.shutdown()  # which ends what was begun


def _check_answers(address: str) -> None:
    """Raise InputError where nobody listens: Ray itself asks for two minutes and ends the process then."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), PATIENCE).close()
    except (OSError, ValueError, OverflowError) as error:
        expected = "the address HOST:PORT of a Ray head node that answers"
        raise InputError("--scheduler", expected, f"{address}: {error}") from error
