"""Gates: what a playbook asks of conversions, judged from a run's plan and record alone."""

from aprtui.gates.judge import judge_gate
from aprtui.gates.verdict import Verdict

__all__ = ["Verdict", "judge_gate"]
