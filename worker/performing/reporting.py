"""What is done with every turn's result: it is settled, measured, told in a line, and traced."""

from shared.observability.traces import Traces
from worker.meter import Meter
from worker.performing.lines import write_lines
from worker.performing.settle import Settler
from worker.performing.spans import trace_outcomes
from worker.performing.turn import Result


class Reporting:
    """Takes results, of whatever kind of turn."""

    def __init__(self, settler: Settler, meter: Meter, traces: Traces | None = None) -> None:
        self._settler, self._meter, self._traces = settler, meter, traces

    def put(self, came_to: Result, *, api: str | None = None) -> None:
        """
        Take a result.

        Args:
            api: What was called, if anything was.
        """
        # First of all: a call whose settlement is not put is made again.
        self._settler.put(came_to.settlement)
        for head, outcome in came_to.outcomes:
            self._meter.outcome(head, outcome, followed=came_to.followed)
        write_lines(came_to)
        if self._traces is not None:
            trace_outcomes(self._traces, came_to, api)
