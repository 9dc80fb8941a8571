"""What migcal has done at a host. Started over its standard input and output: the first argument says what, each answer
is a line of JSON. It ends when its standard input does, so that nothing stays behind a tool that was killed."""
import json, os, socket, subprocess, sys, threading, time


def say(**what):
    print(json.dumps(what), flush=True)


def leave_with_the_tool():
    while sys.stdin.buffer.read(4096):
        pass
    os._exit(0)


def receive(address, path):
    """Offers a port; takes one stream into a file and says how much came and when the last byte was stored."""
    with socket.create_server((address, 0)) as server:
        say(port=server.getsockname()[1])
        conn, _ = server.accept()
    with conn, open(path, "wb") as out:
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


def send(address, port, path):
    """Sends a file and waits until the other side has stored it."""
    started = time.monotonic()
    with socket.create_connection((address, int(port)), timeout=20) as conn, open(path, "rb") as source:
        conn.settimeout(60)
        count = conn.sendfile(source)
        conn.shutdown(socket.SHUT_WR)
        if conn.recv(2) != b"ok":
            raise OSError("the other side did not confirm the file: is its disk full?")
        say(bytes=count, seconds=time.monotonic() - started)


def echo(address):
    """Answers single bytes, for round trips, then counts a stream, for capacity."""
    with socket.create_server((address, 0)) as server:
        say(port=server.getsockname()[1])
        conn, _ = server.accept()
    with conn:
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


def probe(address, port, seconds):
    with socket.create_connection((address, int(port)), timeout=20) as conn:
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
            "others": others / tick}


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
        self.lines = self.socket.makefile("rb")
        self.lines.readline()
        self.order("qmp_capabilities")

    def send(self, name, **arguments):
        self.socket.sendall(json.dumps({"execute": name, "arguments": arguments}).encode() + b"\n")

    def order(self, name, **arguments):
        """Sends a command and waits for its answer; events that come before are left out."""
        self.send(name, **arguments)
        while True:
            said = json.loads(self.lines.readline())
            if "error" in said:
                raise OSError(said["error"]["desc"])
            if "return" in said:
                return said["return"]


def watch(path, device, destination, guest):
    """Follows a guest's second QMP socket: events as they come, QEMU's own figures at the end, and what is still queued in
    the socket and in the shaper when the guest stops."""
    say(cpu=cpu_seconds(guest), loadavg=os.getloadavg()[0])
    qmp = Qmp(path, patience=None)
    say(watching=True)
    try:
        for line in qmp.lines:
            said = json.loads(line)
            if "event" in said:
                stamp = said["timestamp"]
                say(event=said["event"], data=said.get("data", {}), s=stamp["seconds"] + stamp["microseconds"] / 1e6)
                status = said.get("data", {}).get("status")
                if said["event"] == "STOP":
                    for _ in range(4):
                        say(queued={"s": time.time(), "ss": output_of("ss", "-tinmH", "dst", destination),
                                    "tc": output_of("tc", "-s", "qdisc", "show", "dev", device) if device else ""})
                        time.sleep(0.02)
                if status in ("completed", "failed", "cancelled", "postcopy-paused"):
                    qmp.send("query-migrate")
            elif "return" in said and "status" in said["return"]:
                say(migrate=said["return"])
                if said["return"]["status"] in ("completed", "failed", "cancelled"):
                    say(cpu=cpu_seconds(guest))
    except OSError:
        pass
    say(cpu=cpu_seconds(guest))


def reap(*words):
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


def snapshots(path, size, windows):
    """Compares all of a guest's memory with itself a window later; the guest stands still while it is read."""
    qmp, size, page = Qmp(path), int(size), 4096
    # Below 4 GiB of addresses a PC has at most 3 GiB of RAM; what is above starts at 4 GiB.
    low = min(size, 3 << 30)
    parts = [(0, low)] + ([(4 << 30, size - low)] if size > low else [])
    files = [f"{path}.{n}" for n in "ab"]

    def read(file):
        qmp.order("stop")
        at = time.monotonic()
        for n, (address, length) in enumerate(parts):
            qmp.order("pmemsave", val=address, size=length, filename=f"{file}{n}")
        return at

    def pages(file):
        for n in range(len(parts)):
            with open(f"{file}{n}", "rb") as memory:
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

    zero = bytes(page)
    for window in map(int, windows.split(",")):
        try:
            read(files[0])
            qmp.order("cont")
            began = time.monotonic()
            time.sleep(window / 1000)
            ended = read(files[1])
            qmp.order("cont")
            found = compare()
        finally:
            # Before anything is said: the tool may need no more, and ends the helper.
            for name in [f"{file}{n}" for file in files for n in range(len(parts))]:
                if os.path.exists(name):
                    os.unlink(name)
        say(ms=(ended - began) * 1000, **found)


class Sink:
    """Takes a migration's stream and throws it away, at a rate or not at all. What a slow stream may leave is so little that QEMU goes
    on and on."""
    SLOW = 64 << 20

    def __init__(self, path):
        if os.path.exists(path):
            os.unlink(path)
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(path)
        self.server.listen(1)
        self.open, self.rate, self.path = threading.Event(), 128 << 20, path
        self.open.set()
        threading.Thread(target=self.drain, daemon=True).start()

    def drain(self):
        conn, _ = self.server.accept()
        block = bytearray(1 << 16)
        while True:
            self.open.wait()
            n = conn.recv_into(block)
            if n == 0:
                return
            time.sleep(n / self.rate)


def rehearse(path, windows):
    """Migrates a guest to nowhere and counts the distinct pages that its dirty log has after each window; gives up at the end.
    The guest runs on, as fast as it does while it is migrated."""
    qmp = Qmp(path)
    before = qmp.order("query-migrate-parameters")
    sink = Sink(f"{path}.sink")
    pause = {"capability": "pause-before-switchover", "state": True}
    qmp.order("migrate-set-capabilities", capabilities=[pause])
    qmp.order("migrate-set-parameters", **{"downtime-limit": 2, "max-bandwidth": 1 << 40})
    try:
        qmp.order("migrate", uri=f"unix:{path}.sink")

        def next_pass(number):
            """When the log was read for this pass, in seconds."""
            while True:
                said = json.loads(qmp.lines.readline())
                stamp = said.get("timestamp")
                if said.get("event") == "STOP":
                    raise OSError("the guest writes too little for a migration that does not end")
                if said.get("event") == "MIGRATION_PASS" and said["data"]["pass"] >= number:
                    return said["data"]["pass"], stamp["seconds"] + stamp["microseconds"] / 1e6

        number, began = next_pass(2)
        sink.rate = Sink.SLOW
        # What was written during the long first passes is sent first.
        for _ in range(4):
            number, began = next_pass(number + 1)

        def pages():
            """Pages that are left, and pages of all passes until the end of this one."""
            ram = qmp.order("query-migrate")["ram"]
            left = ram["remaining"] // 4096
            return left, left + ram["normal"] + ram["duplicate"]

        sink.open.clear()
        left, known = pages()
        for window in map(int, windows.split(",")):
            time.sleep(max(window / 1000 - left * 4096 / Sink.SLOW - (time.time() - began), 0))
            sink.open.set()
            number, ended = next_pass(number + 1)
            sink.open.clear()
            left, all_passes = pages()
            say(ms=(ended - began) * 1000, changed=all_passes - known)
            known, began = all_passes, ended
    finally:
        qmp.order("migrate_cancel")
        sink.open.set()
        sink.rate = 1 << 40
        while qmp.order("query-migrate").get("status") not in ("cancelled", "failed", "completed"):
            time.sleep(0.02)
        pause["state"] = False
        qmp.order("migrate-set-capabilities", capabilities=[pause])
        kept = {key: before[key] for key in ("downtime-limit", "max-bandwidth")}
        qmp.order("migrate-set-parameters", **kept)
        os.unlink(sink.path)
    say(over=True)


if __name__ == "__main__":
    if sys.argv[1] != "reap":
        threading.Thread(target=leave_with_the_tool, daemon=True).start()
    try:
        {"receive": receive, "send": send, "echo": echo, "probe": probe, "watch": watch, "snapshots": snapshots,
         "rehearse": rehearse, "reap": reap}[sys.argv[1]](*sys.argv[2:])
    except Exception as error:
        say(error=str(error))
        sys.exit(1)
