"""All pages of the panel, put together."""

from consumer.clock import Clock
from consumer.panel.gate import Gate
from consumer.panel.pages.compose_page import ComposePage
from consumer.panel.pages.data import Data
from consumer.panel.pages.day_reports import DayReports
from consumer.panel.pages.dead_letters_page import DeadLettersPage
from consumer.panel.pages.deliveries_page import DeliveriesPage
from consumer.panel.pages.delivery_page import DeliveryPageView
from consumer.panel.pages.events_page import EventsPage
from consumer.panel.pages.hook_actions import HookActionsPage, HookChanges
from consumer.panel.pages.hook_page import HookPage
from consumer.panel.pages.hooks_page import HooksPage
from consumer.panel.pages.pages import Pages
from consumer.panel.pages.reports_page import ReportsPage
from consumer.panel.pages.system_pages import SystemPages


def make_pages(
    data: Data, changes: HookChanges, day: DayReports, gate: Gate, clock: Clock, *, live: bool
) -> Pages:
    """The pages; `live`: whether definitions may be in the topic, and not in files only."""
    parts = (
        SystemPages(data, clock, live=live),
        HooksPage(data, day, live=live),
        HookPage(data, day, live=live),
        HookActionsPage(data, changes),
        DeliveriesPage(data),
        DeliveryPageView(data),
        ReportsPage(data, day),
        DeadLettersPage(data, clock),
        EventsPage(data),
        ComposePage(data),
    )
    return Pages([route for part in parts for route in part.routes()], gate, clock)
