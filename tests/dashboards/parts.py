"""Panels and queries: what all dashboards have in common."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from grafana_foundation_sdk.builders.common import VizLegendOptions
from grafana_foundation_sdk.builders.dashboard import (
    Dashboard,
    DatasourceVariable,
    QueryVariable,
    Row,
)
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.builders.stat import Panel as StatPanel
from grafana_foundation_sdk.builders.timeseries import Panel as TimeseriesPanel
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import LegendDisplayMode, LegendPlacement
from grafana_foundation_sdk.models.dashboard import (
    DataSourceRef,
    VariableRefresh,
    VariableSort,
)

SOURCE: Final = DataSourceRef(type_val="prometheus", uid="${datasource}")
WIDTH: Final = 24
"""Columns of a dashboard."""
_STAT_HEIGHT: Final = 4
_CHART_HEIGHT: Final = 8


@dataclass(frozen=True, slots=True)
class Shown:
    """One panel: its title, what it tells, its queries by their legend, and its unit."""

    title: str
    tells: str
    queries: Mapping[str, str]
    unit: str = "short"


@dataclass(frozen=True, slots=True)
class Board:
    """One dashboard: rows of numbers and charts."""

    uid: str
    title: str
    tells: str
    rows: Mapping[str, Sequence[Shown]]
    by_hook: bool = False

    def write(self) -> str:
        """The dashboard as Grafana imports it."""
        made = (
            Dashboard(self.title)
            .uid(self.uid)
            .description(self.tells)
            .tags(["hookstream"])
            .time("now-3h", "now")
            .refresh("30s")
            .readonly()
            .with_variable(DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
            .with_variable(_variable("job", "Installation", "label_values(hookstream_hooks, job)"))
        )
        if self.by_hook:
            query = 'label_values(hookstream_deliveries_total{job="$job"}, hook)'
            made = made.with_variable(_variable("hook", "Hook", query))
        for title, panels in self.rows.items():
            made = made.with_row(Row(title))
            for panel in panels:
                made = made.with_panel(_panel(panel, WIDTH // len(panels)))
        text: str = JSONEncoder(sort_keys=True, indent=2).encode(made.build())
        return text + "\n"


def _variable(name: str, label: str, query: str) -> QueryVariable:
    return (
        QueryVariable(name)
        .label(label)
        .query(query)
        .datasource(SOURCE)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
    )


def _panel(shown: Shown, width: int) -> StatPanel | TimeseriesPanel:
    """A number if the only query has no legend, else a chart."""
    made: StatPanel | TimeseriesPanel
    if "" in shown.queries:
        made = StatPanel().height(_STAT_HEIGHT)
    else:
        legend = VizLegendOptions().display_mode(LegendDisplayMode.LIST)
        made = TimeseriesPanel().height(_CHART_HEIGHT).min(0.0).fill_opacity(10.0)
        made = made.legend(legend.placement(LegendPlacement.BOTTOM).show_legend(True))
    made = made.title(shown.title).description(shown.tells).unit(shown.unit).span(width)
    made = made.datasource(SOURCE)
    for number, (legend_format, expression) in enumerate(shown.queries.items()):
        query = Dataquery().expr(expression).legend_format(legend_format).ref_id(chr(65 + number))
        made = made.with_target(query.datasource(SOURCE).range())
    return made
