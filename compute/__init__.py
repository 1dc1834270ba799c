"""Heavy work that needs no instrument: ``submit(function, *args)`` gives a future, ``map(function, items)`` a list.

A pool of processes of this machine does the work, or, where a scheduler is named, Dask distributed.
"""

from pulsed.compute.pool import PoolSettings, Workers, close, map, submit

__all__ = ["PoolSettings", "Workers", "close", "map", "submit"]
