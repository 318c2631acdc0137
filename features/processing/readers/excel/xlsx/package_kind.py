"""Say what a package is that is no workbook, and what to do with it."""

from __future__ import annotations

from typing import NoReturn

from features.processing.readers.base import FileUnreadable
from features.processing.readers.excel.xlsx.package import Package

_OTHERS = (
    ("wordprocessingml", "word", "a Word document"),
    ("presentationml", "ppt", "a PowerPoint presentation"),
    ("/visio/", "visio", "a Visio drawing"),
)
_NO_WORKBOOK = "The file is not an Excel workbook. Save the table from Excel as .xlsx and upload that."
_BINARY = "The workbook is in Excel's binary format (.xlsb). Save it as .xlsx and upload that."


def refuse_package(package: Package, *, root: str = "") -> NoReturn:
    """Raise `FileUnreadable` for a package that is no workbook; `root` is the root of its main part, with its namespace."""
    if package.find("xl/workbook.bin") is not None:
        raise FileUnreadable(_BINARY)
    if package.find("mimetype") is not None or package.find("META-INF/manifest.xml") is not None:
        raise FileUnreadable("The file is an OpenDocument file. Save the table as .xlsx and upload that.")
    if package.find("Index/Document.iwa") is not None or package.find("Index.zip") is not None:
        raise FileUnreadable("The file is a document of Apple Numbers or Pages. Export the table as an Excel workbook (.xlsx) and upload that.")
    for namespace, folder, kind in _OTHERS:
        if namespace in root or (not root and package.has_folder(folder)):
            raise FileUnreadable(f"The file is {kind}, not an Excel workbook. Put the table into a sheet of Excel, save it as .xlsx and upload that.")
    raise FileUnreadable(_NO_WORKBOOK)
