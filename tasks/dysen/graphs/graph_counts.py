"""What the graphs of a set have, counted one by one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby

from tasks.dysen.graphs.dynamic_scene_graph import DynamicSceneGraph, SceneGraph, attribute_key, triplet_key

_SCENE = "scene"


def _runs(ticks: Sequence[SceneGraph]) -> Iterator[tuple[SceneGraph, int]]:
    """Each tick with how often the same object stands there in a row: equal ticks mostly are one object."""
    for _, same in groupby(ticks, key=id):
        run = list(same)
        yield run[0], len(run)


class GraphCounts:
    """Sums over dynamic scene graphs."""

    def __init__(self) -> None:
        self._graphs = self._without_events = self._ticks = self._entities = self._lives = 0
        self._objects = self._attributes = self._triplets = 0

    def add(self, graph: DynamicSceneGraph) -> None:
        """Counts one more graph."""
        lives: Counter[str] = Counter()
        attributes: set[tuple[str, str]] = set()
        triplets: set[tuple[str, str, str]] = set()
        for tick, length in _runs(graph.ticks):
            lives.update(dict.fromkeys(tick.objects, length))
            attributes.update(map(attribute_key, tick.attributes))
            triplets.update(map(triplet_key, tick.triplets))
        self._graphs += 1
        self._without_events += not graph.events
        self._ticks += len(graph.ticks)
        self._objects += len(lives)
        self._attributes += len(attributes)
        self._triplets += len(triplets)
        lives.pop(_SCENE, None)
        self._entities += len(lives)
        self._lives += lives.total()

    def metrics(self) -> dict[str, float]:
        """How many graphs there are, and how many without events; means of distinct items per graph.

        `ticks_of_an_object` is the mean number of ticks at which an object is there, the scene itself left out.
        """
        graphs = max(self._graphs, 1)
        return {
            "graphs": self._graphs,
            "without_events": self._without_events,
            "ticks": self._ticks / graphs,
            "objects": self._objects / graphs,
            "attributes": self._attributes / graphs,
            "triplets": self._triplets / graphs,
            "ticks_of_an_object": self._lives / max(self._entities, 1),
        }
