class Http:
    def __init__(self, o): pass
class AsyncHttp(Http): pass
