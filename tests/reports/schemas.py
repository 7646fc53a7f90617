"""Whether JSON is as its schema says, and says nothing that its schema does not describe."""

import json
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator


def fits(value: Any, schema: dict[str, Any]) -> bool:
    """Whether it is as the schema says, and no object has a key that is undescribed: a reader may know more, we not."""
    return _validator(json.dumps(schema)).is_valid(value)


@cache
def _validator(text: str) -> Draft202012Validator:
    """Of a schema, which is checked itself: that takes far longer than to check a report by it."""
    schema = json.loads(text)
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(_closed(schema))


def _closed(schema: Any) -> Any:
    """The schema, in which an object has only the properties that are named."""
    if isinstance(schema, list):
        return [_closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {key: _closed(one) for key, one in schema.items()}
    return {"additionalProperties": False} | inner if isinstance(schema.get("properties"), dict) else inner
