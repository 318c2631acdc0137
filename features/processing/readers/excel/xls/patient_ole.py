"""Read compound files (OLE2) that are a little off, as Excel does: with wrong counts, a broken tree of names, sectors that are cut off or used twice.

Source: MS-CFB. Everything that a file can repeat is bounded by the size of the file.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import IO, Any

import olefile

_SECTOR_SIZES = (512, 4096)
_HEADER_FAT_SECTORS = 109
_MAX_ENTRIES = 10_000
"""The most streams and storages that are looked at; a workbook with an object in every row has fewer."""


class PatientOleFile(olefile.OleFileIO):  # type: ignore[misc] # olefile has no types
    """A compound file whose entries are listed one by one, because the tree that orders them is broken more often than they are."""

    num_difat_sectors: int
    num_fat_sectors: int
    direntries: list[Any]
    root: Any

    def loadfat(self, header: bytes) -> None:
        """Load the allocation table; the counts in the header that it does not agree with are corrected before."""
        if self.sector_size not in _SECTOR_SIZES:
            raise olefile.olefile.OleFileError("no sectors of this size")
        entries = self.sector_size // 4
        if self.num_difat_sectors or self.nb_sect > _HEADER_FAT_SECTORS * entries:
            chain = self._follow_difat(entries)
            self.num_difat_sectors = len(chain)
            self.num_fat_sectors = _HEADER_FAT_SECTORS + len(chain) * (entries - 1)
        super().loadfat(header)

    def _follow_difat(self, entries: int) -> Sequence[int]:
        chain: list[int] = []
        sector = self.first_difat_sector
        most = self.nb_sect // (entries * (entries - 1)) + 2
        while sector < self.nb_sect and len(chain) <= most:
            chain.append(sector)
            sector = int.from_bytes(self.getsect(sector)[-4:], "little")
        if len(chain) > most:
            raise olefile.olefile.OleFileError("the list of allocation tables is a loop")
        return chain

    def getsect(self, sect: int) -> bytes:
        """Return a sector of an allocation table; what the end of the file has cut off counts as free."""
        sector = b""
        if sect < self.nb_sect:
            self.fp.seek(self.sector_size * (sect + 1))
            sector = self.fp.read(self.sector_size)
        return sector.ljust(self.sector_size, b"\xff")

    def loaddirectory(self, sect: int) -> None:
        """Load all entries of the directory, but not the tree, which may be deep or a loop."""
        self.directory_fp = self._open(sect, force_FAT=True)
        self.direntries = [None] * min(self.directory_fp.size // 128, _MAX_ENTRIES)
        for index in range(len(self.direntries)):
            self._load_direntry(index)
        self.root = self.direntries[0]

    def list_names(self) -> frozenset[str]:
        """Return the names of all streams and storages."""
        return frozenset(entry.name for entry in self.direntries if entry.entry_type != olefile.STGTY_EMPTY)

    def read_stream(self, name: str) -> bytes | None:
        """Return the stream with this name, of those at the top if the tree tells; None if there is none."""
        entries = [entry for entry in self.direntries if entry.entry_type == olefile.STGTY_STREAM and entry.name.lower() == name]
        top = self._list_top()
        entry = next((entry for entry in entries if entry.sid in top), entries[0] if entries else None)
        if entry is None:
            return None
        if entry.size < self.mini_stream_cutoff_size:
            stream: IO[bytes] = self._open(entry.isectStart, entry.size)
        else:
            # To the end of its chain of sectors, since the size may be wrong; that is at most the size of the file.
            stream = self._open(entry.isectStart)
        return stream.read()

    def _list_top(self) -> frozenset[int]:
        """Return the numbers of the entries that do not lie in a storage, as far as the tree tells."""
        found: set[int] = set()
        waiting: list[Any] = [self.root.sid_child]
        while waiting:
            number = waiting.pop()
            if number < len(self.direntries) and number not in found:
                found.add(number)
                entry = self.direntries[number]
                waiting += [entry.sid_left, entry.sid_right]
        return frozenset(found)
