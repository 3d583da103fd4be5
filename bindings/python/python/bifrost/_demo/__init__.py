"""What ``bifrost demo`` runs: the example ``examples/python/onboarding.py``, word for word, and its data."""
