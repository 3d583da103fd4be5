from . import _native
class Simulators:
    def __init__(self, seed=7, clock=None):
        self.native=_native.Simulators(seed, None if clock is None else clock.native)
