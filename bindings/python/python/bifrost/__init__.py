"""Bifrost Hub: durable workflows for Managed Service Providers as plain Python functions."""

from bifrost._native import __version__

__all__ = ["__version__"]
