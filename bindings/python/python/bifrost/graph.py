class Graph:
    def __init__(self, o): pass
class AsyncGraph(Graph): pass
