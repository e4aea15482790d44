"""Which versions are installed, by the metadata of the packages."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def version_of(package: str) -> str:
    """The version of an installed package; empty when it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def darkroom_version() -> str:
    """The version of darkroom itself, in words where it runs from a folder without being installed."""
    return version_of("darkroom") or "(not installed)"
