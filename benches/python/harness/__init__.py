"""What run.py is made of: environments to run in, processes that end, and figures told."""
