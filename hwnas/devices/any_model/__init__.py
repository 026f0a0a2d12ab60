"""Any ONNX model measured by the protocol of the profiles."""

from hwnas.devices.any_model.answers import Accuracy
from hwnas.devices.any_model.cases import MeasureOptions
from hwnas.devices.any_model.latency import Comparison, Latency
from hwnas.devices.any_model.measuring import Measured, Report, measure, report
from hwnas.devices.any_model.probe import OperatorShare, Probe

__all__ = [
    "Accuracy",
    "Comparison",
    "Latency",
    "MeasureOptions",
    "Measured",
    "OperatorShare",
    "Probe",
    "Report",
    "measure",
    "report",
]
