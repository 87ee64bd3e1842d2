"""A PyTorch model with a forward() of its own: what becomes of it, and what is said of the rest."""

import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nncli
from nncli.core.errors import NncliError
from nncli.exchange.from_torch import network_of
from nncli.exchange.torch_calls import FUNCTIONS
from tests.exchange.networks import built, difference, forward

torch = pytest.importorskip("torch", reason="PyTorch is not here: make peers")
nn, F = torch.nn, torch.nn.functional


class Net(nn.Module):  # type: ignore[name-defined,misc]
    """Calls `how`, which is given the network and x."""

    def __init__(self, how: Any = None, **modules: Any) -> None:
        super().__init__()
        self.fc, self.norm = nn.Linear(4, 4), nn.BatchNorm1d(4)
        self.register_buffer("mean", torch.ones(4))
        self.how = how
        for name, module in modules.items():
            setattr(self, name, module)

    def forward(self, x: Any) -> Any:
        return self.how(self, x)


class Digits(nn.Module):  # type: ignore[name-defined,misc]
    """PyTorch's example for MNIST, smaller."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 3, 3, 1)
        self.conv2 = nn.Conv2d(3, 4, 3, 1)
        self.dropout1 = nn.Dropout(0.25)
        self.fc1 = nn.Linear(64, 8)
        self.fc2 = nn.Linear(8, 5)

    def forward(self, x: Any) -> Any:
        x = F.relu(self.conv1(x))
        x = F.relu(self.conv2(x))
        x = self.dropout1(F.max_pool2d(x, 2))
        x = torch.flatten(x, 1)
        x = F.relu(self.fc1(x))
        x = F.dropout(x, training=self.training)
        return F.log_softmax(self.fc2(x), dim=1)


def test_the_commonest_network(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, x = Digits().double(), torch.randn(6, 1, 12, 12).double()
    model.dropout1.eval()
    modes = [module.training for module in model.modules()]
    before, kept = set(vars(model)), {k: v.clone() for k, v in model.state_dict().items()}
    y = torch.arange(6) % 5
    spec = nncli.from_torch(model, tmp_path / "net.yaml", inputs=x, targets=y)
    assert [module.training for module in model.modules()] == modes
    assert set(vars(model)) == before
    assert all(torch.equal(kept[key], value) for key, value in model.state_dict().items())
    kinds = [layer.type for layer in spec.network]
    wanted = ["conv", "conv", "maxpool", "dropout", "flatten", "dense", "dropout", "dense"]
    assert kinds == wanted
    assert [getattr(spec.network[k], "rate", None) for k in (3, 6)] == [0.25, 0.5]
    assert spec.train.cost == "cross_entropy"
    text = (tmp_path / "net.yaml").read_text()
    assert "# - log_softmax (test_forward.py:" in text
    assert "is a softmax, and its logarithm is taken by the cost" in " ".join(text.split("\n#   "))
    network = nncli.prepare(spec).network
    outputs = model.eval()(x)
    assert difference(forward(network, x.numpy()), outputs.exp().detach().numpy()) < 1e-12
    # Without dropouts, PyTorch's gradients of nll_loss are those of the cross-entropy.
    text = re.sub(r"  - \{type: dropout.*\n", "", text)
    (tmp_path / "plain.yaml").write_text(text)
    trace = nncli.trace_step(nncli.load_spec(tmp_path / "plain.yaml"), samples=range(6))
    cost = F.nll_loss(outputs, y)
    cost.backward()
    assert trace.cost_before == pytest.approx(cost.item(), rel=1e-12)
    theirs = [model.conv1, model.conv2, model.fc1, model.fc2]
    ours = [layer for layer in trace.layers if layer.weight_gradient is not None]
    for module, layer in zip(theirs, ours, strict=True):
        gradient = module.weight.grad.numpy()
        assert layer.weight_gradient is not None
        right = gradient.T if gradient.ndim == 2 else gradient
        assert difference(layer.weight_gradient, right) < 1e-12
        assert layer.bias_gradient is not None
        assert difference(layer.bias_gradient, module.bias.grad.numpy()) < 1e-12


def test_the_inputs_shape_is_that_of_the_first_layer() -> None:
    model = Net(lambda net, x: F.softmax(net.norm(F.linear(x, net.fc.weight)), -1))
    foreign = network_of(model)
    assert foreign.input_shape == (4,)
    assert [layer["type"] for layer in foreign.layers] == ["dense", "batchnorm", "dense"]
    assert foreign.layers[0]["bias"] is False
    assert foreign.activation == "softmax"
    assert foreign.notes[0].startswith("softmax (test_forward.py:")  # behind the batchnorm


def test_what_forward_does_not_use_is_left_out_and_named() -> None:
    foreign = network_of(Net(lambda net, x: net.fc(x)))
    assert [dict(layer) for layer in foreign.layers] == [
        {"type": "dense", "units": 4, "activation": "identity"}
    ]
    assert foreign.notes == ("forward() does not use norm: left out",)


def test_a_train_of_its_own_is_not_called() -> None:
    class Counting(Net):
        def train(self, mode: bool = True) -> None:  # returns nothing, as it should
            raise AssertionError

    assert network_of(Counting(lambda net, x: net.fc(x))).output_shape == (4,)


def test_networks_within_one_another() -> None:
    inner = Net(lambda net, x: net.fc(x).tanh())
    model = nn.Sequential(inner, Net(lambda net, x: net.inner(x.relu()), inner=Net(_of_sizes)))
    x = torch.randn(3, 4)
    network = built(network_of(model.eval()))
    assert difference(forward(network, x.numpy()), model(x).detach().numpy()) < 1e-6
    inner.how = lambda net, x: x + net.fc(x)
    with pytest.raises(NncliError, match=r"^0\.add \(test_forward\.py:\d+: inner\.how = lambda"):
        network_of(model, (4,))


def _of_sizes(net: Any, x: Any) -> Any:
    samples = x.size(0)
    return net.norm(net.fc(x)).view(samples, x.shape[1] // 2 * 2)


def test_what_is_frozen_and_what_is_a_constant() -> None:
    model = Net(lambda net, x: F.linear(x, net.fc.weight, net.mean))
    (layer,) = network_of(model).layers
    assert layer["freeze"] == ("bias",)
    model = Net(lambda net, x: F.linear(x, torch.eye(4)[:2]))
    with pytest.raises(NncliError, match=r"linear .*: takes weights that are none of the model's"):
        network_of(model, (4,))
    assert not [key for key in vars(model) if key.startswith("_tensor_constant")]


def control(net: Any, x: Any) -> Any:
    if x.sum() > 0:  # here
        return net.fc(x)
    return x


def loop(net: Any, x: Any) -> Any:
    n = 1
    for size in x.size()[1:]:  # here
        n *= size
    return x.view(-1, n)


def changes(net: Any, x: Any) -> Any:
    x = net.fc(x)
    if net.training:
        x = F.relu(x)  # here
    return x


def residual(net: Any, x: Any) -> Any:
    before = x
    x = net.fc(x)
    x += before  # here
    return x


def branch(net: Any, x: Any) -> Any:
    one = net.fc(x)
    other = net.norm(x)  # here
    return torch.cat([one, other], 1)


def without_gradients(net: Any, x: Any) -> Any:
    with torch.no_grad():
        return net.fc(x)  # here


def many(net: Any, x: Any) -> Any:
    for _ in range(2):
        x = net.fc(x)  # here
    return x


def fails(net: Any, x: Any) -> Any:
    raise ValueError("no luck\ntoday")  # here


def recurrent(net: Any, x: Any) -> Any:
    out, _ = net.rnn(x)  # here
    return out[:, -1]


REFUSED: dict[str, tuple[Any, str]] = {
    "control": (control, "its forward() cannot be followed"),
    "loop": (loop, "nor loop over its sizes (torch.flatten(x, 1) makes vectors of any)"),
    "changes": (changes, "forward() does something else in training than in evaluation"),
    "fails": (fails, "its forward() cannot be followed"),
    "residual": (residual, "takes 2 values, as residual connections and branches do"),
    "branch": (branch, "takes what fc (Linear, test_forward.py:"),
    "without_gradients": (without_gradients, "is computed without gradients (torch.no_grad)"),
    "many": (many, "fc (Linear, test_forward.py:"),
    "recurrent": (recurrent, "rnn (LSTM, test_forward.py:"),
    "shared": (lambda n, x: n.fc(n.norm(n.fc(x))), "is used more than once; nncli shares no"),
    "tied": (lambda n, x: F.linear(n.fc(x), n.fc.weight), "has weights of fc (Linear"),
    "twice": (lambda n, x: n.fc(x * x), "mul (test_forward.py:"),
    "always": (lambda n, x: F.dropout(n.fc(x)), "leaves units out in evaluation too"),
    "inputs": (lambda n, x: n.fc((x - n.mean) / 2), "inputs are scaled by data.scale"),
    "weights": (lambda n, x: F.linear(x, n.fc.weight * 2), "takes weights that forward() compu"),
    "unknown": (lambda n, x: F.silu(n.fc(x)), "silu (test_forward.py:"),
    "own": (lambda n, x: torch.special.expit(n.fc(x)), "has no counterpart in nncli"),
    "axes": (lambda n, x: n.fc(x).unsqueeze(1), "gives samples other axes"),
    "samples": (lambda n, x: n.fc(x).view(-1), "makes one vector of all samples"),
    "fixed": (lambda n, x: n.fc(x).view(8, 4), "says how many samples there are, 8;"),
    "mixed": (lambda n, x: n.fc(x).view(4, x.size(0)), "mixes samples with what is in them"),
    "counted": (lambda n, x: n.fc(x).view(x.size(0) * 2, 2), "depends on the number of samples"),
    "halves": (lambda n, x: n.fc(x).view(-1, 2), "makes 2 of samples of 4"),
    "flat": (lambda n, x: torch.flatten(n.fc(x)), "makes one vector of all samples"),
    "part": (lambda n, x: n.fc(x)[:, :2], "takes a part of its input"),
    "mean": (lambda n, x: n.fc(x).mean(1), "is a mean over 1; nncli has that"),
    "pair": (lambda n, x: (n.fc(x), x.size(0)), "gives something else than one tensor"),
    "ignored": (lambda n, x: (n.fc(x), x)[1], "leads nowhere"),
    "detached": (lambda n, x: n.norm(n.fc(x).detach()), "stops the gradients"),
    "padded": (lambda n, x: F.pad(n.fc(x), (0, 1)), "pads a vector; nncli pads images"),
    "keyword": (lambda n, x: F.softmax(n.fc(x), 1, dtype=torch.float64), "is called with dtype"),
    "vector": (lambda n, x: F.linear(x, n.fc.bias), "is no product with a matrix of weights"),
    "window": (lambda n, x: F.max_pool2d(x, x.size(0)), "depends on the number of samples"),
    "named": (lambda n, x: F.dropout(input=n.fc(x), p=0.5), "leaves units out in evaluation too"),
    "matmul": (lambda n, x: x @ n.fc.weight, "nn.Linear and F.linear(x, weight, bias) are"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_place_is_refused_by_name_and_line(name: str) -> None:
    how, message = REFUSED[name]
    model = Net(how, rnn=nn.LSTM(4, 4))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of softmax and the like
        with pytest.raises(NncliError) as raised:
            network_of(model, (4,))
    said = str(raised.value)
    assert message in said
    assert "Traceback" not in said
    lines, first = Path(__file__).read_text().splitlines(), how.__code__.co_firstlineno
    marked = [k for k, line in enumerate(lines, 1) if k >= first and line.endswith("# here")]
    at = marked[0] if how.__name__ != "<lambda>" else first
    if name not in ("pair",):
        assert f"test_forward.py:{at}" in said


def test_models_that_are_none() -> None:
    class Two(Net):
        def forward(self, x: Any, y: Any) -> Any:  # type: ignore[override]
            return self.fc(x + y)

    class NoForward(nn.Module):  # type: ignore[name-defined,misc]
        pass

    on_meta = nn.Sequential(nn.Linear(4, 2, device="meta"))
    of_complex = nn.Sequential(nn.Linear(4, 2, dtype=torch.complex64))
    for model, message in (
        (Two(), "its forward() takes a second input, y"),
        (NoForward(), "has no counterpart in nncli"),
        (Net, "from_torch takes a module; Net is a class of them"),
        (on_meta, "on the device meta, which holds no numbers"),
        (of_complex, "0 (Linear): its weight is complex64; nncli's numbers are real"),
        (nn.ModuleList([nn.Linear(4, 4)]), "the model (ModuleList): has no counterpart"),
        (nn.LSTM(4, 4), "the model (LSTM): has no counterpart"),
    ):
        with pytest.raises(NncliError, match=re.escape(message)):
            network_of(model, (4,))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_models_within_others() -> None:
    x = torch.randn(3, 4)
    model = Net(lambda net, x: torch.sigmoid(net.fc(x)))
    right = model(x).detach().numpy()
    for given in (torch.compile(model), nn.DataParallel(model), torch.fx.symbolic_trace(model)):
        assert difference(forward(built(network_of(given)), x.numpy()), right) < 1e-6
    half = network_of(Net(lambda net, x: torch.sigmoid(net.fc(x))).half())
    assert half.dtype == "float32"


def test_every_function_that_is_known_does_what_its_module_does() -> None:
    """tests/peers/models.py has the others, with random models."""
    x = torch.randn(3, 4)
    for name, given in (("softmax", (1,)), ("log_softmax", (-1,)), ("sigmoid", ()), ("relu_", ())):
        assert name in FUNCTIONS
        model = Net(lambda net, x, name=name, given=given: getattr(net.fc(x), name)(*given))
        right = model(x).detach().numpy()
        right = np.exp(right) if name == "log_softmax" else right
        assert difference(forward(built(network_of(model)), x.numpy()), right) < 1e-6
