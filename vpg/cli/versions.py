"""Versions of what computes a result: for ``vpg --version`` and the manifest."""

from __future__ import annotations

from importlib import metadata

DISTRIBUTION = "vpgsim"
COMPUTING = (DISTRIBUTION, "msgspec", "numpy", "pyarrow", "pydantic", "ruamel.yaml", "simpy")
UNINSTALLED = "0+uninstalled"


def version_of(distribution: str) -> str:
    """Return the version of ``distribution``; ``UNINSTALLED`` when run from a bare folder."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return UNINSTALLED
