#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A disk as a power cut leaves it, from a log of its writes.

	writelog.py LOG count START
	writelog.py LOG cut START SEED DISK NEW_START

The log is in dm-log-writes' format (tests/vm/vm.sh --writes). START is the
first sector of the state partition then, NEW_START that on DISK, a fresh disk
that the writes are applied to. count prints how many writes there are. cut
takes one of them by SEED: the flushes before it have reached the disk with
all before them; of the later writes, any subset has, and of a long one any
of its 4 KiB blocks. It prints which write it was and then the notes that the
guest wrote beside the partition until then, oldest first.
"""
import random, struct, sys

SECTOR, BLOCK = 512, 4096
FLUSH, FUA, DISCARD = 1, 2, 4
MAGIC = 0x6A736677736872
NOTES = range(64, 1024, 64)  # the sectors that notes are written to


def entries(path):
    """(first sector, sectors, flags, where the data is in the log), without what was not finished"""
    with open(path, "rb") as f:
        magic, _, _, size = struct.unpack("<QQQI", f.read(SECTOR)[:28])
        if magic != MAGIC or size != SECTOR:
            sys.exit("writelog: %s is no log of %d byte sectors" % (path, SECTOR))
        f.seek(0, 2)
        end, at = f.tell(), SECTOR
        while at + SECTOR <= end:
            f.seek(at)
            first, n, flags, _ = struct.unpack("<QQQQ", f.read(SECTOR)[:32])
            data = at + SECTOR
            at = data + (0 if flags & DISCARD else n * SECTOR)
            if at <= end:
                yield first, n, flags, data


class Cut:
    def __init__(self, log, start, seed):
        self.log, self.start = open(log, "rb"), start
        self.all = list(entries(log))
        self.writes = [i for i, e in enumerate(self.all) if e[1] and not e[2] & DISCARD and e[0] >= start]
        self.rnd = random.Random(seed)

    def data(self, entry):
        self.log.seek(entry[3])
        return self.log.read(entry[1] * SECTOR)

    def notes(self, at):
        for e in self.all[:at]:
            if e[0] in NOTES and e[1]:
                yield self.data(e)[:SECTOR].decode().strip()

    def put(self, disk, entry, shift, part):
        data = self.data(entry)
        for at in range(0, len(data), BLOCK if part else len(data)):
            if not part or self.rnd.random() < part:
                disk.seek((entry[0] + shift) * SECTOR + at)
                disk.write(data[at:at + BLOCK] if part else data)

    def apply(self, path, new_start):
        at = self.rnd.choice(self.writes)
        flushed = max([i for i in range(at) if self.all[i][2] & FLUSH], default=-1)
        keep = self.rnd.choice((0, 0.2, 0.5, 0.8, 1))
        with open(path, "r+b") as disk:
            for i in (i for i in self.writes if i <= at):
                e, part = self.all[i], 0
                if i > flushed and not e[2] & FUA:
                    if self.rnd.random() >= keep:
                        continue
                    part = self.rnd.choice((0, 0, 0.5))
                self.put(disk, e, new_start - self.start, part)
        late = sum(1 for i in self.writes if flushed < i <= at)
        print("write %d of %d, %d since the last flush and of them %d %%" %
              (self.writes.index(at) + 1, len(self.writes), late, keep * 100))
        for note in self.notes(at):
            print(note)


if __name__ == "__main__":
    log, verb, start = sys.argv[1], sys.argv[2], int(sys.argv[3])
    if verb == "count":
        print(len(Cut(log, start, 0).writes))
    else:
        Cut(log, start, int(sys.argv[4])).apply(sys.argv[5], int(sys.argv[6]))
