"""Reads Excel workbooks: what both formats share, and a package for each."""
