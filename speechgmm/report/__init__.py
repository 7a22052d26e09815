"""A web page about a table of scores, for those who look at it and for those who must defend a decision."""

from speechgmm.report.page import PAGE, check_report, render_report, write_report

__all__ = ["PAGE", "check_report", "render_report", "write_report"]
