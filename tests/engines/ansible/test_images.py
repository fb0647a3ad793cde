"""Images and a Compose file on a real host: Debian with systemd and its own Podman, over SSH.

The images are made on the host from a static BusyBox, under the names that the golden lab `images` has: one that is
there is not pulled. Nested containers ask three things of the host: a storage that is no overlay itself; a whole view
of /proc (the host's own has its settings covered), without which the kernel gives no user namespace another one; and
shared mounts, as systemd has them on a machine, else Podman does not find the network of its first container again.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from blumeops.checks.check import check_folder
from blumeops.render.ansible import render
from tests.engines.host.fixtures import MARKS, skip_without_means
from tests.engines.host.machine import TestHost
from tests.engines.host.playbook import Result
from tests.engines.op.store import make_store

pytestmark = [*MARKS, pytest.mark.slow, pytest.mark.xdist_group("ansible")]

LAB = Path(__file__).resolve().parents[2] / "golden" / "ansible" / "labs" / "images"
FIRST_USER = 0x70000000
NASTY = "a{{ 7 * 7 }}{% raw %}\\'\"$HOME `id` %h\t;#é\\"
SECRETS = {
    "op://images/web/token": NASTY, "op://images/photos/db-password": "ed1bbd22d4fb6dc0",
    "op://images/reader/database-password": "5b8b5a0b1f3f7e64", "op://images/reader/key": "a key\n",
    "op://images/client/database-password": "0c6b4b1a9fd05f5e",
}  # fmt: skip
UNITS = ("web", "photos", "photos-db", "reader", "store", "notes", "client")
SERVE = """\
#!/bin/sh
KEPT=${KEPT:-/data}
trap 'echo TERM >> $KEPT/ends; exit 0' TERM
trap 'echo INT >> $KEPT/ends; exit 0' INT
[ "$(id -u)" != 0 ] || { chown 999 $KEPT; exec su -s /bin/sh db -c 'exec sh /serve "$@"' sh "$@"; }
mkdir -p /tmp/www && echo "$VERSION $(id -u)" "$@" > /tmp/www/index.html
echo "version $VERSION"
echo started >> $KEPT/ready
httpd -f -p "${PORT:-8080}" -h /tmp/www &
wait
"""
MAKE = """\
set -eu
mkdir -p /var/lib/containers /root/image/bin /root/image/etc /root/image/tmp /root/image/data
cat > /root/image/serve
mount --make-rshared /
mount -t tmpfs storage /var/lib/containers
mkdir /run/whole-proc
mount -t proc proc /run/whole-proc
apt-get -q -y install busybox-static podman >/dev/null
cd /root/image
chmod 1777 tmp
cp /bin/busybox bin/
for name in sh httpd cat chown cp env id ls mkdir nc sleep su test touch wget; do ln -s busybox bin/$name; done
printf 'root:x:0:0::/:/bin/sh\\nweb:x:1234:4321::/:/bin/sh\\ndb:x:999:999::/:/bin/sh\\n' > etc/passwd
printf 'root:x:0:\\nweb:x:4321:\\ndb:x:999:\\n' > etc/group
make() {
    tar -c . | podman import --change 'ENV PATH=/bin' --change 'ENTRYPOINT ["/bin/sh", "/serve"]' "$@"
}
make --change 'ENV VERSION=one' --change 'USER web' - registry.example.org/web:1
make --change 'ENV VERSION=two' --change 'USER 1234:4321' - registry.example.org/web:2
make --change 'ENV VERSION=db' - registry.example.org/db:11
"""


@dataclass(frozen=True)
class Operator:
    """Somebody with a lab and a host."""

    host: TestHost
    folder: Path

    def runs(self, lab: Path, *arguments: str, check: bool = True) -> Result:
        """One run of the lab's playbook; no secret is in what it prints."""
        checked = check_folder(lab)
        assert checked.passed, checked.findings
        out = self.folder / lab.name
        render(checked.passed).write(out)
        ansible = out / "ansible"
        (ansible / "host_vars").mkdir(exist_ok=True)
        (ansible / "host_vars/server.json").write_text(json.dumps(self.host.inventory_vars(user="ops")))
        result = self.host.ansible_playbook(
            ansible / "server.yml", ansible / "inventory.yml", "--diff", *arguments, check=check
        )
        for secret in SECRETS.values():
            assert secret.strip() not in result.stdout + result.stderr
        return result

    def asks(self, *argv: str) -> str:
        """What a command of the host prints."""
        return self.host.run(list(argv)).stdout

    def within(self, container: str, *argv: str) -> str:
        """What a command within a container prints."""
        return self.asks("podman", "exec", f"images-{container}", *argv)

    def page(self, port: int) -> str:
        """What a service answers on the host's loopback."""
        return self.asks("busybox", "wget", "-q", "-O", "-", f"http://127.0.0.1:{port}/")


@dataclass(frozen=True)
class Applied:
    """The lab, applied: in check mode on a host without Podman, for real, and once more."""

    operator: Operator
    dry: Result
    first: Result
    again: Result


@pytest.fixture(scope="module")
def applied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Applied]:
    """A host with the images, and the lab on it."""
    skip_without_means()
    store = make_store(tmp_path_factory.mktemp("store"), SECRETS)
    with pytest.MonkeyPatch.context() as patch, TestHost("server") as host:
        patch.setenv("PATH", store.search)
        operator = Operator(host, tmp_path_factory.mktemp("operator"))
        dry = operator.runs(LAB, "--check")
        assert host.run(["test", "-e", "/etc/web"], check=False).returncode == 1
        host.run(["apt-get", "-q", "update"])
        host.run(["sh", "-c", MAKE], input=SERVE, seconds=300)
        yield Applied(operator, dry, operator.runs(LAB), operator.runs(LAB))


def test_check_mode_shows_what_would_be_done(applied: Applied) -> None:
    """On a host without Podman a dry run ends well and shows the units."""
    assert applied.dry.code == 0
    assert "+ExecStart=podman run" in applied.dry.stdout
    assert {f"{name} : Write the unit" for name in UNITS} < set(applied.dry.changed_tasks)


def test_every_service_runs(applied: Applied) -> None:
    """Each unit is active and enabled, and answers on the loopback; the image's user is known by name or number."""
    assert applied.first.failed == 0
    asks = applied.operator.asks
    assert asks("systemctl", "is-active", *UNITS).split() == ["active"] * len(UNITS)
    assert asks("systemctl", "is-enabled", *UNITS).split() == ["enabled"] * len(UNITS)
    assert asks("systemctl", "--failed", "--no-legend") == ""
    assert applied.operator.page(8080) == "one 1234\n"
    assert applied.operator.page(8081) == "one 1234\n"
    assert applied.operator.page(8082) == "one 1234\n"


def test_a_second_run_changes_nothing(applied: Applied) -> None:
    """Nothing is pulled, handed over or restarted again."""
    assert (applied.again.changed, applied.again.changed_tasks, applied.again.failed) == (0, (), 0)


def test_no_image_is_anybody_on_the_host(applied: Applied) -> None:
    """Its processes are users that the host has not, with no rights, in the unit's own group; its state is theirs."""
    asks = applied.operator.asks
    pid = asks("podman", "inspect", "--format", "{{.State.Pid}}", "images-web").strip()
    status = asks("cat", f"/proc/{pid}/status")
    assert f"Uid:\t{FIRST_USER + 1234}\t" in status
    assert "CapEff:\t0000000000000000\n" in status
    assert "NoNewPrivs:\t1\n" in status
    assert "0::/system.slice/web.service" in asks("cat", f"/proc/{pid}/cgroup").splitlines()
    kept = ("/var/lib/web/data", "/var/lib/photos-db/kept", "/var/lib/reader/kept")
    owners = [str(FIRST_USER + number) for number in (1234, 999, 1234)]
    assert asks("stat", "-c", "%u", *kept).split() == owners
    assert applied.operator.host.run(["podman", "exec", "images-web", "touch", "/x"], check=False).returncode != 0


def test_secrets_are_handed_over_and_seen_by_nobody(applied: Applied) -> None:
    """The very value is in the container, under a name of the client's own too; it is in no unit and no argument."""
    asks, within = applied.operator.asks, applied.operator.within
    env = within("web", "env").splitlines()
    assert {f"TOKEN={NASTY}", f"DOCKER_TOKEN={NASTY}", 'GREETING=a "b" $HOME'} < set(env)
    assert within("reader", "cat", "/kept/key") == "a key\n"
    seen = asks("systemctl", "show", *UNITS) + asks("ps", "-eo", "args") + asks("podman", "ps", "--all", "--no-trunc")
    assert not [secret for secret in SECRETS.values() if secret.strip() in seen]
    assert asks("stat", "-c", "%a %U", "/etc/web/env", "/etc/web/env.podman") == "600 root\n600 root\n"


def test_parts_of_one_file_find_each_other(applied: Applied) -> None:
    """By the names that they have in it; the database has no port outside, and its arguments are the file's."""
    assert applied.operator.within("photos", "wget", "-q", "-O", "-", "http://db:5432/") == "db 999 quiet\n"
    after = applied.operator.asks("systemctl", "show", "--property=After", "--value", "photos").split()
    assert "photos-db.service" in after


def test_a_neighbour_on_the_loopback_is_reached(applied: Applied) -> None:
    """By the one service that uses it, and by no other image."""
    within = applied.operator.within
    store = within("reader", "sh", "-c", "echo $STORE").strip()
    assert store == "10.0.2.2:8090"
    assert "env" in within("reader", "wget", "-q", "-O", "-", f"http://{store}/")
    refused = ["podman", "exec", "images-web", "wget", "-q", "-T", "3", "-O", "-", "http://10.88.0.1:8090/"]
    assert applied.operator.host.run(refused, check=False).returncode != 0


def test_nothing_listens_beyond_the_loopback(applied: Applied) -> None:
    """All callers are on the host."""
    listening = applied.operator.asks("ss", "-ltnH").splitlines()
    wide = {line.split()[3].rpartition(":")[2] for line in listening if not line.split()[3].startswith("127.0.0.1:")}
    assert wide - {"53"} == {"22"}  # the names of a Compose file's network are answered on its bridge


def test_lines_are_in_the_journal_of_the_unit(applied: Applied) -> None:
    """As the program printed them, under the service's name."""
    lines = applied.operator.asks("journalctl", "--unit=web", "--identifier=web", "--output=cat")
    assert "version one" in lines.splitlines()


def test_a_provider_in_a_container_makes_databases_there(applied: Applied) -> None:
    """By a command within it, once, with what it reads and the password that only its environment has."""
    operator = applied.operator
    assert operator.within("notes", "cat", "/data/made") == "0c6b4b1a9fd05f5e\ncreate it\n"
    assert operator.within("client", "sh", "-c", "wget -q -O - http://$NOTES/") == "db 999\n"
    assert "client : Make the database of client in notes" in applied.first.changed_tasks


def test_a_job_runs_at_its_time(applied: Applied) -> None:
    """Its timer is on, and a run leaves no container."""
    asks = applied.operator.asks
    assert asks("systemctl", "is-active", "sweep.timer") == "active\n"
    asks("systemctl", "start", "sweep.service")
    assert "web:x:1234" in asks("cat", "/var/lib/sweep/kept/swept")
    assert "images-sweep" not in asks("podman", "ps", "--all")


@dataclass(frozen=True)
class Changes:
    """What two changes did: a program killed, then another image."""

    restarts: str
    firewall: str
    """Once it was started again six times, after its program or conmon was killed, or because somebody said so."""
    image: Result
    page: str
    kept: str
    pids: tuple[str, str]


@pytest.fixture(scope="module")
def changes(applied: Applied, tmp_path_factory: pytest.TempPathFactory) -> Changes:
    """A program is killed, then the image gets another tag. Its folder is root's again, and what hands it over was
    killed half-way once."""
    operator, lab = applied.operator, tmp_path_factory.mktemp("changed") / "images"
    pid = ("systemctl", "show", "--property=MainPID", "--value", "photos-db")
    operator.asks("podman", "kill", "--signal=KILL", "images-web")
    operator.asks(
        "sh", "-c", "for i in $(seq 100); do podman exec images-web test -d / && exit; sleep 0.2; done; exit 1"
    )
    restarts = operator.asks("systemctl", "show", "--property=NRestarts", "--value", "web").strip()
    for way in ("systemctl restart web", "podman kill images-web", "kill -9 $(systemctl show -P MainPID web)"):
        again = "systemctl reset-failed web; systemctl start web"
        operator.asks("sh", "-c", f"{way}; sleep 0.3; {again}; {way}; sleep 0.3; {again}")
    firewall = operator.asks("nft", "list", "ruleset")
    before = operator.asks(*pid)
    shutil.copytree(LAB, lab)
    services = lab / "services/services.yaml"
    services.write_text(services.read_text().replace("web:1", "web:2"))
    operator.asks("chown", "root:root", "/var/lib/web/data")
    operator.asks("podman", "create", "--name=images-web-owner", "registry.example.org/web:1")
    image = operator.runs(lab)
    kept = operator.asks("cat", "/var/lib/web/data/ready", "/var/lib/web/data/ends")
    return Changes(restarts, firewall, image, operator.page(8080), kept, (before, operator.asks(*pid)))


def test_a_killed_program_is_started_again(changes: Changes) -> None:
    """By systemd, as any unit is."""
    assert changes.restarts == "1"


def test_nothing_of_ended_containers_is_left_in_the_firewall(changes: Changes) -> None:
    """Else the port would lead to an address that nobody has any more."""
    assert changes.firewall.count("tcp dport 8080 dnat") == 1


def test_another_image_restarts_its_service_alone(changes: Changes) -> None:
    """The unit is written and restarted; the program was told to end, and finds its state."""
    assert changes.image.changed_tasks == (
        "web : Write the unit", "web : Give them to the user of the image", "web : Restart web.service",
    )  # fmt: skip
    assert changes.page == "two 1234\n"
    assert changes.kept.count("started\n") == 9
    assert changes.kept.endswith("TERM\n")
    assert changes.pids[0] == changes.pids[1]


def test_a_stopped_service_leaves_nothing(changes: Changes, applied: Applied) -> None:
    """Its signal is the one that its file names, and no container is left."""
    asks = applied.operator.asks
    asks("systemctl", "stop", "photos-db")
    assert asks("cat", "/var/lib/photos-db/kept/ends") == "INT\n"
    assert "images-photos-db" not in asks("podman", "ps", "--all")
