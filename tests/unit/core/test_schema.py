import json
from pathlib import Path

import jsonschema
import pytest

from shared.core.codec import RECORD_TYPES, encode, header
from shared.core.events import OUTCOME_STATUSES
from shared.core.schema import schemas
from tests.unit.core.golden import GOLDEN

PUBLISHED = Path(__file__).parents[3] / "docs" / "reference" / "events"


def test_the_published_schemas_are_those_of_the_code() -> None:
    """A changed record type shows in the documents (run docs/reference/events/generate.py)."""
    published = {
        file.name.removesuffix(".schema.json"): json.loads(file.read_text()) for file in PUBLISHED.glob("*.schema.json")
    }
    assert json.loads(json.dumps(dict(schemas()))) == published


@pytest.mark.parametrize("name", list(GOLDEN))
def test_a_golden_record_is_valid_by_its_schema(name: str) -> None:
    """What we write is what we say that we write."""
    record = encode(GOLDEN[name][0])
    ce_type = header(record.headers, "ce_type") or ""
    schema = schemas()["lark.card.effect.v1" if ".effect." in ce_type else ce_type]
    jsonschema.Draft202012Validator(schema).validate(json.loads(record.value))


@pytest.mark.parametrize("name", list(schemas()))
def test_a_schema_is_itself_valid_and_refuses_an_empty_record(name: str) -> None:
    """A schema that accepts anything would say nothing."""
    jsonschema.Draft202012Validator.check_schema(schemas()[name])
    assert not jsonschema.Draft202012Validator(schemas()[name]).is_valid({})


@pytest.mark.parametrize("name", list(schemas()))
def test_a_schema_allows_members_that_it_does_not_know(name: str) -> None:
    """Later versions add members, and readers of today must accept them."""
    assert "additionalProperties" not in json.dumps(schemas()[name]).replace(
        json.dumps({"additionalProperties": {"type": "string"}})[1:-1], ""
    )


def test_a_members_meaning_stands_beside_it() -> None:
    """Readers in other languages do not see our docstrings."""
    outcome = schemas()["lark.card.effect.v1"]["$defs"]["EffectOutcome"]
    assert "When the next attempt is due (ms)." == outcome["properties"]["retry_at"]["description"]
    assert "Attributes" not in outcome["description"]


def test_the_published_list_names_every_record_type() -> None:
    """Readers find the schema of what they see in a header."""
    listed = (PUBLISHED / "README.md").read_text()
    generic = {ce_type if ".effect." not in ce_type else "lark.card.effect.<status>.v1" for ce_type in RECORD_TYPES}
    assert [] == [ce_type for ce_type in sorted(generic) if f"`{ce_type}`" not in listed]
    assert [] == [status for status in OUTCOME_STATUSES if f"`{status}`" not in listed]
