from . import _native
class Simulators:
    def __init__(self, seed=7):
        self.native=_native.Simulators(seed)
