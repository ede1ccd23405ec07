"""All pages of the panel, put together."""

from typing import Protocol

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
from consumer.panel.pages.hook_delete_page import HookDeletePage
from consumer.panel.pages.hook_form_page import HookFormPage
from consumer.panel.pages.hook_page import HookPage
from consumer.panel.pages.hook_writes import HookWrites
from consumer.panel.pages.hooks_page import HooksPage
from consumer.panel.pages.pages import Pages
from consumer.panel.pages.reports_page import ReportsPage
from consumer.panel.pages.system_pages import SystemPages
from consumer.panel.pages.trial_page import TrialPart
from consumer.services.sealing import Seal


class Changes(HookChanges, HookWrites, Protocol):
    """All writes of hooks."""


def make_pages(
    data: Data,
    changes: Changes,
    trial: TrialPart,
    day: DayReports,
    gate: Gate,
    *,
    clock: Clock,
    live: bool,
    seal: Seal | None,
) -> Pages:
    """The pages; `live`: whether definitions may be in the topic, and not in files only; `seal`:
    None if the settings have no key for secrets.
    """
    parts = (
        SystemPages(data, clock, live=live),
        HooksPage(data, day, live=live),
        HookDeletePage(data, changes, live=live),
        HookPage(data, day, live=live),
        HookActionsPage(data, changes),
        DeliveriesPage(data),
        DeliveryPageView(data),
        ReportsPage(data, day),
        DeadLettersPage(data, clock),
        EventsPage(data),
        ComposePage(data),
    )
    form = HookFormPage(data, changes, seal, live=live)
    routes = [
        *map(trial.beside, form.routes()),
        *trial.routes(),
        *(route for part in parts for route in part.routes()),
    ]
    return Pages(routes, gate, clock)
