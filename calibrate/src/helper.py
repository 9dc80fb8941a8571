"""What migcal has done at a host. Started over its standard input and output: the first argument says what, the first line of input
is a secret that two helpers share, each answer is a line of JSON. It ends when its standard input does, so that nothing stays behind a
tool that was killed; what it has changed of a guest it puts back first."""
import contextlib, fcntl, glob, hmac, json, os, select, signal, socket, struct, subprocess, sys, threading, time

FOLDER = "/var/lib/libvirt/migcal"


def say(**what):
    # A tool that is gone hears nothing, and what is to be put back is put back all the same.
    with contextlib.suppress(OSError):
        print(json.dumps(what), flush=True)


class Left(BaseException):
    """The tool has gone."""


def leave(*_):
    # Once: what is put back then is not broken off.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    raise Left


def leave_with_the_tool():
    with contextlib.suppress(OSError):
        while os.read(0, 4096):
            pass
    # Raised in the main thread, wherever it waits.
    os.kill(os.getpid(), signal.SIGTERM)


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def exactly(conn, count):
    """So many bytes of a connection."""
    found = b""
    while len(found) < count:
        more = conn.recv(count - len(found))
        if not more:
            raise OSError("the other side has hung up")
        found += more
    return found


def proofs(secret, nonce):
    return [hmac.digest(secret, who + nonce, "sha256") for who in (b"visitor", b"host")]


@contextlib.contextmanager
def visitor(address, secret):
    """Offers a port and waits for the helper that knows the secret; the secret itself never crosses the network. Strangers are sent
    away, and soon."""
    with socket.create_server((address, 0), family=family(address)) as server:
        say(port=server.getsockname()[1])
        while True:
            conn, _ = server.accept()
            with conn:
                conn.settimeout(1)
                nonce = os.urandom(32)
                visitors, hosts = proofs(secret, nonce)
                try:
                    conn.sendall(nonce)
                    known = hmac.compare_digest(exactly(conn, 32), visitors)
                except OSError:
                    continue
                if known:
                    conn.sendall(hosts)
                    conn.settimeout(None)
                    yield conn
                    return


def visit(address, port, secret):
    """A connection to the helper that waits there, once each has shown that it knows the secret."""
    conn = socket.create_connection((address, int(port)), timeout=60)
    visitors, hosts = proofs(secret, exactly(conn, 32))
    conn.sendall(visitors)
    if not hmac.compare_digest(exactly(conn, 32), hosts):
        raise OSError(f"{address}:{port} is not the helper that was to wait there")
    return conn


def private(path):
    """A new file that nobody else reads; what stood there is gone, a link too."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def receive(secret, address, path):
    """Takes one stream into a file and says how much came and when the last byte was stored. What does not come whole is not kept."""
    stored = False
    try:
        stored = store(secret, address, path)
    finally:
        if not stored:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)


def store(secret, address, path):
    with visitor(address, secret) as conn, private(path) as out:
        count, first = 0, None
        buffer = bytearray(1 << 20)
        while True:
            n = conn.recv_into(buffer)
            if n == 0:
                break
            first = first or time.monotonic()
            out.write(memoryview(buffer)[:n])
            count += n
        out.flush()
        os.fsync(out.fileno())
        conn.sendall(b"ok")
        say(bytes=count, seconds=time.monotonic() - (first or time.monotonic()))
    return True


def send(secret, address, port, path):
    """Sends a file and waits until the other side has stored it."""
    started = time.monotonic()
    with visit(address, port, secret) as conn, open(path, "rb") as source:
        conn.settimeout(60)
        count = conn.sendfile(source)
        conn.shutdown(socket.SHUT_WR)
        if conn.recv(2) != b"ok":
            raise OSError("the other side did not confirm the file: is its disk full?")
        say(bytes=count, seconds=time.monotonic() - started)


def echo(secret, address):
    """Answers single bytes, for round trips, then counts a stream, for capacity."""
    with visitor(address, secret) as conn:
        conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(64):
            conn.sendall(conn.recv(1))
        # What was queued on the way in the first third is left out: buffers and token buckets fill then.
        points, count = [], 0
        buffer = bytearray(1 << 18)
        while True:
            n = conn.recv_into(buffer)
            if n == 0:
                break
            count += n
            points.append((time.monotonic(), count))
        start, end = points[0][0], points[-1][0]
        late = [p for p in points if p[0] >= start + (end - start) / 3]
        (t0, c0), (t1, c1) = late[0], late[-1]
        say(bytes_per_s=(c1 - c0) / max(t1 - t0, 1e-9))


def probe(secret, address, port, seconds):
    with visit(address, port, secret) as conn:
        conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        trips = []
        for _ in range(64):
            t = time.monotonic()
            conn.sendall(b".")
            conn.recv(1)
            trips.append(time.monotonic() - t)
        trips.sort()
        say(rtt_us=trips[len(trips) // 2] * 1e6)
        conn.settimeout(60)
        end, block = time.monotonic() + float(seconds), os.urandom(1 << 16)
        while time.monotonic() < end:
            conn.sendall(block)


OURS = ("libvirtd", "virtqemud", "libvirt_iohelp", "migcal", "nsenter", "ssh")


def is_ours(pid, name, guest):
    """Other guests of the host and other people's Python are not part of a migration."""
    if name.startswith(("qemu-", "kvm", "python3")):
        with open(f"/proc/{pid}/cmdline", "rb") as line:
            words = line.read(4096)
        # A process that has just ended has no command line any more; a guest's ends with its migration.
        return not words or b"What migcal has done at a host" in words or any(b"guest=" + guest.encode() + end in words for end in (b",", b"-"))
    return name.startswith(OURS)


def cpu_seconds(guest):
    """Processor time of the machine and of processes that have nothing to do with the migration, in seconds."""
    tick = os.sysconf("SC_CLK_TCK")
    user, nice, system, idle, iowait, irq, softirq, steal = map(int, open("/proc/stat").readline().split()[1:9])
    others = 0
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            text = open(f"/proc/{pid}/stat").read()
        except OSError:
            continue
        name, fields = text[text.index("(") + 1:text.rindex(")")], text[text.rindex(")") + 2:].split()
        try:
            if is_ours(pid, name, guest):
                continue
        except OSError:
            pass
        others += int(fields[11]) + int(fields[12])
    return {"t": time.monotonic(), "busy": (user + nice + system + irq + softirq) / tick, "steal": steal / tick,
            "others": others / tick, "cpus": os.cpu_count(), "waited": waited()}


def waited():
    """For how long some task has waited for a processor so far, in seconds (the kernel's pressure stall information)."""
    with contextlib.suppress(OSError, IndexError, ValueError), open("/proc/pressure/cpu") as pressure:
        return int(pressure.readline().rsplit("total=", 1)[1]) / 1e6
    return None


def output_of(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=5).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""


class Qmp:
    """A guest's QMP socket."""

    def __init__(self, path, patience=60):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(patience)
        self.socket.connect(path)
        self.buffer, self.asked, self.early = b"", 0, []
        self.next()
        self.order("qmp_capabilities")

    def next(self, within=None):
        """What QEMU says next, an event or an answer; None: it says nothing within so many seconds."""
        while b"\n" not in self.buffer:
            if within is not None and not select.select([self.socket], [], [], within)[0]:
                return None
            more = self.socket.recv(1 << 16)
            if not more:
                raise OSError("its QEMU has closed the QMP socket")
            self.buffer += more
        line, _, self.buffer = self.buffer.partition(b"\n")
        return json.loads(line)

    def send(self, name, **arguments):
        self.asked += 1
        order = {"execute": name, "arguments": arguments, "id": self.asked}
        self.socket.sendall(json.dumps(order).encode() + b"\n")

    def order(self, name, **arguments):
        """Sends a command and waits for its answer. Events that come before are kept; answers to earlier commands, which a measurement that
        was broken off did not wait for, are left out."""
        self.send(name, **arguments)
        while True:
            said = self.next()
            if "event" in said:
                self.early.append(said)
            if said.get("id") != self.asked:
                continue
            if "error" in said:
                raise OSError(said["error"]["desc"])
            return said.get("return")

    def event(self):
        """The next event, also one that came while an answer was waited for."""
        while not self.early:
            said = self.next()
            if "event" in said:
                return said
        return self.early.pop(0)

    def close(self):
        self.socket.close()

    def peer(self):
        """QEMU's process, and the user and group that it runs as."""
        return struct.unpack("3i", self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))

    def process(self):
        """The process, told apart from a later one that has its number."""
        pid = self.peer()[0]
        return [pid, began(pid)]


OVER = (None, "none", "completed", "failed", "cancelled")
# What a migration to nowhere sets, and knows its own guest by.
NOWHERE = {"downtime-limit": 1, "max-bandwidth": 1 << 40}
PAUSE = "pause-before-switchover"


def set_by_us(qmp):
    """Whether the guest's migration settings are still those of a migration to nowhere: libvirt's own migrations set theirs."""
    now = qmp.order("query-migrate-parameters")
    return all(now[key] == value for key, value in NOWHERE.items())


def end_migration(qmp, patience=10):
    """Waits for the end of a migration to nowhere whose stream is closed, and so fails by itself unless the guest has just stopped for it.

    Between that stop and `pre-switchover` a cancel makes QEMU wait for ever: migration_maybe_pause (migration/migration.c) has let go of
    its lock, finds a state that it does not expect, and nobody posts what it waits for. So nothing is ordered but in `pre-switchover`,
    where QEMU waits for an order; what hangs nevertheless is let go by the order that posts it, migrate-continue. And nothing is ordered
    unless the settings are still ours: another migration may have begun since."""
    since, before, cancelled = time.monotonic(), None, False
    while True:
        status = qmp.order("query-migrate").get("status")
        if status in OVER:
            return
        now = time.monotonic()
        if status != before:
            since, before = now, status
        if status == "pre-switchover" and now - since > 0.2 and not cancelled and set_by_us(qmp):
            qmp.order("migrate_cancel")
            cancelled = True
        elif status == "cancelling" and now - since > 1 and set_by_us(qmp):
            with contextlib.suppress(OSError):
                qmp.order("migrate-continue", state="cancelling")
            since = now + 1
        elif now - since > patience:
            raise OSError(f"a migration of it is under way (`{status}`), which is not this measurement's")
        time.sleep(0.02)


def put_back(qmp, note):
    """Makes a guest what it was before a measurement, as far as the measurement has changed it."""
    if note.get("migration"):
        end_migration(qmp)
        if set_by_us(qmp):
            qmp.order("migrate-set-capabilities", capabilities=note["capabilities"])
            qmp.order("migrate-set-parameters", **note["parameters"])
    for _ in range(500):
        status = qmp.order("query-status")["status"]
        # One that somebody else has stopped stays so.
        if status == "postmigrate" or note.get("stopped") and status == "paused":
            qmp.order("cont")
        elif status != "finish-migrate":
            return
        # Given up, a migration lets its guest go on a moment later.
        time.sleep(0.02)
    raise OSError(f"it does not go on: QEMU says `{status}`")


def began(pid):
    """When a process began, to know it from another that has its number."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/stat") as stat:
        return stat.read().rsplit(")", 1)[1].split()[19]
    return None


def unstick(secret, path):
    """Lets a guest of migcal's go whose migration is being given up and hangs."""
    qmp = Qmp(path, patience=10)
    for _ in range(20):
        if qmp.order("query-migrate").get("status") != "cancelling":
            return [dict(stuck=False)]
        time.sleep(0.1)
    qmp.order("migrate-continue", state="cancelling")
    return [dict(stuck=True)]


def make_folder():
    os.makedirs(FOLDER, exist_ok=True)
    # Whatever root's umask is: QEMU's user passes through.
    os.chmod(FOLDER, 0o711)


class Borrowed:
    """A running guest that a measurement changes. What is to be put back stands in a journal beside it until it has been, so that another
    helper can do it if this one is killed; who works on it holds the journal locked."""
    held = None

    def __init__(self, path, key, name, patience, **note):
        self.qmp = Qmp(path, patience)
        status = self.qmp.order("query-status")["status"]
        if status != "running":
            raise OSError(f"the guest is `{status}`, not running; it is left as it is")
        status = self.qmp.order("query-migrate").get("status")
        if status not in OVER:
            raise OSError(f"a migration of the guest is under way (`{status}`); measure it before or after")
        self.note = dict(note, qmp=path, name=name, patience=patience, process=self.qmp.process())
        make_folder()
        self.file = f"{FOLDER}/{key}.undo"
        try:
            self.journal = os.fdopen(os.open(self.file, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "r+")
        except FileExistsError:
            raise OSError("another measurement of the guest goes on, or was killed and not put back yet; `migcal settle --connect URI` "
                          "puts it back") from None
        fcntl.flock(self.journal, fcntl.LOCK_EX)
        if os.fstat(self.journal.fileno()).st_nlink == 0:
            raise OSError("another command was putting things in order at this moment; try again")
        Borrowed.held = self
        self.write()

    def write(self, **more):
        """Writes down what is going to be changed, before it is."""
        self.note.update(more)
        self.journal.seek(0)
        self.journal.truncate()
        json.dump(self.note, self.journal)
        self.journal.flush()

    def stop(self):
        if self.qmp.order("query-status")["status"] != "running":
            raise OSError("somebody else has stopped the guest; it is left as it is")
        self.write(stopped=True)
        self.qmp.order("stop")

    def go_on(self):
        self.qmp.order("cont")
        self.write(stopped=False)

    @staticmethod
    def give_back():
        """Puts back what this helper has changed, if it has changed anything. Returns whether nothing stands."""
        held, Borrowed.held = Borrowed.held, None
        if held is None:
            return True
        # Over a connection of its own: this one may have timed out in the middle of an answer, and QEMU speaks over one at a time.
        held.qmp.close()
        return undo_one(held.file, held.note)


def undo_one(file, note):
    """Puts back what a journal says, and removes it. Says what stands, if it cannot."""
    try:
        try:
            qmp = Qmp(note["qmp"], note["patience"])
            # A QEMU that was started since has nothing of it.
            if qmp.process() == note["process"]:
                put_back(qmp, note)
        except (FileNotFoundError, ConnectionRefusedError):
            # Without its QEMU there is nothing to be put back but files.
            pass
        for path in note.get("files", ()):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
        for path in note.get("folders", ()):
            with contextlib.suppress(OSError):
                os.rmdir(path)
        os.unlink(file)
        return True
    except (OSError, KeyError) as error:
        say(stands=note.get("name", file), why=str(error))
        return False


def undo(secret):
    """Puts back whatever helpers that were killed have left changed at this host."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    for file in sorted(glob.glob(f"{FOLDER}/*.undo")):
        try:
            with open(file, "r+") as journal:
                try:
                    fcntl.flock(journal, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    # Its measurement goes on, or another helper is at it.
                    continue
                if not os.path.exists(file):
                    continue
                try:
                    note = json.load(journal)
                except ValueError:
                    # Nothing is changed before a journal is whole.
                    os.unlink(file)
                    continue
                if undo_one(file, note):
                    say(put_back=note["name"], what=note.get("what", ""))
        except FileNotFoundError:
            continue
        except OSError as error:
            say(stands=file, why=str(error))
    say(over=True)


def watch(secret, path, device, destination, guest):
    """Follows a guest's second QMP socket: events as they come, QEMU's own figures at the end, and what is still queued in
    the socket and in the shaper when the guest stops."""
    say(cpu=cpu_seconds(guest), loadavg=os.getloadavg()[0])
    qmp = Qmp(path, patience=None)
    say(watching=True)
    # Since when the migration is being given up, by whoever.
    cancelling = None
    try:
        while True:
            said = qmp.next(within=0.5)
            if cancelling is not None and time.monotonic() - cancelling > 2:
                # The cancel met the moment in which QEMU then waits for ever: see end_migration.
                qmp.send("migrate-continue", state="cancelling")
                cancelling = None
            if said is None:
                continue
            if "event" in said:
                stamp = said["timestamp"]
                say(event=said["event"], data=said.get("data", {}), s=stamp["seconds"] + stamp["microseconds"] / 1e6)
                status = said.get("data", {}).get("status")
                if said["event"] == "MIGRATION":
                    cancelling = time.monotonic() if status == "cancelling" else None
                if said["event"] == "STOP":
                    peer = f"[{destination}]" if ":" in destination else destination
                    for _ in range(4):
                        say(queued={"s": time.time(), "ss": output_of("ss", "-tinmH", "dst", peer),
                                    "tc": output_of("tc", "-s", "qdisc", "show", "dev", device) if device else ""})
                        time.sleep(0.02)
                if status in ("completed", "failed", "cancelled", "postcopy-paused"):
                    qmp.send("query-migrate")
            elif "return" in said and "status" in said["return"]:
                if said["return"]["status"] == "completed" and not said["return"].get("total-time"):
                    # The event comes before QEMU has worked the figures out (migration_calculate_complete): it is asked again, for as
                    # long as libvirt lets it live.
                    time.sleep(0.002)
                    qmp.send("query-migrate")
                    continue
                say(migrate=said["return"])
                if said["return"]["status"] in ("completed", "failed", "cancelled"):
                    say(cpu=cpu_seconds(guest))
    except (OSError, ValueError):
        pass
    say(cpu=cpu_seconds(guest))


def reap(secret, *words):
    """Runs a daemon and takes the exit status of whatever it leaves behind, as an init does. Without one that does so at
    once, libvirt waits for a guest's process that has ended long since."""
    import ctypes
    PR_SET_CHILD_SUBREAPER = 36
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    subprocess.Popen(words)
    while True:
        try:
            os.wait()
        except ChildProcessError:
            return


def ram(qmp, size):
    """Where RAM lies in the addresses of a PC: what does not fit below 4 GiB starts there (hw/i386/pc_piix.c, pc_q35.c)."""
    machine = qmp.order("qom-get", path="/machine", property="type")
    if "i440fx" in machine or machine.startswith("pc-machine"):
        low = size if size < 0xe0000000 else 0xc0000000
    elif "q35" in machine:
        low = size if size < 0xb0000000 else 0x80000000
    else:
        raise OSError(f"where RAM lies in a `{machine}` is not known; another --method does not need it")
    return [(0, low)] + ([(4 << 30, size - low)] if size > low else [])


def snapshots(secret, path, key, name, size, windows, longest):
    """Compares all of a guest's memory with what it was at the beginning, after each window; the guest stands still while it is read.
    Windows are counted in the time in which it runs, and each holds those that are shorter."""
    size, page, longest = int(size), 4096, float(longest)
    folder = f"{FOLDER}/{key}.memory"
    # No disk that takes longer than this for it is waited for.
    guest = Borrowed(path, key, name, 60 + size / 50e6, what="its memory was being compared", folders=[folder])
    qmp = guest.qmp
    parts = ram(qmp, size)
    files = [[f"{folder}/{n}{part}" for part in range(len(parts))] for n in "ab"]
    trial = f"{folder}/trial"
    guest.write(files=sum(files, [trial]))
    room = os.statvfs(FOLDER)
    free = room.f_bavail * room.f_frsize
    if free < 2 * size + (64 << 20):
        raise OSError(f"the guest's memory is written down twice, {2 * size >> 20} MiB, and {FOLDER} has room for {free >> 20} MiB; "
                      "another --method takes none")
    with contextlib.suppress(FileExistsError):
        os.mkdir(folder, 0o700)
    _, user, group = qmp.peer()
    os.chown(folder, user, group)
    # QEMU writes into what is there: nobody else ever reads it.
    for file in sum(files, [trial]):
        with private(file) as new:
            os.fchown(new.fileno(), user, group)

    # How long it will stand is seen while it runs.
    began_at, some = time.monotonic(), min(size, 64 << 20)
    qmp.order("pmemsave", val=0, size=some, filename=trial)
    stands = (time.monotonic() - began_at) * size / some
    os.unlink(trial)
    if stands > longest:
        raise OSError(f"the guest would stand still for some {stands:.0f} s each time that its memory is written down, longer than "
                      f"{longest:.0f} s; --longest-stop allows it, another --method does not stop it")

    def read(names):
        guest.stop()
        at = time.monotonic()
        for (address, length), file in zip(parts, names):
            qmp.order("pmemsave", val=address, size=length, filename=file)
        guest.go_on()
        return at, time.monotonic()

    def pages(names):
        for file in names:
            with open(file, "rb") as memory:
                while block := memory.read(page << 8):
                    yield block

    def compare():
        changed = touched = 0
        for a, b in zip(pages(files[0]), pages(files[1])):
            for i in range(0, len(b), page):
                one = b[i:i + page]
                touched += one != zero
                changed += a != b and a[i:i + page] != one
        return dict(changed=changed, touched=touched)

    zero, ran = bytes(page), 0.0
    _, goes_on = read(files[0])
    found = []
    for window in map(int, windows.split(",")):
        time.sleep(max(window / 1000 - ran - (time.monotonic() - goes_on), 0))
        stopped, again = read(files[1])
        ran, goes_on = ran + stopped - goes_on, again
        # What is compared takes its time, in which the guest runs on: it belongs to the next window.
        found.append(dict(ms=ran * 1000, **compare()))
    return found


class Sink:
    """Takes a migration's stream and throws it away, at a rate or not at all. What a slow stream may leave is so little that QEMU goes
    on and on."""
    SLOW = 64 << 20

    def __init__(self, path, user):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        self.server, self.conn, self.closed = socket.socket(socket.AF_UNIX), None, False
        self.server.bind(path)
        os.chmod(path, 0o600)
        os.chown(path, *user)
        self.server.listen(1)
        self.open, self.rate = threading.Event(), 128 << 20
        self.open.set()
        threading.Thread(target=self.drain, daemon=True).start()

    def drain(self):
        with contextlib.suppress(OSError):
            self.conn, _ = self.server.accept()
            block = bytearray(1 << 16)
            while not self.closed:
                self.open.wait()
                n = self.conn.recv_into(block)
                if n == 0:
                    return
                time.sleep(n / self.rate)

    def close(self):
        """The stream breaks: QEMU gives the migration up by itself, and the guest goes on."""
        self.closed = True
        for end in (self.server, self.conn):
            if end is not None:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
                end.close()
        self.open.set()


class Quiet(OSError):
    """A guest that writes too little for this."""


def rehearse(secret, path, key, name, windows):
    """Migrates a guest to nowhere and counts the distinct pages that its dirty log has after each window; gives up at the end.
    The guest runs on, as fast as it does while it is migrated."""
    pipe = f"{FOLDER}/{key}.sink"
    guest = Borrowed(path, key, name, 60, what="it was being migrated to nowhere", files=[pipe])
    qmp = guest.qmp
    capabilities = [each for each in qmp.order("query-migrate-capabilities") if each["capability"] == PAUSE]
    now = qmp.order("query-migrate-parameters")
    guest.write(migration=True, capabilities=capabilities, parameters={key: now[key] for key in NOWHERE})
    sink = Sink(pipe, qmp.peer()[1:])
    try:
        qmp.order("migrate-set-parameters", **NOWHERE)
        qmp.order("migrate-set-capabilities", capabilities=[{"capability": PAUSE, "state": True}])
        qmp.order("migrate", uri=f"unix:{pipe}")
        return [dict(ms=ms, changed=changed) for ms, changed in counted(qmp, sink, list(map(int, windows.split(","))))]
    finally:
        sink.close()


def counted(qmp, sink, windows):
    """Windows in ms, and the distinct pages that the dirty log had after each."""

    def next_pass(number):
        """When the log was read for this pass, in seconds."""
        while True:
            said = qmp.event()
            stamp = said.get("timestamp")
            if said.get("event") == "STOP":
                raise Quiet("the guest writes too little for a migration that does not end; dirty-bitmap and snapshots measure it")
            if said.get("event") == "MIGRATION" and said["data"]["status"] in OVER:
                raise OSError("its migration to nowhere broke off")
            if said.get("event") == "MIGRATION_PASS" and said["data"]["pass"] >= number:
                return said["data"]["pass"], stamp["seconds"] + stamp["microseconds"] / 1e6

    number, began = next_pass(2)
    sink.open.clear()
    sink.rate = Sink.SLOW

    def pass_after(seconds, left=0):
        """Holds the stream up until it has to flow for what is left to be sent when so much time is over: a guest that writes little
        would converge in passes that take no time."""
        time.sleep(max(seconds - left * 4096 / Sink.SLOW - (time.time() - began), 0))
        sink.open.set()
        number_and_end = next_pass(number + 1)
        sink.open.clear()
        return number_and_end

    # What was written during the long first pass is sent first.
    for _ in range(2):
        number, began = pass_after(0.1)

    def pages():
        """Pages that are left, and pages of all passes until the end of this one."""
        ram = qmp.order("query-migrate")["ram"]
        left = ram["remaining"] // 4096
        return left, left + ram["normal"] + ram["duplicate"]

    found = []
    left, known = pages()
    for window in windows:
        number, ended = pass_after(window / 1000, left)
        left, all_passes = pages()
        found.append(((ended - began) * 1000, all_passes - known))
        known, began = all_passes, ended
    return found


def resident(secret, uuid, size):
    """How much of a guest's memory its QEMU holds, in bytes: what it has ever touched, by the kernel's own account; and the speed of the
    card that this host's default route goes through, in Mbit/s."""
    size, found = int(size), None
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            with open(f"/proc/{pid}/cmdline", "rb") as line:
                words = line.read(1 << 20).split(b"\0")
            # Labs may have guests of one id beside each other.
            here = os.readlink(f"/proc/{pid}/ns/net") == os.readlink("/proc/self/ns/net")
            if here and b"-uuid" in words and words[words.index(b"-uuid") + 1:][:1] == [uuid.encode()]:
                found = held(f"/proc/{pid}/smaps", size)
                break
    say(resident=found, speed_mbit=card())


def held(smaps, size):
    """What is resident of the largest mappings that together are a guest's memory."""
    maps = []
    with open(smaps) as lines:
        for line in lines:
            key, _, rest = line.partition(":")
            if key == "Size":
                maps.append([int(rest.split()[0]) << 10, 0])
            elif key in ("Rss", "Shared_Hugetlb", "Private_Hugetlb"):
                maps[-1][1] += int(rest.split()[0]) << 10
    total = held_bytes = 0
    for length, kept in sorted(maps, reverse=True):
        if total >= size:
            break
        total, held_bytes = total + length, held_bytes + kept
    return min(held_bytes, size)


def card():
    with contextlib.suppress(OSError, ValueError), open("/proc/net/route") as routes:
        for route in routes:
            device, destination = route.split()[:2]
            if destination == "00000000":
                with open(f"/sys/class/net/{device}/speed") as speed:
                    return max(int(speed.read()), 0) or None
    return None


WORK = {"receive": receive, "send": send, "echo": echo, "probe": probe, "watch": watch, "snapshots": snapshots, "rehearse": rehearse,
        "resident": resident, "undo": undo, "unstick": unstick, "reap": reap}


def main(what, *arguments):
    secret, found, error = b"", None, None
    try:
        try:
            if what != "reap":
                # Whatever ends the tool ends this too, but in order: the tool's own end is what is heard.
                signal.signal(signal.SIGINT, signal.SIG_IGN)
                signal.signal(signal.SIGHUP, signal.SIG_IGN)
                signal.signal(signal.SIGTERM, leave)
                # One line, and not a byte more: the rest is for the thread below.
                while (byte := os.read(0, 1)) not in (b"\n", b""):
                    secret += byte
                threading.Thread(target=leave_with_the_tool, daemon=True).start()
            found = WORK[what](secret, *arguments)
        finally:
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    except Left:
        pass
    except Exception as failed:
        error = failed
    # Nothing breaks in from here on. What was found is said when the guest is as it was: the tool may need no more, and ends the helper.
    Borrowed.give_back()
    if error is not None:
        say(error=str(error), quiet=isinstance(error, Quiet))
    for each in found or ():
        say(**each)
    # Threads that wait in the kernel are not waited for.
    os._exit(0 if error is None else 1)


if __name__ == "__main__":
    main(*sys.argv[1:])
