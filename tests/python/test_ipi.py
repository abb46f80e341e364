# SPDX-License-Identifier: MIT
"""`aimnet ipi` against small servers written here (standard library only), and, where they are installed, ASE and i-PI.

Environment: AIMNET (the command), SOURCE (root of the sources).
"""
import array
import json
import os
import pathlib
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import unittest
from multiprocessing import shared_memory

try:
    import ase
    from ase.io import read
except ImportError:
    ase = None

AIMNET, SOURCE = os.environ["AIMNET"], pathlib.Path(os.environ["SOURCE"])
WATER = SOURCE / "tests/golden/molecules/water.xyz"
HARTREE, BOHR = 27.211386024367243, 0.5291772105638411
CELL = [[9.0, 0, 0], [1.0, 8.0, 0], [0, 0.5, 10.0]]


def doubles(values):
    return array.array("d", values).tobytes()


def header(word):
    return word.ljust(12).encode()


def atoms_of(path):
    rows = [line.split() for line in path.read_text().split("\n")[2:] if line.split()]
    return [r[0] for r in rows], [[float(x) for x in r[1:4]] for r in rows]


def write_xyz(path, symbols, positions, cell=None):
    comment = 'Lattice="{}" Properties=species:S:1:pos:R:3 pbc="T T T"'.format(" ".join(str(x) for row in cell for x in row)) if cell else "x"
    rows = ["{} {!r} {!r} {!r}".format(s, *map(float, p)) for s, p in zip(symbols, positions)]
    path.write_text("\n".join([str(len(symbols)), comment, *rows]) + "\n")


def energies_of(folder, symbols, frames, cell=None, *options):
    """What `aimnet energy` says about the same structures."""
    text = ""
    for k, positions in enumerate(frames):
        path = folder / f"frame{k}.xyz"
        write_xyz(path, symbols, positions, cell)
        text += path.read_text()
    (folder / "frames.xyz").write_text(text)
    more = ["--stress"] if cell else []
    out = subprocess.run([AIMNET, "energy", "--json", "--quiet", "--forces", "--charges", *more, *options, str(folder / "frames.xyz")],
                         stdout=subprocess.PIPE, check=True, text=True).stdout
    return [json.loads(line) for line in out.splitlines()]


class Peer:
    """One accepted connection."""

    def __init__(self, connection):
        self.s = connection

    def read(self, n):
        data = b""
        while len(data) < n:
            part = self.s.recv(n - len(data))
            if not part:
                raise EOFError
            data += part
        return data

    def word(self):
        return self.read(12).decode().strip()

    def numbers(self, n):
        return list(struct.unpack(f"<{n}d", self.read(8 * n)))

    def int(self):
        return struct.unpack("<i", self.read(4))[0]

    def status(self):
        self.s.sendall(header("STATUS"))
        return self.word()

    def init(self, text=b"\0"):
        assert self.status() == "NEEDINIT"
        self.s.sendall(header("INIT") + struct.pack("<ii", 0, len(text)) + text)
        assert self.status() == "READY"

    @staticmethod
    def cell_bytes(cell):
        columns = [cell[v][d] / BOHR for d in range(3) for v in range(3)]
        return doubles(columns) + doubles([0.0] * 9)

    @staticmethod
    def position_bytes(positions):
        return doubles([x / BOHR for p in positions for x in p])

    def positions(self, positions, cell=CELL):
        return header("POSDATA") + self.cell_bytes(cell) + struct.pack("<i", len(positions)) + self.position_bytes(positions)

    def extras(self):
        return self.read(self.int()).decode()

    def forces(self, n):
        assert self.word() == "FORCEREADY"
        energy = self.numbers(1)[0]
        assert self.int() == n
        return energy * HARTREE, [f * HARTREE / BOHR for f in self.numbers(3 * n)], [v * HARTREE for v in self.numbers(9)], self.extras()


class Base(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="aimnet_ipi_"))
        self.symbols, self.water = atoms_of(WATER)

    def tearDown(self):
        shutil.rmtree(self.folder)

    def serve(self, talk, *options, file=WATER, n=1, tcp=False, timeout=60):
        """Runs the command against `talk(peers)`; returns its exit status and diagnostics."""
        if tcp:
            server = socket.create_server(("127.0.0.1", 0))
            where = ["--address", "127.0.0.1", "--port", str(server.getsockname()[1])]
        else:
            server = socket.socket(socket.AF_UNIX)
            server.bind(str(self.folder / "socket"))
            where = ["--unix", str(self.folder / "socket")]
        server.listen(n)
        server.settimeout(timeout)
        process = subprocess.Popen([AIMNET, "ipi", *where, *options, str(file)], stderr=subprocess.PIPE, text=True)
        peers, failure = [], []

        def run():
            try:
                for _ in range(n):
                    connection, _ = server.accept()
                    connection.settimeout(timeout)
                    peers.append(Peer(connection))
                talk(peers if n > 1 else peers[0])
            except Exception as error:
                failure.append(error)
            finally:
                for p in peers:
                    p.s.close()
        thread = threading.Thread(target=run)
        thread.start()
        text = process.communicate(timeout=timeout)[1]
        thread.join()
        server.close()
        if not tcp:
            os.unlink(self.folder / "socket")
        self.failure = failure[0] if failure else None
        return process.returncode, text

    def assert_close(self, a, b, delta=1e-9):
        self.assertEqual(len(a), len(b))
        for x, y in zip(a, b):
            self.assertAlmostEqual(x, y, delta=delta)


class Protocol(Base):
    def check(self, got, expected, periodic=False):
        energy, forces, virial, extras = got
        self.assertAlmostEqual(energy, expected["energy"], delta=1e-8)
        self.assert_close(forces, [x for row in expected["forces"] for x in row], 1e-8)
        if periodic:
            volume = CELL[0][0] * CELL[1][1] * CELL[2][2]
            self.assert_close(virial, [-volume * x for row in expected["stress"] for x in row], 1e-7)
        else:
            self.assertEqual(virial, [0.0] * 9)
        self.assert_close(json.loads(extras)["charges"], expected["charges"])

    def test_one_structure_after_the_other(self):
        moved = [[x + 0.01 * k for x in p] for k, p in enumerate(self.water)]
        expected = energies_of(self.folder, self.symbols, [self.water, moved])

        def talk(peer):
            peer.init()
            for positions, e in zip((self.water, moved), expected):
                peer.s.sendall(peer.positions(positions))
                self.assertEqual(peer.status(), "HAVEDATA")
                peer.s.sendall(header("GETFORCE"))
                self.check(peer.forces(3), e)
                self.assertEqual(peer.status(), "READY")
            peer.s.sendall(header("EXIT"))
        status, text = self.serve(talk, tcp=True)
        self.assertIsNone(self.failure)
        self.assertEqual(status, 0)
        self.assertIn("2 structures in 2 batches", text)

    def test_messages_in_one_piece_and_the_end_without_exit(self):
        file = self.folder / "crystal.xyz"
        write_xyz(file, self.symbols, self.water, CELL)
        expected = energies_of(self.folder, self.symbols, [self.water], CELL)

        def talk(peer):
            data = peer.positions(self.water) + header("GETFORCE")
            peer.s.sendall(data[:5])
            peer.s.sendall(data[5:200])
            peer.s.sendall(data[200:])
            self.check(peer.forces(3), expected[0], periodic=True)
        self.assertEqual(self.serve(talk, "--quiet", file=file), (0, ""))
        self.assertIsNone(self.failure)

    def test_batches(self):
        frames = [[[x + 0.02 * k * (i - 1) for i, x in enumerate(p)] for p in self.water] for k in range(4)]
        expected = energies_of(self.folder, self.symbols, frames)

        def talk(peer):
            peer.init(b"some words, batch_size:4")
            for _ in range(2):
                peer.s.sendall(header("POSDATA") + struct.pack("<i", 3) + peer.cell_bytes(CELL) * 4 +
                               b"".join(peer.position_bytes(f) for f in frames) + header("GETFORCE"))
                assert peer.word() == "FORCEREADY"
                energies = peer.numbers(4)
                assert peer.int() == 3
                forces, virials = [peer.numbers(9) for _ in frames], [peer.numbers(9) for _ in frames]
                for k, e in enumerate(expected):
                    self.check((energies[k] * HARTREE, [f * HARTREE / BOHR for f in forces[k]], virials[k], peer.extras()), e)
        status, text = self.serve(talk)
        self.assertIsNone(self.failure)
        self.assertEqual(status, 0)
        self.assertIn("8 structures in 2 batches", text)

    def test_shared_memory(self):
        expected = energies_of(self.folder, self.symbols, [self.water])
        sizes = {"pos": 9, "h": 9, "ih": 9, "pot": 1, "force": 9, "vir": 9}
        segments = {k: shared_memory.SharedMemory(create=True, size=8 * n) for k, n in sizes.items()}
        try:
            def talk(peer):
                peer.init()
                for first in (True, False):
                    segments["pos"].buf[:72] = peer.position_bytes(self.water)
                    segments["h"].buf[:72] = peer.cell_bytes(CELL)[:72]
                    names = b"".join(struct.pack("<i", len(s.name)) + s.name.encode() for s in segments.values())
                    peer.s.sendall(header("POSDATA") + struct.pack("<i", 3) + (names if first else b"") + header("GETFORCE"))
                    assert peer.word() == "FORCEREADY"
                    extras = peer.extras()
                    energy, forces, virial = (struct.unpack(f"<{sizes[k]}d", segments[k].buf[:8 * sizes[k]]) for k in ("pot", "force", "vir"))
                    self.check((energy[0] * HARTREE, [f * HARTREE / BOHR for f in forces], list(virial), extras), expected[0])
            status, text = self.serve(talk, "--shm")
        finally:
            for s in segments.values():
                s.close()
                s.unlink()
        self.assertIsNone(self.failure, text)
        self.assertEqual(status, 0)

    def test_connections_share_a_batch(self):
        frames = [[[x + 0.01 * k for x in p] for p in self.water] for k in range(3)]
        expected = energies_of(self.folder, self.symbols, frames)

        def talk(peers):
            for p in peers:
                p.init()
            for p, f in zip(peers, frames):
                p.s.sendall(p.positions(f) + header("STATUS"))
            for p in peers:
                self.assertEqual(p.word(), "HAVEDATA")
                p.s.sendall(header("GETFORCE"))
            for p, e in zip(peers, expected):
                self.check(p.forces(3), e)
        status, text = self.serve(talk, "--connections", "3", n=3)
        self.assertIsNone(self.failure)
        self.assertEqual(status, 0)
        self.assertIn("3 structures in", text)

    def test_what_a_hostile_server_sends_is_an_error(self):
        good = Peer(None)
        position = good.positions(self.water)
        cases = {
            "no message of the i-PI protocol": header("HELLO"),
            "4 atoms, but the structure file has 3": header("POSDATA") + good.cell_bytes(CELL) + struct.pack("<i", 4),
            "-1 atoms": header("POSDATA") + good.cell_bytes(CELL) + struct.pack("<i", -1),
            "in the middle of a message": position[:100],
            "in the middle of a message ": header("POSDATA")[:7],
            "INIT string of -5 bytes": header("INIT") + struct.pack("<ii", 0, -5),
            "INIT string of 2147483647 bytes": header("INIT") + struct.pack("<ii", 0, 2147483647),
            "batches of 0 structures": header("INIT") + struct.pack("<ii", 0, 12) + b"batch_size:0",
            "batches of 9999999 structures": header("INIT") + struct.pack("<ii", 0, 18) + b"batch_size:9999999",
            "asks for forces before": header("GETFORCE"),
            "not finite": good.positions([[float("nan")] * 3, *self.water[1:]]),
            "overlap": good.positions([self.water[0]] * 3),
        }
        for message, data in cases.items():
            with self.subTest(message):
                status, text = self.serve(lambda peer, d=data: (peer.s.sendall(d), peer.s.shutdown(socket.SHUT_WR), peer.s.recv(1)))
                self.assertEqual(status, 1, text)
                self.assertIn(message.strip(), text)
        for message, names in (("a name of 0 bytes", struct.pack("<i", 0)), ("a name of 99999 bytes", struct.pack("<i", 99999)),
                               ("shared memory", struct.pack("<i", 11) + b"no_such_shm")):
            with self.subTest(message):
                data = header("POSDATA") + struct.pack("<i", 3) + names
                status, text = self.serve(lambda peer, d=data: (peer.s.sendall(d), peer.s.shutdown(socket.SHUT_WR), peer.s.recv(1)), "--shm")
                self.assertEqual(status, 1, text)
                self.assertIn(message, text)

    def test_a_segment_that_is_too_small_is_refused(self):
        segment = shared_memory.SharedMemory(create=True, size=8)
        try:
            name = segment.name.encode()
            data = header("POSDATA") + struct.pack("<i", 3) + struct.pack("<i", len(name)) + name
            status, text = self.serve(lambda peer: (peer.s.sendall(data), peer.s.recv(1)), "--shm")
        finally:
            segment.close()
            segment.unlink()
        self.assertEqual(status, 1)
        self.assertIn("holds 8 bytes, expected at least 72", text)

    def test_mistakes_of_the_user(self):
        def run(*words):
            done = subprocess.run([AIMNET, "ipi", *words], stderr=subprocess.PIPE, text=True)
            return done.returncode, done.stderr
        self.assertEqual(run("--unix", "a", "--port", "3", str(WATER))[0], 2)
        self.assertEqual(run("--shm", str(WATER))[0], 2)
        status, text = run("--unix", str(self.folder / "nobody"), "--wait", "0", str(WATER))
        self.assertEqual(status, 1)
        self.assertIn("no server answers", text)
        self.assertEqual(run("--unix", "x", str(self.folder / "missing.xyz"))[0], 1)


@unittest.skipIf(ase is None, "ASE is not installed")
class Ase(Base):
    def run_bfgs(self, atoms, file, cell):
        from ase.calculators.socketio import SocketIOCalculator
        try:
            from ase.filters import UnitCellFilter
        except ImportError:  # before ASE 3.23
            from ase.constraints import UnitCellFilter
        from ase.optimize import BFGS
        name = f"aimnet_test_{os.getpid()}"
        with SocketIOCalculator(unixsocket=name, timeout=60) as calc:
            old = ["--no-extras"] if ase.__version__ < "3.23" else []  # which trips over more than one byte of extras
            process = subprocess.Popen([AIMNET, "ipi", "--unix", name, "--precision", "double", *old, str(file)], stderr=subprocess.PIPE)
            atoms.calc = calc
            converged = BFGS(UnitCellFilter(atoms) if cell else atoms, logfile=None).run(fmax=0.01, steps=200)
            energy = atoms.get_potential_energy()
        process.communicate(timeout=60)
        self.assertEqual(process.returncode, 0)  # ASE hangs up without EXIT
        return converged, energy

    def test_bfgs_through_a_socket(self):
        atoms = read(WATER)
        converged, energy = self.run_bfgs(atoms, WATER, False)
        self.assertTrue(converged)
        positions = atoms.positions.tolist()
        self.assertAlmostEqual(energies_of(self.folder, self.symbols, [positions], None, "--precision", "double")[0]["energy"], energy, delta=1e-7)

    def test_cells_through_a_socket(self):
        atoms = read(SOURCE / "tests/golden/opt/crystals.xyz", index=0)
        reference = atoms.info["ase_enthalpy"]
        file = self.folder / "crystal.xyz"
        write_xyz(file, atoms.get_chemical_symbols(), atoms.positions, atoms.cell.array.tolist())
        converged, energy = self.run_bfgs(atoms, file, True)
        self.assertTrue(converged)
        self.assertAlmostEqual(energy, reference, delta=2e-3)


# In PATH, or beside the interpreter.
IPI = shutil.which("i-pi") or shutil.which("i-pi", path=os.path.dirname(sys.executable))


@unittest.skipIf(ase is None or IPI is None, "i-PI is not installed")
class Ipi(Base):
    """Path-integral dynamics of water with 8 beads: one batch a step, conserved quantity constant."""

    INPUT = """<simulation verbosity='low'>
  <output prefix='out'><properties stride='1'>[step, conserved, potential]</properties></output>
  <total_steps>20</total_steps>
  <prng><seed>31415</seed></prng>
  <ffsocket name='aimnet' mode='{mode}' pbc='false'>
    <address>{address}</address>{batch}<latency>1e-4</latency></ffsocket>
  <system>
    <initialize nbeads='8'><file mode='ase'>start.xyz</file><velocities mode='thermal' units='kelvin'>300</velocities></initialize>
    <forces><force forcefield='aimnet'/></forces>
    <motion mode='dynamics'><dynamics mode='nve'><timestep units='femtosecond'>0.2</timestep></dynamics></motion>
    <ensemble><temperature units='kelvin'>300</temperature></ensemble>
  </system>
</simulation>
"""

    def run_ipi(self, mode, batch, *options):
        address = f"aimnet_beads_{os.getpid()}"
        water = read(WATER)
        water.set_cell([20, 20, 20])
        water.write(self.folder / "start.xyz", format="extxyz")
        text = self.INPUT.format(mode=mode, address=address, batch=f"<batch_size>{batch}</batch_size>" if batch > 1 else "")
        (self.folder / "input.xml").write_text(text)
        server = subprocess.Popen([IPI, "input.xml"], cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            client = subprocess.run([AIMNET, "ipi", "--unix", address, "--wait", "60", *options, str(WATER)], stderr=subprocess.PIPE,
                                    text=True, timeout=60)
        except subprocess.TimeoutExpired:
            server.kill()
            raise
        log = server.communicate(timeout=60)[0]
        self.assertEqual(client.returncode, 0, client.stderr + log)
        rows = [line.split() for line in (self.folder / "out.out").read_text().split("\n") if line and not line.startswith("#")]
        conserved = [float(r[1]) for r in rows]
        self.assertEqual(len(conserved), 21)
        self.assertLess(max(conserved) - min(conserved), 5e-5)  # hartree, 8 beads: velocity Verlet's own fluctuation
        return client.stderr

    def check_batches(self, summary):
        """21 steps of 8 beads; on a busy machine i-PI sends a batch before all beads are there, padded, and another with the rest."""
        structures, batches = map(int, re.search(r"(\d+) structures in (\d+) batches", summary).groups())
        self.assertEqual(structures, 8 * batches)
        self.assertTrue(21 <= batches <= 31, summary)

    def test_beads_in_one_batch(self):
        self.check_batches(self.run_ipi("unix", 8))

    def test_beads_in_shared_memory(self):
        self.check_batches(self.run_ipi("shm", 8, "--shm"))

    def test_beads_on_many_connections(self):
        self.assertIn("168 structures in", self.run_ipi("unix", 1, "--connections", "8"))


if __name__ == "__main__":
    unittest.main(verbosity=1)
