from simulators.provider.forms import parse_form


def test_plain_parameters_are_texts() -> None:
    assert parse_form("amount=100&currency=eur") == {"amount": "100", "currency": "eur"}


def test_brackets_make_nested_dictionaries() -> None:
    assert parse_form("metadata[refund]=r1&metadata[run]=7&created[gte]=5") == {
        "metadata": {"refund": "r1", "run": "7"},
        "created": {"gte": "5"},
    }


def test_empty_brackets_and_numbers_make_lists_in_order() -> None:
    assert parse_form("expand[]=charge&expand[]=payment_intent") == {
        "expand": ["charge", "payment_intent"]
    }
    assert parse_form("expand[0]=a&expand[1]=b") == {"expand": ["a", "b"]}


def test_empty_values_are_kept_and_text_is_decoded() -> None:
    assert parse_form("metadata[gone]=&metadata[name]=M%C3%BCller+%26+S%C3%B6hne") == {
        "metadata": {"gone": "", "name": "Müller & Söhne"}
    }
