"""Write workbooks (XLSX) row by row, straight into the compressed file: nothing is kept but comments and styles.

XlsxWriter, beside which this is tested, writes the cells to a temporary file first, copies them to another and compresses that at the end.
"""
