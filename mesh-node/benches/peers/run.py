#!/usr/bin/env python3
"""Content from one process to another on this machine, verified, disk to disk: mesh beside the
floor programs, rsync over ssh and iroh-blobs, alternating in one run. BENCHMARKS.md says how to
build the others and what the columns mean.

    run.py big|small ROUNDS PEER...      peers: mesh mesh-one mesh-two floor-ring floor-portable rsync iroh

Runs itself in a network namespace of its own when it is root, so that the bytes on the loopback
interface are this run's alone.
"""
import glob, json, os, re, shutil, signal, statistics, subprocess, sys, tempfile, time

HERE = os.path.dirname(os.path.abspath(__file__))
MESH = os.environ.get('MESH', os.path.join(HERE, '../../../target/release/mesh'))
PEERS = os.environ.get('PEERS', '/tmp/peer/peer-bench/target2/release')
BIG = int(os.environ.get('BIG_MB', 1024)) << 20
WARM = int(os.environ.get('WARM_MB', 4096)) << 20
FILES, FILE_BYTES = int(os.environ.get('FILES', 10_000)), 8192


class Run:
    """One measured transfer: its processes, its directory, what it cost."""

    def __init__(self, source, work):
        self.source, self.work, self.processes, self.cost = source, work, [], {}

    def path(self, *parts):
        return os.path.join(self.work, *parts)

    def spawn(self, *command, **options):
        process = subprocess.Popen(command, stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                   text=True, **options)
        self.processes.append(process)
        return process

    def line(self, process, pattern):
        for line in process.stdout:
            found = re.search(pattern, line)
            if found:
                return found
        raise RuntimeError(f'{process.args[0]} ended without {pattern}')

    def finish(self, process, timeout=600):
        end = time.time() + timeout
        while process.poll() is None:
            self.note()
            time.sleep(0.01)
            if time.time() > end:
                raise RuntimeError(f'{process.args} takes too long')
        if process.returncode:
            raise RuntimeError(f'{process.args} failed: {process.returncode}')

    def note(self):
        """CPU and peak memory of every process under this one, while they live."""
        for pid in children(os.getpid()):
            try:
                fields = open(f'/proc/{pid}/stat').read().rsplit(')', 1)[1].split()
                cpu = (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')
                status = open(f'/proc/{pid}/status').read()
                peak = int(re.search(r'VmHWM:\s+(\d+)', status)[1])
            except (OSError, TypeError, IndexError):
                continue
            name = re.search(r'Name:\s+(\S+)', status)[1]
            old = self.cost.get(pid, (0, 0, name))
            self.cost[pid] = (max(cpu, old[0]), max(peak, old[1]), name)

    def stop(self):
        self.note()
        for process in self.processes:
            if process.poll() is None:
                process.terminate()
        for process in self.processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def children(pid):
    for task in glob.glob(f'/proc/{pid}/task/*/children'):
        try:
            for child in open(task).read().split():
                yield int(child)
                yield from children(int(child))
        except OSError:
            pass


def mesh(run, *arguments):
    with tempfile.TemporaryFile('w+') as out:
        process = subprocess.Popen([MESH, *arguments], stdin=subprocess.DEVNULL, stdout=out)
        run.processes.append(process)
        run.finish(process)
        out.seek(0)
        return out.read()


def node(run, name):
    process = run.spawn(MESH, '--home', run.path(name), 'up', '--headless', '--json',
                        '--interface', 'lo', '--listen', '127.0.0.1:0')
    run.line(process, '"ready"')
    return ('--home', run.path(name))


def mesh_to(run, providers, stopped=0):
    nodes = [node(run, f'provider{n}') for n in range(providers)]
    first = run.processes[0]
    reader = node(run, 'reader')
    link = json.loads(mesh(run, *nodes[0], 'channel', 'new', 'bench', '--json'))['link']
    if providers == 1:
        mesh(run, *reader, 'follow', link)
    begin = time.time()
    mesh(run, *nodes[0], 'publish', 'bench', run.source)
    published = time.time()
    for other in nodes[1:]:
        mesh(run, *other, 'follow', link)
        mesh(run, *other, 'get', 'bench', 'all', '-o', run.path('other'))
    if stopped:
        run.note()
        first.terminate()
        first.wait()
    if providers > 1:
        begin = time.time()
        mesh(run, *reader, 'follow', link)
    out = run.path('out')
    mesh(run, *reader, 'get', link, 'all', '-o', out)
    return dict(seconds=time.time() - begin, prepare=published - begin, out=out)


def peer_mesh(run):
    return mesh_to(run, 1)


def peer_mesh_two(run):
    """Two providers; the clock runs from `follow` to the last byte written."""
    result = mesh_to(run, 2)
    return dict(result, prepare=0)


def peer_mesh_one(run):
    """As mesh-two, but the publisher has stopped: only the other provides."""
    result = mesh_to(run, 2, stopped=1)
    return dict(result, prepare=0)


def floor(run, cipher):
    binary = os.path.join(PEERS, 'peer-tcp')
    begin = time.time()
    sender = run.spawn(binary, 'xfer-send', run.source, cipher)
    ready = run.line(sender, r'READY (\S+) (\S+)')
    prepared = time.time()
    out = run.path('out')
    run.finish(run.spawn(binary, 'xfer-recv', ready[1], out, cipher))
    return dict(seconds=time.time() - begin, prepare=prepared - begin, out=out)


def peer_floor_ring(run):
    return floor(run, 'cc20-ring')


def peer_floor_portable(run):
    return floor(run, 'cc20-rustcrypto')


def peer_iroh(run):
    binary = os.path.join(PEERS, 'peer-iroh')
    os.makedirs(run.path('store1')), os.makedirs(run.path('store2'))
    begin = time.time()
    sender = run.spawn(binary, 'blob-send', run.source, run.path('store1'))
    ready = run.line(sender, r'READY (\S+) (\S+) (\S+) (\S+) (\S+)')
    prepared = time.time()
    out = run.path('out')
    run.finish(run.spawn(binary, 'blob-recv', *ready.groups()[:4], out, run.path('store2')))
    return dict(seconds=time.time() - begin, prepare=prepared - begin, out=out)


def peer_rsync(run):
    key, port = run.path('key'), '7222'
    for name in ('key', 'host'):
        subprocess.run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', run.path(name)],
                       check=True)
    os.makedirs('/run/sshd', exist_ok=True)
    run.spawn('/usr/sbin/sshd', '-D', '-e', '-p', port, '-f', '/dev/null', '-h', run.path('host'),
              '-o', 'ListenAddress=127.0.0.1', '-o', f'AuthorizedKeysFile={key}.pub',
              '-o', 'StrictModes=no', '-o', 'PermitRootLogin=yes')
    shell = (f'ssh -p {port} -i {key} -o StrictHostKeyChecking=no -o LogLevel=ERROR '
             '-o UserKnownHostsFile=/dev/null')
    for _ in range(100):
        if subprocess.run([*shell.split(), 'root@127.0.0.1', 'true'],
                          stderr=subprocess.DEVNULL).returncode == 0:
            break
        time.sleep(0.05)
    source = run.source + ('/' if os.path.isdir(run.source) else '')
    out = run.path('out')
    begin = time.time()
    run.finish(run.spawn('rsync', '-a', '-W', '-e', shell, source, f'root@127.0.0.1:{out}'))
    return dict(seconds=time.time() - begin, prepare=0, out=out)


def loopback_bytes():
    fields = re.search(r'lo:(.*)', open('/proc/net/dev').read())[1].split()
    return int(fields[8])


def is_same(source, out):
    for path in [out, *glob.glob(out + '/*')]:
        if os.path.isfile(source) == os.path.isfile(path):
            compared = subprocess.run(['diff', '-rq', source, path], capture_output=True)
            if compared.returncode == 0:
                return True
    return False


def warm(folder):
    """Touches the memory that the run will write to: on a virtual machine that gives freed memory
    back to its host, the first touch costs more than everything measured here."""
    path = os.path.join(folder, 'warm')
    with open(path, 'wb') as file:
        for _ in range(WARM >> 24):
            file.write(bytes(1 << 24))
    os.unlink(path)


def measure(kind, peer, source, total):
    with tempfile.TemporaryDirectory(dir='/dev/shm', prefix='mesh-bench-') as work:
        run = Run(source, work)
        warm(work)
        wire = loopback_bytes()
        try:
            result = globals()['peer_' + peer.replace('-', '_')](run)
            wire = loopback_bytes() - wire
        finally:
            run.stop()
        cpu = sum(cost[0] for cost in run.cost.values())
        daemons = sorted((cost[1] for cost in run.cost.values()), reverse=True)[:2]
        same = is_same(source, result['out'])
    row = dict(test=kind, peer=peer, seconds=round(result['seconds'], 3),
               prepare=round(result['prepare'], 3), cpu=round(cpu, 2),
               peak_mib=[round(kib / 1024, 1) for kib in daemons],
               wire=round(wire / total, 4), same=same)
    print(json.dumps(row), flush=True)
    return row


def main():
    kind, rounds, peers = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
    if os.geteuid() == 0 and 'MESH_BENCH_NAMESPACE' not in os.environ:
        os.environ['MESH_BENCH_NAMESPACE'] = '1'
        script = f'ip link set lo up; exec {sys.executable} "$0" "$@"'
        os.execvp('unshare', ['unshare', '-n', 'sh', '-c', script, *sys.argv])
    with tempfile.TemporaryDirectory(dir='/dev/shm', prefix='mesh-source-') as folder:
        if kind == 'big':
            source, total = os.path.join(folder, 'big.bin'), BIG
            with open(source, 'wb') as file:
                for _ in range(BIG >> 20):
                    file.write(os.urandom(1 << 20))
        else:
            source, total = os.path.join(folder, 'many'), FILES * FILE_BYTES
            os.makedirs(source)
            for n in range(FILES):
                with open(os.path.join(source, f'f{n:05}'), 'wb') as file:
                    file.write(os.urandom(FILE_BYTES))
        rows = [measure(kind, peer, source, total) for _ in range(rounds) for peer in peers]
    print(f'\n{"peer":16}{"seconds":>9}{"prepare":>9}{"CPU s":>8}{"wire":>8}  peak MiB   (medians)')
    for peer in peers:
        own = [row for row in rows if row['peer'] == peer]
        middle = lambda key: statistics.median(row[key] for row in own)
        peaks = [max(row['peak_mib'][n] for row in own if len(row['peak_mib']) > n)
                 for n in range(max(len(row['peak_mib']) for row in own))]
        good = '' if all(row['same'] for row in own) else '  CONTENT DIFFERS'
        print(f'{peer:16}{middle("seconds"):9.2f}{middle("prepare"):9.2f}{middle("cpu"):8.2f}'
              f'{middle("wire"):8.3f}  {peaks}{good}')
    return 0 if all(row['same'] for row in rows) else 1


if __name__ == '__main__':
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    sys.exit(main())
