"""FlowBuilder: flows in YAML or Python, compiled, run durably, and explained."""

__version__ = "0.1.0"
