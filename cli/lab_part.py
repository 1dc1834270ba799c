"""What `pip install pulsed` alone does not bring, and what a command that needs it says."""

from __future__ import annotations

from importlib.util import find_spec

from pulsed.model.errors import MissingPackageError

PACKAGES = {
    "scipy": "scipy", "pyvisa": "pyvisa", "pyvisa_py": "pyvisa-py", "qcodes": "qcodes", "sqlalchemy": "SQLAlchemy",
    "alembic": "alembic", "lmfit": "lmfit", "rustworkx": "rustworkx", "xarray": "xarray", "h5netcdf": "h5netcdf",
    "structlog": "structlog", "matplotlib": "matplotlib",
    "prometheus_client": "prometheus-client",
}  # fmt: skip
"""The packages of the extra ``lab``, by the name under which they are imported."""


def lab_part_missing(name: str) -> MissingPackageError:
    """Return the error that the package imported as ``name`` is missing."""
    return MissingPackageError(
        "this command needs the lab part of pulsed: pip install 'pulsed[lab]'", subject="pulsed",
        value=f"no package {PACKAGES.get(name, name)}",
    )  # fmt: skip


def require_lab_part() -> None:
    """Raise :class:`MissingPackageError` unless the lab part is installed: for commands that start other processes."""
    for name in PACKAGES:
        if find_spec(name) is None:
            raise lab_part_missing(name)


def missing_part(error: ModuleNotFoundError) -> MissingPackageError | None:
    """Return what a failed import says about the lab part; None when it is about something else."""
    name = (error.name or "").partition(".")[0]
    return lab_part_missing(name) if name in PACKAGES else None


WEB_PACKAGES = {"starlette": "starlette", "uvicorn": "uvicorn", "jinja2": "Jinja2", "multipart": "python-multipart"}
"""The packages of the extra ``web``, by the name under which they are imported."""


def require_web_part() -> None:
    """Raise :class:`MissingPackageError` unless the web part is installed."""
    for name, package in WEB_PACKAGES.items():
        if find_spec(name) is None:
            raise MissingPackageError(
                "this command needs the web part of pulsed: pip install 'pulsed[web]'", subject="pulsed",
                value=f"no package {package}",
            )  # fmt: skip
