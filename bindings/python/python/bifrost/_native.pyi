"""The native half of the package. Private: import from `bifrost` instead."""

__version__: str
