"""The jobs of the Linux guest: each loads an application at a steady rate, so that its dirty curve is the same at every
start. Says `ready` once it works, then a report every 500 ms, as the freestanding guest does; beats on the second port."""
import os, random, socket, sqlite3, subprocess, sys, threading, time

TICK = 0.02
random.seed(1)
work = {"done": 0, "behind": 0}


def paced(rate, step):
    """Calls step(n) so that `rate` operations a second come to be."""
    started, done = time.monotonic(), 0
    while True:
        due = int((time.monotonic() - started) * rate) - done
        if due > 0:
            due = min(due, int(rate / 5) + 1)
            step(due)
            done += due
            work["done"] = done
        time.sleep(TICK)


def skewed(n):
    """A key of n: a tenth of the keys gets half of the visits."""
    return random.randrange(n // 10) if random.random() < 0.5 else random.randrange(n)


def redis():
    subprocess.Popen(["redis-server", "--save", "", "--appendonly", "no", "--port", "6379"],
                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while True:
        try:
            conn = socket.create_connection(("127.0.0.1", 6379))
            break
        except OSError:
            time.sleep(0.2)
    keys, size = 30000, 1000

    def store(chosen):
        order = b"".join(b"*3\r\n$3\r\nSET\r\n$10\r\nkey%07d\r\n$%d\r\n%s\r\n" % (key, size, os.urandom(size // 2).hex().encode())
                         for key in chosen)
        conn.sendall(order)
        answer = 0
        while answer < 5 * len(chosen):
            answer += len(conn.recv(1 << 16))

    for first in range(0, keys, 100):
        store(range(first, first + 100))
    return 400, lambda n: store([skewed(keys) for _ in range(n)])


def python():
    rows = [{"id": i} for i in range(40000)]
    # From the first on numbers that Python does not keep ready-made: all rows are of one size, whenever they were written.
    written = 1000

    def write(row):
        nonlocal written
        written += 1
        row["values"] = [written + i for i in range(40)]
        row["name"] = "row %5d of %9d" % (row["id"], written)

    def step(n):
        for _ in range(n):
            write(rows[skewed(len(rows))])

    for row in rows:
        write(row)
    # Fresh rows lie side by side; those written anew lie where there was room. Until all are, each step touches more pages than the last.
    for row in random.sample(rows, len(rows)):
        write(row)
    step(2 * len(rows))
    return 300, step


def sqlite():
    db = sqlite3.connect("/tmp.db", check_same_thread=False)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=OFF")
    db.execute("CREATE TABLE account (id INTEGER PRIMARY KEY, balance INTEGER, note TEXT)")
    rows = 60000
    db.executemany("INSERT INTO account VALUES (?, 0, ?)", ((i, "x" * 400) for i in range(rows)))
    db.commit()

    def step(n):
        for _ in range(n):
            db.execute("UPDATE account SET balance = balance + 1 WHERE id = ?", (skewed(rows),))
        db.commit()

    return 250, step


def beat():
    with open("/dev/ttyS1", "wb", buffering=0) as port:
        while True:
            port.write(b".")
            time.sleep(0.01)


def report():
    started = last = time.monotonic()
    said, gap = 0, 0
    while True:
        now = time.monotonic()
        gap, last = max(gap, now - last), now
        ms = int((now - started) * 1000)
        if ms - said >= 500:
            print("r ms=%d writes=%d behind=%d gap_us=%d" % (ms, work["done"], work["behind"], gap * 1e6))
            said, gap = ms, 0
        time.sleep(0.01)


if __name__ == "__main__":
    rate, step = {"redis": redis, "python": python, "sqlite": sqlite}[sys.argv[1]]()
    threading.Thread(target=beat, daemon=True).start()
    print("ready")
    threading.Thread(target=report, daemon=True).start()
    paced(rate, step)
