"""Decrypt workbooks that Excel has encrypted with its own default password, which it uses if a workbook is only protected against changes."""
