"""demo_lib.py - a running system for tests in Python: `assent demo` in a folder of its own, and the way to wait for it. demo_lib.sh is the same for
tests in the shell.
"""
import atexit
import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time

BIN = os.environ["ASSENT_BIN_DIR"]
PSQL = os.path.join(os.environ.get("ASSENT_PG_BINDIR", "/usr/lib/postgresql/15/bin"), "psql")
DEADLINE_S = 60
JSON = {"Content-Type": "application/json"}


def run(*command, check=True):
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
    if check and result.returncode != 0:
        raise AssertionError(f"{command}: {result.returncode}\n{result.stdout}{result.stderr}")
    return result.stdout


def wait_until(what, condition):
    end = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end, f"waited in vain: {what}"
        time.sleep(0.02)


def has_ended(pid):
    """Also if nobody has waited for it yet."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


def free_port():
    """With a dozen more behind it, which the demo takes, and taken as free_port of demo_lib.sh does."""
    for _ in range(300):
        port = random.randrange(26000, 32000, 20)
        link = f"/tmp/assent-port-{port}"
        with contextlib.ExitStack() as stack:
            try:
                os.symlink(str(os.getpid()), link)
                atexit.register(os.unlink, link)
                for offset in range(15):
                    probe = stack.enter_context(socket.socket())
                    probe.bind(("127.0.0.1", port + offset))
                return port
            except OSError:
                continue
    raise AssertionError("no free port")


class Demo:
    """`assent demo` in a folder of its own, whose assentd can be replaced by one with other settings."""

    def __init__(self, folder):
        self.folder = os.path.join(folder, "demo")
        self.port = free_port()
        self.own = None

    def command(self, *arguments, check=True):
        return run(os.path.join(BIN, "assent"), "demo", *arguments, "--dir", self.folder, check=check)

    def up(self, *arguments):
        self.command("up", "--port", str(self.port), *arguments)

    def status(self):
        return json.loads(self.command("status", "--json", check=False))

    def pid(self, role, participant=None):
        return next(one["pid"] for one in self.status()["processes"]
                    if (one["role"], one["participant"]) == (role, participant))

    def kill(self, pid):
        os.kill(pid, signal.SIGKILL)
        wait_until("a killed process is gone", lambda: has_ended(pid))

    def conninfo(self, participant):
        return next(one["conninfo"] for one in self.status()["databases"] if one["participant"] == participant)

    def query(self, participant, sql):
        return run(PSQL, "-wXAtq", "-v", "ON_ERROR_STOP=1", "-d", self.conninfo(participant), "-c", sql).strip()

    @contextlib.contextmanager
    def assentd(self, settings, *arguments):
        """In place of the demo's: another assentd on the same journal."""
        process = next(one for one in self.status()["processes"] if one["role"] == "assentd")
        if process["pid"] is not None:
            os.kill(process["pid"], signal.SIGTERM)
            wait_until("the demo's assentd is gone", lambda: has_ended(process["pid"]))
        with open(process["config"], encoding="utf-8") as file:
            config = file.read().replace("[assentd]\n", "[assentd]\n" + settings)
        path = os.path.join(self.folder, "own.conf")
        with open(path, "w", encoding="utf-8") as file:
            file.write(config)
        owner = os.stat(self.folder)
        os.chown(path, owner.st_uid, owner.st_gid)
        as_owner = {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []} if os.getuid() == 0 else {}
        with open(os.path.join(self.folder, "log", "own.log"), "ab") as log:
            own = subprocess.Popen([os.path.join(BIN, "assentd"), "--config", path, *arguments], stderr=log, cwd="/",
                                   **as_owner)
        try:
            yield own
        finally:
            own.kill()
            own.wait()

    def down(self):
        self.command("down", "--purge", check=False)


@contextlib.contextmanager
def running_demo():
    """A demo that is up; whatever happens, nothing of it stays."""
    folder = tempfile.mkdtemp(prefix="assent-test-", dir="/tmp")
    os.chmod(folder, 0o755)  # for the user postgres
    demo = Demo(folder)
    try:
        demo.up()
        yield demo
    finally:
        demo.down()
        shutil.rmtree(folder, ignore_errors=True)
