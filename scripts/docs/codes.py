"""Every code that the source says, with its meaning; the kinds come from the code, the meanings are written here."""

from __future__ import annotations

import ast
import inspect
import re
from collections import defaultdict
from pathlib import Path

from blumeops.checks.check import CHECKS

SOURCE = Path(__file__).resolve().parents[2] / "src" / "blumeops"
KINDS = {
    "Finding": "finding", "UserError": "error", "EngineError": "engine", "Unavailable": "away", "Bug": "bug",
}  # fmt: skip

GROUPS = {
    "0": "Reading files", "1": "The model", "2": "Names and network", "3": "Order and placement", "4": "Backups",
    "5": "Secrets", "6": "The forge", "7": "Site `here`: programs, processes, the controller", "8": "Other engines",
    "9": "The ground floor, and our bugs",
}  # fmt: skip

MEANINGS = {
    "BLU001": "The text is no YAML, or holds more than one document.",
    "BLU002": "A YAML file that is too large (16 MiB), not UTF-8, nested too deep, or has aliases that grow too large.",
    "BLU003": "A key stands twice in one mapping. Keep one.",
    "BLU004": "A YAML tag (`!!x`). Tags are not read; leave it out.",
    "BLU005": "There is no lab here: no lab.yaml in the folder, or in those above it.",
    "BLU006": "A file of the lab cannot be read, or is a link that leads out of the lab's folder.",
    "BLU007": "A file below `services/` whose name is not plain, or does not end in `.yaml`, is not read.",
    "BLU008": "The folder for a new lab is a file, or is not empty. What is there is left alone.",
    "BLU101": "A field that does not exist. The hint names the nearest one.",
    "BLU102": "A field that must be there is missing.",
    "BLU103": "A value that does not fit its field: another type, not one of the choices, not the pattern.",
    "BLU104": "A service stands in two places. Keep one.",
    "BLU105": "A service's name cannot be a host name, an object and a file at once.",
    "BLU106": "A service that names no app does not say what state it keeps. `none` is an answer.",
    "BLU107": "A new lab's name, or the folder's that it is taken from, cannot be one.",
    "BLU108": "The key of a new lab would lie in the lab's own repository. It has to stay outside of Git.",
    "BLU109": "A file in `dashboards/` is no dashboard as Grafana saves it.",
    "BLU110": "A host is named that the lab does not have.",
    "BLU111": "A cluster is named that the lab does not have.",
    "BLU112": "There is no such app in the catalogue or in the lab's `apps/`.",
    "BLU113": "A service is named (a database, a registry, a forge, the proxy) that the lab does not have.",
    "BLU114": "`allow:` names neither a person, a role, a host nor a service.",
    "BLU115": "A mount names a share that no host has.",
    "BLU116": "A host's owner is not among the people.",
    "BLU120": "The app needs something, such as a database, and the service names none.",
    "BLU121": "The service that is named as database provides none.",
    "BLU122": "The app has no option or secret of that name.",
    "BLU123": "A `{{ lookup }}` means nothing, an option's value does not fit its type, or a template is malformed.",
    "BLU124": "The role of this service in its database would be one that PostgreSQL keeps to itself.",
    "BLU125": "A field of a service that nothing is made of beside its `chart:`, `manifests:` or `role:` (a warning).",
    "BLU126": "A service that runs at site `here` and has no files at `home`, such as an image on a Mac (a warning).",
    "BLU130": "A version, or an image in a manifest, that is something else every day, such as `latest`. Name one.",
    "BLU131": "A line of images.lock.yaml that is no image with its digest.",
    "BLU132": "The lab has images.lock.yaml, and an image that it runs is not in it (a warning).",
    "BLU133": "images.lock.yaml has an image that no service runs any more (a warning).",
    "BLU134": "Images cannot be locked: the lab has errors, so that nobody knows which it runs.",
    "BLU135": "A version is behind: a newer one of its kind is there (`check --live`; a warning).",
    "BLU136": "Whether a version is behind is not known: who would tell it is away (`check --live`; a note).",
    "BLU137": "A tag means something else than what `images.lock.yaml` has for it (`check --live`; a warning).",
    "BLU138": "What runs at site here is not well (a warning), or not as it is described (a note; `check --live`).",
    "BLU139": "Nobody says which plugin the proxy needs for the DNS provider, and in which version.",
    "BLU140": "A Compose file that does not fit: its form, a value, a dependency that is not there.",
    "BLU141": "A field of a Compose file that is not understood; what would be done instead is said.",
    "BLU142": "A volume that no service is given: a folder of the host, one that two parts share, a driver's.",
    "BLU143": "A variable of a Compose file that neither `env:` nor `secrets:` of its service names.",
    "BLU144": "Which part of a Compose file is routed is not clear: name its number in `ports: {http: …}`.",
    "BLU150": "A path that `manifests:`, `role:` or a chart's `values:` cannot name, or a folder too large to be read.",
    "BLU151": "A file among manifests that holds no object of Kubernetes, or a chart's values that are no mapping.",
    "BLU152": "A kustomization names what is not in its folder; what it fetches from elsewhere is a warning.",
    "BLU153": "An object of a manifest in a namespace that is not its service's; a warning where it is nobody's.",
    "BLU154": "No Service in the manifests leads to a port that the service says that it has.",
    "BLU155": "An ExternalSecret takes a whole item, so that nobody knows which secrets it reads (a warning).",
    "BLU156": "A chart without a version, or with one that is a range to Helm.",
    "BLU157": "A folder that is no Ansible role: it has no tasks.",
    "BLU158": "A pod in a manifest keeps something on a volume, and the service's `state:` does not say so.",
    "BLU159": "A variable in `ansible:` that no file of the service's role mentions (a warning).",
    "BLU201": "Two services have the same name in their addresses.",
    "BLU202": "Two services of one host listen on the same port, or a TCP route wants one that is taken.",
    "BLU203": "Two of the proxy, the forge and the DNS of site `here` want the same port.",
    "BLU204": "A service is named like an account or a folder that every host has already.",
    "BLU206": "A service is given a name that does not resolve where it runs, or that the proxy does not route. "
    "The hint names the one that works.",
    "BLU207": "A use that the lab declares has no way: a database elsewhere, a share, a machine in `allow:`.",
    "BLU208": "The proxy's `allow:` lets people reach every name behind it, some of which do not allow them.",
    "BLU209": "A service is given a name of the lab's domain or tailnet that nothing has (a warning).",
    "BLU210": "A service for people stands on a host with an owner; only a tagged host serves a Tailscale Service.",
    "BLU211": "Two things would have one name or one tag on the tailnet, or a tag that the operator has for itself.",
    "BLU212": "`allow:` names somebody's own device (a warning): its owner is let in, from any device.",
    "BLU213": "An entry of `allow:` is the name of two kinds of caller.",
    "BLU214": "The lab has a policy.hujson and no tailnet (a warning).",
    "BLU215": "A login that no user of a tailnet has, or that two people share.",
    "BLU216": "The lab's policy.hujson defines a group, tag or approver otherwise than the lab does.",
    "BLU217": "The lab's policy.hujson opens what an `allow:` leaves closed, or closes what one opens.",
    "BLU220": "The text is no HuJSON: JSON with comments and trailing commas. The hint says what is missing.",
    "BLU221": "A policy file that is too large (16 MiB), not UTF-8, nested too deep, or holds a huge number.",
    "BLU222": "A key or field stands twice in one object. Keep one.",
    "BLU223": "A field that policies do not have. The hint names the nearest one.",
    "BLU224": "A value of another type than its field takes.",
    "BLU230": "A tag that `tagOwners` does not define.",
    "BLU231": "A group that `groups` does not define. (One with an `@` comes from the identity provider.)",
    "BLU232": "A text that is no user, group, tag, autogroup, address, nor a host of `hosts`.",
    "BLU233": "There is no such autogroup.",
    "BLU234": "An IP set that `ipsets` does not define.",
    "BLU235": "A posture that `postures` does not define.",
    "BLU236": "A group, tag, host, IP set, posture or Tailscale Service whose name cannot be one.",
    "BLU237": "A group holds something else than users, such as another group.",
    "BLU238": "What should be an address or a CIDR is none.",
    "BLU239": "A selector stands where its kind may not, such as a host as the owner of a tag.",
    "BLU240": "An autogroup stands where it may not, or under its old and its new name at once.",
    "BLU241": "`autogroup:self` beside a source that is nobody's own device.",
    "BLU242": "`0.0.0.0/0` or `::/0`. Say `*` or `autogroup:internet`.",
    "BLU243": "An ACL whose `action` is not `accept`. Everything else is denied anyway.",
    "BLU244": "Ports that are none, or ports for a protocol that has none.",
    "BLU245": "A protocol that Tailscale does not know, or a domain that is not the tailnet's own.",
    "BLU246": "A grant with neither `ip` nor `app`.",
    "BLU247": "A capability's name that is none, or that only Tailscale itself may grant.",
    "BLU248": "`via` names something else than a tag.",
    "BLU250": "An SSH rule's action or `checkPeriod` that is refused; or a check of tagged sources.",
    "BLU251": "The accounts of an SSH rule are missing, or one of them is none.",
    "BLU252": "A source that SSH rules do not take, such as an address.",
    "BLU253": "A destination that SSH rules do not take: only tags, `autogroup:self`, and a user from itself.",
    "BLU257": "Tags own each other in a circle (a warning): nobody can give them.",
    "BLU258": "A rule without sources or destinations (a warning): it allows nothing.",
    "BLU259": "Something that is taken for another thing than it seems (a warning).",
    "BLU260": "A part of an IP set that is none, or IP sets that are too large.",
    "BLU261": "IP sets that hold each other in a circle.",
    "BLU262": "An assertion about devices that is malformed.",
    "BLU263": "A route or service of `autoApprovers` that is none.",
    "BLU264": "A node attribute that is none, or an entry that gives nothing.",
    "BLU270": "A test of the policy that can never hold: it names nobody, a range or a wildcard.",
    "BLU271": "A test of the policy fails: what it accepts is denied.",
    "BLU272": "A test of the policy fails: what it denies is allowed. The rule's place is told.",
    "BLU273": "An SSH test of the policy fails.",
    "BLU280": "The policy file, or the file of nodes, cannot be read.",
    "BLU281": "A node in the file of nodes is malformed, or stands twice.",
    "BLU290": "`reach` lacks a source or a destination, or the port is none.",
    "BLU291": "What is asked for is nobody and nothing of the lab.",
    "BLU301": "A circle: nothing could start first. It is shown as a path, with the edge to break.",
    "BLU302": "A service stands on a host that is not always on, or that runs no services of ours.",
    "BLU303": "A part of a Kubernetes cluster stands on a host.",
    "BLU304": "An image stands on a Mac, which runs native programs.",
    "BLU305": "The proxy stands on a host and could not reach this service in a cluster: the lab names no tailnet.",
    "BLU306": "A service in a cluster cannot do without a part of it that nobody describes (a warning).",
    "BLU307": "A service is placed in a cluster, which runs images, and its app names none.",
    "BLU308": "What the lab brings cannot be placed there: charts and manifests need a cluster, a role a host.",
    "BLU309": "A service in a cluster has a name that Kubernetes has for itself, or two ports, folders or mounts whose "
    "names differ by - and _ alone; or a part of a Compose file has a name that is none there, or another part's.",
    "BLU401": "The backups' share does not exist.",
    "BLU402": "A backup would lie on the very device that it is a backup of.",
    "BLU501": "What stands where a secret's reference should is none, in the description or a file of the lab.",
    "BLU520": "A secret stands in a command line, which every user of a machine can read.",
    "BLU502": "The age key's file is away, open to others, empty or damaged. A key is never written over.",
    "BLU503": "The SOPS file cannot be opened with this age key.",
    "BLU504": "The file is no SOPS file for age keys, is damaged, or is larger than 1 MiB.",
    "BLU505": "sops refused the file for a reason that it does not tell by its exit code, or ssh-keygen a private key.",
    "BLU506": "A value cannot be put there: another one is in the way, or a rule would leave it unencrypted.",
    "BLU507": "The program sops is not on this machine.",
    "BLU508": "A secret was asked for that is short enough to be guessed.",
    "BLU509": "A secret is made of another one (its public key, its line of htpasswd), and that is not there.",
    "BLU510": "The store does not hold that vault, item or field, or more than one is meant.",
    "BLU511": "A secret that a running service uses is missing from the SOPS file of a push.",
    "BLU512": "The recipient is the last one whose key we hold: without it nobody here could open the SOPS file.",
    "BLU513": "What `secret rotate` names is no secret of the lab, or none that can be made anew here.",
    "BLU514": "The new values or recipients are those that the SOPS file has already.",
    "BLU515": "The revision does not pass the checks, so that nobody knows who uses which secret.",
    "BLU516": "A secret that somebody else issues is not in the SOPS file: a person puts it there.",
    "BLU517": "The SOPS file holds a secret that nothing in the lab names.",
    "BLU518": "Two fields of one item have the same label: who asks for it by label gets an error.",
    "BLU521": "A commit of the push has what looks like a secret in a file; everybody with a clone would get it.",
    "BLU522": "The scanner for secrets failed; the push is not taken unseen.",
    "BLU523": "A variable whose name says that it is a secret, or a Secret in a manifest, has its value in Git.",
    "BLU524": "The store of the lab's secrets cannot be asked: `op` or the Connect server. What runs, runs on.",
    "BLU525": "The store takes no values from here, or has no such vault.",
    "BLU528": "Two fields of an item have one label, in different sections, and a service in a cluster wants one.",
    "BLU527": "The platform's keyring is away or locked, or does not have the age key.",
    "BLU526": "A log may hold secrets, and the store that tells them cannot be opened.",
    "BLU519": "No value came on standard input, or one that is no text or longer than 64 KiB.",
    "BLU530": "What `op` was to read or write: a template, a file, or a lab that 1Password's own op answers for.",
    "BLU531": "A running service uses the secret that is to be taken away.",
    "BLU533": "A token of the Connect API: its name is taken or unknown, or their file is damaged.",
    "BLU534": "A request to the Connect API, or an option of `connect serve`, that is malformed.",
    "BLU535": "An item that a client of the Connect API would put over another, or based on what it is no more.",
    "BLU532": "The store takes no changes from here: the lab follows a remote, or keeps its secrets elsewhere.",
    "BLU600": "A git command of ours failed; its words follow.",
    "BLU601": "There is no such revision on the forge.",
    "BLU602": "Somebody else moved `main` meanwhile. Repeat it.",
    "BLU603": "The forge's port or the controller's socket is taken.",
    "BLU604": "The state folder's path is too long for a Unix socket.",
    "BLU605": "The lab's folder has no files, so the forge has nothing to begin with.",
    "BLU606": "The lab's folder passes the checks, its last commit does not, and the forge would begin with that.",
    "BLU610": "A pushed link leads out of the repository.",
    "BLU611": "A pushed submodule. A lab is one repository.",
    "BLU612": "A pushed file name that no system should meet: `..`, `.git`, a backslash, a line break and the like.",
    "BLU613": "Two pushed files would be one file on macOS.",
    "BLU615": "A pushed file is too large.",
    "BLU616": "A push with too many files and folders.",
    "BLU617": "A push that is too large when checked out.",
    "BLU620": "A field of `gitops:` that is about a remote, and no `url:` that names one.",
    "BLU621": "Another branch than `main`, which the forge of site `here` does not have. A remote may, by `url:`.",
    "BLU622": "Commit statuses are wanted, and there is no token to post them with.",
    "BLU623": "The remote that the lab should follow is the forge of site `here` itself.",
    "BLU624": "The remote cannot be asked, fetched from or pushed to; Git's words follow. It is tried again.",
    "BLU625": "The forge does not take a commit status now. It is tried again, for an hour and a half.",
    "BLU626": "The forge refuses a commit status; its answer follows. The lab is not held up.",
    "BLU627": "A token or a webhook's secret that `gitops:` names is not in the SOPS file.",
    "BLU628": "Secrets were generated, and the remote does not take the commit. The hint says how to push it yourself.",
    "BLU630": "A pushed lab takes more time or memory to be read than the gate gives it, or becomes too large.",
    "BLU640": "The push gives the lab another name; the site, its state and its data are the first one's.",
    "BLU641": "The push lets somebody reach more, the lab says `gitops: {exposure: refuse}`, and no commit says so.",
    "BLU650": "The folder that a hook should go into is no Git repository.",
    "BLU651": "Git takes hooks from a folder of all your repositories (`core.hooksPath`). One gate is for one lab.",
    "BLU652": "A hook of your own stands where the gate should. It stays; the hint says how both are asked.",
    "BLU653": "The user that owns the repository cannot run BlumeOps: every push would be refused. Nothing is written.",
    "BLU654": "A repository that no hook is for: the forge of a site, which has its gate, or one with SHA-256 names.",
    "BLU655": "No branch can have that name, or none that the hook knows to write down.",
    "BLU656": "A workflow of your own stands where ours would go, or the repository is bare. Nothing is written.",
    "BLU660": "No pull request's address, no token in the environment, or a comment that is empty or too long.",
    "BLU661": "The forge takes no comment now. Try it again.",
    "BLU662": "The forge refuses the comment; its answer follows.",
    "BLU699": "The gate itself failed. The push is refused; the controller's log says more.",
    "BLU700": "A unit could not be brought to what is wanted; the reason follows.",
    "BLU701": "No source has the program in the version wanted; each says why, and how to get it.",
    "BLU702": "The program was found, but lacks the binary that the app's command names.",
    "BLU703": "apt or dpkg could not fetch or unpack the package.",
    "BLU704": "A port is taken, by whom is said; or needs root; or none is free; or `BLUMEOPS_PORTS` is no range.",
    "BLU705": "A folder in the state's place belongs to somebody else.",
    "BLU706": "Services run as another user, who cannot get to the state folder.",
    "BLU707": "A unit names a port or a file that it does not have.",
    "BLU708": "There is no such service at this site, or it has printed nothing yet.",
    "BLU709": "What the unit needs does not run, so its port or its database cannot be had.",
    "BLU710": "The app's `init` command failed.",
    "BLU711": "The provider could not make the database and role.",
    "BLU712": "The app's `reload` command failed.",
    "BLU713": "A unit's record.json is damaged or cannot be read; the next sync sets it aside.",
    "BLU714": "The state folder's path has a character that the process manager cannot take: one of `;#[%*?`.",
    "BLU715": "A job was not started: something that it needs is not healthy.",
    "BLU716": "The job runs already; only one run of a job goes on at a time.",
    "BLU717": "There is no such job in the lab, or it cannot run here; a service is no job.",
    "BLU718": "A job was asked for while the lab is still coming up.",
    "BLU719": "A folder that was named for a share is not there, or whoever runs the service cannot read it.",
    "BLU720": "The process manager does not start or answer.",
    "BLU721": "The process manager refuses to start or to stop a program.",
    "BLU722": "The process manager does not run.",
    "BLU730": "An image names its user by a name that its own files do not have; `uid:` of the source says the number.",
    "BLU731": "A unit's text speaks of a folder or a file that it does not have within its container.",
    "BLU732": "A variable that the container runtime would take for its own, and whose value has several lines.",
    "BLU733": "The network that the parts of a Compose file share cannot be made.",
    "BLU734": "A download has another SHA-256 than the app names; nothing of it is kept.",
    "BLU735": "An archive leads out of its folder, is too large or damaged, or lacks the program; nothing is kept.",
    "BLU740": "The disk has no room for the copy of the state that an update begins with. Nothing was stopped.",
    "BLU741": "The state could not be put aside, so the update was not made; the old form serves again.",
    "BLU742": "The state could not be brought back yet. The service stays stopped, and it is tried again.",
    "BLU750": "What is kept of a service that is gone could not be deleted: its file, or why.",
    "BLU751": "A provider could not drop the database of a service that is gone.",
    "BLU760": "There is no other applied revision to roll back to.",
    "BLU761": "The revision to roll back to was never applied at this site.",
    "BLU762": "Main has the files of that revision already.",
    "BLU763": "`show` was asked for a service that the lab does not have.",
    "BLU770": "The port on which the lab's names are answered is taken, by whom is said. All else runs.",
    "BLU764": "`render --diff REV` was asked of a folder that is in no Git repository, or one without that revision.",
    "BLU765": "`plan --to` without `--from`: a plan between two revisions needs both.",
    "BLU790": "The state folder holds no site: `blumeops up` was never called.",
    "BLU791": "The controller stopped answering while a command waited for it.",
    "BLU792": "Another `up` or `down` of this site is at work.",
    "BLU793": "The state folder belongs to another lab.",
    "BLU794": "The controller does not run.",
    "BLU795": "The controller does not start; its last lines follow.",
    "BLU796": "The state folder that was named holds other files and no site.",
    "BLU797": "Data is to be deleted for good, and there is nobody who could be asked: say --yes.",
    "BLU798": "`--share` names a share that the lab does not have, or a path that is no folder.",
    "BLU799": "The sync itself failed. The controller's log says more.",
    "BLU780": "A preview was asked for of a service that the revision does not have, or of a job. None runs in one.",
    "BLU781": "Two branches would have the same preview. Take the other one away first.",
    "BLU782": "What a preview would leave of the lab does not pass the checks. Name other services, or none.",
    "BLU783": "A preview needs a secret that somebody else issues; `--with-secrets` takes it from the lab's store.",
    "BLU784": "`preview --down` takes away one preview, and the whole of it.",
    "BLU810": "`render --preview` was asked for a service that Argo CD does not deploy, or not from a folder in Git.",
    "BLU901": "A program that we call is not on this machine.",
    "BLU902": "A program that we called took longer than it may.",
    "BLU903": "A file cannot be written: the disk is full, or the folder is read-only.",
    "BLU910": "The status database cannot be used. The controller sets a damaged one aside and begins anew.",
    "BLU911": "The status database was written by a newer BlumeOps.",
    "BLU912": "Another process holds the status database. Try again.",
    "BLU913": "A run was to end that is not under way.",
    "BLU990": "The renderer of site `here` met a part that it has no words for.",
    "BLU991": "The renderer for Ansible or Kubernetes met a part that it has no words for.",
    "BLU992": "A value that the checks should have refused reached a renderer.",
    "BLU999": "Anything else that we did not foresee. `--traceback` shows where.",
}


def found() -> dict[str, set[str]]:
    """Every code that the source says outside docstrings, and in which kinds of object."""
    codes: dict[str, set[str]] = defaultdict(set)
    for path in SOURCE.rglob("*.py"):
        tree = ast.parse(path.read_text())
        documentation = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                kind = KINDS.get(getattr(node.func, "id", ""), "")
                for argument in node.args[:1]:
                    code = str(argument.value) if isinstance(argument, ast.Constant) else ""
                    if kind and re.fullmatch(r"BLU\d{3}", code):
                        codes[code].add(kind)
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
                for code in re.findall(r"BLU\d{3}", node.value):
                    codes[code] |= set()
    return codes


def page() -> str:
    """The table of each hundred."""
    lines = []
    codes = found()
    if unknown := sorted(codes.keys() - MEANINGS.keys()):
        raise SystemExit(f"scripts/docs/codes.py gives no meaning for: {', '.join(unknown)}")
    for first, title in GROUPS.items():
        inside = [code for code in sorted(codes) if code[3] == first]
        if inside:
            lines += [f"### {title}\n", "| code | kind | means |", "| --- | --- | --- |"]
            lines += [f"| `{code}` | {_kind(code, codes[code])} | {MEANINGS[code]} |" for code in inside]
            lines.append("")
    return "\n".join(lines)


def checks() -> str:
    """What is proved, in the order in which it is."""
    rows = []
    for check in CHECKS:
        module = inspect.getmodule(check)
        codes, _, about = (module.__doc__ or "").splitlines()[0].partition(": ")
        detail = (check.__doc__ or "").splitlines()[0]
        rows.append(f"| {codes} | {about.rstrip('.')} | {detail} |")
    return "\n".join(["| codes | property | what is looked at |", "| --- | --- | --- |", *rows])


def _kind(code: str, kinds: set[str]) -> str:
    if code.startswith("BLU61"):
        kinds = kinds | {"finding"}  # said by `forge.inspect` through a function of its own
    if kinds:
        return ", ".join(kind for kind in KINDS.values() if kind in kinds)
    if code[3] in "01234":
        return "finding"
    return "bug" if code.endswith("99") else "error" if code[3] == "5" else "engine"
