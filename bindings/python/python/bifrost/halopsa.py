class HaloPsa:
    def __init__(self, o): pass
class AsyncHaloPsa(HaloPsa): pass
