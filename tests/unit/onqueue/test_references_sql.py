"""SQLAlchemy models as arguments: the class and the key travel, the row of the day comes back."""

from collections.abc import Iterator

import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.pool import StaticPool

from onqueue.errors import MissingModel
from onqueue.references import fetch, reference_of
from onqueue.references_sql import register_models


class Base(DeclarativeBase):
    pass


class Reader(Base):
    __tablename__ = "readers"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Seat(Base):
    __tablename__ = "seats"
    tenant_id: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)


@pytest.fixture
def session() -> Iterator[Session]:
    engine = create_engine("sqlite://", poolclass=StaticPool)
    Base.metadata.create_all(engine)
    with Session(engine) as made:
        register_models(Base, lambda: made)
        yield made
    engine.dispose()


def key_of(model: object) -> object:
    reference = reference_of(type(model))
    assert reference is not None
    return reference.to_ref(model)


def test_a_model_travels_as_its_key_and_comes_back_as_it_is_now(session: Session) -> None:
    """K80."""
    reader = Reader(id=7, name="Ada")
    session.add(reader)
    session.commit()
    key = key_of(reader)
    reader.name = "Grace"
    session.commit()
    session.expunge_all()
    assert key == 7
    assert fetch("Reader", key, {}).name == "Grace"


def test_a_key_of_several_columns_travels_in_their_order(session: Session) -> None:
    session.add(Seat(tenant_id="acme", number=3))
    session.commit()
    assert key_of(session.get(Seat, ("acme", 3))) == ["acme", 3]
    assert fetch("Seat", ["acme", 3], {"Seat": Seat}).number == 3


def test_a_row_that_is_gone_is_a_missing_model(session: Session) -> None:
    with pytest.raises(MissingModel, match="Reader 8 no longer exists"):
        fetch("Reader", 8, {})


@pytest.mark.parametrize("is_added", [True, False])
def test_a_model_without_a_key_says_what_to_do(session: Session, is_added: bool) -> None:
    reader = Reader(name="Ada")
    if is_added:
        session.add(reader)
    with pytest.raises(ValueError, match="this Reader has no primary key yet: add and flush it"):
        key_of(reader)


def test_a_detached_model_keeps_its_key(session: Session) -> None:
    reader = Reader(id=9, name="Ada")
    session.add(reader)
    session.commit()
    session.expunge(reader)
    assert key_of(reader) == 9
