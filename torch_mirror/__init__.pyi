from torch_mirror.balls.cell import Ball as Ball
from torch_mirror.doors.certify import certify as certify
from torch_mirror.doors.check.derivative import check as check
from torch_mirror.doors.check.forward import check_forward as check_forward
from torch_mirror.doors.check.layer import check_layer as check_layer
from torch_mirror.doors.check.result import Checked as Checked
from torch_mirror.doors.check.result import Refuted as Refuted
from torch_mirror.doors.check.step import check_step as check_step
from torch_mirror.doors.ensembles import verify_ensemble as verify_ensemble
from torch_mirror.doors.like import batches_like as batches_like
from torch_mirror.doors.like import parameters_like as parameters_like
from torch_mirror.doors.minimised import minimised as minimised
from torch_mirror.doors.plot import plot_loss as plot_loss
from torch_mirror.doors.recording import recording as recording
from torch_mirror.doors.reproduce import reproduce as reproduce
from torch_mirror.doors.selftest.run import selftest as selftest
from torch_mirror.doors.selftest.told import SelfTest as SelfTest
from torch_mirror.doors.verify import verify as verify
from torch_mirror.judge.verdict import Certificate as Certificate
from torch_mirror.pytest_plugin.claims import parametrize as parametrize
from torch_mirror.tape.surrogate import surrogate as surrogate
from torch_mirror.training.loop import train as train
from torch_mirror.training.session import Session as Session
from torch_mirror.training.session import session as session

__version__: str
