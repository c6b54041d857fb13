"""A pruned network is compared with what it was, saved with its history, and checked when it is loaded."""

from prunebook.delivery.checking import Checked, verify
from prunebook.delivery.files import load, save
from prunebook.delivery.measuring import Measured, Times
from prunebook.delivery.report import Report, report

__all__ = ["Checked", "Measured", "Report", "Times", "load", "report", "save", "verify"]
