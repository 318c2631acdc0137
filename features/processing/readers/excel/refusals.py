"""Sentences for workbooks that cannot be read. Uses the standard library only, because child processes say them."""

from __future__ import annotations

DAMAGED = "The workbook is damaged and cannot be read. Open it in Excel, save it again and upload the new file."
TOO_SLOW = "The workbook cannot be read: it takes longer than any real workbook of its kind. It is probably damaged."
TOO_LARGE = "The workbook cannot be read: it needs more memory than any real workbook of its kind."
PROTECTED = "The workbook is protected by a password. Remove the password in Excel and upload the file again."
UNKNOWN_ENCRYPTION = (
    "The workbook is encrypted in a way that this service does not know. Remove the password or other protection in Excel and upload the file again."
)
SLOW_ENCRYPTION = (
    "The workbook cannot be read: opening it takes more work than its password should need. Remove the password in Excel and upload the file again."
)
LARGE_ENCRYPTION = "The workbook is too large to be decrypted. Remove the password in Excel and upload the file again."
RIGHTS_MANAGED = "The workbook is protected by rights management. Save a copy without it in Excel and upload that."
WORD_DOCUMENT = "The file is a Word document. Save the table from Excel as .xlsx or .xls and upload that."
PRESENTATION = "The file is a PowerPoint presentation. Save the table from Excel as .xlsx or .xls and upload that."
