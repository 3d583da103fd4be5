from __future__ import annotations

import datetime as dt
import pickle

from bifrost.graph import User
from bifrost.halopsa import Ticket

RAW = {
    "id": "1",
    "displayName": "Zoë",
    "createdDateTime": "2026-01-02T03:04:05.1234567Z",
    "businessPhones": ["+41"],
    "assignedLicenses": [{"skuId": "a", "disabledPlans": []}],
    "extension_x": {"a": 1},
}


def test_unknown_fields_survive_the_way_there_and_back() -> None:
    user = User.from_dict(RAW)
    assert user.created_date_time == dt.datetime(2026, 1, 2, 3, 4, 5, 123456, dt.timezone.utc)
    assert user.extra == {"extension_x": {"a": 1}}
    written = user.to_dict()
    assert written["createdDateTime"] == "2026-01-02T03:04:05.123Z"
    assert written["extension_x"] == {"a": 1}
    assert written["assignedLicenses"] == [{"skuId": "a"}]
    assert User.from_dict(written).assigned_licenses == user.assigned_licenses
    assert pickle.loads(pickle.dumps(user)) == user


def test_missing_fields_and_nulls_are_empty() -> None:
    user = User.from_dict({"id": "1", "businessPhones": None, "mail": None})
    assert (user.mail, user.business_phones, user.extra) == (None, [], {})
    assert user.to_dict() == {"id": "1"}


def test_a_repr_is_short() -> None:
    assert repr(User.from_dict(RAW)) == "User(id='1', display_name='Zoë')"
    assert repr(Ticket(id=7, summary="Hello", status_id=1)) == "Ticket(id=7, summary='Hello', status_id=1)"
