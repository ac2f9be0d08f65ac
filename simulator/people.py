"""People, as far as their clicks told: by which ids they go, and in which organisation they are."""

from shared.core.ids import OpenId, TenantKey
from simulator.callbacks import Person


class People:
    """Everybody who did something."""

    def __init__(self) -> None:
        self._open_ids: dict[str, OpenId] = {}
        self._tenants: dict[OpenId, TenantKey] = {}

    def learn(self, person: Person, tenant_key: TenantKey) -> None:
        """Note somebody's ids and organisation."""
        for name in (person.open_id, person.user_id, person.union_id):
            if name:
                self._open_ids[name] = person.open_id
        self._tenants[person.open_id] = person.tenant_key or tenant_key

    def open_id_of(self, name: str) -> str:
        """Return the open id of somebody known by any id; an unknown id stands for itself."""
        return self._open_ids.get(name, name)

    def tenant_of(self, name: str) -> TenantKey | None:
        """Return somebody's organisation; ``None``: nobody knows."""
        return self._tenants.get(OpenId(self.open_id_of(name)))
