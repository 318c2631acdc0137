"""Read XLS workbooks (BIFF, Excel 97 to 2003)."""
