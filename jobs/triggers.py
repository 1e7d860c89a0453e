"""Which jobs a fact causes: the whole table."""

from __future__ import annotations

from jobs.cancel_conference import CancelConference
from jobs.process_provider_event import ProcessProviderEvent
from jobs.send_mail import SendMail
from meet2be.cancellations.facts import CancellationFinished, LanesReady
from meet2be.mailings.facts import MailsQueued
from meet2be.payments.facts import ProviderEventReceived
from meet2be.queueing import Triggers
from onqueue import Job


def _one_for_each_lane(fact: LanesReady) -> list[Job]:
    return [CancelConference(run=fact.run_uid, lane=lane) for lane in fact.lanes]


def _one_for_each_mail(fact: MailsQueued) -> list[Job]:
    return [SendMail(mail=mail) for mail in fact.mails]


def _to_be_processed(fact: ProviderEventReceived) -> list[Job]:
    return [ProcessProviderEvent(event=fact.event_row)]


def _nothing(_fact: CancellationFinished) -> list[Job]:
    """Nothing is done in the background when a run ends: its notices are part of its commit."""
    return []


TRIGGERS: Triggers = {
    LanesReady: _one_for_each_lane,
    MailsQueued: _one_for_each_mail,
    ProviderEventReceived: _to_be_processed,
    CancellationFinished: _nothing,
}
