"""Which jobs a fact causes: the whole table."""

from __future__ import annotations

from jobs.cancel_conference import CancelConference, FollowLane
from jobs.export_event_attendees import ExportEventAttendees
from jobs.order_steps import order_chain
from jobs.process_event_data import DEBOUNCE, ProcessEventData
from jobs.process_provider_event import ProcessProviderEvent
from jobs.process_webhook import ProcessWebhook, SendTestWebhook
from jobs.read_import import ReadImport
from jobs.replay_webhooks import ReplayWebhooks, ResumeWebhooks
from jobs.send_alert import SendAlert
from jobs.send_mails import A_JOB, SendMails
from jobs.send_refund import SendRefund
from jobs.send_transactional_email import SendTransactionalEmail
from jobs.send_welcome_email import SendWelcomeEmail
from jobs.spread_announcements import A_JOB as ANNOUNCEMENTS
from jobs.spread_announcements import SpreadAnnouncements
from jobs.spread_notices import SpreadNotices
from jobs.start_import_step import StartImportStep
from jobs.welcome_imported import WelcomeImported
from meet2be.accounts.facts import WelcomesWanted
from meet2be.accounts.welcome import KIND as WELCOME
from meet2be.alerts.facts import AlertsWaiting
from meet2be.cancellations.facts import CancellationFinished, LanesReady
from meet2be.events.facts import EventDataStale
from meet2be.exports.facts import ExportRequested
from meet2be.imports.facts import ImportToBeRead, StepWanted, WelcomesDue
from meet2be.mailings.facts import MailPosted, MailsQueued
from meet2be.notifications.facts import NoticesWritten
from meet2be.orders.facts import OrderCanGoOn
from meet2be.payments.facts import ProviderEventReceived
from meet2be.queueing import Triggers
from meet2be.refunding.facts import RefundsOpened
from meet2be.webhooks.facts import Announced, DeliveriesReady, EndpointResumed, ReplayAsked
from onqueue import Chain, Job


def _one_for_each_lane(fact: LanesReady) -> list[Job]:
    kind = FollowLane if fact.instead else CancelConference
    return [kind(run=fact.run_uid, lane=lane) for lane in fact.lanes]


def _some_mails_each(fact: MailsQueued) -> list[Job]:
    starts = range(0, len(fact.mails), A_JOB)
    return [SendMails(mails=list(fact.mails[start : start + A_JOB])) for start in starts]


def _its_own(fact: MailPosted) -> list[Job]:
    if fact.kind == WELCOME:
        return [SendWelcomeEmail(mail=fact.mail, person=fact.person)]
    return [SendTransactionalEmail(mail=fact.mail, person=fact.person, urgent=fact.is_urgent)]


def _welcomes(fact: WelcomesWanted) -> list[Job]:
    return [SendWelcomeEmail(mail=mail, person=person) for mail, person in fact.mails]


def _heard(fact: NoticesWritten) -> list[Job]:
    return [SpreadNotices(cause=fact.dedupe_key)]


def _alerts(fact: AlertsWaiting) -> list[Job]:
    return [SendAlert(delivery=each) for each in fact.deliveries]


def _to_be_processed(fact: ProviderEventReceived) -> list[Job]:
    return [ProcessProviderEvent(event=fact.event_row)]


def _spread(fact: Announced) -> list[Job]:
    starts = range(0, len(fact.events), ANNOUNCEMENTS)
    return [SpreadAnnouncements(events=list(fact.events[at : at + ANNOUNCEMENTS])) for at in starts]


def _one_for_each_delivery(fact: DeliveriesReady) -> list[Job]:
    return [
        (SendTestWebhook if each.is_test else ProcessWebhook)(
            delivery=each.delivery, endpoint=each.endpoint, key=each.key
        )
        for each in fact.deliveries
    ]


def _read_list(fact: ImportToBeRead) -> list[Job]:
    return [ReadImport(import_uid=fact.import_uid, turn=fact.turn)]


def _start_step(fact: StepWanted) -> list[Job]:
    return [StartImportStep(import_uid=fact.import_uid, turn=fact.turn, step=fact.step)]


def _welcome_all(fact: WelcomesDue) -> list[Job]:
    return [WelcomeImported(import_uid=fact.import_uid)]


def _made(fact: ExportRequested) -> list[Job]:
    return [ExportEventAttendees(export=fact.export_uid)]


def _held_back(fact: EndpointResumed) -> list[Job]:
    return [ResumeWebhooks(endpoint=fact.endpoint)]


def _again(fact: ReplayAsked) -> list[Job]:
    return [
        ReplayWebhooks(
            user=fact.user,
            endpoint=fact.endpoint,
            statuses=list(fact.statuses),
            type=fact.type,
            since=fact.since,
            until=fact.until,
            last=fact.last,
        )
    ]


def _its_steps(fact: OrderCanGoOn) -> list[Chain]:
    return [order_chain(fact.order_uid)]


def _send_each(fact: RefundsOpened) -> list[Job]:
    return [SendRefund(refund=refund) for refund in fact.refunds]


def _anew(fact: EventDataStale) -> list[Job]:
    return [ProcessEventData(event=fact.event_uid).delay(DEBOUNCE)]


def _nothing(_fact: CancellationFinished) -> list[Job]:
    """Nothing is done in the background when a run ends: its notices are part of its commit."""
    return []


TRIGGERS: Triggers = {
    LanesReady: _one_for_each_lane,
    MailsQueued: _some_mails_each,
    MailPosted: _its_own,
    NoticesWritten: _heard,
    AlertsWaiting: _alerts,
    WelcomesWanted: _welcomes,
    ProviderEventReceived: _to_be_processed,
    CancellationFinished: _nothing,
    Announced: _spread,
    DeliveriesReady: _one_for_each_delivery,
    EndpointResumed: _held_back,
    ReplayAsked: _again,
    ImportToBeRead: _read_list,
    StepWanted: _start_step,
    WelcomesDue: _welcome_all,
    OrderCanGoOn: _its_steps,
    RefundsOpened: _send_each,
    EventDataStale: _anew,
    ExportRequested: _made,
}
