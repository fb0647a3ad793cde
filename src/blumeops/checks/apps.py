"""BLU12x: what an app needs is given, what is given to it means something."""

from __future__ import annotations

from collections.abc import Iterator

from blumeops.base.findings import Finding
from blumeops.facts.derive import Facts
from blumeops.lab.model import Lab
from blumeops.lab.validate import meant


def check(lab: Lab, facts: Facts) -> Iterator[Finding]:
    """Needs, options, secrets and lookups fit the app."""
    for name, service in lab.services.items():
        app = lab.app_of(name)
        if app is None:
            continue
        for kind, provider in app.needs.items():
            if getattr(service, kind) is None and f"{name}.{kind}" not in lab.broken:
                candidates = [other for other in lab.services if _provides(lab, other, kind)]
                hint = (
                    f"write `{kind}: {candidates[0]}`" if candidates else f"add a service that provides one: {provider}"
                )
                yield Finding("BLU120", lab.service_place(name), name, f"needs a {kind}, and none is named", hint)
        if service.database and service.database in lab.services and not _provides(lab, service.database, "database"):
            other = lab.app_of(service.database)
            if other is not None:
                place = lab.service_place(name, "database")
                yield Finding("BLU121", place, name, f"{service.database} provides no database", "name one that does")
        for given, known, word in (
            (service.options, app.options, "option"),
            (service.ports, app.ports, "port"),
            (service.secrets, _secrets(lab, name), "secret"),
        ):
            for key in given:
                if key not in known:
                    place = lab.service_place(name, f"{word}s", key, of_key=True)
                    yield Finding("BLU122", place, name, f"{app.app} has no {word} `{key}`", meant(key, known))
    for name, service in lab.services.items():
        if service.database and name.replace("-", "_").startswith(("postgres", "pg_")) and name not in lab.broken:
            message = f"its role in {service.database} would be `{name.replace('-', '_')}`, which belongs to PostgreSQL"
            yield Finding("BLU124", lab.service_place(name), name, message, "give the service another name")
    for facts_of in facts.services.values():
        for problem in facts_of.wiring.problems:
            yield Finding("BLU123", problem.place, problem.subject, problem.message, problem.hint)


def _provides(lab: Lab, service: str, kind: str) -> bool:
    app = lab.app_of(service)
    return app is not None and kind in app.provides


def _secrets(lab: Lab, name: str) -> list[str]:
    app = lab.app_of(name)
    assert app is not None
    return [*app.secrets, *(["database_password"] if lab.services[name].database else [])]
