"""Fixtures for tests of workflows; pytest finds them by itself where the package is installed."""
