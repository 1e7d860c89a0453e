"""Previews as they are kept with a run, by this release and by those beside it in a deploy."""

from datetime import UTC, datetime

from meet2be.cancellations.preview import Preview

KEPT = Preview(
    "hash", datetime(2026, 5, 1, tzinfo=UTC), 2, {"refund": 2}, {"EUR": 100}, {}, {}, 1, 0, 0,
    postage_minor={"EUR": 390},
)  # fmt: skip


def test_a_preview_is_read_as_it_was_kept() -> None:
    assert Preview.from_json(KEPT.to_json()) == KEPT


def test_a_preview_of_the_release_after_or_before_is_read_too() -> None:
    kept = KEPT.to_json()
    assert Preview.from_json({**kept, "of_a_later_release": 1}) == KEPT
    del kept["postage_minor"]
    assert Preview.from_json(kept).sent_minor == {"EUR": 100}
