"""A real SLURM of one node on this machine's loopback interface, with everything it keeps in one folder.

Debian's packages are enough, and neither systemd nor cgroups nor root is needed:

    apt-get install --no-install-recommends munge slurmctld slurmd slurm-client
    apt-get install --no-install-recommends slurmdbd mariadb-server-core mariadb-client-core    # for accounting

What it lacks compared to a cluster: memory is watched, not enforced (a job over its limit is killed within seconds and
counts as FAILED, not OUT_OF_MEMORY), its GPUs are null devices, and a step's processes are found by their parents.
"""

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path

HOST = "127.0.0.1"
NODE = "node"
BINARIES = ("munged", "slurmctld", "slurmd", "sbatch")
ACCOUNTING_BINARIES = ("slurmdbd", "mariadbd", "mariadb-install-db", "sacct")
CLIENTS = ("sbatch", "srun", "squeue", "sinfo", "scancel", "scontrol", "sacct", "sacctmgr", "sshare")
START_SECONDS = 60
STOP_SECONDS = 30

SLURM_CONF = """\
ClusterName=test
SlurmctldHost=localhost({host})
SlurmctldPort={controller_port}
SlurmdPort={node_port}
{loopback_only}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/slurmd.log
MailProg=/bin/true
MpiDefault=none
SwitchType=switch/none
# Neither systemd nor cgroups: processes are found by their parents, memory is read from /proc every two seconds.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=2
JobAcctGatherParams=OverMemoryKill
# linuxproc loses sight of a process whose parent died; what a job leaves behind is ended after it.
Epilog={folder}/epilog
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=batch_sched_delay=0
# A request that can never be granted is refused at once.
EnforcePartLimits=ALL
DefMemPerCPU=200
# squeue shows finished jobs as long as Snakemake may ask for them.
MinJobAge=3600
KillWait={kill_wait}
SlurmdTimeout=20
ReturnToService=2
JobRequeue=1
# The node may say that it has more cores than the machine.
SlurmdParameters=config_overrides
GresTypes=gpu
NodeName={node} NodeHostname=localhost NodeAddr={host} Port={node_port} CPUs={cpus} RealMemory={memory_mb} \
Gres=gpu:{gpus} State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES DefaultTime=10 MaxTime=INFINITE State=UP
{accounting}
"""

WITHOUT_ACCOUNTING = "AccountingStorageType=accounting_storage/none"
WITH_ACCOUNTING = """\
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost={host}
AccountingStoragePort={database_daemon_port}
AccountingStoragePass={folder}/munge.socket
AccountingStorageTRES=gres/gpu
AccountingStoreFlags=job_comment
"""

SLURMDBD_CONF = """\
DbdHost=localhost
DbdAddr={host}
DbdPort={database_daemon_port}
SlurmUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
PidFile={folder}/slurmdbd.pid
LogFile={folder}/log/slurmdbd.log
StorageType=accounting_storage/mysql
StorageHost={host}
StoragePort={database_port}
StorageUser=slurm
StoragePass={password}
StorageLoc=slurm_acct_db
"""

EPILOG = """\
#!/bin/sh
[ -n "$SLURM_JOB_ID" ] || exit 0
for environment in $(grep -lszxF "SLURM_JOB_ID=$SLURM_JOB_ID" /proc/[0-9]*/environ); do
  process=${{environment#/proc/}}; process=${{process%/environ}}
  grep -qszxF "ONE_NODE_SLURM={folder}" "$environment" && kill -9 "$process" 2>/dev/null
done
exit 0
"""

# The plugin takes SLURM_CONF out of the environment of the steps that it starts, so the clients bring it themselves.
CLIENT = """\
#!/bin/sh
SLURM_CONF={folder}/slurm.conf exec {program} "$@"
"""


def missing_programs(accounting: bool = False) -> list[str]:
    """Programs that have to be installed first."""
    needed = BINARIES + (ACCOUNTING_BINARIES if accounting else ())
    return [name for name in needed if _program(name) is None]


class OneNodeSlurm:
    """Runs between `with` and its end. Memory in MB; `gpus` is their number or type:number.

    `kill_wait` is the time in seconds between SIGTERM and SIGKILL for jobs that are to end.
    Raises TimeoutError with the end of its log when a daemon does not come up.
    """

    def __init__(
        self,
        folder: Path,
        cpus: int = 4,
        memory_mb: int = 16_000,
        gpus: str = "a100:2",
        accounting: bool = False,
        kill_wait: int = 10,
    ) -> None:
        self.folder = folder
        self.accounting = accounting
        self._logs = ExitStack()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        names = ("controller_port", "node_port", "database_daemon_port", "database_port")
        self._settings: dict[str, object] = {
            "folder": folder,
            "host": HOST,
            "node": NODE,
            "user": _user(),
            "cpus": cpus,
            "memory_mb": memory_mb,
            "gpus": gpus,
            "kill_wait": kill_wait,
            "password": secrets.token_hex(16),
            # These lines bind to what the host's name resolves to, which must be the loopback address for it.
            "loopback_only": "CommunicationParameters=NoCtldInAddrAny,NoInAddrAny" if _host_is_loopback() else "",
            **dict(zip(names, _free_ports(len(names)), strict=True)),
        }

    def __enter__(self) -> "OneNodeSlurm":
        self._configure()
        self._start("munged", "munged", *self._munge_options())
        self._wait("munged", lambda: (self.folder / "munge.socket").exists())
        if self.accounting:
            self._start_database()
        self._start("slurmctld", "slurmctld", "-D", "-f", str(self.folder / "slurm.conf"))
        self._wait("slurmctld", lambda: self.succeeds("scontrol", "ping"))
        self.start_node()
        return self

    def __exit__(self, *exception: object) -> None:
        if self.running("slurmctld"):
            self.succeeds("scancel", f"--user={_user()}")
            self._wait("jobs to end", lambda: not self.output("squeue", "--noheader", "--states=R,CG"))
        for name in ("slurmd", "slurmctld", "slurmdbd", "mariadbd", "munged"):
            self.stop(name)
        self._logs.close()

    @property
    def environment(self) -> Mapping[str, str]:
        """What a process needs to talk to this SLURM, in addition to its environment."""
        return {"PATH": f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}", "ONE_NODE_SLURM": str(self.folder)}

    def output(self, *command: str) -> str:
        """Run a client and return what it prints. Raises CalledProcessError when it fails."""
        return subprocess.run(
            command, env=os.environ | self.environment, check=True, capture_output=True, text=True, timeout=60
        ).stdout.strip()

    def succeeds(self, *command: str) -> bool:
        """Whether a client ends well."""
        try:
            self.output(*command)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
            return False
        return True

    def start_node(self) -> None:
        """Start the node's daemon and wait until the node takes jobs."""
        self._start("slurmd", "slurmd", "-D", "-f", str(self.folder / "slurm.conf"), "-N", NODE)
        self._wait("slurmd", self._node_is_up)

    def kill_node(self) -> None:
        """End the node as a power cut would: its daemon, and all processes of its jobs."""
        self._processes["slurmd"].kill()
        self._processes.pop("slurmd").wait()
        for process in Path("/proc").iterdir():
            if process.name.isdigit() and _belongs_to_a_job(process, self.folder):
                _kill(int(process.name))

    def running(self, name: str) -> bool:
        """Whether a daemon is up."""
        return name in self._processes and self._processes[name].poll() is None

    def stop(self, name: str) -> None:
        """End a daemon, if it is up."""
        process = self._processes.pop(name, None)
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _configure(self) -> None:
        for name in ("bin", "log", "state", "spool"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        accounting = WITH_ACCOUNTING.format(**self._settings) if self.accounting else WITHOUT_ACCOUNTING
        self._write("slurm.conf", SLURM_CONF.format(accounting=accounting, **self._settings))
        self._write("slurmdbd.conf", SLURMDBD_CONF.format(**self._settings), mode=0o600)
        self._write("epilog", EPILOG.format(**self._settings), mode=0o755)
        (self.folder / "munge.key").write_bytes(secrets.token_bytes(1024))
        (self.folder / "munge.key").chmod(0o600)
        self._write_gpus()
        for client in CLIENTS:
            if program := _program(client):
                self._write(f"bin/{client}", CLIENT.format(program=program, **self._settings), mode=0o755)

    def _write_gpus(self) -> None:
        """A GPU must have a device file; null devices will do, or plain files for those who may not make devices."""
        kind, _, number = str(self._settings["gpus"]).rpartition(":")
        for index in range(int(number)):
            device = self.folder / f"gpu{index}"
            try:
                os.mknod(device, 0o666 | 0o020000, os.makedev(1, 3))
            except PermissionError:
                device.touch()
        type_of = f"Type={kind} " if kind else ""
        self._write("gres.conf", f"NodeName={NODE} Name=gpu {type_of}File={self.folder}/gpu[0-{int(number) - 1}]\n")

    def _munge_options(self) -> list[str]:
        files = {"key-file": "munge.key", "socket": "munge.socket", "pid-file": "munged.pid", "seed-file": "munge.seed"}
        return ["--foreground", "--force", *(f"--{option}={self.folder / name}" for option, name in files.items())]

    def _start_database(self) -> None:
        data = self.folder / "database"
        install = ["mariadb-install-db", "--no-defaults", f"--datadir={data}", f"--user={_user()}", "--skip-test-db"]
        subprocess.run([*install, "--auth-root-authentication-method=normal"], check=True, capture_output=True)
        statements = (
            "CREATE DATABASE IF NOT EXISTS slurm_acct_db;",
            f"CREATE USER IF NOT EXISTS slurm@'{HOST}' IDENTIFIED BY '{self._settings['password']}';",
            f"GRANT ALL ON slurm_acct_db.* TO slurm@'{HOST}';",
        )
        self._write("database.sql", "\n".join(statements) + "\n", mode=0o600)
        options = {
            "datadir": data,
            "user": _user(),
            "socket": self.folder / "database.socket",
            "bind-address": HOST,
            "port": self._settings["database_port"],
            "init-file": self.folder / "database.sql",
        }
        self._start("mariadbd", "mariadbd", "--no-defaults", *(f"--{key}={value}" for key, value in options.items()))
        self._wait("mariadbd", lambda: _answers(int(self._settings["database_port"])))
        self._start("slurmdbd", "slurmdbd", "-D")
        self._wait("slurmdbd", lambda: self.succeeds("sacctmgr", "--noheader", "list", "cluster"))
        for command in (["cluster", "test"], ["account", "test"], ["user", _user(), "account=test"]):
            self.output("sacctmgr", "--immediate", "add", *command)

    def _start(self, name: str, *command: str) -> None:
        log = self._logs.enter_context((self.folder / "log" / f"{name}.out").open("ab"))
        program = _program(command[0])
        if program is None:
            raise FileNotFoundError(f"{command[0]} is not installed; see the packages in {__file__}")
        self._processes[name] = subprocess.Popen(
            [program, *command[1:]],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=_without_slurm() | {"SLURM_CONF": str(self.folder / "slurm.conf")},
            # Not ended by the Ctrl-C that a test sends to its own group of processes.
            start_new_session=True,
        )

    def _node_is_up(self) -> bool:
        state = self.output("sinfo", "--noheader", "--format=%t")
        if state.startswith(("down", "drain", "drng")):
            self.succeeds("scontrol", "update", f"nodename={NODE}", "state=resume")
        return state in ("idle", "mix", "alloc")

    def _wait(self, name: str, ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not ready():
            if time.monotonic() > deadline:
                logs = sorted((self.folder / "log").glob(f"{name}*"))
                ends = "\n".join("\n".join(log.read_text(errors="replace").splitlines()[-10:]) for log in logs)
                raise TimeoutError(f"no {name} after {START_SECONDS} s:\n{ends}")
            time.sleep(0.1)

    def _write(self, name: str, text: str, mode: int = 0o644) -> None:
        path = self.folder / name
        path.write_text(text)
        path.chmod(mode)


def _program(name: str) -> str | None:
    return shutil.which(name, path=f"/usr/sbin:/usr/bin:/sbin:/bin{os.pathsep}{os.environ['PATH']}")


def _user() -> str:
    return pwd.getpwuid(os.getuid()).pw_name


def _without_slurm() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("SLURM_", "SBATCH_"))}


def _host_is_loopback() -> bool:
    try:
        return socket.gethostbyname(socket.gethostname()) == HOST
    except OSError:
        return False


def _free_ports(number: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for one in sockets:
            one.bind((HOST, 0))
        return [one.getsockname()[1] for one in sockets]


def _answers(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex((HOST, port)) == 0


def _belongs_to_a_job(process: Path, folder: Path) -> bool:
    try:
        variables = (process / "environ").read_bytes().split(b"\0")
        name = (process / "comm").read_text().strip()
    except OSError:
        return False
    in_job = f"ONE_NODE_SLURM={folder}".encode() in variables and any(v.startswith(b"SLURM_JOB_ID=") for v in variables)
    return in_job or (name == "slurmstepd" and f"SLURM_CONF={folder}/slurm.conf".encode() in variables)


def _kill(process: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)
