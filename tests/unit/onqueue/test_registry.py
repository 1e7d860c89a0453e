"""Names on the wire."""

import pytest

from onqueue import Job, registry
from onqueue.errors import JobDefinitionError, UnknownJob
from onqueue.job import JobMeta
from onqueue.payload import plan_of


class SendLetter(Job):
    name = "letters.send"

    def handle(self) -> None: ...


def test_a_class_is_found_by_its_name_on_the_wire() -> None:
    assert registry.job_class_of("letters.send") is SendLetter
    assert ("letters.send", SendLetter) in list(registry.registered())


def test_a_former_name_still_leads_to_the_class() -> None:
    registry.alias("letters.mail", SendLetter)
    assert registry.job_class_of("letters.mail") is SendLetter


def test_an_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(UnknownJob, match=r"'letters\.sent', did you mean 'letters\.send'"):
        registry.job_class_of("letters.sent")


def test_two_classes_cannot_bear_one_name() -> None:
    with pytest.raises(JobDefinitionError, match=r"borne by .*SendLetter and .*Other"):

        class Other(Job):
            __qualname__ = "Other"  # as that of a class outside of a function
            name = "letters.send"

            def handle(self) -> None: ...


def test_a_module_that_is_imported_anew_replaces_its_classes() -> None:
    again = JobMeta(
        "SendLetter",
        (Job,),
        {
            "__module__": SendLetter.__module__,
            "__qualname__": SendLetter.__qualname__,
            "name": "letters.send",
            "handle": lambda _self: None,
        },
    )
    assert registry.job_class_of("letters.send") is again
    registry.register("letters.send", SendLetter)


def test_a_subclass_does_not_inherit_the_name() -> None:
    class SendCard(SendLetter):
        def handle(self) -> None: ...

    assert registry.job_class_of("SendCard") is SendCard
    assert (SendLetter.name, SendCard.name) == ("letters.send", "SendCard")


def test_a_class_that_nobody_registered_cannot_be_dispatched() -> None:
    """C52."""

    class Letter(Job, abstract=True):
        def handle(self) -> None: ...

    with pytest.raises(JobDefinitionError, match=r"Letter cannot be dispatched: nobody registered"):
        plan_of(Letter)


def test_a_class_whose_name_another_one_has_taken_cannot_be_dispatched() -> None:
    def first() -> type[Job]:
        class Draft(Job):
            def handle(self) -> None: ...

        return Draft

    def second() -> type[Job]:
        class Draft(Job):
            def handle(self) -> None: ...

        return Draft

    stranded, known = first(), second()
    assert plan_of(known).job_class is known
    with pytest.raises(JobDefinitionError, match=r"its name 'Draft' leads to .*second"):
        plan_of(stranded)
